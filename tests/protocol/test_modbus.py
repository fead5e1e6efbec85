"""Modbus frames: the real ones, both directions and both framings, and what a line makes of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.checksum import crc16_modbus
from protocol.modbus import (
    FRAME_MAX_BYTES,
    READS,
    Function,
    Message,
    RtuCodec,
    TcpCodec,
    answers,
    flash_coil,
    packed,
    put_coil,
    put_coils,
    read,
    values,
    why,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "modbus.json").read_text())
word = st.integers(0, 0xFFFF)
units = st.integers(1, 247)
reads = st.builds(read, units, st.sampled_from(sorted(READS)), word, word)
puts = st.builds(lambda unit, coil, on: put_coil(unit, coil, on=on), units, word, st.booleans())
manies = st.builds(put_coils, units, word, st.lists(st.booleans(), min_size=1, max_size=200))
requests = st.one_of(reads, puts, manies)
bits = st.builds(
    lambda unit, function, on: Message(unit, function, packed(on)),
    units,
    st.sampled_from(sorted(READS)),
    st.lists(st.booleans(), min_size=1, max_size=2000),
)
refusals = st.builds(
    lambda unit, function, code: Message(unit, function | 0x80, bytes([code])),
    units,
    st.sampled_from(list(Function)),
    st.integers(1, 11),
)
replies = st.one_of(puts, bits, refusals)
# bytes that frames are made of, so that garbage looks like them
garbage = st.lists(
    st.one_of(st.sampled_from([0, 1, 2, 5, 6, 0x0F, 0x10, 0x81, 0xFF]), st.integers(0, 255)), max_size=FRAME_MAX_BYTES
).map(bytes)


def rtu(data: bytes, *, of_requests: bool = True) -> list[Message]:
    """What the codec makes of bytes followed by silence."""
    codec = RtuCodec(requests=of_requests)
    return codec.feed(data) + codec.gap()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_real_frames(vector: dict[str, Any]) -> None:
    """Each known frame is read and written byte for byte; one with a wrong check is refused."""
    data, meaning = bytes.fromhex(vector["hex"]), vector["meaning"]
    tcp, asked = meaning.get("framing") == "tcp", vector["direction"] == "host_to_reader"
    codec = (TcpCodec if tcp else RtuCodec)(requests=asked)
    found = codec.feed(data) + codec.gap()
    if vector.get("expect") == "bad":
        assert found == []
        assert codec.dropped.data
        return
    assert [message.to_tcp() if tcp else message.to_rtu() for message in found] == [data]
    (message,) = found
    assert message.unit == meaning.get("unit", 1)
    assert message.function == meaning.get("fc", Function.PUT_COIL)
    assert message.refusal == meaning.get("refusal")
    if "on" in meaning:
        assert found == [put_coil(1, meaning["coil"], on=meaning["on"])]
        assert rtu(data, of_requests=False) == found  # the echo
    if "flash" in meaning:
        assert found == [flash_coil(1, meaning["flash"], meaning["seconds"])]
    if "bits" in meaning or "registers" in meaning:
        told = meaning.get("bits", meaning.get("registers"))
        question = replace(read(1, Function(message.function), 0, len(told)), transaction=message.transaction)
        assert answers(question, message)
        assert values(question, message) == [bool(one) for one in told]


def test_the_printed_check_of_a_wrong_frame_is_wrong() -> None:
    """What a document prints as 89 D7 is 88 21."""
    assert crc16_modbus(bytes.fromhex("010600000064")).to_bytes(2, "little").hex() == "8821"


def test_examples_of_the_specification() -> None:
    """MODBUS Application Protocol Specification V1.1b3, sections 6.1, 6.2, 6.5, 6.11."""
    asked = read(1, Function.COILS, 0x13, 0x13)
    assert bytes([asked.function]) + asked.data == bytes.fromhex("0100130013")
    said = values(asked, Message(1, 1, bytes.fromhex("03cd6b05")))
    assert said is not None
    assert [n + 20 for n, on in enumerate(said) if on] == [20, 22, 23, 26, 27, 28, 29, 31, 33, 34, 36, 38]
    inputs = read(1, Function.INPUTS, 0xC4, 0x16)
    assert bytes([inputs.function]) + inputs.data == bytes.fromhex("0200c40016")
    assert values(inputs, Message(1, 2, bytes.fromhex("03acdb35"))) is not None
    put = put_coil(1, 0xAC, on=True)
    assert bytes([put.function]) + put.data == bytes.fromhex("0500acff00")
    many = put_coils(1, 0x13, [True, False, True, True, False, False, True, True, True, False])
    assert bytes([many.function]) + many.data == bytes.fromhex("0f0013000a02cd01")
    assert answers(many, Message(1, 0x0F, bytes.fromhex("0013000a")))


def test_an_example_over_tcp() -> None:
    """MODBUS Messaging on TCP/IP V1.0b, 3.1.3: the header's fields, and no check behind."""
    asked = replace(read(0xFF, Function.HOLDING, 4, 1), transaction=0x1501)
    assert asked.to_tcp().hex() == "150100000006ff0300040001"
    assert TcpCodec(requests=True).feed(asked.to_tcp()) == [asked]
    reply = bytes.fromhex("150100000005ff03020005")
    assert values(asked, TcpCodec(requests=False).feed(reply)[0]) == [True]


