"""Somebody at the center asks for events again: all of them are sent, whatever the center says it holds already."""

import pytest

from gated.talking.uplink import ResendError, Rewind
from tests.gated.talking.test_uplink import Box


def told(count: int) -> Box:
    """A box that has told so many events."""
    box = Box()
    box.connect()
    box.record(count)
    for seq in range(1, count + 1):
        box.answer(seq)
    box.sent.clear()
    return box


def resend(box: Box, after: int) -> int:
    """Ask, and let the journal do it; how far it goes."""
    until, acts = box.uplink.resend(after, box.now)
    box.act(acts)
    rewind = box.asked.pop()
    assert rewind == Rewind(min(after, box.acked))
    box.acked = min(after, box.acked)
    box.act(box.uplink.changed(box.head, box.now))
    return until


def test_all_of_it_though_the_center_has_it() -> None:
    """The center answers each batch with all that it holds; the rest is sent all the same, then what is new."""
    box = told(50)
    assert resend(box, 10) == 50
    while box.sent[-1].header.first + box.sent[-1].header.count <= 50:
        before = len(box.sent)
        box.answer(50)
        assert len(box.sent) > before
    assert [first for first, _ in box.sent_since(0)] == list(range(11, 50, 2))
    box.answer(50)
    assert box.acked == 50
    box.sent.clear()
    box.record(1)
    assert box.sent_since(0) == [(51, 1)]


def test_with_a_new_connection_it_is_over() -> None:
    """What new events wait for must end: only one connection long is it sent again."""
    box = told(50)
    resend(box, 0)
    box.answer(50)
    box.uplink.disconnected()
    box.sent.clear()
    box.connect()
    assert all(first > 50 for first, _ in box.sent_since(0))


def test_while_the_journal_is_busy() -> None:
    """It waits for its turn."""
    box = told(4)
    _, first = box.uplink.resend(0, box.now)
    _, second = box.uplink.resend(2, box.now)
    assert first == [Rewind(0)]
    assert second == []
    box.acked = 0
    box.act(box.uplink.changed(box.head, box.now))
    box.wait(1)
    assert box.asked == [Rewind(0)]


@pytest.mark.parametrize("after", [5, 100])
def test_what_is_not_there(after: int) -> None:
    """Beyond the end there is nothing to send."""
    with pytest.raises(ResendError):
        told(4).uplink.resend(after, 1000.0)


def test_before_the_journal_is_read() -> None:
    """Nothing is known yet."""
    box = Box()
    box.uplink._head = None
    with pytest.raises(ResendError):
        box.uplink.resend(0, 1000.0)
