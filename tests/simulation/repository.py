"""A whitelist repository as flashes need it, without TUF: one signature over everything that is said of its files.

What it says is what the real one says (`protocol.repository`): a whole list and deltas to it, documents, and
suspensions as the one delegated role. What it cannot show is what TUF is for: thresholds, rotated keys, one role's
signature on another's file. `tests/simulation/test_flash_contract.py` holds it against the real one.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Self

from backports import zstd

from protocol import blob, delta, topics
from protocol.repository import SUSPENSIONS, TIMESTAMP_LIFE_S, WHITELIST, delta_name

SITE: Final = "shenhang"
Lines = tuple[bytes, ...]


class UnbelievableError(Exception):
    """A message that nobody who may has signed; the text says why."""


@dataclass(frozen=True)
class File:
    """What is signed of a file."""

    sha256: str
    length: int
    custom: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Metadata:
    """All that is signed. A role has its version and its file, if there is a line in it."""

    timestamp: int
    snapshot: int
    signed: float
    files: Mapping[str, File]
    roles: Mapping[str, tuple[int, File | None]]

    @property
    def expires(self) -> float:
        """When it runs out (POSIX s)."""
        return self.signed + TIMESTAMP_LIFE_S

    def to_bytes(self, secret: bytes) -> bytes:
        """The message, signed."""
        text = json.dumps(self, default=vars, separators=(",", ":")).encode()
        return text + b"\n" + _signature(secret, text)

    @classmethod
    def from_bytes(cls, message: bytes, secret: bytes) -> Self:
        """What a message says. Raises UnbelievableError."""
        text, _, signature = message.rpartition(b"\n")
        if not text or signature != _signature(secret, text):
            raise UnbelievableError("not to be believed: not signed by those who may")
        value = json.loads(text)
        files = {name: File(**said) for name, said in value.pop("files").items()}
        roles = {name: (number, File(**said) if said else None) for name, (number, said) in value.pop("roles").items()}
        return cls(**value, files=files, roles=roles)


@dataclass(frozen=True)
class List:
    """A list as published."""

    version: int
    lines: Lines

    @property
    def sha256(self) -> str:
        """Of its lines."""
        return hashed(self.lines)


@lru_cache(maxsize=512)
def packed(lines: Lines) -> bytes:
    """The lines as a blob, as the center makes it."""
    return blob.compress(line + b"\n" for line in lines)


@lru_cache(maxsize=512)
def quickly_packed(lines: Lines) -> bytes:
    """The lines as a blob, not as small as it could be, and in a hundredth of the time."""
    return zstd.compress(b"".join(line + b"\n" for line in lines), 1)


class Repository:
    """What the center has published until now.

    `deltas`: from how many earlier lists there is one. `pack` makes a blob of lines.
    """

    def __init__(self, secret: bytes, deltas: int = 6, pack: Callable[[Lines], bytes] = packed) -> None:
        self.list: List | None = None
        self.documents: dict[str, bytes] = {}
        self.suspensions: tuple[int, bytes] = (0, b"")
        self.blobs: dict[str, bytes] = {}
        self.said = Metadata(0, 0, 0.0, {}, {})
        self.message = b""
        self._secret = secret
        self._deltas = deltas
        self._pack = pack
        self._earlier: list[List] = []

    def publish(
        self, now: float, *, lines: Lines | None = None, policy: bytes | None = None, unfit: bool = False
    ) -> None:
        """Put these into force; suspensions are signed again with them. `unfit`: the deltas make another list."""
        if policy is not None:
            self.documents["policy.json"] = policy
        if lines is not None:
            if self.list is not None:
                self._earlier = [self.list, *self._earlier][: self._deltas]
            self.list = List(self.list.version + 1 if self.list else 1, lines)
        number, suspended = self.suspensions
        self.suspensions = (number + 1, suspended)
        self._sign(now, unfit=unfit, again=lines is None)

    def suspend(self, now: float, *lines: bytes) -> None:
        """These are the suspensions from now on."""
        self.suspensions = (self.suspensions[0] + 1, b"".join(line + b"\n" for line in lines))
        self._sign(now, again=True)

    def renew(self, now: float) -> None:
        """Sign again what there is."""
        said = self.said
        self.said = Metadata(said.timestamp + 1, said.snapshot, now, said.files, said.roles)
        self.message = self.said.to_bytes(self._secret)

    @property
    def retain(self) -> list[tuple[str, bytes]]:
        """What the broker is to hold, in this order."""
        parts = [(topics.blob(SITE, name, n), part) for name, data in self.blobs.items() for n, part in _parts(data)]
        return [*parts, (topics.repository(SITE), self.message)]

    def _sign(self, now: float, *, again: bool, unfit: bool = False) -> None:
        blobs: dict[str, bytes] = {}
        lists = {name: said for name, said in self.said.files.items() if name.startswith("whitelist.")} if again else {}
        blobs |= {said.sha256: self.blobs[said.sha256] for said in lists.values()}
        files = dict(lists)

        def add(name: str, data: bytes, custom: Mapping[str, Any] | None = None) -> File:
            made = File(name_of(data), len(data), custom or {})
            blobs[made.sha256] = data
            files[name] = made
            return made

        if self.list is not None and not again:
            self._add_list(self.list, add, unfit=unfit)
        for name, data in self.documents.items():
            add(name, data)
        number, data = self.suspensions
        role = add(SUSPENSIONS, data) if data else None
        files.pop(SUSPENSIONS, None)
        self.blobs = blobs
        self.said = Metadata(self.said.timestamp + 1, self.said.snapshot + 1, now, files, {SUSPENSIONS: (number, role)})
        self.message = self.said.to_bytes(self._secret)

    def _add_list(self, new: List, add: Any, *, unfit: bool) -> None:
        whole, deltas = self._pack(new.lines), []
        for old in self._earlier:
            changes = changes_of(old.lines, new.lines)
            data = self._pack(changes[:-1] if unfit else changes)
            if len(data) * 2 < len(whole):
                name = delta_name(old.version, new.version)
                said = {"base": old.version, "base_sha256": old.sha256, "version": new.version}
                add(name, data, {**said, "result_sha256": new.sha256, "bytes": _bytes(changes)})
                deltas.append(name)
        said = {"version": new.version, "result_sha256": new.sha256, "entries": len(new.lines), "deltas": deltas}
        add(WHITELIST, whole, {**said, "bytes": _bytes(new.lines)})


@lru_cache(maxsize=512)
def hashed(lines: Lines) -> str:
    """A list's sha256."""
    return delta.hashed(lines)


@lru_cache(maxsize=512)
def changes_of(base: Lines, new: Lines) -> Lines:
    """The delta's lines."""
    return tuple(delta.make(base, new))


@lru_cache(maxsize=1024)
def name_of(data: bytes) -> str:
    """A blob's name."""
    return blob.sha256(data)


@lru_cache(maxsize=512)
def _parts(data: bytes) -> list[tuple[int, bytes]]:
    return list(enumerate(blob.pieces(data)))


def _bytes(lines: Iterable[bytes]) -> int:
    return sum(len(line) + 1 for line in lines)


def _signature(secret: bytes, text: bytes) -> bytes:
    return hashlib.sha256(secret + text).hexdigest().encode()
