"""Which writing a column of card numbers has: by the numbers themselves, by one card held to a reader, or by row.

No number says how it is meant, so a person is asked: `read_all` shows what the column would become under each
writing, `fits` finds the writings that turn a number on the list into what a reader read from that very card, and
`row_writing` understands a list that names the writing row by row.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from center.imports.model import Answers, Choice, Column, Question, Technology
from protocol.card_number import LOSSY, NEED_VERSION, Writing, own, read_card
from protocol.credential import Credential
from protocol.written import Cell, Reading, Reason, Trouble, clean

SAMPLE: Final = 1000
"""How many values of a column are tried under each writing before a person is asked."""

Readings = dict[Writing, list[tuple[int, Cell, str]]]
"""For each writing: row, value as stored, and what it becomes."""

_ROW_WRITINGS: Final = {
    "3+5": (Writing.W26_PAIR, Writing.W26_PAIR),
    "3+5连写8位": (Writing.W26_JOINED, Writing.W26_JOINED),
    "5+5": (Writing.W34_PAIR, Writing.W34_PAIR),
    "8位十六进制": (Writing.EM_HEX8, Writing.UID_HEX),
    "8位十六进制反序": (Writing.EM_HEX8_TURNED, Writing.UID_HEX_TURNED),
    "10位十进制": (Writing.EM_DEC10, Writing.UID_DEC),
    "10位十进制反序": (Writing.EM_DEC10_TURNED, Writing.UID_DEC_TURNED),
    "10位十六进制": (Writing.EM_HEX10, Writing.EM_HEX10),
    "13位十进制": (Writing.EM_DEC13, Writing.EM_DEC13),
}
_OFFERED: Final = tuple(writing for writing in Writing if writing not in LOSSY)
_EIGHT_DIGITS: Final = frozenset({"8位", "8位十进制"})


class Found(NamedTuple):
    """A writing that fits, with the version byte that it needs for it."""

    writing: Writing
    version_byte: str | None


def row_writing(phrase: str, technology: Technology) -> Writing | Reason:
    """The writing that a column of writings names for a row, or why it names none."""
    text = re.sub(r"\s", "", clean(phrase).text)
    if text in _ROW_WRITINGS:
        return _ROW_WRITINGS[text][technology is Technology.ISO14443]
    return Reason.AMBIGUOUS_8_DIGITS if text in _EIGHT_DIGITS else Reason.UNKNOWN_WRITING


def eight_digits(cell: Cell, version_byte: str | None) -> Reading:
    """The trouble with eight digits of which nobody says how they are meant; the candidates are all they may mean."""
    readings = (
        read_card(cell, Writing.W26_JOINED),
        read_card(cell, Writing.W26_DEC),
        read_card(cell, Writing.UID_HEX),
        read_card(cell, Writing.EM_DEC10, version_byte) if version_byte else Reading(),
    )
    candidates = tuple(reading.credential for reading in readings if reading.credential)
    if not candidates:
        return Reading(trouble=readings[0].trouble)
    return Reading(trouble=Trouble(Reason.AMBIGUOUS_8_DIGITS, candidates))


def fits(pairs: Iterable[tuple[Collection[Cell], Credential]]) -> tuple[Found, ...]:
    """The writings under which one of each row's numbers is the credential that was read from its card."""
    wanted = list(pairs)
    versions = {read[3:5] for _, read in wanted if read.startswith("em:")}
    version = versions.pop() if len(versions) == 1 else None
    return tuple(
        Found(writing, version if writing in NEED_VERSION else None)
        for writing in Writing
        if wanted and (version or writing not in NEED_VERSION)
        if all(any(read_card(cell, writing, version).credential == read for cell in cells) for cells, read in wanted)
    )


def read_all(cells: Iterable[tuple[int, Cell]], version_byte: str | None) -> Readings:
    """For each writing, the values of a column that it makes a credential of; a missing version byte shows as `??`."""
    values = list(islice(cells, SAMPLE))
    found: Readings = {}
    for writing in Writing:
        unknown = version_byte is None and writing in NEED_VERSION
        for row, cell in values:
            if credential := read_card(cell, writing, "00" if unknown else version_byte).credential:
                becomes = f"em:??{credential[5:]}" if unknown else credential
                found.setdefault(writing, []).append((row, cell, becomes))
    return found


def choices(
    found: Readings,
    among: Iterable[Writing] = _OFFERED,
    *,
    keep_all: bool = False,
) -> tuple[Choice, ...]:
    """The writings as choices, those that read most first; without `keep_all` only those that read anything."""
    made = []
    for writing in among:
        good = found.get(writing, [])
        if good:
            made.append(Choice(writing, len(good), *good[0]))
        elif keep_all:
            made.append(Choice(writing, 0))
    return tuple(sorted(made, key=lambda choice: -(choice.reads or 0)))


def card_questions(column: Column, cells: Iterable[tuple[int, Cell]], answers: Answers) -> Iterator[Question]:
    """What is to be asked of a column of cards: its writing, then the byte that this writing lacks."""
    unclear = list(islice(((row, cell) for row, cell in cells if own(cell) is None), SAMPLE))
    if not unclear:
        return
    if answers.cards is None:
        yield Question("cards", column, choices(read_all(unclear, answers.version_byte)))
    elif answers.cards in NEED_VERSION and answers.version_byte is None:
        yield version_question(column)


def version_question(column: Column) -> Question:
    """What the first byte of the EM4100 cards is."""
    return Question("version_byte", column)
