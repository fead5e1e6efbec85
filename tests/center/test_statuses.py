"""`gatectl status` and `watch`: what the gates say themselves, in its order, and nothing that others say for them."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.broker import Message as Arrived
from center.gatectl.watch import _plain, _well, changed, row
from center.orders import LIFE_S, Gate, Wish, made
from center.statuses import Listener, introduction
from protocol import topics
from protocol.enrolment import vouch
from protocol.message import DeviceStatus, ListStatus, Message, Offline, Rivals, Sent, Status
from protocol.signature import public_bytes, signed

KEY: Final = Ed25519PrivateKey.generate()
NORTH: Final = Gate("demo", "north", [KEY.public_key()])
NOW: Final = datetime(2026, 11, 25, 8, 0, 5, tzinfo=UTC)


def status(number: int = 1, **changes: Any) -> Status:
    """How a gate is."""
    values: dict[str, Any] = {
        "session": "s1",
        "connection": 1,
        "sent": Sent(at="2026-11-25T08:00:00+00:00", mono=1000.0, boot="b", clock="synced"),
        "version": "1",
        "board": "b",
        "epoch": "e",
        "mode": "automatic",
        "backlog": 0,
        "list": ListStatus(version="42"),
        "devices": {"walk-in/0": DeviceStatus(what="reader", online=False)},
    }
    return Status(number=number, **{**values, **changes})


def arrived(said: Message, *, gate: str = "north", key: Ed25519PrivateKey = KEY) -> Arrived:
    """What the broker delivers."""
    topic = topics.status("demo", gate)
    return Arrived(topic, signed(topic, said.to_bytes(), key), retained=True, mid=1, qos=1)


def test_only_what_the_gate_has_signed() -> None:
    """Another key, another gate, another topic's signature: no news."""
    listener = Listener({"north": NORTH, "south": NORTH})
    right = arrived(status())
    assert listener.take(arrived(status(), key=Ed25519PrivateKey.generate())) is None
    assert listener.take(arrived(status(), gate="attic")) is None
    assert listener.take(Arrived(topics.status("demo", "south"), right.payload, True, 1, 1)) is None
    assert listener.take(Arrived(topics.ack("demo", "north"), right.payload, True, 1, 1)) is None
    assert listener.take(right) is not None
    assert listener.known == {"north": status()}


def test_a_new_box_is_believed_once_its_voucher_has_vouched_for_it() -> None:
    """Not by another's voucher, not for another gate, and not where the status is signed by another key."""
    one_time, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    vouchers = {"north": public_bytes(one_time)}
    key, seal = public_bytes(KEY), b"s" * 32

    def brought(by: Ed25519PrivateKey, gate: str = "north") -> Status:
        word = vouch(by, site="demo", gate=gate, key=key, seal=seal)
        return status(key=key.hex(), seal=seal.hex(), voucher=word)

    assert introduction("demo", arrived(brought(one_time)), vouchers) == {"north": key}
    assert introduction("demo", arrived(brought(other)), vouchers) == {}
    assert introduction("demo", arrived(brought(one_time, "south")), vouchers) == {}
    assert introduction("demo", arrived(brought(one_time), gate="south"), vouchers) == {}
    assert introduction("demo", arrived(brought(one_time), key=other), vouchers) == {}
    assert introduction("demo", arrived(status()), vouchers) == {}


@pytest.mark.parametrize(
    ("before", "said", "news"),
    [
        (status(2), status(1), False),
        (status(2), status(3), True),
        (status(2, connection=2), Offline(session="s1", connection=1), False),
        (status(2, connection=2), Offline(session="s1", connection=2), True),
        (Offline(session="s1", connection=2), status(9, connection=2), False),
        (Offline(session="s1", connection=2), status(9, connection=3), True),
        (status(9), status(1, session="s2"), True),
    ],
)
def test_in_their_order(before: Status | Offline, said: Status | Offline, news: bool) -> None:  # noqa: FBT001 - a parameter
    """Old statuses and the wills of old connections change nothing."""
    listener = Listener({"north": NORTH})
    listener.take(arrived(before))
    assert (listener.take(arrived(said)) is not None) is news


def test_rows() -> None:
    """What is wrong is in it; an age is told only by a clock that is right."""
    told = row(status(), NOW)
    assert (told["offline"], told["said_s_ago"], told["list"]) == (["walk-in/0"], 5.0, "42")
    unset = Sent(at="1970-01-01T00:00:00+00:00", mono=1.0, boot="b", clock="unset")
    assert row(status(sent=unset), NOW)["said_s_ago"] is None
    assert row(None, NOW) == {"state": "silent"}
    assert row(Offline(session="s", connection=1), NOW) == {"state": "offline"}
    assert changed(None, told)
    assert not changed(told, row(status(2, backlog=7), NOW))
    assert not changed(row(status(backlog=9), NOW), row(status(2, backlog=7), NOW))
    assert changed(row(status(backlog=7), NOW), row(status(2), NOW))
    assert changed(told, row(status(2, mode="guard-only"), NOW))


@pytest.mark.parametrize(("fire", "well"), [(None, True), ("clear", True), ("open", False), ("lost", False)])
def test_fire_is_shown(fire: str | None, well: bool) -> None:  # noqa: FBT001 - a parameter
    """In the table and as a change; while it holds the barriers open, the gate is not as it should be."""
    told = row(status(devices={}, fire=fire), NOW)
    assert (told["fire"], _plain(told)["fire"], _well(told)) == (fire, fire, well)
    assert changed(row(status(devices={}, fire="other"), NOW), told)


def test_why_a_gate_is_not_as_it_should_be() -> None:
    """Another box under its name stands beside what else troubles it; what it has refused, by reason and how often."""
    rivals, listed = (Rivals(epoch="E2"),), ListStatus(version="42", trouble="damaged")
    told = row(status(devices={}, rivals=rivals, list=listed, refused={"replayed": 2, "lane": 1}), NOW)
    said = _plain(told)
    assert (said["trouble"], _well(told)) == ("another box runs under its name; damaged", False)
    assert said["refused"] == "2 replayed, 1 lane"


def test_what_a_gate_says_moves_no_cursor() -> None:
    """Its words are shown as signs where they are none."""
    assert _plain(row(status(fire="\x1b[2J"), NOW))["fire"] == "\ufffd[2J"


def test_a_command_lives_by_the_gates_own_clock() -> None:
    """Its end is counted from when the gate said how it is, whatever the operator's clock says."""
    command = made(NORTH, Wish("hold", "walk-in", 60, reason="van"), status(), NOW)
    assert (command.until, command.session, command.gate) == (1000.0 + LIFE_S, "s1", "north")
    lived = datetime.fromisoformat(command.expires) - datetime.fromisoformat(command.issued)
    assert lived.total_seconds() == LIFE_S
    assert made(NORTH, Wish("restart"), status(), NOW).id != made(NORTH, Wish("restart"), status(), NOW).id
