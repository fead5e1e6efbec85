"""DSSE v1: signed envelopes around bytes of a stated type (github.com/secure-systems-lab/dsse, protocol.md).

    {"payload":"<base64>","payloadType":"application/vnd.gated.command+json","signatures":[{"keyid":"…","sig":"<base64>"}]}

- What is signed is PAE(type, body) = `DSSEv1 LEN(type) type LEN(body) body`, Ed25519: the type cannot be swapped.
- A `keyid` is the public key itself, 64 hex digits. It only says which key to try; a signature without one that is
  known counts for nothing, so that a stranger cannot make us try every key.
- `verify` gives the payload, and nothing else of an envelope is to be looked at.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.message import MESSAGE_MAX_BYTES
from protocol.signature import public_bytes

COMMAND_TYPE: Final = "application/vnd.gated.command+json"
SIGNATURES_MAX: Final = 16
_SIGNATURE_BYTES: Final = 64
_URL_SAFE: Final = str.maketrans("-_", "+/")


class DsseError(ValueError):
    """What is not to be believed; the message says why."""


class EnvelopeError(DsseError):
    """The bytes are no envelope of the wanted type."""


class UnknownKeyError(DsseError):
    """No signature is by a key that is known."""


class ForgedError(DsseError):
    """A signature claims a key that is known, and is not by it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload, and whose valid signatures it bears: at least one, each once."""

    payload: bytes
    keyids: tuple[str, ...]


def pae(payload_type: str, body: bytes) -> bytes:
    """What is signed: the specification's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def keyid(key: Ed25519PublicKey | Ed25519PrivateKey) -> str:
    """The name of a key in envelopes: its public half in hex."""
    return public_bytes(key).hex()


def sign(payload_type: str, body: bytes, keys: Iterable[Ed25519PrivateKey]) -> bytes:
    """The envelope with one signature of each key."""
    covered = pae(payload_type, body)
    envelope = {
        "payload": base64.b64encode(body).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": keyid(key), "sig": base64.b64encode(key.sign(covered)).decode()} for key in keys],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def verify(envelope: bytes, payload_type: str, keys: Mapping[str, Ed25519PublicKey]) -> Opened:
    """The payload, if at least one of `keys` (by keyid) has signed it as that type.

    Raises EnvelopeError, UnknownKeyError, ForgedError; the last also where another signature is valid.
    """
    body, signatures = _read(envelope, payload_type)
    covered = pae(payload_type, body)
    valid = []
    for name, signature in signatures.items():
        key = keys.get(name)
        if key is None:
            continue
        try:
            key.verify(signature, covered)
        except InvalidSignature as error:
            raise ForgedError(f"a signature is not by the key {name[:16]} that it names") from error
        valid.append(name)
    if not valid:
        raise UnknownKeyError("no signature is by a key that is known")
    return Opened(body, tuple(valid))


def _read(envelope: bytes, payload_type: str) -> tuple[bytes, dict[str, bytes]]:
    """The payload, and the signatures by keyid."""
    if len(envelope) > MESSAGE_MAX_BYTES:
        raise EnvelopeError(f"an envelope of {len(envelope)} bytes; at most {MESSAGE_MAX_BYTES} are read")
    try:
        value: Any = json.loads(envelope)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError("no JSON") from error
    if not isinstance(value, dict) or value.get("payloadType") != payload_type:
        raise EnvelopeError(f"no envelope of the type {payload_type}")
    entries = value.get("signatures")
    if not isinstance(entries, list) or not 1 <= len(entries) <= SIGNATURES_MAX:
        raise EnvelopeError(f"an envelope has 1 to {SIGNATURES_MAX} signatures")
    signatures: dict[str, bytes] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise EnvelopeError("a signature is no object")
        name, signature = entry.get("keyid", ""), _decoded(entry.get("sig"))
        if not isinstance(name, str) or name in signatures or len(signature) != _SIGNATURE_BYTES:
            raise EnvelopeError("a signature is none, or there are two of one key")
        signatures[name] = signature
    return _decoded(value.get("payload")), signatures


def _decoded(text: object) -> bytes:
    """Base64, standard or URL-safe: the specification lets the signer choose."""
    if not isinstance(text, str):
        raise EnvelopeError("a text is missing")
    try:
        return base64.b64decode(text.translate(_URL_SAFE).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise EnvelopeError("a text is no base64") from error
