"""Flashes in simulated time: gates, a broker and a publishing center; the machine of a flash is the real one.

One seed is one run. Faults come from the seed until `FAULTS_S`; then they stop, and every gate must come to rest with
all that was published last. What must never be is checked at each step (`Broken`): a list in force is one whole
published version, line for line, and so are documents and suspensions; none is older than one that was in force on that
disk before.
"""

import operator
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from gated.lanes.decide import Now
from gated.lists.flash import Flash, Phase
from gated.lists.flash_acts import (
    Act,
    Build,
    Check,
    KeepMessage,
    KeepPiece,
    Publish,
    Subscribe,
    Switched,
    Unsubscribe,
)
from protocol import topics
from protocol.event import ClockQuality
from protocol.message import WhitelistStatus
from tests.simulation.flash_builder import STEPS, Builder, Step, TroubleError
from tests.simulation.flash_disk import Disk, Pointer
from tests.simulation.flash_faults import rates
from tests.simulation.flash_net import REPO, SECRET, Broker, Center, Hostile
from tests.simulation.repository import SITE
from tests.simulation.timeline import Broken, Timeline

FAULTS_S: Final = 150.0
SETTLE_S: Final = 900.0
QUIET_S: Final = 60.0
"""So long it is looked whether what has come to rest stays at rest."""
_WALL: Final = 1_790_000_000.0
_HOURS: Final = datetime(2026, 11, 25, tzinfo=UTC)


class World(Timeline):
    """One run. What is made by `make_…` is the real one, or stands for it, unless a test plants a bug."""

    def __init__(self, seed: int, gates: int = 2) -> None:
        super().__init__(f"flash/{seed}")
        self.rates = rates(self.rand)
        self.broker = Broker(self, lost=self.rates.lost, doubled=self.rates.doubled, slow=self.rates.slow)
        self.center = Center(self, self.broker, lambda: _WALL + self.now)
        self.gates = [Gate(self, f"gate-{number}") for number in range(gates)]

    def make_flash(self, flash: Flash) -> Flash:
        """A gate's machine for one life."""
        return flash

    def make_builder(self, disk: Disk, step: Step) -> Builder:
        """A gate's building process for one order."""
        return Builder(disk, SECRET, step)

    def run(self) -> None:
        """The whole run. Raises Broken."""
        for gate in self.gates:
            gate.start()
        self._schedule_faults()
        self.until(FAULTS_S)
        self.faults = False
        self._mend()
        self._settle()
        before = self.broker.delivered
        self.until(self.now + QUIET_S)
        if self.unsettled() or self.broker.delivered != before:
            raise Broken(f"no rest: {self.broker.delivered - before} more messages; {self.unsettled()}")

    def unsettled(self) -> list[str]:
        """What is not yet as it was published last."""
        repository = self.center.repository
        wanted = (str(repository.list and repository.list.version), repository.suspensions, repository.documents)
        return [
            f"{gate.name} has {gate.holds}, {gate.flash.phase} {gate.flash.trouble!r}, and said {gate.told.decode()}"
            for gate in self.gates
            if gate.holds != wanted or not gate.idle(wanted[0], repository.said.snapshot)
        ]

    def _settle(self) -> None:
        """Let time pass until all is well: bounded, and with a bounded number of messages."""
        pieces = len(self.center.repository.retain)
        until, most = self.now + SETTLE_S, self.broker.delivered + len(self.gates) * (100 + 6 * pieces)
        while self.unsettled() or self.broker.under_way or not self.center.current:
            if self.now > until:
                raise Broken(f"never comes to rest: {self.unsettled()}")
            if self.broker.delivered > most:
                raise Broken(f"too many messages, and no rest: {self.unsettled()}")
            self.until(self.now + 5)

    def _mend(self) -> None:
        """No more faults: all are on and linked, clocks are right, the publisher has a connection that knows nothing.

        Unless the broker holds what it should: then nobody says it again to gates that lack a piece.
        """
        if not self.center.link:
            self.center.connect()
        elif self.center.contradicted:
            self.center.unlink()
        for gate in self.gates:
            gate.mend()

    def _schedule_faults(self) -> None:
        hostile = Hostile(self, self.broker, self.center)
        kinds: list[tuple[float, Callable[[], None]]] = [
            (25.0, self.center.publish),
            (60.0, self.center.renew),
            (self.rates.crash_s, lambda: self._any_gate().crash()),
            (self.rates.unlink_s, lambda: self._any_gate().unlink()),
            (self.rates.disk_s, lambda: self._any_gate().disk_fault()),
            (self.rates.clock_s, lambda: self._any_gate().step_clock()),
            (self.rates.wipe_s, self.broker.wipe),
            (self.rates.forget_s, self.broker.forget),
            (self.rates.center_s, self.center.unlink),
            (self.rates.hostile_s, hostile.act),
        ]
        for every_s, do in kinds:
            self.again(every_s, do)

    def _any_gate(self) -> "Gate":
        return self.rand.choice(self.gates)


