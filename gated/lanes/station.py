"""A station: one lane with the barrier it opens and the display that shows what has become of people; and a device.

The devices of a station are named after its lane: `walk-in/0`, `walk-in/barrier`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gated.lanes import signals
from gated.lanes.barrier import FIRE, Barrier
from gated.lanes.decide import Now
from gated.lanes.display import Display
from gated.lanes.lane import Lane

CROWD: Final = 100
LOOK_S: Final = 0.1


@dataclass(slots=True)
class Device:
    """What is known of one device."""

    what: str
    online: bool = False
    why: str = "not tried yet"
    since: str = ""


Devices = Mapping[str, Device]


@dataclass(slots=True)
class Station:
    """One lane with what hangs on it.

    `failing` from when its barrier could not be told what it should be, until an opening succeeds; `stopped` at the end
    of the daemon, when nothing opens any more.
    """

    lane: Lane
    barrier: Barrier | None = None
    display: Display | None = None
    failing: bool = False
    stopped: bool = False
    _wanted: bool = False
    _looked_at: float = -LOOK_S

    @property
    def burns(self) -> bool:
        """Whether fire holds its barrier open."""
        return self.barrier is not None and FIRE in self.barrier.holders

    @property
    def held_open(self) -> bool:
        """Whether anything holds its barrier open."""
        return self.barrier is not None and bool(self.barrier.holders)

    def stop(self) -> None:
        """Let go of all contacts."""
        self.stopped = True
        if self.barrier is not None:
            self.barrier.stop()
        if self.display is not None:
            self.display.stop()

    def show(self, shown: signals.Outcome, mono: float, *, silent: bool = False) -> None:
        """Show people an outcome; under fire nobody must be told to wait, whoever it is."""
        if self.display is None:
            return
        if self.burns:
            shown, silent = signals.Outcome.ADMIT, True
        self.display.show(shown, mono, silent=silent)

    def light(self, devices: Devices, now: Now) -> None:
        """Let the lamps follow: whether somebody waits for the guard, and what is the matter with the lane itself."""
        if self.display is not None and self.display.there and not self.stopped:
            trouble = None if self.burns else self._trouble(devices)
            self.display.tick(now.mono, wanted=self._is_wanted(now), trouble=trouble)

    def _is_wanted(self, now: Now) -> bool:
        """Whether somebody waits for the guard. In a crowd not asked at each: it costs a look at all of them."""
        if self.lane.crowd <= CROWD or now.mono - self._looked_at >= LOOK_S:
            self._wanted, self._looked_at = bool(self.lane.held(now)), now.mono
        return self._wanted

    def _trouble(self, devices: Devices) -> signals.Outcome | None:
        if not self.lane.opens_by_itself:
            return signals.Outcome.GUARD_ONLY
        of_lane = f"{self.lane.rule.name}/"
        readers = [one for name, one in devices.items() if one.what == "reader" and name.startswith(of_lane)]
        return signals.Outcome.OFFLINE if readers and not any(one.online for one in readers) else None
