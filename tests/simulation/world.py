"""Gates, a broker and a center in simulated time: the machines are the real ones, everything around them is here.

One seed is one run. Faults come from the seed until `FAULTS_S`; then they stop, and everything must arrive. What must
never be is checked at each step (`Broken`): what the center holds of an epoch is a prefix of what was ever durable in
it, hash for hash; nothing is there twice; nothing is acknowledged that is not stored. What a gate
prunes the center holds, what either prunes is old, and what the center keeps still proves itself; what it has pruned
counts as held.

Now and then days pass at once: all clocks but the order of things move on, as if nothing had happened in between.
"""

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from math import inf
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidSignature

from center.config import Keep
from center.intake.batches import Answer, Arrival, Intake
from center.intake.ingest import Outcome, ingest
from center.records.prune import Turns
from gated.clock import Remembered, Timekeeper
from gated.config import JournalConfig
from gated.talking.uplink import Acknowledge, Act, BeginEpoch, Head, Publish, Read, Rewind, Uplink, Us
from protocol import topics
from protocol.event import ClockQuality, Kind, body
from protocol.signature import signed, verified
from tests.simulation.clocks import Clocks
from tests.simulation.disk import Disk
from tests.simulation.records import Records
from tests.simulation.timeline import Broken, Timeline

SITE: Final = "shenhang"
FAULTS_S: Final = 60.0
SETTLE_S: Final = 900.0
BATCH_EVENTS: Final = 3
AWAY_S: Final = 2.0
AGAIN_S: Final = 0.15
"""A worker looks again at what came early: less often than a real one, since each look costs what a message costs."""
DAY_S: Final = 86400.0
KEEP_S: Final = JournalConfig().keep_days * DAY_S
PRUNE_EVENTS: Final = 3
OFF_S: Final = 2 * DAY_S
"""How far the center's clock is ever off, to and fro."""
_EPOCH_S: Final = 1_790_000_000.0


class Key:
    """Signs as a real key does, at a hundredth of the cost: the simulation is not about cryptography."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return hashlib.sha512(self._secret + data).digest()

    def verify(self, signature: bytes, data: bytes) -> None:
        """Raise InvalidSignature where it is not ours."""
        if signature != self.sign(data):
            raise InvalidSignature


@dataclass(frozen=True)
class Rates:
    """How often faults happen: chances a message, and mean seconds between the others (0: never)."""

    lost: float
    doubled: float
    slow: float
    gate_crash_s: float
    center_crash_s: float
    unlink_s: float
    disk_s: float
    restore_s: float
    broker_s: float
    days_s: float
    clock_s: float
    prune_s: float
    trouble: float
    leaps: tuple[float, ...] = (0.5, 1, 2, 3, 8, 40, 100)
    """How many days may pass at once."""


def rates(rand: random.Random) -> Rates:
    """A seed's own mix: half of all kinds do not occur in a run, so that each is seen with and without the others."""

    def some(value: float) -> float:
        return value * rand.uniform(0.3, 1.5) if rand.random() < 0.5 else 0.0

    found = Rates(
        lost=some(0.15),
        doubled=some(0.15),
        slow=some(0.3),
        gate_crash_s=some(12),
        center_crash_s=some(12),
        unlink_s=some(10),
        disk_s=some(25),
        restore_s=some(30),
        broker_s=some(30),
        days_s=some(6),
        clock_s=some(20),
        prune_s=some(5),
        trouble=some(0.05),
    )
    # What befalls what has gone in part: rare, unless days pass one by one and disks are put back often.
    return replace(found, days_s=3.0, prune_s=3.0, disk_s=6.0, leaps=(1, 2, 3)) if rand.random() < 0.2 else found


@dataclass(frozen=True, slots=True)
class Born:
    """An event as it became durable: its seq, the hash before it, and when, if the gate's clock was set and right."""

    seq: int
    before: bytes
    at: float | None


