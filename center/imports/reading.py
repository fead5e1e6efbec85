"""From a file to its list: what must be asked, which writing a card proves, and the report.

The kind of file is found by what it holds, not by its name: a workbook by its first bytes, a device's records by their
length and contents, JSON by its first character; everything else is text in lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from center.imports.codes import Refusal
from center.imports.esprfid import read_json
from center.imports.model import (
    About,
    Answers,
    BadAnswer,
    EndDate,
    Imported,
    Kind,
    Midnight,
    NameOrder,
    Question,
    Technology,
    UidReader,
    Unanswered,
    UnreadableList,
    When,
)
from center.imports.rows import Draft, finish
from center.imports.sheets import FILE_MAX_BYTES, Sheet, read_text, too_large
from center.imports.table import Table, plain_list
from center.imports.text import decode, line_ends
from center.imports.titles import find_header
from center.imports.workbook import MAGIC, read_sheets
from center.imports.writings import Found, fits
from center.imports.zkteco import read_users, refuse_attendance
from protocol.card_number import Writing
from protocol.credential import Credential
from protocol.written import Cell

_OLD_XLS: Final = b"\xd0\xcf\x11\xe0"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_ONE: Final[dict[str, type[StrEnum]]] = {
    "cards": Writing,
    "epc": Writing,
    "technology": Technology,
    "end_date": EndDate,
    "midnight": Midnight,
    "name_order": NameOrder,
}
_SEVERAL: Final[dict[str, type[StrEnum]]] = {"readers": UidReader, "take": Kind}


class _Source(Protocol):
    """A list of any format."""

    @property
    def about(self) -> About: ...

    def cards(self) -> Iterator[tuple[int, Cell]]: ...

    def questions(self, answers: Answers) -> tuple[Question, ...]: ...

    def drafts(self, answers: Answers, when: When) -> Iterator[Draft]: ...


def questions(path: Path, answers: Answers | None = None) -> tuple[Question, ...]:
    """What is still to be asked of this list; some questions come up only with the answer to another.

    Raises UnreadableList, and nothing else, for a file that is no list.
    """
    return _open(path).questions(answers or Answers())


def fitting(path: Path, read: Mapping[int, Credential]) -> tuple[Found, ...]:
    """The writings of the card column under which each of these rows is what a reader read from its very card.

    One is the answer to `cards` (and `version_byte`). None means that digits are lost, or that the list holds another
    part of the number; several, that this card reads the same both ways: then one more card settles it. Raises
    BadAnswer for a row without a card, UnreadableList for a file that is no list.
    """
    cells: dict[int, list[Cell]] = {row: [] for row in read}
    for row, cell in _open(path).cards():
        if row in cells:
            cells[row].append(cell)
    if empty := [row for row in cells if not cells[row]]:
        raise BadAnswer(f"row {empty[0]} of the list has no card number; hold a card to the reader that has one")
    return fits((cells[row], credential) for row, credential in read.items())


def read(path: Path, *, answers: Answers, today: date, zone: tzinfo) -> Imported:
    """The list in the file, as a report; times are local to `zone`, and what ended before `today` is over.

    Raises UnreadableList for a file that is no list, and Unanswered where something must be asked first.
    """
    source = _open(path)
    if still_open := source.questions(answers):
        raise Unanswered(still_open)
    return Imported(source.about, finish(source.drafts(answers, When(today, zone))))


def answers_from(values: Mapping[str, str]) -> Answers:
    """Answers as a form or a command line has them: the questions' keys, several choices parted by commas.

    Raises BadAnswer.
    """
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if key in _ONE:
            fields[key] = _choice(key, value, _ONE[key])
        elif key in _SEVERAL:
            fields[key] = frozenset(_choice(key, part.strip(), _SEVERAL[key]) for part in value.split(","))
        elif key == "version_byte":
            fields[key] = value.strip().upper()
        else:
            known = ", ".join([*_ONE, *_SEVERAL, "version_byte"])
            raise BadAnswer(f"{key!r} is no question; known are {known}")
    return Answers(**fields)


def _choice(key: str, value: str, choices: type[StrEnum]) -> StrEnum:
    try:
        return choices(value)
    except ValueError as error:
        raise BadAnswer(f"{key} is {value!r}; it is one of {', '.join(choices)}") from error


def _open(path: Path) -> _Source:
    data = _data(path)
    if data.startswith(MAGIC):
        return _from_sheets(read_sheets(data))
    if data.startswith(_OLD_XLS):
        raise UnreadableList(Refusal.OLD_XLS, "this is a workbook of before 2007; save it as xlsx")
    if b"\0" in data and not data.startswith(_UTF16):
        if users := read_users(data):
            return users
        raise UnreadableList(Refusal.NOT_TEXT, "neither text, nor a workbook, nor a device's records of 72 or 28 bytes")
    return _from_text(data, path.suffix.lower())


def _data(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UnreadableList(Refusal.NOT_OPENED, f"{path}: {error}") from error
    if len(data) > FILE_MAX_BYTES:
        raise too_large()
    return data


def _from_text(data: bytes, suffix: str) -> _Source:
    text, encoding = decode(data)
    if not text.strip():
        raise UnreadableList(Refusal.EMPTY, "the file is empty", encoding=encoding)
    refuse_attendance(text, encoding, line_ends(text))
    if text.lstrip()[0] in "{[":
        return read_json(text, encoding)
    return _from_sheets([read_text(text, encoding, suffix)])


def _from_sheets(sheets: Iterable[Sheet]) -> Table:
    """The first sheet with a header; without any, the first sheet as a plain column."""
    first: Sheet | None = None
    refused: UnreadableList | None = None
    for sheet in sheets:
        first = first or sheet
        try:
            header = find_header(sheet)
        except UnreadableList as error:
            refused = refused or error
            continue
        if header:
            return Table(sheet, header)
    if refused:
        raise refused
    if first is None:
        raise UnreadableList(Refusal.EMPTY, "the workbook has no sheet with anything in it")
    return plain_list(first)
