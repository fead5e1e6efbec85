"""How old an event is when it arrives, by which clock, and what the columns say of lines of every kind."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.intake.lateness import LATE_S, late, travelled
from center.records.facts import TEXT_MAX_CHARACTERS, Facts, facts, moment
from protocol.event import ClockQuality
from protocol.message import Sent

AT = "2026-11-24T08:15:02.000+08:00"
NOW = moment(AT) or 0.0
SYNCED, UNSET = ClockQuality.SYNCED, ClockQuality.UNSET


def event(ago: float, *, mono_ago: float | None = None, boot: str = "b1", clock: ClockQuality = SYNCED) -> Facts:
    """An event of some time before the batch left."""
    return Facts(at=NOW - ago, mono=10_000.0 - (ago if mono_ago is None else mono_ago), boot=boot, clock=clock)


def sent(clock: ClockQuality = SYNCED) -> Sent:
    """When the batch left: now."""
    return Sent(at=AT, mono=10_000.0, boot="b1", clock=clock)


@pytest.mark.parametrize(
    ("happened", "clock", "took", "expected"),
    [
        (event(10), SYNCED, 1.0, False),
        (event(LATE_S - 10), SYNCED, 5.0, False),
        (event(LATE_S - 10), SYNCED, 15.0, True),  # long at the gate, and a while under way
        (event(0), SYNCED, LATE_S + 1, True),
        (event(3600), SYNCED, 1.0, True),
        (event(3600, mono_ago=10), SYNCED, 1.0, False),  # the wall clock was set since: the same boot knows better
        (event(10, mono_ago=3600), SYNCED, 1.0, True),
        (event(10, mono_ago=5, clock=UNSET), SYNCED, 1.0, False),
        (event(10, boot="b0"), SYNCED, 1.0, False),  # another boot: by wall time
        (event(3600, boot="b0"), SYNCED, 1.0, True),
        (event(10, boot="b0", clock=UNSET), SYNCED, 1.0, True),  # and no wall time to go by
        (event(10), UNSET, 1.0, True),  # how long it was under way nobody knows
        (event(-1), SYNCED, -1.0, False),  # clocks differ by a little
        (event(10), SYNCED, -LATE_S - 1, True),  # clocks contradict each other
        (event(-LATE_S - 1), SYNCED, 1.0, True),
        (Facts(), SYNCED, 1.0, True),
        (Facts(mono=9_999.0, boot="b1"), SYNCED, 1.0, False),
    ],
)
def test_late(happened: Facts, clock: ClockQuality, took: float, expected: bool) -> None:  # noqa: FBT001
    """Each rule, and each clock that cannot be trusted."""
    journey = travelled(sent(clock), NOW + took)
    assert late(happened, sent(clock), journey) == expected


def test_all_is_late_for_a_center_whose_clock_is_not_right() -> None:
    """Its own time of receipt then says nothing."""
    assert late(event(0), sent(), travelled(sent(), NOW + 1, center_synced=False))


@given(st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps({"at": value, "kind": "salvaged", "lane": value, "mono": value, "original": value,
                              "seq_was": value, "boot": value, "clock": value}).encode()))  # fmt: skip
def test_no_line_is_too_strange(line: bytes) -> None:
    """Whatever a line is, there are facts of it that a database takes, and it is late or not."""
    said = facts(line)
    assert late(said, sent(), 1.0) in {True, False}
    for text in (said.kind, said.lane, said.boot, said.clock):
        assert text is None or ("\0" not in text and len(text.encode()) <= 4 * TEXT_MAX_CHARACTERS)


@pytest.mark.parametrize("at", ["", "2026-11-24", "2026-11-24T08:15:02", 7, None, "24 November", "沪"])
def test_what_is_no_moment(at: Any) -> None:
    """Without an offset nobody knows when it was."""
    assert moment(at) is None