class World(Timeline):
    """One run. The parts made by `make_…`, and `judge`, are the real ones unless a test plants a bug."""

    def __init__(self, seed: int, gates: int = 2, workers: int = 2) -> None:
        super().__init__(f"sync/{seed}")
        self.rates = rates(self.rand)
        self.messages = 0
        self._bound = 0
        self.wall_step = 0.0
        self._days_s = 0.0
        self.keep = Keep(events=self.rand.choice((7, 7, 30, 180)))
        self.ever: dict[bytes, Born] = {}
        self.broker = Broker(self)
        self.center = self.make_center(workers)
        self.gates: list[Gate] = []
        self.key = Key(b"center")
        for number in range(gates):
            self.add_gate(f"gate-{number}", f"board-{number}", Disk())

    def add_gate(self, name: str, board: str, disk: Disk) -> None:
        """One more box, started at once."""
        gate = self.make_gate(name, board, disk)
        self.gates.append(gate)
        gate.start()
        self._traffic(gate)

    def make_gate(self, name: str, board: str, disk: Disk) -> "Gate":
        """A box."""
        return Gate(self, name, board, disk)

    def make_center(self, workers: int) -> "Center":
        """The center."""
        return Center(self, workers)

    def make_records(self, gate: str) -> Records:
        """What the center's database holds of one gate, at first nothing."""
        return Records(gate)

    @property
    def calendar(self) -> float:
        """What time it truly is (POSIX s)."""
        return _EPOCH_S + self._days_s + self.now

    def make_uplink(self, uplink: Uplink) -> Uplink:
        """A gate's uplink for one life."""
        return uplink

    def judge(self, arrival: Arrival, records: Records) -> Outcome:
        """The center's judgement."""
        return ingest(arrival.batch, records, arrival.received)

    def run(self) -> None:
        """The whole run. Raises Broken."""
        self._schedule_faults()
        self.until(FAULTS_S)
        self.faults = False
        for gate in self.gates:
            gate.mend()
        self.messages, self._bound = 0, 100 + 12 * sum(gate.disk.seq for gate in self.gates)
        while self.missing():
            if self.now > FAULTS_S + SETTLE_S:
                raise Broken(f"never arrives: {self.missing()}")
            self.until(self.now + 5)
        self._days_s += 1000 * DAY_S
        self.center.prune_all()

    def message(self) -> None:
        """Count a message; once the faults have stopped there is a bound on them."""
        self.messages += 1
        if self.messages > self._bound and not self.faults:
            raise Broken(f"more than {self._bound} messages since the faults have stopped; missing: {self.missing()}")

    def missing(self) -> list[str]:
        """What gates still have and the center does not hold.

        Not what it has once recorded as a gap, because the gate had pruned it, and an old image brought back.
        """
        return [
            f"{gate.name} on {gate.board}: event {seq}"
            for gate in self.gates
            for seq, event_hash in enumerate(gate.disk.hashes, gate.disk.oldest)
            if not self.center.records(gate.name).accounts_for(seq, event_hash)
        ]

    def check_age(self, who: str, event_hash: bytes, least_s: float) -> None:
        """Whether that event, which has gone, was as old as that."""
        born = self.ever[event_hash]
        if born.at is not None and self.calendar - born.at < least_s:
            raise Broken(f"{who}: event {born.seq} went when it was {(self.calendar - born.at) / DAY_S:.1f} days old")

    def _traffic(self, gate: "Gate") -> None:
        if self.faults:
            gate.record(self.rand.choice((1, 1, 1, 2, 7)))
            self.after(self.rand.expovariate(1 / 4), lambda: self._traffic(gate))

    def _schedule_faults(self) -> None:
        kinds: list[tuple[float, Callable[[], None]]] = [
            (self.rates.gate_crash_s, lambda: self._any_gate().crash()),
            (self.rates.unlink_s, lambda: self._any_gate().unlink()),
            (self.rates.disk_s, self._disk_fault),
            (self.rates.center_crash_s, self.center.crash),
            (self.rates.restore_s, self.center.backup_or_restore),
            (self.rates.broker_s, self.broker.fault),
            (self.rates.days_s, self._days_pass),
            (self.rates.clock_s, lambda: self._any_gate().clocks.fault(self.rand)),
            (self.rates.prune_s, self.center.prune),
        ]
        for every_s, do in kinds:
            self.again(every_s, do)

    def _any_gate(self) -> "Gate":
        return self.rand.choice(self.gates)

    def _disk_fault(self) -> None:
        self.wall_step = self.rand.choice((0.0, -3600.0, OFF_S / 2))
        self._any_gate().disk_fault()

    def _days_pass(self) -> None:
        """At once, or while a gate is cut off."""
        if self.rand.random() < 0.5:
            self._any_gate().unlink()
            self.after(self.rand.uniform(0, 8), self._now_days_pass)
        else:
            self._now_days_pass()

    def _now_days_pass(self) -> None:
        for gate in self.gates:
            gate.days_pass()
        self._days_s += self.rand.choice(self.rates.leaps) * DAY_S


