"""A checkpoint: what stands for the events of an epoch that were pruned, so that what remains still verifies.

It names the last of them by seq and chain hash, and bears the center's signature: whoever can write to the database but
has not the center's key cannot take events from the front of a chain unseen.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.signature import signed, verified


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All events of this epoch up to `seq` were pruned; `hash` is that of the last of them, `at` when (POSIX s)."""

    gate: str
    epoch: str
    seq: int
    hash: bytes
    at: float

    def signed(self, site: str, key: Ed25519PrivateKey) -> bytes:
        """With the center's signature in it."""
        return signed(self._purpose(site), self._bytes(), key)

    def is_in(self, message: bytes, site: str, keys: Iterable[Ed25519PublicKey]) -> bool:
        """Whether this message says just this, and one of the keys has signed it."""
        return verified(self._purpose(site), message, keys) == self._bytes()

    def _purpose(self, site: str) -> str:
        # Not below the root of our topics: no message over the broker can pass for one.
        return f"checkpoint/{site}/{self.gate}"

    def _bytes(self) -> bytes:
        said = {"gate": self.gate, "epoch": self.epoch, "seq": self.seq, "hash": self.hash.hex(), "at": self.at}
        return json.dumps(said, separators=(",", ":")).encode()
