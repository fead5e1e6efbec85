"""The decision: what it may never do, shown on any input; each reason, shown once."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.lanes.decide import CARD_AGE_S, Decision, Direction, LaneKind, LaneRule, Last, Now, Policy, decide, ruling
from gated.lanes.schedule import ALWAYS, Schedule, parse
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


def now(
    clock: ClockQuality = ClockQuality.SYNCED, hours: datetime = NOON, validity: float = T, floor: float | None = None
) -> Now:
    """A moment; monotonic time is 1000 s."""
    return Now(1000.0, validity, validity if floor is None else floor, hours, clock)


times = st.one_of(st.none(), st.sampled_from([T - 10, T, T + 10, T - SUSPENSION_S - 1]))
entries = st.builds(
    Entry,
    credential=st.sampled_from([TAG, EID]),
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
        st.builds(
            SignedCard,
            key=st.sampled_from(["k1", "k2"]),
            issued=st.sampled_from([T - 7200, T - 60, T + 60]),
            begins=times,
            ends=times,
            copied=st.booleans(),
        ),
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
    st.sampled_from([T, T - 10, T + 10, T - SUSPENSION_S, 0.0]),
)
everything: list[st.SearchStrategy[Any]] = [sightings, rules, st.none() | entries, lasts, nows]


def in_force(sighting: Sighting, lane: LaneRule, entry: Entry, moment: Now) -> bool:
    """Whether the entry is in force here and now, worked out apart from the code under test."""
    suspended = entry.since is not None and (moment.validity >= entry.since or moment.clock is ClockQuality.UNSET)
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
    if sighting.card is not None:
        chip = chip and not sighting.card.copied
    if entry.credential == EID:
        chip = chip and sighting.card is not None and sighting.credential == EID
    place = "*" in entry.lanes or lane.name in entry.lanes
    return not entry.gone and not suspended and dated and hours and partner and chip and place


def newer_than_the_list(card: SignedCard | None, moment: Now) -> bool:
    """Whether the card may stand for an entry, worked out apart from the code under test."""
    if card is None or card.copied or card.key != "k1" or moment.clock is ClockQuality.UNSET:
        return False
    begun = card.begins is None or card.begins <= moment.validity
    over = card.ends is not None and card.ends <= moment.validity
    return begun and not over and T - 3600 < card.issued <= moment.validity <= card.issued + CARD_AGE_S


@given(*everything)
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
        assert newer_than_the_list(sighting.card, moment)
    elif decision.reason is Reason.EXIT:
        assert lane.direction is Direction.OUT
        assert decision.would not in {None, Reason.LISTED, Reason.CARD, Reason.EXIT}
    else:
        assert decision.verdict is Verdict.FLAG
        assert decision.would is None


@given(*everything)
def test_admits_what_is_in_force(
    sighting: Sighting, lane: LaneRule, entry: Entry | None, last: Last | None, moment: Now
) -> None:
    """Nobody is flagged for nothing: in force, fresh and not let through elsewhere just now is `listed`."""
    repeats = last is not None and last.direction is lane.direction and last.at > 940.0
    repeats = repeats and last is not None and (last.lane != lane.name or last.through)
    if entry is None or not in_force(sighting, lane, entry, moment) or sighting.at < 998.0 or repeats:
        return
    assert decide(sighting, lane, entry, last, POLICY, moment) == Decision(Verdict.ADMIT, Reason.LISTED)


@given(*everything)
def test_an_exit_says_what_an_entrance_would(
    sighting: Sighting, lane: LaneRule, entry: Entry | None, last: Last | None, moment: Now
) -> None:
    """`would` is the reason for which it would be flagged on the way in: nothing but the direction differs."""
    if lane.direction is Direction.IN:
        return
    turned = {Direction.IN: Direction.OUT, Direction.OUT: Direction.IN}
    last_in = last and replace(last, direction=turned[last.direction])
    entering = decide(sighting, replace(lane, direction=Direction.IN), entry, last_in, POLICY, moment)
    leaving = decide(sighting, lane, entry, last, POLICY, moment)
    if leaving.reason is Reason.EXIT:
        assert entering == Decision(Verdict.FLAG, leaving.would or Reason.LISTED)
    else:
        assert leaving == entering


wild = st.one_of(st.none(), st.floats())
wild_text = st.text(max_size=5)


@given(
    st.builds(Sighting, wild_text, wild_text, st.floats(), st.tuples(wild_text), wild, st.none() | wild_text),
    st.builds(LaneRule, wild_text, st.sampled_from(LaneKind), st.sampled_from(Direction), *[st.floats()] * 5),
    st.none()
    | st.builds(Entry, wild_text, wild_text, wild, wild, wild_text, st.tuples(wild_text), *[st.none() | wild_text] * 2),
    st.none() | st.builds(Last, wild_text, st.sampled_from(Direction), st.floats()),
    st.builds(
        Now,
        st.floats(),
        st.floats(),
        st.floats(),
        st.datetimes(min_value=datetime(1, 1, 2)),  # noqa: DTZ001 - the day before year 1 is no date
        st.sampled_from(ClockQuality),
    ),
)
def test_total(sighting: Sighting, lane: LaneRule, entry: Entry | None, last: Last | None, moment: Now) -> None:
    """Any numbers, any words: an answer, and people can leave."""
    decision = decide(sighting, lane, entry, last, POLICY, moment)
    assert decision.admits or (lane.kind, lane.direction) != (LaneKind.PERSON, Direction.OUT)


@given(*everything)
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
        assert decision.admits is ((decision.would or decision.reason) not in HARD)


@given(sightings, rules, entries, lasts, nows, st.text(max_size=9), st.one_of(st.none(), st.floats(-90, 0)))
def test_nothing_but_credential_and_entry_counts(
    sighting: Sighting, lane: LaneRule, entry: Entry, last: Last | None, moment: Now, other: str, signal: float | None
) -> None:
    """Who holds it, which reader read it and how strong it was change nothing."""
    stranger = replace(entry, holder=other)
    elsewhere = replace(sighting, reader=other, signal=signal)
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


def test_a_clock_in_1970_lifts_no_suspension() -> None:
    """Who is suspended stays so where the clock cannot tell that the suspension has begun."""
    entry = Entry(TAG, "h", since=T, signed=T)
    unset = now(ClockQuality.UNSET, validity=0.0, floor=0.0)
    assert decide(SEEN, rule(), entry, None, POLICY, unset).reason is Reason.SUSPENDED
    known = now(ClockQuality.HOLDOVER, validity=T - 1, floor=T - 1)
    assert decide(SEEN, rule(), entry, None, POLICY, known).reason is Reason.LISTED


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


def newer(**more: Any) -> Sighting:
    """A card that a registrar has issued since the list."""
    return Sighting("r", EID, 1000.0, card=replace(SignedCard("k1", T - 60), **more))


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (newer(), Reason.CARD),
        (newer(begins=T, ends=T + 1), Reason.CARD),
        (newer(begins=T + 1), Reason.NOT_YET),
        (newer(ends=T), Reason.EXPIRED),
        (newer(copied=True), Reason.CLONE),
        (newer(copied=True, ends=T), Reason.CLONE),
        (replace(newer(ends=T), at=997.9), Reason.STALE),
        (replace(newer(), card=None), Reason.UNKNOWN),
        (replace(newer(), credential=TAG), Reason.UNKNOWN),
    ],
)
def test_a_newer_card_that_is_not_in_force(seen: Sighting, reason: Reason) -> None:
    """Its own dates, its own chip; a proof makes no e-ID of a tag."""
    assert decide(seen, rule(), None, None, POLICY, now()).reason is reason
    elsewhere = Last("there", Direction.IN, 999.0)
    repeated = decide(seen, rule(), None, elsewhere, POLICY, now()).reason
    assert repeated is (Reason.REPEAT if reason is Reason.CARD else reason)


def test_a_newer_card_needs_a_clock_and_a_list() -> None:
    """How old it is, a clock that was never set cannot tell; whether it is newer, no list at all cannot."""
    assert decide(newer(), rule(), None, None, POLICY, now(ClockQuality.UNSET)).reason is Reason.CLOCK
    assert decide(newer(), rule(), None, None, replace(POLICY, as_of=None), now()).reason is Reason.UNKNOWN


@pytest.mark.parametrize(
    ("card", "entry", "reason"),
    [
        (SignedCard("k2", 0.0, ends=1.0), Entry(EID, "h"), Reason.LISTED),
        (SignedCard("k1", T - 60), Entry(EID, "h", since=T), Reason.SUSPENDED),
        (SignedCard("k1", T - 60), Entry(EID, "h", ends=T), Reason.EXPIRED),
        (SignedCard("k1", T - 60), Entry(EID, "", gone=True), Reason.UNKNOWN),
        (SignedCard("k1", T - 60), Entry(EID, "", since=T, signed=T, gone=True), Reason.UNKNOWN),
        (SignedCard("k1", T - 60, copied=True), Entry(EID, "h"), Reason.CLONE),
        (None, Entry(EID, "h"), Reason.CLONE),
    ],
)
def test_a_card_that_is_listed(card: SignedCard | None, entry: Entry, reason: Reason) -> None:
    """The list counts and not the card's dates; but the card must be proved, and on its own chip."""
    assert decide(Sighting("r", EID, 1000.0, card=card), rule(), entry, None, POLICY, now()).reason is reason


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


