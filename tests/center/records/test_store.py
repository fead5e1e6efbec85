"""What the center holds of gates, in both databases: each event once, in its place, proved hash by hash."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text, update

from center.records import migrations, reading
from center.records.database import Database, DatabaseVersionError
from center.records.ledger import HEARD_S
from center.records.reading import Break, Event, Lost
from center.records.store import GateError, Store
from center.records.tables import event, gap, metadata
from protocol.event import GENESIS, ClockQuality, Kind
from tests.chain import SITE, FakeGate, stamp
from tests.desk import Desk


@pytest.fixture
def desk(store: Store) -> Desk:
    """A store and what feeds it."""
    return Desk(store)


@pytest.fixture
def north(desk: Desk) -> FakeGate:
    """A gate that the site has, with ten events that nobody has heard of."""
    return desk.add(FakeGate().passages(10))


def test_a_batch_is_stored_and_answered_with_the_head(desk: Desk, north: FakeGate) -> None:
    """The answer is the last event, and every line is held byte for byte."""
    [outcome] = desk.send(north)
    assert (outcome.answer.seq, outcome.answer.hash) == (10, north.hash(10).hex())
    assert desk.lines(north) == north.lines
    assert desk.alarms() == []


def test_when_a_gate_was_heard_last_is_known_to_some_seconds(store: Store) -> None:
    """However much it sends; another epoch of it is known at once."""
    now = 1_800_000_000.0
    desk = Desk(store, lambda: now)
    north = desk.add(FakeGate().passages(5))

    def heard() -> tuple[str, float]:
        with store.reading() as connection:
            [row] = reading.gates(connection)
        return row.heard_epoch, row.heard_at

    for seq in range(1, 6):
        desk.send(north, north.batch(seq, seq))
        assert heard()[0] == north.epoch
        assert now - HEARD_S < heard()[1] <= now
        now += HEARD_S * 0.7
    anew = north.fork("E2", after=5).passages(1)
    desk.send(anew)
    assert heard() == (anew.epoch, now)


def test_whatever_is_sent_again_is_stored_once(desk: Desk, north: FakeGate) -> None:
    """Whole, in part, in any order, together or apart: no event is there twice."""
    desk.send(north, north.batch(1, 4), north.batch(1, 4), north.batch(3, 8))
    desk.send(north, north.batch(7, 10), north.batch(1, 10), north.batch(2, 3), north.batch(11, 10))
    assert desk.count() == 10
    assert desk.lines(north) == north.lines


def test_the_same_events_in_another_epoch_are_stored_once(desk: Desk, north: FakeGate) -> None:
    """A new epoch that begins before what is held shares those events; both chains are whole, and it is an alarm."""
    desk.send(north)
    anew = north.fork("E2", after=4)
    for rest in [line.partition(b",")[2] for line in north.lines[4:]]:
        anew.record_raw(b"{" + rest)
    anew.passages(3)
    desk.send(anew)
    assert desk.count() == 13
    assert desk.lines(anew) == anew.lines
    assert desk.lines(north) == north.lines
    assert desk.alarms() == [("epoch", 1)]


def test_a_fork_keeps_both_branches(desk: Desk, north: FakeGate) -> None:
    """A disk that went back in time recorded other events under the same numbers: each epoch has its own."""
    desk.send(north)
    anew = north.fork("E2", after=6).passages(7)
    [outcome] = desk.send(anew)
    assert (outcome.answer.seq, outcome.answer.hash) == (13, anew.hash(13).hex())
    assert desk.count() == 17
    assert desk.lines(north) == north.lines
    assert desk.lines(anew) == anew.lines


def test_an_epoch_finds_its_way_among_forks_of_others(desk: Desk, north: FakeGate) -> None:
    """Where two earlier epochs part, a third that has no event of its own there goes the way that leads to its head."""
    desk.send(north)
    desk.send(north.fork("E2", after=6).passages(7))
    third = north.fork("E3", after=4)
    for rest in [line.partition(b",")[2] for line in north.lines[4:9]]:
        third.record_raw(b"{" + rest)
    desk.send(third)
    assert desk.lines(third) == third.lines
    desk.send(third.passages(3), third.batch())
    assert desk.lines(third) == third.lines
    assert desk.count() == 20


def test_what_lies_beyond_the_head_is_wanted(desk: Desk, north: FakeGate) -> None:
    """A batch after a hole stores nothing and asks for all after the head."""
    desk.send(north, north.batch(1, 3))
    [outcome] = desk.send(north, north.batch(6, 8))
    assert (outcome.answer.want, outcome.answer.seq, outcome.early) == (True, 3, True)
    assert desk.count() == 3


def test_in_one_group_batches_are_judged_in_order(desk: Desk, north: FakeGate) -> None:
    """Batches of a group that arrived in the wrong order are all stored."""
    outcomes = desk.send(north, north.batch(7, 10), north.batch(4, 6), north.batch(1, 3))
    assert [outcome.answer.seq for outcome in outcomes] == [3, 6, 10]
    assert desk.lines(north) == north.lines


def test_an_epoch_that_hangs_on_what_is_not_held_is_wanted_whole(desk: Desk, north: FakeGate) -> None:
    """After the center was restored to an older backup, nothing is believed that hangs in the air."""
    anew = north.fork("E2", after=10).passages(2)
    [outcome] = desk.send(anew)
    assert (outcome.answer.want, outcome.answer.seq, outcome.answer.hash) == (True, 0, GENESIS.hex())
    assert desk.count() == 0


def test_what_a_gate_has_no_more_is_a_gap(desk: Desk, north: FakeGate) -> None:
    """Events that are lost on both sides are written down, with an alarm, and the chain goes on after them."""
    desk.send(north, north.batch(1, 3))
    north.prune(7)
    [outcome] = desk.send(north)
    assert outcome.answer.seq == 10
    assert desk.alarms() == [("gap", 1)]
    chain = desk.chain(north)
    assert chain[3] == Lost(4, 6, north.hash(6))
    assert [item.seq for item in chain if isinstance(item, Event)] == [1, 2, 3, 7, 8, 9, 10]


def test_an_epoch_may_begin_with_a_gap(desk: Desk, north: FakeGate) -> None:
    """A gate whose first events were pruned before the center ever heard of it is taken from where it begins."""
    anew = north.fork("E2", after=10, oldest=11).passages(2)
    [outcome] = desk.send(anew)
    assert outcome.answer.seq == 12
    assert desk.lines(anew) == anew.lines
    with desk.store.reading() as connection:
        assert [(row.first, row.last) for row in connection.execute(select(gap))] == [(1, 10)]


def test_what_does_not_fit_is_set_apart(desk: Desk, north: FakeGate) -> None:
    """Another chain under the same epoch is kept whole beside, once however often it comes, and counted."""
    desk.send(north)
    other = FakeGate(key=north.key).passages(12)
    for _ in range(3):
        [outcome] = desk.send(other, other.batch())
        assert (outcome.answer.seq, outcome.answer.hash) == (10, north.hash(10).hex())
    assert desk.count() == 10
    assert desk.alarms() == [("apart", 3)]
    with desk.store.reading() as connection:
        [kept] = reading.quarantined(connection)
        assert other.lines[11] in (reading.quarantined_batch(connection, kept.id) or b"")


def test_one_gate_cannot_fill_the_quarantine(desk: Desk, north: FakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after the bound is counted by its alarm and not kept."""
    monkeypatch.setattr("center.records.ledger.QUARANTINE_MAX_BATCHES", 3)
    monkeypatch.setattr("center.records.alarms.OPEN_MAX", 2)
    desk.send(north)
    for number in range(6):
        desk.send(other := FakeGate(key=north.key).passages(11 + number), other.batch())
    assert desk.alarms() == [("apart", 1), ("apart", 5)]
    with desk.store.reading() as connection:
        assert len(reading.quarantined(connection)) == 3


