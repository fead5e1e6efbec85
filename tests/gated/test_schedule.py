"""Hours of the week: across midnight, across the week's end, across a change of clocks, on holidays."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.schedule import ALWAYS, parse, parse_hours


def at(text: str) -> datetime:
    """A local time; 2026-11-23 is a Monday."""
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("line", "opens", "shut"),
    [
        ("Mon-Fri 06:00-22:00", ["2026-11-23 06:00", "2026-11-27 21:59:59"], ["2026-11-23 05:59", "2026-11-27 22:00"]),
        ("Sat-Tue 08:00-09:00", ["2026-11-22 08:30", "2026-11-24 08:00"], ["2026-11-25 08:30", "2026-11-27 08:30"]),
        ("Mon,Wed 08:00-09:00", ["2026-11-23 08:00", "2026-11-25 08:00"], ["2026-11-24 08:00"]),
        ("Fri 22:00-06:00", ["2026-11-27 22:00", "2026-11-28 05:59"], ["2026-11-27 05:00", "2026-11-28 06:00"]),
        ("Sun 22:00-06:00", ["2026-11-22 23:00", "2026-11-23 05:00"], ["2026-11-22 05:00", "2026-11-23 22:00"]),
        ("daily 00:00-24:00", ["2026-11-23 00:00", "2026-11-29 23:59"], []),
        ("Mon 20:00-24:00", ["2026-11-23 23:59"], ["2026-11-24 00:00"]),
    ],
)
def test_lines(line: str, opens: list[str], shut: list[str]) -> None:
    """Open and shut at the boundaries; what goes past midnight belongs to the day on which it began."""
    schedule = parse([line])
    assert [text for text in opens if not schedule.open_at(at(text))] == []
    assert [text for text in shut if schedule.open_at(at(text))] == []


def test_holidays() -> None:
    """On a holiday only the holidays' lines count; without such a line it is the weekday that it is."""
    monday = frozenset({date(2026, 11, 23)})
    noon = at("2026-11-23 12:00")
    assert parse(["Mon-Fri 06:00-22:00"]).open_at(noon, monday)
    assert not parse(["Mon-Fri 06:00-22:00", "holidays closed"]).open_at(noon, monday)
    short = parse(["Mon-Fri 06:00-22:00", "holidays 10:00-13:00"])
    assert short.open_at(noon, monday)
    assert not short.open_at(at("2026-11-23 14:00"), monday)
    assert short.open_at(at("2026-11-24 14:00"), monday)
    night = parse(["daily 22:00-06:00", "holidays closed"])
    assert not night.open_at(at("2026-11-23 23:00"), monday)
    assert night.open_at(at("2026-11-23 05:00"), monday)  # it began on Sunday


def test_when_clocks_change() -> None:
    """The wall time counts: an hour that comes twice is open twice, one that is left out cannot shut anybody out."""
    berlin = ZoneInfo("Europe/Berlin")
    early = parse(["Sun 02:00-03:00"])
    for fold in (0, 1):
        assert early.open_at(datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=berlin))
    spring = parse(["Sun 01:00-04:00"])
    utc = ZoneInfo("UTC")
    before, after = (datetime(2026, 3, 29, 0, 59, tzinfo=utc), datetime(2026, 3, 29, 1, 1, tzinfo=utc))
    assert [spring.open_at(moment.astimezone(berlin)) for moment in (before, after)] == [True, True]


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - wall times
def test_always(moment: datetime) -> None:
    """`always` is."""
    assert ALWAYS.open_at(moment)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Mon-Fri", "is no line of hours"),
        ("Mon-Fry 06:00-22:00", "'Fry' is no day"),
        ("Mon 6:00-22:00", "is no line of hours"),
        ("Mon 06:60-22:00", "is no time of day"),
        ("Mon 06:00-24:01", "is no time of day"),
        ("Mon 06:00-06:00", "has no length"),
        ("Mon 24:00-06:00", "has no length"),
        ("Mon closed", "only holidays can be 'closed'"),
    ],
)
def test_wrong_lines(line: str, said: str) -> None:
    """Each says what is wrong."""
    with pytest.raises(ValueError, match=said):
        parse_hours(line)


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z,-]{1,9} [0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}", fullmatch=True)))
def test_any_text(text: str) -> None:
    """Hours or ValueError, nothing else; what is taken has a length below two days."""
    try:
        hours = parse_hours(text)
    except ValueError:
        return
    assert 0 <= hours.begins <= hours.ends <= 48 * 60