HARD_ENTRIES = {
    Reason.UNKNOWN: Entry(TAG, "h", gone=True),
    Reason.SUSPENDED: Entry(TAG, "h", since=T),
    Reason.CLONE: Entry(TAG, "h", tid="A"),
}
SOFT: dict[Reason, dict[str, Any]] = {
    Reason.NOT_YET: {"begins": T + 1},
    Reason.EXPIRED: {"ends": T},
    Reason.WRONG_LANE: {"lanes": ("there",)},
    Reason.SCHEDULE: {"when": "nights"},
}
ELSEWHERE = Last("there", Direction.IN, 999.0)


@pytest.mark.parametrize("soft", SOFT)
@pytest.mark.parametrize("hard", HARD_ENTRIES)
def test_a_hard_reason_hides_a_soft_one(hard: Reason, soft: Reason) -> None:
    """A car with a suspended card cannot leave because the card has expired as well."""
    seen = replace(SEEN, tid="B")
    entry = replace(HARD_ENTRIES[hard], **SOFT[soft])
    for direction in Direction:
        decision = decide(seen, rule(LaneKind.VEHICLE, direction), entry, ELSEWHERE, POLICY, now())
        assert decision == Decision(Verdict.FLAG, hard)


def test_the_order_of_reasons() -> None:
    """With everything wrong the reasons come one by one, in the order that the decision names."""
    wrong: dict[str, Any] = {"since": T, "partner": PLATE, "ends": T, "lanes": ("there",), "when": "nights"}
    right: dict[str, Any] = {field.name: field.default for field in fields(Entry) if field.name in wrong}
    said = []
    for key in wrong:
        said.append(decide(SEEN, rule(), Entry(TAG, "h", **wrong), ELSEWHERE, POLICY, now()).reason)
        wrong[key] = right[key]
    said.append(decide(SEEN, rule(), Entry(TAG, "h", **wrong), ELSEWHERE, POLICY, now()).reason)
    assert said == [
        *(Reason.SUSPENDED, Reason.CLONE, Reason.EXPIRED, Reason.WRONG_LANE, Reason.SCHEDULE, Reason.REPEAT)
    ]


