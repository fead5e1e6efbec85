"""What a gate cries for becomes an alarm: in our words, once for each cry, whatever is sent again or comes late."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from center.intake.alarm import Alarm
from center.intake.cries import FIRE, MOST, OTHER, UNRAISED, WORDS, cry, gathered, loud
from center.records import alarms as center_alarms
from center.records import reading
from center.records.facts import facts
from center.records.store import Store
from protocol.event import ClockQuality, Kind
from tests.chain import SITE, FakeGate, stamp
from tests.desk import Desk
from tests.docs.test_docs import rows, section, text

END = Alarm(FIRE, "", over=True)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A store and what feeds it."""
    with closing(Store.open(f"sqlite:///{tmp_path / 'center.db'}", SITE)) as store:
        yield Desk(store)


@pytest.fixture
def north(desk: Desk) -> FakeGate:
    """A gate that the site has, of which three events are held."""
    north = desk.add(FakeGate().passages(3))
    desk.send(north)
    return north


def cries(fake: FakeGate, what: object, times: int = 1, **fields: Any) -> None:
    """The gate records an alarm."""
    for _ in range(times):
        fake.record(Kind.ALARM, what=what, **fields)


def new(desk: Desk, fake: FakeGate, *, after: int = 3) -> None:
    """What it has after this event reaches the center."""
    desk.send(fake, fake.batch(after + 1))


def shown(desk: Desk) -> list[tuple[str, str, int, bool]]:
    """The open alarms: kind, text, how often, whether it is over."""
    with desk.store.reading() as connection:
        return [(row.kind, row.text, row.times, row.ended is not None) for row in reading.alarms(connection)]


def acknowledge(desk: Desk) -> None:
    """Somebody has seen all of them."""
    with desk.store.reading() as connection:
        open_ = [row.id for row in reading.alarms(connection)]
    assert all(desk.store.acknowledge(id_, time.time()) for id_ in open_)


def test_each_kind_that_the_events_page_has_is_raised_or_not_on_purpose() -> None:
    """And none has the name of an alarm of the center's own."""
    assert set(rows(section(text("events"), "`alarm`"))) - {"what"} == WORDS.keys() | UNRAISED
    own = {value for name, value in vars(center_alarms).items() if name.isupper() and isinstance(value, str)} - {FIRE}
    assert not (own | {OTHER, "epoch", "gap", "apart", "rivals"}) & WORDS.keys()


def test_a_cry_is_an_alarm_with_its_lane(desk: Desk, north: FakeGate) -> None:
    """It says where and what to do; the same one again is counted, another lane's is another."""
    cries(north, "tailgater", 3, lane="walk-in", direction="in")
    cries(north, "tailgater", lane="cars-in")
    cries(north, "list-trouble", why="no such file")
    new(desk, north)
    assert [(kind, times) for kind, _, times, _ in shown(desk)] == [
        ("tailgater", 3), ("tailgater", 1), ("list-trouble", 1)]  # fmt: skip
    assert "at walk-in whom nothing had let in: ask the guard" in shown(desk)[0][1]
    cries(north, "tailgater", 2, lane="walk-in")
    new(desk, north, after=8)
    assert shown(desk)[0][2] == 5


@pytest.mark.parametrize("what", sorted(WORDS.keys() | UNRAISED | {"sabotage"}))
def test_no_word_of_the_gates_is_in_it(what: str) -> None:
    """Neither its reason nor a credential, and no lane that is no lane's name: a list's line may be quoted there."""
    quoted = "em:0A00A1B2C3"
    fields = dict.fromkeys(("why", "lane", "credential", "of", "state", "epoch", "direction"), quoted)
    found = cry(facts(json.dumps({"kind": "alarm", "what": what, **fields}).encode()), late=False)
    assert (found is None) is (what in UNRAISED)
    assert found is None or ("0A00" not in found.text and "{" not in found.text and len(found.text) < 200)


