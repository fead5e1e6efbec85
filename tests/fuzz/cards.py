"""Targets of what a card or a phone holds to a reader: CBOR, COSE, CWT, NDEF, e-IDs, taps, lockboxes.

Behind a signature nobody's bytes are tried, so what is to be read is signed here first, with keys of the target's own.
"""

import math
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from protocol import cbor, cose, cwt, eid, lockbox, ndef, sun
from protocol.cbor import CborError
from protocol.cose import CoseError
from protocol.credential import Credential, canonical
from protocol.cwt import Claims, CwtError
from protocol.eid import Card, EidError, Holder
from protocol.lockbox import LockboxError, Purpose
from protocol.ndef import NdefError, Record
from protocol.signature import public_bytes
from protocol.sun import Keys, SunError
from protocol.whitelist import HOLDER
from tests.fuzz.target import Target, cut, frames, halves, numbered, pair, turned, vectors

_ED: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_EC: Final = derive_private_key(4711, SECP256R1())
_MAC_KEY: Final = bytes(32)
_KID: Final = public_bytes(_ED)[:8]
_KEYS: Final[cwt.Keys] = {_KID: _ED.public_key(), b"ec": _EC.public_key(), b"mac": _MAC_KEY}
_REGISTRY: Final = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
_PURPOSE: Final = Purpose("eid", "site")
_SUN: Final = Keys(bytes(16), bytes(range(16)))
_CHANGES: Final = ((b"h7Qk2", b"h7Q 2"), (b"\x40\x47", b"\x40\x46"), (b"dsite", b"dSITE"), (bytes(7), bytes(6)))
_CARD: Final = Card("site", Credential("eid:0011223344556677"), "h7Qk2", bytes(7), 1e9, 1e9, 2e9)


def _cbor() -> Target:
    def check(data: bytes) -> None:
        try:
            value = cbor.decode(data)
        except CborError:
            return
        assert cbor.encode(value) == data

    def seeds() -> Iterator[bytes]:
        yield from frames("cose_cwt")
        deep: cbor.Value = 1
        for _ in range(cbor.DEPTH_MAX - 1):
            deep = (deep,)
        yield b"\x81" * (sys.getrecursionlimit() + 100)
        mixed: dict[cbor.Key, cbor.Value] = {1: 2, "a": (b"b", None), b"k": True}
        values: tuple[cbor.Value, ...] = (deep, mixed, 1.5, 1e300, -(2**64), 2**64 - 1, "岗亭" * 30)
        yield from map(cbor.encode, values)

    return Target(check, seeds, 1400)


def _cose() -> Target:
    """Any bytes; and bytes that were signed or MACed: they come back, with one bit turned never others."""
    keys = (_ED.public_key(), _EC.public_key(), _MAC_KEY)

    def check(data: bytes) -> None:
        number, rest = cut(data)
        for kind in (cose.SIGN1, cose.MAC0):
            with suppress(CoseError):
                sealed = cose.read(rest, kind)
                assert sealed.kid is None or isinstance(sealed.kid, bytes)
                assert not sealed.protected.keys() & sealed.unprotected.keys()
                sealed.verified(keys[number % len(keys)], rest[:3])
        made = (cose.sign(rest, _ED, _KID), cose.sign(rest, _EC), cose.mac(rest, _MAC_KEY))[number % 3]
        kind = cose.MAC0 if number % 3 == 2 else cose.SIGN1
        assert cose.read(made, kind).verified(keys[number % 3]) == rest
        with suppress(CoseError):
            assert cose.read(turned(made, number * 37), kind).verified(keys[number % 3]) == rest

    protected = cbor.encode({1: cose.EDDSA, 4: b"kid"})
    doubled = [cbor.encode((protected, {label: 1}, b"payload", bytes(64))) for label in (1, 2, 4, 5)]
    return Target(check, lambda: numbered([*frames("cose_cwt"), *doubled, b"payload"], 6), 600)


