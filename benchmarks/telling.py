"""How soon and how fast the center knows: one event on an idle line, a backlog of a million, a hundred gates at once.

    python -m benchmarks.telling [latency|backlog|gates|district]

Gates, broker (mosquitto) and center are processes of their own on this machine; the center's CPU time an event is
given beside the rates, since the cores are shared.
"""

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import aiomqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks import box
from benchmarks.idle import cpu_seconds, resident
from benchmarks.latency import append, percentile
from center.records.store import Store
from gated.recording.store import FILE_NAME
from gated.recording.store import Store as Journal
from protocol import topics
from protocol.enrolment import vouch
from protocol.event import ClockQuality, Kind, Stamp, body
from protocol.message import Ack
from protocol.signature import public_bytes
from tests.chain import FakeGate
from tests.community import SITE, Community
from tests.gatepost import tags
from tests.postgres import Postgres

PASSAGES: Final = 200
RHYTHM_S: Final = 0.1
BACKLOG: Final = 1_000_000
GATES: Final = 100
GATE_EVENTS: Final = 2_000
BATCH: Final = 100
DISTRICT_GATES: Final = 2_300
DISTRICT_S: Final = 20.0
EACH_S: Final = 2.0
CONNECTIONS: Final = 8
UNDER_WAY: Final = 4
_WAIT_S: Final = 600.0
_GRANTED_S: Final = 10.0
_CHUNK: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Events a second, the center's CPU seconds an event, and its memory at the end in bytes."""

    events: float
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class District:
    """Seconds from a batch's leaving to its answer, and what the center took."""

    lags: list[float]
    cpu: float
    memory: int


def main(words: list[str]) -> None:
    """Measure and print."""
    which = words or ["latency", "backlog", "gates", "district"]
    if "latency" in which:
        told, raw, memory = asyncio.run(latency())
        one, other = percentile(told, 0.5), percentile(raw, 0.5)
        print(f"durable at gate → answer heard: p50 {one * 1e3:.2f} ms, {one / other:.1f} times two raw fdatasyncs")
        print(f"gate's memory with the line: {memory / 1e6:.1f} MB")
    if "backlog" in which:
        print(_said("backlog, SQLite", asyncio.run(backlog())))
    if "gates" in which:
        print(_said(f"{GATES} gates, SQLite", asyncio.run(gates())))
        with Postgres() as server:
            print(_said(f"{GATES} gates, PostgreSQL, two workers", asyncio.run(gates(server.new_database(), 2))))
    if "district" in which:
        with Postgres() as server:
            found = asyncio.run(district(server.new_database()))
        p99 = percentile(found.lags, 0.99)
        print(f"{DISTRICT_GATES} gates: lag p50 {percentile(found.lags, 0.5) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms,")
        print(f"  center {found.memory / 1e6:.0f} MB, {found.cpu * 1e6:.0f} µs of CPU an event")


def _said(what: str, rate: Rate) -> str:
    took = f"center {rate.cpu * 1e6:.0f} µs of CPU an event, {rate.memory / 1e6:.0f} MB"
    return f"{what}: {rate.events:,.0f} events/s, {took}"


