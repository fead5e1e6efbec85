"""What commands a gate takes: those of its operators, now, here, once; and nothing else."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.talking.orders import HOLD_MAX_S, IDS_MAX, LATE_MAX, LIFE_MAX_S, Accepted, Orders, Refusal, Refused
from protocol import dsse, topics
from protocol.event import ClockQuality, Stamp
from protocol.message import MessageError
from protocol.operators import at_gate
from tests.operatorkeys import Holder, document, operators, wish

SITE: Final = "demo"
TOPIC: Final = topics.command(SITE, "north")
NOW: Final = datetime.fromisoformat("2026-11-25T08:00:00+08:00")
LANES: Final = ("walk-in", "walk-out", "car-in")
LI: Final = Holder()
WANG: Final = Holder("wang-fang", ("open",), ("walk-in",))


class Gate:
    """One session of one gate, whose clocks are moved by hand."""

    def __init__(self, site: str = SITE, session: str = "s1", clock: ClockQuality = ClockQuality.SYNCED) -> None:
        self.orders = Orders(site, "north", session, LANES)
        self.topic = topics.command(site, "north")
        self.wall = NOW
        self.mono = 1000.0
        self.clock = clock
        self.operators = operators(LI, WANG)

    def take(self, payload: bytes, *, retained: bool = False, topic: str = "") -> Accepted | Refused:
        """Judge a message that arrives now."""
        stamp = Stamp(self.wall.isoformat(timespec="milliseconds"), self.clock, "boot", self.mono)
        return self.orders.judge(topic or self.topic, payload, self.operators, stamp, retained=retained)

    def later(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self.mono += seconds
        self.wall += timedelta(seconds=seconds)


def order(action: str = "open", by: Holder = LI, **changed: Any) -> bytes:
    """A command made at NOW that may be taken for a minute."""
    times = {"issued": NOW.isoformat(), "expires": (NOW + timedelta(seconds=60)).isoformat()}
    return by.envelope(wish(action, **{**times, **changed}))


def refused(found: Accepted | Refused) -> Refusal:
    """Why it was refused."""
    assert isinstance(found, Refused), found
    return found.reason


@pytest.mark.parametrize("action", ["open", "hold", "release", "resend", "diagnostics", "restart"])
def test_taken(action: str) -> None:
    """Signed, for this gate and session, in time: it is taken, and it is known whose it is."""
    gate = Gate()
    found = gate.take(order(action))
    assert isinstance(found, Accepted)
    assert (found.command.action, found.operator, found.keyid) == (action, "li-wei", dsse.keyid(LI.key))
    assert (gate.orders.accepted, dict(gate.orders.refused)) == (1, {})


WRONG: Final[list[tuple[Refusal, dict[str, Any]]]] = [
    (Refusal.ELSEWHERE, {"site": "other"}),
    (Refusal.ELSEWHERE, {"gate": "south"}),
    (Refusal.SESSION, {"session": "s0"}),
    (Refusal.EXPIRED, {"until": 999.9}),
    (Refusal.EXPIRED, {"issued": "2026-11-25T07:58:00+08:00", "expires": "2026-11-25T07:59:59+08:00"}),
    (Refusal.FUTURE, {"issued": "2026-11-25T08:01:01+08:00", "expires": "2026-11-25T08:02:00+08:00"}),
    (Refusal.LIFE, {"expires": "2026-11-25T08:05:01+08:00"}),
    (Refusal.LIFE, {"expires": "2026-11-25T08:00:00+08:00"}),
    (Refusal.LIFE, {"until": 1000.0 + LIFE_MAX_S + 1}),
    (Refusal.LIFE, {"issued": "2026-11-25T08:00:00"}),
    (Refusal.LIFE, {"issued": "yesterday"}),
    (Refusal.LANE, {"lane": "attic"}),
    (Refusal.INCOMPLETE, {"lane": None}),
    (Refusal.INCOMPLETE, {"action": "hold", "seconds": None}),
    (Refusal.INCOMPLETE, {"action": "resend", "after": None}),
    (Refusal.INCOMPLETE, {"action": "restart", "lane": "walk-in"}),
    (Refusal.TOO_LONG, {"action": "hold", "seconds": HOLD_MAX_S + 1}),
    (Refusal.UNREADABLE, {"action": "explode"}),
    (Refusal.UNREADABLE, {"until": None}),
    (Refusal.UNREADABLE, {"id": "../x"}),
]
ANSWERED: Final = set(Refusal) - {
    Refusal.RETAINED,
    Refusal.ENVELOPE,
    Refusal.UNKNOWN_KEY,
    Refusal.FORGED,
    Refusal.UNREADABLE,
    Refusal.ELSEWHERE,
    Refusal.REPLAYED,
    Refusal.BUSY,
}


@pytest.mark.parametrize(("reason", "changed"), WRONG)
def test_refused(reason: Refusal, changed: dict[str, Any]) -> None:
    """Each thing that is wrong has its reason; who was shown to be an operator of this gate is told."""
    gate = Gate()
    found = gate.take(order(**changed))
    assert refused(found) is reason
    assert isinstance(found, Refused)
    assert found.why
    assert (found.id == "c1") is (reason in ANSWERED)
    assert found.operator == "li-wei"
    assert dict(gate.orders.refused) == {reason: 1}
    assert gate.orders.accepted == 0


def test_retained() -> None:
    """A retained command counts for nothing, however right it is; the same, not retained, does."""
    gate = Gate()
    found = gate.take(order(), retained=True)
    assert refused(found) is Refusal.RETAINED
    assert isinstance(found, Refused)
    assert not found.id
    assert isinstance(gate.take(order()), Accepted)


def test_nobody_has_proved_anything() -> None:
    """Unsigned, by a key that is not known, forged, by two at once, over another gate's topic: refused, no reply."""
    gate = Gate()
    right = order()
    theirs = order(by=Holder("li-wei"))
    two = dsse.sign(dsse.COMMAND_TYPE, b"{}", [LI.key, WANG.key])
    forged = right.replace(right[14:18], b"eyJ9" if right[14:18] != b"eyJ9" else b"eyJ8")
    cases = [
        (b'{"action":"open"}', Refusal.ENVELOPE),
        (theirs, Refusal.UNKNOWN_KEY),
        (forged, Refusal.FORGED),
        (two, Refusal.ENVELOPE),
    ]
    for payload, reason in cases:
        found = gate.take(payload)
        assert refused(found) is reason
        assert isinstance(found, Refused)
        assert not found.id
    assert refused(gate.take(right, topic=topics.command(SITE, "south"))) is Refusal.ELSEWHERE
    assert gate.orders.accepted == 0


