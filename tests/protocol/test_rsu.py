"""ETC units' frames: the known ones, three framings told apart, and what a line makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.credential import canonical
from protocol.rsu import BUFFER_MAX_BYTES, Cmd, Frame, Framing, Identity, RsuCodec
from protocol.rsu_tables import AUTO, BEIJING, BUILT_IN, GANTRY, PARKING, Reading, Vehicle, colour, is_beat, plate
from protocol.rsu_tables import template as command_template
from protocol.sighting import PlateColour

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rsu.json").read_text())
EVERY = Reading(AUTO)
byte = st.integers(0, 255)
payload = st.lists(st.one_of(st.sampled_from([0xFE, 0xFF, 0, 1]), byte), max_size=300).map(bytes)
bcc = st.builds(Frame, st.just(Framing.BCC), st.integers(8, 0xFD), byte, payload, st.sampled_from([1, 2]))
crc16 = st.builds(Frame, st.just(Framing.CRC16), byte, byte, payload)
park = st.builds(Frame, st.just(Framing.PARK), st.just(0), st.integers(1, 255), payload)
frames = st.one_of(bcc, crc16, park)
marks = st.sampled_from([0xFF, 0xFE, 0, 1, 4, 8, 0x58, 0xB2])
garbage = st.lists(st.one_of(marks, byte), max_size=400).map(bytes)


def whole(codec: RsuCodec, data: bytes) -> list[Frame]:
    """What the codec makes of bytes followed by silence."""
    return codec.feed(data) + codec.gap()


def known(name: str) -> Frame:
    """The frame in a vector."""
    (found,) = RsuCodec().feed(bytes.fromhex(next(v["hex"] for v in VECTORS if v["name"] == name)))
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_known_frames(vector: dict[str, Any]) -> None:
    """Each is told by its framing, bears what it should, and is written again byte for byte."""
    data, meaning = bytes.fromhex(vector["hex"]), vector["meaning"]
    (frame,) = RsuCodec().feed(data)
    assert frame.to_bytes() == data
    assert frame.framing is Framing(meaning["framing"])
    assert f"{frame.seq:02X}" == meaning.get("rsctl", meaning.get("seq", "00"))
    if "cmd" in meaning:
        assert f"{frame.command:02X}" == meaning["cmd"][:2]
        assert len(frame.data) + 1 == meaning["len"]
    if "obuid" in meaning:
        assert (frame.data[:4].hex().upper(), frame.data[4]) == (meaning["obuid"], meaning["error"])


@pytest.mark.parametrize("name", ["b3_constructed_plain", "b3_constructed_stuffed"])
def test_what_identifies(name: str) -> None:
    """Id, plate, colour and class come out, with and without stuffing."""
    meaning = next(vector["meaning"] for vector in VECTORS if vector["name"] == name)
    vehicle = EVERY.vehicle(known(name))
    assert vehicle is not None
    assert vehicle.credential == f"obu:{meaning['obuid']}"
    assert plate(vehicle.plate or b"") == f"plate:{meaning['plate']}"
    assert (vehicle.colour.hex(), vehicle.vehicle_class) == (meaning["color"], meaning["class"])


def test_a_unit_that_was_torn_off() -> None:
    """A car-park unit's own frame: known, refused, and no plate read from what is left of it."""
    assert EVERY.vehicle(known("park_b4_removed")) == Vehicle(b"\x02\xf7\xd5\x93", 1)


def test_who_a_unit_is() -> None:
    """By the layouts of B0 that the sources have; of all else, and of one that is all zeros, nothing."""
    assert Identity.from_frame(known("park_b0")) == Identity("02", "fbc3d6", "1000")
    assert Identity.from_frame(known("gantry_b0")) == Identity("08", "000829", "2009")
    who, rest = bytes.fromhex("08a1b2c32001"), bytes(5)
    for in_front in (bytes(1 + 6 + 1), bytes(1 + 6 + 6 + 1), b"\0\2" + bytes(6 + 6 + 1)):
        frame = Frame(Framing.BCC, 0x18, Cmd.STATE, in_front + who + rest)
        assert Identity.from_frame(frame) == Identity("08", "a1b2c3", "2001")
        assert Identity.from_frame(Frame(Framing.PARK, 0, Cmd.STATE, frame.data)) is None
        assert Identity.from_frame(Frame(Framing.BCC, 0x18, Cmd.STATE, bytes(len(frame.data)))) is None
        assert Identity.from_frame(Frame(Framing.BCC, 0x18, Cmd.BEAT, frame.data)) is None


