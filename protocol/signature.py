"""Signatures on messages: Ed25519 over the topic, a newline, and the bytes as sent without their signature.

A message is a JSON object that ends in `,"sig":"…"}`, on the first line; further lines (a batch's events) are signed
with it. The topic is signed too, so that no message passes for one of another gate, site or purpose. What is read
is what was signed: `verified` gives the bytes without the signature, and nothing else is ever parsed.
"""

import base64
import re
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES: Final = 32
_SIG: Final = re.compile(rb',"sig":"([A-Za-z0-9+/]{86}==)"}\Z')


def signed(topic: str, message: bytes, key: Ed25519PrivateKey) -> bytes:
    """The message with its signature in it. Its first line must be a JSON object that is not empty."""
    head, newline, rest = message.partition(b"\n")
    if not head.endswith(b"}") or head == b"{}":
        raise ValueError("only a JSON object with something in it can be signed")
    sig = base64.b64encode(key.sign(_covered(topic, message)))
    return b'%s,"sig":"%s"}%s%s' % (head[:-1], sig, newline, rest)


def verified(topic: str, message: bytes, keys: Iterable[Ed25519PublicKey]) -> bytes | None:
    """The message without its signature, if one of the keys has made it for this topic; None for any other bytes."""
    head, newline, rest = message.partition(b"\n")
    found = _SIG.search(head)
    if found is None:
        return None
    sig = base64.b64decode(found[1])
    bare = head[: found.start()] + b"}" + newline + rest
    covered = _covered(topic, bare)
    for key in keys:
        try:
            key.verify(sig, covered)
        except InvalidSignature:
            continue
        return bare
    return None


def public_key(raw: bytes) -> Ed25519PublicKey:
    """The key of these 32 bytes. Raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(raw)


def public_bytes(key: Ed25519PublicKey | Ed25519PrivateKey) -> bytes:
    """A key's public half, 32 bytes."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes_raw()


def _covered(topic: str, message: bytes) -> bytes:
    return topic.encode() + b"\n" + message
