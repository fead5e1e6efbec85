"""Pruning: what is older than the site keeps it goes, from the front of each chain.

- An event's age is told by its own clock where that was `synced`, else by when it was received; and nothing goes within
  `ARRIVED_S` of its receipt: a gate whose clock is wrong loses nothing before somebody can have seen it.
- An epoch's chain is walked and proved before anything of it goes. What goes leaves a checkpoint
  (`center.records.checkpoint`) in the same transaction. A chain that is broken keeps all from the break on:
  somebody has to look at it.
- Events are stored once, though several epochs may share them, each the other's: so all epochs of a gate go past the
  same place in one transaction. One that still needs what is to go of another holds that one up.
- One transaction takes at most `STEP_EVENTS` of each epoch, under the lock on its gate; then ingest has its turn.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple

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
from center.records.walk import Break, Event, Lost, unpruned
from protocol.event import ClockQuality

ARRIVED_S: Final = 7 * 86400.0
STEP_EVENTS: Final = 1000
_STEP_ROWS: Final = 100
_DAY_S: Final = 86400.0


@dataclass(slots=True, eq=False)
class Chain:
    """What is to go from the front of one epoch: how many events, and the last of each step by seq and hash."""

    head: AnyRow
    step_events: int
    events: int = 0
    last: tuple[int, bytes] | None = None
    steps: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    under: set[int] = field(default_factory=set)
    """Under which other epochs some of what goes is stored."""
    goes_on: bool = False
    """Whether something stays."""
    shares: bool = False
    """Whether some of that may be stored under another epoch."""
    broken: int | None = None
    """The first event of a break, behind which all stays."""

    def take(self, one: Event) -> None:
        """One event more goes."""
        self.events += 1
        self.last = one.seq, one.hash
        if not one.own:
            self.under.add(one.under)
        self.steps[(one.seq - 1) // self.step_events] = self.last

    def stop(self, *, shared: bool) -> None:
        """What comes next stays."""
        self.goes_on, self.shares = True, shared

    @property
    def up_to(self) -> int:
        """The seq of the last one that is gone when all of it is done."""
        return unpruned(self.head)[0] - 1 if self.last is None else self.last[0]

    def meets(self, other: "Chain") -> bool:
        """Whether what stays of this one lies, by its seqs, where something of the other is to go."""
        apart = other is self or other.events == 0 or self.head.seq < unpruned(other.head)[0]
        return self.goes_on and self.up_to < other.up_to and not apart


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go, by epoch; and how many batches in quarantine, and how many alarms."""

    chains: list[Chain]
    quarantine: int
    alarms: int


def planned(store: Store, keep: Keep, now: float) -> Plan:
    """What is to go now (POSIX s). Only reads, and keeps nobody waiting."""
    with store.reading() as connection:
        chains: list[Chain] = []
        for _, heads in groupby(reading.heads(connection), key=lambda head: head.gate_id):
            of_gate = [_planned(connection, head, keep, now) for head in heads]
            for one in unsure(of_gate):
                one.shares = reading.shares(connection, one.head, one.up_to)
            chains += of_gate
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


class Step(NamedTuple):
    """All events of an epoch up to `seq` go; `hash` is that of the last of them."""

    of: AnyRow
    seq: int
    hash: bytes


class Turns:
    """What is to go of one gate, in the order in which it goes.

    All its epochs go up to the same place together: each may share events that are stored under another.
    """

    def __init__(self, chains: Sequence[Chain]) -> None:
        self._heads = {chain.head.id: chain.head.seq for chain in chains}
        by_block: dict[int, list[Step]] = {}
        for chain in _to_go(chains):
            for block, last in chain.steps.items():
                by_block.setdefault(block, []).append(Step(chain.head, *last))
        self._todo = [by_block[block] for block in sorted(by_block, reverse=True)]

    def __bool__(self) -> bool:
        """Whether there is more to do."""
        return bool(self._todo)

    def take(self, heads: Iterable[AnyRow]) -> list[Step]:
        """What is to go now, in one transaction, by the gate's epochs of now (`id`, `seq`, and `gone` or None).

        Nothing more where another epoch may have come to share some of it since it was planned: the next run sees more.
        """
        now = {row.id: row for row in heads}
        steps = [step for step in self._todo.pop() if (now[step.of.id].gone or 0) < step.seq]  # two may prune at once
        if any(self._may_share(row, step) for step in steps for row in now.values()):
            self._todo.clear()
            return []
        return steps

    def _may_share(self, head: AnyRow, step: Step) -> bool:
        """Whether this epoch, another one, has begun, or gone on below the step's end, since all was planned."""
        before = self._heads.get(head.id)
        return head.id != step.of.id and (before is None or (before < step.seq and head.seq != before))


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
        if self._turns:
            with self._store.database.transaction() as connection:
                connection.execute(select(gate.c.id).where(gate.c.id == self._gate_id).with_for_update())
                both = epoch.outerjoin(checkpoint, checkpoint.c.epoch_id == epoch.c.id)
                heads = select(epoch.c.id, epoch.c.seq, checkpoint.c.seq.label("gone")).select_from(both)
                now = connection.execute(heads.where(epoch.c.gate_id == self._gate_id)).all()
                for step in self._turns.take(now):
                    self._let_go(connection, *step)
        return bool(self._turns)

    def _let_go(self, connection: Connection, of: AnyRow, seq: int, last: bytes) -> None:
        message = Checkpoint(of.name, of.epoch, seq, last, self._now).signed(self._store.site, self._key)
        connection.execute(delete(checkpoint).where(checkpoint.c.epoch_id == of.id))
        row = {"epoch_id": of.id, "seq": seq, "hash": last, "at": self._now, "message": message}
        connection.execute(checkpoint.insert(), row)
        old = and_(event.c.gate_id == self._gate_id, event.c.seq.between(of.first, seq), event.c.epoch_id == of.id)
        connection.execute(delete(event).where(old))


def _to_go(chains: Sequence[Chain]) -> list[Chain]:
    """Those that may go. One whose events another may still need waits, and so do those whose events it needs."""
    waiting = {one.head.id for one in chains if any(other.shares and other.meets(one) for other in chains)}
    while more := {owner for one in chains if one.head.id in waiting for owner in one.under} - waiting:
        waiting |= more
    return [one for one in chains if one.head.id not in waiting]


def _planned(connection: Connection, head: AnyRow, keep: Keep, now: float) -> Chain:
    with closing(reading.chain(connection, head)) as items:
        return front(head, items, keep, now, STEP_EVENTS)


def unsure(chains: Sequence[Chain]) -> list[Chain]:
    """Those of a gate's epochs of which has to be known whether what stays of them is all stored under them."""
    return [one for one in chains if not one.shares and any(map(one.meets, chains))]


def front(head: AnyRow, items: Iterable[Event | Lost | Break], keep: Keep, now: float, step_events: int) -> Chain:
    """What is to go of the epoch whose chain these are, in steps of so many events."""
    chain = Chain(head, step_events)
    for item in items:
        match item:
            case Event() if _is_old(item, keep, now):
                chain.take(item)
            case Event():
                chain.stop(shared=not item.own)
                break
            case Break(first=first):
                chain.stop(shared=True)
                chain.broken = first
                break
            case Lost():
                pass  # what was lost is not here to go
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