@pytest.mark.parametrize(
    ("what", "called"), [("sabotage", "sabotage"), ("\x1b[2J", "what has no name"), (None, "what has no name"),
                         (["fire"], "what has no name"), ("silent", "silent")]
)  # fmt: skip
def test_a_kind_of_a_newer_gate(desk: Desk, north: FakeGate, what: object, called: str) -> None:
    """One alarm with its name, whatever that is; never one of the center's own kinds."""
    cries(north, what, 2)
    new(desk, north)
    [(kind, words, times, over)] = shown(desk)
    assert (kind, times, over) == (OTHER, 2, False)
    assert f"cries {called}," in words


def test_what_asks_for_nothing_is_no_alarm(desk: Desk, north: FakeGate) -> None:
    """A new epoch is said once, by the batch that begins it; a technician's own deed and other events never."""
    anew = north.fork("E2", after=3)
    cries(anew, "journal-epoch", why="found on another board")
    cries(anew, "clock-accepted")
    anew.record(Kind.SYSTEM, what="start")
    anew.record(Kind.SALVAGED, original='{"kind":"alarm","what":"rival"}', seq_was=2, epoch="E1")
    anew.passage(credential="alarm")
    desk.send(anew)
    assert [kind for kind, *_ in shown(desk)] == ["epoch"]


def test_what_is_sent_again_raises_nothing_anew(desk: Desk, north: FakeGate) -> None:
    """In the same epoch, or in another that begins before it, also in one transaction: only what is new is raised."""
    cries(north, "tailgater", lane="walk-in")
    cries(north, "rival", epoch="E9")
    new(desk, north)
    acknowledge(desk)
    desk.send(north, north.batch(), north.batch(4, 5))
    anew = north.fork("E2", after=2)
    for line in north.lines[2:]:
        anew.record_raw(b"{" + line.partition(b",")[2])
    cries(anew, "sensor-stuck", lane="cars-in")
    desk.send(anew, anew.batch(3, 4), anew.batch())
    assert [kind for kind, *_ in shown(desk)] == ["epoch", "sensor-stuck"]


def test_two_epochs_of_one_transaction_cry_once(desk: Desk, north: FakeGate) -> None:
    """Though the database does not show it yet."""
    cries(north, "tailgater", lane="walk-in")
    anew = north.fork("E2", after=3)
    anew.record_raw(b"{" + north.lines[3].partition(b",")[2])
    for fake in (north, anew):
        desk.intake.take(fake.topic, fake.batch(4), received=time.time(), at=time.monotonic())
    desk.store.ingest(desk.intake.group(time.monotonic()))
    assert [(kind, times) for kind, _, times, _ in shown(desk)] == [("tailgater", 1), ("epoch", 1)]


def test_what_came_late_says_so(desk: Desk, north: FakeGate) -> None:
    """After an outage, or by a clock that tells nothing; a center whose own clock is not right cannot tell either."""
    old = stamp(time.time() - 3600, mono=time.monotonic() - 3600)
    north.record(Kind.ALARM, old, what="barrier-failed", lane="walk-in")
    cries(north, "barrier-failed", lane="walk-in")
    new(desk, north)
    north.record(Kind.ALARM, stamp(0.0, clock=ClockQuality.UNSET, boot="before"), what="rival")
    new(desk, north, after=5)
    cries(north, "floor-lowered")
    desk.intake.take(north.topic, north.batch(7), received=time.time(), at=time.monotonic())
    desk.store.ingest(desk.intake.group(time.monotonic()), center_synced=False)
    told = [(kind, "it came late" in words, times) for kind, words, times, _ in shown(desk)]
    assert told == [
        ("barrier-failed", True, 1),
        ("barrier-failed", False, 1),
        ("rival", True, 1),
        ("floor-lowered", True, 1),
    ]


