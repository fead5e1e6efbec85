"""EM4100 frames: the real ones, and what a line makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.credential import canonical
from protocol.em4100 import BUFFER_MAX_BYTES, CHECKED, Em4100Codec, Frame, Framing, credential

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "em4100.json").read_text())
frames = st.builds(Frame, st.binary(min_size=5, max_size=5).filter(any), st.sampled_from(CHECKED))
# bytes that frames are made of, so that garbage looks like them
garbage = st.lists(st.one_of(st.sampled_from(list(b"\x02\x03\r\n0123456789ABCDEFabcdef")), st.integers(0, 255))).map(
    bytes
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_real_frames(vector: dict[str, Any]) -> None:
    """Each known frame gives its tag; those with a bad check, and the tag of zeros, give none."""
    codec = Em4100Codec()
    found = codec.feed(bytes.fromhex(vector["hex"]))
    if vector.get("expect") == "bad" or vector["name"] == "esprfid_all_zero":
        assert not found
        assert codec.dropped.frames == 1
        return
    assert len(found) == 1
    assert found[0].to_bytes().hex() == vector["hex"]
    if tag := vector["meaning"].get("tag_hex10"):
        assert canonical(credential(found[0].tag)) == f"em:{tag}"
    if framing := vector["meaning"].get("framing"):
        assert found[0].framing == framing


@given(frames)
def test_a_frame_is_found_as_it_was_written(frame: Frame) -> None:
    """Every tag in every framing, raw checks of 02 and 03 among them, by `auto` and by its own framing alone."""
    data = frame.to_bytes()
    assert Em4100Codec().feed(data) == Em4100Codec(frame.framing).feed(data) == [frame]
    others = [framing for framing in Framing if framing is not frame.framing]
    assert all(Em4100Codec(framing).feed(data) == [] for framing in others)


@given(frames)
def test_lower_case_is_the_same_tag(frame: Frame) -> None:
    """Where the check is digits too; where it is a byte, that byte is none but the check."""
    data = frame.to_bytes()
    low = data.lower() if frame.framing is not Framing.RAW13 else data[:11].lower() + data[11:]
    assert Em4100Codec().feed(low) == [frame]
    if frame.framing is Framing.RAW13 and data.lower()[11:] != data[11:]:
        assert Em4100Codec().feed(data.lower()) == []


@pytest.mark.parametrize("check", [0x02, 0x03])
def test_a_raw_check_may_look_like_a_mark(check: int) -> None:
    """The 13-byte variant is parsed by length."""
    frame = Frame(bytes([check ^ 0x10, 0x10, 0, 0, 0]), Framing.RAW13)
    assert Em4100Codec().feed(frame.to_bytes() * 2) == [frame, frame]


@given(garbage, frames, frames)
def test_no_garbage_hides_a_frame(noise: bytes, one: Frame, two: Frame) -> None:
    """After garbage of any length a good frame is found with its last byte; two glued together are two."""
    assert Em4100Codec().feed(noise + one.to_bytes() + two.to_bytes())[-2:] == [one, two]


@given(st.lists(st.one_of(garbage, frames.map(Frame.to_bytes))), st.data())
def test_chunks_do_not_matter_and_the_buffer_is_bounded(parts: list[bytes], data: st.DataObject) -> None:
    """The same bytes give the same frames however they come; nothing raises, nothing piles up, all is counted."""
    stream, codec, found = b"".join(parts), Em4100Codec(), []
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, 20))
        found += codec.feed(stream[at : at + step])
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
        at += step
    assert found == Em4100Codec().feed(stream)
    kept = sum(len(frame.to_bytes()) for frame in found)
    assert codec.dropped.data + kept + len(codec._buffer) == len(stream)


TAG = bytes.fromhex("0F0184F07A")
PARALLAX = b"\n0F0184F07A\r"  # Parallax, 28140/28340 documentation v2.1, page 2: the tag and its bytes


def test_a_frame_without_a_check_is_taken_where_it_is_named() -> None:
    """Glued, in either case, behind garbage; lines of ten decimal digits would be taken for other tags."""
    frame = Frame(TAG, Framing.PARALLAX)
    assert frame.to_bytes() == PARALLAX
    noise = b"\n0F01\n\n0F0184F07A\n\x02"
    codec = Em4100Codec(Framing.PARALLAX)
    assert codec.feed(noise + PARALLAX * 2 + PARALLAX.lower()) == [frame] * 3
    assert codec.dropped.data == len(noise)
    assert codec.feed(b"\n0000000000\r") == []
    assert Em4100Codec().feed(PARALLAX * 2 + b"0012345678\r\n" * 3) == []


@given(frames, st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"\0", b""]), min_size=2, max_size=2))
def test_line_ends_between_frames_do_not_matter(frame: Frame, ends: list[bytes]) -> None:
    """Some adapters put them behind each frame."""
    assert Em4100Codec().feed(b"".join(frame.to_bytes() + end for end in ends)) == [frame, frame]
