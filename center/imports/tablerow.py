"""One row of a list in columns.

In this order: what the source itself does not grant is skipped, whatever else is wrong with it; an error in a group,
a door, a required cell or a date holds the row back; a right that is over is skipped; then cards and plates are read
value by value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from center.imports.codes import Skip
from center.imports.dates import DateReading, Shape, read_date
from center.imports.model import Answers, EndDate, Midnight, NameOrder, Technology, When
from center.imports.parking import limit_inside, read_group
from center.imports.rows import Draft
from center.imports.sheets import Line
from center.imports.titles import Header, Role
from center.imports.uhppoted import note_pin, read_doors
from center.imports.writings import eight_digits, row_writing
from protocol.card_number import Writing, own, read_card, width_of
from protocol.plate import read_plate, split_plates
from protocol.written import Cell, Note, Reading, Reason, Trouble, clean

_LAST: Final = time(23, 59, 59)
_CARD_PARTS: Final = re.compile(r"[;；、\n]")
_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")
_TEXT_ROLES: Final = (Role.CARD, Role.PERSON, Role.NAME, Role.FIRST_NAME, Role.LAST_NAME, Role.PHONE, Role.SPACE_NO)
_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK: Final = "10X98765432"
"""Weights and check characters of GB 11643 (ISO 7064 MOD 11-2)."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of this list are like as a whole; `required` in the order of the columns."""

    taken: tuple[Role, ...]
    required: tuple[Role, ...]
    card_width: int | None
    person_width: int | None
    days_from: datetime
    shapes: Mapping[Role, Shape | None]


@dataclass(frozen=True, slots=True)
class _Context:
    line: Line
    header: Header
    columns: Columns
    answers: Answers
    when: When

    def __getitem__(self, role: Role) -> Cell:
        return self.line[self.header.places.get(role)]

    def has(self, role: Role) -> bool:
        return role in self.header.places


def read_row(line: Line, header: Header, columns: Columns, answers: Answers, when: When) -> Draft:
    """What the line says, by itself."""
    row = _Context(line, header, columns, answers, when)
    draft = Draft(line.number, _name(row), clean(row[Role.PERSON]).text or None)
    if header.row is not None and len(line.cells) > len(header.titles):
        draft.hold(None, None, Trouble(Reason.MORE_CELLS))
        return draft
    if row.has(Role.GROUP):
        read_group(draft, header.title(Role.GROUP), row[Role.GROUP])
    if header.doors is not None and not draft.skipped:
        read_doors(draft, header.doors, line)
    if draft.skipped:
        return draft
    _require(draft, row)
    _read_dates(draft, row)
    if not draft.held and not draft.skipped:
        _read_credentials(draft, row)
        _note_the_rest(draft, row)
    return draft


def _name(row: _Context) -> str | None:
    if row.has(Role.NAME):
        return _text(row[Role.NAME]) or None
    last, first = _text(row[Role.LAST_NAME]), _text(row[Role.FIRST_NAME])
    parts = (first, last) if row.answers.name_order is NameOrder.FIRST_LAST else (last, first)
    between = " " if (first + last).isascii() else ""
    return between.join(part for part in parts if part) or None


def _text(cell: Cell) -> str:
    return cell.strip() if isinstance(cell, str) else str(cell)


def _require(draft: Draft, row: _Context) -> None:
    for role in row.columns.required:
        if not _text(row[role]):
            draft.hold(row.header.title(role), row[role], Trouble(Reason.REQUIRED_EMPTY))


def _read_dates(draft: Draft, row: _Context) -> None:
    begins, until = (_read_date(draft, row, role) for role in (Role.FROM, Role.UNTIL))
    draft.begins = begins.moment and begins.moment.replace(tzinfo=row.when.zone)
    end = _end(draft, until, row.answers)
    draft.until = end and end.replace(tzinfo=row.when.zone)
    if begins.moment and end and end < begins.moment:
        draft.hold(row.header.title(Role.UNTIL), row[Role.UNTIL], Trouble(Reason.UNTIL_BEFORE_FROM))
    elif not draft.held:
        draft.judge_period(row.when)
    if row.has(Role.UNTIL) and end is None:
        draft.note(Note.NO_END_GIVEN)


