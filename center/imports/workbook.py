"""The first sheet of an xlsx file that holds a list, read cell by cell.

A workbook is a zip of XML, so bounds come first: what its parts say they hold unpacked is added up before any of it is
unpacked (and `zipfile` unpacks no more than that), elements are counted before any tree is built of them, and a part
that defines entities is refused. Measured: a file made to hurt takes up to 450 MB.
"""

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from center.imports.codes import Refusal
from center.imports.model import UnreadableList
from center.imports.sheets import COLUMNS_MAX, ROWS_MAX, Line, Sheet, too_large, trimmed
from protocol.written import Cell

if TYPE_CHECKING:
    from openpyxl.workbook.workbook import Workbook

MAGIC: Final = b"PK\x03\x04"
UNPACKED_MAX_BYTES: Final = 64 * 1024 * 1024
"""Eight times the largest file: 20,000 rows of 32 cells unpack to about 25 MB."""
THINGS_MAX: Final = 2_000_000
"""Elements and attributes of all parts; a filled cell has four or five, so 20,000 people in 20 columns fit."""
PARTS_MAX: Final = 1000

_ENCODING: Final = "OOXML (utf-8 inside)"
_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_TOKEN_MAX_BYTES: Final = 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_EXACT_MAX: Final = 10**18


def read_sheets(data: bytes) -> tuple[Sheet, ...]:
    """Each sheet that has any cell, in the workbook's order. Raises UnreadableList."""
    try:
        _check(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of (styles, extensions) is nothing to a list
            return tuple(_sheets(data))
    except UnreadableList:
        raise
    except Exception as error:  # damage shows as nearly any exception inside zipfile, zlib and openpyxl
        raise _damaged(type(error).__name__) from error


def _damaged(what: str) -> UnreadableList:
    message = f"the workbook cannot be read ({what}); open it in a spreadsheet and save it again"
    return UnreadableList(Refusal.DAMAGED, message, encoding=_ENCODING, shape="xlsx")


def _sheets(data: bytes) -> Iterator[Sheet]:
    from openpyxl import load_workbook  # noqa: PLC0415 - slow to import, and few lists are workbooks

    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    try:
        for number, lines in enumerate(_lines_of_sheets(book), start=1):
            if lines:
                yield Sheet(_ENCODING, f"xlsx, sheet {number}", lines, book.epoch)
    finally:
        book.close()


def _lines_of_sheets(book: "Workbook") -> Iterator[tuple[Line, ...]]:
    for sheet in book.worksheets:
        rows: Any = sheet
        if not hasattr(rows, "reset_dimensions"):  # a sheet of charts only
            continue
        rows.reset_dimensions()  # what the file says of its own size need not be true
        lines = []
        for number, cells in enumerate(rows.iter_rows(max_col=COLUMNS_MAX + 1, values_only=True), start=1):
            kept = trimmed([_cell(value) for value in _without_blanks(cells)])
            if number > ROWS_MAX or len(kept) > COLUMNS_MAX:
                raise too_large()
            if kept:
                lines.append(Line(number, kept))
        yield tuple(lines)


def _without_blanks(cells: tuple[object, ...]) -> tuple[object, ...]:
    """The cells up to the last that is there: rows are filled up to the most columns that are looked at."""
    count = len(cells)
    while count and cells[count - 1] is None:
        count -= 1
    return cells[:count]


def _cell(value: object) -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int) and abs(value) > _EXACT_MAX:
        return float(f"{value:.0e}") if abs(value) < 10**300 else float("inf")
    return value if isinstance(value, str | int | float | datetime) else str(value)


def _check(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if len(parts) > PARTS_MAX or sum(part.file_size for part in parts) > UNPACKED_MAX_BYTES:
            raise too_large()
        if any(part.compress_type not in _COMPRESSIONS for part in parts):
            raise _damaged("it is packed in an unusual way")
        counter = _Counter()
        for part in parts:
            with suppress(expat.ExpatError):  # a picture, or damage that shows again when the part is read
                counter.count(archive, part)


class _Counter:
    """Counts elements and attributes, each of which a tree holds in a hundred bytes or more; refuses entities."""

    def __init__(self) -> None:
        self._things = 0

    def count(self, archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
        """Add those of one part."""
        parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.StartElementHandler = self._element
        parser.StartDoctypeDeclHandler = self._doctype
        fed = 0
        with archive.open(part) as file:
            while chunk := file.read(_CHUNK_BYTES):
                parser.Parse(chunk)
                fed += len(chunk)
                if fed - parser.CurrentByteIndex > _TOKEN_MAX_BYTES:  # it would be parsed again with each chunk
                    raise too_large()

    def _element(self, _: str, attributes: list[str]) -> None:
        self._things += 1 + len(attributes) // 2
        if self._things > THINGS_MAX:
            raise too_large()

    def _doctype(self, *_: object) -> None:
        raise _damaged("it defines entities")
