"""LLRP messages: the real ones, both directions, what they mean, and what a stream makes of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import llrp
from protocol.credential import canonical
from protocol.gen2 import credential
from protocol.llrp import (
    FIXED_BYTES,
    MAKERS_MAX_BYTES,
    MESSAGE_MAX_BYTES,
    OPERATION_ID,
    Kind,
    LlrpCodec,
    Message,
    Param,
    Parameter,
    parameters,
)
from protocol.llrp_replies import Attempt, Event, Tag, capabilities, event, settings, status, tags
from protocol.llrp_requests import (
    ACCESSSPEC_ID,
    ROSPEC_ID,
    Antenna,
    add_accessspec,
    add_rospec,
    get_capabilities,
    get_config,
    of_accessspec,
    of_rospec,
    set_config,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "llrp.json").read_text())
EPC = bytes.fromhex("3005fb63ac1f3841ec880467")
words = st.integers(1, 31).flatmap(lambda count: st.binary(min_size=2 * count, max_size=2 * count))
antennas = st.integers(1, 0xFFFF)
reports = st.builds(Tag, words, antennas, st.integers(-128, 127), st.integers(0, 2**64 - 1), st.integers(0, 0xFFFF))
messages = st.builds(
    lambda found, number: report(*found, number=number), st.lists(reports, max_size=4), st.integers(0, 2**32 - 1)
)
near = st.sampled_from([0, 4, 7, 8, 0x0A, 0x20, 0x3D, 0x3E, 0x3F, 0x80, 0xF0, 0xFF])
garbage = st.lists(st.one_of(near, st.integers(0, 255)), max_size=600).map(bytes)


def tlv(kind: int, *values: bytes) -> bytes:
    """A parameter."""
    return Parameter(kind, b"".join(values)).to_bytes()


def report(*found: Tag, number: int = 0) -> Message:
    """The report of these tags, as readers write it: EPCs of 96 bits are TVs, others TLVs."""
    return Message(Kind.RO_ACCESS_REPORT, number, b"".join(tlv(Param.TAG_REPORT_DATA, told(tag)) for tag in found))


def told(tag: Tag) -> bytes:
    """What is told of one tag."""
    bits = len(tag.epc) * 8
    epc = tlv(Param.EPC_96, tag.epc) if bits == 96 else tlv(Param.EPC_DATA, bits.to_bytes(2, "big"), tag.epc)
    rest = [
        (Param.ANTENNA_ID, tag.antenna, 2),
        (Param.PEAK_RSSI, tag.rssi, 1),
        (Param.FIRST_SEEN_UTC, tag.first_seen_us, 8),
        (Param.TAG_SEEN_COUNT, tag.count, 2),
    ]
    return epc + b"".join(
        tlv(kind, value.to_bytes(size, "big", signed=value < 0)) for kind, value, size in rest if value is not None
    )


def vector(name: str) -> list[Message]:
    """The messages in a vector."""
    return LlrpCodec().feed(bytes.fromhex(next(v["hex"] for v in VECTORS if v["name"] == name)))


@pytest.mark.parametrize("known", VECTORS, ids=lambda known: known["name"])
def test_real_messages(known: dict[str, Any]) -> None:
    """Each is read whole, written again byte for byte, and means what its source says of it."""
    data, codec, means = bytes.fromhex(known["hex"]), LlrpCodec(), known["meaning"]
    found = codec.feed(data)
    if known.get("expect") == "bad":
        assert b"".join(message.to_bytes() for message in found) != data or not any(map(tags, found))
        return
    assert b"".join(message.to_bytes() for message in found) == data
    assert len(found) == means.get("messages", 1)
    assert [message.kind for message in found] == means.get("types", [Kind.RO_ACCESS_REPORT] * len(found))
    assert means.get("msg_id") in (None, found[0].number)
    for tag in (tag for message in found for tag in tags(message)):
        for key, value in (
            ("epc96", tag.epc.hex()),
            ("epc", tag.epc.hex()),
            ("antenna", tag.antenna),
            ("peak_rssi", tag.rssi),
        ):
            assert means.get(key, value) == value
        assert means.get("first_seen_utc_us", tag.first_seen_us) == tag.first_seen_us
        assert means.get("seen", tag.count) == tag.count


def test_a_stream_of_real_reports() -> None:
    """45 tags, of which one has an EPC of 144 bits; a report without any tag is none."""
    found = [tag for message in vector("ro_access_report_stream_45") for tag in tags(message)]
    assert len(found) == 45
    assert {len(tag.epc) for tag in found} == {12, 18}
    assert {credential(tag.epc) for tag in found} == {
        "epc:3005FB63AC1F3841EC880467",
        "epc:300833B2DDD906C000000000",
        "epc:1FB41F712AC9C37AB79D618173188324001A",
    }
    assert tags(vector("empty_ro_report_log")[0]) == ()


def test_what_real_readers_say_of_themselves() -> None:
    """A connection that is taken, one that ends, and words of their own."""
    assert event(vector("reader_event_conn_ok")[0]) == Event(Attempt.SUCCESS, utc_us=1_398_936_810_740_479)
    assert event(vector("edgex_ReaderEventNotification-000")[0]) == Event(closing=True, utc_us=1_596_721_689_842_138)
    said = status(vector("error_message_boom")[0])
    assert said is not None
    assert (said.code, said.text) == (0, "boom")
    assert status(vector("keepalive")[0]) is None
    assert event(vector("event_uptime_log")[0]) == Event(Attempt.SUCCESS)
    said = status(vector("llrp_rs_delete_access_spec_result_error")[0])
    assert said is not None
    assert said.words == 'a field is wrong; in field 1 (not valid); it says "LLRP [409] : //AccessSpecID : invalid"'


def test_what_a_real_reader_can_do_and_how_it_is_set() -> None:
    """A Speedway's power table, firmware and region, and the settings of one with a single antenna plugged in."""
    can = capabilities(vector("llrp_rs_get_reader_capabilities_response")[0])
    assert (can.antennas, can.maker, can.model, can.firmware, can.standard) == (4, 25882, 2001002, "5.2.1.240", 5)
    assert (len(can.powers), can.powers[0], can.powers[-1]) == (91, (1, 10.0), (91, 32.5))
    way = settings(vector("edgex_GetReaderConfigResponse-000")[0])
    assert (way.bands[1], way.levels[1]) == ((1, 0), 81)
    assert way.plugged == {1: True, 2: False, 3: False, 4: False}