def test_two_boxes_under_one_name_are_an_alarm(desk: Desk, north: FakeGate) -> None:
    """A copied disk in another box: both are stored, and an alarm names both boards."""
    copied = north.fork("E2", after=10, board="serial:b").passages(1)
    desk.send(north)
    desk.send(copied)
    desk.send(north, north.batch(north.passage(), north.last))
    desk.send(copied, copied.batch(copied.passage(), copied.last))
    assert desk.alarms() == [("epoch", 1), ("rivals", 2)]
    with desk.store.reading() as connection:
        texts = [row.text for row in reading.alarms(connection)]
    assert "serial:a and serial:b" in texts[1]


def test_an_old_boards_batches_again_are_no_alarm(desk: Desk, north: FakeGate) -> None:
    """Anybody who was there can say them again: only what is new shows that the old board is running."""
    old = [north.batch(), north.batch(north.last + 1)]
    desk.send(north)
    desk.send(new := north.fork("E2", after=10, board="serial:b").passages(1))
    for payload in old:
        desk.send(north, payload)
    desk.send(new, new.batch(new.passage(), new.last))
    assert desk.alarms() == [("epoch", 1)]


def test_what_an_old_board_once_said_and_was_kept_back_is_no_alarm(desk: Desk, north: FakeGate) -> None:
    """Whoever has the broker in hand can keep batches back: they are stored, and show nothing of who runs now."""
    ago = north.sent(time.time() - 601)
    kept = north.batch(north.passage(), north.last, sent=ago)
    lost = north.fork("E0", after=10, board="serial:c").passages(1)
    desk.send(north, north.batch(1, 10))
    desk.send(new := north.fork("E2", after=10, board="serial:b").passages(1))
    for payload in (kept, lost.batch(sent=ago)):
        [outcome] = desk.send(north, payload)
        assert len(outcome.events) == 1
        desk.send(new, new.batch(new.passage(), new.last))
    assert desk.alarms() == [("epoch", 1), ("epoch", 1)]


