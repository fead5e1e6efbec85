"""Making and reading TUF metadata (python-tuf's Metadata API), with the keys and times that this repository has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from protocol import repository as names
from protocol.roles import THRESHOLDS
from protocol.signature import public_key

_Signed = TypeVar("_Signed", Root, Targets, Snapshot, Timestamp)


class PublishError(Exception):
    """What was asked cannot be published; the message says why and what to do. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Whose signatures count: public keys, lower-case hex, by who holds them."""

    signers: tuple[str, ...]
    threshold: int
    repository: tuple[str, ...]
    registrars: tuple[str, ...]
    suspensions: tuple[str, ...]

    def check(self) -> None:
        """Raises PublishError where no such repository could be."""
        if not 1 <= self.threshold <= len(self.signers):
            raise PublishError(f"{self.threshold} of {len(self.signers)} signers cannot be; 1 to all of them would be")
        if len(self.registrars) < THRESHOLDS[names.ENROLMENTS]:
            raise PublishError("at least two registrars are needed: an enrolment has two signatures")
        for role in (self.signers, self.repository, self.registrars, self.suspensions):
            if not role or len(set(role)) != len(role):
                raise PublishError("a role without a key, or with one key twice, cannot be")


def tuf_key(public: str) -> Key:
    """A public key as TUF writes it; its id follows from it."""
    return SSlibKey.from_crypto(public_key(bytes.fromhex(public)))


def signer(key: Ed25519PrivateKey) -> CryptoSigner:
    """What signs with the key."""
    return CryptoSigner(key)


def until(now: datetime, life_s: float) -> datetime:
    """An expiry, in whole seconds as TUF wants them."""
    return (now.astimezone(UTC) + timedelta(seconds=life_s)).replace(microsecond=0)


def make_root(keyring: Keyring, version: int, now: datetime) -> Metadata[Root]:
    """An unsigned root."""
    keyring.check()
    signers = [tuf_key(public) for public in keyring.signers]
    online = [tuf_key(public) for public in keyring.repository]
    offline_role = Role([key.keyid for key in signers], keyring.threshold)
    online_role = Role([key.keyid for key in online], 1)
    root = Root(
        version=version,
        expires=until(now, names.ROOT_LIFE_S),
        keys={key.keyid: key for key in (*signers, *online)},
        roles={
            Root.type: offline_role,
            Targets.type: Role([key.keyid for key in signers], keyring.threshold),
            Snapshot.type: online_role,
            Timestamp.type: Role([key.keyid for key in online], 1),
        },
        consistent_snapshot=True,
    )
    return Metadata(root)


def delegations(keyring: Keyring) -> Delegations:
    """Who may sign the delegated roles: each for its one file, and the walk ends there."""
    of = {
        names.ENROLMENTS: keyring.registrars,
        names.SUSPENSIONS: keyring.suspensions,
        names.EXPECTED: keyring.suspensions,
    }
    keys = [tuf_key(public) for publics in of.values() for public in publics]
    roles = {
        name: DelegatedRole(
            name=name,
            keyids=[tuf_key(public).keyid for public in publics],
            threshold=THRESHOLDS[name],
            terminating=True,
            paths=[names.FILE_OF[name]],
        )
        for name, publics in of.items()
    }
    return Delegations({key.keyid: key for key in keys}, roles)


def make_snapshot(held: Mapping[str, bytes], version: int, now: datetime) -> Metadata[Snapshot]:
    """An unsigned snapshot of `targets` and the delegated roles, with lengths and hashes of their files."""
    meta = {f"{role}.json": MetaFile.from_data(_version(data), data, ["sha256"]) for role, data in sorted(held.items())}
    return Metadata(Snapshot(version=version, expires=until(now, names.SNAPSHOT_LIFE_S), meta=meta))


def make_timestamp(snapshot: bytes, version: int, now: datetime) -> Metadata[Timestamp]:
    """An unsigned timestamp of a signed snapshot."""
    meta = MetaFile.from_data(_version(snapshot), snapshot, ["sha256"])
    return Metadata(Timestamp(version=version, expires=until(now, names.TIMESTAMP_LIFE_S), snapshot_meta=meta))


def read(kind: type[_Signed], data: bytes) -> Metadata[_Signed]:
    """Metadata of that kind, its signatures not looked at. Raises PublishError."""
    try:
        found: Metadata[Any] = Metadata.from_bytes(data)
    except RepositoryError as error:
        raise PublishError(f"this is no {kind.type}: {error}") from error
    if not isinstance(found.signed, kind):
        raise PublishError(f"this is no {kind.type} but {found.signed.type}")
    return Metadata(found.signed, found.signatures)


def first_root(keyring: Keyring, keys: Sequence[Ed25519PrivateKey], now: datetime) -> bytes:
    """The repository's first root, signed by all of `keys`: from it each gate starts."""
    made = make_root(keyring, 1, now)
    for key in keys:
        made.sign(signer(key), append=True)
    made.signed.verify_delegate(Root.type, made.signed_bytes, made.signatures)
    return made.to_bytes()


def _version(data: bytes) -> int:
    found: Metadata[Targets] = Metadata.from_bytes(data)  # whichever it is: all have one
    return found.signed.version