@given(st.lists(reports, max_size=4))
def test_tags_read_as_they_were_written(found: list[Tag]) -> None:
    """EPCs of all lengths that there are, each with a canonical credential."""
    assert tags(report(*found)) == tuple(found)
    assert all(canonical(credential(tag.epc)) for tag in found)


def test_ninety_six_bits_are_one_credential_however_they_are_written() -> None:
    """As EPC96 or as EPCData."""
    long = tlv(Param.EPC_DATA, (96).to_bytes(2, "big"), EPC)
    assert tags(Message(Kind.RO_ACCESS_REPORT, 0, tlv(Param.TAG_REPORT_DATA, long))) == (Tag(EPC),)


def test_unknown_parameters_are_skipped() -> None:
    """A TLV by its length, a TV with all behind it in the same report; the next report is not touched."""
    strange = tlv(0x3FF, b"maker's own") + tlv(Param.ANTENNA_ID, b"\0\2")
    unknown_tv = b"\xff\xff\xff\xff"
    body = tlv(Param.TAG_REPORT_DATA, told(Tag(EPC)), strange) + tlv(Param.TAG_REPORT_DATA, told(Tag(EPC)), unknown_tv)
    body += tlv(0x3FE, b"between") + tlv(Param.TAG_REPORT_DATA, told(Tag(EPC, 3)))
    assert tags(Message(Kind.RO_ACCESS_REPORT, 0, body)) == (Tag(EPC, 2), Tag(EPC), Tag(EPC, 3))


