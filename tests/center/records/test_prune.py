"""What is too old goes from the front of each chain, and what remains still proves itself, in both databases."""

import argparse
import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select, update

from center import commands_read
from center.config import Keep
from center.records import alarms, prune, reading
from center.records.facts import facts
from center.records.reading import Break, Event, Lost
from center.records.store import Store
from center.records.tables import alarm, checkpoint, event, quarantine
from protocol.event import ClockQuality, Kind
from tests.chain import FakeGate, stamp
from tests.desk import Desk

DAY = 86400.0
NOW = 1_800_000_000.0
KEY = Ed25519PrivateKey.generate()
KEEP = Keep(events=30, quarantine=40, alarms=50)
Captured = pytest.CaptureFixture[str]


class Clock:
    """The center's clock, in these tests."""

    def __init__(self) -> None:
        self.at = NOW - 100 * DAY

    def __call__(self) -> float:
        """What time it is."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    """A clock that stands a hundred days before now."""
    return Clock()


@pytest.fixture
def desk(store: Store, clock: Clock) -> Desk:
    """A store, and what feeds it at the clock's time."""
    return Desk(store, clock)


@pytest.fixture
def north(desk: Desk, clock: Clock) -> FakeGate:
    """Ten events of a hundred days ago, and five of yesterday."""
    north = desk.add(FakeGate())
    record(north, 10, clock.at)
    desk.send(north)
    clock.at = NOW - DAY
    record(north, 5, clock.at)
    desk.send(north)
    clock.at = NOW
    return north


def record(gate: FakeGate, count: int, at: float, **changed: ClockQuality) -> None:
    """Let the gate record events of this moment."""
    for _ in range(count):
        gate.record(Kind.PASSAGE, stamp(at, **changed), credential=f"em:{gate.last:010X}")


def pruned(desk: Desk, pause: Callable[[float], None] = lambda _: None, keep: Keep = KEEP) -> prune.Plan:
    """Prune at the desk's time."""
    plan = prune.planned(desk.store, keep, desk.now())
    prune.carry_out(desk.store, plan, keep, desk.now(), KEY, pause)
    return plan


def verify(desk: Desk, *keys: Ed25519PublicKey) -> int:
    """The status of `gated-center verify`, for a center with these keys (by default the one that has pruned)."""
    args = argparse.Namespace(gate=None, json=False)
    return commands_read.verify(desk.store, args, lambda: keys or (KEY.public_key(),))


def seqs(desk: Desk, gate: FakeGate) -> list[int]:
    """The events of the gate's epoch that are left; none may be missing among them."""
    chain = desk.chain(gate)
    assert not [item for item in chain if isinstance(item, Break)]
    return [item.seq for item in chain if isinstance(item, Event)]


def test_the_front_goes_and_the_rest_verifies(desk: Desk, north: FakeGate, capsys: Captured) -> None:
    """Ten old ones are gone, five are left, and are proved from a checkpoint of the center's; again changes nothing."""
    for events in (10, 0):
        assert [chain.events for chain in pruned(desk).chains] == [events]
        assert desk.count() == 5
        assert seqs(desk, north) == [11, 12, 13, 14, 15]
        assert verify(desk) == 0
        assert "events up to 10 were pruned" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_has_gone_is_not_in_the_file(desk: Desk, north: FakeGate) -> None:
    """SQLite overwrites it: whoever has the disk does not find it in what is free."""
    path = desk.store.database.path
    assert path is not None
    pruned(desk)
    desk.store.close()
    data = path.read_bytes()
    assert north.lines[9] not in data
    assert b"em:0000000009" not in data
    assert north.lines[14] in data


def test_all_may_go(desk: Desk, north: FakeGate, clock: Clock) -> None:
    """Of a gate that has said nothing for long nothing is left but its head; what it records then follows from that."""
    clock.at = NOW + 60 * DAY
    pruned(desk)
    assert desk.count() == 0
    assert verify(desk) == 0
    record(north, 2, clock.at)
    [outcome] = desk.send(north, north.batch(16, 17))
    assert (outcome.answer.seq, outcome.answer.want) == (17, False)
    assert seqs(desk, north) == [16, 17]
    assert desk.alarms() == []


