"""Pruning: what is older than the site keeps it goes, from the front of each chain.

- An event's age is told by its own clock where that was `synced`, else by when it was received; and nothing goes within
  `ARRIVED_S` of its receipt: a gate whose clock is wrong loses nothing before somebody can have seen it.
- An epoch's chain is walked and proved before anything of it goes. What goes leaves a checkpoint
  (`center.records.checkpoint`) in the same transaction. A chain that is broken keeps all from the break on:
  somebody has to look at it.
- Events are stored once, though several epochs may share them: they are deleted when the epoch that they are stored
  under goes past them, and that not before every other one that shares them.
- One transaction takes at most `STEP_EVENTS`, under the lock on its gate; ingest has its turn between two of them.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Column, Connection, Select, and_, delete, or_, select

from center.config import Keep
from center.records import reading
from center.records.alarms import LASTING
from center.records.checkpoint import Checkpoint
from center.records.database import AnyRow
from center.records.facts import facts
from center.records.store import Store
from center.records.tables import alarm, checkpoint, epoch, event, gate, quarantine
from center.records.walk import Break, Event, Lost
from protocol.event import ClockQuality

ARRIVED_S: Final = 7 * 86400.0
STEP_EVENTS: Final = 1000
_STEP_ROWS: Final = 100
_DAY_S: Final = 86400.0


@dataclass(slots=True, eq=False)
class Chain:
    """What is to go from the front of one epoch: how many events, in steps of which each ends at a seq and a hash."""

    head: AnyRow
    step_events: int
    events: int = 0
    last: tuple[int, bytes] | None = None
    steps: list[tuple[int, bytes]] = field(default_factory=list)
    under: set[int] = field(default_factory=set)
    """Under which other epochs some of what goes is stored."""
    goes_on_shared: bool = False
    """Whether what comes next may be stored under another epoch."""
    broken: int | None = None
    """The first event of a break, behind which all stays."""

    def take(self, one: Event) -> None:
        """One event more goes."""
        self.events += 1
        self.last = one.seq, one.hash
        if not one.own:
            self.under.add(one.under)
        if self.events % self.step_events == 0:
            self.steps.append(self.last)

    def stop(self, *, shared: bool) -> None:
        """Nothing behind the last one goes."""
        self.goes_on_shared = shared
        if self.last is not None and self.steps[-1:] != [self.last]:
            self.steps.append(self.last)

    @property
    def up_to(self) -> int:
        """The seq of the last one that is gone when all of it is done."""
        gone: int = self.head.first - 1 if self.head.gone is None else self.head.gone
        return gone if self.last is None else self.last[0]

    def needs(self, other: "Chain", *, done: bool) -> bool:
        """Whether this epoch may need what is to go of the other; `done`: what is to go of this one goes before."""
        if self.goes_on_shared and self.up_to < other.up_to:
            return True
        return not done and other.head.id in self.under


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go, by epoch; and how many batches in quarantine, and how many alarms."""

    chains: list[Chain]
    quarantine: int
    alarms: int


def planned(store: Store, keep: Keep, now: float) -> Plan:
    """What is to go now (POSIX s). Only reads, and keeps nobody waiting."""
    with store.reading() as connection:
        chains = [_planned(connection, head, keep, now) for head in reading.heads(connection)]
        apart = len(connection.execute(_old_quarantine(keep, now)).all())
        alarms = len(connection.execute(_old_alarms(keep, now)).all())
    return Plan(chains, apart, alarms)