class Broker:
    """Delivers as far as it likes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._life = 0
        self.retained: dict[str, bytes] = {}

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Take a message; it may be lost, doubled or late."""
        world = self._world
        world.message()
        if retain:
            self.retained[topic] = payload
        if world.chance(world.rates.lost):
            return
        for _ in range(2 if world.chance(world.rates.doubled) else 1):
            delay = world.rand.uniform(0.001, 0.05)
            if world.chance(world.rates.slow):
                delay = world.rand.expovariate(1 / 8)
            world.after(delay, self._delivery(topic, payload))

    def fault(self) -> None:
        """Forget what is retained, or everything under way as well."""
        self.retained.clear()
        if self._world.rand.random() < 0.5:
            self._life += 1
            for gate in self._world.gates:
                gate.unlink()

    def _delivery(self, topic: str, payload: bytes) -> Callable[[], None]:
        life = self._life

        def deliver() -> None:
            if life != self._life:
                return
            if topic.endswith("/events"):
                self._world.center.take(topic, payload)
            for gate in self._world.gates:
                if topic == topics.ack(SITE, gate.name):
                    gate.answered(payload)

        return deliver


@dataclass
class Worker:
    """One worker: its machine, the group that waits for the database, and when its next round is due."""

    intake: Intake
    held: list[Arrival] = field(default_factory=list)
    wakes: float = inf


