"""Rows on their way: what one row says, and then what only all rows together show.

- A row that claims just what an earlier one does is skipped; a credential that two different rows claim is nobody's.
- Two cards that a Wiegand-26 reader cannot tell apart, and two UIDs that are each other backwards, are pointed out.
- A row that ends up with no credential says nothing beside its errors: what it would have granted is not granted.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from center.imports.codes import Skip
from center.imports.dates import NO_END_YEAR
from center.imports.model import Column, Problem, Row, When
from protocol.credential import Credential
from protocol.written import Cell, Note, Reading, Reason, Trouble


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential, and where in its row it is written, as stored."""

    credential: Credential
    column: Column
    value: Cell


@dataclass(slots=True)
class Draft:
    """A row being read. `held`: an error holds back all of it."""

    number: int
    name: str | None = None
    person: str | None = None
    claims: list[Claim] = field(default_factory=list)
    begins: datetime | None = None
    until: datetime | None = None
    doors: tuple[tuple[str, str], ...] | None = None
    at_most_inside: int | None = None
    id_checksum: str | None = None
    skipped: Skip | None = None
    of_row: int | None = None
    errors: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    held: bool = False

    def hold(self, column: Column, value: Cell | None, trouble: Trouble) -> None:
        """An error that holds back the whole row."""
        self.held = True
        self.error(column, value, trouble)

    def error(self, column: Column, value: Cell | None, trouble: Trouble) -> None:
        """An error that holds back one value."""
        self.errors.append(Problem(self.number, column, value, trouble.reason, trouble.candidates))

    def take(self, column: Column, value: Cell, reading: Reading) -> None:
        """What was read of one written value."""
        if reading.trouble:
            self.error(column, value, reading.trouble)
        elif reading.credential:
            self.claim(column, value, reading.credential)
            self.note(*reading.notes)

    def claim(self, column: Column, value: Cell, credential: Credential) -> None:
        """Claim a credential; twice in one row is once."""
        if credential not in {claim.credential for claim in self.claims}:
            self.claims.append(Claim(credential, column, value))

    def note(self, *notes: str) -> None:
        """Warnings, each of them once."""
        self.warnings += [str(note) for note in dict.fromkeys(notes) if note not in self.warnings]

    def judge_period(self, when: When) -> None:
        """What the dates mean on this day."""
        if self.until and self.until.date() < when.today:
            self.skipped = Skip.EXPIRED
        if self.until and self.until.year >= NO_END_YEAR:
            self.note(Note.NO_END)
        if self.begins and self.begins.date() > when.today:
            self.note(Note.STARTS_LATER)

    def what(self) -> Hashable:
        """All that this row says, to compare with others."""
        claimed = frozenset(claim.credential for claim in self.claims)
        return (claimed, self.name, self.person, self.begins, self.until, self.doors, self.at_most_inside)

    def row(self) -> Row:
        """The row as it is reported."""
        errors = tuple(self.errors)
        if self.skipped or self.held or not self.claims:
            return Row(
                self.number, name=self.name, person=self.person, errors=errors, skipped=self.skipped, of_row=self.of_row
            )
        return Row(
            self.number,
            credentials=tuple(claim.credential for claim in self.claims),
            begins=self.begins,
            until=self.until,
            doors=self.doors,
            at_most_inside=self.at_most_inside,
            id_checksum=self.id_checksum,
            errors=errors,
            warnings=tuple(self.warnings),
            name=self.name,
            person=self.person,
        )


def finish(drafts: Iterable[Draft]) -> tuple[Row, ...]:
    """The rows, after what only all of them together show."""
    rows = list(drafts)
    _skip_identical([draft for draft in rows if _granting(draft)])
    granting = [draft for draft in rows if _granting(draft)]
    _hold_duplicates(granting)
    _point_out(granting, Note.SAME_WIEGAND26, _low_24_bits, _low_24_bits)
    _point_out(granting, Note.REVERSE, str, _turned)
    return tuple(draft.row() for draft in rows)


def _granting(draft: Draft) -> bool:
    return bool(draft.claims) and not draft.skipped and not draft.held


def _skip_identical(drafts: list[Draft]) -> None:
    first: dict[Hashable, int] = {}
    for draft in drafts:
        if draft.errors:
            continue
        number = first.setdefault(draft.what(), draft.number)
        if number != draft.number:
            draft.skipped, draft.of_row = Skip.DUPLICATE_ROW, number


def _hold_duplicates(drafts: list[Draft]) -> None:
    claimed: dict[Credential, list[int]] = {}
    for draft in drafts:
        for claim in draft.claims:
            claimed.setdefault(claim.credential, []).append(draft.number)
    twice = {credential: tuple(rows) for credential, rows in claimed.items() if len(rows) > 1}
    for draft in drafts:
        for claim in [claim for claim in draft.claims if claim.credential in twice]:
            draft.claims.remove(claim)
            rows = twice[claim.credential]
            draft.errors.append(Problem(draft.number, claim.column, claim.value, Reason.DUPLICATE, rows=rows))


def _point_out(
    drafts: list[Draft],
    note: Note,
    key: Callable[[Credential], Hashable],
    partner: Callable[[Credential], Hashable],
) -> None:
    """Name the first other row with a credential whose key is the partner of an own one; all of them would be many."""
    rows: dict[Hashable, list[int]] = {}
    for draft in drafts:
        for claim in draft.claims:
            rows.setdefault(key(claim.credential), []).append(draft.number)
    rows.pop(None, None)
    for draft in drafts:
        for claim in draft.claims:
            others = (row for row in rows.get(partner(claim.credential), ()) if row != draft.number)
            draft.note(*(f"{note}{other}" for other in islice(others, 1)))


def _low_24_bits(credential: Credential) -> int | None:
    """What a Wiegand-26 reader would pass on of this card; None where that cannot be said."""
    scheme, _, value = credential.partition(":")
    if scheme == "em":
        return int(value[-6:], 16)
    if scheme == "wiegand":
        _, facility, number = value.split(":")
        return ((int(facility) << 16) | int(number)) & 0xFFFFFF
    return None


def _turned(credential: Credential) -> str | None:
    """The UID with its bytes in the other order; None for anything that is no UID."""
    scheme, _, value = credential.partition(":")
    return f"uid:{bytes.fromhex(value)[::-1].hex().upper()}" if scheme == "uid" else None
