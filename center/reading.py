"""What can be read of the store: gates, heads, chains, alarms. Functions of a connection within a transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, func, or_, select

from center.alarms import OPEN
from center.database import AnyRow
from center.tables import alarm, epoch, event, gap, gate, quarantine, status
from protocol.event import link

_CHUNK_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Event:
    """One event in its place in a chain."""

    seq: int
    hash: bytes
    line: bytes
    received: float
    late: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """Events that are known to be lost: `first` to `last`. The chain goes on after `hash`."""

    first: int
    last: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """A place where what is held does not make a chain: events `first` to `last` are not there, or were altered."""

    first: int
    last: int


def gates(connection: Connection) -> Sequence[AnyRow]:
    """All gates by name, each with its latest status (columns `session`, `online`, `received`, `message`)."""
    both = gate.outerjoin(status, status.c.gate_id == gate.c.id)
    wanted = (gate, status.c.session, status.c.connection, status.c.online, status.c.received, status.c.message)
    return connection.execute(select(*wanted).select_from(both).order_by(gate.c.name)).all()


def heads(connection: Connection, name: str | None = None) -> Sequence[AnyRow]:
    """All epochs of a gate (or of all), oldest first, each with its gate's `name`."""
    wanted = select(epoch, gate.c.name).join(gate, gate.c.id == epoch.c.gate_id).order_by(gate.c.name, epoch.c.id)
    return connection.execute(wanted if name is None else wanted.where(gate.c.name == name)).all()


def alarms(connection: Connection, *, everything: bool = False) -> Sequence[AnyRow]:
    """Alarms that are open, oldest first, each with its gate's `name`; or all that ever were."""
    wanted = select(alarm, gate.c.name).join(gate, gate.c.id == alarm.c.gate_id).order_by(alarm.c.id)
    return connection.execute(wanted if everything else wanted.where(OPEN)).all()


def quarantined(connection: Connection) -> Sequence[AnyRow]:
    """What was set apart, oldest first, without the batches themselves."""
    size = func.length(quarantine.c.payload).label("size")
    wanted = select(quarantine.c.id, quarantine.c.reason, quarantine.c.received, size, gate.c.name)
    return connection.execute(wanted.join(gate, gate.c.id == quarantine.c.gate_id).order_by(quarantine.c.id)).all()


def quarantined_batch(connection: Connection, id_: int) -> bytes | None:
    """A batch that was set apart, as it arrived."""
    return connection.execute(select(quarantine.c.payload).where(quarantine.c.id == id_)).scalar_one_or_none()


def silent(connection: Connection, limit: float) -> list[str]:
    """Gates that were heard once, but neither by a status nor by a batch since `limit` (POSIX s)."""
    both = gate.outerjoin(status, status.c.gate_id == gate.c.id)
    quiet = select(gate.c.name).select_from(both).where(
        gate.c.key.is_not(None),
        or_(gate.c.heard_at.is_not(None), status.c.received.is_not(None)),
        or_(gate.c.heard_at.is_(None), gate.c.heard_at < limit),
        or_(status.c.received.is_(None), status.c.received < limit),
    )  # fmt: skip
    return list(connection.execute(quiet.order_by(gate.c.name)).scalars())


def stored(connection: Connection, gate_id: int, after: int = 0) -> Iterator[AnyRow]:
    """A gate's events in the order in which they were stored, each once, after that number; with its epoch's name."""
    wanted = select(event, epoch.c.epoch).join(epoch, epoch.c.id == event.c.epoch_id)
    wanted = wanted.where(event.c.gate_id == gate_id, event.c.id > after).order_by(event.c.id)
    yield from connection.execute(wanted, execution_options={"yield_per": _CHUNK_ROWS})


def chain(connection: Connection, of: AnyRow) -> Iterator[Event | Lost | Break]:
    """An epoch's events in order, proved hash by hash; `of` is a row of `heads`.

    Its own events, and those that it shares with an earlier epoch, under which they were stored: of all events with
    the next number it is the one whose hash is that of the hash before and its line. The last one's hash is the head.
    """
    wanted = select(event.c.seq, event.c.hash, event.c.line, event.c.received, event.c.late, event.c.epoch_id)
    wanted = wanted.where(event.c.gate_id == of.gate_id, event.c.seq.between(of.first, of.seq)).order_by(event.c.seq)
    rows = connection.execute(wanted, execution_options={"yield_per": _CHUNK_ROWS})
    walk = _Walk(of.root, of.first - 1, _gaps(connection, of))
    for number, candidates in groupby(rows, key=lambda row: row.seq):
        yield from walk.over_gaps()
        if number > walk.seq:
            yield from walk.step(number, list(candidates), of.id)
    yield from walk.over_gaps()
    yield from walk.end(of.seq, of.hash)


@dataclass(slots=True)
class _Walk:
    """Where a walk along a chain stands: the last event's hash and seq. `unproved`: where a break has begun."""

    previous: bytes
    seq: int
    gaps: dict[int, Lost]
    unproved: int | None = None

    def over_gaps(self) -> Iterator[Lost | Break]:
        while (gone := self.gaps.pop(self.seq + 1, None)) is not None:
            yield from self._close(self.seq)
            yield gone
            self.previous, self.seq = gone.hash, gone.last

    def step(self, number: int, candidates: list[AnyRow], epoch_id: int) -> Iterator[Event | Break]:
        found = next((row for row in candidates if row.hash == link(self.previous, row.line)), None)
        if found is not None and number == self.seq + 1:
            yield from self._close(self.seq)
            yield Event(found.seq, found.hash, found.line, found.received, found.late)
        else:
            # From here on the chain is proved again by the hash that this event bears, though not this event itself.
            self.unproved = self.unproved or self.seq + 1
            found = next((row for row in candidates if row.epoch_id == epoch_id), candidates[-1])
        self.previous, self.seq = found.hash, number

    def end(self, seq: int, head: bytes) -> Iterator[Break]:
        if self.seq != seq or self.previous != head:
            self.unproved = self.unproved or min(self.seq + 1, seq)
        yield from self._close(seq)

    def _close(self, last: int) -> Iterator[Break]:
        if self.unproved is not None:
            yield Break(self.unproved, last)
            self.unproved = None


def _gaps(connection: Connection, of: AnyRow) -> dict[int, Lost]:
    wanted = select(gap).where(gap.c.epoch_id == of.id, gap.c.last >= of.first)
    return {row.first: Lost(row.first, row.last, row.hash) for row in connection.execute(wanted)}
