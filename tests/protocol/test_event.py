"""Events: one line each, encoded once, chained by SHA-256."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.event import (
    GENESIS,
    LINE_MAX_BYTES,
    SALVAGED_MAX_BYTES,
    ClockQuality,
    EventError,
    Kind,
    Stamp,
    body,
    line,
    link,
)

STAMP = Stamp("2026-11-24T08:15:02.113+08:00", ClockQuality.SYNCED, "9f2c", 8123.5124)


def test_a_line() -> None:
    """The order of keys is fixed, nothing is padded, None is left out, Chinese stays as it is."""
    rest = body(Kind.PASSAGE, STAMP, {"lane": "walk-in", "also": None, "credential": "plate:沪A12345"})
    assert line(1042, rest).decode() == (
        '{"seq":1042,"at":"2026-11-24T08:15:02.113+08:00","clock":"synced","boot":"9f2c","mono":8123.512,'
        '"kind":"passage","lane":"walk-in","credential":"plate:沪A12345"}'
    )


def test_the_chain() -> None:
    """An event's identity is SHA-256 over the hash before, 32 raw bytes, and the line."""
    assert bytes(32) == GENESIS
    assert link(GENESIS, b'{"seq":1}') == hashlib.sha256(bytes(32) + b'{"seq":1}').digest()


def test_bounds() -> None:
    """16 KiB, a salvaged one 40 KiB, with any seq in front; beyond that refused when written."""
    room = LINE_MAX_BYTES - len(line(2**63 - 1, body(Kind.SYSTEM, STAMP, {"x": ""})))
    assert len(line(2**63 - 1, body(Kind.SYSTEM, STAMP, {"x": "a" * room}))) == LINE_MAX_BYTES
    with pytest.raises(EventError, match="at most 16384 fit"):
        body(Kind.SYSTEM, STAMP, {"x": "a" * (room + 1)})
    assert body(Kind.SALVAGED, STAMP, {"original": "a" * 2 * LINE_MAX_BYTES})
    with pytest.raises(EventError):
        body(Kind.SALVAGED, STAMP, {"original": "a" * SALVAGED_MAX_BYTES})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes", {1, 2}, "\ud800"])
def test_what_is_no_json(value: object) -> None:
    """Refused when written, in words."""
    with pytest.raises(EventError, match="event system is not JSON"):
        body(Kind.SYSTEM, STAMP, {"x": value})


@given(
    st.dictionaries(st.text(max_size=9), st.one_of(st.integers(), st.text(max_size=50), st.booleans()), max_size=9),
    st.integers(1, 2**63 - 1),
)
def test_round_trip(fields: dict[str, object], seq: int) -> None:
    """What goes in comes out, one line, whatever its text."""
    try:
        written = line(seq, body(Kind.SYSTEM, STAMP, fields))
    except EventError:
        return
    assert b"\n" not in written
    assert fields.items() <= json.loads(written).items() or fields.keys() & {"seq"}
