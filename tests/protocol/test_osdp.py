"""OSDP frames: the real ones both ways, cards in them, the secure channel's keys, and what a line makes of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.osdp import BUFFER_MAX_BYTES, LENGTH_MAX, MARK, Cmd, Frame, Identity, OsdpCodec, Read, Reply
from tests.osdp_keys import cryptograms, session_keys

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "osdp.json").read_text())
FRAMES = [vector for vector in VECTORS if vector["meaning"].get("kind") != "sc_kat"]
(KAT,) = [vector["meaning"] for vector in VECTORS if vector["meaning"].get("kind") == "sc_kat"]
byte = st.integers(0, 255)
blocks = st.one_of(
    st.just(b""),
    st.builds(lambda kind, key: bytes([3, kind, key]), st.integers(0x11, 0x14), st.integers(0, 1)),
    st.builds(lambda kind: bytes([2, kind]), st.integers(0x15, 0x18)),
)
frames = st.builds(
    lambda address, code, data, reply, sequence, crc, block, mac: Frame(
        address, code, data, reply, sequence, crc, block, mac if block[1:2] >= b"\x15" else b""
    ),
    st.integers(0, 0x7F),
    byte,
    st.binary(max_size=64),
    st.booleans(),
    st.integers(0, 3),
    st.booleans(),
    blocks,
    st.binary(min_size=4, max_size=4),
)
# bytes that frames are made of, so that garbage looks like them
garbage = st.lists(st.one_of(st.sampled_from([0x53, 0xFF, 0x08, 0x00, 0x80, 0x05]), byte), max_size=200).map(bytes)


def whole(codec: OsdpCodec, data: bytes) -> list[Frame]:
    """What the codec makes of bytes followed by silence."""
    return codec.feed(data) + codec.gap()


@pytest.mark.parametrize("vector", FRAMES, ids=lambda vector: vector["name"])
def test_real_frames(vector: dict[str, Any]) -> None:
    """Each known frame is read, means what it should, and is written byte for byte."""
    data = bytes.fromhex(vector["hex"])
    (frame,) = OsdpCodec().feed(data)
    assert frame.to_bytes() == data.lstrip(MARK)
    assert frame.reply == (vector["direction"] == "reader_to_host")
    meaning = vector["meaning"]
    assert frame.code == int((meaning.get("reply") or meaning.get("cmd"))[:2], 16)
    assert frame.address == meaning.get("address", frame.address)
    assert (frame.block.hex(), frame.mac.hex()) == (meaning.get("block", ""), meaning.get("mac", ""))
    if "vendor" in meaning:
        identity = Identity.from_frame(frame)
        assert identity is not None
        assert (identity.vendor, identity.firmware) == (meaning["vendor"], meaning["firmware"])
    if "bits" in meaning:
        read = Read.from_data(frame.data)
        assert read is not None
        assert (read.reader, read.format, read.count) == (meaning["reader"], meaning["format"], meaning["bits"])
        assert read.data == bytes.fromhex(meaning["data"])
        assert read.to_data() == frame.data
    if "out" in meaning:
        timer = int.from_bytes(frame.data[2:], "little")
        assert (*frame.data[:2], timer) == (meaning["out"], meaning["code"], meaning["timer"])


def test_the_bits_of_a_card() -> None:
    """Those that were sent, highest first, and no more than there are."""
    assert Read(0, 1, 26, bytes.fromhex("85BFAAC0")).bits == "10000101101111111010101011"


@given(st.integers(0, 255), st.integers(0, 255), st.text("01", max_size=160))
def test_a_card_reads_as_it_was_written(reader: int, form: int, bits: str) -> None:
    """Any number of bits."""
    data = int(bits.ljust((len(bits) + 7) // 8 * 8, "0") or "0", 2).to_bytes((len(bits) + 7) // 8, "big")
    read = Read(reader, form, len(bits), data)
    assert read.bits == bits
    assert Read.from_data(read.to_data()) == read


@given(st.binary(max_size=12))
def test_a_card_that_does_not_add_up_is_none(data: bytes) -> None:
    """Whatever stands in the reply: it is whole, or no card."""
    found = Read.from_data(data)
    assert found is None or found.to_data() == data


def test_what_is_encrypted_is_no_identity() -> None:
    """A command, and a reply under the secure channel, tell none."""
    told = Frame(5, Reply.PDID, bytes(12), reply=True)
    assert Identity.from_frame(told) is not None
    assert Identity.from_frame(replace(told, reply=False)) is None
    assert Identity.from_frame(replace(told, block=b"\x02\x18", mac=bytes(4))) is None


@given(frames)
def test_a_frame_reads_as_it_was_written(frame: Frame) -> None:
    """With CRC or checksum, with any security block, with its mark or without."""
    assert OsdpCodec().feed(frame.to_bytes()) == [frame]
    assert OsdpCodec().feed(MARK + frame.to_bytes()) == [frame]


@given(st.lists(frames, max_size=4), st.data())
def test_chunks_do_not_matter(wanted: list[Frame], data: st.DataObject) -> None:
    """Frames glued together, cut anywhere, are the same frames."""
    stream = b"".join(frame.to_bytes() for frame in wanted)
    codec, found, at = OsdpCodec(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream)))
        found += codec.feed(stream[at : at + size])
        at += size
    assert found == wanted
    assert codec.dropped.data == codec.dropped.frames == 0


@given(st.lists(garbage, max_size=20))
def test_any_bytes_never_raise_and_never_pile_up(chunks: list[bytes]) -> None:
    """Whatever comes, what is kept stays within the bound."""
    codec = OsdpCodec()
    for chunk in chunks:
        codec.feed(chunk)
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
    codec.gap()


@given(garbage, frames)
def test_a_frame_is_found_after_garbage(noise: bytes, frame: Frame) -> None:
    """Behind any garbage (here to 200 bytes), at the latest in the silence behind the frame."""
    assert frame in whole(OsdpCodec(), noise + frame.to_bytes())


@given(frames, st.data())
def test_a_flipped_bit_is_no_frame(frame: Frame, data: st.DataObject) -> None:
    """The check sees it: that frame is not found."""
    torn = bytearray(frame.to_bytes())
    torn[data.draw(st.integers(0, len(torn) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert frame not in whole(OsdpCodec(), bytes(torn))


def test_a_false_length_does_not_hold_up_for_ever() -> None:
    """A beginning that claims the most there is is given up at the next silence."""
    frame, codec = Frame(1, Cmd.POLL), OsdpCodec()
    false = b"\x53\x80" + LENGTH_MAX.to_bytes(2, "little") + b"\x04"
    assert codec.feed(false + frame.to_bytes()) == []
    assert codec.pending
    assert codec.gap() == [frame]


@pytest.mark.parametrize("block", ["00", "01", "0c1500"])
def test_a_security_block_that_leaves_no_code(block: str) -> None:
    """It is dropped and counted."""
    body = bytes.fromhex(block)
    head = b"\x53\x80" + (5 + len(body) + 1).to_bytes(2, "little") + b"\x08"
    data, codec = head + body, OsdpCodec()
    assert whole(codec, data + bytes([-sum(data) & 0xFF])) == []
    assert codec.dropped.data


def test_the_key_schedule_is_the_standards() -> None:
    """The answer test of annex E. `tests/drivers/test_osdp.py` holds it against what goes over a line."""
    scbk, cp, pd = (bytes.fromhex(KAT[name]) for name in ("scbk", "cp_random", "pd_random"))
    assert {name: key.hex() for name, key in session_keys(scbk, cp).items()} == {
        n: KAT[n] for n in ("s_enc", "s_mac1", "s_mac2")
    }
    assert [one.hex() for one in cryptograms(scbk, cp, pd)] == [KAT["cp_cryptogram"], KAT["pd_cryptogram"]]