def test_heartbeats_and_others_identify_nobody() -> None:
    """A car-park unit's B2, an id of all FF, a paid passage, a command."""
    beat = Frame(Framing.BCC, 0x18, Cmd.OBU, b"\xff\xff\xff\xff\x80")
    assert is_beat(beat)
    assert is_beat(known("park_b2_heartbeat"))
    for frame in (beat, *map(known, ("park_b2_heartbeat", "park_b0", "gantry_b1", "b5_bcc", "c4_open_crc16"))):
        assert EVERY.knows(frame)
        assert EVERY.vehicle(frame) is None


@given(frames)
def test_a_frame_reads_as_it_was_written(frame: Frame) -> None:
    """In each framing, with all that must be stuffed, and without an FF inside a BCC frame."""
    data = frame.to_bytes()
    assert RsuCodec().feed(data * 2) == [frame, frame]
    if frame.framing is Framing.BCC:
        assert 0xFF not in data[frame.heads : -1]


@given(frames, byte)
def test_an_answer_bears_the_number_turned(frame: Frame, command: int) -> None:
    """Nibbles swapped, wrapped the same way."""
    answer = frame.answered(command)
    assert f"{answer.seq:02x}" == f"{frame.seq:02x}"[::-1]
    assert (answer.framing, answer.heads) == (frame.framing, frame.heads)


def test_a_number_turned() -> None:
    """Of the known frame 58, 85."""
    assert known("b3_constructed_plain").answered(Cmd.STOP).seq == 0x85


@given(garbage, frames, frames)
def test_no_garbage_hides_a_frame(noise: bytes, one: Frame, two: Frame) -> None:
    """After garbage that is no frame, even the head of a longer one, good frames come with the next silence at last."""
    assume(not whole(RsuCodec(), noise + b"\xff"))
    assume(one.heads == two.heads == 2)
    assert whole(RsuCodec(), noise + one.to_bytes() + two.to_bytes())[-2:] == [one, two]


@pytest.mark.parametrize("empty", ["ffff8080ff", "ffff0808ff", "ffff00100000000043cf"])
def test_an_answer_without_a_command_costs_nothing(empty: str) -> None:
    """What a published protocol allows beside frames holds up none."""
    for frame in map(known, ("park_b0", "c4_open_crc16", "b3_constructed_stuffed")):
        assert RsuCodec().feed(bytes.fromhex(empty) + frame.to_bytes()) == [frame]


def test_a_false_head_waits_for_silence_and_no_longer() -> None:
    """A LEN of 2,047 bytes holds a frame up until `gap`, and the next ones not at all."""
    codec, frame = RsuCodec(), known("park_b0")
    assert codec.feed(b"\xff\xff\x07\xff\xb2" + frame.to_bytes()) == []
    assert codec.pending
    assert codec.gap() == [frame]
    assert codec.feed(frame.to_bytes()) == [frame]
    assert not codec.pending


@pytest.mark.parametrize("name", ["park_b0", "c4_open_crc16", "b3_constructed_stuffed"])
def test_a_pause_within_a_frame_loses_nothing(name: str) -> None:
    """What TCP tears apart anywhere is put together again, whatever the silence between."""
    data = known(name).to_bytes()
    for at in range(1, len(data)):
        codec = RsuCodec()
        assert codec.feed(data[:at]) + codec.gap() == []
        assert codec.feed(data[at:]) == [known(name)]


@pytest.mark.parametrize("name", [vector["name"] for vector in VECTORS])
def test_a_flipped_bit_is_no_frame(name: str) -> None:
    """Wherever it is, no frame with the same command and other content comes out."""
    good = known(name)
    for at in range(2, len(good.to_bytes()) - 1):
        data = bytearray(good.to_bytes())
        data[at] ^= 0x10
        assert [frame for frame in whole(RsuCodec(), bytes(data)) if frame.command == good.command] == []


def test_stuffing_undone_wrongly_is_told_by_the_length() -> None:
    """FE 01 taken for two bytes passes BCC, and is not read."""
    stuffed = known("b3_constructed_stuffed")
    wrong = Frame(Framing.BCC, stuffed.seq, stuffed.command, stuffed.data.replace(b"\xff", b"\xfe\x01"))
    assert RsuCodec().feed(wrong.to_bytes()) == [wrong]
    assert not EVERY.knows(wrong)
    assert EVERY.vehicle(wrong) is None


@given(st.lists(st.one_of(garbage, frames.map(Frame.to_bytes))), st.integers(1, 300))
def test_chunks_do_not_matter_and_the_buffer_is_bounded(parts: list[bytes], step: int) -> None:
    """The same bytes give the same frames however they come; nothing raises, nothing piles up, all is counted."""
    stream, codec, found = b"".join(parts), RsuCodec(), []
    for at in range(0, len(stream), step):
        found += codec.feed(stream[at : at + step])
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
    assert found == RsuCodec().feed(stream)
    found += codec.gap()
    kept = sum(len(frame.to_bytes()) for frame in found)
    assert codec.dropped.data + kept + len(codec._buffer) == len(stream)


