"""The e-ID: a gate reads what it needs and no more, the registry reads the rest, and nobody alters or copies it."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, cose, cwt, eid, ndef
from protocol.credential import Credential
from protocol.cwt import Claims
from protocol.eid import CARD_MAX_BYTES, RECORD_TYPE, Card, EidError, Holder, NoEidError
from protocol.ndef import EXTERNAL, WELL_KNOWN, Record
from protocol.sighting import SignedCard

DESK, OTHER = (Ed25519PrivateKey.generate() for _ in range(2))
REGISTRY = X25519PrivateKey.generate()
REGISTRY_PUBLIC = REGISTRY.public_key().public_bytes_raw()
KEYS = (OTHER.public_key(), DESK.public_key())
UID = bytes.fromhex("04a2b3c4d5e680")
CARD = Card(
    "shenhang", Credential("eid:0123456789ABCDEF"), "h7Qk2mZx9w", UID, 1_795_000_000, 1_795_000_000, 1_826_000_000
)
HOLDER = Holder("王小明", "安徽省阜阳市临泉县", "申航路88弄12号301室")
MESSAGE = eid.make(CARD, HOLDER, REGISTRY_PUBLIC, DESK)


def test_a_gate_reads_it() -> None:
    """The gate learns number, random name and times, and whose key it was."""
    card = eid.read(MESSAGE, "shenhang", KEYS)
    assert replace(card, key="", sealed=b"") == CARD
    assert card.key == DESK.public_key().public_bytes_raw().hex()
    assert card.seen_on(UID) == SignedCard(card.key, CARD.issued, CARD.begins, CARD.ends, CARD.holder, copied=False)


def test_another_chip() -> None:
    """The same bytes on another chip are a copy."""
    card = eid.read(MESSAGE, "shenhang", KEYS)
    assert card.seen_on(bytes(7)).copied
    assert card.seen_on(UID[:4]).copied


def test_the_registry_opens_it() -> None:
    """With the registry's key the desk is shown the holder; with another it is not."""
    card = eid.read(MESSAGE, "shenhang", KEYS)
    assert eid.open_(card, REGISTRY) == HOLDER
    with pytest.raises(EidError):
        eid.open_(card, X25519PrivateKey.generate())


@pytest.mark.parametrize("change", [{"site": "another"}, {"credential": Credential("eid:1123456789ABCDEF")}])
def test_what_is_sealed_stays_with_its_card(change: dict[str, Any]) -> None:
    """The sealed part does not open on another card, nor for another site."""
    card = eid.read(MESSAGE, "shenhang", KEYS)
    with pytest.raises(EidError):
        eid.open_(replace(card, **change), REGISTRY)


def test_nothing_in_clear() -> None:
    """Nobody finds a piece of the holder's data in the bytes, nor tells two names by their length."""
    for part in (HOLDER.name, HOLDER.origin, HOLDER.address):
        for size in (2, 3):
            for start in range(len(part) - size + 1):
                assert part[start : start + size].encode() not in MESSAGE
    assert len(eid.make(CARD, Holder("李", "", ""), REGISTRY_PUBLIC, DESK)) == len(
        eid.make(CARD, Holder("欧阳小明", "上海", "1号"), REGISTRY_PUBLIC, DESK)
    )
    assert eid.make(CARD, HOLDER, REGISTRY_PUBLIC, DESK)[200:] != MESSAGE[200:]


def test_it_fits_the_card() -> None:
    """A usual holder, and the longest names of site and holder with a short address, fit an NTAG215; more is said."""
    assert len(MESSAGE) == 399
    longest = replace(CARD, site="s" * 40, holder="h" * 22)
    assert len(eid.make(longest, HOLDER, REGISTRY_PUBLIC, DESK)) <= CARD_MAX_BYTES
    usual = Holder("阿卜杜热合曼·买买提", "新疆维吾尔自治区喀什地区莎车县", "上海市闵行区浦锦街道申航路88弄12号楼301室")
    assert eid.open_(eid.read(eid.make(CARD, usual, REGISTRY_PUBLIC, DESK), "shenhang", KEYS), REGISTRY) == usual
    with pytest.raises(EidError, match="more than the card can hold"):
        eid.make(CARD, replace(usual, address="路" * 100), REGISTRY_PUBLIC, DESK)


def test_one_bit_anywhere() -> None:
    """Any single bit of the whole message turned: no card. Nor is any piece of it one."""
    for bit in range(len(MESSAGE) * 8):
        turned = bytearray(MESSAGE)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EidError):
            eid.read(bytes(turned), "shenhang", KEYS)
    for length in range(len(MESSAGE)):
        with pytest.raises(EidError):
            eid.read(MESSAGE[:length], "shenhang", KEYS)