async def latency(folder: Path | None = None, count: int = PASSAGES) -> tuple[list[float], list[float], int]:
    """Seconds from the order to open to the center's answer, two raw appends taken in turn, and the gate's memory.

    When the barrier is told to open, the event is durable; when the answer is heard, it is at the center as well.
    """
    listed = list(islice(tags("0A"), count + 5))
    told: list[float] = []
    raw: list[float] = []
    async with _community(folder) as community, _answers(community) as answers:
        post = await community.add("north", [f"em:{tag}" for tag in listed])
        post.python = box.python()
        await community.start_center()
        await post.start()
        await community.agreed()
        handle = os.open(community.folder / "raw", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        ordered: list[float] = []
        post.board.on_order = lambda: ordered.append(time.monotonic())
        for number, tag in enumerate(listed):
            raw.append(append(handle) + append(handle))
            before = len(answers)
            post.walk_in(tag)
            await post.until(partial(_as_many, ordered, number + 1), "the order")
            await post.until(partial(_as_many, answers, before + 1), "the answer")
            told.append(answers[before][0] - ordered[number])
            await asyncio.sleep(RHYTHM_S)
        os.close(handle)
        status = await post.status()
        return told[5:], raw[5:], resident(status["pid"])


async def backlog(folder: Path | None = None, count: int = BACKLOG) -> Rate:
    """A gate that was long without a center tells it everything."""
    async with _community(folder) as community, _answers(community) as answers:
        post = await community.add("north")
        await community.start_center()
        await post.start()
        await community.agreed()
        await post.stop()
        await community.until(lambda: bool(answers), "the gate is known")
        with closing(Journal(post.state / FILE_NAME)) as journal:
            _fill(journal, count)
            target = journal.seq
        (center,) = community.centers
        cpu, began = cpu_seconds(center.pid), len(answers)
        await post.start(ready=False)
        await _until(lambda: answers[-1][1].seq >= target)
        first, last = answers[began], answers[-1]
        events = last[1].seq - first[1].seq
        return Rate(events / (last[0] - first[0]), (cpu_seconds(center.pid) - cpu) / count, resident(center.pid))


async def gates(database: str | None = None, workers: int = 1, folder: Path | None = None) -> Rate:
    """A hundred gates tell what they have, all at once; their batches are made beforehand."""
    fakes = [FakeGate(name=f"gate-{number}", site=SITE).passages(GATE_EVENTS) for number in range(GATES)]
    made = {fake.name: list(fake.batches(BATCH)) for fake in fakes}
    async with _community(folder, database, workers) as community, _answers(community) as answers:
        _enrol(community, fakes)
        await _start(community, workers)
        centers = [process.pid for process in community.centers]
        cpu = sum(map(cpu_seconds, centers))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                lane = [(fake, made[fake.name]) for fake in fakes[number::CONNECTIONS]]
                group.create_task(_publish(community.broker.port, lane, answers))
        await _until(lambda: len(_done(answers, GATE_EVENTS)) == GATES)
        took, events = time.monotonic() - began, GATES * GATE_EVENTS
        spent = sum(map(cpu_seconds, centers)) - cpu
        return Rate(events / took, spent / events, sum(map(resident, centers)))


async def district(database: str, folder: Path | None = None, seconds: float = DISTRICT_S) -> District:
    """All gates of a district on one center: each has a passage now and then, and is answered."""
    fakes = [FakeGate(name=f"gate-{number}", site=SITE) for number in range(DISTRICT_GATES)]
    sent: dict[tuple[str, int], float] = {}
    async with _community(folder, database, 2) as community, _answers(community) as answers:
        _enrol(community, fakes)
        await _start(community, 2)
        centers = [process.pid for process in community.centers]
        cpu = sum(map(cpu_seconds, centers))
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(_passages(community.broker.port, fakes[number::CONNECTIONS], sent, end))
        await asyncio.sleep(1)
        lags = [at - sent[gate, ack.seq] for at, ack, gate in answers if (gate, ack.seq) in sent]
        spent = sum(map(cpu_seconds, centers)) - cpu
        return District(lags, spent / max(len(sent), 1), sum(map(resident, centers)))


@asynccontextmanager
async def _community(folder: Path | None, database: str | None = None, workers: int = 1) -> AsyncIterator[Community]:
    with tempfile.TemporaryDirectory(prefix="telling-", dir=folder) as name:
        async with Community(Path(name), names=(), database=database, workers=workers > 1) as community:
            yield community


Answers = list[tuple[float, Ack, str]]


@asynccontextmanager
async def _answers(community: Community) -> AsyncIterator[Answers]:
    """The center's answers to all gates, as they come, with the time: in a thread that does nothing else."""
    heard: Answers = []
    granted = threading.Event()

    def hear(_client: Client, _data: object, message: MQTTMessage) -> None:
        heard.append((time.monotonic(), Ack.from_bytes(bytes(message.payload)), message.topic.split("/")[4]))

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = hear
    client.on_subscribe = lambda *_: granted.set()
    client.connect("127.0.0.1", community.broker.port)
    client.loop_start()
    try:
        client.subscribe(topics.ack(SITE, "+"), qos=1)
        if not await asyncio.to_thread(granted.wait, _GRANTED_S):
            raise TimeoutError("the broker grants no subscription")
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def _enrol(community: Community, fakes: Sequence[FakeGate]) -> None:
    with closing(Store.open(community.database, SITE)) as store:
        for fake in fakes:
            one_time, now = Ed25519PrivateKey.generate(), time.time()
            store.add_gate(fake.name, public_bytes(one_time), now + 60, now)
            voucher = vouch(one_time, site=SITE, gate=fake.name, key=fake.public, seal=fake.seal)
            if not store.vouch(fake.name, fake.public, fake.seal, voucher, now):
                raise RuntimeError(f"{fake.name} is not enrolled")


async def _start(community: Community, workers: int) -> None:
    for _ in range(workers):
        await community.start_center()
    await community.until(lambda: community.last_words().count("ingest.started") >= workers, "the workers are at work")


async def _publish(port: int, made: list[tuple[FakeGate, list[bytes]]], answers: Answers) -> None:
    """As gates do: each with a few batches under way, and all of them again after what the center lacks."""
    held = {fake.name: 0 for fake, _ in made}
    count = len(made[0][1])
    read = sent = 0
    async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.TaskGroup() as group:
        client.pending_calls_threshold = 1000
        while min(held.values()) < count * BATCH:
            wanted: dict[str, int] = {}
            for _, ack, gate in answers[read:]:
                if gate in held:
                    held[gate] = max(held[gate], ack.seq)
                    if ack.want:
                        wanted[gate] = ack.seq
            read = len(answers)
            for fake, batches in made:
                again = batches[wanted[fake.name] // BATCH : sent] if fake.name in wanted else []
                for batch in again:
                    group.create_task(client.publish(fake.topic, batch, qos=1))
            if sent < count and sent * BATCH - min(held.values()) <= UNDER_WAY * BATCH:
                for fake, batches in made:
                    group.create_task(client.publish(fake.topic, batches[sent], qos=1))
                sent += 1
            else:
                await asyncio.sleep(0.001)


async def _passages(port: int, fakes: list[FakeGate], sent: dict[tuple[str, int], float], end: float) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.TaskGroup() as group:
        client.pending_calls_threshold = 10_000
        start, pause = time.monotonic(), EACH_S / len(fakes)
        for number in _forever():
            at = start + number * pause
            if at >= end:
                return
            if (wait := at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            fake = fakes[number % len(fakes)]
            seq = fake.passage()
            payload = fake.batch(seq, seq)
            sent[fake.name, seq] = time.monotonic()
            group.create_task(client.publish(fake.topic, payload, qos=1))


def _as_many(of: Sequence[object], count: int) -> bool:
    return len(of) >= count


def _forever() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _done(answers: Answers, seq: int) -> set[str]:
    return {gate for _, ack, gate in answers if ack.seq >= seq}


async def _until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(_WAIT_S):
        while not predicate():  # noqa: ASYNC110 - other processes, which set no Event
            await asyncio.sleep(0.02)


def _fill(journal: Journal, count: int) -> None:
    fields = {"lane": "walk-in", "direction": "in", "verdict": "admit", "reason": "listed", "list": "local:0"}
    start = time.time()
    for chunk in range(0, count, _CHUNK):
        rests = []
        for number in range(chunk, min(chunk + _CHUNK, count)):
            stamp = Stamp("2026-11-24T08:15:02.113+08:00", ClockQuality.SYNCED, "bench", float(number))
            tag = {"credential": f"em:{number:010X}", "holder": f"h{number}", "reader": "walk-in/0"}
            rests.append(body(Kind.PASSAGE, stamp, {**fields, **tag}))
        journal.commit(rests)
    print(f"{count:,} events recorded in {time.time() - start:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
