"""What the center's database holds of one gate, in memory: what `center.records.ledger` and `prune` do in SQL.

What may go, in which order and how a chain is proved are their own functions; here is only what they are asked about.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from center.config import Keep
from center.intake.batches import Arrival
from center.intake.ingest import Head, Heard, NewEvent, Outcome
from center.records import prune, walk
from center.records.checkpoint import Checkpoint
from center.records.walk import Break, Event, Lost
from tests.simulation.timeline import Broken

STEP_EVENTS: Final = 2


@dataclass(frozen=True, slots=True)
class Row:
    """An event as it is stored."""

    seq: int
    hash: bytes
    line: bytes
    received: float
    late: bool
    epoch_id: int


@dataclass(frozen=True, slots=True)
class EpochRow:
    """An epoch, as `reading.heads` gives it."""

    id: int
    name: str
    epoch: str
    first: int
    root: bytes
    seq: int
    hash: bytes
    gone: int | None
    gone_hash: bytes | None


@dataclass
class Records:
    """What is held of one gate. `gone` is no part of the database: it is all that was ever pruned from it."""

    gate: str
    epochs: dict[str, Head] = field(default_factory=dict)
    rows: dict[object, Row] = field(default_factory=dict)
    hashes: set[bytes] = field(default_factory=set)
    gaps: dict[str, list[Lost]] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    last: Heard | None = None
    gone: set[bytes] = field(default_factory=set)

    def head(self, epoch: str) -> Head | None:
        """See Ledger."""
        return self.epochs.get(epoch)

    def holds(self, event_hash: bytes) -> bool:
        """See Ledger."""
        return event_hash in self.hashes or any(one.hash == event_hash for one in self.checkpoints.values())

    def heard(self) -> Heard | None:
        """See Ledger."""
        return self.last

    def accounts_for(self, seq: int, event_hash: bytes) -> bool:
        """Whether it is held, was held until it was too old, or is known to be lost."""
        return (
            event_hash in self.hashes
            or event_hash in self.gone
            or any(gap.first <= seq <= gap.last for gaps in self.gaps.values() for gap in gaps)
        )

    def write(self, arrival: Arrival, outcome: Outcome) -> None:
        """What a transaction writes."""
        header = arrival.batch.header
        if outcome.head is None:
            return
        self.epochs[header.epoch] = outcome.head
        if outcome.news_of(self.last):
            self.last = Heard(header.epoch, header.board, arrival.received)
        if (gap := outcome.gap) is not None:
            self.gaps.setdefault(header.epoch, []).append(Lost(gap.first, gap.last, gap.hash))
        number = list(self.epochs).index(header.epoch) + 1
        for event in outcome.events:
            identity = self.identity(header.epoch, event)
            if identity in self.rows:
                continue
            if event.hash in self.hashes:
                raise Broken(f"{arrival.gate}: event {event.seq} is there twice")
            self.rows[identity] = Row(event.seq, event.hash, event.line, arrival.received, late=False, epoch_id=number)
            self.hashes.add(event.hash)

    def identity(self, epoch: str, event: NewEvent) -> object:
        """What makes an event the same as another; tests override this to plant a bug."""
        del epoch
        return event.hash

    def copy(self) -> Self:
        """A backup."""
        return replace(
            self,
            epochs=dict(self.epochs),
            rows=dict(self.rows),
            hashes=set(self.hashes),
            gaps={epoch: list(gaps) for epoch, gaps in self.gaps.items()},
            checkpoints=dict(self.checkpoints),
            gone=set(self.gone),
        )

    # Pruning

    def heads(self) -> list[EpochRow]:
        """The epochs, oldest first."""
        found = []
        for number, (name, head) in enumerate(self.epochs.items(), 1):
            mark = self.checkpoints.get(name)
            gone, gone_hash = (None, None) if mark is None else (mark.seq, mark.hash)
            found.append(EpochRow(number, self.gate, name, head.first, head.root, head.seq, head.hash, gone, gone_hash))
        return found

    def chain(self, of: EpochRow) -> Iterator[Event | Lost | Break]:
        """An epoch's events, proved."""
        head: Any = of
        first, _ = walk.unpruned(head)
        rows: list[Any] = [row for row in self.rows.values() if first <= row.seq <= of.seq]
        return walk.along(head, sorted(rows, key=lambda row: row.seq), self.gaps.get(of.epoch, ()))

    def planned(self, keep: Keep, now: float) -> prune.Turns:
        """What is to go now."""
        return prune.Turns(self.fronts(keep, now))

    def fronts(self, keep: Keep, now: float) -> list[prune.Chain]:
        """What of each epoch is old; tests override this to plant a bug."""
        heads: list[Any] = list(self.heads())
        chains = [prune.front(of, self.chain(of), keep, now, STEP_EVENTS) for of in heads]
        for one in prune.unsure(chains):
            own = sum(row.epoch_id == one.head.id and row.seq > one.up_to for row in self.rows.values())
            one.shares = own < one.head.seq - one.up_to
        return chains

    def let_go(self, turns: prune.Turns, now: float) -> list[Row]:
        """Take the next step; what has gone."""
        went: list[Row] = []
        heads: list[Any] = list(self.heads())
        for of, seq, last in turns.take(heads):
            self.checkpoints[of.epoch] = Checkpoint(of.name, of.epoch, seq, last, now)
            self.epochs[of.epoch] = replace(self.epochs[of.epoch], gone=seq)
            for identity, row in list(self.rows.items()):
                if row.epoch_id == of.id and of.first <= row.seq <= seq:
                    del self.rows[identity]
                    self.hashes.discard(row.hash)
                    self.gone.add(row.hash)
                    went.append(row)
        return went

    def broken(self) -> str:
        """The first place where what is held makes no chain; "" if there is none."""
        for of in self.heads():
            for item in self.chain(of):
                if isinstance(item, Break):
                    return f"{self.gate}: events {item.first} to {item.last} of {of.epoch} make no chain"
        return ""
