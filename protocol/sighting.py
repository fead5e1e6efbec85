"""A sighting: a reader has read a credential, once."""

from dataclasses import dataclass

from protocol.credential import Credential


@dataclass(frozen=True, slots=True)
class SignedCard:
    """What a verified signature says of a card: the key that made it and when it was issued (POSIX seconds)."""

    key: str
    issued: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """One read of one thing.

    `also` are further credentials of the same thing (the plate in an on-board unit), `at` is monotonic seconds at
    the last byte, `signal` is dBm where the reader tells it, `tid` the chip's own number where it was read, and
    `card` the proof where the credential is signed and the signature held.
    """

    reader: str
    credential: Credential
    at: float
    also: tuple[Credential, ...] = ()
    signal: float | None = None
    tid: str | None = None
    card: SignedCard | None = None
