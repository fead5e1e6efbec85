"""COSE and CWT: the standard's own tokens verify, what differs in one bit does not, and nothing else is ever raised."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, cose, cwt
from protocol.cbor import Tagged
from protocol.cose import MAC0, SIGN1, CoseError
from protocol.cwt import Claims, CwtError

VECTORS = {
    one["name"]: one for one in json.loads((Path(__file__).parents[1] / "vectors" / "cose_cwt.json").read_text())
}
SIGNED, MACED = (VECTORS[name] for name in ("rfc8392_A3_signed", "rfc8392_A4_mac"))
FLOAT = VECTORS["rfc8392_A7_float"]
PUBLISHED = [one for one in VECTORS.values() if "payload" in one["meaning"]]
CURVES: dict[str, EllipticCurve] = {"P-256": SECP256R1(), "P-384": SECP384R1(), "P-521": SECP521R1()}
ED = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
EC = generate_private_key(SECP256R1())
KID = b"desk-1"


def keys(vector: dict[str, Any]) -> cwt.Keys:
    """The key of one of the standard's tokens, by the name that the token gives it."""
    meaning = vector["meaning"]
    if meaning["kind"] == "mac0":
        return {b"Symmetric256": bytes.fromhex(meaning["k"])}
    x, y = (int(meaning[half], 16) for half in "xy")
    return {b"AsymmetricECDSA256": EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()}


CLAIMS = Claims("site", "h7Qk2", ("north",), 2e9, 1.5, 1, b"\x01", {-65537: b"uid", "word": (1, "two")})
OURS = cose.sign(cwt.encode(CLAIMS), ED, KID)
OURS_EC = cose.sign(cwt.encode(CLAIMS), EC, KID)
OURS_MAC = cose.mac(cwt.encode(CLAIMS), bytes(32), KID)
TOKENS = {
    "A.3": (bytes.fromhex(SIGNED["hex"]), keys(SIGNED)),
    "A.4": (bytes.fromhex(MACED["hex"]), keys(MACED)),
    "EdDSA": (OURS, {KID: ED.public_key()}),
    "ES256": (OURS_EC, {KID: EC.public_key()}),
    "HMAC": (OURS_MAC, {KID: bytes(32)}),
}


@pytest.mark.parametrize("vector", [SIGNED, MACED], ids=lambda vector: vector["name"])
def test_the_standards_own_tokens(vector: dict[str, Any]) -> None:
    """RFC 8392 A.3 (ES256) and A.4 (HMAC 256/64, under the tag of a token) verify and say what they say."""
    assert cwt.verified(bytes.fromhex(vector["hex"]), keys(vector)) == Claims(
        issuer="coap://as.example.com",
        subject="erikw",
        audience=("coap://light.example.com",),
        expires=1444064944,
        begins=1443944944,
        issued=1443944944,
        number=b"\x0b\x71",
    )


def published_key(meaning: dict[str, Any]) -> cose.PublicKey | bytes:
    """The key of one of the working group's examples."""
    if meaning["kind"] == "mac0":
        return bytes.fromhex(meaning["k"])
    if meaning["curve"] == "Ed25519":
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(meaning["x"]))
    x, y = (int(meaning[half], 16) for half in "xy")
    return EllipticCurvePublicNumbers(x, y, CURVES[meaning["curve"]]).public_key()


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["name"])
def test_the_working_groups_examples(vector: dict[str, Any]) -> None:
    """Those that hold verify and give their payload, tagged or not; those that were made wrong do not."""
    data, meaning = bytes.fromhex(vector["hex"]), vector["meaning"]
    kind, key = {"sign1": SIGN1, "mac0": MAC0}[meaning["kind"]], published_key(meaning)
    external = bytes.fromhex(meaning.get("external", ""))
    if vector.get("expect") == "bad":
        with pytest.raises(CoseError):
            cose.read(data, kind).verified(key, external)
        return
    assert cose.read(data, kind).verified(key, external).hex() == meaning["payload"]
    with pytest.raises(CoseError, match="hold"):
        cose.read(data, kind).verified(key, external + b"more")


def test_a_time_in_parts_of_a_second() -> None:
    """RFC 8392 A.7."""
    assert cwt.verified(bytes.fromhex(FLOAT["hex"]), keys(FLOAT)) == Claims(issued=1443944944.5)


@pytest.mark.parametrize("name", TOKENS)
def test_one_bit_anywhere(name: str) -> None:
    """Any single bit turned, and it does not verify; nor does any piece of it."""
    token, known = TOKENS[name]
    cwt.verified(token, known)
    for bit in range(len(token) * 8):
        turned = bytearray(token)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CwtError):
            cwt.verified(bytes(turned), known)
    for length in range(len(token)):
        with pytest.raises(CwtError):
            cwt.verified(token[:length], known)


@pytest.mark.parametrize("token", [OURS, OURS_EC, OURS_MAC])
def test_what_is_made_is_read(token: bytes) -> None:
    """All claims come back; under the tag of a token, too."""
    for data in (token, cbor.encode(Tagged(cwt.TAG, cbor.decode(token)))):
        assert cwt.verified(data, {KID: ED.public_key() if token is OURS else known(token)}) == CLAIMS


def known(token: bytes) -> Any:
    """The other two's keys."""
    return EC.public_key() if token is OURS_EC else bytes(32)


@pytest.mark.parametrize(
    "key",
    [Ed25519PrivateKey.generate().public_key(), EC.public_key(), generate_private_key(SECP384R1()).public_key(), b"k"],
)
def test_another_key(key: Any) -> None:
    """Another key, or one for another algorithm, verifies nothing; nor does a name that is not known."""
    with pytest.raises(CwtError):
        cwt.verified(OURS, {KID: key})
    with pytest.raises(CwtError, match="not known here"):
        cwt.verified(OURS, {b"desk-2": ED.public_key()})


