"""The decision: what it may never do, shown on any input; each reason, shown once."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.decide import CARD_AGE_S, Decision, Direction, LaneKind, LaneRule, Last, Now, Policy, decide
from gated.schedule import ALWAYS, Schedule, parse
from protocol.credential import Credential
from protocol.event import ClockQuality, Reason, Verdict
from protocol.sighting import Sighting, SignedCard
from protocol.whitelist import SUSPENSION_S, Entry

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday
T = NOON.timestamp()
TAG = Credential("epc:E28011700000020F12340001")
PLATE = Credential("plate:沪A12345")
EID = Credential("eid:0123456789ABCDEF")
HARD = {Reason.UNKNOWN, Reason.PASS, Reason.SUSPENDED, Reason.CLONE, Reason.STALE}
SCHEDULES = {"workdays": parse(["Mon-Fri 06:00-22:00"]), "nights": parse(["daily 22:00-06:00"])}
POLICY = Policy(SCHEDULES, registrars=frozenset({"k1"}), as_of=T - 3600)


def rule(kind: LaneKind = LaneKind.PERSON, direction: Direction = Direction.IN, name: str = "here") -> LaneRule:
    """A lane of default times."""
    return LaneRule(name, kind, direction)


def now(clock: ClockQuality = ClockQuality.SYNCED, hours: datetime = NOON, validity: float = T) -> Now:
    """A moment; monotonic time is 1000 s."""
    return Now(1000.0, validity, validity, hours, clock)


times = st.one_of(st.none(), st.sampled_from([T - 10, T, T + 10, T - SUSPENSION_S - 1]))
entries = st.builds(
    Entry,
    credential=st.just(TAG),
    holder=st.just("h"),
    begins=times,
    ends=times,
    when=st.sampled_from(["always", "workdays", "nights", "nobody knows"]),
    lanes=st.sampled_from([("*",), ("here",), ("there",), ()]),
    tid=st.sampled_from([None, "A", "B"]),
    partner=st.sampled_from([None, PLATE]),
    since=times,
    signed=times,
    gone=st.booleans(),
)
sightings = st.builds(
    Sighting,
    reader=st.just("here/0"),
    credential=st.sampled_from([TAG, EID, Credential("pass:k3J9")]),
    at=st.sampled_from([1000.0, 998.0, 997.9, 900.0]),
    also=st.sampled_from([(), (PLATE,)]),
    tid=st.sampled_from([None, "A", "B"]),
    card=st.one_of(
        st.none(),
        st.builds(SignedCard, key=st.sampled_from(["k1", "k2"]), issued=st.sampled_from([T - 7200, T - 60, T + 60])),
    ),
)
lasts = st.one_of(
    st.none(),
    st.builds(
        Last,
        lane=st.sampled_from(["here", "there"]),
        direction=st.sampled_from(Direction),
        at=st.sampled_from([1000.0, 941.0, 940.0, 0.0]),
        through=st.booleans(),
    ),
)
rules = st.builds(rule, st.sampled_from(LaneKind), st.sampled_from(Direction))
nows = st.builds(
    now,
    st.sampled_from(ClockQuality),
    st.sampled_from([NOON, NOON.replace(hour=23), NOON.replace(hour=5, day=29)]),
    st.sampled_from([T, T - 10, T + 10]),
)


def in_force(sighting: Sighting, lane: LaneRule, entry: Entry, moment: Now) -> bool:
    """Whether the entry is in force here and now, worked out apart from the code under test."""
    suspended = entry.since is not None and moment.validity >= entry.since
    if suspended and entry.signed is not None and moment.floor - entry.signed >= SUSPENSION_S:
        suspended = False
    dated = (entry.begins is None or entry.begins <= moment.validity) and (
        entry.ends is None or moment.validity < entry.ends
    )
    hours = entry.when == "always" or (
        moment.clock is not ClockQuality.UNSET
        and entry.when in SCHEDULES
        and (6 <= moment.hours.hour < 22 and moment.hours.weekday() < 5) == (entry.when == "workdays")
        and (entry.when == "workdays" or not 6 <= moment.hours.hour < 22)
    )
    partner = entry.partner is None or entry.partner in sighting.also
    chip = entry.tid is None or sighting.tid in (None, entry.tid)
    place = "*" in entry.lanes or lane.name in entry.lanes
    return not entry.gone and not suspended and dated and hours and partner and chip and place


@given(sightings, rules, st.one_of(st.none(), entries), lasts, nows)
def test_never_admits_what_is_not_in_force(
    sighting: Sighting, lane: LaneRule, entry: Entry | None, last: Last | None, moment: Now
) -> None:
    """Total, the same each time, and nobody gets in whose credential is not in force, `card` apart."""
    decision = decide(sighting, lane, entry, last, POLICY, moment)
    assert decision == decide(sighting, lane, entry, last, POLICY, moment)
    if decision.reason is Reason.LISTED:
        assert entry is not None
        assert in_force(sighting, lane, entry, moment)
    elif decision.reason is Reason.CARD:
        assert entry is None
        assert sighting.credential.startswith("eid:")
        assert sighting.card == SignedCard("k1", T - 60)
    elif decision.reason is Reason.EXIT:
        assert lane.direction is Direction.OUT
        assert decision.would not in {None, Reason.LISTED, Reason.CARD, Reason.EXIT}
    else:
        assert decision.verdict is Verdict.FLAG
        assert decision.would is None


@given(sightings, rules, st.one_of(st.none(), entries), lasts, nows)
def test_people_can_always_leave(
    sighting: Sighting, lane: LaneRule, entry: Entry | None, last: Last | None, moment: Now
) -> None:
    """A person's exit admits whatever is read, a vehicle's exit all but the hard reasons."""
    if lane.direction is Direction.IN:
        return
    decision = decide(sighting, lane, entry, last, POLICY, moment)
    if lane.kind is LaneKind.PERSON:
        assert decision.admits
    else:
        assert decision.admits is (decision.reason not in HARD)


@given(sightings, rules, entries, lasts, nows, st.text(max_size=9), st.one_of(st.none(), st.floats(-90, 0)))
def test_nothing_but_credential_and_entry_counts(
    sighting: Sighting, lane: LaneRule, entry: Entry, last: Last | None, moment: Now, other: str, signal: float | None
) -> None:
    """Who holds it, which reader read it and how strong it was change nothing."""
    stranger = Entry(**{**{name: getattr(entry, name) for name in Entry.__slots__}, "holder": other})
    elsewhere = Sighting(other, sighting.credential, sighting.at, sighting.also, signal, sighting.tid, sighting.card)
    assert decide(sighting, lane, entry, last, POLICY, moment) == decide(
        elsewhere, lane, stranger, last, POLICY, moment
    )


SEEN = Sighting("here/0", TAG, 1000.0)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry(TAG, "h"), Reason.LISTED),
        (None, Reason.UNKNOWN),
        (Entry(TAG, "h", gone=True), Reason.UNKNOWN),
        (Entry(TAG, "h", since=T), Reason.SUSPENDED),
        (Entry(TAG, "h", since=T + 1), Reason.LISTED),
        (Entry(TAG, "h", since=T - SUSPENSION_S - 9, signed=T - SUSPENSION_S), Reason.LISTED),
        (Entry(TAG, "h", since=T - SUSPENSION_S - 9, signed=T - SUSPENSION_S + 1), Reason.SUSPENDED),
        (Entry(TAG, "h", begins=T), Reason.LISTED),
        (Entry(TAG, "h", begins=T + 1), Reason.NOT_YET),
        (Entry(TAG, "h", ends=T), Reason.EXPIRED),
        (Entry(TAG, "h", ends=T + 1), Reason.LISTED),
        (Entry(TAG, "h", lanes=("there",)), Reason.WRONG_LANE),
        (Entry(TAG, "h", when="nights"), Reason.SCHEDULE),
        (Entry(TAG, "h", when="no such hours"), Reason.SCHEDULE),
        (Entry(TAG, "h", when="workdays"), Reason.LISTED),
        (Entry(TAG, "h", partner=PLATE), Reason.CLONE),
        (Entry(TAG, "h", ends=T - 9, partner=PLATE), Reason.CLONE),
    ],
)
def test_reasons(entry: Entry | None, reason: Reason) -> None:
    """Each reason, at its boundary; a hard one hides a soft one."""
    assert decide(SEEN, rule(), entry, None, POLICY, now()).reason is reason


def test_stale() -> None:
    """Two seconds old is not stale, more is; it hides what is soft."""
    assert decide(Sighting("r", TAG, 998.0), rule(), Entry(TAG, "h"), None, POLICY, now()).admits
    old = decide(Sighting("r", TAG, 997.9), rule(), Entry(TAG, "h", ends=T - 1), None, POLICY, now())
    assert old == Decision(Verdict.FLAG, Reason.STALE)


def test_a_clock_that_was_never_set() -> None:
    """Entries with hours are flagged `clock`, the others admitted as always."""
    unset = now(ClockQuality.UNSET)
    assert decide(SEEN, rule(), Entry(TAG, "h", when="workdays"), None, POLICY, unset).reason is Reason.CLOCK
    assert decide(SEEN, rule(), Entry(TAG, "h"), None, POLICY, unset).admits


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (Last("there", Direction.IN, 999.0), Reason.REPEAT),
        (Last("there", Direction.OUT, 999.0), Reason.LISTED),
        (Last("there", Direction.IN, 940.0), Reason.LISTED),
        (Last("here", Direction.IN, 999.0), Reason.LISTED),
        (Last("here", Direction.IN, 999.0, through=True), Reason.REPEAT),
    ],
)
def test_repeat(last: Last, reason: Reason) -> None:
    """Another lane of the same direction within the time; the same lane only if somebody went through."""
    assert decide(SEEN, rule(), Entry(TAG, "h"), last, POLICY, now()).reason is reason


@pytest.mark.parametrize(
    ("issued", "key", "reason"),
    [
        (T - 60, "k1", Reason.CARD),
        (T - 60, "k2", Reason.UNKNOWN),
        (T - 3600, "k1", Reason.UNKNOWN),
        (T + 1, "k1", Reason.UNKNOWN),
    ],
)
def test_a_card_newer_than_the_list(issued: float, key: str, reason: Reason) -> None:
    """Only by a registrar's key, issued after the list was made and not in the future."""
    seen = Sighting("r", EID, 1000.0, card=SignedCard(key, issued))
    assert decide(seen, rule(), None, None, POLICY, now()).reason is reason
    assert decide(seen, rule(), Entry(EID, "h", gone=True), None, POLICY, now()).reason is Reason.UNKNOWN