@pytest.mark.parametrize(
    "inside",
    [
        "",  # no EPC
        "8d3005fb63ac1f3841ec88",  # cut short
        "8d3005fb63ac1f3841ec8804678d3005fb63ac1f3841ec880468",  # two
        "00f1000800603005",  # more bits than there are
        "00f10008001030053005",  # fewer bits than there are
        "00f1000700183005fb",  # no whole words
        "00f100060000",  # none
        "00f1000300",  # a length below its own header
        "8d3005fb63ac1f3841ec88046700f2",  # what follows is cut short
        "000d00103005fb63ac1f3841ec880467",  # a type below 128 in the long form
    ],
)
def test_a_report_that_does_not_add_up_is_none(inside: str) -> None:
    """And the good one beside it is one."""
    body = tlv(Param.TAG_REPORT_DATA, bytes.fromhex(inside)) + tlv(Param.TAG_REPORT_DATA, told(Tag(EPC, 1)))
    assert tags(Message(Kind.RO_ACCESS_REPORT, 0, body)) == (Tag(EPC, 1),)


@pytest.mark.parametrize(
    "data",
    [
        "043e00000009000000",  # shorter than its own header
        "043e0000000b0000000000",  # half a parameter
        "043e0000000b00000000ff",  # a short parameter where there is none
        "04410000000a00000000",  # no such type
        "103e0000000a00000000",  # no such version
        "243e0000000a00000000",  # a reserved bit
        "043d7fffffff00000000",  # beyond the bound
        "043d0000000f0000000000f0000700",  # a parameter longer than the message
        "04150000000a00000000",  # without the id that it deletes
        "07ff0000000a00000000",  # a maker's message without a maker
    ],
)
def test_what_is_no_message(data: str) -> None:
    """It is dropped, and counted; the good one behind it is found."""
    codec, good = LlrpCodec(), Message(Kind.KEEPALIVE, 5)
    stream = bytes.fromhex(data) + good.to_bytes()
    assert codec.feed(stream) + codec.gap() == [good]
    assert codec.dropped.data == len(stream) - 10


def test_a_message_beyond_the_bound_holds_nothing_up() -> None:
    """It is given up at its head; one that just fits is read."""
    good = Message(Kind.KEEPALIVE, 5)
    for claimed, found in ((MESSAGE_MAX_BYTES + 1, [good]), (MESSAGE_MAX_BYTES, [])):
        head = b"\x04\x3d" + claimed.to_bytes(4, "big") + bytes(4) + tlv(Param.CUSTOM, bytes(1000))[:4]
        assert LlrpCodec().feed(head + good.to_bytes()) == found
    longest = Message(Kind.RO_ACCESS_REPORT, 1, tlv(Param.CUSTOM, bytes(MESSAGE_MAX_BYTES - 14)))
    assert LlrpCodec().feed(longest.to_bytes()) == [longest]