def test_what_somebody_may() -> None:
    """The action and the lane, each as operators.json says."""
    assert isinstance(Gate().take(order(by=WANG)), Accepted)
    for changed in ({"lane": "walk-out"}, {"action": "hold", "seconds": 60}, {"action": "restart", "lane": None}):
        found = Gate().take(order(by=WANG, **changed))
        assert refused(found) is Refusal.NOT_ALLOWED
        assert isinstance(found, Refused)
        assert found.id == "c1"


def test_a_lane_is_not_told_to_who_may_not() -> None:
    """Which lanes there are is no business of somebody who has none of them."""
    found = Gate().take(order(by=WANG, lane="attic"))
    assert refused(found) is Refusal.NOT_ALLOWED


def test_an_operator_of_another_gate() -> None:
    """An operator of the south gate is nobody here."""
    gate = Gate()
    gate.operators = operators(Holder(gates=("south",), key=LI.key))
    assert refused(gate.take(order())) is Refusal.UNKNOWN_KEY


def test_taken_out_of_the_document() -> None:
    """From the moment on that the gate has another document."""
    gate = Gate()
    assert isinstance(gate.take(order()), Accepted)
    gate.operators = operators(WANG)
    assert refused(gate.take(order(id="c2"))) is Refusal.UNKNOWN_KEY


any_clock = pytest.mark.parametrize(
    ("clock", "wall"),
    [(ClockQuality.SYNCED, NOW), (ClockQuality.UNSET, datetime.fromisoformat("1970-01-01T00:00:05+00:00"))],
    ids=["synced", "1970"],
)
"""With a clock that is right, and one that stands at 1970."""


@any_clock
def test_never_twice(clock: ClockQuality, wall: datetime) -> None:
    """The same bytes again, at any time: never taken, and not answered as long as it could have been."""
    gate = Gate(clock=clock)
    gate.wall = wall
    assert isinstance(gate.take(order()), Accepted)
    for _ in range(3):
        found = gate.take(order())
        assert refused(found) is Refusal.REPLAYED
        assert isinstance(found, Refused)
        assert not found.id
        gate.later(20)
    gate.later(1)
    assert refused(gate.take(order())) is Refusal.EXPIRED
    gate.later(86_400)
    assert refused(gate.take(order())) is Refusal.EXPIRED


@any_clock
def test_no_second_chance(clock: ClockQuality, wall: datetime) -> None:
    """What was refused is not taken later, though what was wrong then no longer is."""
    gate = Gate(clock=clock)
    gate.wall = wall
    early = order(until=1000.0 + LIFE_MAX_S + 50)
    assert refused(gate.take(early)) is Refusal.LIFE
    gate.later(59)
    assert refused(gate.take(early)) is Refusal.REPLAYED
    assert refused(gate.take(order(by=WANG, id="c2", lane="car-in", until=1100.0))) is Refusal.NOT_ALLOWED
    gate.operators = operators(LI, replace(WANG, lanes=("*",)))
    assert refused(gate.take(order(by=WANG, id="c2", lane="car-in", until=1100.0))) is Refusal.REPLAYED


