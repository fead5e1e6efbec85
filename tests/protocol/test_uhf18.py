"""UHFReader18 frames: the real ones, both directions, and what a line makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.credential import canonical
from protocol.gen2 import credential
from protocol.uhf18 import (
    BUFFER_MAX_BYTES,
    Cmd,
    Command,
    CommandCodec,
    Heartbeat,
    Info,
    Reply,
    ReplyCodec,
    Status,
    epcs,
    inventory_data,
    read_beyond,
    read_tid_data,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "uhf18.json").read_text())
byte = st.integers(0, 255)
words = st.integers(1, 31).flatmap(lambda count: st.binary(min_size=2 * count, max_size=2 * count))
replies = st.builds(Reply, byte, st.integers(1, 255), byte, st.binary(max_size=250))
commands = st.builds(Command, byte, byte, st.binary(max_size=251))
garbage = st.lists(st.one_of(st.sampled_from([0, 4, 5, 0x11, 0x56, 0xEE, 0xFF]), byte), max_size=600).map(bytes)


def whole(codec: ReplyCodec, data: bytes) -> list[Reply | Heartbeat]:
    """What the codec makes of bytes followed by silence."""
    return codec.feed(data) + codec.gap()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_real_frames(vector: dict[str, Any]) -> None:
    """Each known frame is read and written byte for byte; those with a wrong CRC, or cut short, are refused."""
    data = bytes.fromhex(vector["hex"])
    host = vector["direction"] == "host_to_reader"
    codec = CommandCodec() if host else ReplyCodec()
    found = codec.feed(data)
    if vector.get("expect") == "bad":
        assert not found + codec.gap()
        assert codec.dropped.frames or len(data) <= data[0]
        return
    assert [frame.to_bytes() for frame in found] == [data]
    if "epcs" in vector["meaning"]:
        assert isinstance(found[0], Reply)
        assert [epc.hex().upper() for epc in epcs(found[0])] == vector["meaning"]["epcs"]


def reply(name: str) -> Reply:
    """The reply in a vector."""
    (found,) = ReplyCodec().feed(bytes.fromhex(next(v["hex"] for v in VECTORS if v["name"] == name)))
    assert isinstance(found, Reply)
    return found


def test_what_real_replies_mean() -> None:
    """EPCs, none, and what a reader says of itself."""
    assert [credential(epc) for epc in epcs(reply("single_inventory_resp"))] == ["epc:E284361100001000094944AA"]
    assert [epcs(reply(name)) for name in ("inventory_empty", "single_inventory_none", "inv_ack")] == [(), (), ()]
    assert [credential(epc) for epc in epcs(reply("active_ee_capture"))] == ["epc:2000708C2B380B2D00000000"]
    info = Info.from_reply(reply("get_info_resp"))
    assert info == Info((5, 2), 0x86, 2, 0x31, 0x80, 26, 2.0)
    assert info.to_data() == reply("get_info_resp").data


def test_a_heartbeat_is_a_frame_of_its_own() -> None:
    """Alone, before and behind frames, and in pieces."""
    beat, tag = Heartbeat().to_bytes(), reply("active_ee_capture")
    assert ReplyCodec().feed(beat + tag.to_bytes() + beat) == [Heartbeat(), tag, Heartbeat()]
    codec = ReplyCodec()
    assert [codec.feed(beat[at : at + 1]) for at in range(6)] == [[], [], [], [], [], [Heartbeat()]]
    long = Reply(0, 1, 1, bytes(0x56 - 5))
    assert ReplyCodec().feed(long.to_bytes()) == [long]


def test_a_chip_is_asked_for_as_the_manual_says() -> None:
    """By its layout, for want of a published frame: words of the EPC, EPC, bank, first word, words, password."""
    epc = "E284361100001000094944AA"
    data = bytes.fromhex(f"06{epc}02000600000000")
    assert read_tid_data(bytes.fromhex(epc), 6) == data
    assert Command(0, Cmd.READ, data).to_bytes()[:4] == bytes([4 + len(data), 0, 2, 6])
    assert read_beyond(Reply(0, Cmd.READ, Status.TAG_ERROR, b"\x03"))
    assert not read_beyond(Reply(0, Cmd.READ, Status.TAG_ERROR, b"\x0f"))
    assert not read_beyond(Reply(0, Cmd.READ, Status.OK, b"\x03"))


@given(st.lists(words, max_size=4))
def test_an_inventory_reads_as_it_was_written(tags: list[bytes]) -> None:
    """EPCs of all lengths that there are, each with a canonical credential."""
    found = epcs(Reply(0, Cmd.INVENTORY, 1, inventory_data(tags)))
    assert list(found) == tags
    assert all(canonical(credential(epc)) for epc in found)


@pytest.mark.parametrize("data", ["", "01", "0102", "010c00", "02020001", "01020001ffff", "ff", "0104000102"])
def test_an_inventory_that_does_not_add_up_counts_for_nothing(data: str) -> None:
    """Num and lengths beyond the frame, or bytes left over, are refused whole."""
    assert epcs(Reply(0, Cmd.INVENTORY, 1, bytes.fromhex(data))) == ()


@given(st.lists(words, min_size=1, max_size=4), st.sampled_from([1, 2, 4, 8]), byte)
def test_an_inventory_of_several_antennas_reads_as_it_was_written(tags: list[bytes], antenna: int, rssi: int) -> None:
    """The antenna in front and the strength behind each EPC are no part of any, however long the EPCs are."""
    data = bytes([antenna, len(tags)]) + b"".join(bytes([len(tag)]) + tag + bytes([rssi]) for tag in tags)
    assert list(epcs(Reply(0, Cmd.INVENTORY, Status.MORE, data))) == tags


@given(st.lists(words, min_size=1, max_size=4), st.integers(0x20, 0xFF))
def test_an_inventory_with_strengths_reads_as_it_was_written(tags: list[bytes], rssi: int) -> None:
    """From a reader of one antenna."""
    data = bytes([len(tags)]) + b"".join(bytes([len(tag)]) + tag + bytes([rssi]) for tag in tags)
    found = epcs(Reply(0, Cmd.INVENTORY, Status.DONE, data))
    assert list(found) == tags or any(len(tag) >= rssi - 2 for tag in tags)


def test_an_inventory_that_adds_up_in_two_ways_counts_for_nothing() -> None:
    """Three tags without antennas, or two that antennas 1 and 2 have seen at once."""
    data = bytes.fromhex("03020202020402020403")
    assert epcs(Reply(0, Cmd.INVENTORY, Status.DONE, data)) == ()


@given(words, byte, byte)
def test_a_report_with_its_antenna(epc: bytes, antenna: int, rssi: int) -> None:
    """As the E710's manual lays it out, for want of a published frame; a heartbeat beside it is no tag."""
    data = bytes([antenna, len(epc)]) + epc + bytes([rssi])
    assert epcs(Reply(0, Cmd.REPORT, Status.OK, data)) == (epc,)
    assert epcs(Reply(0, Cmd.REPORT, Status.OK, data[:-1])) in ((), (data[:-1],))
    assert epcs(Reply(0, Cmd.REPORT, 0x28, epc)) == ()