@pytest.mark.parametrize(
    "head",
    [
        "07ff0000ffff00000000",  # a maker's message of 64 KiB
        "07ff0000100000000000" + "81",  # one of 4 KiB, of a maker whose number nobody can have
        "07ff0000100000000000" + "0002",  # nor yet
        "043d0000ffff00000000" + "011f",  # a report that begins with a response's status
        "040d0000ffff00000000" + "00f0",  # a response that begins without
        "043f0000ffff00000000" + "00f1",  # an event without its data
        "04640000ffff00000000" + "00f6",  # an error without its status
        "04370000ffff00000000" + "00f0",  # an answer to a reader's question
        "04140000ffff00000000" + "00cf",  # an inventory that is another thing
        "043d0000ffff00000000" + "8d",  # a report that begins with a parameter that stands in none
        "043d0000ffff00000000" + "fc",  # one with bits that are never set
        "043d0000ffff00000000" + "0001",  # a type that is never written so long
        "043d0000ffff00000000" + "00f00003",  # a parameter shorter than its own head
        "043d0000020000000000" + "00f00300",  # one longer than its message
        "043d0000020000000000" + "00f0000400f001f9",  # the second, by one byte
        "043d0000001200000000" + "00f00005",  # three bytes are left, and no parameter is so short
        "043e0000ffff00000000",  # what has no content does not claim any
        "04150000ffff00000000",  # nor what has an id alone
        "044a0000ffff00000000",  # no such type
        "043e0000ffff00000000" + "00f01000",  # whatever it goes on with
        "04150000ffff00000000" + "0000000100f01000",
    ],
)
def test_garbage_that_looks_like_a_head_holds_up_nothing(head: str) -> None:
    """It is known at once for what it is, long before its end: the good one behind it is given with its last byte."""
    good = Message(Kind.KEEPALIVE, 5)
    assert LlrpCodec().feed(bytes.fromhex(head) + good.to_bytes()) == [good]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind != Kind.CUSTOM_MESSAGE])
def test_what_a_message_may_begin_with(kind: Kind) -> None:
    """A response with its status, anything that has content with a maker's parameter; of version 2.0, anything."""
    codec, fixed, good = LlrpCodec(), bytes(FIXED_BYTES.get(kind, 0)), Message(Kind.KEEPALIVE, 5)
    makers = Message(kind, 1, fixed + tlv(Param.CUSTOM, bytes(8)))
    assert codec.feed(makers.to_bytes() + good.to_bytes()) == ([good] if kind in llrp._BARE else [makers, good])
    if kind not in llrp._BARE:
        other = replace(makers, version=3, body=fixed + tlv(0x3FE, bytes(8)))
        assert LlrpCodec().feed(other.to_bytes()) == [other]
    if kind == Kind.ERROR_MESSAGE or (kind.name.endswith("RESPONSE") and kind != Kind.CLIENT_REQUEST_OP_RESPONSE):
        status_first = Message(kind, 1, fixed + tlv(Param.LLRP_STATUS, bytes(4)))
        assert LlrpCodec().feed(status_first.to_bytes()) == [status_first]


def test_a_makers_own_message_is_read() -> None:
    """Of any content, up to a length that is far above what there is."""
    maker = (65_600).to_bytes(4, "big") + b"\x15"
    for size in (0, 1, MAKERS_MAX_BYTES - 15):
        own = Message(Kind.CUSTOM_MESSAGE, 1, maker + b"\xff" * size)
        assert LlrpCodec().feed(own.to_bytes()) == [own]
    long = Message(Kind.CUSTOM_MESSAGE, 1, maker + b"\xff" * (MAKERS_MAX_BYTES - 14))
    assert LlrpCodec().feed(long.to_bytes() + Message(Kind.KEEPALIVE, 5).to_bytes()) == [Message(Kind.KEEPALIVE, 5)]


def test_what_was_read_of_a_chip() -> None:
    """By our own operation, and whole; that of a sight in which it failed, or another's, is none."""
    # the values of a report that a Speedway gave for an Alien chip, in a log (github.com/sllurp/sllurp, issue 134)
    tid = bytes.fromhex("E20034120137F8000C1A8D57")
    ours, others = OPERATION_ID.to_bytes(2, "big"), b"\0\0"

    def seen(*results: bytes) -> bytes | None:
        inside = b"".join(tlv(Param.C1G2_READ_RESULT, result) for result in results)
        body = tlv(Param.TAG_REPORT_DATA, told(Tag(EPC)), b"\x90\0\0\0\1", inside)
        (tag,) = tags(Message(Kind.RO_ACCESS_REPORT, 0, body))
        return tag.chip

    assert seen(b"\0" + ours + b"\0\6" + tid) == tid
    assert seen(b"\0" + others + b"\0\6" + tid[::-1], b"\0" + ours + b"\0\6" + tid) == tid
    for bad in (b"\2" + ours + b"\0\0", b"\0" + ours + b"\0\5" + tid, b"\0" + ours + b"\0\0", b"", b"\0"):
        assert seen(bad) is None


