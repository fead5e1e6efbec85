"""What the fire input says, and what is made of it: the rules, without a device."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
import structlog

from drivers.port import Condition, DriverError, Level, Quiet
from gated.lanes import fire
from gated.lanes.barrier import Barrier
from gated.lanes.decide import Direction, LaneKind, LaneRule
from gated.lanes.fire import CLEAR_S, FIRST_S, Fire, FireAlarm, State
from gated.lanes.lane import Lane
from gated.lanes.presence import Presences
from gated.lanes.station import Station
from protocol.event import ClockQuality, Kind, Stamp
from tests.gated.lanes.test_barrier import Contact

CLOSED: Final = Level(True)
OPEN: Final = Level(False)
HERE: Final = Condition(True)
GONE: Final = Condition(False, "its cable is out")


class Told:
    """A fire input that has said these things, a second apart."""

    def __init__(self, *reports: Level | Condition | Quiet) -> None:
        self.now = 100.0
        self.fire = Fire(self.now)
        self.say(*reports)

    def say(self, *reports: Level | Condition | Quiet) -> list[State]:
        """Say them; the states that are new."""
        found = []
        for report in reports:
            self.now += 1.0
            if self.fire.hear(report, self.now):
                found.append(self.fire.state)
        return found

    def wait(self, seconds: float) -> State:
        """Let time pass; the state then."""
        self.now += seconds
        self.fire.tick(self.now)
        return self.fire.state


@pytest.mark.parametrize(
    ("reports", "state"),
    [
        ((), State.UNREAD),
        ((HERE,), State.UNREAD),
        ((GONE,), State.UNREAD),
        ((HERE, CLOSED), State.CLEAR),
        ((GONE, HERE, CLOSED), State.CLEAR),
        ((HERE, OPEN), State.OPEN),
        ((HERE, CLOSED, OPEN), State.OPEN),
        ((HERE, CLOSED, GONE), State.LOST),
        ((HERE, CLOSED, GONE, HERE), State.LOST),
        ((HERE, CLOSED, GONE, HERE, OPEN), State.OPEN),
        ((HERE, OPEN, GONE), State.OPEN),
        ((HERE, OPEN, GONE, HERE), State.OPEN),
    ],
)
def test_what_it_says(reports: tuple[Level | Condition, ...], state: State) -> None:
    """Clear only by a closed contact; open and lost are fire, and lost after open is no less."""
    told = Told(*reports)
    assert told.fire.state is state
    assert told.fire.burns is (state in (State.OPEN, State.LOST))


@pytest.mark.parametrize("reports", [(HERE, OPEN), (HERE, CLOSED, GONE, HERE)])
def test_clear_after_a_while(reports: tuple[Level | Condition, ...]) -> None:
    """Closed for its time without a break, and not a moment less."""
    told = Told(*reports)
    assert told.say(CLOSED) == []
    assert told.wait(CLEAR_S - 0.1) is not State.CLEAR
    assert told.wait(0.1) is State.CLEAR
    assert told.fire.due is None


@pytest.mark.parametrize("broken", [(OPEN,), (GONE, HERE)])
def test_a_break_begins_it_anew(broken: tuple[Level | Condition, ...]) -> None:
    """What opens again or is lost meanwhile has its whole time before it; without a word, for ever."""
    told = Told(HERE, OPEN, CLOSED)
    told.say(*broken)
    assert told.wait(1000) is State.OPEN
    told.say(CLOSED)
    assert told.wait(CLEAR_S - 0.1) is State.OPEN
    assert told.wait(0.1) is State.CLEAR


def test_quiet_lets_time_pass() -> None:
    """A contact that stays closed says so once; that its loop turns is enough."""
    told = Told(HERE, OPEN, CLOSED)
    assert told.say(*[Quiet()] * 3) == [State.CLEAR]


@pytest.mark.parametrize(("reports", "why"), [((), "has said nothing"), ((HERE,), "nothing"), ((GONE,), "its cable")])
def test_a_start_waits_so_long_and_no_longer(reports: tuple[Condition, ...], why: str) -> None:
    """Without a level within its time it is fire, with the reason."""
    told = Told(*reports)
    told.now = 100.0
    assert told.wait(FIRST_S - 0.1) is State.UNREAD
    assert told.wait(0.1) is State.LOST
    assert why in told.fire.why


def test_it_is_told_once() -> None:
    """The same again is no news."""
    told = Told()
    assert told.say(HERE, CLOSED, CLOSED, OPEN, OPEN, GONE, HERE, OPEN) == [State.CLEAR, State.OPEN]


class Gate:
    """Three lanes with barriers and one without, and a fire input that says what it is told to."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[Level | Condition | Quiet] = asyncio.Queue()
        self.contacts = {name: Contact() for name in ("a", "b", "c")}
        self.noted: list[tuple[Kind, Mapping[str, object], bool]] = []
        self.failed: list[tuple[str, str]] = []
        stations = {name: self._station(name, Barrier(contact, 0.5)) for name, contact in self.contacts.items()}
        self.alarm = FireAlarm(
            cast("Any", SimpleNamespace(reports=self._reports)),
            {"free": self._station("free", None), **stations},
            stamp=lambda: Stamp("2026-11-28T12:00:00.000+08:00", ClockQuality.SYNCED, "b", 1.0),
            note=lambda kind, _, fields: self.noted.append((kind, fields, self.open)),
            failed=lambda station, error: self.failed.append((station.lane.rule.name, str(error))),
            log=structlog.get_logger(processors=[structlog.processors.JSONRenderer()]),
        )

    @property
    def open(self) -> bool:
        """Whether every contact is closed now."""
        return all(contact.moves[-1:] == [True] for contact in self.contacts.values())

    async def hears(self, reports: AsyncGenerator[object, None], *said: Level | Condition | Quiet) -> None:
        """The input says this."""
        for report in said:
            self.said.put_nowait(report)
            assert await anext(reports) == report

    async def _reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        while True:
            yield await self.said.get()

    def _station(self, name: str, barrier: Barrier | None) -> Station:
        rule = LaneRule(name, LaneKind.PERSON, Direction.IN)
        return Station(Lane(rule, Presences(), cast("Any", None)), barrier)