def test_a_card_too_old() -> None:
    """Seven days after its issue it needs an entry."""
    policy = Policy({}, registrars=frozenset({"k1"}), as_of=T - 2 * CARD_AGE_S)
    for issued, reason in ((T - CARD_AGE_S, Reason.CARD), (T - CARD_AGE_S - 1, Reason.UNKNOWN)):
        seen = Sighting("r", EID, 1000.0, card=SignedCard("k1", issued))
        assert decide(seen, rule(), None, None, policy, now()).reason is reason


def test_a_visitors_pass_waits_for_the_guard() -> None:
    """A valid pass is flagged `pass`; one that nobody signed is unknown."""
    credential = Credential("pass:k3J9")
    signed = Sighting("r", credential, 1000.0, card=SignedCard("k1", T - 60))
    assert decide(signed, rule(), None, None, POLICY, now()) == Decision(Verdict.FLAG, Reason.PASS)
    assert decide(Sighting("r", credential, 1000.0), rule(), None, None, POLICY, now()).reason is Reason.UNKNOWN


def test_holidays() -> None:
    """A holiday has the hours of its own line, and none where that says closed."""
    schedules: dict[str, Schedule] = {"workdays": parse(["Mon-Fri 06:00-22:00", "holidays closed"]), "all": ALWAYS}
    policy = Policy(schedules, holidays=frozenset({date(2026, 11, 25)}))
    assert decide(SEEN, rule(), Entry(TAG, "h", when="workdays"), None, policy, now()).reason is Reason.SCHEDULE
    assert decide(SEEN, rule(), Entry(TAG, "h", when="all"), None, policy, now()).admits