@pytest.mark.parametrize(("site", "keys"), [("another", KEYS), ("shenhang", KEYS[:1]), ("shenhang", ()), ("", KEYS)])
def test_of_another_site_or_key(site: str, keys: Any) -> None:
    """A card of another site, or by a key that is no registrar's, is none."""
    with pytest.raises(EidError):
        eid.read(MESSAGE, site, keys)


def test_beside_other_records() -> None:
    """A link beside the record does not hide it; a record of that name in another's words is none."""
    token = ndef.parse(MESSAGE)[0].payload
    link = Record(WELL_KNOWN, b"U", b"\x04example.com")
    both = ndef.encode([link, Record(EXTERNAL, RECORD_TYPE, token)])
    assert eid.read(both, "shenhang", KEYS).credential == CARD.credential
    for message in (ndef.encode([link]), ndef.encode([Record(WELL_KNOWN, RECORD_TYPE, token)]), b""):
        with pytest.raises(NoEidError):
            eid.read(message, "shenhang", KEYS)


@pytest.mark.parametrize(
    "change",
    [
        {"credential": Credential("eid:01234567")},
        {"credential": Credential("uid:0123456789ABCDEF")},
        {"credential": Credential("eid:0123456789abcdef")},
        {"uid": b""},
        {"uid": bytes(5)},
        {"holder": ""},
        {"holder": "王"},
        {"ends": CARD.begins},
        {"begins": -1},
    ],
)
def test_what_no_card_says(change: dict[str, Any]) -> None:
    """Neither made nor, where somebody has signed it all the same, read."""
    with pytest.raises(EidError):
        eid.make(replace(CARD, **change), HOLDER, REGISTRY_PUBLIC, DESK)


FULL = Claims("shenhang", "h", (), 20, 10, 10, bytes(8), {-65537: UID, -65538: b""})


def signed(claims: Claims, *, unprotected: dict[cbor.Key, cbor.Value] | None = None, **headers: Any) -> bytes:
    """A message with these claims, truly signed."""
    token = cose.sign(cwt.encode(claims), DESK, DESK.public_key().public_bytes_raw()[:8], **headers)
    if unprotected is not None:
        value = cbor.decode(token)
        assert isinstance(value, cbor.Tagged)
        assert isinstance(value.value, tuple)
        covered, _, payload, proof = value.value
        token = cbor.encode(cbor.Tagged(18, (covered, unprotected, payload, proof)))
    return ndef.encode([Record(EXTERNAL, RECORD_TYPE, token)])


@pytest.mark.parametrize(
    "change",
    [
        *[{name: None} for name in ("issuer", "subject", "expires", "issued", "number")],
        {"more": {-65537: UID}},
        {"more": {-65538: b""}},
        {"more": {-65537: "04", -65538: b""}},
        {"number": bytes(7)},
        {"number": bytes(33)},
        {"subject": "no name"},
        {"expires": 10},
    ],
)
def test_signed_and_yet_none(change: dict[str, Any]) -> None:
    """A registrar's signature over what is no card is no card; with all claims it is one, `nbf` may be missing."""
    assert eid.read(signed(replace(FULL, begins=None)), "shenhang", KEYS).begins == 10
    with pytest.raises(EidError):
        eid.read(signed(replace(FULL, **change)), "shenhang", KEYS)


def test_nothing_unprotected() -> None:
    """What a passer-by could write beside the signature is refused."""
    assert eid.read(signed(FULL, unprotected={}), "shenhang", KEYS).holder == "h"
    with pytest.raises(EidError):
        eid.read(signed(FULL, unprotected={99: 1}), "shenhang", KEYS)


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes(data: bytes, wrapped: bool) -> None:  # noqa: FBT001 - Hypothesis gives it so
    """Any bytes, as the tag's or as the record's: the one error."""
    message = ndef.encode([Record(EXTERNAL, RECORD_TYPE, data)]) if wrapped else data
    with pytest.raises(EidError):
        eid.read(message, "shenhang", KEYS)


@given(st.binary(max_size=200))
def test_any_sealed_bytes(data: bytes) -> None:
    """Whatever a registrar has put in place of the lockbox: the one error."""
    with pytest.raises(EidError):
        eid.open_(replace(CARD, sealed=data), REGISTRY)


def test_numbers_are_new() -> None:
    """Two numbers differ, and make cards."""
    one, two = eid.new_number(), eid.new_number()
    assert one != two
    message = eid.make(replace(CARD, credential=one), HOLDER, REGISTRY_PUBLIC, DESK)
    assert eid.read(message, "shenhang", KEYS).credential == one