@pytest.mark.parametrize("soft", [*SOFT, Reason.CLOCK, Reason.REPEAT])
def test_a_vehicle_leaves_in_spite_of_what_is_soft(soft: Reason) -> None:
    """At its exit admitted as `exit`, with what it would have been; at the entrance flagged."""
    entry = Entry(TAG, "h", **SOFT.get(soft, {"when": "workdays"} if soft is Reason.CLOCK else {}))
    moment = now(ClockQuality.UNSET if soft is Reason.CLOCK else ClockQuality.SYNCED)
    for direction, said in (
        (Direction.OUT, Decision(Verdict.ADMIT, Reason.EXIT, soft)),
        (Direction.IN, Decision(Verdict.FLAG, soft)),
    ):
        last = Last("there", direction, 999.0) if soft is Reason.REPEAT else None
        assert decide(SEEN, rule(LaneKind.VEHICLE, direction), entry, last, POLICY, moment) == said


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (ClockQuality.UNSET, Reason.CLOCK),
        (ClockQuality.HOLDOVER, Reason.LISTED),
        (ClockQuality.SYNCED, Reason.LISTED),
    ],
)
def test_hours_need_a_clock(quality: ClockQuality, reason: Reason) -> None:
    """Only a clock that was never set in this boot counts against hours, whatever it shows."""
    entry = Entry(TAG, "h", when="workdays")
    assert decide(SEEN, rule(), entry, None, POLICY, now(quality)).reason is reason
    shut = decide(SEEN, rule(), entry, None, POLICY, now(quality, NOON.replace(hour=23)))
    assert shut.reason is (Reason.CLOCK if quality is ClockQuality.UNSET else Reason.SCHEDULE)