@pytest.mark.parametrize("clock", [ClockQuality.UNSET, ClockQuality.HOLDOVER])
def test_where_clocks_do_not_tell_a_rival_is_told(desk: Desk, north: FakeGate, clock: ClockQuality) -> None:
    """A copy whose clock is wrong and says so runs all the same."""
    desk.send(north)
    desk.send(copied := north.fork("E2", after=10, board="serial:b").passages(1))
    wrong = north.sent(time.time() - 86_400, clock=clock)
    desk.send(north, north.batch(north.passage(), north.last, sent=wrong))
    assert desk.alarms() == [("epoch", 1), ("rivals", 1)]
    assert copied.last == 11


def test_what_is_not_understood_is_stored_raw(desk: Desk, north: FakeGate) -> None:
    """Kinds of a newer gate, lines that are no JSON, fields of any shape: all are stored, none blocks its queue."""
    north.record_raw(b'{"kind":"levitation","lane":"roof","height":[3]}')
    north.record_raw(b"{\xff\xfe no JSON at all \x00")
    north.record_raw(
        b'{"kind":7,"at":"yesterday","lane":"\\u0000","holder":"\\ud800","credential":{"a":1},"mono":1e999}'
    )
    north.record_raw(b'{"kind":"salvaged","original":"x","seq_was":1e400,"verdict":null,"mono":' + b"9" * 5000 + b"}")
    north.record_raw(
        b'{"kind":"salvaged","original":"\\u0000","seq_was":99999999999999999999,"at":"9999-12-31T23:59:59Z"}'
    )
    north.record_raw(b"{" + b"[" * 15_000)
    north.record_raw(b'{"lane":"' + "走".encode() * 3000 + b'"}')
    [outcome] = desk.send(north)
    assert outcome.answer.seq == 17
    assert desk.lines(north) == north.lines
    with desk.store.reading() as connection:
        rows = connection.execute(
            select(event.c.kind, event.c.lane).where(event.c.seq > 10).order_by(event.c.seq)
        ).all()
    assert rows[0] == ("levitation", "roof")
    assert rows[1] == (None, None)


def test_what_an_event_says_can_be_looked_up(desk: Desk, north: FakeGate) -> None:
    """The columns are the event's own fields, with both ends' times side by side."""
    north.record(Kind.PASSAGE, stamp(1_795_000_000.5), lane="走入", direction="out", credential="plate:沪A12345",
                 verdict="flag", reason="unknown")  # fmt: skip
    desk.send(north)
    with desk.store.reading() as connection:
        row = connection.execute(select(event).where(event.c.seq == 11)).one()
    assert (row.kind, row.lane, row.direction, row.credential) == ("passage", "走入", "out", "plate:沪A12345")
    assert (row.verdict, row.reason, row.holder, row.at) == ("flag", "unknown", None, 1_795_000_000.5)
    assert abs(row.received - time.time()) < 60


