"""Hours of the week, as people write them: `Mon-Fri 06:00-22:00`.

A schedule is a list of such lines; it is open when one of them is.

- Days are `Mon` … `Sun`, ranges (`Mon-Fri`, also `Sat-Tue`), lists (`Mon,Wed`), `daily`, or `holidays`.
- Times are local wall time, half-open, to the minute; `24:00` ends a day. What ends before it begins goes on past
  midnight and belongs to the day on which it began: `Fri 22:00-06:00` is open on Saturday at five.
- On a holiday only the `holidays` lines of a schedule count; a schedule that has none treats it as the weekday that
  it is. `holidays closed` is such a line.
- When clocks change, the wall time is what counts: an hour that comes twice is open twice.

`always` is the schedule that every gate has.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_MINUTES: Final = 24 * 60
_LINE: Final = re.compile(r"(?P<days>\S+)\s+(?:(?P<from>[0-9]{2}:[0-9]{2})-(?P<to>[0-9]{2}:[0-9]{2})|closed)")


@dataclass(frozen=True, slots=True)
class Hours:
    """One line.

    `days` are 0 (Monday) to 6; `begins` and `ends` minutes from that day's midnight, `ends` up to 48 hours; both 0
    means closed. A line for `holidays` holds on holidays only.
    """

    days: frozenset[int]
    begins: int
    ends: int
    holidays: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """Named hours: open when one of its lines is."""

    lines: tuple[Hours, ...]

    def open_at(self, local: datetime, holidays: Collection[date] = ()) -> bool:
        """Whether it is open at this local wall time."""
        minute = local.hour * 60 + local.minute
        today = local.date()
        return self._covers(today, minute, holidays) or self._covers(
            today - timedelta(days=1), minute + _DAY_MINUTES, holidays
        )

    def _covers(self, day: date, minute: int, holidays: Collection[date]) -> bool:
        special = day in holidays and any(line.holidays for line in self.lines)
        return any(
            line.begins <= minute < line.ends
            for line in self.lines
            if line.holidays == special and (special or day.weekday() in line.days)
        )


ALWAYS: Final = Schedule((Hours(frozenset(range(7)), 0, _DAY_MINUTES),))


def parse_hours(text: str) -> Hours:
    """One line of a schedule; raises ValueError that says what is wrong and what would be right."""
    match = _LINE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no line of hours; write 'Mon-Fri 06:00-22:00', 'daily …' or 'holidays closed'")
    holidays = match["days"] == "holidays"
    days = frozenset[int]() if holidays else _days(match["days"])
    if match["from"] is None:
        if not holidays:
            raise ValueError(f"{text!r}: only holidays can be 'closed'; leave the days out instead")
        return Hours(days, 0, 0, holidays)
    begins, ends = _minute(match["from"]), _minute(match["to"])
    if begins in {ends, _DAY_MINUTES}:
        raise ValueError(f"{text!r} has no length; a whole day is 00:00-24:00")
    return Hours(days, begins, ends if ends > begins else ends + _DAY_MINUTES, holidays)


def parse(lines: Collection[str]) -> Schedule:
    """A whole schedule; raises ValueError for its first bad line."""
    return Schedule(tuple(parse_hours(line) for line in lines))


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first), _day(last if dash else first)
        days.update((begin + n) % 7 for n in range((end - begin) % 7 + 1))
    return frozenset(days)


def _day(name: str) -> int:
    if name not in DAYS:
        raise ValueError(f"{name!r} is no day; days are {', '.join(DAYS)}, daily, holidays")
    return DAYS.index(name)


def _minute(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    minute = hours * 60 + minutes
    if minutes > 59 or minute > _DAY_MINUTES:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(f"{text!r} is no time of day; they run from 00:00 to 24:00")
    return minute
