"""Recorded before opened, in one process: a journal that is slow, one that fails, and a restart in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import Any, Final, cast

import pytest
import structlog

from drivers.port import Condition, Quiet
from gated.clock import Remembered, Timekeeper
from gated.lanes import openings
from gated.lanes.barrier import Barrier
from gated.lanes.decide import Direction, LaneKind, LaneRule, Policy
from gated.lanes.lane import LATE_S, Lane
from gated.lanes.post import Post
from gated.lists import listload
from gated.lists.whitelist import Whitelist
from gated.recording.journal import Journal, JournalTrouble, Told
from protocol.credential import Credential
from protocol.event import Kind, Stamp, body, line
from protocol.sighting import Sighting

LANES: Final = {
    "walk-in": LaneRule("walk-in", LaneKind.PERSON, Direction.IN),
    "walk-out": LaneRule("walk-out", LaneKind.PERSON, Direction.OUT),
    "car-in": LaneRule("car-in", LaneKind.VEHICLE, Direction.IN),
    "car-out": LaneRule("car-out", LaneKind.VEHICLE, Direction.OUT),
}
ENTRANCES: Final = ("walk-in", "car-in")
EXITS: Final = ("walk-out", "car-out")
TAG: Final = Credential("epc:E280A00000000001")
OTHER: Final = Credential("epc:E280A00000000002")
PULSE_S: Final = 0.5
WAIT_S: Final = 10.0


@dataclass
class Clocks:
    """Clocks that stand still until they are moved."""

    boot: str = "9f2c"
    seconds: float = 1000.0

    def wall(self) -> float:
        """See Source."""
        return 1_790_000_000.0 + self.seconds

    def mono(self) -> float:
        """See Source."""
        return self.seconds

    def synced(self) -> bool:
        """See Source."""
        return True


@dataclass
class FakeJournal:
    """A journal that settles an append when told to (`settle`, `fail`), or fails each at once (`broken`)."""

    broken: bool = False
    appended: list[bytes] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    noted: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[Told] = field(default_factory=list)

    def write(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object], told: Told) -> None:
        """See Journal."""
        self.appended.append(body(kind, stamp, fields))
        self.waiting.append(told)
        if self.broken:
            asyncio.get_running_loop().call_soon(self.fail)

    def note(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object]) -> None:
        """See Journal."""
        self.noted.append({**json.loads(body(kind, stamp, fields))})

    def keep(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object]) -> None:
        """See Journal."""
        self.kept.append(json.loads(body(kind, stamp, {**fields, "unwritten": True})))

    def settle(self) -> None:
        """Everything that waits is on disk now."""
        waiting, self.waiting = self.waiting, []
        for seq, told in enumerate(waiting, len(self.appended) - len(waiting) + 1):
            told(seq)

    def fail(self) -> None:
        """Nothing that waits could be written."""
        waiting, self.waiting = self.waiting, []
        for told in waiting:
            told(JournalTrouble("the disk is full"))

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was handed over to be written."""
        return [json.loads(event) for event in self.appended]


@dataclass
class Contact:
    """An output that notes what it was told."""

    told: list[bool] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def reports(self) -> AsyncIterator[Condition | Quiet]:
        """See Output."""
        yield Condition(True)

    def leave(self) -> None:
        """See Output."""

    def set(self, *, on: bool, owed: bool = False) -> None:  # noqa: ARG002 - as the port has it
        """See Output."""
        self.told.append(on)
        if on:
            self.closed.set()

    @property
    def pulses(self) -> int:
        """How often it was told to close."""
        return self.told.count(True)


