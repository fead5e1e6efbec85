"""An ingest worker between a real broker and a real database: what it says is stored, and stored once."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event as sqlalchemy_event
from structlog.testing import capture_logs

from center.broker import Account, connected
from center.intake.worker import Settings, Worker
from center.records import reading
from center.records.facts import Facts, facts
from center.records.store import Store
from protocol import topics
from protocol.enrolment import vouch
from protocol.repository import encode
from tests.broker import Mosquitto
from tests.chain import SITE, FakeGate
from tests.desk import Desk
from tests.ear import WAIT_S, ear
from tests.postgres import Postgres

KEY = Ed25519PrivateKey.generate()
CENTER = KEY.public_key()
Opened = Callable[[], Store]
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def working(
    broker: Mosquitto,
    opened: Callable[[], Store],
    *,
    shared: bool = False,
    reread: Callable[[], Ed25519PrivateKey | None] = lambda: None,
) -> AsyncIterator[Worker]:
    """A worker that is at work: connected, and with its store open."""
    settings = Settings(SITE, Account(broker.url), KEY, shared=shared, reread=reread)
    worker = Worker(settings, opened, structlog.get_logger())
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        await until(lambda: (worker._link is not None and worker._keys != {}) or task.done())
        yield worker
    finally:
        stop.set()
        await task


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - conditions of others have no event
            await asyncio.sleep(0.005)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def desk(store: Store) -> Desk:
    """The same database, seen from beside the worker."""
    return Desk(store)


@pytest.fixture
def north(desk: Desk) -> FakeGate:
    """A gate that the site has."""
    return desk.add(FakeGate().passages(10))


@pytest.fixture
def opened(url: str) -> Opened:
    """Opens the store, in the worker's thread."""
    return lambda: Store.open(url, SITE)


async def test_a_batch_is_answered_after_its_commit(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened
) -> None:
    """The answer is signed, retained, and says the head that the database then has."""
    async with working(broker, opened), ear(broker, north, CENTER) as gate:
        await gate.send()
        ack = await gate.answer(10)
        assert ack.hash == north.hash(10).hex()
        assert desk.lines(north) == north.lines
    async with ear(broker, north, CENTER) as later:
        assert await later.answer(10) == ack


async def test_what_is_not_a_gates_own_gets_no_answer(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened
) -> None:
    """Another's signature, a flipped byte, a gate that nobody knows, no batch at all: silence, and work goes on."""
    stranger = FakeGate(name="south").passages(1)
    async with working(broker, opened), ear(broker, north, CENTER) as gate, ear(broker, stranger, CENTER) as south:
        forged = FakeGate().passages(3).batch()
        flipped = bytearray(north.batch(1, 2))
        flipped[-5] ^= 1
        for payload in (forged, bytes(flipped), b"", b"{}", b"\xff" * 100, north.status(1)):
            await gate.send(payload)
        await south.send()
        await gate.send(north.batch(1, 5))
        await gate.answer(5)
        assert [ack.seq for ack in gate.heard] == [5]
        assert south.heard == []
        assert desk.count() == 5


