"""The e-ID: what the community's registrar writes on a card, as one NDEF record of the external type `gated:eid`.

    COSE_Sign1, EdDSA by a registrar's key; protected: the algorithm and `kid`, the key's first 8 bytes; nothing else
      CWT claims: iss the site, sub the holder's random name, exp, nbf, iat, cti the card's number (`eid:` and its hex)
        -65537  the chip's UID: on any other chip the record is a copy
        -65538  a lockbox for the registry: name, origin, address; padded, so that its length tells little

- A gate needs the registrars' public keys only, and learns no more than it would from a list: a number and a random
  name. Whoever reads the card in passing has the same, and the times.
- The registry's X25519 key opens the rest, without a network. The lockbox is for this site and this card's number.
- It fits an NTAG215: `CARD_MAX_BYTES`. `docs/eid.md` has the sizes.

Whether the card still counts is for the gate to decide (`gated.lanes.decide`): nothing here reads a clock.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import cbor, cose, cwt, lockbox, ndef
from protocol.cbor import CborError
from protocol.cose import CoseError
from protocol.credential import Credential, CredentialError, canonical
from protocol.cwt import Claims, CwtError
from protocol.lockbox import LockboxError, Purpose
from protocol.ndef import NdefError, Record
from protocol.sighting import SignedCard
from protocol.signature import public_bytes
from protocol.whitelist import HOLDER

RECORD_TYPE: Final = b"gated:eid"
SCHEME: Final = "eid:"
CARD_MAX_BYTES: Final = 499
"""The message, on a tag of 504 bytes: five are the tag's own (03 FF, two of length, FE)."""
NUMBER_BYTES: Final = 8
"""A card's number is never shorter; a chip's UID, by which NTAG 424 DNA go (`protocol.sun`), always is."""

_NUMBER_MAX_BYTES: Final = 32
_UID_BYTES: Final = (4, 7, 10)
_KID_BYTES: Final = 8
_UID: Final = cwt.PRIVATE - 1
_SEALED: Final = cwt.PRIVATE - 2
_PURPOSE: Final = "eid"
_PAD: Final = 64
_PAD_MARK: Final = b"\x80"
_HEADERS: Final = frozenset({1, 4})
_HOLDER_PARTS: Final = 3


class EidError(ValueError):
    """The bytes hold no e-ID that counts, or none can be made of this; the message says why."""


