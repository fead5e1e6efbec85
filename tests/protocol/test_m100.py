"""M100 frames: the real ones, both directions, tags with their own check, and what a line makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.checksum import sum8
from protocol.credential import canonical
from protocol.gen2 import TID_WORDS, credential, pc_of, tid
from protocol.m100 import (
    BUFFER_MAX_BYTES,
    FRAME_MAX_BYTES,
    PARAMETERS_MAX_BYTES,
    Cmd,
    Error,
    Frame,
    Kind,
    M100Codec,
    Memory,
    Region,
    Tag,
    command,
    info,
    is_tag,
    multi_poll,
    power_data,
    read_tid,
    select,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "m100.json").read_text())
byte = st.integers(0, 255)
epcs = st.integers(0, 31).flatmap(lambda words: st.binary(min_size=2 * words, max_size=2 * words))
rssis = st.integers(-128, 127)
told = st.builds(lambda epc, rssi, antenna: Tag(pc_of(epc), epc, rssi, antenna), epcs, rssis, byte)
tags = st.one_of(st.builds(Tag.of, epcs, rssis), told)
others = st.builds(Frame, st.sampled_from(Kind), byte, st.binary(max_size=PARAMETERS_MAX_BYTES)).filter(
    lambda frame: not is_tag(frame)
)
frames = st.one_of(tags.map(Tag.to_frame), others)
# bytes that frames are made of, so that garbage looks like them
garbage = st.lists(st.one_of(st.sampled_from([0xBB, 0x7E, 0, 1, 2, 0x22]), byte), max_size=2 * FRAME_MAX_BYTES).map(
    bytes
)


def real(name: str) -> Frame:
    """The frame in a vector."""
    (frame,) = M100Codec().feed(bytes.fromhex(next(v["hex"] for v in VECTORS if v["name"] == name)))
    return frame


def whole(codec: M100Codec, data: bytes) -> list[Frame]:
    """What the codec makes of bytes followed by silence."""
    return codec.feed(data) + codec.gap()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_real_frames(vector: dict[str, Any]) -> None:
    """Each known frame is read and written byte for byte; those with a wrong sum or length are refused."""
    data = bytes.fromhex(vector["hex"])
    codec = M100Codec()
    found = whole(codec, data)
    if vector.get("expect") == "bad":
        assert not found
        return
    assert [frame.to_bytes() for frame in found] == [data]
    assert (found[0].kind is Kind.COMMAND) == (vector["direction"] == "host_to_reader")
    assert codec.dropped.frames == codec.dropped.data == 0
    if "epc" in vector["meaning"]:
        tag = Tag.from_frame(found[0])
        told = tag or Memory.from_frame(found[0])
        assert told is not None
        assert told.epc.hex().upper() == vector["meaning"]["epc"]
        assert told.pc.hex() == vector["meaning"]["pc"].lower()
        assert tag is None or tag.rssi == vector["meaning"].get("rssi_dbm", tag.rssi)
    if "error" in vector["meaning"]:
        assert found[0].error is not None
    if "text" in vector["meaning"]:
        assert (info(found[0]) or (0, ""))[1] == vector["meaning"]["text"]


def test_what_real_notices_mean() -> None:
    """EPC, PC and dBm, and the tag's own CRC holds; an error reply is one."""
    doc, seen = Tag.from_frame(real("tag_notice_doc")), Tag.from_frame(real("tag_notice_real_1"))
    assert doc == Tag(b"\x34\x00", bytes.fromhex("30751FEB705C5904E3D50D70"), -55)
    assert seen == Tag(b"\x30\x00", bytes.fromhex("E200001D7315016521408FC6"), -60)
    assert canonical(credential(seen.epc)) == "epc:E200001D7315016521408FC6"
    assert real("err_no_tag").error == Error.NO_TAG
    assert real("set_power_ok").error is None


