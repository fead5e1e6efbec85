"""Hours of the week: across midnight, across the week's end, across a change of clocks, on holidays."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.lanes.schedule import ALWAYS, DAYS, Schedule, parse, parse_hours


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


def test_a_holidays_night() -> None:
    """The hours of a holiday go on past midnight, and those of the day before go on into it."""
    monday = frozenset({date(2026, 11, 23)})
    party = parse(["daily 06:00-22:00", "holidays 20:00-02:00"])
    said = {text: party.open_at(at(text), monday) for text in ("2026-11-23 12:00", "2026-11-23 21:00")}
    assert said == {"2026-11-23 12:00": False, "2026-11-23 21:00": True}
    assert party.open_at(at("2026-11-24 01:59"), monday)
    assert not party.open_at(at("2026-11-24 02:00"), monday)
    assert not party.open_at(at("2026-11-23 01:00"), monday)  # Sunday was none


def test_only_holidays() -> None:
    """A schedule of a holiday's line alone is shut on all other days."""
    schedule = parse(["holidays 00:00-24:00"])
    assert schedule.open_at(at("2026-11-23 00:00"), {date(2026, 11, 23)})
    assert not schedule.open_at(at("2026-11-24 00:00"), {date(2026, 11, 23)})
    assert not schedule.open_at(at("2026-11-23 12:00"))


def test_no_lines() -> None:
    """A schedule without lines is never open."""
    assert not Schedule(()).open_at(at("2026-11-23 12:00"))


def _minutes_open(schedule: Schedule, zone: str, first: datetime, hours: int) -> int:
    """Minutes of real time that the schedule is open from `first` (UTC) on."""
    local = ZoneInfo(zone)
    moments = (first + timedelta(minutes=n) for n in range(hours * 60))
    return sum(schedule.open_at(moment.astimezone(local)) for moment in moments)


@pytest.mark.parametrize(
    ("zone", "day", "line", "minutes"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), "Sun 01:30-03:30", 60),  # 02:00 to 03:00 is no time
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), "Sun 02:00-03:00", 0),
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), "Sat 22:00-06:00", 7 * 60),
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), "Sun 02:00-03:00", 120),  # it comes twice
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), "Sat 22:00-06:00", 9 * 60),
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), "Sun 06:00-22:00", 16 * 60),
        ("Asia/Shanghai", datetime(2026, 3, 28, 12, tzinfo=UTC), "Sun 02:00-03:00", 60),
        ("Asia/Shanghai", datetime(2026, 10, 24, 12, tzinfo=UTC), "Sat 22:00-06:00", 8 * 60),
    ],
)
def test_real_time(zone: str, day: datetime, line: str, minutes: int) -> None:
    """How long it is really open in the night in which clocks change, or do not."""
    assert _minutes_open(parse([line]), zone, day, 48) == minutes


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
        ("", "is no line of hours"),
        ("Mon- 06:00-22:00", "'' is no day"),
        ("mon 06:00-22:00", "'mon' is no day"),
        ("Mon,holidays 06:00-22:00", "'holidays' is no day"),
        ("Mon 06:00-22:00 ja", "is no line of hours"),
        ("Mon ٠٦:٠٠-22:00", "is no line of hours"),
        ("Mon 25:00-26:00", "is no time of day"),
    ],
)
def test_wrong_lines(line: str, said: str) -> None:
    """Each says what is wrong."""
    with pytest.raises(ValueError, match=said):
        parse_hours(line)


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z,-]{1,9} \d{2}:\d{2}-\d{2}:\d{2}", fullmatch=True)))
def test_any_text(text: str) -> None:
    """Hours or ValueError, nothing else; what is taken has a length below two days."""
    try:
        hours = parse_hours(text)
    except ValueError:
        return
    assert 0 <= hours.begins <= hours.ends <= 48 * 60


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@given(
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60),
    st.integers(0, 7 * 24 * 60 - 1),
)
def test_as_counted_on_a_dial(days: set[str], begins: int, ends: int, minute: int) -> None:
    """A line as written is open exactly where a dial of one week, turned by hand, says so."""
    line = f"{','.join(sorted(days))} {_clock(begins)}-{_clock(ends)}"
    if begins == ends:
        with pytest.raises(ValueError, match="no length"):
            parse_hours(line)
        return
    length = (ends - begins) % (24 * 60) or 24 * 60
    starts = (DAYS.index(day) * 24 * 60 + begins for day in days)
    expected = any((minute - start) % (7 * 24 * 60) < length for start in starts)
    moment = at("2026-11-23 00:00") + timedelta(minutes=minute)
    assert parse([line]).open_at(moment) is expected


@given(st.sampled_from(DAYS), st.sampled_from(DAYS))
def test_a_range_of_days_is_its_list(first: str, last: str) -> None:
    """`Sat-Tue` is `Sat,Sun,Mon,Tue`, one day to itself is that day."""
    found, day = [first], first
    while day != last:
        day = DAYS[(DAYS.index(day) + 1) % 7]
        found.append(day)
    assert parse_hours(f"{first}-{last} 06:00-22:00") == parse_hours(f"{','.join(found)} 06:00-22:00")
