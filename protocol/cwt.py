"""CWT (RFC 8392): claims in a signed or MACed COSE message.

It may stand under tag 61, then its COSE tag stands below it. Whether the claims' times hold is asked with a time from
outside: nothing here reads a clock.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from protocol import cbor
from protocol.cbor import CborError, Tagged, Value
from protocol.cose import MAC0, SIGN1, CoseError, PublicKey, Sealed

TAG: Final = 61
PRIVATE: Final = -65536
"""Claims numbered below it are anybody's own (section 9.1)."""

Claim: TypeAlias = int | str
Keys: TypeAlias = Mapping[bytes, "PublicKey | bytes"]

_ISS, _SUB, _AUD, _EXP, _NBF, _IAT, _CTI = range(1, 8)


class CwtError(ValueError):
    """The bytes are no token, or none that counts; the message says why."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Times are POSIX seconds; `more` are claims that are not among the registered first seven."""

    issuer: str | None = None
    subject: str | None = None
    audience: tuple[str, ...] = ()
    expires: float | None = None
    begins: float | None = None
    issued: float | None = None
    number: bytes | None = None
    more: Mapping[Claim, Value] = field(default_factory=dict)


def verified(data: bytes, keys: Keys) -> Claims:
    """What the token says, if the key that it names has made it. Raises CwtError, and nothing else."""
    sealed = unverified(data)
    key = keys.get(sealed.kid) if sealed.kid is not None else None
    if key is None:
        raise CwtError("the key that it names is not known here")
    try:
        return decode(sealed.verified(key))
    except CoseError as error:
        raise CwtError(str(error)) from error


def unverified(data: bytes) -> Sealed:
    """The message that carries the token, for whoever finds the key in another way. Raises CwtError."""
    try:
        value = cbor.decode(data)
        if isinstance(value, Tagged) and value.tag == TAG:
            value = value.value
        if not isinstance(value, Tagged):
            raise CwtError("neither signed nor MACed, as far as its tag says")
        return Sealed.parse(value, MAC0 if value.tag == MAC0 else SIGN1)
    except (CborError, CoseError) as error:
        raise CwtError(str(error)) from error


def encode(claims: Claims) -> bytes:
    """The payload; what is None is left out."""
    values: dict[cbor.Key, Value] = {
        _ISS: claims.issuer,
        _SUB: claims.subject,
        _AUD: (claims.audience if len(claims.audience) > 1 else claims.audience[0]) if claims.audience else None,
        _EXP: claims.expires,
        _NBF: claims.begins,
        _IAT: claims.issued,
        _CTI: claims.number,
    }
    values.update(claims.more.items())
    return cbor.encode({key: value for key, value in values.items() if value is not None})


def decode(payload: bytes) -> Claims:
    """The claims of a payload. Raises CwtError."""
    try:
        found = cbor.decode(payload)
    except CborError as error:
        raise CwtError(str(error)) from error
    if not isinstance(found, Mapping) or any(isinstance(key, bytes) for key in found):
        raise CwtError("its claims are no map of claims")
    return Claims(
        issuer=_text(found, _ISS),
        subject=_text(found, _SUB),
        audience=_audience(found.get(_AUD)),
        expires=_time(found, _EXP),
        begins=_time(found, _NBF),
        issued=_time(found, _IAT),
        number=_bytes(found, _CTI),
        more={key: value for key, value in found.items() if not isinstance(key, bytes) and not _first(key)},
    )


def _first(key: Claim) -> bool:
    return isinstance(key, int) and _ISS <= key <= _CTI


def _text(found: Mapping[cbor.Key, Value], claim: int) -> str | None:
    value = found.get(claim)
    if claim in found and not isinstance(value, str):
        raise CwtError(f"claim {claim} is no text")
    return value if isinstance(value, str) else None


def _bytes(found: Mapping[cbor.Key, Value], claim: int) -> bytes | None:
    value = found.get(claim)
    if claim in found and not isinstance(value, bytes):
        raise CwtError(f"claim {claim} is no bytes")
    return value if isinstance(value, bytes) else None


def _time(found: Mapping[cbor.Key, Value], claim: int) -> float | None:
    if claim not in found:
        return None
    value = found[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CwtError(f"claim {claim} is no time")
    return value


def _audience(value: Value) -> tuple[str, ...]:
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    if not all(isinstance(one, str) for one in values):
        raise CwtError(f"claim {_AUD} is neither a text nor some")
    return tuple(one for one in values if isinstance(one, str))
