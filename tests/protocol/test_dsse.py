"""DSSE envelopes: the specification's own example, and nothing believed that no known key has signed."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from protocol import dsse
from protocol.message import MESSAGE_MAX_BYTES

ONE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEYS: Final[Mapping[str, Ed25519PublicKey]] = {dsse.keyid(ONE): ONE.public_key()}
TYPE: Final = "http://example.com/HelloWorld"
BODY: Final = b"hello world"
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def envelope(**changed: Any) -> bytes:
    """A right envelope, with some of its members changed."""
    return json.dumps({**json.loads(dsse.sign(TYPE, BODY, [ONE])), **changed}).encode()


def test_the_specifications_example() -> None:
    """PAE as protocol.md writes it; an empty body and another alphabet are counted in bytes."""
    assert dsse.pae(TYPE, BODY) == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse.pae("", b"") == b"DSSEv1 0  0 "
    assert dsse.pae("类", "岗亭".encode()) == b"DSSEv1 3 \xe7\xb1\xbb 6 " + "岗亭".encode()


@given(st.binary(max_size=1000))
def test_what_was_signed_comes_back(body: bytes) -> None:
    """Any bytes, by either of two keys."""
    found = dsse.verify(dsse.sign(TYPE, body, [OTHER, ONE]), TYPE, KEYS)
    assert found == dsse.Opened(body, (dsse.keyid(ONE),))


def test_both_alphabets() -> None:
    """Standard and URL-safe base64, as the specification lets the signer choose."""
    body = b"\xfb\xff\xfe"
    value = json.loads(dsse.sign(TYPE, body, [ONE]))
    value["payload"] = base64.urlsafe_b64encode(body).decode()
    value["signatures"][0]["sig"] = value["signatures"][0]["sig"].replace("+", "-").replace("/", "_")
    assert dsse.verify(json.dumps(value).encode(), TYPE, KEYS).payload == body


def test_forged() -> None:
    """Another payload, another type, another's signature, one signature that is wrong beside one that is right."""
    right = json.loads(dsse.sign(TYPE, BODY, [ONE]))
    foreign = json.loads(dsse.sign(TYPE, BODY, [OTHER]))["signatures"][0]
    for forged in (
        envelope(payload=base64.b64encode(b"hello World").decode()),
        envelope(signatures=[{**foreign, "keyid": dsse.keyid(ONE)}]),
    ):
        with pytest.raises(dsse.ForgedError):
            dsse.verify(forged, TYPE, KEYS)
    with pytest.raises(dsse.ForgedError):
        dsse.verify(envelope(payloadType="other"), "other", KEYS)
    both = {**KEYS, dsse.keyid(OTHER): OTHER.public_key()}
    wrong = {"keyid": dsse.keyid(OTHER), "sig": right["signatures"][0]["sig"]}
    with pytest.raises(dsse.ForgedError):
        dsse.verify(envelope(signatures=[*right["signatures"], wrong]), TYPE, both)


def test_by_nobody_we_know() -> None:
    """An unknown key, and a right signature without its name."""
    nameless = json.loads(envelope())["signatures"][0]
    del nameless["keyid"]
    for unknown in (dsse.sign(TYPE, BODY, [OTHER]), envelope(signatures=[nameless])):
        with pytest.raises(dsse.UnknownKeyError):
            dsse.verify(unknown, TYPE, KEYS)
    with pytest.raises(dsse.UnknownKeyError):
        dsse.verify(envelope(), TYPE, {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 10_000,
        envelope(payloadType="application/json"),
        envelope(payload=None),
        envelope(payload="äöü"),
        envelope(payload="abc"),
        envelope(signatures=[]),
        envelope(signatures={}),
        envelope(signatures=["x"]),
        envelope(signatures=[{"keyid": 7, "sig": ""}]),
        envelope(signatures=[{"keyid": "x", "sig": "AAAA"}]),
        envelope(signatures=json.loads(envelope())["signatures"] * 2),
        envelope(more="x" * MESSAGE_MAX_BYTES),
        dsse.sign(TYPE, BODY, [Ed25519PrivateKey.generate() for _ in range(dsse.SIGNATURES_MAX + 1)]),
    ],
)
def test_no_envelope(data: bytes) -> None:
    """Whatever is none is said to be none."""
    with pytest.raises(dsse.EnvelopeError):
        dsse.verify(data, TYPE, KEYS)


@given(st.binary(max_size=500) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(data: bytes) -> None:
    """No exception but ours."""
    with pytest.raises(dsse.DsseError):
        dsse.verify(data, TYPE, KEYS)


@given(JSON, JSON, JSON, JSON)
def test_any_members(payload: Any, kind: Any, keyid: Any, sig: Any) -> None:
    """Envelopes of the right shape with anything in them: no exception but ours."""
    for value in (envelope(payload=payload), envelope(payloadType=kind), envelope(signatures=payload)):
        try:
            dsse.verify(value, TYPE, KEYS)
        except dsse.DsseError:
            continue
    with pytest.raises(dsse.DsseError):
        dsse.verify(envelope(signatures=[{"keyid": keyid, "sig": sig}]), TYPE, KEYS)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_byte_is_another(place: int, change: int) -> None:
    """An envelope with one byte changed is refused, or says the same."""
    data = bytearray(dsse.sign(TYPE, BODY, [ONE]))
    data[place % len(data)] ^= change
    try:
        found = dsse.verify(bytes(data), TYPE, KEYS)
    except dsse.DsseError:
        return
    assert found.payload == BODY
