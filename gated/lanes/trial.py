"""A test of a lane with a technician's card: from the reader to the relay, and that nobody is read outside.

A state machine without I/O; time is an argument. Sightings, the sensor, the journal's word, the relay's and the clock
go in; what is to be told, written down and opened comes out as `Do`s. `gated.lanes.proving` carries them out.

- One card is taken: the first that is read after arming, or the one that was named. A card that lay in the field before
  counts once it has been away for the lane's `gone`. All other cards go to their lanes as ever.
- The relay is told only when the read is on disk. Where the disk fails or takes too long the test is over, and the
  sighting is given back to the lane: at an exit it opens as it always would.
- Until the card has gone it is no passage at this lane, nor at another entrance that reads it. Another exit lets it
  out as ever: a test keeps nobody in.
- Everything has an end: each state its time, and a card that stays in the field `AFTER_S`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gated.lanes.decide import Direction, LaneRule
from protocol.credential import Credential, strength
from protocol.sighting import Sighting

EXIT_DISK_S: Final = 1.0
"""An exit waits no longer than this for the disk, test or not."""
DISK_S: Final = 10.0
RELAY_S: Final = 30.0
"""Longer than any pulse."""
CONFIRM_S: Final = 120.0
"""How long the technician may take to walk outside."""
AFTER_S: Final = 10.0
"""A card that is still in the field so long after the test is a card like any other."""
_OTHERS_MAX: Final = 10


class State(Enum):
    """Where a test stands."""

    ARMING = "arming"  # the journal has still to take that it is armed
    ARMED = "armed"
    WRITING = "writing"
    OPENING = "opening"  # until the pulse is over
    SENSING = "sensing"  # for somebody to go through
    CONFIRMING = "confirming"  # the technician has still to say that the card is outside
    LEAVING = "leaving"  # until the card is no longer read
    WATCHING = "watching"  # that it stays so
    ENDED = "ended"


_SLOW: Final = ("journal", "the disk has not answered in time")
_TOO_LATE: Final = {
    State.ARMING: _SLOW,
    State.ARMED: ("nothing-read",),
    State.WRITING: _SLOW,
    State.OPENING: ("relay", "the pulse does not end"),
    State.CONFIRMING: ("not-confirmed",),
    State.LEAVING: ("still-read",),
}
"""Why a test has failed whose state has outlasted its time; in the other states that is as it should be."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be tested. Times in seconds.

    `opens`: the barrier is to open; `watch`: for how long nobody may be read outside, 0 where that is not tested;
    `user` is whose the command was, `sudo` who had called it, as it says itself; `present`: who is in the lane's field
    already, by when they were last seen.
    """

    rule: LaneRule
    readers: tuple[str, ...]
    user: str
    sudo: str | None
    card: Credential | None
    opens: bool
    watch: float
    seconds: float
    present: Mapping[Credential, float]


@dataclass(frozen=True, slots=True)
class Tell:
    """News for whoever tests."""

    step: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Write:
    """An event that the test waits for: `written` or `failed` is to be called. `armed`, or else the `read`."""

    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Open:
    """The barrier is to open: `opened` or `failed` is to be called."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A sighting that the lane is to have after all."""

    lane: str
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class End:
    """The test is over: an event that opens nothing, to be told when it is on disk."""

    fields: Mapping[str, object]


Do = Tell | Write | Open | GiveBack | End
Judge = Callable[[Sighting], Mapping[str, object]]


