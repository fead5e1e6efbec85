"""Lockboxes: who has one of the keys opens them, nobody else; the algorithms are those of the RFCs."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from protocol import lockbox
from protocol.lockbox import LockboxError, NotForUsError, Purpose

PURPOSE = Purpose("test", "shenhang")
NORTH, SOUTH, OTHER = (X25519PrivateKey.generate() for _ in range(3))


def public(key: X25519PrivateKey) -> bytes:
    """A key's public half."""
    return key.public_key().public_bytes_raw()


BOTH = {"north": public(NORTH), "south": public(SOUTH)}
SEALED = lockbox.seal(b"content", PURPOSE, BOTH)


def test_each_recipient_opens_it() -> None:
    """With its own key; also one without content, and one that is for one only."""
    assert lockbox.open_(SEALED, PURPOSE, "north", NORTH) == b"content"
    assert lockbox.open_(SEALED, PURPOSE, "south", SOUTH) == b"content"
    assert lockbox.open_(lockbox.seal(b"", PURPOSE, {"north": public(NORTH)}), PURPOSE, "north", NORTH) == b""


@pytest.mark.parametrize(
    ("purpose", "name", "key"),
    [
        (PURPOSE, "north", OTHER),
        (PURPOSE, "north", SOUTH),
        (PURPOSE, "south", NORTH),
        (Purpose("test", "another"), "north", NORTH),
        (Purpose("expected", "shenhang"), "north", NORTH),
    ],
)
def test_nobody_else_opens_it(purpose: Purpose, name: str, key: X25519PrivateKey) -> None:
    """Not another key, nor a recipient's under another name, for another site or another purpose."""
    with pytest.raises(NotForUsError):
        lockbox.open_(SEALED, purpose, name, key)


def test_sealed_twice_it_has_nothing_in_common() -> None:
    """Neither key nor ciphertext: equal contents do not show."""
    again = lockbox.seal(b"content", PURPOSE, BOTH)
    assert len(again) == len(SEALED)
    assert again[1:33] != SEALED[1:33]
    assert again[35:83] != SEALED[35:83]
    assert again[-23:] != SEALED[-23:]


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_each_byte_is_authenticated(place: int) -> None:
    """One bit anywhere, even in what is wrapped for somebody else, and it does not open."""
    changed = bytearray(SEALED)
    changed[place] ^= 1
    with pytest.raises(LockboxError):
        lockbox.open_(bytes(changed), PURPOSE, "north", NORTH)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"\x01" + data))
def test_whatever_the_bytes_are(data: bytes) -> None:
    """No other error."""
    with pytest.raises(LockboxError):
        lockbox.open_(data, PURPOSE, "north", NORTH)


@given(st.integers(0, len(SEALED) - 1), st.binary(max_size=40))
def test_cut_and_lengthened(cut: int, more: bytes) -> None:
    """No other error either."""
    for data in (SEALED[:cut], SEALED[:cut] + more + b"\0", SEALED + more + b"\0"):
        if data != SEALED:
            with pytest.raises(LockboxError):
                lockbox.open_(data, PURPOSE, "north", NORTH)


def test_a_key_that_is_none_is_named() -> None:
    """One of a wrong length, and one that gives the same secret to everybody."""
    for bad in (b"", bytes(32), b"\1" + bytes(31)):
        with pytest.raises(LockboxError, match="south"):
            lockbox.seal(b"", PURPOSE, {"north": public(NORTH), "south": bad})
    with pytest.raises(LockboxError, match="1001 recipients"):
        lockbox.seal(b"", PURPOSE, {str(number): public(NORTH) for number in range(1001)})
    with pytest.raises(LockboxError, match="its key is none"):
        lockbox.open_(SEALED[:1] + bytes(32) + SEALED[33:], PURPOSE, "north", NORTH)
    with pytest.raises(LockboxError, match="version 2"):
        lockbox.open_(b"\2" + SEALED[1:], PURPOSE, "north", NORTH)


def test_x25519_as_in_rfc_7748() -> None:
    """Section 5.2, the first vector: scalar, u-coordinate, and what comes out."""
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    u = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    out = X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(u))
    assert out.hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"


def test_hkdf_as_in_rfc_5869() -> None:
    """Appendix A.3: SHA-256, without salt and info."""
    derived = HKDF(algorithm=SHA256(), length=42, salt=None, info=b"").derive(b"\x0b" * 22)
    assert derived.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
