"""The lists that communities have: each sample gives what `expected.json` says, row by row."""

import hashlib

import pytest

from center import imports
from tests.center.imports.samples import ANSWERS, FILES, FOLDER, LISTS, described, read


@pytest.mark.parametrize("name", FILES)
def test_the_samples_are_the_files_that_are_described(name: str) -> None:
    """No tool has changed a line end or a byte order mark on the way."""
    data = (FOLDER / name).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (FILES[name]["bytes"], FILES[name]["sha256"])


@pytest.mark.parametrize("name", LISTS)
def test_how_a_list_was_read_is_said(name: str) -> None:
    """Encoding, format, the line of the titles, what a row's number counts, and the columns never shown."""
    about, expected = read(name).about, FILES[name]
    assert about.encoding == expected["encoding"]
    assert about.format == expected["format"]
    assert about.header_row == expected["header_row"]
    assert about.row_is == expected.get("row_is", "line")
    assert list(about.never_echo) == expected.get("never_echo", [])


@pytest.mark.parametrize("name", LISTS)
def test_every_row_gives_what_is_expected(name: str) -> None:
    """Credentials, dates, doors, errors with their candidates, what is skipped and why, and all warnings."""
    expected = FILES[name]["rows"]
    says_doors = any("doors" in row for row in expected)
    rows = [described(row) for row in read(name).rows]
    if not says_doors:  # of one list with doors, the expectation leaves them out
        rows = [{key: value for key, value in row.items() if key != "doors"} for row in rows]
    assert rows == [row | ({"warnings": sorted(row["warnings"])} if "warnings" in row else {}) for row in expected]


def test_the_doors_of_the_list_whose_expectation_leaves_them_out() -> None:
    """Y is always, a number a time profile."""
    assert [row.doors for row in read("02-uhppoted-acl-pin.tsv").rows if row.credentials] == [
        (("东门", "always"),),
        (("东门", "always"), ("Garage", "profile 2")),
        (("东门", "always"),),
    ]


def test_an_attendance_log_is_refused_by_name() -> None:
    """User numbers are no card numbers: nothing is imported, and the right file is named."""
    name = "05-zk-1_attlog.dat"
    with pytest.raises(imports.UnreadableList, match=r"user\.dat") as refused:
        imports.questions(FOLDER / name)
    assert refused.value.reason == FILES[name]["file_error"].partition(":")[0]
    assert (refused.value.encoding, refused.value.format) == (FILES[name]["encoding"], FILES[name]["format"])


@pytest.mark.parametrize("name", LISTS)
def test_nothing_is_read_before_the_questions_are_answered(name: str) -> None:
    """The answers of the samples are all there is to ask, and without them a list with open questions is not read."""
    assert imports.questions(FOLDER / name, ANSWERS[name]) == ()
    if imports.questions(FOLDER / name):
        with pytest.raises(imports.Unanswered) as unanswered:
            read(name, imports.Answers())
        assert unanswered.value.questions == imports.questions(FOLDER / name)


def test_errors_skipped_rows_and_warnings_are_at_hand() -> None:
    """A report can be shown by kind as well as by row."""
    report = read("07-hik-anpr-plates.csv")
    assert [problem.row for problem in report.errors] == [5, 6, 8, 10]
    assert [row.number for row in report.skipped] == [4, 9, 11]
    assert report.warnings == ((3, "looks_like_no_end"), (7, "case_normalised"))


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("02-uhppoted-acl-pin.tsv", ["7531", "1000000"]),
        ("03-zk-user72.dat", ["1234\\x00"]),
        ("08-hikcentral-persons.xlsx", ["'4321'", "999999190001010015", "9999991900"]),
    ],
)
def test_secrets_and_names_are_in_no_report(name: str, secrets: list[str]) -> None:
    """PINs, passwords and citizen numbers go nowhere; a name is there for the caller, and not in a log by accident."""
    report = repr(read(name))
    assert [secret for secret in secrets if secret in report] == []
    assert "测试" not in report