def test_the_reading_of_chips_as_the_standard_writes_it() -> None:
    """For want of a published frame: for our inventory, of any tag, six words of bank 2, told in its reports."""
    target = tlv(Param.C1G2_TARGET_TAG, bytes.fromhex("60000000000000"))
    read = tlv(
        Param.C1G2_READ, OPERATION_ID.to_bytes(2, "big"), bytes.fromhex("0000000080") + bytes.fromhex("00000006")
    )
    own = ACCESSSPEC_ID.to_bytes(4, "big") + bytes.fromhex("00000100") + ROSPEC_ID.to_bytes(4, "big")
    assert add_accessspec().body == tlv(
        Param.ACCESSSPEC,
        own,
        tlv(Param.ACCESSSPEC_STOP_TRIGGER, bytes(3)),
        tlv(Param.ACCESS_COMMAND, tlv(Param.C1G2_TAG_SPEC, target), read),
        tlv(Param.ACCESS_REPORT_SPEC, b"\0"),
    )


def test_antenna_nought_is_no_antenna() -> None:
    """They are numbered from 1: a reader that writes 0 does not tell."""
    body = tlv(Param.TAG_REPORT_DATA, told(Tag(EPC)), tlv(Param.ANTENNA_ID, b"\0\0"))
    assert tags(Message(Kind.RO_ACCESS_REPORT, 0, body)) == (Tag(EPC),)


def test_what_readers_tell_besides_is_passed_over() -> None:
    """All TVs of the standard with their lengths, times of both kinds, and makers' parameters within."""
    sizes = {
        2: 8,
        3: 8,
        4: 8,
        5: 8,
        7: 2,
        8: 2,
        9: 4,
        10: 2,
        11: 2,
        12: 2,
        14: 2,
        15: 2,
        16: 4,
        17: 2,
        18: 4,
        19: 2,
        20: 2,
    }
    besides = b"".join(bytes([0x80 | kind]) + bytes([kind]) * size for kind, size in sizes.items())
    makers = tlv(0x3FF, (25882).to_bytes(4, "big"), (55).to_bytes(4, "big"), tlv(0x3FF, b"within"))
    body = tlv(Param.TAG_REPORT_DATA, tlv(Param.EPC_96, EPC), besides, makers, b"\x81\0\3\x86\xce")
    (tag,) = tags(Message(Kind.RO_ACCESS_REPORT, 0, body))
    assert (tag.antenna, tag.rssi, tag.count, tag.rospec) == (3, -50, 0x0808, 0x09090909)
    assert tag.first_seen_us == 0x0202020202020202


def test_refusals_name_where_it_is() -> None:
    """From the outside inward, with the reader's own words, which may be no text at all."""
    field = tlv(Param.FIELD_ERROR, b"\0\2", (301).to_bytes(2, "big"))
    sender = tlv(Param.PARAMETER_ERROR, Param.RF_TRANSMITTER.to_bytes(2, "big"), (201).to_bytes(2, "big"), field)
    outer = tlv(Param.PARAMETER_ERROR, (999).to_bytes(2, "big"), (999).to_bytes(2, "big"), sender)
    text = b"bad\n\xffpower "
    value = (100).to_bytes(2, "big") + len(text).to_bytes(2, "big") + text + outer
    said = status(Message(Kind.ADD_ROSPEC_RESPONSE, 1, tlv(Param.LLRP_STATUS, value)))
    assert said is not None
    assert said.words == (
        "a parameter is wrong; in parameter 999 (error 999), RFTransmitter (a field is wrong), field 2 (out of range); "
        'it says "bad \ufffdpower"'
    )


