"""The bits of a Wiegand read: which card they are. For converters on a serial line, and for whatever else carries them.

    H10301   26 bits   P | facility 8  | number 16 | P
    H10306   34 bits   P | facility 16 | number 16 | P
    C1k35s   35 bits   P P | facility 12 | number 20 | P
    H10302   37 bits   P | number 35               | P
    H10304   37 bits   P | facility 16 | number 19 | P

(proxmark3 wiegand_formats.c; Alejandrocsdev/Wiegand-Converter wiegandConfig.js; all against the reads in
`tests/vectors/wiegand.json`.)

- The first bit makes the first half even, the last one the last half odd. Of 37 bits the middle one is in both halves.
- C1k35s is HID's Corporate 1000. Its second bit and its last one have two of each three bits under them, its first bit
  all of them.
- The bits do not tell H10302 from H10304: that must be said (`wide`), and where it is not there is no card.
- D0 and D1 swapped give each bit inverted. Since each parity is over an odd number of bits, what is right one way is
  wrong the other: a read whose complement alone is right is INVERTED. It is never taken: two wrong bits look the same,
  so does one that is under all parities, and so do some cards of other formats of 37 bits, as PCSC's P10004.
- H10302 has no facility; its credential says 0. H10304 with facility 0 and the same number is the same bits, and the
  same credential.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.credential import Credential


class Format(StrEnum):
    """A card's layout, by the name that the trade knows it by."""

    H10301 = "H10301"
    H10306 = "H10306"
    C1K35S = "C1k35s"
    H10302 = "H10302"
    H10304 = "H10304"


class Fault(StrEnum):
    """Why a read is no card."""

    LENGTH = "length"
    """No format has this number of bits, or they are none."""
    PARITY = "parity"
    """A bit is wrong."""
    INVERTED = "inverted"
    """Only the complement has the right parity: D0 and D1 are swapped."""
    UNNAMED = "unnamed"
    """37 bits, and nobody has said which format they are."""


@dataclass(frozen=True, slots=True)
class _Parity:
    at: int
    over: Sequence[int]  # itself among them
    odd: bool

    def holds(self, bits: Sequence[str]) -> bool:
        return sum(bits[at] == "1" for at in self.over) % 2 == self.odd


def _halves(bits: int, half: int) -> tuple[_Parity, ...]:
    return _Parity(0, range(half), odd=False), _Parity(bits - 1, range(bits - half, bits), odd=True)


@dataclass(frozen=True, slots=True)
class _Layout:
    bits: int
    facility: int
    number: int
    parities: tuple[_Parity, ...]  # in the order in which they are made
    front: int = 1  # so many bits of parity stand in front


_LAYOUTS: Final = {
    Format.H10301: _Layout(26, 8, 16, _halves(26, 13)),
    Format.H10306: _Layout(34, 16, 16, _halves(34, 17)),
    Format.C1K35S: _Layout(
        35,
        12,
        20,
        (
            _Parity(1, [at for at in range(1, 34) if at % 3 != 1 or at == 1], odd=False),
            _Parity(34, [at for at in range(1, 35) if at % 3 != 0], odd=True),
            _Parity(0, range(35), odd=True),
        ),
        front=2,
    ),
    Format.H10302: _Layout(37, 0, 35, _halves(37, 19)),
    Format.H10304: _Layout(37, 16, 19, _halves(37, 19)),
}
_BY_LENGTH: Final = {26: Format.H10301, 34: Format.H10306, 35: Format.C1K35S}
_BY_BITS: Final = {layout.bits: layout for layout in _LAYOUTS.values()}


@dataclass(frozen=True, slots=True)
class Card:
    """One card, as it was read. `of` makes it where the numbers fit."""

    format: Format
    facility: int
    number: int

    @classmethod
    def of(cls, form: Format, facility: int, number: int) -> "Card | None":
        """The card of these numbers, None where the format has no room for them."""
        layout = _LAYOUTS[form]
        fits = 0 <= facility < 1 << layout.facility and 0 <= number < 1 << layout.number
        return cls(form, facility, number) if fits else None

    @classmethod
    def of_data(cls, form: Format, data: int) -> "Card | None":
        """The card whose bits between the parities are `data`, None where they are more than the format has."""
        layout = _LAYOUTS[form]
        return _card(form, data) if 0 <= data < 1 << (layout.facility + layout.number) else None

    @property
    def data(self) -> int:
        """The bits between the parities."""
        return self.facility << _LAYOUTS[self.format].number | self.number

    @property
    def length(self) -> int:
        """How many bits the reader sends."""
        return _LAYOUTS[self.format].bits

    def to_bits(self) -> str:
        """What the reader sends: "0" and "1", parities included."""
        layout = _LAYOUTS[self.format]
        bits = list("0" * layout.front + f"{self.data:0{layout.facility + layout.number}b}" + "0")
        for parity in layout.parities:
            bits[parity.at] = "0" if parity.holds(bits) else "1"
        return "".join(bits)

    @property
    def credential(self) -> Credential:
        """`wiegand:bits:facility:number`; facility 0 where the format has none."""
        return Credential(f"wiegand:{self.length}:{self.facility}:{self.number}")


def decode(bits: str, wide: Format | None = None) -> Card | Fault:
    """The card in the bits as they came, a text of "0" and "1"; `wide` says which format those of 37 are."""
    layout = _BY_BITS.get(len(bits))
    if layout is None or not set(bits) <= {"0", "1"}:
        return Fault.LENGTH
    right = [parity.holds(bits) for parity in layout.parities]
    if not all(right):
        return Fault.PARITY if any(right) else Fault.INVERTED
    form = format_of(len(bits), wide)
    return Fault.UNNAMED if form is None else _card(form, int(bits[layout.front : -1], 2))


def bits_of(data: bytes, count: int) -> str:
    """The first `count` bits of bytes, highest bit first; shorter where there are fewer."""
    return "".join(f"{byte:08b}" for byte in data)[: max(count, 0)]


def format_of(length: int, wide: Format | None = None) -> Format | None:
    """The format of cards of this many bits, None where there is none, or where `wide` would have to say which."""
    form = _BY_LENGTH.get(length, wide)
    return form if form is not None and _LAYOUTS[form].bits == length else None


def _card(form: Format, data: int) -> Card:
    number = _LAYOUTS[form].number
    return Card(form, data >> number, data & ((1 << number) - 1))
