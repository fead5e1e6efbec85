"""Wiegand reads as converters to a serial line, or to TCP, send them.

One text line each, in one of these framings (the same card, but for promag's, which is its manual's):

    bits      … 26bits / 0089449F      all bits as they came, right-aligned in whole bytes of hex         CR LF
    checked   … 24bits / 44A24F        the same converter, set to check the parity of 26 and 34 itself    CR LF
    arduino   Wiegand HEX = 44A24F, DECIMAL = 4497999, Type W26                                           CR LF
    hex       44A24F                   the 24 bits of 26 between the parities                             CR
    decimal   0004497999               the bits of 26 or 34 between the parities, ten digits              CR LF
    promag    02 WFC177ID25111         facility and number; also without W, and with a tail behind a TAB  CR

- bits, checked: the example of YetAnotherArduinoWiegandLibrary (github.com/paulo-raca), `begin(LENGTH_ANY, false)` and
  `(…, true)`. Before the number stands a text of the sketch's own. Lines that end in CONNECTED and DISCONNECTED tell
  whether a reader is on the converter. A read that fails the library's check comes as an error line with all its bits.
- arduino: the example of Wiegand-Protocol-Library-for-Arduino (github.com/monkeyboard), also as its users have changed
  the words around the numbers. It checks no parity and sends none: a read with a wrong bit is another card, and nobody
  can tell. HEX and DECIMAL must agree.
- hex: Priority 1 Design, WIE232-A: it checks parity and length first. Its output for 37 bits is not published.
- decimal: S4A, Wiegand-Ethernet, manual 3.2. It does not tell how many bits there were, nor whether it checks parity.
- promag: Promag WEC200-00 and -01, manual, appendix C. As for decimal.

Only `bits` leaves the parity to us, and so only it (and the error lines of `checked`) can show swapped wires.

Finding reads: a line ends with CR or LF. Garbage in front of a read on its line does no harm, unless it ends in a digit
where `hex` and `decimal` begin with one: then nothing tells where the read begins, and it is refused. At most that one
read is lost, whatever the garbage and however long.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.codec import Dropped
from protocol.wiegand import Card, Fault, Format, decode, format_of

LINE_MAX_BYTES: Final = 160  # the longest known, an error line of `checked`, has 70
BUFFER_MAX_BYTES: Final = LINE_MAX_BYTES  # what stays between two calls of `feed`

_STX: Final = b"\x02"
_END: Final = re.compile(rb"[\r\n]")
_BITS: Final = re.compile(rb"(\d+)bits / ([0-9A-Fa-f]{2,})$")
_PLUG: Final = re.compile(rb"(?<![A-Z])(DIS)?CONNECTED$")
_ARDUINO: Final = re.compile(
    rb"HEX = (?:0x *)?([0-9A-F]{1,8}), DECIMAL ?= +(\d{1,10}), (?:Wiegand )?Type (?:= )?W ?(\d{1,2})$", re.IGNORECASE
)
_HEX: Final = re.compile(rb"(?<![0-9A-Fa-f])([0-9A-Fa-f]{6})$")
_DECIMAL: Final = re.compile(rb"(?<!\d)(\d{10})$")
_PROMAG: Final = re.compile(rb"\x02W?FC(\d{1,5})ID(\d{1,10})(?:\t[\t -~]*)?$")
_H10301_BITS: Final = 26
_KEY_BITS: Final = frozenset({4, 8})
_PARITY_BITS: Final = 2
_STRIPPED_BITS: Final = frozenset({24, 32})


class Framing(StrEnum):
    """How a converter writes a read."""

    BITS = "bits"
    CHECKED = "checked"
    ARDUINO = "arduino"
    HEX = "hex"
    DECIMAL = "decimal"
    PROMAG = "promag"


class Note(StrEnum):
    """What a line says that is no read."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    KEY = "key"
    """A key of a reader's keypad."""
    STRANGE = "strange"
    """Nothing that this framing knows."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a converter and its cards. `length` restricts them; decimal and promag cannot do without."""

    framing: Framing = Framing.BITS
    length: int | None = None
    wide: Format | None = None


