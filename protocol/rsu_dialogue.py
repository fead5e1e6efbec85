"""What a lane's computer says to an ETC unit that shall only identify: one link's dialogue, without link and clock.

- C0 sets the unit up, B0 answers. A unit that has restarted sends B0 by itself, and is set up again. The answer to a C0
  that was repeated meanwhile is none of that: each would bring the next.
- B2 announces a vehicle. C1 goes on to the frame with the plate (B3, or B4); where there was an error C2 lets it go.
- Who has been identified gets C2: the unit searches on, and nothing is taken from anybody.
- One vehicle is one sighting: B2 waits `plate_s` for the plate, then the on-board unit is told alone; so it is where
  the frame with the plate bears an error. Several vehicles are kept apart by their ids.
- A vehicle's frame that comes without a B2 (car-park units) is all there is to wait for.
- After `quiet_s` without a frame the unit is set up again: its B0 shows that it lives. C0 is repeated each `answer_s`
  until B0 comes; `silent` says when to give up.
- Each answer is wrapped as the frame that it answers, whatever framing was begun with.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from protocol.credential import Credential
from protocol.rsu import Cmd, Frame, Framing
from protocol.rsu_tables import FACTOR_BYTES, OBU_BYTES, Reading, Tables, Template, Vehicle, colour, plate
from protocol.sighting import PlateColour

ANSWER_S: Final = 0.9
SILENCE_S: Final = 2.5
LATE_S: Final = 1.0  # so long after a vehicle was told alone its plate is no news
VEHICLES_MAX: Final = 32  # announced and not yet told; a lane's field has a few
UNREAD_MAX: Final = 3  # one may be noise

_POWER_ON: Final = 0x98  # RSCTL of the B0 that nobody asked for (leizi163163/test RSU_Frame98Fuction)
_SEQS: Final = 8  # 89 is left out: its answer would be 98
_NOBODY: Final = bytes(OBU_BYTES)


@dataclass(frozen=True, slots=True)
class Setup:
    """What C0 says. `wait` None: what is usual in the region."""

    lane: int
    wait: int | None
    power: int
    channel: int


@dataclass(frozen=True, slots=True)
class Timing:
    """The time limits, in seconds."""

    plate_s: float
    quiet_s: float
    answer_s: float = ANSWER_S
    silence_s: float = SILENCE_S


@dataclass(frozen=True, slots=True)
class Seen:
    """A vehicle, once. `at` is when the last byte came that says so; `colour` is the plate's."""

    obu: Credential
    at: float
    plate: Credential | None = None
    colour: PlateColour | None = None


@dataclass(slots=True)
class Counts:
    """What was not used: `refused` frames with an ErrorCode, `plates` that are none, `unknown` lengths."""

    refused: int = 0
    plates: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Wall:
    """The time of day as C0 says it: POSIX seconds, and local time as fourteen digits."""

    posix: int
    digits: str


@dataclass(slots=True)
class _Announced:
    """A vehicle whose plate is waited for."""

    vehicle: Vehicle
    at: float
    ends: float
    region: Tables
    frame: Frame