@pytest.mark.parametrize("filler", [b"\xff\x58" + b"\x11" * 9000, b"\xff" * 9000, b"\xff\xff\x00" * 3000])
def test_an_endless_frame_ends(filler: bytes) -> None:
    """One that never closes, or only ever begins, is given up within the bound."""
    codec = RsuCodec()
    for at in range(0, len(filler), 64):
        codec.feed(filler[at : at + 64])
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
    assert known("park_b0") in whole(codec, known("park_b0").to_bytes())


@given(st.sampled_from(list(Framing)), byte, byte, st.binary(max_size=300))
def test_any_frame_can_be_asked_for_a_vehicle(framing: Framing, seq: int, command: int, data: bytes) -> None:
    """Nothing that a unit sends raises."""
    vehicle = EVERY.vehicle(Frame(framing, seq, command, data))
    if vehicle is not None and vehicle.plate is not None:
        plate(vehicle.plate)


@pytest.mark.parametrize("region", AUTO, ids=lambda region: region.name)
def test_tables_read_what_they_write(region: Any) -> None:
    """A vehicle's frame comes out as it was put in, by its region's tables and by all of them."""
    layout = next(layout for layout in region.frames if layout.plate is not None)
    assert layout.needs <= layout.length
    vehicle = Vehicle(
        b"\x63\xb6\xa1\xd2", plate="沪A12345".encode("gbk").ljust(12, b"\0"), colour=b"\0\1", vehicle_class=2
    )
    frame = Frame(region.framing, 0x18, layout.command, layout.data(vehicle))
    assert Reading((region,)).vehicle(frame) == EVERY.vehicle(frame) == vehicle
    assert not Reading((region,)).knows(Frame(region.framing, 0x18, layout.command, frame.data + b"\0"))


def test_fields_where_the_sources_have_them() -> None:
    """Frames put together field by field, as their sources list them, and not by our tables."""
    obu, factor = b"\x63\xb6\xa1\xd2", b"\xb1\xb1\xbe\xa9" * 2
    file = "沪A12345".encode("gbk").ljust(12, b"\0") + b"\0\4\2\1" + bytes(63)  # plate, colour, class, user, rest to 79
    unit = [bytes(18), bytes(10), bytes(3)]  # type to expiry, card, equipment and status
    bcc_units = {32: [factor, bytes(16), unit[2]], 34: [factor, unit[0], unit[2]], 44: [factor, *unit]}
    for length, parts in bcc_units.items():
        data = b"".join([obu, b"\0", *parts])
        assert len(data) == length
        assert EVERY.vehicle(Frame(Framing.BCC, 0x18, Cmd.OBU, data)) == Vehicle(obu, factor=factor)
    gantry = obu + b"\0" + b"\1\1" + factor + unit[0] + unit[2]  # antenna and device before the issuer
    assert EVERY.vehicle(Frame(Framing.CRC16, 1, Cmd.OBU, gantry)) == Vehicle(obu, factor=factor)
    vehicle = Vehicle(obu, plate=file[:12], colour=b"\0\4", vehicle_class=2)
    for size in (16, 59, 62, 79):
        assert EVERY.vehicle(Frame(Framing.BCC, 0x28, Cmd.VEHICLE, obu + b"\0" + file[:size])) == vehicle
    for behind in (4 + 50 + 43, 4 + 91 + 50 + 43):  # money, EF04 in some, 0015, 0019
        card = Frame(Framing.CRC16, 1, Cmd.CARD, obu + b"\0\x10" + file + bytes(behind))  # transaction type in front
        assert (EVERY.vehicle(card), EVERY.region(card)) == (vehicle, GANTRY)
    lane = Frame(Framing.CRC16, 1, Cmd.VEHICLE, obu + b"\0" + file)
    assert (EVERY.vehicle(lane), EVERY.region(lane)) == (vehicle, GANTRY)
    for behind in (43 + 4 + 10, 43 + 4 + 10 + 97):  # a pass: last station, EF02, EF04; one with more of EF02
        assert EVERY.vehicle(Frame(Framing.CRC16, 1, Cmd.CARD, obu + b"\0\x10" + bytes(behind))) == Vehicle(obu)
    system = bytes(26) + file + bytes(50 + 4 + 43 + 1 + 63)  # system; 0015, money, 0019, black list, reserved
    for has_card in (0, 1):
        car_park = obu + bytes([2, has_card, 0]) + system
        assert EVERY.vehicle(Frame(Framing.PARK, 0, Cmd.CARD, car_park)) == vehicle, "without a card, too"
    assert EVERY.vehicle(Frame(Framing.PARK, 0, Cmd.CARD, obu + b"\2\1\1" + system)) == Vehicle(obu, 1), "torn off"