def _read_date(draft: Draft, row: _Context, role: Role) -> DateReading:
    shape = row.columns.shapes.get(role)
    reading = read_date(row[role], row.columns.days_from, year_first=bool(shape and shape.year_first))
    if reading.trouble:
        draft.hold(row.header.title(role), row[role], reading.trouble)
    draft.note(*reading.notes)
    if reading.shape and reading.shape != shape:
        draft.note(Note.OTHER_DATE_FORMAT)
    return reading


def _end(draft: Draft, until: DateReading, answers: Answers) -> datetime | None:
    """The last second in force."""
    end = until.moment
    if end and until.whole_day and answers.end_date is EndDate.EXCLUSIVE:
        return end - timedelta(seconds=1)
    if end and not until.whole_day and end.time() == time.min and answers.midnight is not Midnight.WHOLE_DAY:
        draft.note(Note.ENDS_AT_START)
        return end
    if end and end.time() == time.min:
        return datetime.combine(end, _LAST)
    return end


def _read_credentials(draft: Draft, row: _Context) -> None:
    readers: dict[Role, Callable[[Cell], Reading]] = {
        Role.CARD: lambda cell: _read_card(cell, row),
        Role.EPC: lambda cell: read_card(cell, row.answers.epc or Writing.EPC),
        Role.PLATE: read_plate,
    }
    filled = [role for role in row.columns.taken if _text(row[role])]
    if not filled:
        draft.skipped = Skip.NO_CARD
    for role in filled:
        column, cell = row.header.title(role), row[role]
        chosen = row.answers.chosen.get((draft.number, column))
        parts = parts_of(role, cell)
        if role is Role.PLATE and row.has(Role.SPACES):
            limit_inside(draft, column, cell, len(chosen or parts), row[Role.SPACES], row[Role.SHARED])
        if draft.held:
            return
        for credential in chosen or ():
            draft.claim(column, cell, credential)
        for part in () if chosen else parts:
            draft.take(column, part, readers[role](part))


def parts_of(role: Role, cell: Cell) -> list[Cell]:
    """The values of a cell that may hold several."""
    if not isinstance(cell, str) or role is Role.EPC:
        return [cell]
    if role is Role.PLATE:
        return [*split_plates(cell)] or [cell]
    parts: list[Cell] = [part.strip() for part in _CARD_PARTS.split(cell) if part.strip()]
    return parts if len(parts) > 1 else [cell]


def _read_card(cell: Cell, row: _Context) -> Reading:
    if (credential := own(cell)) is not None:
        return Reading(credential)
    answers, writing = row.answers, row.answers.cards
    if row.has(Role.WRITING):
        named = row_writing(_text(row[Role.WRITING]), answers.technology or Technology.EM4100)
        if named is Reason.AMBIGUOUS_8_DIGITS:
            return eight_digits(cell, answers.version_byte)
        writing = named if isinstance(named, Writing) else None
    if writing is None:
        return Reading(trouble=Trouble(Reason.UNKNOWN_WRITING))
    width = width_of(writing, row.columns.card_width) if row.header.zeros else None
    return read_card(cell, writing, answers.version_byte, width=width)


def _note_the_rest(draft: Draft, row: _Context) -> None:
    """What else a person should know of a row that is taken."""
    if any(row[role] != "" and not isinstance(row[role], str) for role in _TEXT_ROLES):
        draft.note(Note.NUMBER_CELL)
    if row.has(Role.NAME) and draft.name is None:
        draft.note(Note.NO_OWNER)
    person = draft.person or ""
    if person.isdecimal() and len(person) < (row.columns.person_width or 0):
        draft.note(Note.PERSON_ZEROS_LOST)
    if (phone := clean(row[Role.PHONE]).text) and not _MOBILE.fullmatch(phone):
        draft.note(Note.PHONE)
    if _text(row[Role.PIN]):
        note_pin(draft, row[Role.PIN], limited=row.header.doors is not None)
    _check_id(draft, row[Role.ID_DOCUMENT])


def _check_id(draft: Draft, cell: Cell) -> None:
    """Whether the citizen number is right; the number itself goes no further."""
    if cell == "":
        return
    text = clean(cell).text.upper()
    if not isinstance(cell, str):
        draft.note(Note.ID_UNREADABLE)
    elif re.fullmatch(r"[0-9]{17}[0-9X]", text):
        total = sum(int(digit) * weight for digit, weight in zip(text, _ID_WEIGHTS, strict=False))
        draft.id_checksum = "ok" if _ID_CHECK[total % 11] == text[-1] else "wrong"
