"""A site with all its keys, for tests: real Ed25519 keys in real roles."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.publish import bundle as bundles
from center.publish.bundle import Bundle
from center.publish.metadata import Keyring, first_root
from center.publish.proposal import Changes
from center.publish.repository import Online, Repository
from protocol.signature import public_bytes

SITE = "shenhang"
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


class MemoryVault:
    """A vault that forgets."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        """The file."""
        return self.files.get(name)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Keep these."""
        self.files.update(files)

    def drop(self, name: str) -> None:
        """Take it away."""
        self.files.pop(name, None)


def hexed(keys: Iterable[Ed25519PrivateKey]) -> tuple[str, ...]:
    """Public halves."""
    return tuple(public_bytes(key).hex() for key in keys)


def new_keys(count: int) -> list[Ed25519PrivateKey]:
    """Private keys."""
    return [Ed25519PrivateKey.generate() for _ in range(count)]


@dataclass
class Committee:
    """Everybody who holds a key: 2 of 3 signers, 3 registrars, the center's own."""

    signers: list[Ed25519PrivateKey] = field(default_factory=lambda: new_keys(3))
    threshold: int = 2
    registrars: list[Ed25519PrivateKey] = field(default_factory=lambda: new_keys(3))
    repository: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    suspensions: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def keyring(self) -> Keyring:
        """The public halves."""
        return Keyring(
            hexed(self.signers),
            self.threshold,
            hexed([self.repository]),
            hexed(self.registrars),
            hexed([self.suspensions]),
        )

    @property
    def online(self) -> Online:
        """The center's own."""
        return Online(self.repository, self.suspensions)


class Center:
    """A site's repository in memory, with a clock that is moved by hand."""

    def __init__(self, committee: Committee | None = None, now: datetime = NOW, site: str = SITE) -> None:
        self.committee = committee or Committee()
        self.now = now
        self.vault = MemoryVault()
        self.root = first_root(self.committee.keyring, self.committee.signers[: self.committee.threshold], now)
        self.repository = Repository.create(site, self.vault, self.committee.online, self.root)

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)

    def signed(self, bundle: Bundle, *more: Ed25519PrivateKey) -> Bundle:
        """The bundle signed by as many as it takes."""
        for key in (*self.committee.signers[: self.committee.threshold], *more):
            bundle = bundles.sign(bundle, key)
        return bundle

    def publish(self, lines: Iterable[str | bytes] | None = None, **more: object) -> None:
        """Propose, sign, accept."""
        keyring = None if self.repository.keyring else self.committee.keyring
        changes = Changes(lines=lines, keyring=keyring, **more)  # type: ignore[arg-type]
        self.repository.accept(self.signed(self.repository.propose(changes, self.now)), self.now)

    @property
    def message(self) -> bytes:
        """What is on `whitelist/repo`."""
        return self.repository.message()

    @property
    def pieces(self) -> dict[str, bytes]:
        """Everything retained at the broker, by topic."""
        return dict(self.repository.publications().retain)


def line(number: int, holder: str = "h", **more: object) -> str:
    """A line of a list."""
    return json.dumps({"c": f"em:{number:010X}", "h": holder, **more}, separators=(",", ":"))
