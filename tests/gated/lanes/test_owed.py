"""An exit whose relay fails as it opens: when that is back, it opens for whom it owes that, once, and says so."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from drivers.port import Condition, DriverError
from gated.demo.post import CHANNELS
from gated.lanes import barrier as barriers
from gated.lanes import openings
from gated.lanes.barrier import COMMAND, FIRE, Barrier
from gated.lanes.lane import Lane
from gated.lanes.openings import RETRY_S
from gated.lists import listload
from gated.lists.whitelist import Whitelist
from protocol.credential import Credential
from protocol.event import line
from protocol.sighting import Sighting
from tests.gated.lanes.test_recorded_before_opened import (
    ENTRANCES,
    EXITS,
    OTHER,
    PULSE_S,
    TAG,
    Contact,
    FakeJournal,
    Rig,
)
from tests.gated.lanes.test_recorded_before_opened import settled as all_done
from tests.gatepost import Gatepost

COPY: Final = Credential("epc:E280A00000000003")
THIRD: Final = Credential("epc:E280A00000000004")


class Relay(Contact):
    """A contact that may be away."""

    there = True

    def set(self, *, on: bool, owed: bool = False) -> None:
        """See Output."""
        if not self.there:
            raise DriverError("unplugged")
        super().set(on=on, owed=owed)


class Gate(Rig):
    """A post whose disk answers at once, and whose relays come and go."""

    def __init__(self, whitelist: Whitelist, *, broken: bool = False) -> None:
        super().__init__(whitelist, FakeJournal(broken))
        for name, station in self.post.stations.items():
            relay = self.contacts[name] = Relay()
            station.barrier = Barrier(cast("Any", relay), PULSE_S)

    async def see(self, lane: str, credential: Credential = TAG, *, tid: str | None = None) -> None:
        """It is read, and what comes of that is on disk."""
        self.post.see(lane, Sighting(f"{lane}/0", credential, self.clocks.seconds, tid=tid))
        await self.done()

    async def done(self) -> None:
        """All that waits is on disk, and what follows from it has happened."""
        await all_done()
        (self.journal.fail if self.journal.broken else self.journal.settle)()
        await all_done()

    async def relay(self, lane: str, *, there: bool) -> None:
        """The relay comes or goes, and its driver says so."""
        cast("Relay", self.contacts[lane]).there = there
        self.post.condition(f"{lane}/barrier", "output", Condition(there, "" if there else "unplugged"))
        await self.done()

    async def wait(self, seconds: float) -> None:
        """So long nothing happens but time."""
        self.clocks.seconds += seconds
        self.post.tick()
        await self.done()

    @property
    def told(self) -> list[tuple[object, ...]]:
        """What was written down about passages and openings."""
        return [
            (event["kind"], event.get("by"), event.get("of"), event.get("credential")) for event in self.journal.events
        ]

    @property
    def not_opened(self) -> list[tuple[object, ...]]:
        """Of which events it was written down that they opened nothing, and why."""
        noted = [note for note in self.journal.noted if note["what"] == "not-opened"]
        return [(note.get("of"), note.get("credential"), note.get("why")) for note in noted]


@pytest.fixture
def whitelist(tmp_path: Path) -> Iterator[Whitelist]:
    """A list that has TAG and OTHER, and COPY with its chip."""
    source = tmp_path / "list.jsonl"
    entries = [{"c": TAG, "h": "h1"}, {"c": OTHER, "h": "h2"}, {"c": COPY, "h": "h3", "tid": "E2003412"}]
    source.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    listload.load(tmp_path, source, lambda *_: None, "2026-11-25T00:00:00+08:00")
    with closing(Whitelist(tmp_path)) as held:
        yield held


@pytest.mark.parametrize("lane", EXITS)
async def test_the_relay_is_back(whitelist: Whitelist, lane: str) -> None:
    """Whoever still stands there is let out at once, by an event of its own, and never a second time."""
    gate = Gate(whitelist)
    await gate.relay(lane, there=False)
    for _ in range(20):  # longer than a vehicle's turn
        await gate.see(lane)
        await gate.wait(1)
    assert gate.told == [("passage", None, None, TAG)]
    assert gate.not_opened == [(1, TAG, "unplugged")]
    await gate.relay(lane, there=True)
    assert gate.told[1:] == [("opened", "owed", 1, TAG)]
    for _ in range(3):
        await gate.see(lane)
        await gate.wait(1)
        await gate.relay(lane, there=False)
        await gate.relay(lane, there=True)
    assert gate.pulses(lane) == 1
    assert len(gate.told) == 2
    assert len(gate.not_opened) == 1


@pytest.mark.parametrize("lane", EXITS)
async def test_gone_before(whitelist: Whitelist, lane: str) -> None:
    """For nobody it opens; when they are back it does, as ever."""
    gate = Gate(whitelist)
    await gate.relay(lane, there=False)
    await gate.see(lane)
    await gate.wait(4)
    await gate.relay(lane, there=True)
    assert (len(gate.told), gate.pulses(lane)) == (1, 0)
    await gate.see(lane)
    assert gate.told[1:] == [("opened", "again", 1, TAG)]
    assert gate.pulses(lane) == 1


@pytest.mark.parametrize("lane", ENTRANCES)
async def test_an_entrance_owes_nothing(whitelist: Whitelist, lane: str) -> None:
    """It is written down that it has not opened, and it opens for nobody later; another entrance takes them."""
    gate = Gate(whitelist)
    await gate.relay(lane, there=False)
    await gate.see(lane)
    await gate.relay(lane, there=True)
    await gate.wait(RETRY_S)
    assert gate.pulses(lane) == 0
    assert gate.not_opened == [(1, TAG, "unplugged")]
    other = next(one for one in ENTRANCES if one != lane)
    await gate.see(other)
    assert gate.journal.events[-1]["reason"] == "listed"


async def test_all_who_stand_there(whitelist: Whitelist) -> None:
    """Each is let out by an event of their own, who came when it was away already too; a button's press is over."""
    gate = Gate(whitelist)
    await gate.relay("walk-out", there=False)
    for tag in (TAG, OTHER):
        await gate.see("walk-out", tag)
    gate.post.pressed("walk-out")
    await gate.done()
    await gate.relay("walk-out", there=True)
    assert gate.told[3:] == [("opened", "owed", 1, TAG), ("opened", "owed", 2, OTHER)]
    assert [of for of, _, _ in gate.not_opened] == [1, 2, 3]