def carry_out(
    store: Store,
    plan: Plan,
    keep: Keep,
    now: float,
    key: Ed25519PrivateKey,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Let it go, a step at a time; after each, `pause` as long as it took, so that who else writes has a turn."""
    for work in _steps(store, plan, keep, now, key):
        began = time.monotonic()
        while work():
            pause(time.monotonic() - began)
            began = time.monotonic()


def _steps(store: Store, plan: Plan, keep: Keep, now: float, key: Ed25519PrivateKey) -> Iterator[Callable[[], bool]]:
    """Pieces of work; each is done again as long as it says that there is more."""
    for gate_id in dict.fromkeys(chain.head.gate_id for chain in plan.chains):
        yield _OfGate(store, [chain for chain in plan.chains if chain.head.gate_id == gate_id], now, key)
    yield lambda: _some(store, quarantine.c.id, _old_quarantine(keep, now))
    yield lambda: _some(store, alarm.c.id, _old_alarms(keep, now))


class Turns:
    """One gate's steps, in the order in which they are done: `todo` has for each its chain, its last seq and hash."""

    def __init__(self, chains: Iterable[Chain]) -> None:
        chains = list(chains)
        self._heads = {chain.head.id: chain.head.seq for chain in chains}
        self.todo = [(chain, *step) for chain in _in_turn(chains) for step in chain.steps]

    def holds(self, of: AnyRow, seq: int, heads: Iterable[AnyRow]) -> bool:
        """Whether a step is still right by the gate's epochs of now (`id`, `seq`).

        Else another may have come to share what was to go, since that was planned.
        """
        return not any(row.id != of.id and self._moved_into(row, seq) for row in heads)

    def _moved_into(self, head: AnyRow, seq: int) -> bool:
        """Whether this epoch has begun, or gone on below `seq`, since all was planned."""
        before = self._heads.get(head.id)
        return before is None or (before < seq and head.seq != before)


class _OfGate:
    """One gate's chains, a step at a call."""

    def __init__(self, store: Store, chains: list[Chain], now: float, key: Ed25519PrivateKey) -> None:
        self._store = store
        self._turns = Turns(chains)
        self._gate_id = chains[0].head.gate_id
        self._now = now
        self._key = key

    def __call__(self) -> bool:
        """Do a step; whether there is more."""
        todo = self._turns.todo
        if todo and not self._step(*todo.pop(0)):
            todo.clear()  # the next run sees more
        return bool(todo)

    def _step(self, chain: Chain, seq: int, last: bytes) -> bool:
        """False where it is no longer right."""
        of = chain.head
        with self._store.database.transaction() as connection:
            connection.execute(select(gate.c.id).where(gate.c.id == self._gate_id).with_for_update())
            heads = connection.execute(select(epoch.c.id, epoch.c.seq).where(epoch.c.gate_id == self._gate_id)).all()
            if not self._turns.holds(of, seq, heads):
                return False
            mine = checkpoint.c.epoch_id == of.id
            before = connection.execute(select(checkpoint.c.seq).where(mine)).scalar_one_or_none()
            if before is not None and before >= seq:  # somebody else prunes, too
                return True
            message = Checkpoint(of.name, of.epoch, seq, last, self._now).signed(self._store.site, self._key)
            connection.execute(delete(checkpoint).where(mine))
            row = {"epoch_id": of.id, "seq": seq, "hash": last, "at": self._now, "message": message}
            connection.execute(checkpoint.insert(), row)
            old = and_(event.c.gate_id == self._gate_id, event.c.seq.between(of.first, seq), event.c.epoch_id == of.id)
            connection.execute(delete(event).where(old))
        return True


def _in_turn(chains: list[Chain]) -> list[Chain]:
    """The order in which they may go; one that another may still need waits for the next run."""
    turns: list[Chain] = []
    # An epoch shares what was stored under one that began before it.
    for chain in sorted(chains, key=lambda chain: -chain.head.id):
        if not any(other.needs(chain, done=other in turns) for other in chains if other is not chain):
            turns.append(chain)
    return turns


def _planned(connection: Connection, head: AnyRow, keep: Keep, now: float) -> Chain:
    with closing(reading.chain(connection, head)) as items:
        return front(head, items, keep, now, STEP_EVENTS)


def front(head: AnyRow, items: Iterable[Event | Lost | Break], keep: Keep, now: float, step_events: int) -> Chain:
    """What is to go of the epoch whose chain these are, in steps of so many events."""
    chain = Chain(head, step_events)
    shared = False
    for item in items:
        match item:
            case Event() if _is_old(item, keep, now):
                chain.take(item)
            case Event():
                shared = not item.own
                break
            case Break(first=first):
                shared, chain.broken = True, first
                break
            case Lost():
                pass  # what was lost is not here to go
    chain.stop(shared=shared)
    return chain


def _is_old(one: Event, keep: Keep, now: float) -> bool:
    if one.received > now - ARRIVED_S:
        return False
    said = facts(one.line)
    by_gate = said.at is not None and said.clock == ClockQuality.SYNCED
    at = min(said.at or 0.0, one.received) if by_gate else one.received
    return at < now - keep.events * _DAY_S


def _old_quarantine(keep: Keep, now: float) -> Select[int]:
    return select(quarantine.c.id).where(quarantine.c.received < now - keep.quarantine * _DAY_S)


def _old_alarms(keep: Keep, now: float) -> Select[int]:
    """Those that somebody has acknowledged and that are over."""
    limit = now - keep.alarms * _DAY_S
    over = or_(alarm.c.kind.not_in(LASTING), alarm.c.ended < limit)
    return select(alarm.c.id).where(alarm.c.acknowledged < limit, over)


def _some(store: Store, column: Column[int], wanted: Select[int]) -> bool:
    """Delete some of these rows; whether there may be more."""
    with store.database.transaction() as connection:
        ids = list(connection.execute(wanted.limit(_STEP_ROWS)).scalars())
        connection.execute(delete(column.table).where(column.in_(ids)))
    return len(ids) == _STEP_ROWS
