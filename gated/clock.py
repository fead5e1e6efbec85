"""The gate's time: a wall clock that is not trusted, and what is known about it.

- Quality: `synced` while a time service says so, `holdover` after it has said so in this boot, else `unset`.
- The floor is the newest time that has been `synced` for `TRUSTED_S`, carried on by monotonic time. It survives a
  restart in `clock.json`. A wall clock that has been synced that long and says less lowers it, as an alarm.
- Validity time, by which dates are judged, is the later of wall clock and floor.
- Hours of the day are judged by the wall clock, in holdover by validity time.
- A step is a wall clock that has moved against the monotonic one by more than `STEP_S` between two looks.

`Timekeeper` is a state machine: `observe` looks at the clocks once and says what is to be written down. It keeps no
time of its own and does no I/O but by the `Source` it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final, Protocol

from gated.lanes.decide import Now
from protocol.event import ClockQuality, Kind, Stamp

TRUSTED_S: Final = 600.0
STEP_S: Final = 2.0
SETTLED_S: Final = 24 * 3600.0
"""Nothing is pruned until this long after the last step: a wrong year must not age what is kept."""


class Source(Protocol):
    """The clocks of the machine."""

    boot: str

    def wall(self) -> float:
        """POSIX seconds."""
        ...

    def mono(self) -> float:
        """Monotonic seconds."""
        ...

    def synced(self) -> bool:
        """Whether a time service says that the wall clock is right now."""
        ...


@dataclass(frozen=True, slots=True)
class ClockFact:
    """Something about the clock that belongs into the journal."""

    kind: Kind
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What outlives the process: the floor, when it was that (monotonic), in which boot, and if synced in it."""

    floor: float = 0.0
    mono: float = 0.0
    boot: str = ""
    synced: bool = False


class Timekeeper:
    """Knows the time and how well it is known."""

    def __init__(self, source: Source, zone: tzinfo, remembered: Remembered) -> None:
        self._source = source
        self._zone = zone
        wall, mono = source.wall(), source.mono()
        same_boot = remembered.boot == source.boot and mono >= remembered.mono
        self._floor = remembered.floor
        self._floor_mono = remembered.mono if same_boot else mono
        self._was_synced = same_boot and remembered.synced
        self._synced = source.synced()
        self._was_synced |= self._synced
        self._since: float | None = mono if self._synced else None
        self._offset = wall - mono
        self._stepped: float | None = None
        self._started = mono

    @property
    def quality(self) -> ClockQuality:
        """How well the wall clock is known to be right."""
        if self._synced:
            return ClockQuality.SYNCED
        return ClockQuality.HOLDOVER if self._was_synced else ClockQuality.UNSET

    def stamp(self) -> Stamp:
        """The time of an event that happens now. May be called from any thread."""
        source = self._source
        at = datetime.fromtimestamp(source.wall(), self._zone).isoformat(timespec="milliseconds")
        return Stamp(at, self.quality, source.boot, source.mono())

    def now(self) -> Now:
        """The time, as a decision needs it."""
        wall, mono = self._source.wall(), self._source.mono()
        floor = self._floor_at(mono)
        validity = max(wall, floor)
        hours = validity if self.quality is ClockQuality.HOLDOVER else wall
        return Now(mono, validity, floor, datetime.fromtimestamp(hours, self._zone), self.quality)

    def observe(self) -> list[ClockFact]:
        """Look at the clocks; what is to be written down."""
        wall, mono = self._source.wall(), self._source.mono()
        facts = self._step(wall, mono)
        was = self.quality
        self._synced = self._source.synced()
        self._was_synced |= self._synced
        if not self._synced:
            self._since = None
        elif self._since is None:
            self._since = mono
        if self.quality is not was:
            facts.append(ClockFact(Kind.SYSTEM, {"what": "clock", "from": was, "to": self.quality}))
        if self._since is not None and mono - self._since >= TRUSTED_S:
            facts += self._trust(wall, mono)
        return facts

    def accept(self) -> ClockFact:
        """Take a technician's word that the wall clock is right: the floor follows it, up or down."""
        wall, mono = self._source.wall(), self._source.mono()
        before = self._floor_at(mono)
        self._floor, self._floor_mono, self._was_synced = wall, mono, True
        fields = {"what": "clock-accepted", "before": self._text(before), "after": self._text(wall)}
        return ClockFact(Kind.ALARM, fields)

    def prune_before(self, age_s: float) -> datetime | None:
        """What is older than this may be pruned; None while the clock is not to be trusted with that."""
        mono = self._source.mono()
        quiet_since = self._started if self._stepped is None else self._stepped
        if not self._synced or mono - quiet_since < SETTLED_S:
            return None
        return datetime.fromtimestamp(min(self._source.wall(), self._floor_at(mono)) - age_s, self._zone)

    def remember(self) -> Remembered:
        """What the next start needs to know."""
        mono = self._source.mono()
        return Remembered(self._floor_at(mono), mono, self._source.boot, self._was_synced)

    def _step(self, wall: float, mono: float) -> list[ClockFact]:
        expected = self._offset + mono
        self._offset = wall - mono
        if abs(wall - expected) <= STEP_S:
            return []
        self._stepped = mono
        self._since = mono if self._since is not None else None
        fields = {"what": "clock-step", "before": self._text(expected), "after": self._text(wall)}
        return [ClockFact(Kind.SYSTEM, fields)]

    def _trust(self, wall: float, mono: float) -> list[ClockFact]:
        before = self._floor_at(mono)
        self._floor, self._floor_mono = wall, mono
        if wall >= before - STEP_S:
            return []
        fields = {"what": "floor-lowered", "before": self._text(before), "after": self._text(wall)}
        return [ClockFact(Kind.ALARM, fields)]

    def _floor_at(self, mono: float) -> float:
        return self._floor + (mono - self._floor_mono) if self._floor else 0.0

    def _text(self, posix: float) -> str:
        try:
            return datetime.fromtimestamp(posix, self._zone).isoformat(timespec="milliseconds")
        except (OverflowError, OSError, ValueError):
            return f"{posix:.3f}"
