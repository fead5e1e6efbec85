"""A list in columns: what its columns hold as a whole, what must be asked of them, and its rows one by one.

A column is judged before its cells: the writing of dates that most of them have, the width of numbers that kept
their leading zeros. What one row says is in `tablerow`.
"""

import re
from collections.abc import Iterator
from datetime import time
from typing import Final

from center.imports.codes import Refusal
from center.imports.dates import DateReading, Shape, most_common, read_date
from center.imports.model import (
    COUNTED,
    About,
    Answers,
    Choice,
    EndDate,
    Kind,
    Midnight,
    NameOrder,
    Question,
    Technology,
    UnreadableList,
    When,
)
from center.imports.rows import Draft
from center.imports.sheets import Sheet
from center.imports.tablerow import Columns, parts_of, read_row
from center.imports.text import lost_zeros_width
from center.imports.titles import CREDENTIALS, SECRET, Header, Role
from center.imports.writings import SAMPLE, card_questions, choices, read_all, version_question
from protocol.card_number import Writing
from protocol.written import Cell, clean

_PLATE_START: Final = re.compile(r"\s*[\u4e00-\u9fff]")


class Table:
    """A list with titles, or with one column and none."""

    def __init__(self, sheet: Sheet, header: Header) -> None:
        self._sheet = sheet
        self._header = header
        self._lines = [line for line in sheet.lines if header.row is None or line.number > header.row]
        self._filled = [role for role in CREDENTIALS if any(str(cell).strip() for cell in self._cells(role))]
        self._shapes = {role: self._shape(role) for role in (Role.FROM, Role.UNTIL)}
        secret = tuple(str(header.title(role)) for role in header.places if role in SECRET)
        shape = sheet.format if header.row is not None else f"{sheet.format}, no header"
        read = {*header.places.values(), *(header.doors or {}).values()}
        unread = tuple(str(title) for place, title in enumerate(header.titles) if title and place not in read)
        self.about = About(sheet.encoding, shape, header.row, COUNTED, secret, unread)

    def cards(self) -> Iterator[tuple[int, Cell]]:
        """The numbers in the card column."""
        for line in self._lines:
            for cell in parts_of(Role.CARD, line[self._header.places.get(Role.CARD)]):
                if cell != "":
                    yield line.number, cell

    def questions(self, answers: Answers) -> tuple[Question, ...]:
        """What is still to be asked."""
        open_questions = [*self._about_columns(answers), *self._about_dates(answers)]
        both = {Role.FIRST_NAME, Role.LAST_NAME} <= {*self._header.places}
        if both and answers.name_order is None:
            open_questions.append(
                Question("name_order", self._header.title(Role.LAST_NAME), tuple(Choice(order) for order in NameOrder))
            )
        return tuple(open_questions)

    def drafts(self, answers: Answers, when: When) -> Iterator[Draft]:
        """Each row as far as it can be read by itself."""
        columns = self._columns(answers)
        for line in self._lines:
            yield read_row(line, self._header, columns, answers, when)

    def _columns(self, answers: Answers) -> Columns:
        taken = [role for role in self._filled if answers.take is None or Kind(role) in answers.take]
        required = self._header.required | ({Role.PLATE} if taken == [Role.PLATE] else set())
        return Columns(
            taken=tuple(taken),
            required=tuple(role for role in self._header.places if role in required),
            card_width=lost_zeros_width(self._texts(Role.CARD)) if self._header.zeros else None,
            person_width=lost_zeros_width(self._texts(Role.PERSON)),
            days_from=self._sheet.days_from,
            shapes=self._shapes,
        )

    def _about_columns(self, answers: Answers) -> Iterator[Question]:
        if len(self._filled) > 1 and answers.take is None:
            yield Question("take", choices=tuple(Choice(Kind(role)) for role in self._filled), several=True)
            return
        taken = self._columns(answers).taken
        if Role.CARD in taken:
            yield from self._about_cards(answers)
        if Role.EPC in taken and answers.epc is None:
            cells = ((line.number, line[self._header.places[Role.EPC]]) for line in self._lines)
            found = read_all(cells, answers.version_byte)
            both = (Writing.EPC, Writing.EPC_WITH_WORD)
            yield Question("epc", self._header.title(Role.EPC), choices(found, both, keep_all=True))

    def _about_cards(self, answers: Answers) -> Iterator[Question]:
        column = self._header.title(Role.CARD)
        if Role.WRITING not in self._header.places:
            yield from card_questions(column, self.cards(), answers)
        elif answers.technology is None:
            yield Question("technology", column, tuple(Choice(technology) for technology in Technology))
        elif answers.technology is Technology.EM4100 and answers.version_byte is None:
            yield version_question(column)

    def _about_dates(self, answers: Answers) -> Iterator[Question]:
        shape = self._shapes[Role.UNTIL]
        readings = self._dates(Role.UNTIL, year_first=bool(shape and shape.year_first))
        if answers.end_date is None and not self._header.end_inclusive and any(end.whole_day for end in readings):
            yield Question("end_date", self._header.title(Role.UNTIL), tuple(Choice(end) for end in EndDate))
        if answers.midnight is None and any(
            end.moment and not end.whole_day and end.moment.time() == time.min for end in readings
        ):
            yield Question("midnight", self._header.title(Role.UNTIL), tuple(Choice(end) for end in Midnight))

    def _shape(self, role: Role) -> Shape | None:
        return most_common(self._dates(role, year_first=False))

    def _dates(self, role: Role, *, year_first: bool) -> list[DateReading]:
        return [read_date(cell, self._sheet.days_from, year_first=year_first) for cell in self._cells(role)]

    def _texts(self, role: Role) -> list[str]:
        return [clean(cell).text for cell in self._cells(role)]

    def _cells(self, role: Role) -> list[Cell]:
        place = self._header.places.get(role)
        return [] if place is None else [line[place] for line in self._lines]


def plain_list(sheet: Sheet) -> Table:
    """A list of one column without titles; UnreadableList if these do not look like cards or plates."""
    if all(len(line.cells) == 1 for line in sheet.lines):
        values = [line.cells[0] for line in sheet.lines]
        plates = sum(bool(_PLATE_START.match(str(value))) for value in values)
        role = Role.PLATE if plates * 2 > len(values) else Role.CARD
        read = max((len(good) for good in read_all(enumerate(values), None).values()), default=0)
        if values and (role is Role.PLATE or read * 2 >= len(values[:SAMPLE])):
            return Table(sheet, Header(None, (1,), {role: 0}))
    message = "no line of titles is known; give the columns names such as card, plate, name, from, until"
    raise UnreadableList(Refusal.NO_HEADER, message, encoding=sheet.encoding, shape=sheet.format)