def test_a_suspension_lapses_by_the_floor() -> None:
    """A wall clock that is ahead lets nobody in: only time that has proved itself ends a suspension."""
    entry = Entry(TAG, "h", since=T, signed=T)
    ahead = now(validity=T + 10 * SUSPENSION_S, floor=T + SUSPENSION_S - 1)
    assert decide(SEEN, rule(), entry, None, POLICY, ahead).reason is Reason.SUSPENDED
    proved = now(validity=T + 10 * SUSPENSION_S, floor=T + SUSPENSION_S)
    assert decide(SEEN, rule(), entry, None, POLICY, proved).reason is Reason.LISTED
    signers = Entry(TAG, "h", since=T)
    assert decide(SEEN, rule(), signers, None, POLICY, proved).reason is Reason.SUSPENDED


def test_dates_by_validity_hours_by_their_own_time() -> None:
    """The floor judges no date, and validity time no hour of the day."""
    entry = Entry(TAG, "h", begins=T, ends=T + 60, when="workdays")
    assert decide(SEEN, rule(), entry, None, POLICY, now(floor=0.0)).admits
    assert decide(SEEN, rule(), replace(entry, ends=T), None, POLICY, now(floor=0.0)).reason is Reason.EXPIRED
    night = now(hours=NOON.replace(hour=23))
    assert decide(SEEN, rule(), entry, None, POLICY, night).reason is Reason.SCHEDULE


@pytest.mark.parametrize(("read", "reason"), [(None, Reason.LISTED), ("A", Reason.LISTED), ("B", Reason.CLONE)])
def test_the_chips_own_number(read: str | None, reason: Reason) -> None:
    """Another chip with this EPC is a clone; a reader that reads no chip's number has to do without."""
    entry = Entry(TAG, "h", tid="A")
    assert decide(replace(SEEN, tid=read), rule(), entry, None, POLICY, now()).reason is reason


def test_a_card_is_no_way_round_the_rest() -> None:
    """A signed card that is stale, or let in elsewhere just now, is flagged like any other."""
    seen = Sighting("r", EID, 1000.0, card=SignedCard("k1", T - 60))
    assert decide(replace(seen, at=997.9), rule(), None, None, POLICY, now()).reason is Reason.STALE
    assert decide(seen, rule(), None, ELSEWHERE, POLICY, now()).reason is Reason.REPEAT
    assert decide(seen, rule(), None, None, replace(POLICY, as_of=None), now()).reason is Reason.UNKNOWN


OBU = Credential("obu:63B6A1D2")
BOTH = Sighting("here/0", OBU, 1000.0, (PLATE,))


def judged(sighting: Sighting, *entries: Entry | None, moment: Now | None = None, **lane: Any) -> tuple[Reason, Any]:
    """The reason, and whose line ruled; the entries are those of the credential, then of each of `also`."""
    moment = moment or now()
    entry = ruling(sighting, entries, POLICY, moment)
    decision = decide(sighting, rule(**lane), entry, None, POLICY, moment)
    return decision.would or decision.reason, entry and entry.credential


