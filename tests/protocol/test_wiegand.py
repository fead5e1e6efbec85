"""Wiegand bits: real reads, all formats both ways, and what is no card."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.credential import canonical
from protocol.wiegand import Card, Fault, Format, bits_of, decode, format_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "wiegand.json").read_text())
ROOM = {
    Format.H10301: (8, 16),
    Format.H10306: (16, 16),
    Format.C1K35S: (12, 20),
    Format.H10302: (0, 35),
    Format.H10304: (16, 19),
}
WIDE = (Format.H10302, Format.H10304)
SWAP = str.maketrans("01", "10")


@st.composite
def cards(draw: st.DrawFn) -> Card:
    """Any card of any format."""
    form = draw(st.sampled_from(Format))
    facility, number = (draw(st.integers(0, (1 << bits) - 1)) for bits in ROOM[form])
    return Card(form, facility, number)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_real_reads(vector: dict[str, Any]) -> None:
    """Each known read gives facility and number, and is written bit for bit; one that fails its parity gives none."""
    bits = vector["meaning"]["bits"]
    assert bits_of(bytes.fromhex(vector["hex"]), len(bits)) == bits
    wide = Format(vector["meaning"]["format"]) if "format" in vector["meaning"] else None
    found = decode(bits, wide)
    if vector.get("expect") == "bad":
        assert found == vector["meaning"].get("fault", Fault.PARITY)
        return
    assert isinstance(found, Card)
    assert (found.facility, found.number) == (vector["meaning"]["fc"], vector["meaning"]["cn"])
    assert found.to_bits() == bits
    assert decode(bits.translate(SWAP)) is Fault.INVERTED


def test_credentials() -> None:
    """One canonical form each; a number alone has facility 0."""
    for card, text in (
        (Card(Format.H10301, 123, 45678), "wiegand:26:123:45678"),
        (Card(Format.H10306, 0xBC, 0x614E), "wiegand:34:188:24910"),
        (Card(Format.C1K35S, 4095, 1048575), "wiegand:35:4095:1048575"),
        (Card(Format.H10302, 0, (1 << 35) - 1), "wiegand:37:0:34359738367"),
        (Card(Format.H10304, 65535, 524287), "wiegand:37:65535:524287"),
        (Card(Format.H10301, 0, 0), "wiegand:26:0:0"),
    ):
        assert canonical(card.credential) == text


@given(cards())
def test_a_card_reads_as_it_was_written(card: Card) -> None:
    """Zeros in front are kept; 37 bits are what they are said to be, and no card where nobody says."""
    bits = card.to_bits()
    assert len(bits) == card.length
    assert decode(bits, card.format if card.format in WIDE else None) == card
    assert canonical(card.credential)
    if card.format in WIDE:
        assert decode(bits) is Fault.UNNAMED
        assert decode(bits, Format.H10301) is Fault.UNNAMED
        assert all(isinstance(decode(bits, wide), Card) for wide in WIDE)


@given(cards(), st.data())
def test_a_wrong_bit_is_no_card(card: Card, data: st.DataObject) -> None:
    """Each single bit is under a parity, and none makes it look inverted but those under all."""
    at = data.draw(st.integers(0, card.length - 1))
    bits = list(card.to_bits())
    bits[at] = "1" if bits[at] == "0" else "0"
    shared = at == 1 or at % 3 == 2 if card.length == 35 else card.length % 2 and at == card.length // 2
    assert decode("".join(bits), card.format) is (Fault.INVERTED if shared else Fault.PARITY)


@given(cards())
def test_swapped_wires_are_seen_and_not_guessed(card: Card) -> None:
    """The complement of a card is INVERTED in every format, named or not; never a card."""
    bits = card.to_bits().translate(SWAP)
    assert decode(bits) is decode(bits, Format.H10304) is Fault.INVERTED


@given(st.one_of(st.text("01", max_size=80), st.text(max_size=40)), st.sampled_from([None, *Format]))
def test_any_text_can_be_asked(bits: str, wide: Format | None) -> None:
    """Nothing raises; other lengths are no card."""
    found = decode(bits, wide)
    if len(bits) not in (26, 34, 35, 37):
        assert found is Fault.LENGTH


def test_parities_of_37_bits_share_the_middle() -> None:
    """By rule: the first 19 bits even, the last 19 odd."""
    bits = Card(Format.H10302, 0, 1 << 17).to_bits()
    assert bits == "1" + "0" * 17 + "1" + "0" * 18
    assert bits[:19].count("1") == 2
    assert bits[18:].count("1") == 1


@pytest.mark.parametrize("form", Format)
def test_numbers_that_have_no_room_are_no_card(form: Format) -> None:
    """One more than the largest, and less than nothing."""
    facility, number = ((1 << bits) - 1 for bits in ROOM[form])
    assert Card.of(form, facility, number) == Card(form, facility, number)
    assert Card.of(form, facility + 1, number) is Card.of(form, facility, number + 1) is Card.of(form, -1, 0) is None
    data = Card(form, facility, number).data
    assert Card.of_data(form, data) == Card(form, facility, number)
    assert Card.of_data(form, data + 1) is Card.of_data(form, -1) is None


def test_formats_by_length() -> None:
    """37 bits have one only where it is named."""
    assert (format_of(26), format_of(34), format_of(35), format_of(37)) == (*list(Format)[:3], None)
    assert format_of(37, Format.H10304) is Format.H10304
    assert format_of(26, Format.H10304) is Format.H10301


def test_bits_of_bytes() -> None:
    """Highest first; no more than there are, no fewer than none."""
    assert bits_of(b"\x82\x69", 9) == "100000100"
    assert bits_of(b"\x82", 20) == "10000010"
    assert bits_of(b"\x82", -1) == ""
