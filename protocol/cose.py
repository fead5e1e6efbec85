"""COSE (RFC 9052, 9053): one signature or one MAC over one payload.

- `COSE_Sign1` with EdDSA (Ed25519), and with ES256, ES384 and ES512 on P-256, P-384 and P-521; `COSE_Mac0` with HMAC
  256/64, which is what is written here, and 256/256, 384/384 and 512/512.
- The algorithm is the key's: a message that names another one than its key is for does not verify.
- `crit` names what a reader must understand; nothing that could stand there is understood, so it is refused.
- What stands unprotected is covered by no signature: whoever minds has it empty (`protocol.eid`).
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from protocol import cbor
from protocol.cbor import CborError, Tagged, Value

SIGN1: Final = 18
MAC0: Final = 17

ES256: Final = -7
ES384: Final = -35
ES512: Final = -36
EDDSA: Final = -8
HMAC_256_64: Final = 4

_ALG: Final = 1
_CRIT: Final = 2
_KID: Final = 4
_PARTS: Final = 4
_CONTEXT: Final = {SIGN1: "Signature1", MAC0: "MAC0"}
_MACS: Final = {HMAC_256_64: ("sha256", 8), 5: ("sha256", 32), 6: ("sha384", 48), 7: ("sha512", 64)}  # bytes of it

PublicKey: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey
PrivateKey: TypeAlias = Ed25519PrivateKey | EllipticCurvePrivateKey
Headers: TypeAlias = Mapping[cbor.Key, Value]


@dataclass(frozen=True, slots=True)
class _Curve:
    """How a curve signs: two numbers of so many bytes each."""

    algorithm: int
    hash: HashAlgorithm
    bytes: int


_CURVES: Final = {
    "secp256r1": _Curve(ES256, SHA256(), 32),
    "secp384r1": _Curve(ES384, SHA384(), 48),
    "secp521r1": _Curve(ES512, SHA512(), 66),
}


class CoseError(ValueError):
    """The bytes are no such message, or it does not verify; the message says why."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message that was read and not yet verified: `payload` is worth nothing before `verified` has given it."""

    kind: int
    """`SIGN1` or `MAC0`."""
    protected: Headers
    unprotected: Headers
    payload: bytes
    proof: bytes
    """The signature, or the MAC."""
    covered: bytes
    """The protected headers as they are signed."""

    @classmethod
    def parse(cls, value: Value, kind: int) -> Self:
        """The message that a decoded value is, with its tag or without. Raises CoseError."""
        if isinstance(value, Tagged):
            if value.tag != kind:
                raise CoseError(f"tagged {value.tag}; {kind} would be right")
            value = value.value
        if not isinstance(value, tuple) or len(value) != _PARTS:
            raise CoseError("it has not the four parts of a message")
        covered, unprotected, payload, proof = value
        if not isinstance(covered, bytes) or not isinstance(unprotected, Mapping):
            raise CoseError("its headers are of the wrong type")
        if not isinstance(payload, bytes) or not isinstance(proof, bytes):
            raise CoseError("its payload or its signature is of the wrong type")
        protected = _protected(covered)
        if _CRIT in protected or _CRIT in unprotected:
            raise CoseError("it demands something of its reader that is not known here")
        if protected.keys() & unprotected.keys():
            raise CoseError("a header is there twice")
        return cls(kind, protected, unprotected, payload, proof, covered if protected else b"")

    @property
    def kid(self) -> bytes | None:
        """Which key it names, protected or not."""
        found = self._header(_KID)
        return found if isinstance(found, bytes) else None

    def verified(self, key: PublicKey | bytes, external: bytes = b"") -> bytes:
        """The payload, if this key has made the message; bytes are a MAC's key. Raises CoseError."""
        algorithm, text = self._header(_ALG), _text(self.kind, self.covered, external, self.payload)
        number = algorithm if type(algorithm) is int else None  # True == 1 and 4.0 == 4 are none
        match key:
            case bytes() if self.kind == MAC0 and number in _MACS:
                if not hmac.compare_digest(_mac(number, key, text), self.proof):
                    raise CoseError("the MAC does not hold")
            case Ed25519PublicKey() if self.kind == SIGN1 and number == EDDSA:
                _held(lambda: key.verify(self.proof, text))
            case EllipticCurvePublicKey() if self.kind == SIGN1 and number == _curve(key.curve).algorithm:
                way = _curve(key.curve)
                _held(lambda: key.verify(_der(self.proof, way.bytes), text, ECDSA(way.hash)))
            case _:
                raise CoseError("the key is for another algorithm")
        return self.payload

    def _header(self, label: int) -> Value:
        return self.protected.get(label, self.unprotected.get(label))


def read(data: bytes, kind: int) -> Sealed:
    """The message in these bytes, not yet verified. Raises CoseError, and nothing else."""
    try:
        return Sealed.parse(cbor.decode(data), kind)
    except CborError as error:
        raise CoseError(str(error)) from error


def sign(payload: bytes, key: PrivateKey, kid: bytes | None = None, external: bytes = b"") -> bytes:
    """A tagged `COSE_Sign1`; all its headers are protected. Raises CoseError for a key that is not for it."""
    if isinstance(key, Ed25519PrivateKey):
        covered = _headers(EDDSA, kid)
        proof = key.sign(_text(SIGN1, covered, external, payload))
    else:
        way = _curve(key.curve)
        covered = _headers(way.algorithm, kid)
        r, s = decode_dss_signature(key.sign(_text(SIGN1, covered, external, payload), ECDSA(way.hash)))
        proof = r.to_bytes(way.bytes) + s.to_bytes(way.bytes)
    return cbor.encode(Tagged(SIGN1, (covered, {}, payload, proof)))


def mac(payload: bytes, key: bytes, kid: bytes | None = None, external: bytes = b"") -> bytes:
    """A tagged `COSE_Mac0`; all its headers are protected."""
    covered = _headers(HMAC_256_64, kid)
    proof = _mac(HMAC_256_64, key, _text(MAC0, covered, external, payload))
    return cbor.encode(Tagged(MAC0, (covered, {}, payload, proof)))


def _headers(algorithm: int, kid: bytes | None) -> bytes:
    return cbor.encode({_ALG: algorithm} if kid is None else {_ALG: algorithm, _KID: kid})


def _protected(covered: bytes) -> Headers:
    if not covered:
        return {}
    try:
        found = cbor.decode(covered)
    except CborError as error:
        raise CoseError(f"its protected headers: {error}") from error
    if not isinstance(found, Mapping):
        raise CoseError("its protected headers are no map")
    return found


def _text(kind: int, covered: bytes, external: bytes, payload: bytes) -> bytes:
    return cbor.encode((_CONTEXT[kind], covered, external, payload))


def _mac(algorithm: int, key: bytes, text: bytes) -> bytes:
    name, size = _MACS[algorithm]
    return hmac.digest(key, text, name)[:size]


def _held(verify: Callable[[], None]) -> None:
    try:
        verify()
    except (InvalidSignature, ValueError) as error:
        raise CoseError("the signature does not hold") from error


def _der(proof: bytes, half: int) -> bytes:
    if len(proof) != 2 * half:
        raise CoseError(f"the signature has not {2 * half} bytes")
    return encode_dss_signature(int.from_bytes(proof[:half]), int.from_bytes(proof[half:]))


def _curve(curve: EllipticCurve) -> _Curve:
    found = _CURVES.get(curve.name)
    if found is None:
        raise CoseError(f"a key is on P-256, P-384 or P-521, not on {curve.name}")
    return found
