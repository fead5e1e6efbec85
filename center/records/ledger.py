"""One transaction over some gates, as SQL: what is held of them, and what batches come to, all written at once.

Made on a connection whose transaction has begun. The gates' rows are locked first, in the order of their names, so that
workers that share the database judge one after the other; then `ingest` sees each gate through its `GateLedger`, which
knows what this transaction has decided before and the database does not show yet.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from center.intake.alarm import Alarm
from center.intake.batches import Arrival
from center.intake.ingest import Head, Heard, NewEvent, Outcome
from center.intake.lateness import late, travelled
from center.records import alarms
from center.records.database import AnyRow
from center.records.facts import clean, facts
from center.records.tables import checkpoint, epoch, event, gap, gate, quarantine
from protocol.message import Sent

HEARD_S: Final = 10.0
"""When a gate was heard last is written down this often: a row for each event would cost as much as the event."""
QUARANTINE_MAX_BATCHES: Final = 1000
"""Of one gate. What comes after is not kept, only counted by its alarm: the gate still has it, in a newer epoch."""

# Made once: each transaction uses all of these, and to make one costs more than to run it.
_GATES: Final = (
    select(gate).where(gate.c.name.in_(bindparam("names", expanding=True))).order_by(gate.c.name).with_for_update()
)
_HEADS: Final = (
    select(epoch, checkpoint.c.seq.label("gone"))
    .select_from(epoch.outerjoin(checkpoint, checkpoint.c.epoch_id == epoch.c.id))
    .where(epoch.c.gate_id.in_(bindparam("gates", expanding=True)))
    .where(epoch.c.epoch.in_(bindparam("epochs", expanding=True)))
)
_MOVE_HEAD: Final = (
    update(epoch).where(epoch.c.id == bindparam("id_")).values(seq=bindparam("seq_"), hash=bindparam("hash_"))
)
_NOTE_HEARD: Final = (
    update(gate)
    .where(gate.c.id == bindparam("id_"))
    .values(
        first_heard=func.coalesce(gate.c.first_heard, bindparam("at_")),
        heard_at=bindparam("at_"),
        heard_epoch=bindparam("epoch_"),
        heard_board=bindparam("board_"),
    )
)


class _EventRow(NamedTuple):
    gate_id: int
    epoch_id: int
    seq: int
    hash: bytes
    at: float | None
    kind: str | None
    lane: str | None
    direction: str | None
    credential: str | None
    verdict: str | None
    reason: str | None
    holder: str | None
    late: bool
    received: float
    line: bytes


@dataclass(slots=True)
class _Epoch:
    id: int
    head: Head
    moved: bool = False


@dataclass(slots=True)
class GateLedger:
    """What is held of one gate, in this transaction. Implements `ingest.Ledger`."""

    connection: Connection
    id: int
    name: str
    key: bytes | None
    removed: bool
    last: Heard | None
    epochs: dict[str, _Epoch] = field(default_factory=dict)
    fresh: set[bytes] = field(default_factory=set)
    spoke: bool = False

    def head(self, epoch: str) -> Head | None:
        """See Ledger."""
        known = self.epochs.get(epoch)
        return None if known is None else known.head

    def holds(self, event_hash: bytes) -> bool:
        """See Ledger."""
        if event_hash in self.fresh:
            return True
        found = select(event.c.id).where(event.c.gate_id == self.id, event.c.hash == event_hash)
        if self.connection.execute(found).first() is not None:
            return True
        gone = select(checkpoint.c.epoch_id).join(epoch, epoch.c.id == checkpoint.c.epoch_id)
        gone = gone.where(epoch.c.gate_id == self.id, checkpoint.c.hash == event_hash)
        return self.connection.execute(gone).first() is not None

    def heard(self) -> Heard | None:
        """See Ledger."""
        return self.last

    def hear(self, said: Heard) -> None:
        """Note whom it has heard now."""
        last, self.last = self.last, said
        same = last is not None and (last.epoch, last.board) == (said.epoch, said.board)
        self.spoke = self.spoke or last is None or not same or abs(said.at - last.at) >= HEARD_S


class Ledgers:
    """The gates of one transaction. `write` each outcome, then `flush` once."""

    def __init__(self, connection: Connection, names: Iterable[str], *, center_synced: bool = True) -> None:
        self._connection = connection
        self._synced = center_synced
        rows = connection.execute(_GATES, {"names": sorted(set(names))})
        self.gates = {row.name: self._ledger(row) for row in rows}
        self._events: list[_EventRow] = []
        self._salvaged: list[tuple[GateLedger, NewEvent]] = []

    def look_up(self, arrivals: Iterable[Arrival]) -> None:
        """Read the heads of the epochs that these batches are of."""
        by_id = {ledger.id: ledger for ledger in self.gates.values()}
        names = {arrival.batch.header.epoch for arrival in arrivals}
        for row in self._connection.execute(_HEADS, {"gates": sorted(by_id), "epochs": sorted(names)}):
            head = Head(row.seq, row.hash, row.first, row.root, row.board, row.gone or 0)
            by_id[row.gate_id].epochs[row.epoch] = _Epoch(row.id, head)

    def write(self, arrival: Arrival, outcome: Outcome) -> None:
        """Take what a batch came to."""
        ledger = self.gates[arrival.gate]
        for raised in outcome.alarms:
            self.alarm(ledger, raised, arrival.received)
        if outcome.apart:
            self._set_apart(ledger, arrival, outcome.apart)
        if outcome.head is None:
            return
        header = arrival.batch.header
        if outcome.news_of(ledger.last):
            ledger.hear(Heard(header.epoch, clean(header.board), arrival.received))
        known = ledger.epochs.get(header.epoch)
        if known is None:
            known = self._begin(ledger, header.epoch, outcome.head, arrival.received)
        elif known.head != outcome.head:
            known.head, known.moved = outcome.head, True
        if outcome.gap is not None:
            lost = {**asdict(outcome.gap), "found": arrival.received}
            self._connection.execute(gap.insert(), {"epoch_id": known.id, **lost})
        self._take(ledger, known.id, outcome.events, header.sent, arrival.received)

    def flush(self) -> None:
        """Write all that was taken."""
        if self._events:
            self._connection.exec_driver_sql(_event_insert(self._connection), self._events)
        for ledger, new in self._salvaged:
            self._mark(ledger, new)
        moved = [
            {"id_": known.id, "seq_": known.head.seq, "hash_": known.head.hash}
            for ledger in self.gates.values()
            for known in ledger.epochs.values()
            if known.moved
        ]
        if moved:
            self._connection.execute(_MOVE_HEAD, moved)
        heard = [
            {"id_": ledger.id, "at_": said.at, "epoch_": said.epoch, "board_": said.board}
            for ledger in self.gates.values()
            if ledger.spoke and (said := ledger.last) is not None
        ]
        if heard:
            self._connection.execute(_NOTE_HEARD, heard)

    def alarm(self, ledger: GateLedger, raised: Alarm, now: float) -> None:
        """Raise an alarm about a gate, or note that its condition has ended."""
        if raised.over:
            alarms.ended(self._connection, ledger.id, raised.kind, now)
        else:
            alarms.raised(self._connection, ledger.id, raised.kind, clean(raised.text), now, raised.times)

    def set_apart(self, arrival: Arrival, why: str) -> None:
        """Put a batch that cannot be stored into quarantine."""
        ledger = self.gates[arrival.gate]
        self.alarm(ledger, Alarm("apart", f"epoch {arrival.batch.header.epoch}: {why}"), arrival.received)
        self._set_apart(ledger, arrival, why)

    def _ledger(self, row: AnyRow) -> GateLedger:
        heard = None if row.heard_at is None else Heard(row.heard_epoch, row.heard_board, row.heard_at)
        removed = row.key is None and row.voucher_key is None
        return GateLedger(self._connection, row.id, row.name, row.key, removed, heard)

    def _begin(self, ledger: GateLedger, name: str, head: Head, began: float) -> _Epoch:
        row = {"gate_id": ledger.id, "epoch": name, "first": head.first, "root": head.root, "board": clean(head.board)}
        new = epoch.insert().values(seq=head.seq, hash=head.hash, began=began, **row).returning(epoch.c.id)
        known = _Epoch(self._connection.execute(new).scalar_one(), head)
        ledger.epochs[name] = known
        return known

    def _take(
        self, ledger: GateLedger, epoch_id: int, events: tuple[NewEvent, ...], sent: Sent, received: float
    ) -> None:
        journey = travelled(sent, received, center_synced=self._synced)
        for new in events:
            said = facts(new.line)
            ledger.fresh.add(new.hash)
            self._events.append(
                _EventRow(
                    gate_id=ledger.id,
                    epoch_id=epoch_id,
                    seq=new.seq,
                    hash=new.hash,
                    at=said.at,
                    kind=said.kind,
                    lane=said.lane,
                    direction=said.direction,
                    credential=said.credential,
                    verdict=said.verdict,
                    reason=said.reason,
                    holder=said.holder,
                    late=late(said, sent, journey),
                    received=received,
                    line=new.line,
                )
            )
            if said.original is not None:
                self._salvaged.append((ledger, new))

    def _mark(self, ledger: GateLedger, new: NewEvent) -> None:
        """Note which event this salvaged one is, if that is held already: same place, same line."""
        original = facts(new.line).original
        if original is None:
            return
        ours = select(event.c.id, event.c.line, epoch.c.epoch).join(epoch, epoch.c.id == event.c.epoch_id)
        ours = ours.where(event.c.gate_id == ledger.id, event.c.seq == original.seq)
        rows = self._connection.execute(ours).all()
        same = [row for row in rows if original.is_of(row.line)]
        same.sort(key=lambda row: row.epoch != original.epoch)
        if same:
            mine = update(event).where(event.c.gate_id == ledger.id, event.c.hash == new.hash)
            self._connection.execute(mine.values(same_as=same[0].id))

    def _set_apart(self, ledger: GateLedger, arrival: Arrival, why: str) -> None:
        count = select(func.count()).select_from(quarantine).where(quarantine.c.gate_id == ledger.id)
        if self._connection.execute(count).scalar_one() >= QUARANTINE_MAX_BATCHES:
            return
        row = {"gate_id": ledger.id, "content": _content(arrival), "reason": clean(why)}
        row |= {"received": arrival.received, "payload": arrival.payload}
        self._connection.execute(_insert(self._connection, quarantine, ("gate_id", "content")), row)


def _event_insert(connection: Connection) -> str:
    """The statement that takes `_EventRow`s as the driver does: SQLAlchemy's preparing costs as much as the row."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    names, marks = ", ".join(_EventRow._fields), ", ".join(mark for _ in _EventRow._fields)
    return f"INSERT INTO event ({names}) VALUES ({marks}) ON CONFLICT (gate_id, hash) DO NOTHING"  # noqa: S608 - ours


def _insert(connection: Connection, table: Table, key: tuple[str, ...]) -> Any:
    """Insert unless it is there already."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return make(table).on_conflict_do_nothing(index_elements=key)


def _content(arrival: Arrival) -> bytes:
    """What makes two batches the same though sent at different times."""
    header = arrival.batch.header
    place = f"{header.board}\n{header.epoch}\n{header.begins}\n{header.root}\n{header.first}\n{header.prev}\n"
    return hashlib.sha256(place.encode() + b"\n".join(arrival.batch.lines)).digest()