@any_clock
def test_held_back_on_the_way(clock: ClockQuality, wall: datetime) -> None:
    """Whoever delivers a command too late delivers nothing: the gate's own monotonic clock says so, whatever year."""
    gate = Gate(clock=clock)
    gate.wall = wall
    gate.mono += 60.1
    assert refused(gate.take(order())) is Refusal.EXPIRED


@any_clock
def test_across_a_restart(clock: ClockQuality, wall: datetime) -> None:
    """A new session takes nothing of the one before, taken or not, and answers each once."""
    before, after = Gate(clock=clock), Gate(session="s2", clock=clock)
    before.wall = after.wall = wall
    assert isinstance(before.take(order()), Accepted)
    answered = [after.take(order()), after.take(order()), after.take(order(id="c2"))]
    assert [refused(found) for found in answered] == [Refusal.SESSION] * 3
    assert [found.id for found in answered if isinstance(found, Refused)] == ["c1", "", "c2"]


def test_on_a_replaced_disk() -> None:
    """A box from an image of the other: what it remembers is the same, its session is not."""
    assert refused(Gate(session="s3").take(order())) is Refusal.SESSION


def test_a_sister_site_with_a_gate_of_the_same_name() -> None:
    """The same operator may have a key at both: what is said to one gate is not said to the other."""
    sister = Gate(site="sister")
    assert refused(sister.take(order())) is Refusal.ELSEWHERE
    assert refused(sister.take(order(), topic=TOPIC)) is Refusal.ELSEWHERE
    assert isinstance(sister.take(order(site="sister")), Accepted)


def test_a_wall_clock_counts_only_while_it_is_right() -> None:
    """In holdover and unset nothing is expired or in the future by it."""
    for clock in (ClockQuality.HOLDOVER, ClockQuality.UNSET):
        gate = Gate(clock=clock)
        gate.wall = NOW + timedelta(days=9000)
        assert isinstance(gate.take(order()), Accepted)


def test_two_operators_may_have_the_same_id() -> None:
    """An id that somebody else has used is not taken by it."""
    gate = Gate()
    assert isinstance(gate.take(order(by=WANG)), Accepted)
    assert isinstance(gate.take(order(by=LI)), Accepted)


def test_told_once_not_a_thousand_times() -> None:
    """A thousand forged ones are counted, and one is told of; each mistake of an operator is told."""
    gate = Gate()
    stranger = Holder("stranger")
    found = [gate.take(order(by=stranger, id=f"c{number}")) for number in range(1000)]
    assert sum(isinstance(one, Refused) and one.news for one in found) == 1
    assert gate.orders.refused[Refusal.UNKNOWN_KEY] == 1000
    found = [gate.take(order(lane="attic", id=f"c{number}")) for number in range(10)]
    assert all(isinstance(one, Refused) and one.news for one in found)


def test_memory_is_bounded() -> None:
    """Too many at a time are refused, for that operator only; when they have died there is room again."""
    gate = Gate()
    for number in range(IDS_MAX):
        assert isinstance(gate.take(order(id=f"c{number}")), Accepted)
    assert refused(gate.take(order(id="more"))) is Refusal.BUSY
    assert isinstance(gate.take(order(by=WANG)), Accepted)
    for number in range(LATE_MAX + 10):
        gate.take(order(session="s0", id=f"s{number}"))
    gate.later(61)
    times: dict[str, Any] = {
        "issued": gate.wall.isoformat(),
        "expires": (gate.wall + timedelta(seconds=60)).isoformat(),
    }
    assert isinstance(gate.take(order(id="more", until=gate.mono + 60, **times)), Accepted)


@pytest.mark.parametrize("text", ["[]", '{"operators":{}}', '{"operators":[{"name":"x","key":"00","may":[]}]}'])
def test_a_document_that_is_wrong(text: str) -> None:
    """It is wrong as a whole; one that names nobody lets nobody."""
    assert at_gate(b"{}", "north") == {}
    with pytest.raises(MessageError):
        at_gate(text.encode(), "north")


def test_a_newer_document() -> None:
    """Actions and members that are not known yet change nothing for the others; a name twice is wrong."""
    values = json.loads(document(LI))
    values["operators"][0] |= {"since": "2027", "may": ["levitate", "open"]}
    assert "open" in at_gate(json.dumps(values).encode(), "north")[dsse.keyid(LI.key)].may
    values["operators"] *= 2
    with pytest.raises(MessageError):
        at_gate(json.dumps(values).encode(), "north")


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes(payload: bytes, retained: bool) -> None:  # noqa: FBT001 - a parameter
    """Whatever arrives is refused, and nothing breaks."""
    assert isinstance(Gate().take(payload, retained=retained), Refused)


@given(
    st.dictionaries(
        st.sampled_from([*wish("open"), "seconds", "after"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    )
)
def test_any_command(changed: dict[str, Any]) -> None:
    """Whatever an operator signs is judged, and nothing breaks."""
    gate = Gate()
    values = {**wish("open"), **changed}
    found = gate.take(LI.envelope(values))
    if isinstance(found, Accepted):
        assert found.command.session == "s1"
        assert found.command.until >= gate.mono
