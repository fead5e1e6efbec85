"""What can be read of the store: gates, heads, chains, alarms. Functions of a connection within a transaction."""

from collections.abc import Generator, Iterator, Sequence

from sqlalchemy import Connection, func, or_, select

from center.records import walk
from center.records.alarms import OPEN
from center.records.database import AnyRow
from center.records.tables import alarm, checkpoint, epoch, event, gap, gate, quarantine, status
from center.records.walk import Break, Event, Lost

__all__ = ["Break", "Event", "Lost"]

_CHUNK_ROWS = 2000


def gates(connection: Connection) -> Sequence[AnyRow]:
    """All gates by name, each with its latest status (columns `session`, `online`, `received`, `message`)."""
    both = gate.outerjoin(status, status.c.gate_id == gate.c.id)
    wanted = (gate, status.c.session, status.c.connection, status.c.online, status.c.received, status.c.message)
    return connection.execute(select(*wanted).select_from(both).order_by(gate.c.name)).all()


def heads(connection: Connection, name: str | None = None) -> Sequence[AnyRow]:
    """All epochs of a gate (or of all), oldest first, each with its gate's `name`.

    The columns `gone`, `gone_hash`, `gone_at` and `gone_message` are those of its checkpoint, None where it has none.
    """
    gone = (
        checkpoint.c.seq.label("gone"),
        *(checkpoint.c[key].label(f"gone_{key}") for key in ("hash", "at", "message")),
    )
    both = epoch.join(gate, gate.c.id == epoch.c.gate_id).outerjoin(checkpoint, checkpoint.c.epoch_id == epoch.c.id)
    wanted = select(epoch, gate.c.name, *gone).select_from(both).order_by(gate.c.name, epoch.c.id)
    return connection.execute(wanted if name is None else wanted.where(gate.c.name == name)).all()


def alarms(connection: Connection, *, everything: bool = False) -> Sequence[AnyRow]:
    """Alarms that are open, oldest first, or all that ever were: each with its `times` and its gate's `name`.

    The site's own have no name.
    """
    wanted = (
        select(alarm, alarm.c.count.label("times"), gate.c.name)
        .outerjoin(gate, gate.c.id == alarm.c.gate_id)
        .order_by(alarm.c.id)
    )
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


def chain(connection: Connection, of: AnyRow) -> Generator[Event | Lost | Break, None, None]:
    """An epoch's events in order, proved hash by hash (`center.records.walk`); `of` is a row of `heads`.

    What was pruned is not among them; the rest is proved from the checkpoint on, whose signature is another question.
    """
    first, _ = walk.unpruned(of)
    wanted = select(event.c.seq, event.c.hash, event.c.line, event.c.received, event.c.late, event.c.epoch_id)
    wanted = wanted.where(event.c.gate_id == of.gate_id, event.c.seq.between(first, of.seq)).order_by(event.c.seq)
    with connection.execute(wanted, execution_options={"yield_per": _CHUNK_ROWS}) as rows:
        yield from walk.along(of, rows, _gaps(connection, of.id))


def own_events(connection: Connection, of: AnyRow) -> int:
    """How many events are stored under an epoch: each of them stands in its chain, or somebody has put it there."""
    return connection.execute(select(func.count()).where(event.c.epoch_id == of.id)).scalar_one()


def shares(connection: Connection, of: AnyRow, after: int) -> bool:
    """Whether some event of an epoch after that seq is not stored under it: under another one, or lost."""
    mine = select(func.count()).where(event.c.gate_id == of.gate_id, event.c.epoch_id == of.id)
    count = connection.execute(mine.where(event.c.seq.between(after + 1, of.seq))).scalar_one()
    return bool(count < of.seq - after)


def _gaps(connection: Connection, epoch_id: int) -> list[Lost]:
    wanted = select(gap).where(gap.c.epoch_id == epoch_id)
    return [Lost(row.first, row.last, row.hash) for row in connection.execute(wanted)]
