"""NTAG 424 DNA: the maker's own taps verify, and nothing that differs in a bit."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from protocol import ndef, sun
from protocol.credential import canonical
from protocol.ndef import WELL_KNOWN, Record
from protocol.sun import NoSunError, SunError, Tap

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ntag424_sun.json").read_text())
GOOD = [one for one in VECTORS if one.get("expect") != "bad"]
ENCRYPTED = [one for one in GOOD if "cmac" in one["meaning"]]


def keys(vector: dict[str, Any]) -> sun.Keys:
    """The keys of a tap."""
    return sun.Keys(bytes.fromhex(vector["meaning"]["k_meta"]), bytes.fromhex(vector["meaning"]["k_file"]))


def link(vector: dict[str, Any], host: bytes = b"\x04gate.example/?") -> bytes:
    """The message that such a chip shows."""
    meaning = vector["meaning"]
    if "link" in meaning:
        return ndef.encode([Record(WELL_KNOWN, b"U", b"\x04" + meaning["link"].encode())])
    enc = f"enc={meaning['enc']}&" if "enc" in meaning else ""
    query = f"picc_data={vector['hex'].upper()}&{enc}cmac={meaning['cmac']}"
    return ndef.encode([Record(WELL_KNOWN, b"U", host + query.encode())])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_makers_own_taps(vector: dict[str, Any]) -> None:
    """Each is read, by its link too, and the one that was altered is not."""
    meaning = vector["meaning"]
    if vector.get("expect") == "bad":
        with pytest.raises(SunError, match="MAC"):
            sun.read(link(vector), keys(vector))
        return
    tap = sun.read(link(vector), keys(vector))
    assert (tap.uid.hex().upper(), tap.counter) == (meaning["uid"], meaning["ctr"])
    assert canonical(tap.credential) == f"eid:{meaning['uid']}"


@pytest.mark.parametrize("vector", ENCRYPTED, ids=lambda vector: vector["name"])
def test_one_bit_anywhere(vector: dict[str, Any]) -> None:
    """Any bit of what is encrypted, covered or the MAC turned; other keys; pieces: no tap."""
    picc, mac = bytes.fromhex(vector["hex"]), bytes.fromhex(vector["meaning"]["cmac"])
    enc = vector["meaning"].get("enc")
    covered = f"{enc}&cmac=".encode() if enc else b""
    whole = (picc, mac, covered)
    assert isinstance(sun.verified(picc, mac, keys(vector), covered), Tap)
    for part, data in enumerate(whole):
        for bit in range(len(data) * 8):
            turned = bytearray(data)
            turned[bit // 8] ^= 1 << bit % 8
            other = [*whole[:part], bytes(turned), *whole[part + 1 :]]
            with pytest.raises(SunError):
                sun.verified(other[0], other[1], keys(vector), other[2])
    for wrong in (sun.Keys(bytes(15) + b"\1", bytes(16)), sun.Keys(bytes(16), bytes(15) + b"\1")):
        with pytest.raises(SunError):
            sun.verified(picc, mac, wrong, covered)
    for cut in ((picc[:-1], mac), (b"", mac), (picc, mac[:-1]), (picc, b"")):
        with pytest.raises(SunError):
            sun.verified(*cut, keys(vector), covered)


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector["name"])
def test_one_digit_anywhere_in_a_link(vector: dict[str, Any]) -> None:
    """Any hex digit of a link changed for another: no tap."""
    message = link(vector)
    start = message.index(b"=") + 1
    for at in (at for at in range(start, len(message)) if message[at] in b"0123456789ABCDEF"):
        for other in b"0", b"F", b"=":
            turned = message[:at] + other + message[at + 1 :]
            if turned == message:
                continue
            with pytest.raises(SunError):
                sun.read(turned, keys(vector))


@pytest.mark.parametrize("tag", [0x00, 0x47, 0x87, 0xC6])
def test_a_chip_that_is_set_otherwise(tag: int) -> None:
    """Without its UID or its counter in what is encrypted, a true MAC says nothing of whose tap it was."""
    known, inside = sun.Keys(bytes(16), bytes(16)), bytes.fromhex("04de5f1eacc0403d0000")
    encryptor = Cipher(AES(known.meta), CBC(bytes(16))).encryptor()
    picc = encryptor.update(bytes([tag]) + inside + bytes(5)) + encryptor.finalize()
    mac = bytes.fromhex("94EED9EE65337086")
    with pytest.raises(SunError, match="another site"):
        sun.verified(picc, mac, known)


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes(data: bytes, wrapped: bool) -> None:  # noqa: FBT001 - Hypothesis gives it so
    """Any bytes, as the tag's or as a link: the one error."""
    message = ndef.encode([Record(WELL_KNOWN, b"U", data)]) if wrapped else data
    with pytest.raises(SunError):
        sun.read(message, keys(ENCRYPTED[0]))


@pytest.mark.parametrize("host", [b"\x04gate.example/?x=1&", b"\x00"])
def test_other_links(host: bytes) -> None:
    """Further words before it do not matter; what is no parameter of a link is none of ours."""
    if host.endswith(b"&"):
        assert sun.read(link(ENCRYPTED[0], host), keys(ENCRYPTED[0])).counter == 61
        return
    with pytest.raises(NoSunError):
        sun.read(link(ENCRYPTED[0], host), keys(ENCRYPTED[0]))