@given(replies, st.binary(max_size=300))
def test_any_reply_can_be_asked_for_epcs(answer: Reply, data: bytes) -> None:
    """Nothing that a reader sends raises."""
    for status in range(6):
        epcs(Reply(0, Cmd.INVENTORY, status, data))
    epcs(answer)
    Info.from_reply(answer)


@given(replies, commands)
def test_both_directions_read_as_they_were_written(answer: Reply, command: Command) -> None:
    """Each frame comes out with its last byte."""
    assert ReplyCodec().feed(answer.to_bytes()) == [answer]
    assert CommandCodec().feed(command.to_bytes() * 2) == [command, command]


@given(garbage, replies, replies)
def test_no_garbage_hides_a_frame(noise: bytes, one: Reply, two: Reply) -> None:
    """After garbage of any length, even the head of a longer frame, good frames come with the next silence at last."""
    assert whole(ReplyCodec(), noise + one.to_bytes() + two.to_bytes())[-2:] == [one, two]


def test_a_false_head_waits_for_silence_and_no_longer() -> None:
    """A byte that claims 200 others holds a frame up until `gap`, and the next frames not at all."""
    codec, tag = ReplyCodec(), reply("active_ee_capture")
    assert codec.feed(b"\xc8" + tag.to_bytes()) == []
    assert codec.pending
    assert codec.gap() == [tag]
    assert codec.feed(tag.to_bytes()) == [tag]
    assert not codec.pending


def test_a_pause_within_a_frame_loses_nothing() -> None:
    """What TCP or USB tears apart is put together again, whatever the silence between."""
    codec, data = ReplyCodec(), reply("active_ee_capture").to_bytes()
    assert codec.feed(data[:9]) + codec.gap() == []
    assert codec.feed(data[9:]) == [reply("active_ee_capture")]


def test_a_frame_within_a_tag_is_no_frame() -> None:
    """An EPC written as the image of a frame does not count as one."""
    inner = Reply(0, Cmd.INVENTORY, 1, inventory_data([b"\xab\xcd"])).to_bytes()
    outer = Reply(0, Cmd.INVENTORY, 1, inventory_data([inner + bytes(len(inner) % 2)]))
    codec = ReplyCodec()
    found = [frame for part in outer.to_bytes() for frame in codec.feed(bytes([part]))]
    assert found == [outer]


@given(st.lists(st.one_of(garbage, replies.map(Reply.to_bytes))), st.integers(1, 300))
def test_chunks_do_not_matter_and_the_buffer_is_bounded(parts: list[bytes], step: int) -> None:
    """The same bytes give the same frames however they come; nothing raises, nothing piles up, all is counted."""
    stream, codec, found = b"".join(parts), ReplyCodec(), []
    for at in range(0, len(stream), step):
        found += codec.feed(stream[at : at + step])
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
    assert found == ReplyCodec().feed(stream)
    found += codec.gap()
    kept = sum(len(frame.to_bytes()) for frame in found)
    assert codec.dropped.data + kept + len(codec._buffer) == len(stream)
