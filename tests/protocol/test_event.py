"""Events: one line each, encoded once, chained by SHA-256."""

import hashlib
import json
from typing import Any

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
ENVELOPE = ["seq", "at", "clock", "boot", "mono", "kind"]
SEQ_MAX = 2**63 - 1


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


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.data())
def test_the_chain_notices(lines: list[bytes], data: st.DataObject) -> None:
    """Another byte anywhere gives another hash at the end."""
    at = data.draw(st.integers(0, len(lines) - 1))
    other = list(lines)
    other[at] = bytes([lines[at][0] ^ data.draw(st.integers(1, 255))]) + lines[at][1:]
    assert _end(lines) != _end(other)


def _end(lines: list[bytes]) -> bytes:
    before = GENESIS
    for one in lines:
        before = link(before, one)
    return before


@pytest.mark.parametrize(("kind", "bound"), [(Kind.SYSTEM, LINE_MAX_BYTES), (Kind.SALVAGED, SALVAGED_MAX_BYTES)])
def test_bounds(kind: Kind, bound: int) -> None:
    """16 KiB, a salvaged one 40 KiB, with any seq in front; beyond that refused when written."""
    room = bound - len(line(SEQ_MAX, body(kind, STAMP, {"x": ""})))
    assert len(line(SEQ_MAX, body(kind, STAMP, {"x": "a" * room}))) == bound
    with pytest.raises(EventError, match=f"takes {bound + 1} bytes, at most {bound} fit"):
        body(kind, STAMP, {"x": "a" * (room + 1)})


def test_bounds_are_of_bytes() -> None:
    """A Chinese character takes three."""
    with pytest.raises(EventError, match="fit"):
        body(Kind.SYSTEM, STAMP, {"x": "沪" * (LINE_MAX_BYTES // 3)})


def _deep() -> object:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), object(), b"bytes", {1, 2}, "\ud800", {"\udfff": 1}, {(1, 2): 3}]
)
def test_what_is_no_json(value: object) -> None:
    """Refused when written, in words."""
    with pytest.raises(EventError, match="event system is not JSON"):
        body(Kind.SYSTEM, STAMP, {"x": value})


def test_what_is_nested_without_end() -> None:
    """Refused as well."""
    with pytest.raises(EventError, match="event system is not JSON"):
        body(Kind.SYSTEM, STAMP, {"x": _deep()})


@pytest.mark.parametrize("mono", [float("nan"), float("inf")])
def test_a_time_that_is_none(mono: float) -> None:
    """A monotonic time that no JSON has is refused too."""
    with pytest.raises(EventError, match="not JSON"):
        body(Kind.SYSTEM, Stamp(STAMP.at, STAMP.clock, STAMP.boot, mono), {})


@pytest.mark.parametrize("key", ENVELOPE)
def test_no_key_twice(key: str) -> None:
    """What every event has cannot be said again, or in other words, by its fields."""
    with pytest.raises(EventError, match=f"every event has: {key}"):
        body(Kind.SYSTEM, STAMP, {key: 7})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = st.text(max_size=9).filter(lambda key: key not in ENVELOPE)


@given(st.dictionaries(keys, json_values, max_size=9), st.integers(1, SEQ_MAX))
def test_round_trip(fields: dict[str, Any], seq: int) -> None:
    """What goes in comes out, in its order, on one line, whatever its text."""
    written = line(seq, body(Kind.SYSTEM, STAMP, fields))
    assert not {0x0A, 0x0D} & set(written)
    read = json.loads(written)
    said = {key: value for key, value in fields.items() if value is not None}
    assert list(read) == [*ENVELOPE, *said]
    assert (read["seq"], read["mono"], read["kind"]) == (seq, 8123.512, "system")
    assert {key: read[key] for key in said} == said
    assert json.loads(b'{"seq":1,' + written.partition(b",")[2]) == {**read, "seq": 1}


@given(st.dictionaries(keys, json_values, max_size=5))
def test_the_same_words_are_the_same_bytes(fields: dict[str, Any]) -> None:
    """Encoding has no choices: a resend cannot differ."""
    assert body(Kind.ALARM, STAMP, fields) == body(Kind.ALARM, STAMP, json.loads(json.dumps(fields)))
