"""The values that reading a list takes and gives, and its errors. Nothing here reads anything."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Final

from center.imports.codes import Refusal, Skip
from protocol.card_number import Writing
from protocol.credential import Credential
from protocol.written import Cell, Reason

Column = str | int | None
"""A column by its title, by its place where the list has no titles, or None for the whole line."""

Place = tuple[int, str | int]
"""A value of the list: its row, and its column as in a report."""

COUNTED: Final = "line"
"""What a row's number counts, unless `Imported.row_is` says otherwise: all lines, as a spreadsheet shows them."""


class Technology(StrEnum):
    """What the cards of a list are, where each row says by itself how its number is written."""

    EM4100 = "em4100"
    ISO14443 = "iso14443"


class UidReader(StrEnum):
    """The readers that wrote into one esp-rfid list, by what they write."""

    UID = "uid"
    EM = "em"
    WIEGAND_DEC = "wiegand-dec"
    WIEGAND_HEX = "wiegand-hex"


class Kind(StrEnum):
    """A column of credentials."""

    CARD = "card"
    EPC = "epc"
    PLATE = "plate"


class EndDate(StrEnum):
    """Whether the day that ends a right is its last day, or the day after."""

    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"


class Midnight(StrEnum):
    """Whether a right that ends at 0:00 of a day ends then, or with that day."""

    AS_WRITTEN = "as-written"
    WHOLE_DAY = "whole-day"


class NameOrder(StrEnum):
    """How the two parts of a name are put together."""

    LAST_FIRST = "last-first"
    FIRST_LAST = "first-last"


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said when asked; None is a question that was not answered. The fields are the questions' keys.

    `chosen` settles single values, by row and column: a candidate of a report, or what a reader read.
    """

    cards: Writing | None = None
    technology: Technology | None = None
    version_byte: str | None = None
    epc: Writing | None = None
    readers: frozenset[UidReader] | None = None
    take: frozenset[Kind] | None = None
    end_date: EndDate | None = None
    midnight: Midnight | None = None
    name_order: NameOrder | None = None
    chosen: Mapping[Place, tuple[Credential, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version_byte is not None and not re.fullmatch(r"[0-9A-F]{2}", self.version_byte):
            raise BadAnswer(f"the version byte is {self.version_byte!r}; it is two hex digits, like 0A")


@dataclass(frozen=True, slots=True)
class Choice:
    """One possible answer; `reads` counts the values it would make a credential of, the first of them shown."""

    value: str
    reads: int | None = None
    row: int | None = None
    written: Cell | None = None
    becomes: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something the file does not say. `key` is a field of Answers; with `several`, more than one choice may be right.

    A `version_byte` has no choices: two hex digits, the same for all cards of a batch.
    """

    key: str
    column: Column = None
    choices: tuple[Choice, ...] = ()
    several: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of the report. `value` is as stored, None where it may hold secrets; `rows` all that claim it.

    `candidates` are what it may have meant: credentials, or dates, or in words what more must be read from the card.
    """

    row: int
    column: Column
    value: Cell | None
    reason: Reason
    candidates: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the list. A row that grants nothing has no credentials, and only its errors or `skipped` speak.

    `until` is the last second in force; None is no limit. `doors` are those allowed, each "always" or "profile N",
    None where the list knows no doors. `at_most_inside`: how many of these vehicles may be inside at once. `name` and
    `person` (the source's own number for them) are for finding the holder, and are shown nowhere by themselves.
    """

    number: int
    credentials: tuple[Credential, ...] = ()
    begins: datetime | None = None
    until: datetime | None = None
    doors: tuple[tuple[str, str], ...] | None = None
    at_most_inside: int | None = None
    id_checksum: str | None = None
    skipped: Skip | None = None
    of_row: int | None = None
    errors: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    name: str | None = field(default=None, repr=False)
    person: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class About:
    """How a file was read. `never_echo` names the columns whose values are neither kept nor shown.

    `unread` are those that say nothing to us: whoever keeps the list must know that nothing of them counts.
    """

    encoding: str
    format: str
    header_row: int | None = None
    row_is: str = COUNTED
    never_echo: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """A list as read: nothing of it is stored before a person has accepted this report."""

    about: About
    rows: tuple[Row, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """All that was not taken and should have been, in the order of the rows."""
        return tuple(problem for row in self.rows for problem in row.errors)

    @property
    def skipped(self) -> tuple[Row, ...]:
        """The rows that grant nothing by themselves."""
        return tuple(row for row in self.rows if row.skipped)

    @property
    def warnings(self) -> tuple[tuple[int, str], ...]:
        """What should be known of the rows that are taken, with their numbers."""
        return tuple((row.number, warning) for row in self.rows for warning in row.warnings)


@dataclass(frozen=True, slots=True)
class When:
    """The day and the zone that a list is read in."""

    today: date
    zone: tzinfo


class ImportsError(Exception):
    """A list was not read; the message says what to do."""


class UnreadableList(ImportsError):  # noqa: N818 - says what the list is
    """The file is none that can be read; `encoding` and `format` are what was found before that became clear."""

    def __init__(self, reason: Refusal, message: str, *, encoding: str | None = None, shape: str | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.encoding = encoding
        self.format = shape


class Unanswered(ImportsError):  # noqa: N818 - says what the questions are
    """The list can be read once these questions are answered."""

    def __init__(self, questions: tuple[Question, ...]) -> None:
        super().__init__("first answer: " + ", ".join(question.key for question in questions))
        self.questions = questions


class BadAnswer(ImportsError):  # noqa: N818 - says what the answer is
    """An answer is none of the choices."""
