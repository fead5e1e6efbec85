"""What flashes have on a gate's disk, in memory: the depot, which may lose things, and what is durable.

The depot's methods are those of `gated.lists.depot.Depot`; pointer, documents and metadata stand for what `listfile`
and `trust_folder` make durable file by file.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from protocol.blob import piece_bytes, piece_count
from tests.simulation.repository import Lines, Metadata

MESSAGE: Final = ("message", -1)
NEW: Final = ("new message", -1)
Key = tuple[str, int]
"""A piece, or a message."""


@dataclass(frozen=True)
class Pointer:
    """What is in force: the list, and the suspensions over it with their role's version."""

    version: str
    sha256: str
    lines: Lines
    over: tuple[int, bytes]


@dataclass
class Disk:
    """One disk. `had` is the newest of each kind that ever was in force on it."""

    files: dict[Key, bytes] = field(default_factory=dict)
    trusted: Metadata | None = None
    pointer: Pointer | None = None
    documents: dict[str, bytes] = field(default_factory=dict)
    had: dict[str, int] = field(default_factory=dict)
    _soft: dict[Key, bytes | None] = field(default_factory=dict)
    """What was there before, of files that power may still take back."""

    def begin(self) -> bytes | None:
        """See Depot."""
        if NEW in self.files:
            self._remove(NEW)
        return self.message()

    def put_message(self, message: bytes) -> None:
        """See Depot."""
        self._put(NEW, message)

    def message(self) -> bytes | None:
        """See Depot."""
        return self.files.get(NEW, self.files.get(MESSAGE))

    def believed(self) -> None:
        """See Depot."""
        if NEW in self.files:
            self._put(MESSAGE, self.files[NEW])
            self._remove(NEW)

    def put(self, sha256: str, piece: int, data: bytes) -> None:
        """See Depot."""
        self._put((sha256, piece), data)

    def have(self, sha256: str, length: int) -> list[int]:
        """See Depot."""
        sizes = [len(self.files.get((sha256, n), b"")) for n in range(piece_count(length))]
        return [n for n, size in enumerate(sizes) if size == piece_bytes(length, n)]

    def read(self, sha256: str, length: int) -> bytes:
        """The pieces of a blob that are there, joined."""
        return b"".join([self.files.get((sha256, n), b"") for n in range(piece_count(length))])

    def keep_only(self, wanted: Iterable[str]) -> None:
        """See Depot."""
        names = frozenset(wanted) | {MESSAGE[0], NEW[0]}
        for key in [key for key in self.files if key[0] not in names]:
            self._remove(key)

    def drop(self, sha256: str) -> None:
        """See Depot."""
        for key in [key for key in self.files if key[0] == sha256]:
            self._remove(key)

    def crash(self, rand: random.Random) -> None:
        """Power fails: of what was not yet on the disk, anything may be missing, old, empty or short."""
        for key, before in self._soft.items():
            now = self.files.get(key, b"")
            after = rand.choice((now, now, before, None, b"", now[: rand.randrange(len(now) + 1)]))
            if after is None:
                self.files.pop(key, None)
            else:
                self.files[key] = after
        self._soft.clear()

    def image(self) -> Self:
        """A copy."""
        return replace(
            self,
            files=dict(self.files),
            documents=dict(self.documents),
            had=dict(self.had),
            _soft=dict(self._soft),
        )

    def _put(self, key: Key, data: bytes) -> None:
        self._soft.setdefault(key, self.files.get(key))
        self.files[key] = data

    def _remove(self, key: Key) -> None:
        self._soft.pop(key, None)
        del self.files[key]
