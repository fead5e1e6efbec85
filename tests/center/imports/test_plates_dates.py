"""Plates and dates as people type them."""

# ruff: noqa: DTZ001, DTZ901 - a list says what its clock says; the zone comes later

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.imports import Note, Reason
from center.imports.dates import read_date
from protocol.credential import canonical
from protocol.plate import read_plate, split_plates


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        *(
            ("沪A12345", "沪A12345"),
            ("沪a·12345", "沪A12345"),
            ("沪Ａ－１２３４５", "沪A12345"),
            ("沪A.123 45", "沪A12345"),
        ),
        *(
            ("沪AD12345", "沪AD12345"),
            ("沪A12345F", "沪A12345F"),
            ("沪AB12345", "沪AB12345"),
            ("沪A1234挂", "沪A1234挂"),
        ),
        *(
            ("粤Z1234港", "粤Z1234港"),
            ("使014578", "使014578"),
            ("军A12345", "军A12345"),
            ("沪X1234应急", "沪X1234应急"),
        ),
    ],
)
def test_plates_that_are_taken(text: str, plate: str) -> None:
    """Spaces, points, width and case are nobody's intention; everything else stays."""
    assert read_plate(text).credential == f"plate:{plate}"


@pytest.mark.parametrize(
    ("text", "reason", "candidates"),
    [
        ("沪AO123I", Reason.PLATE_O_OR_I, ("plate:沪A01231",)),
        ("沪A1234567", Reason.PLATE_LENGTH, ()),
        ("A12345", Reason.PLATE_NO_PROVINCE, ()),
        ("滬A12345", Reason.PLATE_UNKNOWN_PROVINCE, ("plate:沪A12345",)),
        ("犬A12345", Reason.PLATE_UNKNOWN_PROVINCE, ()),
        ("沪A12345_ZM", Reason.PLATE_SUFFIX, ("plate:沪A12345",)),
        ("沪A1234_ZM_ZM", Reason.PLATE_SUFFIX, ()),
        ("沪112345", Reason.PLATE_NOT_UNDERSTOOD, ()),
        ("#REF!", Reason.EXCEL_ERROR, ()),
        (12345, Reason.NUMBER_CELL, ()),
    ],
)
def test_plates_that_wait(text: str | int, reason: Reason, candidates: tuple[str, ...]) -> None:
    """What might be meant is proposed, and never put in its place silently."""
    trouble = read_plate(text).trouble
    assert trouble
    assert (trouble.reason, trouble.candidates) == (reason, candidates)


@given(st.text(max_size=12) | st.from_regex(r"[沪京使军WJ泸][A-Z0-9OI]{5,8}[挂学警港]?", fullmatch=True))
def test_any_text_as_a_plate(text: str) -> None:
    """It is a canonical credential, or in trouble with canonical candidates."""
    reading = read_plate(text)
    assert (reading.credential is None) != (reading.trouble is None)
    for credential in (
        [reading.credential] if reading.credential else reading.trouble.candidates if reading.trouble else []
    ):
        assert canonical(credential) == credential


def test_a_space_parts_plates_only_before_a_province() -> None:
    """Some write a space inside a plate, others between two."""
    assert split_plates("沪A 12345") == ["沪A 12345"]
    assert split_plates("沪A12345 沪A12346，沪A12347; 京A00001\n") == ["沪A12345", "沪A12346", "沪A12347", "京A00001"]


@pytest.mark.parametrize(
    ("text", "moment", "whole_day"),
    [
        ("2026-01-05", datetime(2026, 1, 5), True),
        ("2026/1/5 8:05", datetime(2026, 1, 5, 8, 5), False),
        ("2026年1月5日", datetime(2026, 1, 5), True),
        ("20260105", datetime(2026, 1, 5), True),
        ("２０２６.０１.０５", datetime(2026, 1, 5), True),
        ("2026-01-05T08:05:09", datetime(2026, 1, 5, 8, 5, 9), False),
        ("2026-01-05 0:00", datetime(2026, 1, 5), False),
        ("46027", datetime(2026, 1, 5), True),
        (46027.5, datetime(2026, 1, 5, 12), False),
        ("13/06/2026", datetime(2026, 6, 13), True),
        ("06/13/2026", datetime(2026, 6, 13), True),
        ("05/05/2026", datetime(2026, 5, 5), True),
        (datetime(2026, 12, 31, 23, 59, 58, 999_600), datetime(2026, 12, 31, 23, 59, 59), False),
    ],
)
def test_dates_that_are_clear(text: str | float | datetime, moment: datetime, whole_day: bool) -> None:  # noqa: FBT001
    """A day, or a moment of it."""
    reading = read_date(text)
    assert reading.trouble is None
    assert (reading.moment, reading.whole_day) == (moment, whole_day)


@pytest.mark.parametrize(
    ("text", "reason", "candidates"),
    [
        ("05/06/2026", Reason.DATE_AMBIGUOUS, ("2026-05-06", "2026-06-05")),
        ("26/12/31", Reason.DATE_AMBIGUOUS, ("2026-12-31", "2031-12-26")),
        ("2026-02-30", Reason.NO_SUCH_DATE, ()),
        ("13/13/2026", Reason.NO_SUCH_DATE, ()),
        ("2026-01-01 25:00", Reason.NO_SUCH_DATE, ()),
        ("0001-01-01", Reason.NO_SUCH_DATE, ()),
        ("长期", Reason.DATE_UNREADABLE, ()),
        (12.0, Reason.DATE_UNREADABLE, ()),
        (1e300, Reason.DATE_UNREADABLE, ()),
        ("#N/A", Reason.EXCEL_ERROR, ()),
        (datetime.max, Reason.NO_SUCH_DATE, ()),
    ],
)
def test_dates_that_wait(text: str | float | datetime, reason: Reason, candidates: tuple[str, ...]) -> None:
    """Where day and month, or year and day, may be either, a person decides."""
    trouble = read_date(text).trouble
    assert trouble
    assert (trouble.reason, trouble.candidates) == (reason, candidates)


def test_a_short_year_is_understood_where_its_column_writes_years_first() -> None:
    """The other dates of the column say which end the year is at, and months end at 12."""
    reading = read_date("26/12/31 23:59:59", year_first=True)
    assert (reading.moment, reading.notes) == (datetime(2026, 12, 31, 23, 59, 59), (Note.TWO_DIGIT_YEAR,))
    assert read_date("05/06/07", year_first=True).trouble


@given(st.text(alphabet="0123456789/-.:年月日T ", max_size=20) | st.text(max_size=20) | st.floats() | st.datetimes())
def test_any_cell_as_a_date(cell: str | float | datetime) -> None:
    """It is a moment, a trouble, or empty."""
    reading = read_date(cell)
    assert not (reading.moment and reading.trouble)