class Gate:
    """One box: its disk outlives it, its machine does not. The shell is that of `gated.lists.flash_run`."""

    flash: Flash

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.link = 0
        self.topics: set[str] = set()
        self.disk = Disk()
        self.told = b""
        self._world = world
        self._life = 0
        self._on = False
        self._image: Disk | None = None
        self._wall_step = 0.0
        self._acts: deque[Act] = deque()
        self._order: Check | Build | None = None
        self._busy = False
        self._list: Pointer | None = None
        self._documents: dict[str, bytes] = {}
        self._looked_at: tuple[object, ...] = (None,) * 5
        world.broker.clients.append(self)

    def start(self) -> None:
        """Power on."""
        self._life += 1
        self._on = True
        self._acts.clear()
        self._busy, self._order, self.told = False, None, b""
        flash = Flash(SITE, self.name, f"life-{self._life}", sign=lambda _, text: text, kept=self.disk.begin())
        self.flash = self._world.make_flash(flash)
        self._documents = self.disk.documents
        self._list = None
        self._do(self.flash.start(self._now()))
        self._refresh()
        self._check()
        self._hold()
        self._world.after(self._world.rand.uniform(0.5, 1), self._alive(self._tick))
        self._world.after(self._world.rand.uniform(0.05, 2), self._alive(self.connect))

    def crash(self) -> None:
        """Power off amid whatever is done, and on again a little later."""
        self._off()
        self._world.after(self._world.rand.uniform(0.1, 5), self._alive(self.start))

    def mend(self) -> None:
        """No more faults."""
        self._wall_step = 0.0
        if not self._on:
            self._life += 1
            self.start()
        elif not self.link:
            self.connect()

    def unlink(self) -> None:
        """The connection ends; the next begins a little later."""
        if not self._on or not self.link:
            return
        self.link = 0
        self.topics.clear()
        self.flash.disconnected()
        self._world.after(self._world.rand.uniform(0.1, 8), self._alive(self.connect))

    def disk_fault(self) -> None:
        """Power off; the disk is copied, put back to its copy, or replaced by an empty one."""
        self._off()
        kind = self._world.rand.choice(("new", "image", "image"))
        if kind == "new":
            self.disk = Disk()
        elif self._image is not None and self._world.rand.random() < 0.7:
            self.disk = self._image.image()
        else:
            self._image = self.disk.image()
        self._world.after(self._world.rand.uniform(0.1, 5), self._alive(self.start))

    def step_clock(self) -> None:
        """The wall clock is another."""
        self._wall_step = self._world.rand.choice((0.0, -86400.0 * 30, 3600.0, 86400.0 * 2))

    def connect(self) -> None:
        """A connection to the broker."""
        if self._on and not self.link:
            self.link = self._world.next_id()
            self._do(self.flash.connected(self._now()))

    def hear(self, topic: str, payload: bytes) -> None:
        """A message from the broker."""
        if topic == REPO:
            self._do(self.flash.message(payload, self._now()))
        elif isinstance(address := topics.parse(topic), topics.BlobAddress):
            self._do(self.flash.piece(address.sha256, address.piece, payload, self._now()))

    @property
    def holds(self) -> tuple[str, tuple[int, bytes] | None, dict[str, bytes]]:
        """What the gate decides by: list, suspensions, documents."""
        held = self._list
        return (held.version, held.over, self._documents) if held else ("", None, self._documents)

    def idle(self, version: str, snapshot: int) -> bool:
        """Whether there is nothing to do, nothing wrong, and the center was told so."""
        if self.flash.phase is not Phase.IDLE or self.flash.trouble or self._acts or self._busy or not self.told:
            return False
        told = WhitelistStatus.from_bytes(self.told)
        return (told.state, told.in_force, told.snapshot) == ("idle", version, snapshot)

    def _off(self) -> None:
        if self._on and self._order is not None and self._world.rand.random() < 0.5:
            self._attempt(self._order, self._world.rand.choice(STEPS))
        self._life += 1
        self._on = False
        self.link = 0
        self.topics.clear()
        self.disk.crash(self._world.rand)

    def _tick(self) -> None:
        self._refresh()
        self._do(self.flash.tick(self._now()))
        self._world.after(1.0, self._alive(self._tick))

    def _refresh(self) -> None:
        """The daemon looks each second which list the pointer names."""
        if self._list is not self.disk.pointer:
            self._list = self.disk.pointer
            self._check()

    def _hold(self) -> None:
        held = self._list
        version, entries = (held.version, len(held.lines)) if held else (None, None)
        self._do(self.flash.holding(version, entries, self._now()))

    def _do(self, acts: list[Act]) -> None:
        if acts:
            self._acts += acts
            self._pump()

    def _pump(self) -> None:
        if self._busy or not self._acts:
            return
        act, rand = self._acts.popleft(), self._world.rand
        took = 0.001
        if isinstance(act, Check | Build):
            self._order = act
            took = rand.uniform(0.05, 0.5) if isinstance(act, Check) else rand.uniform(0.2, 3)
            if self._world.chance(self._world.rates.long_build):
                took = rand.expovariate(1 / 20)
        elif isinstance(act, KeepMessage | KeepPiece):
            took = rand.uniform(0.001, 0.02)
        self._busy = True
        self._world.after(took, self._alive(partial(self._done, act)))

    def _done(self, act: Act) -> None:
        self._busy, self._order = False, None
        self._act(act)
        self._pump()

    def _act(self, act: Act) -> None:
        broker = self._world.broker
        match act:
            case KeepMessage() | KeepPiece():
                self._keep(act)
            case Check() | Build():
                rand = self._world.rand
                self._attempt(act, rand.choice(STEPS) if self._world.chance(self._world.rates.trouble) else "")
            case Switched(of_list, of_documents):
                if of_documents:
                    self._documents = self.disk.documents
                    self._check()
                if of_list:
                    self._refresh()
                self._hold()
            case Subscribe(topic) if self.link:
                broker.subscribe(self, topic)
            case Unsubscribe(topic):
                self.topics.discard(topic)
            case Publish(_, payload) if self.link:
                self.told = payload
            case _:
                pass

    def _keep(self, act: KeepMessage | KeepPiece) -> None:
        if self._world.chance(self._world.rates.trouble):
            self._do(self.flash.unkept(act, "the disk is full", self._now()))
        elif isinstance(act, KeepMessage):
            self.disk.put_message(act.message)
        else:
            self.disk.put(act.sha256, act.piece, act.data)

    def _attempt(self, order: Check | Build, killed_at: str) -> None:
        """Have an order carried out, up to that step if there is one."""

        def step(name: str) -> None:
            if name == killed_at:
                raise TroubleError(f"killed when it had {name}")

        builder = self._world.make_builder(self.disk, step)
        try:
            if isinstance(order, Check):
                acts = self.flash.checked(builder.check(order.validity, whole=order.whole), self._now())
            else:
                acts = self.flash.built(builder.build(order.validity, whole=order.whole), self._now())
        except TroubleError as error:
            acts = self.flash.failed(str(error), self._now())
        self._check()
        self._do(acts)

    def _check(self) -> None:
        """What is on the disk, and what the gate decides by, is whole, as published, and not older than before."""
        looked_at = (self.disk, self.disk.pointer, self._list, self.disk.documents, self._documents)
        if all(map(operator.is_, looked_at, self._looked_at)):
            return
        self._looked_at, center = looked_at, self._world.center
        for place, held, documents in (
            ("on disk", self.disk.pointer, self.disk.documents),
            ("in force", self._list, self._documents),
        ):
            if held is not None:
                if center.lists.get(held.version) != held.lines:
                    raise Broken(f"{self.name}: what is {place} as {held.version} was never published")
                if center.suspensions.get(held.over[0]) != held.over[1]:
                    raise Broken(f"{self.name}: suspensions {held.over} were never published")
                self._not_older(f"list {place}", int(held.version))
                self._not_older(f"suspensions {place}", held.over[0])
            for data in documents.values():
                if data not in center.policies:
                    raise Broken(f"{self.name}: the policy {data!r} was never published")
                self._not_older(f"policy {place}", center.policies[data])

    def _not_older(self, kind: str, version: int) -> None:
        before = self.disk.had.get(kind, 0)
        if version < before:
            raise Broken(f"{self.name}: {kind} is {version}, and was {before} before, with the same disk")
        self.disk.had[kind] = version

    def _now(self) -> Now:
        wall = _WALL + self._world.now + self._wall_step
        return Now(self._world.now, wall, wall, _HOURS, ClockQuality.SYNCED)

    def _alive(self, do: Callable[[], None]) -> Callable[[], None]:
        life = self._life
        return lambda: do() if life == self._life else None