class WiegandCodec:
    """Bytes of a converter in, cards out, and what else its lines say.

    Lines that are no card and no note of the converter's own count in `dropped.frames`, their bytes in `dropped.data`.
    """

    def __init__(self, expected: Expected | None = None) -> None:
        self.dropped = Dropped()
        self._expected = expected or Expected()
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Card | Fault | Note]:
        """What the lines say that `data` completes, oldest first."""
        self._buffer += data
        said = []
        while (end := _END.search(self._buffer)) is not None:
            line = bytes(self._buffer[: end.start()][-LINE_MAX_BYTES:])
            found = self._read(line) if line else None
            wrong = isinstance(found, Fault) or found is Note.STRANGE
            self.dropped.data += end.start() if wrong else end.start() - len(line)
            self.dropped.frames += wrong
            del self._buffer[: end.end()]
            if found is not None:
                said.append(found)
        surplus = len(self._buffer) - LINE_MAX_BYTES
        if surplus > 0:
            self.dropped.data += surplus
            del self._buffer[:surplus]
        return said

    def _read(self, line: bytes) -> Card | Fault | Note:
        match self._expected.framing:
            case Framing.BITS | Framing.CHECKED:
                return self._of_bits(line)
            case Framing.ARDUINO:
                return self._of_arduino(line)
            case Framing.HEX:
                found = _HEX.search(line)
                return self._card(_H10301_BITS, int(found[1], 16)) if found else Note.STRANGE
            case Framing.DECIMAL:
                found = _DECIMAL.search(line)
                return self._card(self._expected.length, int(found[1])) if found else Note.STRANGE
            case Framing.PROMAG:
                found = _PROMAG.search(line)
                form = format_of(self._expected.length or 0)
                card = Card.of(form, int(found[1]), int(found[2])) if found and form else None
                return card or (Fault.LENGTH if found else Note.STRANGE)

    def _of_bits(self, line: bytes) -> Card | Fault | Note:
        """A read with its number of bits, which garbage or the sketch's text may have made longer in front."""
        if plug := _PLUG.search(line):
            return Note.DISCONNECTED if plug[1] else Note.CONNECTED
        found = _BITS.search(line)
        digits, raw = (found[1], found[2]) if found else (b"", b"")
        for length in (int(digits[-size:]) for size in (3, 2, 1) if digits):
            if (length + 7) // 8 * 2 == len(raw) and int(raw, 16) >> length == 0:
                return self._of_length(length, int(raw, 16))
        return Note.STRANGE

    def _of_length(self, length: int, value: int) -> Card | Fault | Note:
        if length in _KEY_BITS:
            return Note.KEY
        if self._expected.framing is Framing.CHECKED and length in _STRIPPED_BITS:
            return self._card(length + _PARITY_BITS, value)
        if self._expected.length not in (None, length):
            return Fault.LENGTH
        return decode(f"{value:0{length}b}", self._expected.wide)

    def _of_arduino(self, line: bytes) -> Card | Fault | Note:
        found = _ARDUINO.search(line)
        if found is None or int(found[1], 16) != int(found[2]):
            return Note.STRANGE
        length = int(found[3])
        return Note.KEY if length in _KEY_BITS else self._card(length, int(found[2]))

    def _card(self, length: int | None, data: int) -> Card | Fault:
        """The card of bits whose parities the converter has left out: none leaves out those of others."""
        form = format_of(length) if length is not None and length - _PARITY_BITS in _STRIPPED_BITS else None
        if form is None or self._expected.length not in (None, length):
            return Fault.LENGTH
        return Card.of_data(form, data) or Fault.LENGTH


def line_of(framing: Framing, card: Card) -> bytes:
    """The line of a converter that has read this card."""
    stripped = card.length - _PARITY_BITS
    match framing:
        case Framing.CHECKED if stripped in _STRIPPED_BITS:
            return line_of_bits(f"{card.data:0{stripped}b}")
        case Framing.BITS | Framing.CHECKED:
            return line_of_bits(card.to_bits())
        case Framing.ARDUINO:
            return f"Wiegand HEX = {card.data:X}, DECIMAL = {card.data}, Type W{card.length}\r\n".encode()
        case Framing.HEX:
            return f"{card.data:06X}\r".encode()
        case Framing.DECIMAL:
            return f"{card.data:010d}\r\n".encode()
        case Framing.PROMAG:
            return _STX + f"WFC{card.facility}ID{card.number}\r".encode()


def line_of_bits(bits: str) -> bytes:
    """The line of a converter that tells all bits as they came, whatever they are."""
    digits = (len(bits) + 7) // 8 * 2
    return f"Card readed: {len(bits)}bits / {int(bits, 2):0{digits}X}\r\n".encode()