def test_nesting_is_bounded() -> None:
    """A thousand errors within each other are eight."""
    nested = b""
    for _ in range(1000):
        nested = tlv(Param.PARAMETER_ERROR, b"\0\xb1\0\xc8", nested)
    said = status(Message(Kind.ERROR_MESSAGE, 1, tlv(Param.LLRP_STATUS, b"\0\x64\0\0", nested)))
    assert said is not None
    assert len(said.details) == 8


def test_what_a_reader_can_do_and_how_it_is_set() -> None:
    """Antennas and power levels; hop table and channel of each antenna, and whether it is plugged in."""
    levels = [
        tlv(Param.TRANSMIT_POWER_LEVEL, n.to_bytes(2, "big"), power.to_bytes(2, "big", signed=True))
        for n, power in ((1, -500), (2, 3025))
    ]
    band = tlv(Param.UHF_BAND_CAPABILITIES, *levels, tlv(146, b"\0"))
    general = tlv(Param.GENERAL_DEVICE_CAPABILITIES, b"\0\4", bytes(12))
    told_so = Message(
        Kind.GET_READER_CAPABILITIES_RESPONSE,
        1,
        tlv(Param.LLRP_STATUS, bytes(4)) + general + tlv(Param.REGULATORY_CAPABILITIES, bytes(4), band),
    )
    found = capabilities(told_so)
    assert (found.antennas, found.powers) == (4, ((1, -5.0), (2, 30.25)))
    body = tlv(Param.LLRP_STATUS, bytes(4))
    for number, plugged in ((1, b"\x80"), (2, b"\0")):
        body += tlv(Param.ANTENNA_PROPERTIES, plugged, number.to_bytes(2, "big"), bytes(2))
    sender = tlv(Param.RF_TRANSMITTER, b"\0\1\0\2\0\x51")
    body += tlv(Param.ANTENNA_CONFIGURATION, b"\0\2", tlv(223, b"\0\1"), sender)
    how = settings(Message(Kind.GET_READER_CONFIG_RESPONSE, 1, body))
    assert (how.bands, how.plugged) == ({2: (1, 2)}, {1: True, 2: False})


def test_inventories_and_antennas_have_events() -> None:
    """Which began or ended, which was pulled."""
    inside = tlv(Param.UTC_TIMESTAMP, bytes(8)) + tlv(Param.ROSPEC_EVENT, b"\2\0\0\0\5\0\0\0\6")
    inside += tlv(Param.ANTENNA_EVENT, b"\0\0\3") + tlv(Param.ANTENNA_EVENT, b"\1\0\4")
    data = tlv(Param.READER_EVENT_NOTIFICATION_DATA, inside)
    assert event(Message(Kind.READER_EVENT_NOTIFICATION, 1, data)) == Event(
        rospecs=((2, 5),), antennas=((3, False), (4, True))
    )


@pytest.mark.parametrize("kind", [Param.ROSPEC_EVENT, Param.ANTENNA_EVENT, Param.CONNECTION_ATTEMPT_EVENT])
def test_an_event_that_is_cut_short_is_none(kind: Param) -> None:
    """Alone, and with a byte of what it should have."""
    for short in (b"", b"\0"):
        data = tlv(Param.READER_EVENT_NOTIFICATION_DATA, tlv(kind, short))
        assert event(Message(Kind.READER_EVENT_NOTIFICATION, 1, data)) == Event()