async def test_a_removed_gate_that_goes_on_is_an_alarm(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for the gate, with how many batches came, written now and then; none of a stranger, of one not set up yet."""
    monkeypatch.setattr("center.intake.worker.WATCH_S", 0.05)
    written: list[dict[str, int]] = []
    note = Store.note_removed

    def noted(self: Store, refused: Mapping[str, int], now: float) -> None:
        written.append(dict(refused))
        note(self, refused, now)

    monkeypatch.setattr(Store, "note_removed", noted)
    gone, south, stranger = (FakeGate(name=name).passages(1) for name in ("gone", "south", "stranger"))
    desk.add(gone)
    desk.store.shut_out("gone", time.time())
    desk.store.add_gate("south", bytes(32), time.time() + 100, time.time())
    async with working(broker, opened), ear(broker, north, CENTER) as gate:
        for fake in (gone, south, stranger):
            for _ in range(200):
                await gate.link.publish(fake.topic, fake.batch())
        await gate.send()
        await gate.answer(10)
        await until(lambda: desk.alarms() == [("removed", 200)])
        await until(lambda: sum(counts.get("south", 0) for counts in written) == 200)
    with desk.store.reading() as connection:
        assert [row.name for row in reading.alarms(connection)] == ["gone"]
    assert {name for counts in written for name in counts} == {"gone", "south"}
    assert len(written) < 100


@pytest.mark.usefixtures("north")
async def test_a_gate_brings_its_own_keys(broker: Mosquitto, desk: Desk, opened: Opened) -> None:
    """A new gate's first status, vouched for by its one-time key, is all it takes to be believed from then on."""
    one_time = Ed25519PrivateKey.generate()
    south = FakeGate(name="south").passages(4)
    desk.store.add_gate("south", one_time.public_key().public_bytes_raw(), time.time() + 100, time.time())
    voucher = vouch(one_time, site="shenhang", gate="south", key=south.public, seal=south.seal)
    async with working(broker, opened), ear(broker, south, CENTER) as gate:
        keys: dict[str, Any] = {"key": south.public.hex(), "seal": south.seal.hex(), "voucher": voucher}
        await gate.say(south.status(1, **keys))
        await until(lambda: desk.store.keys("south"))
        await gate.send()
        await gate.answer(4)
    assert desk.lines(south) == south.lines
    with desk.store.reading() as connection:
        assert [(row.name, row.online) for row in reading.gates(connection)] == [("north", None), ("south", True)]


async def test_a_gate_is_shut_out(broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened) -> None:
    """From that moment on nothing of it counts at a worker that runs; what it had sent can still be read."""
    south = desk.add(FakeGate(name="south").passages(1))
    async with working(broker, opened), ear(broker, north, CENTER) as gate, ear(broker, south, CENTER) as other:
        await gate.say(north.status(1))
        await gate.send(north.batch(1, 2))
        await gate.answer(2)
        desk.store.shut_out("north", time.time())
        await gate.say(north.status(2))
        await gate.send(north.batch(1, 5))
        await other.send()
        await other.answer(1)
        assert [ack.seq for ack in gate.heard] == [2]
    assert desk.lines(north) == north.lines[:2]
    assert desk.store.keys("north") == ()
    with desk.store.reading() as connection:
        assert [row.online for row in reading.gates(connection) if row.name == "north"] == [None]
    assert desk.alarms() == []


@pytest.mark.usefixtures("north")
async def test_the_centers_key_is_another(
    broker: Mosquitto, desk: Desk, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that runs takes it as soon as its file has it; while that cannot be read, the one before goes on."""
    monkeypatch.setattr("center.intake.worker.OWN_KEY_S", 0.01)
    now: list[Ed25519PrivateKey | None] = [None]
    asked: list[object] = []
    south, new = desk.add(FakeGate(name="south").passages(2)), Ed25519PrivateKey.generate()

    def reread() -> Ed25519PrivateKey | None:
        asked.append(now[0])
        return now[0]

    async with working(broker, opened, reread=reread):
        await until(lambda: asked)
        async with ear(broker, south, CENTER) as gate:
            await gate.send(south.batch(1, 1))
            await gate.answer(1)
        now[0] = new
        await until(lambda: asked.count(new) > 1)
        await gate_clears(broker, south)
        async with ear(broker, south, new.public_key()) as gate:
            await gate.send()
            await gate.answer(2)


async def gate_clears(broker: Mosquitto, fake: FakeGate) -> None:
    """The broker forgets the answer that it has kept for a gate."""
    async with connected(Account(broker.url), []) as link:
        await link.publish(topics.ack(SITE, fake.name), b"", retain=True)


async def test_a_batch_that_cannot_be_stored_stops_nobody(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one batch, it is set apart with an alarm, and the others of its group are stored."""
    bad = desk.add(FakeGate(name="bad"))
    bad.record_raw(b'{"kind":"poison"}')

    def trip(line: bytes) -> Facts:
        if b"poison" in line:
            raise ZeroDivisionError("a bug of ours")
        return facts(line)

    monkeypatch.setattr("center.records.ledger.facts", trip)
    async with working(broker, opened), ear(broker, north, CENTER) as gate:
        await gate.link.publish(bad.topic, bad.batch())
        await gate.send()
        await gate.answer(10)
        await until(lambda: desk.alarms() == [("apart", 1)])
    with desk.store.reading() as connection:
        [kept] = reading.quarantined(connection)
    assert (kept.name, kept.reason) == ("bad", "it cannot be stored: a bug of ours")


async def test_the_broker_goes_and_comes_back(broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened) -> None:
    """Killed, with all that it retained: the worker connects again by itself, and takes up its work."""
    async with working(broker, opened) as worker:
        async with ear(broker, north, CENTER) as gate:
            await gate.send(north.batch(1, 5))
            await gate.answer(5)
            await asyncio.to_thread(broker.kill)
            broker.forget()
        await until(lambda: worker._link is None)
        await asyncio.to_thread(broker.start)
        await until(lambda: worker._link is not None)
        async with ear(broker, north, CENTER) as gate:
            await gate.send()
            await gate.answer(10)
    assert desk.lines(north) == north.lines


async def test_postgresql_goes_and_comes_back(broker: Mosquitto) -> None:
    """While the database is away nothing is answered; when it is back, what had arrived is stored and answered."""
    with Postgres() as cluster:
        url = cluster.new_database()
        store = Store.open(url, SITE)
        north = Desk(store).add(FakeGate().passages(10))
        store.close()
        async with working(broker, lambda: Store.open(url, SITE)) as worker, ear(broker, north, CENTER) as gate:
            await gate.send(north.batch(1, 5))
            await gate.answer(5)
            await asyncio.to_thread(cluster.stop)
            await gate.send(north.batch(6, 10))
            await until(lambda: worker._writer._away)
            async with ear(broker, north, CENTER) as later:
                await later.answer(5)
                assert [ack.seq for ack in later.heard] == [5]
            await asyncio.to_thread(cluster.start)
            await gate.answer(10)
        store = Store.open(url, SITE)
        assert Desk(store).lines(north) == north.lines
        store.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_another_process_writes_for_long(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that holds SQLite's lock delays the answer, and costs nothing else."""
    monkeypatch.setattr("center.records.database.TURN_S", 0.1)
    async with working(broker, opened) as worker, ear(broker, north, CENTER) as gate:
        held = os.open(f"{desk.store.database.path}.lock", os.O_RDWR)
        fcntl.flock(held, fcntl.LOCK_EX)
        await gate.send()
        await until(lambda: worker._writer._away)
        assert gate.heard == []
        os.close(held)
        await gate.answer(10)
    assert desk.lines(north) == north.lines


async def test_a_list_that_is_not_signed_again_is_an_alarm(
    broker: Mosquitto, desk: Desk, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, however many workers look and are started; it ends when somebody has signed."""
    monkeypatch.setattr("center.intake.worker.WATCH_S", 0.02)
    desk.add(FakeGate())
    topic = topics.repository(SITE)

    def rows() -> list[tuple[str | None, str, int, bool]]:
        with desk.store.reading() as connection:
            return [(row.name, row.kind, row.times, row.ended is not None) for row in reading.alarms(connection)]

    async with connected(Account(broker.url), ()) as link:
        await link.publish(topic, _signed(hours=2), retain=True)
        async with working(broker, opened) as worker:
            await until(lambda: worker._overdue == "")
            assert rows() == []
            await link.publish(topic, _signed(hours=4), retain=True)
            await until(rows)
        async with working(broker, opened) as first, working(broker, opened) as second:
            await until(lambda: first._overdue and second._overdue)
            assert rows() == [(None, "overdue", 1, False)]
            for hostile in HOSTILE:
                await link.publish(topic, hostile, retain=True)
            await link.publish(topic, b"", retain=True)
            await link.publish(topic, _signed(hours=0), retain=True)
            await until(lambda: first._overdue == second._overdue == "")
        assert rows() == [(None, "overdue", 1, True)]


HOSTILE = (
    b"x",
    b"{}",
    b'{"timestamp.json":"{}"}',
    *(
        encode({"timestamp.json": b'{"signed":{"expires":%s,"meta":{"snapshot.json":{"version":1}}}}' % expires})
        for expires in (b"1", b'"soon"', b'"0001-01-01T00:00:00+14:00"')
    ),
)


def _signed(*, hours: float) -> bytes:
    """What is at the broker of a list whose date was signed so long ago."""
    until = datetime.now(UTC) + timedelta(days=1, hours=-hours)
    date = {"signed": {"expires": f"{until:%Y-%m-%dT%H:%M:%SZ}", "meta": {"snapshot.json": {"version": 1}}}}
    return encode({"timestamp.json": json.dumps(date).encode()})


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_gate_that_floods_costs_itself_only(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is more than fits, only its own is dropped: logged once, counted by an alarm; others are answered."""
    monkeypatch.setattr("center.intake.worker.INBOX_MAX_BYTES", 100_000)
    monkeypatch.setattr("center.intake.worker.WATCH_S", 0.05)
    monkeypatch.setattr("center.records.database.TURN_S", 0.1)
    south = desk.add(FakeGate(name="south").passages(3))
    with capture_logs() as said:
        async with working(broker, opened) as worker, ear(broker, north, CENTER) as gate:
            held = os.open(f"{desk.store.database.path}.lock", os.O_RDWR)
            fcntl.flock(held, fcntl.LOCK_EX)
            for _ in range(300):
                await gate.link.publish(south.topic, south.batch())
            await until(lambda: worker._inbox.dropped["south"])
            await gate.send(*north.batches(2))
            for _ in range(300):
                await gate.link.publish(south.topic, south.batch())
            os.close(held)
            await gate.answer(10)
            await until(lambda: not worker._inbox.dropped)
    with desk.store.reading() as connection:
        [alarm] = [row for row in reading.alarms(connection) if row.kind == "flooding"]
    [count] = [line["messages"]["south"] for line in said if line["event"] == "ingest.dropped"]
    assert alarm.text.startswith(f"{count:,} messages")
    assert (alarm.name, count > 400) == ("south", True)
    assert [line["gate"] for line in said if line["event"] == "ingest.inbox-full"] == ["south"]
    assert desk.lines(north) == north.lines


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_the_disk_is_full_and_has_room_again(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened
) -> None:
    """A full disk: no answer, nothing half written; with room again, all that had arrived is stored."""
    pages = 10_000

    def limit(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def opened_limited() -> Store:
        store = opened()
        sqlalchemy_event.listen(store.database._engine, "connect", limit)
        store.database._drop()
        return store

    with desk.store.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 4
    north.passages(495)
    async with working(broker, opened_limited) as worker, ear(broker, north, CENTER) as gate:
        await gate.send(north.batch(1, 5))
        await gate.answer(5)
        await gate.send(*[north.batch(first, first + 24) for first in range(6, 506, 25)])
        await until(lambda: worker._writer._away)
        before = desk.count()
        assert before < 505
        await gate.answer(before)
        assert max(ack.seq for ack in gate.heard) == before
        pages = 10_000
        await gate.answer(505)
    assert desk.lines(north) == north.lines


async def test_two_workers_share_what_arrives(broker: Mosquitto, postgres: Postgres) -> None:
    """Batches that reach two workers in any order are all stored, none waits for much more than a second."""
    url = postgres.new_database()

    def opened() -> Store:
        return Store.open(url, SITE)

    store = opened()
    desk = Desk(store)
    north = desk.add(FakeGate().passages(4000))
    async with (
        working(broker, opened, shared=True),
        working(broker, opened, shared=True),
        ear(broker, north, CENTER) as gate,
    ):
        batches = list(north.batches(20))
        started = time.monotonic()
        acked = 0
        while acked < len(batches):
            await gate.send(*batches[acked : acked + 8])
            await gate.answer(min((acked + 8) * 20, 4000))
            acked += 8
        gate.times.insert(0, started)
    pauses = [after - before for before, after in zip(gate.times, gate.times[1:], strict=False)]
    print(f"4,000 events in {gate.times[-1] - started:.2f} s, longest pause {max(pauses):.2f} s")  # noqa: T201
    assert max(pauses) < 2
    assert desk.lines(north) == north.lines
    store.close()


async def test_a_batch_that_comes_early_waits_for_the_one_before(
    broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened
) -> None:
    """Within a second it is stored without being sent again; after it, the rest is wanted. Others do not wait."""
    south = desk.add(FakeGate(name="south").passages(3))
    async with working(broker, opened), ear(broker, north, CENTER) as gate, ear(broker, south, CENTER) as other:
        await gate.send(north.batch(6, 8))
        await other.send()
        await other.answer(3)
        await gate.send(north.batch(1, 5))
        await gate.answer(8)
        assert not any(ack.want for ack in gate.heard)
        north.passages(5)
        await gate.send(north.batch(12, 15))
        started = time.monotonic()
        await gate.answer(8, want=True)
        assert 0.5 < time.monotonic() - started < 3


async def test_killed_between_commit_and_answer(
    broker: Mosquitto, desk: Desk, north: FakeGate, url: str, opened: Opened
) -> None:
    """A worker that is killed after its commit has said nothing; the gate sends again, and nothing is there twice."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.center.intake.killed_worker", broker.url, url, cwd=ROOT
    )
    async with ear(broker, north, CENTER) as gate:
        for _ in range(100):
            await gate.send(north.batch(1, 6))
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 0.2)
            if process.returncode is not None:
                break
        assert process.returncode == -signal.SIGKILL
        assert gate.heard == []
        assert desk.count() == 6
        async with working(broker, opened):
            await gate.send()
            await gate.answer(10)
    assert desk.count() == 10
    assert desk.lines(north) == north.lines


async def test_an_old_status_does_not_count(broker: Mosquitto, desk: Desk, north: FakeGate, opened: Opened) -> None:
    """A replayed status and a will of an earlier connection change nothing; the latest will does, with an alarm."""

    def online() -> Any:
        with desk.store.reading() as connection:
            return next(row.online for row in reading.gates(connection))

    async with working(broker, opened), ear(broker, north, CENTER) as gate:
        await gate.say(north.status(1))
        await gate.say(north.status(5, connection=2))
        await until(online)
        await gate.say(north.offline(1))
        await gate.say(north.status(4, connection=1))
        await gate.send(north.batch(1, 1))
        await gate.answer(1)
        assert online()
        await gate.say(north.offline(2))
        await until(lambda: not online())
        assert desk.alarms() == [("silent", 1)]
        await gate.say(north.status(6, connection=3))
        await until(online)
        with desk.store.reading() as connection:
            assert [row.ended is not None for row in reading.alarms(connection)] == [True]
