"""The lines of the delegated roles."""

from datetime import UTC, date, datetime

import pytest

from protocol.credential import Credential
from protocol.roles import (
    ENROLMENT_S,
    Enrolment,
    Suspension,
    parse_enrolment,
    parse_suspension,
    remembered,
    suspensions_max,
    write_enrolment,
    write_suspension,
)
from protocol.whitelist import SUSPENSION_S, Entry, LineError

SINCE = datetime(2026, 11, 24, 8, tzinfo=UTC).timestamp()


def test_lines_come_back_as_they_were_written() -> None:
    """Both kinds."""
    enrolment = Enrolment(Entry(Credential("em:0000000001"), "h", ends=SINCE, lanes=("a",)), date(2026, 11, 24))
    assert parse_enrolment(write_enrolment(enrolment)) == enrolment
    suspension = Suspension(Credential("plate:沪A12345"), SINCE, SINCE + 60)
    assert parse_suspension(write_suspension(suspension)) == suspension


def test_an_enrolment_lapses_two_weeks_after_its_day_began() -> None:
    """In UTC."""
    added = Enrolment(Entry(Credential("em:0000000001"), "h"), date(2026, 11, 24))
    assert added.lapses == datetime(2026, 11, 24, tzinfo=UTC).timestamp() + ENROLMENT_S


@pytest.mark.parametrize(
    "line",
    [
        b'{"c":"em:0000000001","h":"h"}',
        b'{"c":"em:0000000001","h":"h","added":"20261124"}',
        b'{"c":"em:0000000001","h":"h","added":"2026-02-30"}',
        b'{"c":"em:0000000001","h":"h","added":"2026-11-24","added":"2027-11-24"}',
        b'{"c":"em:0000000001","gone":true,"added":"2026-11-24"}',
        b'{"c":"em:0000000001","h":"h","since":"2026-11-24T08:00:00Z","added":"2026-11-24"}',
        b'{"c":"em:0000000001","h":"h","admin":true,"added":"2026-11-24"}',
        b'{"h":"h","added":"2026-11-24"}',
    ],
)
def test_an_enrolment_can_only_add(line: bytes) -> None:
    """Whatever else a line tries is refused, and so is one without its day."""
    with pytest.raises(LineError):
        parse_enrolment(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"c":"em:0000000001","since":"2026-11-24T08:00:00Z"}',
        b'{"c":"em:0000000001","h":"h","since":"2026-11-24T08:00:00Z","signed":"2026-11-24T08:00:00Z"}',
        b'{"c":"em:1","since":"2026-11-24T08:00:00Z","signed":"2026-11-24T08:00:00Z"}',
        b'{"c":1,"since":"2026-11-24T08:00:00Z","signed":"2026-11-24T08:00:00Z"}',
        b'{"c":"em:0000000001","since":"2026-11-24T08:00:00Z","signed":"2026-11-24T07:59:59Z"}',
        b'{"c":"em:0000000001","since":"2026-11-24T08:00:00Z","signed":"2026-11-27T08:00:01Z"}',
        b"nonsense",
    ],
)
def test_a_suspension_can_only_suspend_and_not_for_ever(line: bytes) -> None:
    """Signed before it began, or more than 72 hours after that, it is none."""
    with pytest.raises(LineError):
        parse_suspension(line)


def test_how_many_may_be_suspended() -> None:
    """Fifty, or one in a hundred."""
    assert [suspensions_max(entries) for entries in (0, 4999, 5000, 5100, 1_000_000)] == [50, 50, 50, 51, 10_000]


def test_a_first_since_is_remembered_until_the_signers_have_had_their_say() -> None:
    """Or for thirty days."""
    assert remembered(SINCE, SINCE - 1, SINCE + SUSPENSION_S)
    assert remembered(SINCE, SINCE, SINCE)
    assert not remembered(SINCE, SINCE + 1, SINCE + 2)
    assert not remembered(SINCE, 0.0, SINCE + 30 * 86400)
