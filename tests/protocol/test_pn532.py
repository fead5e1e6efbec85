"""PN532 frames: the real ones, both directions, and what a line makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.pn532 import BUFFER_MAX_BYTES, DATA_MAX_BYTES, FRAME_MAX_BYTES, Frame, Kind, Pn532Codec

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "pn532.json").read_text())
KINDS = {"ACK": Kind.ACK, "NAK": Kind.NAK, "application error 7F": Kind.ERROR}
frames = st.one_of(
    st.sampled_from([Frame(Kind.ACK), Frame(Kind.NAK), Frame(Kind.ERROR)]),
    st.builds(Frame, st.sampled_from([Kind.COMMAND, Kind.REPLY]), st.binary(max_size=DATA_MAX_BYTES - 1)),
)
# bytes that frames are made of, so that garbage looks like them
garbage = st.lists(st.one_of(st.sampled_from([0, 0xFF, 0xD4, 0xD5, 1]), st.integers(0, 255)), max_size=300).map(bytes)


def whole(codec: Pn532Codec, data: bytes) -> list[Frame]:
    """What the codec makes of bytes followed by silence."""
    return codec.feed(data) + codec.gap()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_real_frames(vector: dict[str, Any]) -> None:
    """Each known frame is read, and written byte for byte but for what wakes a chip; broken ones are not."""
    data, meaning = bytes.fromhex(vector["hex"]), vector["meaning"]
    found = whole(Pn532Codec(), data)
    if vector.get("expect") == "bad":
        assert not found
        return
    assert len(found) == meaning.get("frames", 1)
    written, frame = b"".join(each.to_bytes() for each in found), found[-1]
    assert data.endswith(written)
    assert not data.removesuffix(written).strip(b"\x00\x55")
    if "kind" in meaning:
        assert frame.kind is KINDS[meaning["kind"]]
        return
    assert frame.kind is (Kind.COMMAND if vector["direction"] == "host_to_reader" else Kind.REPLY)
    if "cmd" in meaning:
        assert frame.data[0] == int(meaning["cmd"].split()[0], 16)
    if "len" in meaning:
        assert len(frame.data) + 1 == meaning["len"]
    if "uid" in meaning:
        assert frame.data.endswith(bytes.fromhex(meaning["uid"]))


@given(frame=frames)
def test_there_and_back(frame: Frame) -> None:
    """What is written is read; beyond 255 bytes it is extended."""
    data = frame.to_bytes()
    assert Pn532Codec().feed(data) == [frame]
    assert (data[3:5] == b"\xff\xff") == (len(frame.data) > 254)
    assert len(data) <= FRAME_MAX_BYTES


@given(chunks=st.lists(st.binary(max_size=300)))
def test_nothing_raises(chunks: list[bytes]) -> None:
    """Any bytes, in any pieces: the buffer stays bounded."""
    codec = Pn532Codec()
    for chunk in chunks:
        codec.feed(chunk)
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
        codec.gap()


@given(noise=garbage, frame=frames)
def test_found_behind_garbage(noise: bytes, frame: Frame) -> None:
    """A good frame is found behind whatever precedes it, at the latest when the line falls silent."""
    assert frame in whole(Pn532Codec(), noise + b"\x01" + frame.to_bytes())


@given(first=frames, second=frames, cut=st.integers(1, 8))
def test_glued_and_torn(first: Frame, second: Frame, cut: int) -> None:
    """Two frames that come as one piece are two, however the bytes are cut."""
    data, codec = first.to_bytes() + second.to_bytes(), Pn532Codec()
    pieces = [codec.feed(data[at : at + cut]) for at in range(0, len(data), cut)]
    assert [frame for piece in pieces for frame in piece] == [first, second]
    assert codec.dropped.data == codec.dropped.frames == 0


@given(frame=frames, data=st.data())
def test_an_altered_byte_is_noticed(frame: Frame, data: st.DataObject) -> None:
    """No frame with one byte altered is taken for the same."""
    raw = bytearray(frame.to_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    assert frame not in whole(Pn532Codec(), bytes(raw))