class Center:
    """The center's workers and their one database."""

    def __init__(self, world: World, workers: int) -> None:
        self.world = world
        self._database: dict[str, Records] = {}
        self._backup: dict[str, Records] | None = None
        self._life = 0
        self._count = workers
        self._start()
        self.lost: set[bytes] = set()

    def records(self, gate: str) -> Records:
        """What the database holds of that gate."""
        if gate not in self._database:
            self._database[gate] = self.world.make_records(gate)
        return self._database[gate]

    def take(self, topic: str, payload: bytes) -> None:
        """A message reaches one of the workers."""
        worker = self.world.rand.choice(self._workers)
        worker.intake.take(topic, payload, received=self._wall(), at=self.world.now)
        if not worker.held:
            self._wake(worker, self.world.rand.uniform(0.0001, 0.01))

    def crash(self) -> None:
        """All workers end; what they have not committed, or committed and not said, is gone."""
        self._life += 1
        self._start()

    def backup_or_restore(self) -> None:
        """Copy the database, or put it back to the copy."""
        if self._backup is None or self.world.rand.random() < 0.5:
            self._backup = {name: records.copy() for name, records in self._database.items()}
            return
        before = {event for records in self._database.values() for event in records.hashes | records.gone}
        self._database = {name: records.copy() for name, records in self._backup.items()}
        after = {event for records in self._database.values() for event in records.hashes | records.gone}
        self.lost |= before - after
        self.crash()

    def prune(self) -> None:
        """What runs each night: it plans, and lets go of a little at a time, while all else goes on."""
        for records in self._database.values():
            self._let_go(records, records.planned(self.world.keep, self._wall()), self._wall())

    def _let_go(self, records: Records, turns: Turns, began: float) -> None:
        if not turns:
            return
        for row in records.let_go(turns, began):
            self.world.check_age(f"center, {records.gate}", row.hash, self.world.keep.events * DAY_S - OFF_S)
        if broken := records.broken():
            raise Broken(broken)
        delay = self.world.rand.expovariate(1)
        self.world.after(delay, self.alive(lambda: self._let_go(records, turns, began)))

    def prune_all(self) -> None:
        """All is old, and nothing else happens: everything goes."""
        for records in self._database.values():
            while records.rows:
                turns = records.planned(self.world.keep, self._wall())
                if not turns:
                    raise Broken(f"{records.gate}: {len(records.rows)} events never go")
                while turns:
                    records.let_go(turns, self._wall())

    def say(self, answer: Answer) -> None:
        """Publish an answer, as signed as the real one."""
        topic = topics.ack(SITE, answer.gate)
        key: Any = self.world.key
        self.world.broker.publish(topic, signed(topic, answer.ack.to_bytes(), key), retain=True)

    def commit(self, arrival: Arrival, outcome: Outcome) -> None:
        """Write what one batch comes to, and look whether it may be there."""
        name = arrival.gate
        self._check(arrival, outcome)
        self.records(name).write(arrival, outcome)

    def _start(self) -> None:
        def keys(gate: str) -> Any:
            return (Key(gate.encode()),)

        self._workers = [Worker(Intake(SITE, keys)) for _ in range(self._count)]

    def _wake(self, worker: Worker, delay: float) -> None:
        """Its next round begins then, unless one begins sooner."""
        at = self.world.now + delay
        if at < worker.wakes:
            worker.wakes = at
            self.world.after(delay, self.alive(lambda: self._round(worker) if worker.wakes == at else None))

    def _round(self, worker: Worker) -> None:
        """Judge and write a group; while the database is away it waits, and all that arrives waits behind it."""
        world, intake = self.world, worker.intake
        worker.wakes = inf
        worker.held = worker.held or intake.group(world.now)
        if world.chance(world.rates.trouble):
            self._wake(worker, world.rand.expovariate(1 / AWAY_S))
            return
        for arrival in worker.held:
            outcome = world.judge(arrival, self.records(arrival.gate))
            if intake.judged(arrival, outcome, world.now):
                self.commit(arrival, outcome)
        worker.held = []
        for answer in intake.answers():
            world.soon(self.alive(partial(self.say, answer)))
        if not intake.idle:
            self._wake(worker, max(intake.due(world.now), AGAIN_S))

    def alive(self, do: Callable[[], None]) -> Callable[[], None]:
        """Do it only if the center has not crashed meanwhile."""
        life = self._life
        return lambda: do() if life == self._life else None

    def _wall(self) -> float:
        return self.world.calendar + self.world.wall_step

    def _check(self, arrival: Arrival, outcome: Outcome) -> None:
        held = self.records(arrival.gate)
        header = arrival.batch.header
        head = held.epochs.get(header.epoch)
        before = head.hash if head is not None and not outcome.gap else bytes.fromhex(header.root)
        if outcome.gap and outcome.gap.last >= header.begins:
            before = bytes.fromhex(header.prev)
        for event in outcome.events:
            born = self.world.ever.get(event.hash)
            if born is None or (born.seq, born.before) != (event.seq, before):
                raise Broken(f"{arrival.gate}: event {event.seq} of {header.epoch} was never durable there")
            before = event.hash


