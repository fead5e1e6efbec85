"""The other side of `drivers.wiegand`."""

import re
from typing import Final

from protocol.wiegand import Card, Format, format_of
from protocol.wiegand_serial import Framing, line_of, line_of_bits

_CARD: Final = re.compile(r"(?:wiegand:)?(\d{2}):(\d{1,6}):(\d{1,11})")
_BITS: Final = re.compile(r"[01]{1,128}")
_FORMATS: Final = "26:FACILITY:NUMBER, 34:…, 35:…, or 37:…, each within what its format holds, or the bits themselves"


class EmulatedWiegand:
    """A reader with its converter. A card of 37 bits is H10302 where its facility is 0, else H10304."""

    def __init__(self, framing: Framing = Framing.BITS) -> None:
        self._framing = framing

    def receive(self, data: bytes) -> bytes:  # noqa: ARG002 - the converter does not listen
        """See Device."""
        return b""

    def line(self, shown: str) -> bytes:
        """What the converter says of a card (`26:123:45678`), or of bits as they come. Raises ValueError."""
        if _BITS.fullmatch(shown):
            return line_of_bits(shown)
        card = card_of(shown)
        if card is not None:
            return line_of(self._framing, card)
        raise ValueError(f"no card; write {_FORMATS}")


def card_of(shown: str) -> Card | None:
    """The card that is written `26:123:45678`, None where there is none. One of 37 bits as `EmulatedWiegand` has it."""
    found = _CARD.fullmatch(shown)
    if found is None:
        return None
    length, facility, number = map(int, found.groups())
    form = format_of(length, Format.H10304 if facility else Format.H10302)
    return None if form is None else Card.of(form, facility, number)
