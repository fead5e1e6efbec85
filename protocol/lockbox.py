"""A lockbox: one content that several X25519 keys open, each by itself. Who made it, it does not say.

    version (1) | ephemeral public key (32) | count (2) | count × wrapped content key (48) | sealed content

- The content key is random and serves once, so that its nonce is fixed; ChaCha20-Poly1305, with all that stands before
  the content as associated data.
- It is wrapped for each key by ChaCha20-Poly1305 under a key of its own: HKDF-SHA256 (RFC 5869), without salt, of the
  X25519 secret (RFC 7748) between the ephemeral key, which serves once, and the recipient's. The `info` has both public
  keys and what the associated data has: purpose, version, site, and the recipient's name.
- Which wrapping is whose is not written down: a recipient tries each.

The length of the content shows; whoever minds pads it. That a lockbox is genuine a signature must say.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION: Final = 1
RECIPIENTS_MAX: Final = 1000
KEY_BYTES: Final = 32
WRAPPED_BYTES: Final = KEY_BYTES + 16
_COUNT_BYTES: Final = 2
_HEAD_BYTES: Final = 1 + KEY_BYTES + _COUNT_BYTES
_TAG_BYTES: Final = 16
_NONCE: Final = bytes(12)


class LockboxError(ValueError):
    """The bytes are no lockbox that this key opens; the message says why."""


class NotForUsError(LockboxError):
    """It is whole, as far as can be seen, and sealed to other keys."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a lockbox is for: one of another purpose, site or name does not open."""

    what: str
    site: str

    def of(self, name: str) -> bytes:
        """The associated data of what is wrapped for this recipient."""
        return f"gated {self.what}\n{VERSION}\n{self.site}\n{name}".encode()


def seal(content: bytes, purpose: Purpose, recipients: Mapping[str, bytes]) -> bytes:
    """The lockbox; `recipients` are X25519 public keys by name. Sealing twice gives two that have nothing in common.

    Raises LockboxError for a key that is none, naming whose, and for too many.
    """
    if len(recipients) > RECIPIENTS_MAX:
        raise LockboxError(f"{len(recipients)} recipients; at most {RECIPIENTS_MAX} are taken")
    once, key = X25519PrivateKey.generate(), secrets.token_bytes(KEY_BYTES)
    ephemeral = once.public_key().public_bytes_raw()
    head = bytes([VERSION]) + ephemeral + len(recipients).to_bytes(_COUNT_BYTES)
    for name, public in recipients.items():
        try:
            secret = once.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise LockboxError(f"the key of {name} is no X25519 key") from error
        head += _wrapping(secret, ephemeral, public, purpose.of(name)).encrypt(_NONCE, key, purpose.of(name))
    return head + ChaCha20Poly1305(key).encrypt(_NONCE, content, head)


def open_(data: bytes, purpose: Purpose, name: str, private: X25519PrivateKey) -> bytes:
    """The content, for the recipient of this name. Raises LockboxError, and nothing else, whatever the bytes are."""
    if len(data) < _HEAD_BYTES:
        raise LockboxError("it is damaged: too short")
    if data[0] != VERSION:
        raise LockboxError(f"it is of version {data[0]}, and this program reads {VERSION}: update it")
    ephemeral, count = data[1 : 1 + KEY_BYTES], int.from_bytes(data[1 + KEY_BYTES : _HEAD_BYTES])
    length = _HEAD_BYTES + count * WRAPPED_BYTES
    if count > RECIPIENTS_MAX or len(data) < length + _TAG_BYTES:
        raise LockboxError("it is damaged: too short")
    try:
        secret = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    except ValueError as error:
        raise LockboxError("it is damaged: its key is none") from error
    wrapping = _wrapping(secret, ephemeral, private.public_key().public_bytes_raw(), purpose.of(name))
    key = _unwrapped(wrapping, data[_HEAD_BYTES:length], purpose.of(name))
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, data[length:], data[:length])
    except InvalidTag as error:
        raise LockboxError("it is damaged: its content does not fit its key") from error


def _unwrapped(wrapping: ChaCha20Poly1305, wrapped: bytes, covered: bytes) -> bytes:
    for start in range(0, len(wrapped), WRAPPED_BYTES):
        try:
            return wrapping.decrypt(_NONCE, wrapped[start : start + WRAPPED_BYTES], covered)
        except InvalidTag:
            continue
    raise NotForUsError("it is not sealed to this key")


def _wrapping(secret: bytes, ephemeral: bytes, public: bytes, covered: bytes) -> ChaCha20Poly1305:
    info = covered + b"\n" + ephemeral + public
    return ChaCha20Poly1305(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret))
