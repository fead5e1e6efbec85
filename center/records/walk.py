"""A walk along an epoch's chain, hash by hash, over rows in the order of their seq.

Events that an epoch shares with an earlier one are stored under that one, and after a fork there are several with the
same seq. An event of the epoch's own is always on its way; where it has none, every event counts that follows from the
hash before. Where two do (a fork of others), both ways are walked until one ends or meets the epoch's own: at the
latest its head decides. So nothing is given out before only one way is left.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from center.records.database import AnyRow
from protocol.event import link


@dataclass(frozen=True, slots=True)
class Event:
    """One event in its place in a chain; `own` unless it was stored under another epoch, whose row is `under`."""

    seq: int
    hash: bytes
    line: bytes
    received: float
    late: bool
    own: bool
    under: int


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


@dataclass(slots=True)
class _Way:
    """One way that may be the chain's: its last hash, and what was seen on it since it parted from others."""

    hash: bytes
    seen: list[Event] = field(default_factory=list)


def along(of: AnyRow, rows: Iterable[AnyRow], gaps: Iterable[Lost]) -> Generator[Event | Lost | Break, None, None]:
    """An epoch's events in order, proved; `of` is its row of `heads` (`center.records.reading`).

    `rows` are all events of its gate up to its head that were not pruned, by seq. The way begins at its checkpoint.
    """
    first, root = unpruned(of)
    walk = Walk(of.id, first, root, [gap for gap in gaps if gap.last >= first])
    for number, candidates in groupby(rows, key=lambda row: row.seq):
        yield from walk.step(number, list(candidates))
    yield from walk.end(of.seq, of.hash)


def unpruned(of: AnyRow) -> tuple[int, bytes]:
    """The first event of an epoch that was not pruned, and the hash before it."""
    return (of.first, of.root) if of.gone is None else (of.gone + 1, of.gone_hash)


class Walk:
    """Where a walk stands. Give it the events of each seq in turn, then `end`."""

    def __init__(self, epoch_id: int, first: int, root: bytes, gaps: Sequence[Lost]) -> None:
        self.seq = first - 1
        self._epoch_id = epoch_id
        self._gaps = {gap.first: gap for gap in gaps}
        self._ways = [_Way(root)]
        self._unproved: int | None = None

    def step(self, number: int, candidates: Sequence[AnyRow]) -> Iterator[Event | Lost | Break]:
        """Take all events with this seq; gives what is certain now."""
        yield from self._over_gaps()
        if number <= self.seq:
            return
        mine = [row for row in candidates if row.epoch_id == self._epoch_id] or candidates
        proved = [
            (way, row)
            for way in (self._ways if number == self.seq + 1 else ())
            for row in mine
            if row.hash == link(way.hash, row.line)
        ]
        if proved:
            yield from self._go(proved)
        else:
            # From here on the chain is proved again by the hash that this event bears, though not this event itself.
            yield from self._settle(self._ways[0])
            self._unproved = self._unproved or self.seq + 1
            self._ways = [_Way(mine[-1].hash)]
        self.seq = number

    def end(self, seq: int, head: bytes) -> Iterator[Event | Lost | Break]:
        """Take the epoch's head; gives all that was still open."""
        yield from self._over_gaps()
        way = next((way for way in self._ways if way.hash == head), None)
        yield from self._settle(way or self._ways[0])
        if self.seq != seq or way is None:
            self._unproved = self._unproved or min(self.seq + 1, seq)
        yield from self._mended(seq)

    def _go(self, proved: list[tuple[_Way, AnyRow]]) -> Iterator[Event | Break]:
        yield from self._mended(self.seq)
        ways: list[_Way] = []
        for way, row in proved:
            own = row.epoch_id == self._epoch_id
            event = Event(row.seq, row.hash, row.line, row.received, row.late, own, row.epoch_id)
            if len(proved) == 1:
                yield from self._settle(way)
                yield event
                ways.append(_Way(row.hash))
            else:
                ways.append(_Way(row.hash, [*way.seen, event]))
        self._ways = ways

    def _settle(self, way: _Way) -> Iterator[Event]:
        yield from way.seen
        way.seen.clear()

    def _over_gaps(self) -> Iterator[Event | Lost | Break]:
        while (gone := self._gaps.pop(self.seq + 1, None)) is not None:
            yield from self._settle(self._ways[0])
            yield from self._mended(self.seq)
            yield gone
            self._ways, self.seq = [_Way(gone.hash)], gone.last

    def _mended(self, last: int) -> Iterator[Break]:
        if self._unproved is not None:
            yield Break(self._unproved, last)
            self._unproved = None
