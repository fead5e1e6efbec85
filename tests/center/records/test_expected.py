"""Announced visitors in both kinds of database."""

from typing import Any

import pytest

from center.records import expected
from center.records.store import Store
from protocol.expected import ExpectedError, Visitor
from tests.chain import FakeGate
from tests.desk import Desk

NOW = 1_795_478_400.0
LEAST: dict[str, Any] = {"people": 1, "plate": None, "visits": "", "note": "", "begins": NOW, "now": NOW}


def announced(store: Store, name: str, *, until: float) -> Visitor:
    """A visitor who is announced by li-wei."""
    made = expected.made(name, **LEAST, until=until)
    with store.database.transaction() as connection:
        expected.add(connection, made, "li-wei", NOW)
    return made


def names(store: Store, now: float) -> list[str]:
    """Who is announced then, whatever is over being erased."""
    return sorted(one.name for one in expected.current(store, now).visitors)


def test_who_is_over_is_erased(store: Store) -> None:
    """From the very moment on; who announced it stands with it until then."""
    announced(store, "王明", until=NOW + 60)
    announced(store, "李红", until=NOW + 120)
    assert names(store, NOW + 59.9) == ["李红", "王明"]
    with store.reading() as connection:
        assert {row.operator for row in expected.rows(connection, NOW)} == {"li-wei"}
    assert names(store, NOW + 60) == ["李红"]
    assert names(store, NOW) == ["李红"]


def test_a_withdrawal_is_whole(store: Store) -> None:
    """All that are named, or none; naming one twice is no error."""
    first, second = announced(store, "王明", until=NOW + 60), announced(store, "李红", until=NOW + 60)
    with store.database.transaction() as connection, pytest.raises(ExpectedError, match="no announcement other"):
        expected.withdraw(connection, [first.id, "other"])
    assert names(store, NOW) == ["李红", "王明"]
    with store.database.transaction() as connection:
        expected.withdraw(connection, [first.id, first.id, second.id])
    assert names(store, NOW) == []


def test_gates_that_are_set_up(store: Store) -> None:
    """Their keys go with it; a gate that has none yet is left out."""
    desk, gate = Desk(store), FakeGate("north")
    desk.add(gate)
    store.add_gate("south", bytes(32), 0, NOW)
    assert expected.current(store, NOW).seals == {"north": gate.seal}
    store.replace_gate("north", bytes(32), 0, NOW)
    assert expected.current(store, NOW).seals == {}


def test_no_more_than_gates_take(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one too many is refused, and not kept."""
    monkeypatch.setattr("protocol.expected.VISITORS_MAX", 1)
    announced(store, "王明", until=NOW + 60)
    with pytest.raises(ExpectedError, match="2 visitors are announced; gates take 1"):
        announced(store, "李红", until=NOW + 60)
    assert names(store, NOW) == ["王明"]
