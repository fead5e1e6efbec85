"""Rows of a list as lines of the whitelist.

- A list says the last second in force; a line of the whitelist ends one second later, as its times are half-open.
- Doors become lanes by a table, time profiles become hours by another. One line has one set of hours: where a row has
  doors with different ones, the hours of most doors stay. What cannot be said is left out, and told.
- How many of a holder's vehicles may be inside at once is nothing that a line can say; that is the center's to see to.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from center.imports.model import Imported, Row
from center.imports.uhppoted import ALWAYS
from protocol.whitelist import Entry

_LATEST: Final = datetime(9999, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp()
ALL_LANES: Final = ("*",)


class LeftOut(StrEnum):
    """Why a door of a row gives no lane."""

    DOOR = "door_has_no_lane"
    HOURS = "time_profile_has_no_hours"
    OTHER_HOURS = "hours_differ_from_other_doors"


@dataclass(frozen=True, slots=True)
class Gap:
    """A door that a row allows and its line does not."""

    row: int
    door: str
    why: LeftOut


@dataclass(frozen=True, slots=True)
class Entries:
    """The lines, in the order of the list, and the doors that they leave out. A row without any lane has no line."""

    entries: tuple[Entry, ...]
    gaps: tuple[Gap, ...]


def entries(
    imported: Imported,
    *,
    lanes: Mapping[str, tuple[str, ...]],
    holder: Callable[[Row], str],
    hours: Mapping[str, str] | None = None,
    others: tuple[str, ...] = ALL_LANES,
) -> Entries:
    """The whitelist entries of the rows that grant something.

    `lanes` has the lanes of each door, `hours` the name of the hours for each time profile ("profile 29"), `others` the
    lanes of a list that knows no doors. `holder` gives a row's random name, and is called once a row.
    """
    found: list[Entry] = []
    gaps: list[Gap] = []
    for row in imported.rows:
        if not row.credentials:
            continue
        allowed = others
        when = ALWAYS
        if row.doors is not None:
            allowed, when = _lanes(row, lanes, hours or {}, gaps)
        if allowed:
            found += _of_row(row, holder(row), allowed, when)
    return Entries(tuple(found), tuple(gaps))


def _lanes(
    row: Row, lanes: Mapping[str, tuple[str, ...]], hours: Mapping[str, str], gaps: list[Gap]
) -> tuple[tuple[str, ...], str]:
    """The lanes of a row's doors, and their hours."""
    doors: dict[str, list[str]] = {}
    for door, profile in row.doors or ():
        when = profile if profile == ALWAYS else hours.get(profile)
        if door not in lanes:
            gaps.append(Gap(row.number, door, LeftOut.DOOR))
        elif when is None:
            gaps.append(Gap(row.number, door, LeftOut.HOURS))
        else:
            doors.setdefault(when, []).append(door)
    most = max(doors, key=lambda when: len(doors[when]), default=ALWAYS)
    gaps += [Gap(row.number, door, LeftOut.OTHER_HOURS) for when in doors if when != most for door in doors[when]]
    allowed = dict.fromkeys(lane for door in doors.get(most, ()) for lane in lanes[door])
    return (ALL_LANES if "*" in allowed else tuple(allowed)), most


def _of_row(row: Row, holder: str, lanes: tuple[str, ...], when: str) -> Iterator[Entry]:
    begins = max(0.0, row.begins.timestamp()) if row.begins else None
    ends = min(_LATEST, row.until.timestamp()) + 1 if row.until else None
    for credential in row.credentials:
        yield Entry(credential, holder, begins=begins or None, ends=ends, when=when, lanes=lanes)
