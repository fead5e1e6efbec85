"""Dates as lists write them: a moment on the local clock, how exact it is, and in which of the usual shapes.

- The year comes first, or is recognised by its four digits. Where day and month may be either, a person decides.
- A two-digit year is taken only where its column writes years first and it is larger than any month: 26/12/31 may
  be the last day of 2026, or one in 2031.
- A bare number of five digits is a spreadsheet's count of days.
- `Shape` tells the writings of a column apart: a value that is not written as most of them are is worth a look.
"""

import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from protocol.written import Cell, Note, Reason, Trouble, clean

NO_END_YEAR: Final = 2037
"""From this year on, an end stands for "no end": cameras and readers are given 2037-12-31 or twenty years."""

DAYS_FROM: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time; the zone is added by the reader
"""Day 0 of spreadsheets that count from 1900, with their 29 February 1900 (46023 is 2026-01-01)."""

_SERIAL: Final = re.compile(r"([2-7][0-9]{4})(?:\.[0-9]+)?")
_TIME: Final = r"(?:[ T]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?)?"
_YEAR_FIRST: Final = re.compile(r"([0-9]{4})([-/.年])([0-9]{1,2})[-/.月]([0-9]{1,2})日?" + _TIME)
_COMPACT: Final = re.compile(r"([0-9]{4})()([0-9]{2})([0-9]{2})" + _TIME)
_YEAR_ELSEWHERE: Final = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})[-/.]([0-9]{4}|[0-9]{2})" + _TIME)
_YEAR_MIN: Final = 1900
_MONTH_MAX: Final = 12
_DAY_S: Final = 86400


class Shape(NamedTuple):
    """One writing of dates: the separator, how many parts of a time of day follow, and whether the year comes first."""

    separator: str
    time_parts: int
    year_first: bool


class DateReading(NamedTuple):
    """What a cell says of a moment; `whole_day` where it names a day only. All is None for an empty cell."""

    moment: datetime | None = None
    whole_day: bool = False
    shape: Shape | None = None
    notes: tuple[Note, ...] = ()
    trouble: Trouble | None = None


def read_date(cell: Cell, days_from: datetime = DAYS_FROM, *, year_first: bool = False) -> DateReading:
    """What `cell` says; `days_from` is the day 0 of its spreadsheet, `year_first` how its column writes dates."""
    if isinstance(cell, datetime):
        return _from_days(cell)
    if not isinstance(cell, str):
        return _serial(float(cell), days_from)
    text, _, trouble = clean(cell)
    if trouble or not text:
        return DateReading(trouble=trouble)
    return _serial(float(text), days_from) if _SERIAL.fullmatch(text) else _written(text, year_first=year_first)


def _written(text: str, *, year_first: bool) -> DateReading:
    if match := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text):
        year, separator, month, day, *time = match.groups()
        return _reading(_moments([(year, month, day)], time), separator, time, year_first=True)
    if match := _YEAR_ELSEWHERE.fullmatch(text):
        return _year_elsewhere(match, year_first=year_first)
    return DateReading(trouble=Trouble(Reason.DATE_UNREADABLE))


def most_common(readings: list[DateReading]) -> Shape | None:
    """The shape that most dates of a column have, the first of them where two are as common."""
    shapes = [reading.shape for reading in readings if reading.shape]
    counts = dict.fromkeys(shapes, 0)
    for shape in shapes:
        counts[shape] += 1
    return max(counts, key=lambda shape: counts[shape], default=None)


def _serial(days: float, days_from: datetime) -> DateReading:
    if not _SERIAL.fullmatch(f"{days:.9f}"):
        return DateReading(trouble=Trouble(Reason.DATE_UNREADABLE))
    return _from_days(days_from + timedelta(days=int(days), seconds=round(days % 1 * _DAY_S)))


def _from_days(moment: datetime) -> DateReading:
    """A moment that a spreadsheet keeps as a number: rounded, as 23:59:59 of a day is no exact fraction."""
    try:
        moment = (moment + timedelta(milliseconds=500)).replace(microsecond=0, tzinfo=None)
    except OverflowError:
        return DateReading(trouble=Trouble(Reason.NO_SUCH_DATE))
    if moment.year < _YEAR_MIN:
        return DateReading(trouble=Trouble(Reason.NO_SUCH_DATE))
    return DateReading(moment, moment.time() == datetime.min.time(), None, (Note.SERIAL_DATE,))


def _year_elsewhere(match: re.Match[str], *, year_first: bool) -> DateReading:
    first, separator, second, third, *time = match.groups()
    if len(third) > len("26"):
        orders = [(third, first, second), (third, second, first)]
        return _reading(_moments(orders, time), separator, time)
    if year_first and int(first) > _MONTH_MAX:
        reading = _reading(_moments([(f"20{first}", second, third)], time), separator, time)
        return reading._replace(shape=None, notes=(Note.TWO_DIGIT_YEAR,))
    orders = [(f"20{first}", second, third), (f"20{third}", first, second), (f"20{third}", second, first)]
    reading = _reading(_moments(orders, time), separator, time)
    return reading._replace(shape=None, notes=(Note.TWO_DIGIT_YEAR,))


def _moments(orders: list[tuple[str, str, str]], time: list[str | None]) -> list[datetime]:
    """The different moments that some orders of year, month and day give."""
    hour, minute, second = (int(part or 0) for part in time)
    moments = []
    for year, month, day in orders:
        try:
            moments.append(datetime(int(year), int(month), int(day), hour, minute, second))  # noqa: DTZ001 - local
        except ValueError:
            continue
    return list(dict.fromkeys(moment for moment in moments if moment.year >= _YEAR_MIN))


def _reading(
    moments: list[datetime], separator: str, time: list[str | None], *, year_first: bool = False
) -> DateReading:
    if not moments:
        return DateReading(trouble=Trouble(Reason.NO_SUCH_DATE))
    if len(moments) > 1:
        candidates = tuple(dict.fromkeys(moment.date().isoformat() for moment in moments))
        return DateReading(trouble=Trouble(Reason.DATE_AMBIGUOUS, candidates))
    parts = sum(part is not None for part in time)
    return DateReading(moments[0], parts == 0, Shape(separator, parts, year_first))
