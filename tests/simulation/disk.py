"""A gate's journal on a simulated disk: the rules of `gated.recording.store`, without SQLite.

`tests/simulation/test_disk.py` holds it against the real store: the same steps, the same state.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from gated.recording.store import prunable
from protocol.event import GENESIS, line, link


@dataclass(frozen=True)
class Epoch:
    """One unbroken life of a journal."""

    id: str
    first: int
    root: bytes
    board: str


@dataclass
class Disk:
    """What is on the disk, and `acked`, of which the latest may be in memory only."""

    lines: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    pruned: int = 0
    pruned_hash: bytes = GENESIS
    epochs: list[Epoch] = field(default_factory=list)
    acked: int = 0
    acked_on_disk: int = 0

    @property
    def seq(self) -> int:
        """The last event's seq."""
        return self.pruned + len(self.lines)

    @property
    def oldest(self) -> int:
        """The first seq still here."""
        return self.pruned + 1

    @property
    def epoch(self) -> Epoch:
        """The epoch in force."""
        return self.epochs[-1]

    def hash_at(self, seq: int) -> bytes | None:
        """The hash after that event."""
        if seq == self.pruned:
            return self.pruned_hash
        place = seq - self.pruned - 1
        return self.hashes[place] if 0 <= place < len(self.hashes) else None

    def append(self, rest: bytes) -> tuple[bytes, bytes]:
        """One more event, durable at once; its line and its hash."""
        text = line(self.seq + 1, rest)
        chained = link(self.hash_at(self.seq) or b"", text)
        self.lines.append(text)
        self.hashes.append(chained)
        return text, chained

    def read(self, after: int, most: int) -> tuple[bytes, list[bytes]] | None:
        """The hash after that event, and the lines that follow; None if it is pruned or not there."""
        before = self.hash_at(after)
        place = after - self.pruned
        return None if before is None else (before, self.lines[place : place + most])

    def acknowledge(self, seq: int, event_hash: bytes, *, keep: bool) -> bool:
        """See Store."""
        if self.hash_at(seq) != event_hash:
            return False
        self.acked = max(self.acked, seq)
        if keep:
            self.acked_on_disk = self.acked
        return True

    def rewind(self, seq: int) -> None:
        """See Store."""
        self.acked = self.acked_on_disk = max(min(seq, self.acked), self.pruned)

    def begin_epoch(self, epoch: str, board: str) -> None:
        """See Store."""
        before = max(min(self.acked, self.seq), self.pruned)
        self.epochs.append(Epoch(epoch, before + 1, self.hash_at(before) or b"", board))
        self.acked = self.acked_on_disk = before

    def prune(self, before: datetime, limit: int) -> list[tuple[int, bytes]]:
        """See Store; what has gone, by seq and hash."""
        return self.let_go(self.acked, before, limit)

    def let_go(self, up_to: int, before: datetime, limit: int) -> list[tuple[int, bytes]]:
        """The same, of what is not beyond that seq."""
        places = range(self.oldest, up_to + 1)
        bound = prunable(zip(places, self.lines, self.hashes, strict=False), before, limit)
        if bound is None:
            return []
        count = bound[0] - self.pruned
        gone = list(zip(places, self.hashes[:count], strict=False))
        self.pruned, self.pruned_hash = bound
        del self.lines[:count], self.hashes[:count]
        self.acked_on_disk = self.acked
        return gone

    def damage(self, at: int) -> list[bytes]:
        """Break the event at that seq: what verifies stays, what is behind it is given back to be recorded anew."""
        place = at - self.pruned - 1
        behind = self.lines[place + 1 :]
        del self.lines[place:], self.hashes[place:]
        self.acked = self.acked_on_disk = min(self.acked_on_disk, self.seq)
        return behind

    def crash(self) -> None:
        """Lose what is not on the disk."""
        self.acked = self.acked_on_disk

    def image(self) -> Self:
        """A copy as it is on the disk."""
        copy = deepcopy(self)
        copy.crash()
        return copy