class Gate:
    """One box: its disk outlives it, its uplink does not."""

    def __init__(self, world: World, name: str, board: str, disk: Disk) -> None:
        self.name = name
        self.board = board
        self.disk = disk
        self._world = world
        self._life = 0
        self._image: Disk | None = None
        self._link = 0
        self._uplink: Uplink | None = None
        self.clocks = Clocks(lambda: world.calendar)
        self._remembered = Remembered()
        self._keeper = self._make_keeper()

    def _make_keeper(self) -> Timekeeper:
        self.clocks.power_on(f"boot-{self._world.next_id()}")
        return Timekeeper(self.clocks, UTC, self._remembered)

    def _make_uplink(self) -> Uplink:
        mine: Any = Key(self.name.encode())
        center: Any = self._world.key
        uplink = Uplink(
            Us(SITE, self.name, self.board),
            sign=lambda topic, message: signed(topic, message, mine),
            verify=lambda topic, message: verified(topic, message, (center,)),
        )
        return self._world.make_uplink(uplink)

    def start(self) -> None:
        """Power on."""
        self._life += 1
        self._keeper = self._make_keeper()
        if not self.disk.epochs or self.disk.epoch.board != self.board:
            self._begin_epoch()
        uplink = self._uplink = self._make_uplink()
        self._do(uplink.journal(self._head(), self._now))
        self._tick()
        self._world.after(self._world.rand.uniform(0.05, 2), self._alive(self._connect))

    def crash(self) -> None:
        """Power off, and on again a little later."""
        self._off()
        self._world.after(self._world.rand.uniform(0.1, 5), self._alive(self.start))

    def mend(self) -> None:
        """No more faults: it is on and linked, and knows what time it is."""
        self.clocks.mend()
        if self._uplink is None:
            self.start()
        elif not self._link:
            self._connect()

    def unlink(self) -> None:
        """The link to the broker goes, and comes back a little later."""
        if self._uplink is None or not self._link:
            return
        self._link = 0
        self._uplink.disconnected()
        self._world.after(self._world.rand.uniform(0.1, 8), self._alive(self._connect))

    def record(self, number: int) -> None:
        """Passages: durable at once, or not at all while the power is off."""
        if self._uplink is None:
            return
        for _ in range(number):
            self._write(Kind.PASSAGE)
        self._do(self._uplink.journal(self._head(), self._now))

    def answered(self, payload: bytes) -> None:
        """A message from the ack topic."""
        if self._uplink is not None and self._link:
            self._do(self._uplink.answered(payload, self._now))

    def disk_fault(self) -> None:
        """Something befalls the disk while the power is off."""
        self._off()
        rand = self._world.rand
        kind = rand.choice(("new", "image", "image", "damage", "clone", "board"))
        if kind == "new":
            self.disk, self._remembered = Disk(), Remembered()
        elif kind == "image" and self._image is not None:
            self.disk = self._image.image()
        elif kind == "image":
            self._image = self.disk.image()
        elif kind == "damage" and self.disk.lines:
            self._damage()
        elif kind == "clone" and len(self._world.gates) < 4:
            self._world.add_gate(self.name, f"clone-{self._world.next_id()}", self.disk.image())
        elif kind == "board":
            self.board = f"board-{self._world.next_id()}"
        self._world.after(rand.uniform(0.1, 3), self._alive(self.start))

    def _damage(self) -> None:
        behind = self.disk.damage(self._world.rand.randrange(self.disk.oldest, self.disk.seq + 1))
        self._begin_epoch()
        for _ in behind:
            self._write(Kind.SALVAGED)

    def _off(self) -> None:
        self._life += 1
        self._link = 0
        self._uplink = None
        self.disk.crash()

    def _connect(self) -> None:
        if self._uplink is None or self._link:
            return
        self._link = self._world.next_id()
        self._do(self._uplink.connected(self._now))
        retained = self._world.broker.retained.get(topics.ack(SITE, self.name))
        if retained is not None:
            self._world.soon(self._linked(lambda: self.answered(retained)))

    def _tick(self) -> None:
        if self._uplink is None:
            return
        self._look(self._uplink)
        self._do(self._uplink.tick(self._now))
        self._maybe_prune(self._uplink)
        self._world.after(1.0, self._alive(self._tick))

    def days_pass(self) -> None:
        """Long enough for the daemon to see that what the time service told was wrong."""
        self.clocks.days_pass()
        if self._uplink is not None:
            self._look(self._uplink)

    def _look(self, uplink: Uplink) -> None:
        facts = self._keeper.observe()
        for fact in facts:
            self._write(fact.kind, fact.fields)
        if facts:
            self._do(uplink.journal(self._head(), self._now))
        self._remembered = self._keeper.remember()

    def _maybe_prune(self, uplink: Uplink) -> None:
        """What the daemon tries each day: that may fall anywhere."""
        if self._world.rand.random() > 0.3:
            return
        before = self.prune_before(self._keeper)
        if before is None or not uplink.confirmed(self._now):
            return
        center = self._world.center
        for seq, event_hash in self.prune(before):
            if not center.records(self.name).accounts_for(seq, event_hash) and event_hash not in center.lost:
                raise Broken(f"{self.name}: event {seq} was pruned, and the center has never had it")
            self._world.check_age(self.name, event_hash, KEEP_S - 1)
        if self._world.rand.random() < 0.5:
            self._do(uplink.journal(self._head(), self._now))

    def prune_before(self, keeper: Timekeeper) -> datetime | None:
        """What is older may go; None: nothing may. Tests override this to plant a bug."""
        return keeper.prune_before(KEEP_S)

    def prune(self, before: datetime) -> list[tuple[int, bytes]]:
        """Let go of what is older; what has gone. Tests override this to plant a bug."""
        return self.disk.prune(before, PRUNE_EVENTS)

    @property
    def _now(self) -> float:
        return self.clocks.mono()

    def _do(self, acts: list[Act]) -> None:
        for act in acts:
            self._world.soon(self._alive(partial(self._act, act)))

    def _act(self, act: Act) -> None:
        uplink, world = self._uplink, self._world
        if uplink is None:
            return
        match act:
            case Publish(payload):
                if self._link:
                    world.broker.publish(topics.events(SITE, self.name), payload)
            case Read(after):
                found = None if world.chance(world.rates.trouble) else self.disk.read(after, BATCH_EVENTS)
                now, stamp = self._now, self._keeper.stamp()
                self._do(uplink.unread(now) if found is None else uplink.read(after, *found, stamp, now))
            case _:
                self._change(uplink, act)

    def _change(self, uplink: Uplink, act: Acknowledge | Rewind | BeginEpoch) -> None:
        if self._world.chance(self._world.rates.trouble):
            uplink.unchecked()
            return
        match act:
            case Acknowledge(seq, event_hash, keep):
                fits = self.acknowledge(seq, event_hash, keep=keep)
                self._check_acked()
                self._do(uplink.checked(seq, self._now, fits=fits))
                self._maybe_prune(uplink)
            case Rewind(seq, anew):
                self.disk.rewind(seq)
                if anew:
                    self._begin_epoch()
            case BeginEpoch():
                self._begin_epoch()
        told = uplink.journal if isinstance(act, Acknowledge) else uplink.changed
        self._do(told(self._head(), self._now))

    def acknowledge(self, seq: int, event_hash: bytes, *, keep: bool) -> bool:
        """The journal's word; tests override this to plant a bug."""
        return self.disk.acknowledge(seq, event_hash, keep=keep)

    def _check_acked(self) -> None:
        acked = self.disk.hash_at(self.disk.acked)
        center = self._world.center
        held = center.records(self.name)
        known = acked is None or acked in held.hashes or acked in held.gone or acked in center.lost
        if self.disk.acked > self.disk.pruned and not known:
            raise Broken(f"{self.name}: event {self.disk.acked} is acknowledged and not stored")

    def _begin_epoch(self) -> None:
        self.disk.begin_epoch(f"E{self._world.next_id()}", self.board)
        self._write(Kind.ALARM)

    def _write(self, kind: Kind, fields: Mapping[str, object] = MappingProxyType({})) -> None:
        before = self.disk.hash_at(self.disk.seq) or b""
        rest = body(kind, self._keeper.stamp(), {**fields, "id": self._world.next_id()})
        _, event_hash = self.disk.append(rest)
        known = self.clocks.right and self._keeper.quality is not ClockQuality.UNSET
        at = self._world.calendar if known else None
        self._world.ever[event_hash] = Born(self.disk.seq, before, at)

    def _head(self) -> Head:
        disk, epoch = self.disk, self.disk.epoch
        return Head(epoch.id, epoch.first, epoch.root, disk.seq, disk.acked, disk.oldest)

    def _alive(self, do: Callable[[], None]) -> Callable[[], None]:
        life = self._life
        return lambda: do() if life == self._life else None

    def _linked(self, do: Callable[[], None]) -> Callable[[], None]:
        link = self._link
        return lambda: do() if link == self._link else None
