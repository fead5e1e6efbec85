"""Card numbers: one card has many writings, and the number alone seldom says which.

A `Writing` is a way to write some of a card's bytes: in decimal or hex, in two parts, turned round, cut. Given the
writing, `read_card` makes the credential; which writing a list has is asked where lists are read.

- The canonical forms are those of `protocol.credential`.
- The first byte of an EM4100 card (its version) is not on prints of ten digits: it is asked for.
- An EPC counts as a card number too: hex, whole 16-bit words.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.credential import Credential, CredentialError, canonical
from protocol.written import Cell, Note, Reading, Reason, Trouble, clean, meant


class Writing(StrEnum):
    """How a column writes its cards.

    Named by what the card is to its readers (an EM4100 card, the UID of an ISO 14443 card, the 26 or 34 bits of a
    Wiegand frame), then by the digits; `turned` has the bytes in the other order, `low` only the last 24 bits count.
    """

    EM_HEX10 = "em-hex10"  # 0A004D7603, all five bytes
    EM_DEC13 = "em-dec13"  # 0042954749443, the same in decimal
    EM_DEC10 = "em-dec10"  # 0013961168 (8H10D), without the first byte, as the three below
    EM_DEC10_TURNED = "em-dec10-turned"
    EM_HEX8 = "em-hex8"  # 36363E0B
    EM_HEX8_TURNED = "em-hex8-turned"  # 0B3E3636
    UID_HEX = "uid-hex"  # 11223344, or 7 or 10 bytes
    UID_HEX_TURNED = "uid-hex-turned"
    UID_DEC = "uid-dec"  # 0287454020, the first byte most significant
    UID_DEC_TURNED = "uid-dec-turned"  # 3536403172 for E43AC9D2
    W26_DEC = "w26-dec"  # 03407871 (ABA6H), 24 bits as one number
    W26_HEX6 = "w26-hex6"  # 33FFFF
    W26_PAIR = "w26-pair"  # 213,02000 (3+5)
    W26_JOINED = "w26-joined"  # 21302000, FC*100000+CN
    W26_LOW = "w26-low"  # 0013961168 on a card whose readers pass on 24 bits; so the three below
    W26_LOW_TURNED = "w26-low-turned"
    W26_HEX8_LOW = "w26-hex8-low"
    W26_HEX8_LOW_TURNED = "w26-hex8-low-turned"
    W34_DEC = "w34-dec"  # 1429471231
    W34_DEC_TURNED = "w34-dec-turned"
    W34_HEX8 = "w34-hex8"  # 5533FFFF
    W34_HEX8_TURNED = "w34-hex8-turned"
    W34_PAIR = "w34-pair"  # 21811,65535 (5+5)
    EPC = "epc"  # E2801160600002000000ABCD, whole 16-bit words
    EPC_WITH_WORD = "epc-with-word"  # 3000E28011…, the protocol word before it


@dataclass(frozen=True, slots=True)
class _Form:
    """How to get from text to bytes and from bytes to a credential. `width` is that of numbers with all their zeros."""

    scheme: str
    digits: str
    bits: int
    width: int | None = None
    turned: bool = False
    low: bool = False


_EM_BITS: Final = 40
_FORMS: Final = {
    Writing.EM_HEX10: _Form("em", "hex", 40),
    Writing.EM_DEC13: _Form("em", "dec", 40, 13),
    Writing.EM_DEC10: _Form("em", "dec", 32, 10),
    Writing.EM_DEC10_TURNED: _Form("em", "dec", 32, 10, turned=True),
    Writing.EM_HEX8: _Form("em", "hex", 32),
    Writing.EM_HEX8_TURNED: _Form("em", "hex", 32, turned=True),
    Writing.UID_HEX: _Form("uid", "hex", 0),
    Writing.UID_HEX_TURNED: _Form("uid", "hex", 0, turned=True),
    Writing.UID_DEC: _Form("uid", "dec", 32, 10),
    Writing.UID_DEC_TURNED: _Form("uid", "dec", 32, 10, turned=True),
    Writing.W26_DEC: _Form("wiegand:26", "dec", 24),
    Writing.W26_HEX6: _Form("wiegand:26", "hex", 24),
    Writing.W26_PAIR: _Form("wiegand:26", "pair", 24),
    Writing.W26_JOINED: _Form("wiegand:26", "joined", 24, 8),
    Writing.W26_LOW: _Form("wiegand:26", "dec", 32, 10, low=True),
    Writing.W26_LOW_TURNED: _Form("wiegand:26", "dec", 32, 10, turned=True, low=True),
    Writing.W26_HEX8_LOW: _Form("wiegand:26", "hex", 32, low=True),
    Writing.W26_HEX8_LOW_TURNED: _Form("wiegand:26", "hex", 32, turned=True, low=True),
    Writing.W34_DEC: _Form("wiegand:34", "dec", 32, 10),
    Writing.W34_DEC_TURNED: _Form("wiegand:34", "dec", 32, 10, turned=True),
    Writing.W34_HEX8: _Form("wiegand:34", "hex", 32),
    Writing.W34_HEX8_TURNED: _Form("wiegand:34", "hex", 32, turned=True),
    Writing.W34_PAIR: _Form("wiegand:34", "pair", 32),
    Writing.EPC: _Form("epc", "words", 0),
    Writing.EPC_WITH_WORD: _Form("epc", "words", 0, low=True),
}
HOW: Final = {
    Writing.EM_HEX10: "an EM4100 card's five bytes in hex",
    Writing.EM_DEC13: "an EM4100 card's five bytes in decimal",
    Writing.EM_DEC10: "an EM4100 card's last four bytes in decimal",
    Writing.EM_DEC10_TURNED: "an EM4100 card's last four bytes in decimal, turned round",
    Writing.EM_HEX8: "an EM4100 card's last four bytes in hex",
    Writing.EM_HEX8_TURNED: "an EM4100 card's last four bytes in hex, turned round",
    Writing.UID_HEX: "a UID in hex",
    Writing.UID_HEX_TURNED: "a UID in hex, turned round",
    Writing.UID_DEC: "a UID in decimal",
    Writing.UID_DEC_TURNED: "a UID in decimal, turned round",
    Writing.W26_PAIR: "facility and number at a reader of 26 bits",
    Writing.W26_DEC: "24 bits as one number, at a reader of 26 bits",
    Writing.W26_HEX6: "24 bits in hex, at a reader of 26 bits",
    Writing.W26_JOINED: "facility times 100000 and number, at a reader of 26 bits",
    Writing.W26_LOW: "the last three bytes of a number, at a reader of 26 bits",
    Writing.W26_LOW_TURNED: "the last three bytes of a number turned round, at a reader of 26 bits",
    Writing.W26_HEX8_LOW: "the last three of four bytes in hex, at a reader of 26 bits",
    Writing.W26_HEX8_LOW_TURNED: "the last three of four bytes in hex turned round, at a reader of 26 bits",
    Writing.W34_PAIR: "facility and number at a reader of 34 bits",
    Writing.W34_DEC: "32 bits as one number, at a reader of 34 bits",
    Writing.W34_DEC_TURNED: "32 bits as one number turned round, at a reader of 34 bits",
    Writing.W34_HEX8: "32 bits in hex, at a reader of 34 bits",
    Writing.W34_HEX8_TURNED: "32 bits in hex turned round, at a reader of 34 bits",
    Writing.EPC: "an EPC in hex",
    Writing.EPC_WITH_WORD: "an EPC in hex, behind its protocol word",
}
"""Each writing in words."""
NEED_VERSION: Final = frozenset(
    writing for writing, form in _FORMS.items() if form.scheme == "em" and form.bits < _EM_BITS
)
"""The writings of EM4100 cards that lack the first byte."""
LOSSY: Final = frozenset(writing for writing, form in _FORMS.items() if form.scheme == "wiegand:26" and form.low)
"""The writings that keep less than the list says: one card read at a reader proves them, nothing else does."""

_OWN: Final = frozenset({"em", "uid", "epc", "wiegand", "eid"})

_PAIR: Final = re.compile(r"([0-9]{1,5})(?:[,:/|-]| +)([0-9]{1,5})")
_HEX_PARTS: Final = re.compile(r"[ :-]")
_SCIENTIFIC: Final = re.compile(r"[0-9](?:\.[0-9]+)?[Ee]\+?[0-9]+")
_UID_BYTES: Final = frozenset({4, 7, 10})
_UID_CUT_BYTES: Final = 4
_CASCADE_TAG: Final = 0x88
"""First byte of the first part of a longer UID (ISO 14443-3): four bytes that begin so are no whole UID."""
_RANDOM_UID: Final = 0x08
_PIN_DIGITS_MAX: Final = 5
_LISTED_PLACES_MAX: Final = 4
_JOINED_AT: Final = 100_000
_WORD_DIGITS: Final = 4


class _Trouble(Exception):  # noqa: N818 - carries a Trouble up to read_card
    def __init__(self, reason: Reason, *candidates: str) -> None:
        super().__init__(reason)
        self.trouble = Trouble(reason, candidates)


def read_card(cell: Cell, writing: Writing, version_byte: str | None = None, *, width: int | None = None) -> Reading:
    """The credential that `cell` writes. `width` is how long the numbers of its column are with all their zeros."""
    text, notes, trouble = clean(cell)
    if trouble:
        return Reading(trouble=trouble, notes=notes)
    form = _FORMS[writing]
    try:
        if form.digits == "words":
            credential, more = _epc(text, has_word=form.low)
        elif form.digits == "hex":
            credential, more = _hex(text, form, version_byte)
        else:
            credential, more = _credential(form, _decimal(text, form), version_byte), ()
    except _Trouble as error:
        return Reading(trouble=error.trouble, notes=notes)
    if form.digits in {"dec", "joined"} and len(text) < (width or 0):
        more = (*more, Note.ZEROS)
    return Reading(credential, None, (*notes, *more))


def own(cell: Cell) -> Credential | None:
    """The credential that `cell` spells as gates do ("em:0A00A1B2C3"): there is nothing to ask; None for all others."""
    scheme, colon, _ = cell.partition(":") if isinstance(cell, str) else ("", "", "")
    if not colon or scheme.strip() not in _OWN:
        return None
    try:
        return canonical(clean(cell).text)
    except CredentialError:
        return None


def width_of(writing: Writing, column_width: int | None) -> int | None:
    """How long a number of this writing is with all its zeros, as far as writing or column say so."""
    return _FORMS[writing].width or column_width


def wiegand34(number: int) -> str:
    """The credential of a 32-bit number as a Wiegand-34 reader passes it on."""
    return f"wiegand:34:{number >> 16}:{number & 0xFFFF}"


def wiegand26(number: int) -> str:
    """The credential of a 24-bit number as a Wiegand-26 reader passes it on."""
    return f"wiegand:26:{number >> 16}:{number & 0xFFFF}"


def _decimal(text: str, form: _Form) -> bytes:
    """The card's bytes, of which a decimal writing says the number."""
    if form.digits == "pair":
        return _pair(text, form)
    if _SCIENTIFIC.fullmatch(text):
        raise _Trouble(Reason.DIGITS_LOST)
    if not re.fullmatch(r"[0-9]+", text):
        raise _Trouble(Reason.NOT_A_NUMBER, *_number_candidates(text))
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(1 << 40)) or (number := int(digits)) >> 40:
        raise _Trouble(Reason.OVER_40_BITS if form.bits == _EM_BITS else Reason.OVER_32_BITS)
    if form.digits == "joined":
        return _joined(number)
    if number >> form.bits:
        over = number >> 32
        raise _Trouble(Reason.OVER_32_BITS if over or form.bits > 24 else Reason.OVER_24_BITS)  # noqa: PLR2004 - the code's
    return number.to_bytes(form.bits // 8, "big")


def _number_candidates(text: str) -> list[str]:
    if pair := _PAIR.fullmatch(text):
        number = int(pair[1]) << 16 | int(pair[2])
        return [wiegand26(number)] if int(pair[1]) < 1 << 8 and int(pair[2]) < 1 << 16 else []
    other = meant(text)
    return [other] if re.fullmatch(r"[0-9]+", other) else []


def _pair(text: str, form: _Form) -> bytes:
    match = _PAIR.fullmatch(text)
    if not match:
        raise _Trouble(Reason.NOT_A_NUMBER)
    facility, number = int(match[1]), int(match[2])
    if number >> 16:
        raise _Trouble(Reason.CARD_NUMBER_OVER_65535)
    if facility >> 16:
        raise _Trouble(Reason.OVER_32_BITS)
    if form.bits == 24 and facility >> 8:  # noqa: PLR2004 - Wiegand 26
        raise _Trouble(Reason.FACILITY_CODE_OVER_255, wiegand34(facility << 16 | number))
    return (facility << 16 | number).to_bytes(form.bits // 8, "big")


def _joined(value: int) -> bytes:
    """Facility code and card number written as FC*100000+CN."""
    facility, number = divmod(value, _JOINED_AT)
    if value >> 32:
        raise _Trouble(Reason.OVER_32_BITS)
    as_one = wiegand34(value) if value >> 24 else wiegand26(value)
    if facility >> 8:
        raise _Trouble(Reason.FACILITY_CODE_OVER_255, as_one)
    if number >> 16:
        raise _Trouble(Reason.CARD_NUMBER_OVER_65535, as_one)
    return (facility << 16 | number).to_bytes(3, "big")


def _hex(text: str, form: _Form, version_byte: str | None) -> tuple[Credential, tuple[Note, ...]]:
    digits, notes = _hex_digits(text)
    if len(digits) % 2:
        raise _Trouble(Reason.ODD_HEX, *_zero_candidates(digits, form, version_byte))
    if len(digits) * 4 != form.bits if form.bits else len(digits) // 2 not in _UID_BYTES:
        raise _Trouble(Reason.TOO_SHORT if len(digits) <= _PIN_DIGITS_MAX else Reason.WRONG_LENGTH)
    return _credential(form, bytes.fromhex(digits), version_byte), notes


def _hex_digits(text: str) -> tuple[str, tuple[Note, ...]]:
    if _SCIENTIFIC.fullmatch(text) and ("+" in text or "." in text):
        raise _Trouble(Reason.DIGITS_LOST)
    notes = []
    if text[:2] in {"0x", "0X"}:
        text = text[2:]
        notes.append(Note.PREFIX)
    digits = _HEX_PARTS.sub("", text)
    if digits != text:
        notes.append(Note.SEPARATOR)
    if not re.fullmatch(r"[0-9A-Fa-f]+", digits):
        other = meant(digits)
        raise _Trouble(Reason.NOT_HEX, *([other] if re.fullmatch(r"[0-9A-Fa-f]+", other) else []))
    if digits.upper() != digits:
        notes.append(Note.CASE)
    return digits.upper(), tuple(notes)


def _zero_candidates(digits: str, form: _Form, version_byte: str | None) -> list[str]:
    """Where a zero may have been lost: at the front of any byte, as bytes are written without it one by one."""
    count = (len(digits) + 1) // 2
    if form.bits and count * 8 != form.bits:
        return []
    if not form.bits and count not in _UID_BYTES:
        return []
    if count > _LISTED_PLACES_MAX:
        return [f"{count}-byte {form.scheme}, one zero lost, {count} places"]
    candidates: list[str] = []
    for place in range(0, len(digits), 2):
        whole = bytes.fromhex(f"{digits[:place]}0{digits[place:]}")
        try:
            candidates.append(_credential(form, whole, version_byte))
        except _Trouble:
            continue
    return candidates


def _credential(form: _Form, data: bytes, version_byte: str | None) -> Credential:
    data = data[::-1] if form.turned else data
    if form.scheme == "em":
        missing = version_byte or "" if form.bits < _EM_BITS else ""
        return _checked(f"em:{missing}{data.hex().upper()}")
    if form.scheme == "uid":
        return _uid(data)
    number = int.from_bytes(data[-3:] if form.low else data, "big")
    return _checked(wiegand26(number) if form.scheme == "wiegand:26" else wiegand34(number))


def _uid(data: bytes) -> Credential:
    if len(data) == _UID_CUT_BYTES:
        if data[0] == _CASCADE_TAG:
            raise _Trouble(Reason.UID_CUT, f"7-byte uid starting {data[1:].hex().upper()}")
        if data[-1] == _CASCADE_TAG:
            raise _Trouble(Reason.UID_CUT_REVERSED, f"7-byte uid starting {data[-2::-1].hex().upper()}")
        if data[0] == _RANDOM_UID:
            raise _Trouble(Reason.RANDOM_UID)
    return _checked(f"uid:{data.hex().upper()}")


def _epc(text: str, *, has_word: bool) -> tuple[Credential, tuple[Note, ...]]:
    if not text or re.search(r"[^0-9A-Fa-fXx :-]", text):
        raise _Trouble(Reason.NOT_HEX)
    digits, notes = _hex_digits(text)
    if len(digits) % _WORD_DIGITS:
        raise _Trouble(Reason.EPC_WORDS)
    if _has_word(digits) != has_word:
        candidate = digits if has_word else digits[_WORD_DIGITS:]
        raise _Trouble(Reason.EPC_PROTOCOL_WORD, f"epc:{candidate}")
    return _checked(f"epc:{digits[_WORD_DIGITS:] if has_word else digits}"), notes


def _has_word(digits: str) -> bool:
    """Whether the first word says how many words follow, as the protocol word before an EPC does (Gen2, 6.3.2.1)."""
    word, words = int(digits[:_WORD_DIGITS], 16), len(digits) // _WORD_DIGITS
    return words > 1 and word >> 11 == words - 1 and word & 0x03FF == 0


def _checked(text: str) -> Credential:
    try:
        return canonical(text)
    except CredentialError as error:
        raise _Trouble(Reason.WRONG_LENGTH) from error