def test_a_test_is_no_passage(desk: Desk, north: FakeGate) -> None:
    """A technician's test is kept and found by its card like any event, and has nothing that lets anybody in or out."""
    where = {"lane": "walk-in", "direction": "in", "user": "gated"}
    read = {"credential": "em:0A00A1B2C3", "reader": "walk-in/0", "would": "listed", "would_open": True}
    north.record(Kind.TEST, stamp(1_795_000_000.5), step="armed", **where)
    north.record(Kind.TEST, stamp(1_795_000_001.5), step="read", of=11, **where, **read)
    north.record(Kind.TEST, stamp(1_795_000_002.5), step="ended", of=11, read=12, result="ok", **where, **read)
    desk.send(north)
    assert desk.lines(north) == north.lines
    with desk.store.reading() as connection:
        rows = connection.execute(select(event).where(event.c.credential == "em:0A00A1B2C3")).all()
    tests = [(row.seq, row.kind, row.verdict, row.reason, row.holder) for row in rows if row.seq > 10]
    assert tests == [(seq, "test", None, None, None) for seq in (12, 13)]


def test_old_events_are_late(desk: Desk, north: FakeGate) -> None:
    """Of one batch, what happened an hour ago is late and what happened now is not."""
    north.record(Kind.PASSAGE, stamp(time.time() - 3600, mono=time.monotonic() - 3600))
    desk.send(north)
    with desk.store.reading() as connection:
        late = connection.execute(select(event.c.seq).where(event.c.late)).scalars().all()
    assert late == [11]


def test_salvaged_events_name_the_originals_that_are_held(desk: Desk, north: FakeGate) -> None:
    """Those with the same place and line, whole or cut; one that differs in a byte is no such."""
    desk.send(north)
    original = [line.decode() for line in north.lines]
    anew = north.fork("E2", after=5)
    anew.record(Kind.SALVAGED, original=original[6], epoch="E1", seq_was=7)
    anew.record(Kind.SALVAGED, original=original[7][:20], epoch="E1", seq_was=8, cut=len(original[7]))
    anew.record(Kind.SALVAGED, original=original[8] + " ", epoch="E1", seq_was=9)
    anew.record(Kind.SALVAGED, original=original[9], epoch=None, seq_was=10)
    desk.send(anew)
    with desk.store.reading() as connection:
        both = select(event.c.seq, event.c.same_as).where(event.c.kind == "salvaged").order_by(event.c.seq)
        ids = dict(connection.execute(select(event.c.seq, event.c.id).where(event.c.kind == "passage")).all())
        assert connection.execute(both).all() == [(6, ids[7]), (7, ids[8]), (8, None), (9, ids[10])]


def test_an_altered_line_is_found(desk: Desk, north: FakeGate) -> None:
    """Whoever changes one event in the database breaks the chain there, and only there."""
    desk.send(north)
    with desk.store.database.transaction() as connection:
        connection.execute(
            update(event).where(event.c.seq == 4).values(line=north.lines[3].replace(b"admit", b"flags"))
        )
    chain = desk.chain(north)
    assert [item for item in chain if isinstance(item, Break)] == [Break(4, 4)]
    assert sum(isinstance(item, Event) for item in chain) == 9


@pytest.mark.parametrize(("gone", "found"), [((4, 5), (4, 6)), ((9, 10), (9, 10)), ((1, 1), (1, 2))])
def test_a_removed_line_is_found(desk: Desk, north: FakeGate, gone: tuple[int, int], found: tuple[int, int]) -> None:
    """Also at the beginning and at the end; what follows the removed ones hangs on a hash that nobody has."""
    desk.send(north)
    with desk.store.database.transaction() as connection:
        connection.execute(event.delete().where(event.c.seq.between(*gone)))
    assert [item for item in desk.chain(north) if isinstance(item, Break)] == [Break(*found)]