class NoEidError(EidError):
    """There is no e-ID record at all."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What a registrar's desk is shown of the holder. Empty texts are what is not known."""

    name: str
    origin: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What stands on a card in clear. Times are POSIX seconds: issued, and valid from `begins` on and before `ends`."""

    site: str
    credential: Credential
    holder: str
    uid: bytes
    issued: float
    begins: float
    ends: float
    key: str = ""
    """The public key that has signed it, 64 hex digits."""
    sealed: bytes = b""

    def seen_on(self, uid: bytes) -> SignedCard:
        """What a gate is told of it, when it was read from the chip with this UID."""
        return SignedCard(
            self.key,
            self.issued,
            begins=self.begins,
            ends=self.ends,
            holder=self.holder,
            copied=uid != self.uid,
        )


def new_number() -> Credential:
    """A number that no card has."""
    return Credential(SCHEME + secrets.token_hex(NUMBER_BYTES).upper())


def make(card: Card, holder: Holder, registry: bytes, key: Ed25519PrivateKey) -> bytes:
    """The NDEF message to be written on the chip; `registry` is its X25519 public key. Raises EidError."""
    checked = _checked(card)
    try:
        sealed = lockbox.seal(_pack(holder), Purpose(_PURPOSE, card.site), {card.credential: registry})
        claims = Claims(
            issuer=card.site,
            subject=card.holder,
            expires=int(card.ends),
            begins=int(card.begins),
            issued=int(card.issued),
            number=checked,
            more={_UID: card.uid, _SEALED: sealed},
        )
        token = cose.sign(cwt.encode(claims), key, public_bytes(key)[:_KID_BYTES])
        message = ndef.encode([Record(ndef.EXTERNAL, RECORD_TYPE, token)])
    except (LockboxError, CborError, NdefError) as error:
        raise EidError(str(error)) from error
    if len(message) > CARD_MAX_BYTES:
        over = len(message) - CARD_MAX_BYTES
        raise EidError(f"it has {over} bytes more than the card can hold; write origin and address shorter")
    return message


def read(message: bytes, site: str, keys: Iterable[Ed25519PublicKey]) -> Card:
    """The card in the NDEF message of a chip, signed for this site with one of these keys.

    Raises NoEidError where there is none, EidError where there is one that does not count; nothing else, whatever the
    bytes are. Whether it was read from its own chip `Card.seen_on` tells.
    """
    try:
        records = ndef.parse(message)
    except NdefError as error:
        raise NoEidError(str(error)) from error
    token = next((one.payload for one in records if (one.tnf, one.type) == (ndef.EXTERNAL, RECORD_TYPE)), None)
    if token is None:
        raise NoEidError("the tag has no e-ID record")
    try:
        key, claims = _verified(token, keys)
    except (CoseError, CwtError) as error:
        raise EidError(str(error)) from error
    if claims.issuer != site:
        raise EidError(f"it is a card of {claims.issuer}")
    return _card(claims, key)


def open_(card: Card, registry: X25519PrivateKey) -> Holder:
    """The holder, for the registry. Raises EidError."""
    try:
        content = lockbox.open_(card.sealed, Purpose(_PURPOSE, card.site), card.credential, registry)
        parts = cbor.decode(content.rstrip(b"\0").removesuffix(_PAD_MARK))
    except (LockboxError, CborError) as error:
        raise EidError(str(error)) from error
    texts = [one for one in parts if isinstance(one, str)] if isinstance(parts, tuple) else []
    if len(texts) < _HOLDER_PARTS:
        raise EidError("what is sealed is no name, origin and address")
    return Holder(*texts[:_HOLDER_PARTS])


def _verified(token: bytes, keys: Iterable[Ed25519PublicKey]) -> tuple[str, Claims]:
    """Whose key it is, and what it has signed."""
    sealed = cose.read(token, cose.SIGN1)
    if sealed.unprotected or sealed.protected.keys() != _HEADERS:
        raise EidError("its headers are not those of an e-ID")
    raw = [(public_bytes(key), key) for key in keys]
    named = [(public, key) for public, key in raw if public[:_KID_BYTES] == sealed.kid]
    if not named:
        raise EidError("no registrar's key of this site has signed it")
    public, key = named[0]
    return public.hex(), cwt.decode(sealed.verified(key))


def _card(claims: Claims, key: str) -> Card:
    uid, sealed = claims.more.get(_UID), claims.more.get(_SEALED)
    if claims.issuer is None or claims.subject is None or claims.number is None or claims.issued is None:
        raise EidError("a claim of an e-ID is missing")
    if claims.expires is None or not isinstance(uid, bytes) or not isinstance(sealed, bytes):
        raise EidError("a claim of an e-ID is missing")
    card = Card(
        claims.issuer,
        Credential(SCHEME + claims.number.hex().upper()),
        claims.subject,
        uid,
        claims.issued,
        claims.issued if claims.begins is None else claims.begins,
        claims.expires,
        key,
        sealed,
    )
    _checked(card)
    return card


def _checked(card: Card) -> bytes:
    """The card's number, where all that it says can be so. Raises EidError."""
    try:
        number = bytes.fromhex(canonical(card.credential).removeprefix(SCHEME))
    except (CredentialError, ValueError) as error:
        raise EidError(f"{card.credential!r} is no number of an e-ID") from error
    if not NUMBER_BYTES <= len(number) <= _NUMBER_MAX_BYTES:
        raise EidError(f"a card's number has {NUMBER_BYTES} to {_NUMBER_MAX_BYTES} bytes, not {len(number)}")
    if len(card.uid) not in _UID_BYTES:
        raise EidError(f"a chip's UID has 4, 7 or 10 bytes, not {len(card.uid)}")
    if not HOLDER.fullmatch(card.holder):
        raise EidError("the holder's random name is 1 to 64 letters a-z, digits, and . _ -")
    if not 0 <= card.begins < card.ends:
        raise EidError("it would never be valid: its end is not after its beginning")
    return number


def _pack(holder: Holder) -> bytes:
    content = cbor.encode((holder.name, holder.origin, holder.address)) + _PAD_MARK
    return content + bytes(-len(content) % _PAD)