def test_a_checkpoint_of_somebody_else_is_found(desk: Desk, north: FakeGate, capsys: Captured) -> None:
    """Who takes events away without the center's key is found, whatever they write in their place."""
    pruned(desk)
    assert verify(desk, Ed25519PrivateKey.generate().public_key()) == 1
    assert "not signed by this center" in capsys.readouterr().out
    with desk.store.database.transaction() as connection:
        connection.execute(event.delete().where(event.c.seq <= 12))
        connection.execute(update(checkpoint).values(seq=12, hash=north.hash(12)))
    assert seqs(desk, north) == [13, 14, 15]
    assert verify(desk) == 1


def test_what_is_put_before_the_checkpoint_is_found(desk: Desk, north: FakeGate, capsys: Captured) -> None:
    """A row that stands where all were pruned is none of the gate's."""
    pruned(desk)
    with desk.store.database.transaction() as connection:
        row = connection.execute(select(event).where(event.c.seq == 11)).mappings().one()
        connection.execute(event.insert(), {**row, "id": 999, "seq": 3, "hash": north.hash(3)})
    assert verify(desk) == 1
    assert "1 events stand there" in capsys.readouterr().out


def test_what_was_pruned_is_not_asked_for(desk: Desk, north: FakeGate) -> None:
    """A gate that sends all again, or from the middle, or begins anew after the last that is gone, is answered well."""
    pruned(desk)
    for first, last in ((1, 4), (1, 10), (8, 12), (1, 15), (11, 15)):
        [outcome] = desk.send(north, north.batch(first, last))
        assert (outcome.answer.seq, outcome.answer.want, outcome.apart) == (15, False, "")
    assert desk.count() == 5
    anew = north.fork("E2", after=10)
    record(anew, 3, NOW)
    [outcome] = desk.send(anew)
    assert (outcome.answer.seq, outcome.answer.want, outcome.gap) == (13, False, None)
    assert seqs(desk, anew) == [11, 12, 13]


def test_a_gap_stays_known(desk: Desk, north: FakeGate, clock: Clock) -> None:
    """Events that were lost are still told of after what came before them has gone."""
    clock.at = NOW - 60 * DAY
    south = desk.add(FakeGate("south"))
    record(south, 6, clock.at)
    desk.send(south, south.batch(1, 2))
    clock.at = NOW
    south.prune(5)
    desk.send(south, south.batch(5, 6))
    pruned(desk)
    [lost] = [item for item in desk.chain(south) if isinstance(item, Lost)]
    assert (lost.first, lost.last) == (3, 4)
    assert seqs(desk, south) == [5, 6]
    assert seqs(desk, north) == [11, 12, 13, 14, 15]


@pytest.mark.parametrize(
    ("at", "came", "quality", "goes"),
    [
        (NOW - 31 * DAY, NOW - 31 * DAY, ClockQuality.SYNCED, True),
        (NOW - 29 * DAY, NOW - 29 * DAY, ClockQuality.SYNCED, False),
        (NOW - 31 * DAY, NOW - 8 * DAY, ClockQuality.SYNCED, True),
        (NOW - 31 * DAY, NOW - 6 * DAY, ClockQuality.SYNCED, False),
        (NOW - 31 * DAY, NOW - 8 * DAY, ClockQuality.UNSET, False),
        (NOW + 99 * DAY, NOW - 31 * DAY, ClockQuality.SYNCED, True),
    ],
)
def test_age(desk: Desk, clock: Clock, at: float, came: float, quality: ClockQuality, *, goes: bool) -> None:
    """By its own clock where that was right, else by when it came; never within a week of that."""
    north = desk.add(FakeGate())
    clock.at = came
    record(north, 1, at, clock=quality)
    desk.send(north)
    clock.at = NOW
    pruned(desk)
    assert desk.count() == (0 if goes else 1)


