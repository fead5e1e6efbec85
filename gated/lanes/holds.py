"""Which lanes are held open by a command, and until when. Time is an argument.

A hold ends by itself after its time, by a release, and with the daemon; what ends it is written down. It has nothing to
do with the line to the center: it neither ends nor lasts longer because the center is away. Fire holds barriers too
(`gated.lanes.barrier`): a hold that ends here lets go of its own only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gated.lanes.barrier import COMMAND, Barrier
from protocol.event import Kind

KEEP_S: Final = 5.0
"""How often a contact that is held is told so again: a relay board that was without power for a moment says nothing."""

Note = Callable[[Kind, Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class Hold:
    """A lane held open. `until` is monotonic seconds, `of` the event that began it, where it could be written."""

    lane: str
    barrier: Barrier
    until: float
    operator: str
    command: str
    of: int | None


class Holds:
    """All holds of the post. `note` writes down."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._holds: dict[str, Hold] = {}
        self._keep_at = 0.0

    def begun(self, hold: Hold) -> None:
        """Take word that the barrier is held. Another hold of the same lane takes the place of the one before."""
        self._holds[hold.lane] = hold

    def at(self, lane: str) -> Hold | None:
        """The lane's hold."""
        return self._holds.get(lane)

    def release(self, lane: str, fields: Mapping[str, object]) -> bool:
        """End the lane's hold before its time; False if there is none. `fields` say who wants it and why."""
        hold = self._holds.get(lane)
        if hold is not None:
            self._end(hold, "released", fields)
        return hold is not None

    def tick(self, mono: float) -> None:
        """Let time pass."""
        for hold in [hold for hold in self._holds.values() if mono >= hold.until]:
            self._end(hold, "time", {})
        if mono >= self._keep_at:
            self._keep_at = mono + KEEP_S
            for hold in self._holds.values():
                hold.barrier.keep()

    def stop(self) -> None:
        """End all of them, with the daemon."""
        for hold in tuple(self._holds.values()):
            self._end(hold, "stop", {})

    def _end(self, hold: Hold, why: str, fields: Mapping[str, object]) -> None:
        del self._holds[hold.lane]
        hold.barrier.let_go(COMMAND)
        self._note(Kind.SYSTEM, {"what": "hold-ended", "lane": hold.lane, "of": hold.of, "why": why, **fields})