class Trial:
    """One test. `judge` says what the gate would have done with the card."""

    def __init__(self, terms: Terms, judge: Judge, mono: float) -> None:
        self.terms = terms
        self.state = State.ARMING
        self._judge = judge
        self._until = mono + DISK_S
        self._armed_at = mono
        self._present = dict(terms.present)
        self._others: set[str] = set()
        self._read: Sighting | None = None
        self._seen = mono
        self._found: dict[str, object] = {}

    def begin(self) -> list[Do]:
        """What is written down before anything else: nobody arms a lane in secret."""
        terms = self.terms
        asked = {"sudo": terms.sudo, "card": terms.card, "seconds": terms.seconds, "watch": terms.watch or None}
        return [Write(self._fields("armed", opens=terms.opens, **asked))]

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state is State.ENDED

    @property
    def opening(self) -> bool:
        """Whether the relay has been told, and its pulse is not known to be over."""
        return self.state is State.OPENING

    def over(self, mono: float) -> bool:
        """Whether it has ended, and its card has gone or is now a card like any other."""
        here = self._read is not None and mono - self._seen <= self.terms.rule.gone
        return self.state is State.ENDED and not (here and mono < self._until)

    def see(self, rule: LaneRule, sighting: Sighting, mono: float) -> tuple[bool, list[Do]]:
        """Take a sighting of any lane; whether it is the test's, and not the lane's."""
        here = rule.name == self.terms.rule.name
        if self._read is None:
            if self.state is not State.ARMED or not here:
                return False, []
            return self._first(sighting, mono)
        if sighting.credential != self._read.credential or self.over(mono):
            return False, []
        if not here:
            return rule.direction is Direction.IN, self._another("elsewhere", sighting.reader, sighting)
        self._seen = max(self._seen, sighting.at)
        if self.state is not State.WATCHING:
            return True, []
        self._found |= {"outside": "read", "outside_signal": sighting.signal}
        return True, self._end(mono, "read-outside")

    def written(self, seq: int, mono: float) -> list[Do]:
        """Take the journal's word that what was to be written is on disk."""
        if self.state is State.ARMING:
            self._found["of"] = seq
            self._armed_at = mono
            return self._go(State.ARMED, mono + self.terms.seconds, "armed", of=seq, seconds=self.terms.seconds)
        if self.state is not State.WRITING:
            return []
        told = self._measure("durable", mono)
        self._found["read"] = seq
        if not self.terms.opens:
            return [told, *self._walk_out(mono)]
        self.state, self._until = State.OPENING, mono + RELAY_S
        return [told, Open()]

    def opened(self, mono: float) -> list[Do]:
        """Take word that the relay was told to close."""
        return [self._measure("relay", mono)] if self.state is State.OPENING else []

    def released(self, mono: float) -> list[Do]:
        """Take word that the pulse is over, and that the relay's driver has found nothing wrong."""
        if self.state is not State.OPENING:
            return []
        if self.terms.rule.senses and "passed" not in self._found:
            return self._go(State.SENSING, mono + self.terms.rule.timeout, "released", sensor=True)
        return [Tell("released", {"sensor": False}), *self._walk_out(mono)]

    def passed(self, mono: float) -> tuple[bool, list[Do]]:
        """Take word that somebody has gone through; whether that was the test's."""
        if self.state not in {State.OPENING, State.SENSING}:
            return False, []
        self._found["passed"] = True
        told = Tell("passed", {})
        return True, [told] if self.state is State.OPENING else [told, *self._walk_out(mono)]

    def confirmed(self, mono: float) -> list[Do] | None:
        """Take the technician's word that the card is outside. None where nobody has asked for it."""
        if self.state is not State.CONFIRMING:
            return None
        return self._go(State.LEAVING, mono + self.terms.seconds, "leaving", gone=self.terms.rule.gone)

    def failed(self, why: str, detail: str, mono: float) -> list[Do]:
        """Take word of what makes the test impossible: `journal`, `relay`, `cancelled`, `stop`, with the details."""
        return self._end(mono, why, detail)

    def tick(self, mono: float, offline: Mapping[str, str]) -> list[Do]:
        """Let time pass. `offline` are those of the lane's readers that are, each with the reason."""
        if self.state is State.ENDED:
            return []
        if lost := self._lost(offline):
            return self._end(mono, "reader-offline", f"{lost}: {offline[lost]}")
        if self.state is State.LEAVING and mono - self._seen > self.terms.rule.gone:
            return self._go(State.WATCHING, mono + self.terms.watch, "watching", seconds=self.terms.watch)
        return self._time_is_up(mono) if mono >= self._until else []

    def _time_is_up(self, mono: float) -> list[Do]:
        if self.state is State.SENSING:
            self._found["passed"] = False
            return [Tell("not-passed", {"seconds": self.terms.rule.timeout}), *self._walk_out(mono)]
        if self.state is State.WATCHING:
            self._found["outside"] = "not-read"
            return self._end(mono)
        return self._end(mono, *_TOO_LATE[self.state])

    def _lost(self, offline: Mapping[str, str]) -> str:
        """The reader without which the test proves nothing."""
        if self.state is State.ARMED and set(self.terms.readers) <= set(offline):
            return self.terms.readers[0]
        reader = self._read.reader if self._read is not None else ""
        return reader if self.state in {State.LEAVING, State.WATCHING} and reader in offline else ""

    def _first(self, sighting: Sighting, mono: float) -> tuple[bool, list[Do]]:
        """Whether this is the card that is waited for."""
        credential, rule = sighting.credential, self.terms.rule
        if sighting.at < self._armed_at:
            return False, []
        if self.terms.card is not None and credential != self.terms.card:
            return False, self._another("other", credential, sighting)
        last = self._present.get(credential)
        if self.terms.card is None and last is not None and sighting.at - last <= rule.gone:
            self._present[credential] = sighting.at
            return False, self._another("there-before", credential, sighting)
        self._read, self._seen = sighting, sighting.at
        self._found |= {
            "reader": sighting.reader,
            "credential": credential,
            "signal": sighting.signal,
            **self._judge(sighting),
        }
        self.state = State.WRITING
        self._until = mono + (EXIT_DISK_S if rule.direction is Direction.OUT else DISK_S)
        told = Tell("read", {**self._found, "strength": strength(credential)})
        return True, [told, Write(self._fields("read", **self._found))]

    def _another(self, step: str, key: str, sighting: Sighting) -> list[Do]:
        """Tell of a read that is none of the test's, once each."""
        if key in self._others or len(self._others) >= _OTHERS_MAX:
            return []
        self._others.add(key)
        if step == "elsewhere":
            also = self._found.get(step)
            self._found[step] = [*(also if isinstance(also, list) else []), sighting.reader]
        fields = {"credential": sighting.credential, "reader": sighting.reader, "signal": sighting.signal}
        return [Tell(step, fields)]

    def _measure(self, name: str, mono: float) -> Tell:
        """How long after the read this was, in ms."""
        assert self._read is not None, "something is measured only from a read on"  # noqa: S101 - for the type checker
        took = round((mono - self._read.at) * 1000, 1)
        self._found[f"{name}_ms"] = took
        return Tell(name, {"ms": took})

    def _walk_out(self, mono: float) -> list[Do]:
        """The lane is proved; what is left is that it reads nobody outside."""
        if not self.terms.watch:
            return self._end(mono)
        return self._go(State.CONFIRMING, mono + CONFIRM_S, "confirm", seconds=self.terms.watch)

    def _go(self, state: State, until: float, step: str, **fields: object) -> list[Do]:
        self.state, self._until = state, until
        return [Tell(step, fields)]

    def _end(self, mono: float, why: str = "", detail: str = "") -> list[Do]:
        if self.state is State.ENDED:
            return []
        was, self.state, self._until = self.state, State.ENDED, mono + AFTER_S
        result = "cancelled" if why in {"cancelled", "stop"} else "failed" if why else "ok"
        found = {**self._found, "result": result, "why": why or None, "detail": detail or None}
        done: list[Do] = [End(self._fields("ended", **found))]
        if why and was is State.WRITING and self._read is not None:
            done.append(GiveBack(self.terms.rule.name, self._read))
            self._read = None
        return done

    def _fields(self, step: str, **fields: object) -> dict[str, object]:
        rule = self.terms.rule
        return {"step": step, "lane": rule.name, "direction": rule.direction, "user": self.terms.user, **fields}
