"""Lines of cells out of text files: comma, tab or semicolon separated, or one value a line.

- Bounds: at most `FILE_MAX_BYTES`, `ROWS_MAX` lines, `COLUMNS_MAX` cells a line; more is refused, so that what a file
  costs in memory is a small multiple of its size.
- A line's number is the one a spreadsheet shows: a quoted cell may go over several lines of text.
- A quote that is not closed is refused: it would swallow the rest of the list.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from center.imports.codes import Refusal
from center.imports.dates import DAYS_FROM
from center.imports.model import UnreadableList
from center.imports.text import line_ends
from protocol.written import Cell

FILE_MAX_BYTES: Final = 8 * 1024 * 1024
"""A community of 20,000 in a 32-column list has about 6 MB."""
ROWS_MAX: Final = 100_000
COLUMNS_MAX: Final = 256

_LOOK_LINES: Final = 20
_PAIR_LINE: Final = re.compile(r"\s*[0-9]{1,5}[,/ ][0-9]{1,5}\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of cells, numbered from 1."""

    number: int
    cells: tuple[Cell, ...]

    def __getitem__(self, place: int | None) -> Cell:
        """The cell in this place; "" where the line is shorter, or the list has no such column."""
        return self.cells[place] if place is not None and place < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of a list that hold anything; `days_from` is what a bare number in a date column counts from."""

    encoding: str
    format: str
    lines: tuple[Line, ...]
    days_from: datetime = DAYS_FROM


def read_text(text: str, encoding: str, suffix: str) -> Sheet:
    """The lines of a text file; `suffix` is that of its name. Raises UnreadableList."""
    ends = line_ends(text)
    delimiter = _delimiter(text)
    names = {"\t": "tsv" if suffix == ".tsv" else "tab separated", ",": "csv", ";": "semicolon separated"}
    shape = f"{names[delimiter] if delimiter else 'one value a line'}, {ends}"
    try:
        return Sheet(encoding, shape, tuple(_lines(text, delimiter)))
    except UnreadableList as error:
        error.encoding, error.format = encoding, shape
        raise


def _lines(text: str, delimiter: str | None) -> Iterator[Line]:
    for number, cells in enumerate(_records(text, delimiter), start=1):
        kept = trimmed(cells)
        if number > ROWS_MAX or len(kept) > COLUMNS_MAX:
            raise too_large()
        if kept:
            yield Line(number, kept)


def trimmed(cells: list[str] | list[Cell]) -> tuple[Cell, ...]:
    """The cells without blank ones at the end."""
    count = len(cells)
    while count and (cells[count - 1] == "" or str(cells[count - 1]).isspace()):
        count -= 1
    return tuple(cells[:count])


def too_large() -> UnreadableList:
    """The error for a list beyond the bounds."""
    most = f"at most {FILE_MAX_BYTES // 1024**2} MB, {ROWS_MAX:,} lines and {COLUMNS_MAX} columns are read"
    return UnreadableList(Refusal.TOO_LARGE, f"{most}; divide the list")


def _records(text: str, delimiter: str | None) -> Iterator[list[str]]:
    if delimiter is None:
        yield from ([line.rstrip("\r\n")] for line in io.StringIO(text))
        return
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise UnreadableList(Refusal.DAMAGED, f"a quoted cell does not end as it should ({error})") from error


def _delimiter(text: str) -> str | None:
    """What separates the cells of most of the first lines; None where nothing does."""
    lines = [line for line in text[: 1 << 16].splitlines()[:_LOOK_LINES] if line.strip()]
    if all(_PAIR_LINE.fullmatch(line) for line in lines):
        return None
    counts = {delimiter: sum(delimiter in line for line in lines) for delimiter in "\t,;"}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] * 2 > len(lines) or (lines and best in lines[0]) else None