@pytest.mark.parametrize("command", [Cmd.OBU, Cmd.VEHICLE])
def test_an_error_ends_a_frame(command: Cmd) -> None:
    """Five bytes with an ErrorCode are read; five bytes without one are not."""
    assert EVERY.vehicle(Frame(Framing.BCC, 0x18, command, b"\x63\xb6\xa1\xd2\x01")) == Vehicle(b"\x63\xb6\xa1\xd2", 1)
    assert not EVERY.knows(Frame(Framing.BCC, 0x18, command, b"\x63\xb6\xa1\xd2\x00"))


def test_an_error_in_a_full_frame_leaves_nothing_but_the_id() -> None:
    """What stands behind an ErrorCode is not read, whatever it is; a torn-off on-board unit is an error too."""
    data = bytearray(known("b3_constructed_plain").data)
    data[4] = 2
    assert EVERY.vehicle(Frame(Framing.BCC, 0x58, Cmd.VEHICLE, bytes(data))) == Vehicle(b"\x63\xb6\xa1\xd2", 2)
    (layout,) = PARKING.frames
    torn = layout.data(Vehicle(b"\x63\xb6\xa1\xd2", 1, plate="沪A12345".encode("gbk")))
    assert EVERY.vehicle(Frame(Framing.PARK, 0, Cmd.CARD, torn)) == Vehicle(b"\x63\xb6\xa1\xd2", 1)


def test_all_built_in_tables_agree() -> None:
    """No two of them read one kind of frame of one framing differently, so that auto may have them all."""
    assert set(BUILT_IN.values()) == set(AUTO)
    for region in AUTO:
        for layout in region.frames:
            same = [
                other
                for others in AUTO
                for other in others.frames
                if (others.framing, other.command, other.length) == (region.framing, layout.command, layout.length)
            ]
            assert set(same) == {layout}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("沪A12345", "沪A12345"),
        ("沪A·12345", "沪A12345"),
        ("沪A-1234 5", "沪A12345"),
        ("沪Ａ１２３４５", "沪A12345"),
        ("沪ad12345", "沪AD12345"),
        ("粤Z1234港", "粤Z1234港"),
        ("沪A12345\0\0\0", "沪A12345"),
        ("沪A12345   ", "沪A12345"),
        ("", None),
        ("\0" * 12, None),
        ("默A00000", None),
        ("12", None),
    ],
)
def test_plates(text: str, found: str | None) -> None:
    """Full width, separators and padding go; what is no canonical plate is none."""
    assert plate(text.encode("gbk")) == (None if found is None else canonical(f"plate:{found}"))


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("0000", PlateColour.BLUE),
        ("0001", PlateColour.YELLOW),
        ("0004", PlateColour.FADING_GREEN),
        ("0005", PlateColour.YELLOW_GREEN),
        ("000b", PlateColour.GREEN),
        ("0006", None),
        ("0009", None),
        ("ffff", None),
        ("0100", None),
        ("", None),
    ],
)
def test_colours(raw: str, found: PlateColour | None) -> None:
    """By two bytes, the high one first; what has no agreed name has none, nor has a frame without the field."""
    assert colour(bytes.fromhex(raw)) is found


@pytest.mark.parametrize("padding", ["", "00000000", "20202020", "ffffffff", "00ffffff"])
def test_padding_of_a_plate(padding: str) -> None:
    """A file that was never written there is all FF."""
    assert plate(bytes.fromhex("bba6413132333435" + padding)) == "plate:沪A12345"


@pytest.mark.parametrize("raw", ["ff" * 12, "81", "bba6ff", "00bba6413132333435"])
def test_what_is_no_text_is_no_plate(raw: str) -> None:
    """Bytes that are no GBK, a character cut in half, padding in front."""
    assert plate(bytes.fromhex(raw)) is None


@given(st.binary(max_size=12))
def test_any_plate_field_is_a_canonical_plate_or_none(raw: bytes) -> None:
    """Nothing raises, nothing else comes out."""
    found = plate(raw)
    assert found is None or canonical(found) == found


def test_templates() -> None:
    """Names and hex bytes; what is neither is answered with what would be right."""
    made = command_template(Cmd.STOP, "obu 0001 time", ("obu", "time"))
    assert made.data({"obu": b"abcd", "time": b"\0\0\0\x09"}) == b"abcd\0\1\0\0\0\x09"
    with pytest.raises(ValueError, match="'obuid' is no part of command C2: obu, time or bytes in hex would be right"):
        command_template(Cmd.STOP, "obuid 01", ("obu", "time"))
    assert BEIJING.commands.stop.data({"obu": b"abcd"}) == b"abcd\1"
