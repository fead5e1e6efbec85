"""What waits at a worker: each gate in its turn, within a bound."""

from center.broker import Message
from center.intake.inbox import COST_BYTES, Inbox


def message(text: str, length: int = 0) -> Message:
    """A message with this topic."""
    return Message(text, bytes(length), retained=False, mid=1, qos=1)


def taken(inbox: Inbox) -> list[str]:
    """All that waits, in its order."""
    found = []
    while (one := inbox.take()) is not None:
        found.append(one.topic)
    return found


def test_each_gate_in_its_turn() -> None:
    """A gate's own messages keep their order; who comes late waits for one of each other gate only."""
    inbox = Inbox(100 * COST_BYTES)
    for number in range(4):
        inbox.put("flood", message(f"flood {number}"))
    for number in range(2):
        inbox.put("north", message(f"north {number}"))
    assert taken(inbox) == ["flood 0", "north 0", "flood 1", "north 1", "flood 2", "flood 3"]
    assert not inbox
    assert not inbox.dropped


def test_the_newest_of_the_fullest_is_dropped() -> None:
    """By what waits of each, not by how many: the others lose nothing, however late they come."""
    inbox = Inbox(10 * COST_BYTES)
    for number in range(20):
        inbox.put("flood", message(f"flood {number}", COST_BYTES))
    for number in range(4):
        inbox.put("north", message(f"north {number}"))
    assert inbox.dropped == {"flood": 17}
    assert sorted(taken(inbox)) == ["flood 0", "flood 1", "flood 2", *(f"north {number}" for number in range(4))]


def test_one_message_that_is_too_long() -> None:
    """It is dropped, and what comes after it is taken."""
    inbox = Inbox(10 * COST_BYTES)
    inbox.put("flood", message("long", 10 * COST_BYTES))
    inbox.put("flood", message("short"))
    assert inbox.dropped == {"flood": 1}
    assert taken(inbox) == ["short"]