def _cwt() -> Target:
    """Any bytes as a token, and as the claims of a token that is rightly signed."""

    def check(data: bytes) -> None:
        with suppress(CwtError):
            cwt.verified(data, _KEYS)
        try:
            claims = cwt.decode(data)
        except CwtError:
            return
        times = (claims.expires, claims.begins, claims.issued)
        assert all(one is None or math.isfinite(one) for one in times)
        again = cwt.encode(claims)
        assert cwt.encode(cwt.decode(again)) == again
        assert len(again) <= len(data)
        assert cwt.encode(cwt.verified(cose.sign(data, _ED, _KID), _KEYS)) == again

    def seeds() -> Iterator[bytes]:
        yield from frames("cose_cwt")
        for data in frames("cose_cwt"):
            with suppress(CwtError):
                yield cwt.unverified(data).payload
        yield cwt.encode(Claims("iss", "sub", ("a", "b"), 1.5, 2, 3, b"cti", {-65537: b"x", "more": (1, None)}))
        yield from (cbor.encode({claim: number}) for claim in (4, 5, 6) for number in (math.nan, math.inf, 1e300, -1))

    return Target(check, seeds, 600)


def _ndef() -> Target:
    def check(data: bytes) -> None:
        try:
            records = ndef.parse(data)
        except NdefError:
            return
        again = ndef.encode(records)
        assert ndef.parse(again) == records
        assert len(again) < len(data) or again == data

    def seeds() -> Iterator[bytes]:
        yield ndef.encode([Record(ndef.WELL_KNOWN, b"U", b"\x04gate.example/?picc_data=")])
        yield ndef.encode([Record(ndef.EXTERNAL, b"gated:eid", bytes(300)), Record(2, b"a/b", b"text", b"id")])
        yield from map(bytes.fromhex, ("d00000", "f1010055", "b10101555631010155", "d9010100555656"))

    return Target(check, seeds, ndef.MESSAGE_MAX_BYTES + 1)


def _eid() -> Target:
    """Any bytes as a message, as a token in it, as claims that a registrar has signed, and as what is sealed in it."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        match number % 4:
            case 0:
                message = rest
            case 1:
                message = ndef.encode([Record(ndef.EXTERNAL, eid.RECORD_TYPE, rest)])
            case 2:
                message = _signed(rest)
            case _:
                message = _signed(_claims(rest))
        try:
            card = eid.read(message, "site", [_ED.public_key()])
        except EidError:
            return
        assert canonical(card.credential)
        assert HOLDER.fullmatch(card.holder)
        assert len(card.uid) in (4, 7, 10)
        assert len(card.credential) >= len(_CARD.credential)
        assert card.site == "site"
        assert 0 <= card.begins < card.ends
        assert not card.seen_on(card.uid).copied
        assert card.seen_on(card.uid + b"\0").copied
        with suppress(EidError):
            eid.open_(card, _REGISTRY)

    def seeds() -> Iterator[bytes]:
        message = eid.make(_CARD, Holder("王明", "岗", "12-501"), _public(), _ED)
        (record,) = ndef.parse(message)
        payload = cose.read(record.payload, cose.SIGN1).payload
        sealed = cwt.decode(payload).more[cwt.PRIVATE - 2]
        assert isinstance(sealed, bytes)
        every = (message, record.payload, payload, sealed)
        yield from (b"\x02" + payload.replace(*change) for change in _CHANGES)
        yield from (bytes([number]) + one for number, one in enumerate(every))
        yield b"\x03" + lockbox.seal(b"\x83aaabac\x80", _PURPOSE, {_CARD.credential: _public()})

    return Target(check, seeds, 600)


def _public() -> bytes:
    return _REGISTRY.public_key().public_bytes_raw()


def _signed(payload: bytes) -> bytes:
    return ndef.encode([Record(ndef.EXTERNAL, eid.RECORD_TYPE, cose.sign(payload, _ED, _KID))])


def _claims(sealed: bytes) -> bytes:
    more: dict[cwt.Claim, cbor.Value] = {cwt.PRIVATE - 1: bytes(7), cwt.PRIVATE - 2: sealed}
    return cwt.encode(Claims("site", "h7Qk2", (), 2e9, 1e9, 1e9, bytes(8), more))


def _eid_made() -> Target:
    """What is written of any holder is read at the gate and opened by the registry, or is said to be too long."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        name, more = halves(rest)
        origin, address = halves(more)
        holder = Holder(*(one.decode(errors="replace") for one in (name, origin, address)))
        card = replace(_CARD, credential=Credential(f"eid:{rest[:8].hex().upper():0<16}"), uid=bytes(number % 12))
        try:
            message = eid.make(card, holder, _public(), _ED)
        except EidError:
            return
        assert len(message) <= eid.CARD_MAX_BYTES
        read = eid.read(message, card.site, [_ED.public_key()])
        assert replace(read, key="", sealed=b"") == card
        assert eid.open_(read, _REGISTRY) == holder
        with suppress(EidError):
            other = eid.read(turned(message, number * 37), card.site, [_ED.public_key()])
            assert other == read

    return Target(
        check, lambda: numbered([pair("王明".encode(), pair("岗".encode(), b"12-501")), b"name", b""], 12), 200
    )