def test_ingest_has_its_turn(desk: Desk, north: FakeGate, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps a worker writes; what it writes stays."""
    monkeypatch.setattr(prune, "STEP_EVENTS", 3)
    seen: list[int] = []

    def worker(_: float) -> None:
        record(north, 1, clock.at)
        desk.send(north, north.batch(north.last, north.last))
        seen.append(desk.count())

    pruned(desk, worker)
    assert seen == [13, 11, 9]
    assert seqs(desk, north) == list(range(11, 19))
    assert verify(desk) == 0


@pytest.mark.parametrize("known", [True, False])
def test_an_epoch_that_comes_meanwhile_keeps_what_it_shares(
    desk: Desk, north: FakeGate, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """A gate that begins anew, or goes on in another epoch, among events about to go: the next run takes them."""
    monkeypatch.setattr(prune, "STEP_EVENTS", 3)
    anew = north.fork("E2", after=3)
    for line in north.lines[3:10]:
        anew.record_raw(b"{" + line.partition(b",")[2])
    if known:
        desk.send(anew, anew.batch(4, 5))

    def worker(_: float) -> None:
        desk.send(anew)

    pruned(desk, worker)
    assert verify(desk) == 0
    assert seqs(desk, anew)[-1] == 10
    pruned(desk)
    assert verify(desk) == 0
    assert seqs(desk, anew) == []
    assert seqs(desk, north) == [11, 12, 13, 14, 15]


def copied(of: FakeGate, to: FakeGate, first: int) -> None:
    """Let another epoch of the gate have the same events from this one on."""
    for line in of.lines[first - of.first :]:
        to.record_raw(b"{" + line.partition(b",")[2])


def test_an_epoch_that_is_held_up_holds_up_those_that_it_shares(desk: Desk, clock: Clock) -> None:
    """A third epoch has a young event amid old ones, which are stored under two others: no row goes before its turn."""
    first = desk.add(FakeGate())
    clock.at, old = NOW - 8 * DAY, NOW - 40 * DAY
    record(first, 4, old)
    record(first, 1, old, clock=ClockQuality.UNSET)
    desk.send(first)
    second = first.fork("E2", after=5)
    record(second, 5, old)
    desk.send(second)
    third = first.fork("E3", after=3)
    copied(first, third, 4)
    copied(second, third, 6)
    desk.send(third)
    clock.at = NOW
    pruned(desk)
    assert verify(desk) == 0
    assert (seqs(desk, first), seqs(desk, second), seqs(desk, third)) == ([5], [6, 7, 8, 9, 10], [5, 6, 7, 8, 9, 10])
    clock.at = NOW + 30 * DAY
    pruned(desk)
    assert (verify(desk), desk.count()) == (0, 0)


def test_an_older_epoch_may_share_what_a_newer_one_stored(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no moment is a row gone that another chain still needs."""
    monkeypatch.setattr(prune, "STEP_EVENTS", 2)
    first = desk.add(FakeGate())
    record(first, 5, clock.at)
    desk.send(first)
    second = first.fork("E2", after=5)
    record(second, 6, clock.at)
    desk.send(second)
    copied(second, first, 6)
    desk.send(first)
    clock.at = NOW
    for _ in range(2):
        pruned(desk, lambda _: pytest.fail("a chain is broken") if verify(desk) else None)
    assert (verify(desk), desk.count()) == (0, 0)


def test_each_may_share_what_the_other_stored(desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs of which either has events that are stored under the other: both go."""
    monkeypatch.setattr(prune, "STEP_EVENTS", 2)
    first = desk.add(FakeGate())
    record(first, 7, clock.at)
    desk.send(first, first.batch(1, 5))
    second = first.fork("E2", after=3)
    copied(first, second, 4)
    desk.send(second)
    desk.send(first)
    clock.at = NOW
    pruned(desk, lambda _: pytest.fail("a chain is broken") if verify(desk) else None)
    assert (verify(desk), desk.count()) == (0, 0)


def test_what_came_again_after_it_was_pruned_keeps_what_it_shares(desk: Desk, clock: Clock) -> None:
    """An epoch begins anew before what is gone: what came again is young, and what follows is still the other's."""
    first = desk.add(FakeGate())
    for days, count in ((60, 4), (32, 2)):
        clock.at = NOW - days * DAY
        record(first, count, clock.at)
        desk.send(first)
    clock.at = NOW - 4 * DAY
    pruned(desk)
    assert seqs(desk, first) == [5, 6]
    second = first.fork("E2", after=0)
    copied(first, second, 1)
    desk.send(second)
    clock.at = NOW
    pruned(desk)
    assert verify(desk) == 0
    assert seqs(desk, second) == [1, 2, 3, 4, 5, 6]
    clock.at = NOW + 4 * DAY
    pruned(desk)
    assert (verify(desk), desk.count()) == (0, 0)


def test_a_disk_that_began_anew_holds_up_nothing(desk: Desk, clock: Clock) -> None:
    """Where two epochs share nothing, what is young in one keeps nothing of the other."""
    first = desk.add(FakeGate())
    record(first, 6, NOW - 60 * DAY)
    clock.at = NOW - 20 * DAY
    desk.send(first)
    second = first.fork("E2", after=0)
    record(second, 9, clock.at)
    desk.send(second)
    clock.at = NOW
    pruned(desk)
    assert (seqs(desk, first), seqs(desk, second)) == ([], list(range(1, 10)))


def test_what_is_broken_stays(desk: Desk, north: FakeGate) -> None:
    """From a break on nothing goes: somebody has to look at it."""
    with desk.store.database.transaction() as connection:
        connection.execute(update(event).where(event.c.seq == 4).values(line=b"{}"))
    plan = pruned(desk)
    assert (plan.chains[0].events, plan.chains[0].broken) == (3, 4)
    assert desk.count() == 12
    assert north.last == 15


def test_quarantine_and_alarms_have_their_own_ages(desk: Desk, north: FakeGate, clock: Clock) -> None:
    """An open alarm stays; one that was seen to long ago goes, and so does an old batch in quarantine."""
    for days in (60, 39):
        clock.at = NOW - days * DAY
        other = FakeGate(key=north.key, epoch="E1").passages(days)
        desk.send(north, other.batch(1, min(days, 12)))
    with desk.store.database.transaction() as connection:
        for days in (60, 49):
            alarms.of_site(connection, alarms.UNSIGNED, f"{days}", NOW - days * DAY)
        connection.execute(update(alarm).where(alarm.c.kind == alarms.UNSIGNED).values(acknowledged=alarm.c.last_seen))
    clock.at = NOW
    plan = pruned(desk)
    assert (plan.quarantine, plan.alarms) == (1, 1)
    with desk.store.reading() as connection:
        assert [row.text for row in reading.alarms(connection, everything=True) if row.name is None] == ["49"]
        assert [row.kind for row in reading.alarms(connection)] == ["apart"]
        connection.execute(select(quarantine.c.id)).one()
    clock.at = NOW + 2 * DAY
    assert pruned(desk).quarantine == 1


@pytest.mark.parametrize("seed", range(8))
def test_random_histories(store: Store, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks that share events, holes, copies, at any time: no chain ever breaks, and what is held is whole."""
    monkeypatch.setattr(prune, "STEP_EVENTS", 2)
    rand, clock = random.Random(seed), Clock()
    desk = Desk(store, clock)
    journals = [desk.add(FakeGate())]

    def something(_: float = 0) -> None:
        clock.at += rand.choice((1.0, 1.0, DAY, 5 * DAY))
        if rand.random() < 0.2:
            of = rand.choice(journals)
            new = of.fork(f"E{len(journals) + 1}", rand.randint(of.first - 1, of.last))
            for line in of.lines[new.first - of.first :][: rand.randint(0, 8)]:
                new.record_raw(b"{" + line.partition(b",")[2])
            journals.append(new)
        journal = rand.choice(journals)
        record(journal, rand.randint(0, 6), clock.at)
        if journal.last >= journal.first:
            first = rand.randint(journal.first, journal.last)
            desk.send(journal, journal.batch(first, rand.randint(first, journal.last)))

    for _ in range(80):
        something()
        if rand.random() < 0.2:
            pruned(desk, something if rand.random() < 0.7 else lambda _: None)
            assert verify(desk) == 0
    with store.reading() as connection:
        heads = {head.epoch: head for head in reading.heads(connection)}
    for journal in journals:
        if (head := heads.get(journal.epoch)) is not None:
            chain = [item for item in desk.chain(journal) if isinstance(item, Event)]
            assert [item.seq for item in chain] == list(range(head.seq - len(chain) + 1, head.seq + 1))
            assert all(item.line == journal.lines[item.seq - journal.first] for item in chain)
            gone = journal.lines[: head.seq - len(chain) - journal.first + 1]
            assert all((facts(line).at or NOW) < clock.at - KEEP.events * DAY for line in gone)
    clock.at += 365 * DAY
    pruned(desk)
    pruned(desk)
    assert desk.count() == 0
    assert verify(desk) == 0