async def test_vehicles_keep_their_order(whitelist: Whitelist) -> None:
    """Who stands first at the arm keeps their turn until it opens; from then on it lasts as long as any."""
    gate = Gate(whitelist)
    await gate.relay("car-out", there=False)
    for _ in range(15):
        for tag in (TAG, OTHER):
            await gate.see("car-out", tag)
        await gate.wait(1)
    assert gate.told == [("passage", None, None, TAG)]
    await gate.relay("car-out", there=True)
    assert gate.told[1:] == [("opened", "owed", 1, TAG)]
    for _ in range(11):
        for tag in (TAG, OTHER):
            await gate.see("car-out", tag)
        await gate.wait(1)
    assert gate.told[2:] == [("passage", None, None, OTHER)]
    assert gate.pulses("car-out") == 2


async def test_a_read_that_is_a_moment_old(whitelist: Whitelist) -> None:
    """It is as old as when it came: the time that the relay was away is no part of it."""
    gate = Gate(whitelist)
    await gate.relay("car-out", there=False)
    await gate.see("car-out")
    await gate.wait(2.5)
    await gate.relay("car-out", there=True)
    assert gate.pulses("car-out") == 1


async def test_gone_through(whitelist: Whitelist) -> None:
    """The guard has opened by hand, and the sensor has seen them go: nothing is owed."""
    gate = Gate(whitelist)
    station = gate.post.stations["walk-out"]
    station.lane = Lane(replace(station.lane.rule, senses=True), gate.post._presences, gate.post._judge)
    await gate.relay("walk-out", there=False)
    await gate.see("walk-out")
    gate.post.passed("walk-out")
    await gate.relay("walk-out", there=True)
    assert gate.pulses("walk-out") == 0


