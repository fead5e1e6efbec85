"""Lines of Wiegand converters: the published ones, every framing both ways, and what a line makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import Dropped
from protocol.wiegand import Card, Fault, Format
from protocol.wiegand_serial import (
    BUFFER_MAX_BYTES,
    LINE_MAX_BYTES,
    Expected,
    Framing,
    Note,
    WiegandCodec,
    line_of,
    line_of_bits,
)
from tests.protocol.test_wiegand import ROOM

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "wiegand_serial.json").read_text())
H10301 = Card(Format.H10301, 68, 41551)
H10306 = Card(Format.H10306, 1234, 56789)
H10302 = Card(Format.H10302, 0, 34359738367)
byte = st.integers(0, 255)
# bytes that lines are made of, so that garbage looks like them
garbage = st.lists(st.one_of(st.sampled_from(list(b"\x02\r\n0126bits/ FCDW")), byte), max_size=2 * LINE_MAX_BYTES).map(
    bytes
)


@st.composite
def reads(draw: st.DrawFn) -> tuple[Expected, Card]:
    """A converter as it is configured, and a card that it may read."""
    framing = draw(st.sampled_from(Framing))
    form = Format.H10301 if framing is Framing.HEX else draw(st.sampled_from((Format.H10301, Format.H10306)))
    if framing is Framing.BITS:
        form = draw(st.sampled_from(Format))
    facility, number = (draw(st.integers(0, (1 << bits) - 1)) for bits in ROOM[form])
    card = Card(form, facility, number)
    told = framing in (Framing.DECIMAL, Framing.PROMAG)
    length = card.length if told or draw(st.booleans()) else None
    return Expected(framing, length, form if card.length == 37 else None), card


def read(line: bytes, framing: Framing = Framing.BITS, length: int | None = None, wide: Format | None = None) -> Any:
    """What one line says."""
    (said,) = WiegandCodec(Expected(framing, length, wide)).feed(line)
    return said


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_published_lines(vector: dict[str, Any]) -> None:
    """As the manuals print them, and as converters wrote them."""
    meaning = vector["meaning"]
    said = read(bytes.fromhex(vector["hex"]), Framing(meaning["framing"]), meaning["bits"])
    if "credential" in meaning:
        assert said.credential == meaning["credential"]
    else:
        assert said == meaning.get("fault", meaning.get("note_kind"))


@pytest.mark.parametrize(
    ("framing", "line"),
    [
        ("bits", b"Card readed: 26bits / 0089449F\r\n"),
        ("bits", b"26bits / 0089449f\n"),
        ("bits", b"Card read error: Verification Failed - Raw data: 26bits / 0089449F\r\n"),
        ("checked", b"Card readed: 24bits / 44A24F\r\n"),
        ("arduino", b"Wiegand HEX = 44A24F, DECIMAL = 4497999, Type W26\r\n"),
        ("hex", b"44A24F\r"),
        ("decimal", b"0004497999\r\n"),
        ("promag", b"\x02WFC68ID41551\r"),
    ],
)
def test_each_framing(framing: str, line: bytes) -> None:
    """One card, as each converter writes it by its source."""
    assert read(line, Framing(framing), 26) == H10301


@given(reads())
def test_a_read_comes_out_as_it_was_written(case: tuple[Expected, Card]) -> None:
    """Zeros in front are kept; two glued lines are two."""
    expected, card = case
    line = line_of(expected.framing, card)
    assert WiegandCodec(expected).feed(line * 2) == [card, card]


@given(reads(), st.data())
def test_a_wrong_bit_is_no_card(case: tuple[Expected, Card], data: st.DataObject) -> None:
    """Where all bits come, a flipped one is dropped and counted."""
    expected, card = Expected(Framing.BITS, None, case[0].wide), case[1]
    bits = list(card.to_bits())
    at = data.draw(st.integers(0, len(bits) - 1))
    bits[at] = "1" if bits[at] == "0" else "0"
    codec = WiegandCodec(expected)
    (said,) = codec.feed(line_of_bits("".join(bits)))
    assert isinstance(said, Fault)
    assert codec.dropped.frames == 1


def test_faults_and_notes() -> None:
    """Swapped wires, 37 bits without a name, other lengths, keys, plugs; each is told, none is a card."""
    swapped = H10301.to_bits().translate(str.maketrans("01", "10"))
    assert read(line_of_bits(swapped)) is read(line_of_bits(swapped), Framing.CHECKED) is Fault.INVERTED
    assert read(line_of_bits(H10302.to_bits())) is Fault.UNNAMED
    assert read(line_of_bits(H10302.to_bits()), wide=Format.H10302) == H10302
    assert read(line_of(Framing.CHECKED, H10301)) is Fault.LENGTH
    assert read(line_of(Framing.BITS, H10306), length=26) is Fault.LENGTH
    assert read(b"Card readed: 4bits / 05\r\n") is read(b"Reader 34bits / 05\n") is Note.KEY
    assert read(b"Wiegand HEX = 5, DECIMAL = 5, Type W4\n", Framing.ARDUINO) is Note.KEY
    assert read(b"State changed: CONNECTED\r\n") is Note.CONNECTED
    assert read(b"State changed: DISCONNECTED\r\n") is Note.DISCONNECTED


@pytest.mark.parametrize(
    ("framing", "line"),
    [
        (Framing.BITS, b"26bits / 89449F\n"),
        (Framing.BITS, b"26bits / 0489449F\n"),
        (Framing.BITS, b"26bits / 0089449F more\n"),
        (Framing.ARDUINO, b"Wiegand HEX = 44A24F, DECIMAL = 4497998, Type W26\n"),
        (Framing.HEX, b"144A24F\r"),
        (Framing.HEX, b"44A24\r"),
        (Framing.DECIMAL, b"10004497999\n"),
        (Framing.DECIMAL, b"4497999\n"),
        (Framing.PROMAG, b"WFC68ID41551\r"),
        (Framing.PROMAG, b"\x02ROM0722A7\r"),
    ],
)
def test_what_is_no_line_of_a_framing_is_strange(framing: Framing, line: bytes) -> None:
    """Wrong widths, bits beyond the number, numbers that disagree, marks that are missing: never a card."""
    assert read(line, framing, 26) is Note.STRANGE


def test_a_line_that_is_too_long_is_strange() -> None:
    """However it comes: whole, or byte by byte."""
    line = b"\x02FC1ID2\t" + b"D" * LINE_MAX_BYTES + b"\r"
    codec = WiegandCodec(Expected(Framing.PROMAG, 26))
    assert [said for byte in line for said in codec.feed(bytes([byte]))] == [Note.STRANGE]
    assert read(line, Framing.PROMAG, 26) is Note.STRANGE


def test_numbers_beyond_the_format_are_no_card() -> None:
    """What a converter says of 34 bits is no card of 26, and the other way round where it tells."""
    assert read(line_of(Framing.DECIMAL, H10306), Framing.DECIMAL, 26) is Fault.LENGTH
    assert read(line_of(Framing.PROMAG, H10306), Framing.PROMAG, 26) is Fault.LENGTH
    assert read(line_of(Framing.ARDUINO, H10306), Framing.ARDUINO, 26) is Fault.LENGTH
    assert read(b"Wiegand HEX = 44A24F, DECIMAL = 4497999, Type W24\n", Framing.ARDUINO) is Fault.LENGTH
    assert read(line_of(Framing.DECIMAL, H10301), Framing.DECIMAL) is Fault.LENGTH, "nobody has said how many"


@given(garbage, reads())
def test_no_garbage_hides_a_read(noise: bytes, case: tuple[Expected, Card]) -> None:
    """After garbage of any length one read is lost at most, and none where the garbage does not run into it."""
    expected, card = case
    line = line_of(expected.framing, card)
    codec = WiegandCodec(expected)
    found = [said for said in codec.feed(noise + line * 2) if isinstance(said, Card)]
    runs_in = expected.framing in (Framing.HEX, Framing.DECIMAL) and noise[-1:] in tuple(
        bytes([digit]) for digit in b"0123456789ABCDEFabcdef"
    )
    assert found[-1:] == [card]
    assert runs_in or found[-2:] == [card, card]


@given(st.lists(st.one_of(garbage, reads().map(lambda case: line_of(case[0].framing, case[1]))), max_size=5), st.data())
def test_chunks_do_not_matter_and_the_buffer_is_bounded(parts: list[bytes], data: st.DataObject) -> None:
    """The same bytes say the same however they come; nothing raises, nothing piles up."""
    expected = Expected(data.draw(st.sampled_from(Framing)), data.draw(st.sampled_from([None, 26, 34])))
    stream, codec, found, at = b"".join(parts), WiegandCodec(expected), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, 200))
        found += codec.feed(stream[at : at + step])
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
        at += step
    assert found == WiegandCodec(expected).feed(stream)


@pytest.mark.parametrize("step", [1, 7, 200, 2000])
def test_what_stands_in_front_of_a_line_is_counted_once(step: int) -> None:
    """Garbage beyond the longest line counts as dropped behind a good read too, however it is cut."""
    card = Card(Format.H10301, 7, 12345)
    stream, codec = b"\xff" * 300 + line_of(Framing.DECIMAL, card), WiegandCodec(Expected(Framing.DECIMAL, 26))
    assert [one for at in range(0, len(stream), step) for one in codec.feed(stream[at : at + step])] == [card]
    assert codec.dropped == Dropped(300 + 10 - LINE_MAX_BYTES, 0)