class Rig:
    """A post of four lanes, with its journal and contacts within reach."""

    def __init__(self, whitelist: Whitelist, journal: FakeJournal) -> None:
        self.clocks = Clocks()
        self.journal = journal
        self.contacts = {name: Contact() for name in LANES}
        self.post = Post(
            journal=cast("Journal", journal),
            keeper=Timekeeper(self.clocks, UTC, Remembered()),
            whitelist=whitelist,
            policy=Policy({}),
            log=structlog.get_logger(),
        )
        for name, rule in LANES.items():
            self.post.add(rule, Barrier(cast("Any", self.contacts[name]), PULSE_S), None)
        if journal.broken:
            self.post.journal_changed(False, "the disk is full")

    async def see(self, lane: str, credential: Credential = TAG) -> None:
        """That lane's reader reads the credential now, and the loop has turned often enough for all to be done."""
        self.post.see(lane, Sighting(f"{lane}/0", credential, self.clocks.seconds))
        await settled()

    async def opened(self, lane: str) -> None:
        """Return when that lane's contact has been told to close."""
        async with asyncio.timeout(WAIT_S):
            await self.contacts[lane].closed.wait()

    @property
    def stamp(self) -> Stamp:
        """When it is."""
        return self.post._keeper.stamp()

    def pulses(self, lane: str) -> int:
        """How often that lane's contact was told to close."""
        return self.contacts[lane].pulses


async def settled() -> None:
    """Let everything run that waits for nothing but its turn."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def whitelist(tmp_path: Path) -> Iterator[Whitelist]:
    """A list that has TAG."""
    source = tmp_path / "list.jsonl"
    source.write_text(json.dumps({"c": TAG, "h": "h1"}) + "\n")
    listload.load(tmp_path, source, lambda *_: None, "2026-11-25T00:00:00+08:00")
    with closing(Whitelist(tmp_path)) as held:
        yield held


@pytest.mark.parametrize("lane", LANES)
async def test_no_pulse_until_it_is_on_disk(whitelist: Whitelist, lane: str) -> None:
    """However long the disk takes within its time, no barrier moves before; then it gives one pulse."""
    rig = Rig(whitelist, FakeJournal())
    await rig.see(lane)
    rig.post.tick()
    await settled()
    assert [event["verdict"] for event in rig.journal.events] == ["admit"]
    assert rig.pulses(lane) == 0
    rig.journal.settle()
    await settled()
    assert rig.pulses(lane) == 1
    assert rig.journal.kept == []


@pytest.mark.parametrize("lane", ENTRANCES)
@pytest.mark.parametrize("broken", [True, False], ids=["in-trouble", "fails-late"])
async def test_an_entrance_stays_shut_while_nothing_can_be_written(
    whitelist: Whitelist, lane: str, *, broken: bool
) -> None:
    """An entrance does not open: the passage is kept, flagged, `guard_only`, and the guard sees who waits."""
    rig = Rig(whitelist, FakeJournal(broken))
    await rig.see(lane)
    rig.journal.fail()
    await settled()
    assert rig.pulses(lane) == 0
    (kept,) = rig.journal.kept
    assert (kept["kind"], kept["credential"], kept["verdict"]) == ("passage", TAG, "flag")
    assert kept["guard_only"] is True
    assert kept["unwritten"] is True
    assert rig.post.figures.flagged == 1
    assert [held.credential for held in rig.post.stations[lane].lane.held(rig.post._keeper.now())] == [TAG]


@pytest.mark.parametrize("lane", EXITS)
@pytest.mark.parametrize("broken", [True, False], ids=["in-trouble", "fails-late"])
async def test_an_exit_opens_while_nothing_can_be_written(whitelist: Whitelist, lane: str, *, broken: bool) -> None:
    """People and vehicles can leave: one pulse, and the passage is kept as it was, `unwritten`."""
    rig = Rig(whitelist, FakeJournal(broken))
    await rig.see(lane)
    rig.journal.fail()
    await settled()
    assert rig.pulses(lane) == 1
    (kept,) = rig.journal.kept
    assert (kept["kind"], kept["credential"], kept["verdict"]) == ("passage", TAG, "admit")
    assert kept["unwritten"] is True
    assert "guard_only" not in kept


async def test_the_flagged_vehicle_stays_at_its_exit(whitelist: Whitelist) -> None:
    """An unknown vehicle does not leave by itself, disk or no disk; an unknown person does."""
    rig = Rig(whitelist, FakeJournal(broken=True))
    await rig.see("car-out", Credential("epc:E280A00000000002"))
    await rig.see("walk-out", Credential("epc:E280A00000000003"))
    assert rig.pulses("car-out") == 0
    assert rig.pulses("walk-out") == 1


@pytest.mark.parametrize("lane", EXITS)
async def test_an_exit_does_not_wait_for_a_slow_disk(
    whitelist: Whitelist, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit opens when the disk has not answered in time, once: the late answer opens nothing more."""
    monkeypatch.setattr(openings, "OVERDUE_S", 0.01)
    rig = Rig(whitelist, FakeJournal())
    await rig.see(lane)
    await rig.opened(lane)
    rig.journal.settle()
    await settled()
    assert rig.pulses(lane) == 1
    assert rig.journal.kept == []