@pytest.mark.parametrize(
    ("obu", "plate", "reason", "rules"),
    [
        (None, None, Reason.UNKNOWN, None),
        (None, Entry(PLATE, "h"), Reason.LISTED, PLATE),
        (None, Entry(PLATE, "h", ends=T), Reason.EXPIRED, PLATE),
        (None, Entry(PLATE, "h", lanes=("there",)), Reason.WRONG_LANE, PLATE),
        (None, Entry(PLATE, "h", since=T), Reason.SUSPENDED, PLATE),
        (None, Entry(PLATE, "h", partner=OBU), Reason.LISTED, PLATE),
        (None, Entry(PLATE, "h", partner=Credential("obu:63B6A1D3")), Reason.CLONE, PLATE),
        (Entry(OBU, "h"), None, Reason.LISTED, OBU),
        (Entry(OBU, "h"), Entry(PLATE, "h", ends=T), Reason.LISTED, OBU),
        (Entry(OBU, "h", ends=T), Entry(PLATE, "h"), Reason.EXPIRED, OBU),
        (Entry(OBU, "h", partner=Credential("plate:沪B12345")), Entry(PLATE, "h"), Reason.CLONE, OBU),
        (Entry(OBU, "h", since=T), Entry(PLATE, "h"), Reason.SUSPENDED, OBU),
        (Entry(OBU, "", gone=True), Entry(PLATE, "h"), Reason.UNKNOWN, OBU),
        (Entry(OBU, "h"), Entry(PLATE, "h", since=T), Reason.SUSPENDED, PLATE),
        (Entry(OBU, "h", partner=PLATE), Entry(PLATE, "", gone=True), Reason.UNKNOWN, PLATE),
        (Entry(OBU, "h", since=T + 1), Entry(PLATE, "h", since=T + 1), Reason.LISTED, OBU),
        (Entry(OBU, "h"), Entry(PLATE, "h", since=T - SUSPENSION_S, signed=T - SUSPENSION_S), Reason.LISTED, OBU),
    ],
)
def test_one_thing_read_two_ways(obu: Entry | None, plate: Entry | None, reason: Reason, rules: Any) -> None:
    """What was read first rules, else the other; what takes either out of force comes before all."""
    assert judged(BOTH, obu, plate) == (reason, rules)


@given(st.none() | entries, st.none() | entries, nows, rules)
def test_nobody_is_let_in_by_one_while_the_other_is_out_of_force(
    obu: Entry | None, plate: Entry | None, moment: Now, lane: LaneRule
) -> None:
    """Whatever the lines say: where one is gone or suspended, the other opens no entrance."""
    obu, plate = obu and replace(obu, credential=OBU), plate and replace(plate, credential=PLATE)
    entrance = replace(lane, direction=Direction.IN)
    entry = ruling(BOTH, [obu, plate], POLICY, moment)
    decision = decide(BOTH, entrance, entry, None, POLICY, moment)
    for one in (obu, plate):
        alone = one and decide(BOTH, entrance, one, None, POLICY, moment).reason
        assert not decision.admits or alone not in {Reason.UNKNOWN, Reason.SUSPENDED}
    assert entry in {obu, plate}
    assert decision.admits is False or obu is not None or plate is not None


def test_the_first_of_several_that_is_listed_rules() -> None:
    """In the order in which they were read; but any of them may be out of force."""
    third = Credential("plate:沪C12345")
    sighting = replace(BOTH, also=(PLATE, third))
    assert judged(sighting, None, Entry(PLATE, "h", ends=T), Entry(third, "h")) == (Reason.EXPIRED, PLATE)
    assert judged(sighting, None, None, Entry(third, "h")) == (Reason.LISTED, third)
    assert judged(sighting, Entry(OBU, "h"), None, Entry(third, "h", since=T)) == (Reason.SUSPENDED, third)


def test_a_card_speaks_before_what_else_was_read() -> None:
    """Newer than the list it rules by itself, its copy included; where it cannot speak, its chip's number may."""
    chip = Credential("uid:04A2B3C4")
    card = SignedCard("k1", T - 60)
    copy = replace(card, copied=True)
    sighting = Sighting("here/0", EID, 1000.0, (chip,), card=card)
    assert judged(sighting, None, Entry(chip, "h", ends=T)) == (Reason.CARD, None)
    assert judged(sighting, None, Entry(chip, "h", since=T)) == (Reason.SUSPENDED, chip)
    assert judged(replace(sighting, card=copy), None, Entry(chip, "h")) == (Reason.CLONE, None)
    strange = replace(sighting, card=replace(card, key="k2"))
    assert judged(strange, None, Entry(chip, "h")) == (Reason.LISTED, chip)
    assert judged(replace(strange, card=replace(copy, key="k2")), None, Entry(chip, "h")) == (Reason.CLONE, chip)
    waits = replace(sighting, credential=Credential("pass:k3J9"))
    assert judged(waits, None, Entry(chip, "h")) == (Reason.PASS, None)


def test_an_e_id_that_was_read_beside_something_else_has_no_proof() -> None:
    """The proof is of what was read first."""
    sighting = Sighting("here/0", TAG, 1000.0, (EID,), card=SignedCard("k1", T - 60))
    assert judged(sighting, None, Entry(EID, "h")) == (Reason.CLONE, EID)
