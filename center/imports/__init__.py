"""Reads the lists that communities already have into credentials: cards, tags and plates, in the formats they come in.

    from center import imports

    while open_questions := imports.questions(path, answers):   # nothing about cards is guessed
        answers = …                                             # or imports.fitting(path, {row: what a reader read})
    report = imports.read(path, answers=answers, today=…, zone=…)
    lines = imports.entries(report, lanes={"North Gate": ("walk-in",)}, holder=…)

- Read are CSV, TSV and xlsx with any titles that are known, one value a line, ZKTeco's user.dat, esp-rfid's JSON.
- A report names every value that was not taken, with its row, column, reason and what it may have meant; nothing is
  stored before a person has accepted it. PINs, passwords and citizen numbers are in no report.
- What is ambiguous is asked or held back, never settled silently; a block entry never becomes a right.
- Whatever bytes a file has, only ImportsError is raised, and memory stays within bounds (`sheets`, `workbook`).
"""

from center.imports.codes import Refusal, Skip
from center.imports.entries import Entries, Gap, LeftOut, entries
from center.imports.model import (
    About,
    Answers,
    BadAnswer,
    Choice,
    EndDate,
    Imported,
    ImportsError,
    Kind,
    Midnight,
    NameOrder,
    Place,
    Problem,
    Question,
    Row,
    Technology,
    UidReader,
    Unanswered,
    UnreadableList,
)
from center.imports.reading import answers_from, fitting, questions, read
from center.imports.writings import Found
from protocol.card_number import Writing
from protocol.written import Note, Reason

__all__ = [
    "About",
    "Answers",
    "BadAnswer",
    "Choice",
    "EndDate",
    "Entries",
    "Found",
    "Gap",
    "Imported",
    "ImportsError",
    "Kind",
    "LeftOut",
    "Midnight",
    "NameOrder",
    "Note",
    "Place",
    "Problem",
    "Question",
    "Reason",
    "Refusal",
    "Row",
    "Skip",
    "Technology",
    "UidReader",
    "Unanswered",
    "UnreadableList",
    "Writing",
    "answers_from",
    "entries",
    "fitting",
    "questions",
    "read",
]
