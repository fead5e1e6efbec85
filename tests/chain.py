"""A fake gate for tests of the center: a journal's chain in memory, and signed batches and statuses of it."""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol import batch, topics
from protocol.event import GENESIS, ClockQuality, Kind, Stamp, body, line, link
from protocol.message import Header, ListStatus, Offline, Sent, Status
from protocol.signature import public_bytes, signed

SITE = "shenhang"
BOOT = "9f2c"


def wall(at: float | None = None) -> str:
    """A moment (POSIX s, by default now) as gates write it."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds")


def stamp(at: float | None = None, **changed: Any) -> Stamp:
    """When an event happened: just now, by clocks that are right, unless said otherwise."""
    return replace(Stamp(wall(at), ClockQuality.SYNCED, BOOT, time.monotonic()), **changed)


@dataclass(slots=True)
class FakeGate:
    """One gate's journal in one epoch. `lines` and `hashes` begin with event `first`; `root` is the hash before."""

    name: str = "north"
    site: str = SITE
    board: str = "serial:a"
    epoch: str = "E1"
    first: int = 1
    root: bytes = GENESIS
    oldest: int = 1
    lines: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    seal: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    session: str = "s1"

    @property
    def last(self) -> int:
        """The last event's seq."""
        return self.first + len(self.lines) - 1

    @property
    def public(self) -> bytes:
        """The gate's public key."""
        return public_bytes(self.key)

    @property
    def topic(self) -> str:
        """Where its batches go."""
        return topics.events(self.site, self.name)

    def hash(self, seq: int) -> bytes:
        """An event's hash; that before the first is the root."""
        return self.root if seq == self.first - 1 else self.hashes[seq - self.first]

    def passage(self, **fields: Any) -> int:
        """Record a passage; its seq."""
        said = {"lane": "walk-in", "direction": "in", "credential": "em:0A00A1B2C3", "verdict": "admit"}
        return self.record(Kind.PASSAGE, **{**said, "reason": "listed", "holder": "h7Qk2", **fields})

    def record(self, kind: Kind, when: Stamp | None = None, **fields: Any) -> int:
        """Record an event; its seq."""
        return self.record_raw(body(kind, when or stamp(), fields))

    def record_raw(self, rest: bytes) -> int:
        """Record whatever these bytes are, as an event without its `{"seq":N,`; the seq."""
        seq = self.last + 1
        self.lines.append(line(seq, rest))
        self.hashes.append(link(self.hash(seq - 1), self.lines[-1]))
        return seq

    def passages(self, count: int) -> Self:
        """Record that many passages of different people; itself."""
        for _ in range(count):
            self.passage(credential=f"em:{self.last:010X}", holder=f"h{self.last}")
        return self

    def fork(self, epoch: str, after: int, **changed: Any) -> "FakeGate":
        """The same gate in a new epoch, which goes on after this event and has those before no more in it."""
        new: dict[str, Any] = {"epoch": epoch, "first": after + 1, "root": self.hash(after), "lines": [], "hashes": []}
        return replace(self, **(new | changed))

    def prune(self, oldest: int) -> None:
        """Have events only from this one on."""
        self.oldest = oldest

    def batch(self, first: int | None = None, last: int | None = None, **changed: Any) -> bytes:
        """A signed batch of these events (by default all that it has); the header may be `changed`."""
        first = max(self.first, self.oldest) if first is None else first
        last = self.last if last is None else last
        said: Mapping[str, Any] = {
            "site": self.site,
            "gate": self.name,
            "board": self.board,
            "epoch": self.epoch,
            "begins": self.first,
            "root": self.root.hex(),
            "oldest": self.oldest,
            "first": first,
            "count": last - first + 1,
            "prev": self.hash(first - 1).hex(),
            "sent": self.sent(),
        }
        lines = self.lines[first - self.first : last + 1 - self.first]
        return self.sign(self.topic, batch.encode(Header(**(dict(said) | changed)), lines))

    def batches(self, size: int) -> Iterable[bytes]:
        """All that it has, that many events a batch."""
        for first in range(max(self.first, self.oldest), self.last + 1, size):
            yield self.batch(first, min(first + size - 1, self.last))

    def sent(self, at: float | None = None, **changed: Any) -> Sent:
        """When a message left."""
        said: dict[str, Any] = {"at": wall(at), "mono": time.monotonic(), "boot": BOOT, "clock": ClockQuality.SYNCED}
        return Sent(**(said | changed))

    def status(self, number: int, connection: int = 1, **changed: Any) -> bytes:
        """A signed status."""
        said: dict[str, Any] = {
            "session": self.session,
            "connection": connection,
            "number": number,
            "sent": self.sent(),
            "version": "0.1.0",
            "board": self.board,
            "epoch": self.epoch,
            "mode": "automatic",
            "backlog": 0,
            "list": ListStatus(),
            "devices": {},
        }
        return self.sign(topics.status(self.site, self.name), Status(**(said | changed)).to_bytes())

    def offline(self, connection: int = 1) -> bytes:
        """Its will."""
        will = Offline(session=self.session, connection=connection)
        return self.sign(topics.status(self.site, self.name), will.to_bytes())

    def sign(self, topic: str, message: bytes) -> bytes:
        """The message as this gate signs it."""
        return signed(topic, message, self.key)