@dataclass(slots=True)
class Dialogue:
    """One link's dialogue. Times are monotonic seconds; `wall` is asked for the time of day when it is sent."""

    reading: Reading
    setup: Setup
    timing: Timing
    framing: Framing
    wall: Callable[[], Wall]
    now: float
    heads: int = 2
    ready: bool = False
    status: int = 0
    unread: list[Frame] = field(default_factory=list)
    """The last frames whose kind no table has, up to UNREAD_MAX, until one comes that a table has."""
    counts: Counts = field(default_factory=Counts)
    _announced: dict[bytes, _Announced] = field(default_factory=dict)
    _told: dict[bytes, float] = field(default_factory=dict)  # told without a plate, and until when one is late
    _asked: float | None = None  # since when a B0 is owed
    _unanswered: int = 0  # how many C0 of the last setting up have had none
    _asked_last: float = 0.0
    _heard_at: float = 0.0
    _restarted: bool = False
    _ask_at: float = 0.0
    _seq: int = 0

    def __post_init__(self) -> None:
        self._ask_at = self.now

    def tick(self, now: float) -> list[Frame | Seen]:
        """What is due by now."""
        done: list[Frame | Seen] = []
        self._told = {obu: ends for obu, ends in self._told.items() if ends > now}
        for obu, one in tuple(self._announced.items()):
            if one.ends <= now:
                del self._announced[obu]
                self._told[obu] = now + LATE_S
                done += [Seen(one.vehicle.credential, one.at), self._stop(one.frame, one.region, obu)]
        if now >= self._ask_at:
            done.append(self._ask(now))
        return done

    def wait(self, now: float) -> float:
        """How long there is nothing to do but listen."""
        due = min([self._ask_at, *(one.ends for one in self._announced.values())])
        if self._asked is not None:
            due = min(due, self._owed_since + self.timing.silence_s)
        return max(0.0, due - now)

    def silent(self, now: float) -> bool:
        """Whether the unit owes an answer for too long."""
        return self._asked is not None and now - self._owed_since >= self.timing.silence_s

    @property
    def _owed_since(self) -> float:
        """Since when the unit owes a sign of life; before it is ready, nothing but B0 is one."""
        return max(self._asked or 0.0, self._heard_at if self.ready else 0.0)

    def heard(self, frame: Frame, now: float) -> list[Frame | Seen]:
        """Take a frame of the unit."""
        if frame.framing is not self.framing:
            if self.ready:
                return []  # no unit changes its framing: noise that passed its check
            self.framing, self._ask_at = frame.framing, now
        self.heads, self._heard_at = frame.heads, now
        if frame.command == Cmd.STATE:
            return self._state(frame, now)
        if self.ready:
            self._ask_at = now + self.timing.quiet_s
        if frame.command == Cmd.OBU and frame.framing is Framing.PARK:
            self.status = frame.data[0] if frame.data else 0
        return self._read(frame, now)

    def _read(self, frame: Frame, now: float) -> list[Frame | Seen]:
        if not self.reading.knows(frame):
            self.counts.unknown += 1
            self.unread = [*self.unread[1 - UNREAD_MAX :], frame]
            return []
        vehicle = self.reading.vehicle(frame)
        if vehicle is None or vehicle.obu == _NOBODY:
            return []
        self.unread = []
        region = self.reading.region(frame)
        if frame.command == Cmd.OBU:
            return self._unit(frame, vehicle, region, now)
        return self._whole(frame, vehicle, region, now)

    def _state(self, frame: Frame, now: float) -> list[Frame | Seen]:
        """B0: the answer to C0, or the word of a unit that has restarted."""
        power_on = frame.framing is Framing.BCC and frame.seq == _POWER_ON
        if self._asked is None and not power_on and self._unanswered and now - self._asked_last < self.timing.silence_s:
            self._unanswered -= 1
            return []
        if self._asked is None or (power_on and not self._restarted):
            self._restarted = power_on  # one that says so again, asked, is believed
            self._announced.clear()
            return [self._ask(now, frame)]
        self._restarted = False
        self._unanswered -= 1
        self._asked, self._ask_at, self.ready = None, now + self.timing.quiet_s, True
        self.status = frame.data[0] if frame.data else 0
        region = self.reading.of(frame.framing)
        switch = self._own(region.commands.switch)
        if not region.begins:
            return [switch]
        nobody = {"obu": _NOBODY, "factor": bytes(FACTOR_BYTES)}
        return [self._answer(frame, region.commands.resume, nobody), switch]

    def _unit(self, frame: Frame, vehicle: Vehicle, region: Tables, now: float) -> list[Frame | Seen]:
        """B2: a vehicle has come."""
        if vehicle.error:
            self.counts.refused += 1
            self._announced.pop(vehicle.obu, None)
            return [self._stop(frame, region, vehicle.obu)]
        done: list[Frame | Seen] = []
        one = self._announced.get(vehicle.obu)
        if one is None:
            if len(self._announced) >= VEHICLES_MAX:
                oldest = self._announced.pop(next(iter(self._announced)))
                done.append(Seen(oldest.vehicle.credential, oldest.at))
            one = _Announced(vehicle, now, now + self.timing.plate_s, region, frame)
            self._announced[vehicle.obu] = one
        self._told.pop(vehicle.obu, None)
        values = {"obu": vehicle.obu, "factor": vehicle.factor.ljust(FACTOR_BYTES, b"\0")}
        return [*done, self._answer(frame, region.commands.resume, values)]

    def _whole(self, frame: Frame, vehicle: Vehicle, region: Tables, now: float) -> list[Frame | Seen]:
        """B3 or B4: the plate, or an error in its place."""
        one = self._announced.pop(vehicle.obu, None)
        region = one.region if one is not None else region
        stop = self._stop(frame, region, vehicle.obu)
        if vehicle.error:
            self.counts.refused += 1
            return [Seen(one.vehicle.credential, one.at), stop] if one is not None else [stop]
        if vehicle.plate is None or (one is None and vehicle.obu in self._told):
            return [stop]
        found = plate(vehicle.plate)
        self.counts.plates += found is None and any(vehicle.plate)
        return [Seen(vehicle.credential, now, found, colour(vehicle.colour) if found else None), stop]

    def _ask(self, now: float, answers: Frame | None = None) -> Frame:
        """C0, once more where it has had no answer."""
        self._unanswered = 1 if self._asked is None else self._unanswered + 1
        self._asked = now if self._asked is None else self._asked
        self._asked_last, self._ask_at = now, now + self.timing.answer_s
        region = self.reading.of(self.framing)
        wall, setup = self.wall(), self.setup
        values = {
            "time": wall.posix.to_bytes(4, "big"),
            "datetime": bytes.fromhex(wall.digits),
            "lane": bytes([setup.lane]),
            "wait": bytes([region.wait if setup.wait is None else setup.wait]),
            "power": bytes([setup.power]),
            "channel": bytes([setup.channel]),
        }
        if answers is not None:
            return self._answer(answers, region.commands.setup, values)
        return self._own(region.commands.setup, values)

    def _stop(self, frame: Frame, region: Tables, obu: bytes) -> Frame:
        values = {"obu": obu, "time": self.wall().posix.to_bytes(4, "big")}
        return self._answer(frame, region.commands.stop, values)

    def _answer(self, frame: Frame, template: Template, values: dict[str, bytes]) -> Frame:
        return frame.answered(template.command, template.data(values))

    def _own(self, template: Template, values: dict[str, bytes] | None = None) -> Frame:
        """A frame of our own number: 81 to 88 in BCC, 10 to 80 in CRC16."""
        self._seq = self._seq % _SEQS + 1
        seq = {Framing.BCC: 0x80 + self._seq, Framing.CRC16: self._seq << 4, Framing.PARK: 0}[self.framing]
        return Frame(self.framing, seq, template.command, template.data(values or {}), self.heads)