def test_the_inventory_is_as_the_known_one_but_for_what_is_configured() -> None:
    """Triggers and structure are those of the known message; power, session and reports come on top."""
    (known,) = vector("add_rospec")
    own = add_rospec((Antenna(1, session=2, power=(1, 7, 81)),)).body
    for data in (b"\x00\xb2\x00\x12\x00\xb3\x00\x05\x00\x00\xb6\x00\x09" + bytes(5), b"\x00\xb8\x00\x09" + bytes(5)):
        assert data in known.body
        assert data in own
    assert own[4:8] == ROSPEC_ID.to_bytes(4, "big")
    assert tlv(Param.RF_TRANSMITTER, b"\0\1\0\7\0\x51") in own
    assert tlv(Param.C1G2_SINGULATION_CONTROL, b"\x80\0\x08", bytes(4)) in own
    assert tlv(Param.RO_REPORT_SPEC, b"\2\0\1", tlv(Param.TAG_REPORT_CONTENT_SELECTOR, b"\x96\x80")) in own


def test_requests_read_as_they_were_written() -> None:
    """Each is a message by the codec's own rules, alone and glued to others."""
    asked = [get_capabilities(), get_config(), set_config(1000), add_rospec((Antenna(0, 0),))]
    asked += [of_rospec(kind) for kind in (Kind.DELETE_ROSPEC, Kind.ENABLE_ROSPEC, Kind.START_ROSPEC)]
    asked += [add_accessspec(), of_accessspec(Kind.ENABLE_ACCESSSPEC), of_accessspec(Kind.DELETE_ACCESSSPEC)]
    assert LlrpCodec().feed(b"".join(message.to_bytes() for message in asked)) == asked


@given(st.sampled_from(sorted(Kind)), st.binary(max_size=400))
def test_any_bytes_can_be_asked_what_they_mean(kind: Kind, body: bytes) -> None:
    """Nothing that a reader sends raises, at any depth."""
    inner = [Param.TAG_REPORT_DATA, Param.LLRP_STATUS, Param.READER_EVENT_NOTIFICATION_DATA]
    inner += [Param.REGULATORY_CAPABILITIES, Param.ANTENNA_CONFIGURATION, Param.ANTENNA_PROPERTIES]
    for data in (body, *(tlv(parameter, body) for parameter in inner)):
        for read in (tags, event, status, capabilities, settings):
            read(Message(kind, 0, data))
        parameters(data)


@given(garbage, messages, messages, messages)
def test_no_garbage_hides_messages_for_long(noise: bytes, one: Message, two: Message, three: Message) -> None:
    """It may pass for a message whose end lies in the next; with the one behind that all is well again."""
    codec = LlrpCodec()
    found = codec.feed(noise + b"".join(message.to_bytes() for message in (one, two, three))) + codec.gap()
    assert found[-1:] == [three]


@given(st.binary(max_size=300).filter(lambda noise: not any(head in noise for head in range(4, 16))))
def test_noise_without_a_head_hides_nothing(noise: bytes) -> None:
    """Where no byte can begin a message, the next one is found whole, with its last byte."""
    good = report(Tag(EPC, 1))
    assert LlrpCodec().feed(noise + good.to_bytes() * 2)[-2:] == [good, good]


@given(st.lists(st.one_of(garbage, messages.map(Message.to_bytes))), st.integers(1, 300))
def test_chunks_do_not_matter_and_the_buffer_is_bounded(parts: list[bytes], step: int) -> None:
    """The same bytes give the same messages however they come; nothing raises, nothing piles up, all is counted."""
    stream, codec, found = b"".join(parts), LlrpCodec(), []
    for at in range(0, len(stream), step):
        found += codec.feed(stream[at : at + step])
        assert len(codec._buffer) < MESSAGE_MAX_BYTES
    assert found == LlrpCodec().feed(stream)
    found += codec.gap()
    assert codec.dropped.data + sum(len(message.to_bytes()) for message in found) + len(codec._buffer) == len(stream)


def test_a_message_in_pieces_comes_with_its_last_byte() -> None:
    """Whatever the silence between them."""
    good, codec = report(Tag(EPC, 1)), LlrpCodec()
    *first, last = good.to_bytes()
    for byte in first:
        assert codec.feed(bytes([byte])) + codec.gap() == []
    assert codec.feed(bytes([last])) == [good]