def test_commands_are_as_published() -> None:
    """What we send, against the sources' own bytes."""
    assert command(Cmd.INFO, b"\0") == real("hw_version")
    assert multi_poll(10_000) == real("multi_poll_10000")
    assert command(Cmd.STOP) == real("stop_multi")
    assert command(Cmd.REGION) == real("get_region")
    assert command(Cmd.SET_REGION, bytes([Region.CHINA_920])) == real("set_region_china2")
    assert command(Cmd.SET_REGION, bytes([Region.EU])) == real("set_region_eu")
    assert command(Cmd.POWER) == real("get_power")
    assert command(Cmd.SET_POWER, power_data(20)) == real("set_power_20dbm")
    assert select(bytes.fromhex("30751FEB705C5904E3D50D70")) == real("set_select")
    assert read_tid(TID_WORDS) == real("read_tid_6_words")


def test_real_chips() -> None:
    """Whose memory it is, and what was read of it: a TID of 96 bits each, with XTID and without."""
    for name in ("read_tid_real_1", "read_tid_real_2"):
        told = next(vector["meaning"] for vector in VECTORS if vector["name"] == name)
        memory = Memory.from_frame(real(name))
        assert memory == Memory(*(bytes.fromhex(told[key]) for key in ("pc", "epc", "tid")))
        assert tid(memory.data) == told["tid"]
        assert memory.to_frame() == real(name)
    user = Memory.from_frame(real("read_user_doc"))
    assert user is not None
    assert user.data == bytes.fromhex("12345678")


@pytest.mark.parametrize(
    "parameters",
    ["", "00", "0E", "0e3400" + "30751FEB705C5904E3D50D70", "0a3400111100000002112212345678", "03240011e2801160"],
)
def test_memory_that_does_not_add_up_is_none(parameters: str) -> None:
    """Nothing behind the EPC, or an EPC of another length than its own PC tells."""
    assert Memory.from_frame(Frame(Kind.REPLY, Cmd.READ, bytes.fromhex(parameters))) is None


@given(st.binary(max_size=80))
def test_any_memory_can_be_asked_whose_it_is(parameters: bytes) -> None:
    """Nothing raises."""
    Memory.from_frame(Frame(Kind.REPLY, Cmd.READ, parameters))


@given(tags)
def test_a_tag_reads_as_it_was_written(tag: Tag) -> None:
    """EPCs of all lengths that there are, each with a canonical credential; RSSI has a sign."""
    (frame,) = M100Codec().feed(tag.to_frame().to_bytes())
    assert Tag.from_frame(frame) == tag
    assert not tag.epc or canonical(credential(tag.epc))


@given(tags, st.data())
def test_a_tag_that_fails_its_own_check_is_dropped_and_counted(tag: Tag, data: st.DataObject) -> None:
    """One flipped bit in PC, EPC or CRC, under a frame whose sum is right, is no tag, and nothing within it is one."""
    whole_tag = tag.to_frame().parameters
    checked = len(whole_tag) - (tag.antenna is not None)
    at, bit = data.draw(st.integers(1, checked - 1)), data.draw(st.integers(0, 7))
    torn = bytearray(whole_tag)
    torn[at] ^= 1 << bit
    frame, codec = Frame(Kind.NOTICE, Cmd.POLL, bytes(torn)), M100Codec()
    assert Tag.from_frame(frame) is None
    assert codec.feed(frame.to_bytes() * 2) == []
    assert (codec.dropped.frames, codec.failed_tags) == (2, 2)
    assert codec.feed(tag.to_frame().to_bytes()) == [tag.to_frame()]


def test_the_length_in_the_pc_must_fit() -> None:
    """A right CRC over a PC that tells another length is no tag; a tag that nobody has written is one."""
    epc = bytes.fromhex("E200001D7315016521408FC6")
    assert Tag.from_frame(Tag(pc_of(epc[:10]), epc, -60).to_frame()) is None
    assert Tag.from_frame(Tag(b"\x08\0", b"", -60).to_frame()) is None
    assert Tag.from_frame(Tag(pc_of(epc), epc + b"\0\0", -60).to_frame()) is None
    sound = Tag(pc_of(epc), epc, -60, 1).to_frame()
    assert Tag.from_frame(Frame(sound.kind, sound.command, sound.parameters + b"\0")) is None
    assert Tag.from_frame(Tag.of(b"", -60).to_frame()) == Tag(b"\0\0", b"", -60)
    for size in range(6):
        assert Tag.from_frame(Frame(Kind.NOTICE, Cmd.POLL, bytes(size))) is None


