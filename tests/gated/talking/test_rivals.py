"""Two boxes under one name find each other out, and nobody else makes them think so."""

import pytest

from gated.talking.rivals import HEARD_MAX, Rivals
from protocol.message import Status
from tests.chain import FakeGate


def said(rivals: Rivals, session: str, epoch: str) -> Status:
    """What that box says now."""
    return Status.from_bytes(FakeGate(session=session, epoch=epoch).status(1, heard=rivals.heard))


@pytest.fixture
def first() -> Rivals:
    """A box in session s1."""
    return Rivals("s1")


def test_two_boxes(first: Rivals) -> None:
    """Each finds the other out as soon as both have spoken and heard; once."""
    second = Rivals("s2")
    assert second.hear(said(first, "s1", "E1")) is None
    assert first.hear(said(second, "s2", "E2")) == "E2"
    assert second.hear(said(first, "s1", "E1")) == "E1"
    assert first.hear(said(second, "s2", "E2")) is None
    assert (first.epochs, second.epochs) == (("E2",), ("E1",))


def test_what_was_said_before_we_began(first: Rivals) -> None:
    """Statuses of lives before, which knew each other, say nothing of this one."""
    older = Rivals("s0")
    older.hear(said(first, "oldest", "E0"))
    for _ in range(2):
        assert first.hear(said(older, "s0", "E1")) is None
        assert first.hear(said(first, "s1", "E1")) is None
    assert (first.epochs, first.heard) == ((), ("s0",))


def test_many_old_statuses(first: Rivals) -> None:
    """Our own statuses do not grow by them, and the latest is answered."""
    for number in range(20):
        first.hear(said(Rivals("x"), f"old{number}", "E1"))
    assert len(first.heard) == HEARD_MAX
    assert first.heard[-1] == "old19"