@pytest.mark.parametrize("lane", EXITS)
async def test_an_exits_button_does_not_wait_for_a_slow_disk(
    whitelist: Whitelist, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens when the disk has not answered in time; an entrance's button does not."""
    monkeypatch.setattr(openings, "OVERDUE_S", 0.01)
    rig = Rig(whitelist, FakeJournal())
    for pressed in (*ENTRANCES, lane):
        rig.post.pressed(pressed)
    await rig.opened(lane)
    assert [rig.pulses(entrance) for entrance in ENTRANCES] == [0, 0]
    rig.journal.settle()
    await settled()
    assert [rig.pulses(pressed) for pressed in (*ENTRANCES, lane)] == [1, 1, 1]


async def test_an_entrance_waits_for_a_slow_disk(whitelist: Whitelist, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entrance does not open for want of an answer: by the time an exit has, it is still shut."""
    monkeypatch.setattr(openings, "OVERDUE_S", 0.01)
    rig = Rig(whitelist, FakeJournal())
    for lane in ENTRANCES:
        await rig.see(lane)
        rig.clocks.seconds += 100
    await rig.see("walk-out")
    await rig.opened("walk-out")
    assert [rig.pulses(lane) for lane in ENTRANCES] == [0, 0]


@pytest.mark.parametrize("lane", ENTRANCES)
@pytest.mark.parametrize("stays", [True, False])
async def test_a_disk_that_took_so_long_opens_for_who_is_there_still(
    whitelist: Whitelist, lane: str, *, stays: bool
) -> None:
    """For whom the lane has not seen for `LATE_S` nothing opens, and that is written down."""
    rig = Rig(whitelist, FakeJournal())
    await rig.see(lane)
    rig.clocks.seconds += 2
    await rig.see(lane)
    rig.clocks.seconds += LATE_S if stays else LATE_S + 0.1
    rig.journal.settle()
    await settled()
    assert rig.pulses(lane) == stays
    told = [(note["what"], note["lane"], note["of"]) for note in rig.journal.noted]
    assert told == ([] if stays else [("not-opened", lane, 1)])
    assert (rig.post.figures.admitted, rig.post.figures.flagged) == (stays, not stays)


async def test_who_has_gone_unopened_is_no_repeat(whitelist: Whitelist) -> None:
    """Not let in at one entrance for want of an answer, they may come by the other; after a restart as well."""
    before = Rig(whitelist, FakeJournal())
    await before.see("walk-in")
    before.clocks.seconds += LATE_S + 1
    before.journal.settle()
    told = {key: value for key, value in before.journal.noted[0].items() if key in {"what", "lane", "of"}}
    lines = [line(1, before.journal.appended[0]), line(2, body(Kind.SYSTEM, before.stamp, told))]
    after = Rig(whitelist, FakeJournal())
    after.clocks.seconds += LATE_S + 5
    after.post.restore(lines)
    for rig in (before, after):
        await rig.see("car-in")
        assert rig.journal.events[-1]["reason"] == "listed"


async def test_an_entrances_button_that_the_disk_took_so_long_for(whitelist: Whitelist) -> None:
    """Whoever pressed it has gone on: nothing opens."""
    rig = Rig(whitelist, FakeJournal())
    rig.post.pressed("walk-in")
    rig.clocks.seconds += LATE_S + 0.1
    rig.journal.settle()
    assert rig.pulses("walk-in") == 0
    assert [note["what"] for note in rig.journal.noted] == ["not-opened"]


@pytest.mark.parametrize("lane", ENTRANCES)
async def test_a_copy_that_shows_before_the_disk_answers(tmp_path: Path, lane: str) -> None:
    """Admitted without its chip's number, and then the number was read: the entrance stays shut."""
    (tmp_path / "list.jsonl").write_text(json.dumps({"c": TAG, "h": "h1", "tid": "E2003412"}) + "\n")
    listload.load(tmp_path, tmp_path / "list.jsonl", lambda *_: None, "2026-11-25T00:00:00+08:00")
    with closing(Whitelist(tmp_path)) as held:
        rig = Rig(held, FakeJournal())
        for tid in (None, "E2003499"):
            rig.post.see(lane, Sighting(f"{lane}/0", TAG, rig.clocks.seconds, tid=tid))
        rig.journal.settle()
        await settled()
    assert [event["reason"] for event in rig.journal.events] == ["listed", "clone"]
    assert rig.pulses(lane) == 0
    assert [note["of"] for note in rig.journal.noted] == [1]


async def test_a_copy_that_comes_after_before_the_disk_answers(tmp_path: Path) -> None:
    """Somebody has gone through, and another comes with a copy of their tag: what was on its way does not open."""
    (tmp_path / "list.jsonl").write_text(json.dumps({"c": TAG, "h": "h1", "tid": "E2003412"}) + "\n")
    listload.load(tmp_path, tmp_path / "list.jsonl", lambda *_: None, "2026-11-25T00:00:00+08:00")
    with closing(Whitelist(tmp_path)) as held:
        rig = Rig(held, FakeJournal())
        station = rig.post.stations["walk-in"]
        station.lane = Lane(replace(LANES["walk-in"], senses=True), rig.post._presences, rig.post._judge)
        await rig.see("walk-in")
        rig.journal.settle()
        rig.clocks.seconds += 4
        await rig.see("walk-in")
        rig.post.passed("walk-in")
        rig.clocks.seconds += 4
        rig.post.see("walk-in", Sighting("walk-in/0", TAG, rig.clocks.seconds, tid="E2003499"))
        rig.journal.settle()
    told = [event.get("reason") or event.get("by") or event.get("result") for event in rig.journal.events]
    assert told == ["listed", "again", "through", "clone"]
    assert rig.pulses("walk-in") == 1
    assert [note["of"] for note in rig.journal.noted] == [2]


async def test_a_turn_lasts_from_its_opening(whitelist: Whitelist) -> None:
    """However long the disk takes, the next vehicle is judged when the one before has had its time to drive in."""
    rig = Rig(whitelist, FakeJournal())
    for _ in range(3):
        for tag in (TAG, OTHER):
            await rig.see("car-in", tag)
        rig.clocks.seconds += 9
        rig.post.tick()
    rig.journal.settle()
    await settled()
    assert rig.pulses("car-in") == 1
    for seconds, reasons in ((9, ["listed"]), (1, ["listed", "unknown"])):
        await rig.see("car-in", OTHER)
        rig.clocks.seconds += seconds
        rig.post.tick()
        assert [event["reason"] for event in rig.journal.events] == reasons


async def test_an_overdue_opening_that_then_fails_is_kept(
    whitelist: Whitelist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What opened because the disk was slow, and then could not be written at all, is kept as admitted."""
    monkeypatch.setattr(openings, "OVERDUE_S", 0.01)
    rig = Rig(whitelist, FakeJournal())
    await rig.see("walk-out")
    await rig.opened("walk-out")
    rig.journal.fail()
    await settled()
    assert rig.pulses("walk-out") == 1
    assert [kept["verdict"] for kept in rig.journal.kept] == ["admit"]


async def test_the_disk_is_back(whitelist: Whitelist) -> None:
    """Who was flagged for want of a disk and still stands there is admitted once it is back, as a new passage."""
    rig = Rig(whitelist, FakeJournal(broken=True))
    await rig.see("walk-in")
    rig.journal.broken = False
    rig.post.journal_changed(True, "")
    rig.clocks.seconds += 1.5
    await rig.see("walk-in")
    rig.journal.settle()
    await settled()
    assert rig.pulses("walk-in") == 1
    assert [event["verdict"] for event in rig.journal.events] == ["admit", "admit"]
    assert [kept["verdict"] for kept in rig.journal.kept] == ["flag"]


@pytest.mark.parametrize("lane", LANES)
async def test_restart_while_a_tag_stands_in_the_field(whitelist: Whitelist, lane: str) -> None:
    """The next life lets it through again (`opened` by `again`), and does not count it a second time."""
    before = Rig(whitelist, FakeJournal())
    await before.see(lane)
    before.journal.settle()
    lines = [line(seq, rest) for seq, rest in enumerate(before.journal.appended, 1)]
    after = Rig(whitelist, FakeJournal())
    after.clocks.seconds += 2
    after.post.restore(lines)
    for _ in range(3):
        await after.see(lane)
        after.journal.settle()
        await settled()
        after.clocks.seconds += 0.5
    (opened,) = after.journal.events
    assert (opened["kind"], opened["by"], opened["of"], opened["credential"]) == ("opened", "again", 1, TAG)
    assert after.pulses(lane) == 1


async def test_a_record_that_moves_counts_once(whitelist: Whitelist) -> None:
    """The lane with the stronger signal takes over the record: that is still one passage, and nobody flagged."""
    rig = Rig(whitelist, FakeJournal())
    for lane, signal in (("walk-in", -60.0), ("car-in", -40.0)):
        rig.post.see(lane, Sighting(f"{lane}/0", TAG, rig.clocks.seconds, signal=signal))
        rig.journal.settle()
    assert [event.get("instead") for event in rig.journal.events] == [None, 1]
    assert (rig.post.figures.passages, rig.post.figures.admitted, rig.post.figures.flagged) == (1, 1, 0)


async def test_restart_after_somebody_has_gone_through(whitelist: Whitelist) -> None:
    """The next life knows that the sensor saw them go: whoever comes with that tag now is somebody else."""
    before = Rig(whitelist, FakeJournal())
    await before.see("walk-in")
    before.journal.settle()
    lines = [line(seq, rest) for seq, rest in enumerate(before.journal.appended, 1)]
    lines.append(line(2, body(Kind.PASSED, before.stamp, {"lane": "walk-in", "result": "through", "of": 1})))
    after = Rig(whitelist, FakeJournal())
    after.clocks.seconds += 2
    after.post.restore(lines)
    await after.see("walk-in")
    (passage,) = after.journal.events
    assert (passage["kind"], passage["verdict"], passage["reason"]) == ("passage", "flag", "repeat")


async def test_restart_after_somebody_has_turned_back(whitelist: Whitelist) -> None:
    """The next life knows that they went nowhere: at another lane they are no repeat."""
    before = Rig(whitelist, FakeJournal())
    await before.see("walk-in")
    before.journal.settle()
    lines = [line(seq, rest) for seq, rest in enumerate(before.journal.appended, 1)]
    lines.append(line(2, body(Kind.PASSED, before.stamp, {"lane": "walk-in", "result": "turned-back", "of": 1})))
    after = Rig(whitelist, FakeJournal())
    after.clocks.seconds += 4
    after.post.restore(lines)
    await after.see("car-in")
    (passage,) = after.journal.events
    assert (passage["verdict"], passage["reason"]) == ("admit", "listed")


async def test_restart_after_somebody_has_turned_back_and_come_again(whitelist: Whitelist) -> None:
    """The last word counts: let through again, they went, and at another lane that is a repeat."""
    before = Rig(whitelist, FakeJournal())
    await before.see("walk-in")
    before.journal.settle()
    lines = [line(1, before.journal.appended[0])]
    said: list[tuple[Kind, dict[str, object]]] = [
        (Kind.PASSED, {"result": "turned-back"}),
        (Kind.OPENED, {"by": "again", "credential": TAG}),
        (Kind.PASSED, {"result": "through"}),
    ]
    for seq, (kind, fields) in enumerate(said, 2):
        before.clocks.seconds += 15
        lines.append(line(seq, body(kind, before.stamp, {"lane": "walk-in", "of": 1, **fields})))
    after = Rig(whitelist, FakeJournal())
    after.clocks.seconds += 50
    after.post.restore(lines)
    await after.see("car-in")
    (passage,) = after.journal.events
    assert (passage["verdict"], passage["reason"]) == ("flag", "repeat")


async def test_a_repeat_time_of_the_committees(whitelist: Whitelist) -> None:
    """It counts in place of the configured one, longer or shorter, until it is taken back."""
    rig = Rig(whitelist, FakeJournal())
    for repeats, seconds, reason in (
        ({"car-in": 300.0}, 299, "repeat"),
        ({"car-in": 300.0}, 301, "listed"),
        ({"car-in": 20.0}, 21, "listed"),
        ({}, 59, "repeat"),
    ):
        rig.post.rule_by(Policy({}, repeats=repeats))
        await rig.see("walk-in")
        rig.journal.settle()
        for _ in range(seconds):
            rig.clocks.seconds += 1
            rig.post.tick()
        await rig.see("car-in")
        rig.journal.settle()
        assert rig.journal.events[-1]["reason"] == reason
        rig.clocks.seconds += 1000
        rig.post.tick()


async def test_who_comes_back_before_the_disk_has_answered(whitelist: Whitelist) -> None:
    """What is on its way opens for them: one event, one pulse."""
    rig = Rig(whitelist, FakeJournal())
    for _ in range(3):
        await rig.see("walk-in")
        rig.clocks.seconds += 4
    rig.journal.settle()
    assert len(rig.journal.events) == rig.pulses("walk-in") == 1


async def test_what_one_event_calls_for_fails(tmp_path: Path) -> None:
    """Who waits for another event of the same group still hears of theirs."""
    heard: list[int | JournalTrouble] = []
    rig = Clocks()
    keeper = Timekeeper(rig, UTC, Remembered())
    failed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))

    def fails(_: int | JournalTrouble) -> None:
        raise ZeroDivisionError

    async with Journal(tmp_path, board="board", stamp=keeper.stamp) as journal:
        await journal.opened()
        journal.write(Kind.TEST, keeper.stamp(), {}, fails)
        journal.write(Kind.TEST, keeper.stamp(), {}, heard.append)
        last = await journal.append(Kind.TEST, keeper.stamp(), {})
    assert heard == [last - 1]
    assert [type(context["exception"]) for context in failed] == [ZeroDivisionError]


async def test_stopped(whitelist: Whitelist) -> None:
    """Once told to end, the post lets go of its contacts; what reaches the disk after that opens nothing."""
    rig = Rig(whitelist, FakeJournal())
    await rig.see("walk-out")
    rig.journal.settle()
    await settled()
    await rig.see("car-out")
    rig.post.stop()
    assert rig.contacts["walk-out"].told == [True, False]
    rig.journal.settle()
    await settled()
    assert rig.pulses("car-out") == 0
