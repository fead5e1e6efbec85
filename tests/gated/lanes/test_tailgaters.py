"""What the post lets explain that somebody goes through, and what not."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gated.lanes.barrier import COMMAND, FIRE
from gated.lanes.lane import Lane
from gated.lanes.openings import Order
from gated.lists.whitelist import Whitelist
from gated.recording.journal import Told
from protocol.event import Kind, Stamp
from tests.gated.lanes.test_recorded_before_opened import LANES, FakeJournal, Rig, settled


@pytest.fixture
def whitelist(tmp_path: Path) -> Iterator[Whitelist]:
    """None was ever loaded."""
    with closing(Whitelist(tmp_path)) as held:
        yield held


class Disk(FakeJournal):
    """A journal that has each event on disk at once, or is broken."""

    def write(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object], told: Told) -> None:
        """See Journal."""
        super().write(kind, stamp, fields, told)
        if not self.broken:
            asyncio.get_running_loop().call_soon(self.settle)


class Gate(Rig):
    """A post whose lanes have a sensor, past its first moments."""

    def __init__(self, whitelist: Whitelist) -> None:
        super().__init__(whitelist, Disk())
        for name, rule in LANES.items():
            station = self.post.stations[name]
            station.lane = Lane(replace(rule, senses=True), self.post._presences, self.post._judge)
            self.post.sensed(name, False)

    async def passes(self, lane: str) -> list[str]:
        """Somebody goes over that lane's sensor; which events that makes."""
        events = [*self.journal.kept, *self.journal.events]
        self.post.sensed(lane, True)
        self.post.passed(lane)
        self.post.sensed(lane, False)
        await settled()
        return [event["kind"] for event in [*self.journal.kept, *self.journal.events][len(events) :]]


@pytest.fixture
def gate(whitelist: Whitelist) -> Gate:
    """See Gate."""
    return Gate(whitelist)


@pytest.mark.parametrize("lane", LANES)
async def test_whom_nothing_explains(gate: Gate, lane: str) -> None:
    """Each lane; the alarm is one event more."""
    assert await gate.passes(lane) == ["passed", "alarm"]


@pytest.mark.parametrize("holder", [COMMAND, FIRE])
async def test_a_hold_or_fire_explains_any_number(gate: Gate, holder: str) -> None:
    """While it lasts, and for a moment after."""
    barrier = gate.post.stations["car-in"].barrier
    assert barrier is not None
    barrier.hold(holder)
    assert [await gate.passes("car-in") for _ in range(3)] == [["passed"]] * 3
    gate.clocks.seconds += 100
    gate.post.tick()
    barrier.let_go(holder)
    assert await gate.passes("car-in") == ["passed"]
    gate.clocks.seconds += 100
    gate.post.tick()
    assert await gate.passes("car-in") == ["passed", "alarm"]


@pytest.mark.parametrize("by", ["command", "button"])
async def test_an_opening_explains_one(gate: Gate, by: str) -> None:
    """From where ever it comes."""
    if by == "button":
        gate.post.pressed("car-in")
    else:
        gate.post.order("car-in", by, {"operator": "wang"}, Order(lambda _: None))
    await settled()
    assert await gate.passes("car-in") == ["passed"]
    assert await gate.passes("car-in") == ["passed", "alarm"]


async def test_the_first_moments_of_a_life_explain_it(gate: Gate) -> None:
    """The last one may have opened for them, and have had no time to say so."""
    gate.post.restore([])
    assert await gate.passes("car-in") == ["passed"]


async def test_where_only_the_guard_opens_nobody_is_a_tailgater(gate: Gate) -> None:
    """While the journal cannot be written, at an entrance; nor where the barrier does not do as it is told."""
    gate.post.journal_changed(False, "full")
    assert await gate.passes("car-in") == ["passed"]
    assert await gate.passes("car-out") == ["passed", "alarm"]
    gate.post.journal_changed(True, "")
    gate.clocks.seconds += 100
    gate.post.stations["car-in"].failing = True
    assert await gate.passes("car-in") == ["passed"]
    gate.post.stations["car-in"].failing = False
    gate.clocks.seconds += 100
    assert await gate.passes("car-in") == ["passed", "alarm"]