def test_nothing_is_written_of_a_group_that_fails(desk: Desk, north: FakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction is all or nothing: heads, events, alarms."""

    def fail(_self: object) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr("center.records.ledger.Ledgers.flush", fail)
        with pytest.raises(RuntimeError):
            desk.send(north)
    assert desk.count() == 0
    with desk.store.reading() as connection:
        assert reading.heads(connection) == []
    desk.send(north)
    assert desk.lines(north) == north.lines


def test_a_gate_that_was_restored_away_gets_no_answer(desk: Desk) -> None:
    """A batch of a gate that the database does not have stores nothing and stops nobody."""
    stranger = FakeGate(name="south").passages(1)
    desk.intake.keys = lambda _: [stranger.key.public_key()]
    assert desk.send(stranger) == []


def test_a_box_that_was_just_replaced_is_believed_no_more(desk: Desk, north: FakeGate) -> None:
    """Though its batch was verified with the key that counted a moment ago."""
    desk.intake.take(north.topic, north.batch(), received=time.time(), at=time.monotonic())
    keys = desk.store.all_keys()
    desk.store.replace_gate("north", bytes(32), 0, time.time())
    assert desk.store.ingest(desk.intake.group(time.monotonic()), keys=keys).outcomes == [None]
    assert desk.count() == 0


def test_many_writers_order_themselves(desk: Desk, north: FakeGate, opener: Callable[[], Store]) -> None:
    """Four workers at one database, each sending everything in its own order: each event is there once."""
    south = desk.add(FakeGate(name="south").passages(40))
    north.passages(30)

    def work(worker: Desk, backwards: bool) -> None:  # noqa: FBT001 - a thread's argument
        for first in range(1, 41, 5):
            for fake in (south, north) if backwards else (north, south):
                worker.send(fake, fake.batch(first, first + 4))

    workers = [Desk(opener()) for _ in range(4)]
    threads = [threading.Thread(target=work, args=(worker, number % 2)) for number, worker in enumerate(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.lines(north) == north.lines
    assert desk.lines(south) == south.lines
    assert desk.count() == 80


def test_alarms_are_counted_while_they_are_open(desk: Desk, north: FakeGate) -> None:
    """The same alarm again counts; once acknowledged, it is a new one."""
    desk.send(north)
    other = FakeGate(key=north.key).passages(12)
    desk.send(other, other.batch())
    desk.send(other, other.batch())
    with desk.store.reading() as connection:
        [open_] = reading.alarms(connection)
    assert desk.store.acknowledge(open_.id, time.time())
    assert not desk.store.acknowledge(open_.id, time.time())
    assert desk.alarms() == []
    desk.send(other, other.batch())
    assert desk.alarms() == [("apart", 1)]


def test_a_gate_is_added_once(desk: Desk, north: FakeGate) -> None:
    """A name that is taken is said to be."""
    with pytest.raises(GateError, match="there is a gate north already"):
        desk.store.add_gate(north.name, bytes(32), 0, 0)
    with pytest.raises(GateError, match="there is no gate south"):
        desk.store.replace_gate("south", bytes(32), 0, 0)


def test_the_migrations_make_the_tables(store: Store) -> None:
    """What the migrations make is what `center.records.tables` says."""
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_workers_that_start_at_once_migrate_once(url: str) -> None:
    """Eight at a time on an empty database: all find it ready."""
    trouble: list[BaseException] = []

    def start() -> None:
        try:
            with closing(Store.open(url, SITE)) as opened:
                opened.all_keys()
        except BaseException as error:  # noqa: BLE001 - told below
            trouble.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []


def test_a_database_of_a_newer_program_is_left_alone(url: str, opener: Callable[[], Store]) -> None:
    """It is refused with words that say what to do; so is one that was never migrated, where it is only read."""
    database = Database(url)
    with closing(database), database.transaction() as connection:
        connection.execute(text("SELECT 1"))
    with pytest.raises(DatabaseVersionError, match="gated-center migrate"):
        Store.open(url, SITE, read_only=True)
    with opener().database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseVersionError, match="newer than this program"):
        Store.open(url, SITE)
    assert migrations.newest() == "0004"


def test_reading_changes_nothing(url: str, north: FakeGate) -> None:
    """A store that is opened to read cannot write, whatever one tries."""
    with closing(Store.open(url, SITE, read_only=True)) as readable:
        assert readable.keys("north") == (north.public,)
        trouble: Any = pytest.raises(Exception, match=r"read-?only")
        with trouble:
            readable.add_gate("east", bytes(32), 0, 0)