async def test_the_barriers_come_first() -> None:
    """In the turn that brings the word they are open; then it is written down, the lane without a barrier left out."""
    gate = Gate()
    async with aclosing(gate.alarm.reports()) as reports, asyncio.timeout(10):
        await gate.hears(reports, HERE, CLOSED)
        assert [contact.moves for contact in gate.contacts.values()] == [[False]] * 3
        await gate.hears(reports, OPEN)
    assert [(kind, was_open) for kind, _, was_open in gate.noted] == [(Kind.ALARM, True)] + [(Kind.OPENED, True)] * 3
    assert [fields["lane"] for kind, fields, _ in gate.noted if kind is Kind.OPENED] == ["a", "b", "c"]
    assert gate.alarm.state()["state"] == "open"


async def test_one_that_fails_keeps_no_other_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contact that is away, a driver with a fault of its own: the third opens and is let go, they are told of."""
    monkeypatch.setattr(fire, "KEEP_S", 0.01)
    monkeypatch.setattr(fire, "CLEAR_S", 0.01)
    gate = Gate()
    gate.contacts["a"].there = False

    def breaks(*, on: bool, owed: bool = False) -> None:
        raise ZeroDivisionError(on, owed)

    gate.contacts["b"].set = breaks  # type: ignore[method-assign]
    async with aclosing(gate.alarm.reports()) as reports, asyncio.timeout(10):
        await gate.hears(reports, HERE, OPEN)
        assert gate.contacts["c"].moves == [True]
        assert gate.failed == []
        while len(gate.failed) < 4:  # noqa: ASYNC110 - a time that passes has no event
            await asyncio.sleep(0)
        await gate.hears(reports, CLOSED)
        while gate.alarm.state()["state"] != "clear":  # noqa: ASYNC110 - the same
            await asyncio.sleep(0)
        assert gate.contacts["c"].moves[-1] is False
    assert {name for name, _ in gate.failed} == {"a", "b"}
    with pytest.raises(DriverError):
        gate.contacts["a"].set(on=True)


async def test_it_waits_for_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that says nothing at all is fire when its time is over, and one that stays closed is clear."""
    monkeypatch.setattr(fire, "FIRST_S", 0.01)
    monkeypatch.setattr(fire, "CLEAR_S", 0.01)
    gate = Gate()
    async with aclosing(gate.alarm.reports()) as reports, asyncio.timeout(10):
        waiting = asyncio.ensure_future(anext(reports))
        while not gate.open:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0)
        gate.said.put_nowait(CLOSED)
        assert await waiting == CLOSED
        while gate.open:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0)
    assert [fields.get("what") for _, fields, _ in gate.noted] == ["fire", None, None, None, "fire-ended"]
