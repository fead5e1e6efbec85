"""The values that reading a list takes and gives, and its errors. Nothing here reads anything."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Final

from center.imports.codes import Note, Reason, Refusal, Skip
from protocol.credential import Credential

Cell = str | int | float | datetime
"""A value as the source holds it; an empty cell is ""."""

Column = str | int | None
"""A column by its title, by its place where the list has no titles, or None for the whole line."""

Place = tuple[int, str | int]
"""A value of the list: its row, and its column as in a report."""

COUNTED: Final = "line"
"""What a row's number counts, unless `Imported.row_is` says otherwise: all lines, as a spreadsheet shows them."""


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
class Trouble:
    """Why a value cannot be taken, and what it may have been meant to be."""

    reason: Reason
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one written value says: a credential, or the trouble with it."""

    credential: Credential | None = None
    trouble: Trouble | None = None
    notes: tuple[Note, ...] = ()


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
    """How a file was read. `never_echo` names the columns whose values are neither kept nor shown."""

    encoding: str
    format: str
    header_row: int | None = None
    row_is: str = COUNTED
    never_echo: tuple[str, ...] = ()


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