def _sun() -> Target:
    """Any bytes as a message, as the link in it, and as UID and counter of a chip that has the right keys."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        with suppress(SunError):
            sun.read(rest, _SUN)
        with suppress(SunError):
            sun.read(ndef.encode([Record(ndef.WELL_KNOWN, b"U", rest)]), _SUN)
        plain = (b"\xc7" + rest).ljust(16, b"\0")[:16]
        session = sun._cmac(_SUN.file, bytes.fromhex("3cc300010080") + plain[1:11])
        encryptor = Cipher(AES(_SUN.meta), CBC(bytes(16))).encryptor()
        picc, enc = encryptor.update(plain), bytes(number % 3 * 16).hex().encode()
        covered = enc + b"&cmac=" if enc else b""
        mac = sun._cmac(session, covered)[1::2]
        query = b"?picc_data=" + picc.hex().encode() + b"&" + (b"enc=" if enc else b"") + (covered or b"cmac=")
        link = query + mac.hex().upper().encode()
        tap = sun.read(ndef.encode([Record(ndef.WELL_KNOWN, b"U", link)]), _SUN)
        assert (tap.uid, tap.counter) == (plain[1:8], int.from_bytes(plain[8:11], "little"))
        assert canonical(tap.credential)
        clear = f"?u={tap.uid.hex()}&c={tap.counter:06X}&m={sun._cmac(session, b'')[1::2].hex()}".encode()
        assert sun.read(ndef.encode([Record(ndef.WELL_KNOWN, b"U", clear)]), _SUN) == tap
        with suppress(SunError):
            sun.verified(turned(picc, number * 5), mac, _SUN, covered)
            raise AssertionError(picc)

    def seeds() -> Iterator[bytes]:
        for one in vectors("ntag424_sun"):
            meaning = one["meaning"]
            query = b"\x04" + (meaning.get("link") or f"a.b/?p={one['hex']}&c={meaning['cmac']}").encode()
            yield b"\x00" + query
            yield b"\x01" + ndef.encode([Record(ndef.WELL_KNOWN, b"U", query)])
        yield b"\x02\x04\xde\x5f\x1e\xac\xc0\x40\x3d\x00\x00"

    return Target(check, seeds, 300)


def _lockbox() -> Target:
    """Any bytes; and any content, which comes back to its recipients and, with one bit turned, to nobody."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        with suppress(LockboxError):
            lockbox.open_(rest, _PURPOSE, "north", _REGISTRY)
        names = [f"other-{one}" for one in range(number % 3)]
        box = lockbox.seal(rest, _PURPOSE, {**dict.fromkeys(names, bytes([9, *bytes(31)])), "north": _public()})
        assert lockbox.open_(box, _PURPOSE, "north", _REGISTRY) == rest
        for wrong in (turned(box, number * 37), box[:-1], box + b"\0"):
            with suppress(LockboxError):
                lockbox.open_(wrong, _PURPOSE, "north", _REGISTRY)
                raise AssertionError(wrong)

    def seeds() -> Iterator[bytes]:
        yield b"\x01" + lockbox.seal(b"content", _PURPOSE, {"north": _public()})
        yield b"\x02content"
        yield b"\x00" + bytes([lockbox.VERSION]) + bytes(32) + b"\x00\x01" + bytes(64)

    return Target(check, seeds, 300)


CARDS: Final = {
    "cbor": _cbor(),
    "cose": _cose(),
    "cwt": _cwt(),
    "ndef": _ndef(),
    "eid": _eid(),
    "eid_made": _eid_made(),
    "sun": _sun(),
    "lockbox": _lockbox(),
}