async def test_a_vehicle_that_gave_up_is_waited_for_no_longer(whitelist: Whitelist) -> None:
    """Gone from the broken exit, it keeps nobody there."""
    gate = Gate(whitelist)
    await gate.relay("car-out", there=False)
    await gate.see("car-out")
    for _ in range(12):
        await gate.see("car-out", OTHER)
        await gate.wait(1)
    await gate.relay("car-out", there=True)
    assert gate.told[1:] == [("passage", None, None, OTHER), ("opened", "owed", 2, OTHER)]


async def test_a_vehicle_that_shows_itself_a_copy(whitelist: Whitelist) -> None:
    """What was decided no longer holds: the exit stays shut, and the next vehicle has its turn."""
    gate = Gate(whitelist)
    await gate.relay("car-out", there=False)
    await gate.see("car-out", COPY)
    await gate.see("car-out", COPY, tid="E2003499")
    await gate.relay("car-out", there=True)
    assert [event["reason"] for event in gate.journal.events] == ["listed", "clone"]
    assert gate.pulses("car-out") == 0
    for _ in range(12):
        await gate.see("car-out", COPY, tid="E2003499")
        await gate.see("car-out")
        await gate.wait(1)
    assert gate.pulses("car-out") == 1


async def test_whom_another_lane_has(whitelist: Whitelist) -> None:
    """Who was read at the entrance first is let out by the exit all the same, late as well."""
    gate = Gate(whitelist)
    await gate.relay("walk-out", there=False)
    await gate.see("walk-in")
    await gate.see("walk-out")
    await gate.relay("walk-out", there=True)
    assert gate.told[1:] == [("opened", "exit", 1, TAG), ("opened", "owed", 1, TAG)]
    assert gate.not_opened == [(2, TAG, "unplugged")]
    assert gate.pulses("walk-out") == 1


@pytest.mark.parametrize("back", [True, False], ids=["back-before-the-disk", "never-back"])
async def test_while_the_disk_has_not_answered(
    whitelist: Whitelist,
    monkeypatch: pytest.MonkeyPatch,
    *,
    back: bool,
) -> None:
    """What is still on its way to the disk is opened by itself: one event says all that has happened."""
    monkeypatch.setattr(openings, "OVERDUE_S", 0.0)
    gate = Gate(whitelist)
    relay = cast("Relay", gate.contacts["walk-out"])
    relay.there = False
    gate.post.condition("walk-out/barrier", "output", Condition(False, "unplugged"))
    gate.post.see("walk-out", Sighting("walk-out/0", TAG, gate.clocks.seconds))
    while not gate.post.stations["walk-out"].failing:
        await all_done()
    if back:
        relay.there = True
        gate.post.condition("walk-out/barrier", "output", Condition(True))
        assert gate.pulses("walk-out") == 1
        assert gate.post._presences.last(TAG) is not None
    await gate.done()
    assert gate.told == [("passage", None, None, TAG)]
    assert gate.not_opened == ([] if back else [(1, TAG, "unplugged")])
    await gate.relay("walk-out", there=True)
    assert gate.pulses("walk-out") == 1


