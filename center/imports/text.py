"""Text as it comes out of files and cells: which encoding, and the marks that office programs leave in a value.

- Order of encodings: a byte order mark decides, then strict UTF-8, then strict GB18030; nothing is guessed beyond.
  (GB18030 has 4-byte characters, for rare surnames, on which GBK fails.)
- A cell's text is folded from full width, and freed of `="…"` and a leading `'`, which only say "this is text".
"""

import re
from datetime import datetime
from typing import Final, NamedTuple

from center.imports.codes import Note, Reason, Refusal
from center.imports.model import Cell, Trouble, UnreadableList

NUMBER_DIGITS_MAX: Final = 15
"""Excel keeps 15 significant digits of a number and makes the others 0 (support.sas.com/kb/34242)."""

_UTF16: Final = {b"\xff\xfe": ("utf-16-le", "utf-16 (LE with BOM)"), b"\xfe\xff": ("utf-16-be", "utf-16 (BE with BOM)")}
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_FULLWIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_FORMULA: Final = re.compile(r'="([^"]*)"')
_EXCEL_ERROR: Final = re.compile(r"#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NULL!|NUM!|SPILL!|CALC!|#+)")
_MEANT: Final = str.maketrans({"O": "0", "o": "0", "I": "1", "l": "1"})


class Cleaned(NamedTuple):
    """The text of a cell and what was done to get it, or the trouble with it."""

    text: str
    notes: tuple[Note, ...] = ()
    trouble: Trouble | None = None


def decode(data: bytes) -> tuple[str, str]:
    """The text, and the name of its encoding; raises UnreadableList where no encoding fits all of it."""
    for encoding, shown in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise UnreadableList(Refusal.NOT_TEXT, "the file holds zero bytes; it is no text", encoding=shown)
        return text.removeprefix("\ufeff"), shown
    raise UnreadableList(Refusal.ENCODING, "neither UTF-8 nor GB18030; save the list as UTF-8")


def _encodings(data: bytes) -> list[tuple[str, str]]:
    if marked := _UTF16.get(data[:2]):
        return [marked]
    if data.startswith(_UTF8_BOM):
        return [("utf-8", "utf-8-sig")]
    return [("ascii", "ascii"), ("utf-8", "utf-8"), ("gb18030", "gb18030")]


def line_ends(text: str) -> str:
    """The line end that most lines have; a quoted cell may hold another."""
    crlf = text.count("\r\n")
    counts = {"CRLF": crlf, "LF": text.count("\n") - crlf, "CR": text.count("\r") - crlf}
    return max(counts, key=lambda name: counts[name])


def fold(text: str) -> str:
    """`text` with its full-width letters, digits and signs as plain ones."""
    return text.translate(_FULLWIDTH)


def clean(cell: Cell) -> Cleaned:
    """What a person meant to write into a cell of text."""
    if isinstance(cell, datetime):
        return Cleaned("", trouble=Trouble(Reason.NOT_A_NUMBER))
    if not isinstance(cell, str):
        return _number(cell)
    text, notes = cell.strip(), list[Note]()
    if _EXCEL_ERROR.fullmatch(text):
        return Cleaned(text, trouble=Trouble(Reason.EXCEL_ERROR))
    if formula := _FORMULA.fullmatch(text):
        text = formula[1].strip()
        notes.append(Note.FORMULA)
    if text.startswith("'"):
        text = text[1:].strip()
        notes.append(Note.PREFIX)
    if (folded := fold(text)) != text:
        text = folded.strip()
        notes.append(Note.FULLWIDTH)
    return Cleaned(text, tuple(notes))


def _number(value: float) -> Cleaned:
    notes = (Note.NUMBER_CELL,)
    if not abs(value) < 10**NUMBER_DIGITS_MAX:
        return Cleaned("", notes, Trouble(Reason.OVER_15_DIGITS))
    if value != int(value):
        return Cleaned("", notes, Trouble(Reason.NOT_A_NUMBER))
    return Cleaned(str(int(value)), notes)


def meant(text: str) -> str:
    """`text` with the letters that are taken for digits as these digits."""
    return text.translate(_MEANT)


def lost_zeros_width(values: list[str]) -> int | None:
    """The width that numbers filled up with zeros have in a column, if all of them agree."""
    widths = {len(value) for value in values if value.startswith("0") and value.isdecimal()}
    return widths.pop() if len(widths) == 1 else None