def test_a_frame_within_a_tag_is_no_frame() -> None:
    """An EPC written as the image of a notice does not count as one, even where the tag around it fails its check."""
    inner = Tag.of(bytes.fromhex("E200001D7315016521408FC6"), -40).to_frame().to_bytes()
    outer = Tag.of(inner, -60).to_frame()
    assert M100Codec().feed(outer.to_bytes()) == [outer]
    torn = Frame(outer.kind, outer.command, outer.parameters[:-1] + b"\0")
    assert whole(M100Codec(), torn.to_bytes()) == []


@given(frames, frames)
def test_both_directions_read_as_they_were_written(one: Frame, two: Frame) -> None:
    """Two glued frames are two."""
    assert M100Codec().feed(one.to_bytes() + two.to_bytes()) == [one, two]


@given(garbage, frames, frames)
def test_no_garbage_hides_a_frame(noise: bytes, one: Frame, two: Frame) -> None:
    """After garbage of any length good frames come with the next silence, or the next bytes, at last."""
    data = noise + one.to_bytes() + two.to_bytes()
    assert whole(M100Codec(), data)[-2:] == [one, two]
    codec = M100Codec()
    assert [one, two] == [*codec.feed(data), *codec.feed(bytes(FRAME_MAX_BYTES))][-2:]


@given(frames, st.data())
def test_one_wrong_byte_is_no_frame(frame: Frame, data: st.DataObject) -> None:
    """Sum and end are both checked; the next frame is found all the same."""
    torn = bytearray(frame.to_bytes())
    at = data.draw(st.integers(0, len(torn) - 1))
    torn[at] ^= data.draw(st.integers(1, 255))
    assert frame not in whole(M100Codec(), bytes(torn))


def test_the_end_is_checked_beside_the_sum() -> None:
    """A right sum without 7E is no frame, nor 7E behind a wrong sum."""
    good = real("err_no_tag").to_bytes()
    assert sum8(good[1:-2]) == good[-2]
    assert whole(M100Codec(), good[:-1] + b"\x7f") == []
    assert whole(M100Codec(), good[:-2] + bytes([good[-2] ^ 1, good[-1]])) == []


def test_a_false_head_waits_for_silence_or_for_its_length_and_no_longer() -> None:
    """A head that claims 255 bytes holds a frame up until `gap`, or until as many have come; then no more."""
    head, tag = bytes.fromhex("bb022200ff"), real("tag_notice_real_1")
    codec = M100Codec()
    assert codec.feed(head + tag.to_bytes()) == []
    assert codec.pending
    assert codec.gap() == [tag]
    assert not codec.pending
    many = FRAME_MAX_BYTES // len(tag.to_bytes()) + 1
    assert M100Codec().feed(head + tag.to_bytes() * many) == [tag] * many


def test_a_pause_within_a_frame_loses_nothing() -> None:
    """What USB tears apart is put together again, whatever the silence between."""
    codec, frame = M100Codec(), real("tag_notice_real_1")
    assert codec.feed(frame.to_bytes()[:9]) + codec.gap() == []
    assert codec.feed(frame.to_bytes()[9:]) == [frame]


@given(st.lists(st.one_of(garbage, frames.map(Frame.to_bytes)), max_size=5), st.integers(1, 300))
def test_chunks_do_not_matter_and_the_buffer_is_bounded(parts: list[bytes], step: int) -> None:
    """The same bytes give the same frames however they come; nothing raises, nothing piles up, all is counted."""
    stream, codec, found = b"".join(parts), M100Codec(), []
    for at in range(0, len(stream), step):
        found += codec.feed(stream[at : at + step])
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
    assert found == M100Codec().feed(stream)
    found += codec.gap()
    kept = sum(len(frame.to_bytes()) for frame in found)
    assert codec.dropped.data + kept + len(codec._buffer) == len(stream)
