"""From rows to lines of the whitelist: what a line cannot say is left out, and told."""

from datetime import UTC, datetime
from pathlib import Path

from center import imports
from center.imports import Answers, EndDate, Gap, LeftOut, Writing
from protocol.whitelist import encode, parse
from tests.center.imports.made import HEX
from tests.center.imports.made import read as read_made
from tests.center.imports.samples import LISTS, read

LANES = {
    "东门": ("walk-east",),
    "西门": ("walk-west", "car-west"),
    "North Gate": ("walk-north",),
    "Garage": ("car-in",),
}


def test_lines_of_an_access_list() -> None:
    """Doors are lanes, a time profile is hours where there is a name for it."""
    made = imports.entries(read("01-uhppoted-acl.tsv"), lanes=LANES, holder=lambda row: f"h{row.number}")
    assert [encode(entry).decode() for entry in made.entries] == [
        (
            '{"c":"wiegand:26:61:54321","h":"h2","from":"2025-12-31T16:00:00Z","until":"2026-12-31T16:00:00Z",'
            '"lanes":["walk-east","walk-north"]}'
        ),
        (
            '{"c":"wiegand:26:188:24910","h":"h3","from":"2025-12-31T16:00:00Z","until":"2026-12-31T16:00:00Z",'
            '"lanes":["walk-east","walk-west","car-west"]}'
        ),
        (
            '{"c":"wiegand:26:61:77","h":"h7","from":"2025-12-31T16:00:00Z","until":"2026-12-31T16:00:00Z",'
            '"lanes":["walk-east"]}'
        ),
    ]
    assert made.gaps == (Gap(3, "North Gate", LeftOut.HOURS),)


def test_doors_with_other_hours_are_left_out(tmp_path: Path) -> None:
    """A line has one set of hours: those of most doors."""
    first, second = ("11223344,2026-01-01,2026-12-31,29,Y,29", "55667799,2026-01-01,2026-12-31,N,29,Y")
    text = f"Card Number,From,To,东门,西门,Garage\n{first}\n{second}\n"
    report = read_made(tmp_path / "list", text)
    made = imports.entries(report, lanes=LANES, holder=lambda _: "h", hours={"profile 29": "workdays"})
    assert [(entry.when, entry.lanes) for entry in made.entries] == [
        ("workdays", ("walk-east", "car-in")),
        ("workdays", ("walk-west", "car-west")),
    ]
    assert made.gaps == (Gap(2, "西门", LeftOut.OTHER_HOURS), Gap(3, "Garage", LeftOut.OTHER_HOURS))


def test_a_row_without_any_lane_has_no_line(tmp_path: Path) -> None:
    """Rather than one that opens all of them."""
    report = read_made(tmp_path / "list", "Card Number,From,To,Attic\n11223344,2026-01-01,2026-12-31,Y\n")
    made = imports.entries(report, lanes=LANES, holder=lambda _: "h")
    assert (made.entries, made.gaps) == ((), (Gap(2, "Attic", LeftOut.DOOR),))


def test_all_lanes_where_a_door_stands_for_all(tmp_path: Path) -> None:
    """`*` stands alone in a line."""
    report = read_made(tmp_path / "list", "Card Number,From,To,东门,All\n11223344,2026-01-01,2026-12-31,Y,Y\n")
    made = imports.entries(report, lanes=LANES | {"All": ("*",)}, holder=lambda _: "h")
    assert [entry.lanes for entry in made.entries] == [("*",)]


def test_every_sample_gives_lines_that_a_gate_reads() -> None:
    """One line a credential, one holder a row, and what is held back or skipped gives none."""
    for name in LISTS:
        report = read(name)
        made = imports.entries(report, lanes=LANES, holder=lambda row: f"h{row.number}", others=("car-in",))
        assert [parse(encode(entry)) for entry in made.entries] == list(made.entries)
        wanted = [(credential, f"h{row.number}") for row in report.rows for credential in row.credentials]
        assert [(entry.credential, entry.holder) for entry in made.entries] == wanted


def test_dates_that_a_line_cannot_hold(tmp_path: Path) -> None:
    """A beginning before 1970 is none, and the end of all years is the latest there is."""
    text = "卡号,开始日期,结束日期\n11223344,1900-01-01,9999-12-31\n"
    report = read_made(tmp_path / "list", text, Answers(cards=Writing.UID_HEX, end_date=EndDate.INCLUSIVE))
    (entry,) = imports.entries(report, lanes={}, holder=lambda _: "h").entries
    assert entry.begins is None
    assert entry.ends is not None
    assert datetime.fromtimestamp(entry.ends, UTC).year == 9999
    assert parse(encode(entry)) == entry


def test_a_list_without_dates_or_doors(tmp_path: Path) -> None:
    """No limit in the source is none in the line."""
    (entry,) = imports.entries(
        read_made(tmp_path / "list", "卡号\n11223344\n", HEX), lanes={}, holder=lambda _: "h"
    ).entries
    assert encode(entry) == b'{"c":"uid:11223344","h":"h"}'