def test_a_mac_is_no_signature() -> None:
    """A public key does not serve as a MAC's key, nor a MAC where a signature is asked for."""
    with pytest.raises(CwtError):
        cwt.verified(OURS_MAC, {KID: ED.public_key()})
    with pytest.raises(CoseError, match="18 would be right"):
        cose.read(OURS_MAC, SIGN1)
    bare = cbor.encode(cbor.decode(OURS).value)  # type: ignore[union-attr]
    assert cose.read(bare, SIGN1).verified(ED.public_key()) == cwt.encode(CLAIMS)
    with pytest.raises(CoseError):
        cose.read(bare, MAC0).verified(bytes(32))


def test_what_stands_beside() -> None:
    """What both sides know and nobody sends is covered."""
    sealed = cose.read(cose.sign(b"payload", ED, external=b"context"), SIGN1)
    assert sealed.verified(ED.public_key(), b"context") == b"payload"
    with pytest.raises(CoseError):
        sealed.verified(ED.public_key())


@pytest.mark.parametrize(
    ("protected", "unprotected", "why"),
    [
        ({1: -8, 2: (7,), 7: 1}, {}, "demands"),
        ({1: -8}, {2: (7,)}, "demands"),
        ({1: -8}, {1: -8}, "twice"),
        ({1: -8, 4: b"a"}, {4: b"b"}, "twice"),
        ({1: -7}, {}, "another algorithm"),
        ({}, {}, "another algorithm"),
        ({1: -8.0}, {}, "another algorithm"),
    ],
)
def test_headers(protected: dict[cbor.Key, cbor.Value], unprotected: dict[cbor.Key, cbor.Value], why: str) -> None:
    """A demand, a header that is there twice and another algorithm are refused though the signature holds."""
    covered = cbor.encode(protected) if protected else b""
    proof = ED.sign(cbor.encode(("Signature1", covered, b"", b"p")))
    data = cbor.encode(Tagged(SIGN1, (covered, unprotected, b"p", proof)))
    with pytest.raises(CoseError, match=why):
        cose.read(data, SIGN1).verified(ED.public_key())


@pytest.mark.parametrize("written", [b"", b"\xa0"])
def test_nothing_protected(written: bytes) -> None:
    """No protected header at all may be written in two ways, and is signed as one (RFC 9052, 4.4)."""
    proof = ED.sign(cbor.encode(("Signature1", b"", b"", b"p")))
    data = cbor.encode(Tagged(SIGN1, (written, {1: -8}, b"p", proof)))
    assert cose.read(data, SIGN1).verified(ED.public_key()) == b"p"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        cbor.encode(()),
        cbor.encode({b"key": 1}),
        cbor.encode({1: 5}),
        cbor.encode({1: None}),
        cbor.encode({3: (1,)}),
        cbor.encode({4: "soon"}),
        cbor.encode({6: True}),
        cbor.encode({6: float("nan")}),
        cbor.encode({6: Tagged(1, 5)}),
        cbor.encode({7: "11"}),
    ],
)
def test_claims_of_the_wrong_type(payload: bytes) -> None:
    """Signed or not, what is no claim is refused."""
    with pytest.raises(CwtError):
        cwt.verified(cose.sign(payload, ED, KID), {KID: ED.public_key()})


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_each_curve_signs_by_its_own_algorithm(curve: EllipticCurve) -> None:
    """What a key signs its public half verifies, and no other curve's."""
    key = generate_private_key(curve)
    sealed = cose.read(cose.sign(b"p", key), SIGN1)
    assert sealed.verified(key.public_key()) == b"p"
    for other in (one for one in CURVES.values() if one is not curve):
        with pytest.raises(CoseError, match="another algorithm"):
            sealed.verified(generate_private_key(other).public_key())


def test_another_curve() -> None:
    """It neither signs nor verifies."""
    key = generate_private_key(SECP256K1())
    with pytest.raises(CoseError, match="P-256"):
        cose.sign(b"", key)
    with pytest.raises(CoseError, match="P-256"):
        cose.read(OURS_EC, SIGN1).verified(key.public_key())


pieces = st.one_of(st.binary(max_size=8), st.none(), st.integers(), st.just({1: -8}), st.just({1: 4}), st.just({}))
shapes = st.builds(
    lambda tag, parts: cbor.encode(Tagged(tag, tuple(parts))),
    st.sampled_from([17, 18, 61]),
    st.lists(pieces.filter(lambda one: not isinstance(one, int) or abs(one) < 2**63), min_size=3, max_size=5),
)


@given(st.one_of(st.binary(max_size=80), shapes))
def test_any_bytes(data: bytes) -> None:
    """Any bytes, any parts: the one error."""
    with pytest.raises(CwtError):
        cwt.verified(data, {b"": ED.public_key(), KID: ED.public_key()})


@given(
    st.builds(
        Claims,
        *[st.none() | st.text(max_size=9)] * 2,
        st.lists(st.text(max_size=9), max_size=3).map(tuple),
        *[st.none() | st.floats(allow_nan=False, allow_infinity=False)] * 3,
        st.none() | st.binary(max_size=9),
    )
)
def test_claims_come_back(claims: Claims) -> None:
    """Whatever can be claimed is read as it was claimed."""
    assert cwt.decode(cwt.encode(claims)) == claims
    assert cwt.decode(cwt.encode(replace(claims, more={99: 1}))).more == {99: 1}
