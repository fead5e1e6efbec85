"""Text as it comes out of files: which encoding, which line ends.

- Order of encodings: a byte order mark decides, then strict UTF-8, then strict GB18030; nothing is guessed beyond.
  (GB18030 has 4-byte characters, for rare surnames, on which GBK fails.)
"""

from typing import Final

from center.imports.codes import Refusal
from center.imports.model import UnreadableList

_UTF16: Final = {b"\xff\xfe": ("utf-16-le", "utf-16 (LE with BOM)"), b"\xfe\xff": ("utf-16-be", "utf-16 (BE with BOM)")}
_UTF8_BOM: Final = b"\xef\xbb\xbf"


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


def lost_zeros_width(values: list[str]) -> int | None:
    """The width that numbers filled up with zeros have in a column, if all of them agree."""
    widths = {len(value) for value in values if value.startswith("0") and value.isdecimal()}
    return widths.pop() if len(widths) == 1 else None