async def test_whose_record_has_moved(whitelist: Whitelist) -> None:
    """Another lane's antenna sees them better and has taken the record over: the exit owes them all the same."""
    gate = Gate(whitelist)
    await gate.relay("walk-out", there=False)
    for lane, signal in (("walk-out", -70.0), ("walk-in", -40.0)):
        gate.post.see(lane, Sighting(f"{lane}/0", TAG, gate.clocks.seconds, signal=signal))
        await gate.done()
    assert [event.get("instead") for event in gate.journal.events] == [None, 1]
    await gate.relay("walk-out", there=True)
    assert gate.told[2:] == [("opened", "owed", 1, TAG)]
    assert gate.pulses("walk-out") == 1


async def test_who_gets_a_passage_of_their_own_meanwhile(whitelist: Whitelist, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom another lane had, and then this one: what is on its way lets them out, and nothing beside it."""
    monkeypatch.setattr(openings, "OVERDUE_S", 0.0)
    gate = Gate(whitelist)
    relay = cast("Relay", gate.contacts["walk-out"])
    relay.there = False
    for lane in ("walk-in", "walk-out"):
        gate.post.see(lane, Sighting(f"{lane}/0", TAG, gate.clocks.seconds))
    while not gate.post.stations["walk-out"].failing:
        await all_done()
    for _ in range(2):
        gate.clocks.seconds += 2
        gate.post.see("walk-out", Sighting("walk-out/0", TAG, gate.clocks.seconds))
    relay.there = True
    gate.post.condition("walk-out/barrier", "output", Condition(True))
    await gate.done()
    assert [kind for kind, *_ in gate.told] == ["passage", "opened", "passage"]
    assert gate.pulses("walk-out") == 1


async def test_while_nothing_can_be_written(whitelist: Whitelist) -> None:
    """People can leave then too: what happens is kept in memory, in its order."""
    gate = Gate(whitelist, broken=True)
    await gate.relay("walk-out", there=False)
    await gate.see("walk-out")
    await gate.relay("walk-out", there=True)
    assert gate.pulses("walk-out") == 1
    assert [(kept["kind"], kept.get("by"), kept.get("verdict")) for kept in gate.journal.kept] == [
        ("passage", None, "admit"),
        ("opened", "owed", None),
    ]
    assert gate.not_opened == [(None, TAG, "unplugged")]


@pytest.mark.parametrize("holder", [FIRE, COMMAND])
async def test_held_open_meanwhile(whitelist: Whitelist, holder: str) -> None:
    """A contact that cannot be closed opens for nobody, held or not; whom it does not let out is let out after that."""
    gate = Gate(whitelist)
    barrier = gate.post.stations["walk-out"].barrier
    assert barrier is not None
    barrier.hold(holder)
    await gate.relay("walk-out", there=False)
    await gate.see("walk-out")
    assert gate.not_opened == [(1, TAG, "unplugged")]
    barrier.let_go(holder)
    await gate.relay("walk-out", there=True)
    assert gate.told[1:] == [("opened", "owed", 1, TAG)]
    assert gate.contacts["walk-out"].told[-1] is True


async def test_the_end_of_the_daemon(whitelist: Whitelist) -> None:
    """The next life takes up whom it finds there: nobody is let out twice."""
    gate = Gate(whitelist)
    await gate.relay("walk-out", there=False)
    await gate.see("walk-out")
    gate.post.stop()
    await gate.relay("walk-out", there=True)
    assert (len(gate.told), gate.pulses("walk-out")) == (1, 0)


@pytest.mark.parametrize("let_out", [True, False])
async def test_a_restart_knows(whitelist: Whitelist, *, let_out: bool) -> None:
    """Who was let out after all was: the last word of the last life counts."""
    before = Gate(whitelist)
    await before.relay("car-out", there=False)
    await before.see("car-out")
    if let_out:
        await before.relay("car-out", there=True)
    (said,) = [json.dumps(note).encode() for note in before.journal.noted if note["what"] == "not-opened"]
    events = [before.journal.appended[0], said, *before.journal.appended[1:]]
    after = Gate(whitelist)
    after.post.restore([line(seq, body) for seq, body in enumerate(events, 1)])
    assert (after.post._presences.last(TAG) is not None) is let_out


async def test_a_restart_knows_where(whitelist: Whitelist) -> None:
    """Whom an exit let out for another lane's passage was at that exit, and not at the other lane once more."""
    before = Gate(whitelist)
    await before.relay("walk-out", there=False)
    for lane in ("walk-in", "walk-out"):
        await before.see(lane)
    await before.wait(1)
    await before.relay("walk-out", there=True)
    assert before.told[2:] == [("opened", "owed", 1, TAG)]
    after = Gate(whitelist)
    after.post.restore([line(seq, body) for seq, body in enumerate(before.journal.appended, 1)])
    last = after.post._presences.last(TAG)
    assert last is not None
    assert last.at == before.clocks.seconds - 1


async def test_a_relay_that_fails_though_it_is_there(whitelist: Whitelist) -> None:
    """It is tried each `RETRY_S`, and one alarm says so."""
    gate = Gate(whitelist)
    relay = cast("Relay", gate.contacts["walk-out"])
    relay.there = False
    for _ in range(12):
        await gate.see("walk-out")
        await gate.wait(1)
    assert [by for _, by, _, _ in gate.told] == [None, "owed", "owed"]
    assert [of for of, _, _ in gate.not_opened] == [1, 2, 3]
    relay.there = True
    for _ in range(int(RETRY_S)):
        await gate.see("walk-out")
        await gate.wait(1)
    assert gate.pulses("walk-out") == 1
    assert [note["what"] for note in gate.journal.noted].count("barrier-failed") == 1


async def test_a_turnstile_that_loses_its_relay_between_two(
    whitelist: Whitelist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for their pulse and was not given it is let out when the relay is back; the first is not again."""
    monkeypatch.setattr(barriers, "TURNSTILE_PAUSE_S", 0.0)
    gate = Gate(whitelist)
    relay = cast("Relay", gate.contacts["walk-out"])
    gate.post.stations["walk-out"].barrier = turnstile = Barrier(cast("Any", relay), 0.01, turnstile=True)
    for tag in (TAG, OTHER, THIRD):
        await gate.see("walk-out", tag)
    await gate.relay("walk-out", there=False)
    while turnstile._timer is not None:
        await all_done()
    assert [of for of, _, _ in gate.not_opened] == [2, 3]
    await gate.relay("walk-out", there=True)
    assert gate.told[3:] == [("opened", "owed", 2, OTHER), ("opened", "owed", 3, THIRD)]
    while turnstile._timer is not None:
        await all_done()
    assert gate.pulses("walk-out") == 3


async def test_a_real_daemon(tmp_path: Path) -> None:
    """The board's cable is out while somebody comes to the exit; it is back, and they are let out, once."""
    tag = "E280A0000000000000000001"
    async with Gatepost(tmp_path) as post:
        await post.start()
        reader, board = post.devices.walk_out_host, post.devices.relay_host

        async def stands_there(until: Callable[[], object], what: str) -> None:
            def read_again() -> object:
                reader.send(post.devices.walk_out.push(tag))
                return until()

            await post.until(read_again, what)

        board.unplug()
        await post.device("walk-out/barrier", online=False)
        await stands_there(lambda: post.passages("walk-out"), "the passage is recorded")
        await board.plug()
        await stands_there(lambda: post.pulsed("walk-out"), "the exit opens")
        await stands_there(lambda: not post.board.channels[CHANNELS["walk-out"]], "the pulse is over")
        await post.stop()
        told = [(event.get("by") or event.get("what"), event.get("of")) for event in post.events()]
        (passage,) = post.passages("walk-out")
        said = [("barrier-failed", passage["seq"]), ("not-opened", passage["seq"]), ("owed", passage["seq"])]
        assert [one for one in told if one[1] == passage["seq"]] == said
        assert (post.pulsed("walk-out"), post.orders("walk-out")) == (1, 1)
