"""gates.json: what it says comes back; whatever is none is refused by its own error, and as a whole."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import gates
from protocol.gates import CENTER_MAX, GATES_MAX, GateEntry, GatesDocument
from protocol.message import MessageError
from protocol.repository import DOCUMENT_MAX_BYTES, DOCUMENTS

FIELDS = ("version", "as_of", "center", "gates", "name", "key", "seal")
NOW = datetime(2026, 11, 28, 8, 0, 0, 125000, UTC)


def key(number: int) -> str:
    """A key like no other."""
    return f"{number:064x}"


def document(count: int = 2, center: tuple[str, ...] = (key(1),)) -> GatesDocument:
    """Some gates, each with keys of its own."""
    entries = (GateEntry(name=f"gate-{n:035}", key=key(2 * n), seal=key(2 * n + 1)) for n in range(100, 100 + count))
    return GatesDocument(version=3, as_of=NOW, center=center, gates=tuple(entries))


def entry(name: str, signs: int, seals: int) -> dict[str, str]:
    """A gate, as it is written."""
    return {"name": name, "key": key(signs), "seal": key(seals)}


def changed(**values: Any) -> bytes:
    """A document with something else in it."""
    return json.dumps({**json.loads(gates.encode(document())), **values}).encode()


@pytest.mark.parametrize("count", [0, 1, GATES_MAX])
def test_what_is_written_is_read(count: int) -> None:
    """As many gates as there may be fit, with the longest names; and one document is always written alike."""
    made = document(count, tuple(map(key, range(1, CENTER_MAX + 1))))
    data = gates.encode(made)
    assert len(data) <= DOCUMENT_MAX_BYTES
    assert gates.parse(data) == made
    assert gates.encode(gates.parse(data)) == data
    assert gates.DOCUMENT in DOCUMENTS


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"center": []}, "center"),
        ({"center": [key(n) for n in range(CENTER_MAX + 1)]}, "center"),
        ({"center": [key(1), key(1)]}, "twice"),
        ({"center": [key(200)]}, "twice"),
        ({"center": ["00"]}, "center"),
        ({"version": 0}, "version"),
        ({"as_of": "2026-11-28T08:00:00"}, "as_of"),
        ({"gates": [{"name": "north", "key": key(7)}]}, "seal"),
        ({"gates": [{"name": "../north", "key": key(7), "seal": key(8)}]}, "name"),
        ({"gates": [entry("n", 7, 8), entry("n", 9, 5)]}, "twice"),
        ({"gates": [entry("n", 7, 8), entry("m", 7, 5)]}, "twice"),
    ],
)
def test_what_is_wrong_anywhere_is_wrong_as_a_whole(values: dict[str, Any], why: str) -> None:
    """The error names what."""
    with pytest.raises(MessageError, match=why):
        gates.parse(changed(**values))


def test_bounds() -> None:
    """Not a byte and not a gate more."""
    many = [{"name": f"g{n}", "key": key(2 * n), "seal": key(2 * n + 1)} for n in range(100, 101 + GATES_MAX)]
    with pytest.raises(MessageError, match="gates"):
        gates.parse(changed(gates=many))
    with pytest.raises(MessageError, match="at most"):
        gates.parse(gates.encode(document()) + b" " * DOCUMENT_MAX_BYTES)


def test_what_is_not_known_is_passed_over() -> None:
    """A newer center may say more."""
    assert gates.parse(changed(more={"x": 1})) == document()


def test_which_enrolments_it_tells_of() -> None:
    """Of files that were out when it was made."""
    assert document().tells_of(NOW)
    assert not document().tells_of(NOW + timedelta(microseconds=1))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())


def judge(data: bytes) -> None:
    """These bytes are a document, or raise the one error."""
    try:
        found = gates.parse(data)
    except MessageError:
        return
    assert gates.parse(gates.encode(found)) == found


@given(st.binary(max_size=300) | VALUES)
def test_any_bytes(data: bytes) -> None:
    """Whatever comes."""
    judge(data)


@given(st.integers(0, 600), st.binary(max_size=8))
def test_a_damaged_document(at: int, other: bytes) -> None:
    """Cut, or with other bytes in it."""
    data = gates.encode(document())
    judge(data[:at])
    judge(data[:at] + other + data[at + len(other) :])