def test_fire_lasts_until_it_has_ended(desk: Desk, north: FakeGate) -> None:
    """One row, which says the latest, shown also when somebody has seen it; its end is written down."""
    cries(north, FIRE, state="lost", why="no answer")
    new(desk, north)
    [(_, words, times, over)] = shown(desk)
    assert ("module is lost" in words, times, over) == (True, 1, False)
    acknowledge(desk)
    cries(north, FIRE, state="open", why="the contact is open")
    new(desk, north, after=4)
    [(_, words, times, over)] = shown(desk)
    assert ("contact and its wire" in words, times, over) == (True, 2, False)
    north.record(Kind.SYSTEM, what="fire-ended", seconds=60.0)
    new(desk, north, after=5)
    assert shown(desk) == []
    cries(north, FIRE, state="open")
    north.record(Kind.SYSTEM, what="fire-ended", seconds=1.0)
    new(desk, north, after=6)
    [(kind, _, times, over)] = shown(desk)
    assert (kind, times, over) == (FIRE, 1, True)


def test_a_start_ends_a_fire_that_it_does_not_say_again(desk: Desk, north: FakeGate) -> None:
    """A daemon that was killed in the middle of it never says its end."""
    cries(north, FIRE, state="open")
    north.record(Kind.SYSTEM, what="start", version="1")
    cries(north, FIRE, state="open")
    new(desk, north)
    assert [(kind, over) for kind, _, _, over in shown(desk)] == [(FIRE, False)]
    north.record(Kind.SYSTEM, what="start", version="1")
    new(desk, north, after=6)
    assert [(kind, over) for kind, _, _, over in shown(desk)] == [(FIRE, True)]


def test_a_box_that_is_taken_away_burns_no_more(desk: Desk, north: FakeGate) -> None:
    """What the old box said is over, whoever comes after it."""
    cries(north, FIRE, state="open")
    new(desk, north)
    desk.store.replace_gate(north.name, bytes(32), 0, time.time())
    assert [over for *_, over in shown(desk)] == [True]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("f", "f"),
        ("ff", "f2"),
        ("fe", "fe"),
        ("e", "e"),
        ("ef", "ef"),
        ("fef", "f2"),
        ("fefe", "f2e"),
        ("efe", "efe"),
        ("efefeef", "ef3"),
    ],
)
def test_fires_of_one_batch(said: str, expected: str) -> None:
    """However many: what ended before them, themselves, and whether the last has ended."""
    fire = Alarm(FIRE, "it burns")
    found = gathered(fire if letter == "f" else END for letter in said)
    told = ["e" if one.over else "f" + (str(one.times) if one.times > 1 else "") for one in found]
    assert "".join(told) == expected


def test_a_gate_that_does_nothing_but_cry_costs_a_few_rows(desk: Desk, north: FakeGate) -> None:
    """A bound on different alarms of a batch, one on the table's rows, and a fire among them is never left out."""
    for number in range(400):
        cries(north, "tailgater", lane=f"lane-{number}")
        cries(north, f"newer-{number}")
    cries(north, FIRE, state="open")
    [outcome] = desk.send(north, north.batch(4))
    assert outcome.answer.seq == north.last
    assert len(outcome.alarms) == MOST + 1
    assert len(shown(desk)) == 2 * center_alarms.OPEN_MAX + 1
    assert shown(desk)[-1][0] == FIRE


def test_ordinary_lines_are_not_read_for_it() -> None:
    """What is no cry is told by its bytes; what may be one by its fields."""
    assert not loud(b'{"seq":1,"kind":"passage","credential":"em:0A00A1B2C3","verdict":"admit","reason":"listed"}')
    assert not loud(b'{"seq":1,"kind":"salvaged","original":"{\\"kind\\":\\"alarm\\"}"}')
    assert loud(b'{"seq":1,"kind":"alarm","what":"rival"}')
    assert loud(b'{ "kind" : "alarm" }')
    assert loud(b'{"kind":"system","what":"fire-ended"}')
    assert loud(b'{"kind":"system","what":"start"}')
    assert cry(facts(b'{"kind":"passage","what":"rival","reason":"alarm"}'), late=False) is None
