"""What the sensor behind a lane's arm tells: who has gone through, who has turned back, who had no leave. Pure.

Whoever is admitted is waited for (`expect`). Each who leaves the sensor is the one whose turn it is, else the one who
has been waited for longest, else somebody whom an opening explains: by a guard, button or command one within the lane's
`timeout`, by a barrier that is held any number until `timeout` after. Whom nothing explains is a tailgater.

Turned back has who was let through, has not been seen for `timeout`, and did not go: never while somebody is on the
sensor, since it may be they. A sensor that is lost, or has been active for `STUCK_S`, cannot say so of anybody.
"""

from collections import deque
from typing import Final

from gated.lanes.presence import Presence

STUCK_S: Final = 300.0
"""Somebody on the sensor for so long is taken for a broken sensor: a lane must not wait for it for ever."""

OPENINGS_MAX: Final = 100


class Sensor:
    """One lane's sensor. Times are monotonic seconds, `timeout` is the lane's."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._active: bool | None = None
        self._since = 0.0
        self._stuck = False
        self._expected: deque[Presence] = deque()
        self._openings: deque[float] = deque(maxlen=OPENINGS_MAX)
        self._free_until = 0.0

    def sense(self, active: bool | None, mono: float) -> None:  # noqa: FBT001 - a level, None where it is lost
        """Take the sensor's level."""
        if active is not self._active:
            self._active, self._since, self._stuck = active, mono, False

    @property
    def expecting(self) -> bool:
        """Whether somebody has been let through of whom it has still to tell."""
        return bool(self._expected)

    def occupied(self, mono: float) -> bool:
        """Whether somebody is on the sensor."""
        return self._active is True and mono - self._since < STUCK_S

    def stuck(self, mono: float) -> bool:
        """Whether it has been active for too long; says so once."""
        found = self._active is True and not self._stuck and mono - self._since >= STUCK_S
        self._stuck = self._stuck or found
        return found

    def expect(self, presence: Presence) -> None:
        """This one is let through; it takes the place of an earlier presence of the same credential."""
        self._expected = deque(p for p in self._expected if p.sighting.credential != presence.sighting.credential)
        self._expected.append(presence)

    def drop(self, presence: Presence) -> None:
        """It is not let through after all."""
        if presence in self._expected:
            self._expected.remove(presence)

    def opened(self, mono: float) -> None:
        """The barrier was opened for somebody of whom nothing was read."""
        self._openings.append(mono)

    def stays_open(self, mono: float) -> None:
        """The barrier is held open."""
        self._free_until = mono + self._timeout

    def gone_through(self, turn: Presence | None) -> Presence | None:
        """Whose going through it was, by turn or by order; None if nobody was waited for."""
        presence = turn if turn is not None else next(iter(self._expected), None)
        if presence is not None:
            presence.through = True
            self.drop(presence)
        return presence

    def explained(self, mono: float) -> bool:
        """Whether an opening explains that one more goes through. Uses it up."""
        if mono < self._free_until:
            return True
        while self._openings:
            if mono - self._openings.popleft() <= self._timeout:
                return True
        return False

    def turned_back(self, turn: Presence | None, mono: float) -> list[Presence]:
        """Who has turned back, each told once. Whose turn it is has not."""
        if self.occupied(mono):
            return []
        late = [p for p in self._expected if p is not turn and mono - max(p.seen, p.judged) >= self._timeout]
        for presence in late:
            self._expected.remove(presence)
        return [p for p in late if p.let] if self._active is False else []