@given(garbage, requests, requests)
def test_requests_behind_garbage_are_found(noise: bytes, one: Message, two: Message) -> None:
    """After garbage of up to the longest frame and a silence; two glued together are two."""
    assert rtu(noise + one.to_rtu() + two.to_rtu())[-2:] == [one, two]


@given(garbage, replies, replies)
def test_replies_behind_garbage_are_found(noise: bytes, one: Message, two: Message) -> None:
    """The same from the other side."""
    assert rtu(noise + one.to_rtu() + two.to_rtu(), of_requests=False)[-2:] == [one, two]


@given(st.binary(max_size=100).map(lambda noise: noise.replace(b"\0", b"\1")), requests, word)
def test_over_tcp_behind_garbage_that_is_no_header(noise: bytes, message: Message, transaction: int) -> None:
    """Bytes without zeros hide nothing."""
    sent = replace(message, transaction=transaction)
    codec = TcpCodec(requests=True)
    assert (codec.feed(noise + sent.to_tcp() * 2) + codec.gap())[-2:] == [sent, sent]


@given(st.lists(st.one_of(garbage, requests.map(Message.to_rtu), replies.map(Message.to_tcp))), st.booleans())
def test_any_bytes_in_any_pieces(chunks: list[bytes], of_requests: bool) -> None:  # noqa: FBT001 - hypothesis'
    """Nothing raises, the same bytes give the same frames however they come, and the buffer is bounded."""
    for kind in (RtuCodec, TcpCodec):
        codec, found = kind(requests=of_requests), []
        for chunk in chunks:
            found += codec.feed(chunk)
            assert len(codec._buffer) < FRAME_MAX_BYTES
        assert found == kind(requests=of_requests).feed(b"".join(chunks))


@given(requests, replies)
def test_what_answers_what(request: Message, reply: Message) -> None:
    """Never raises; the echo of a put answers it, a refusal of it too, and nothing of another unit."""
    assert not answers(request, replace(reply, unit=request.unit ^ 1))
    assert answers(request, Message(request.unit, request.function | 0x80, b"\x02"))
    if answers(request, reply) and reply.refusal is None and request.function == Function.PUT_COIL:
        assert reply == request
    if request.function == Function.PUT_COIL:
        assert answers(request, request)


@given(st.lists(st.booleans(), min_size=1, max_size=64))
def test_bits_survive_the_way(on: list[bool]) -> None:
    """Packed by the board, unpacked by us."""
    asked = read(1, Function.INPUTS, 3, len(on))
    assert values(asked, Message(1, Function.INPUTS, packed(on))) == on
    assert values(asked, Message(1, Function.INPUTS, packed([*on, *[True] * 8]))) is None


def test_refusals_in_words() -> None:
    """Each has some, also one that nobody knows."""
    assert why(2) == "it has nothing at this number"
    assert why(0x0B) == "the gateway gets no answer from it"
    assert why(99) == "it answers with error 99"
    assert Message(1, 0x85, b"\x02").refusal == 2
    assert put_coil(1, 0, on=True).refusal is None
