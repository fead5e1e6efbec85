"""Lanes: hands-free people and one vehicle at a time, on a clock that the test turns."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.decide import Direction, LaneKind, LaneRule, Last, Now, Policy, decide
from gated.lane import Act, Lane
from gated.presence import Presences, restored
from protocol.credential import Credential
from protocol.event import ClockQuality, Kind, Verdict
from protocol.sighting import Sighting
from protocol.whitelist import Entry

A, B, C = (Credential(f"epc:E2801170000002{n:010X}") for n in (1, 2, 3))
STRANGER = Credential("epc:E28000000000000000000000")


class Post:
    """Some lanes, a list that can change, and a clock. What a lane wants written is written at once."""

    def __init__(self, *rules: LaneRule) -> None:
        self.mono = 1000.0
        self.listed = {A, B, C}
        self.presences = Presences()
        self.lanes = {rule.name: Lane(rule, self.presences, self._judge) for rule in rules}
        self.acts: list[dict[str, Any]] = []
        self.seq = 0
        self.works = True

    def now(self) -> Now:
        """This moment."""
        when = datetime.fromtimestamp(1_800_000_000 + self.mono, UTC)
        return Now(self.mono, when.timestamp(), when.timestamp(), when, ClockQuality.SYNCED)

    def see(self, lane: str, credential: Credential, *, age: float = 0.0, signal: float | None = None) -> list[str]:
        """A sighting at this lane; what came of it, in short."""
        sighting = Sighting(f"{lane}/0", credential, self.mono - age, signal=signal)
        return self.write(lane, self.lanes[lane].see(sighting, self.now()))

    def stay(self, lane: str, credential: Credential, seconds: float, every: float = 0.5) -> list[str]:
        """A tag that stays in the field."""
        said: list[str] = []
        for _ in range(int(seconds / every)):
            said += self.see(lane, credential)
            self.wait(every)
        return said

    def wait(self, seconds: float) -> None:
        """Let time pass without looking."""
        self.mono += seconds

    def tick(self, lane: str) -> list[str]:
        """Let the lane look at the time."""
        return self.write(lane, self.lanes[lane].tick(self.now()))

    def passed(self, lane: str) -> list[str]:
        """Somebody rolls over the sensor."""
        return self.write(lane, self.lanes[lane].passed(self.now()))

    def write(self, lane: str, acts: list[Act]) -> list[str]:
        """Write acts down, tell the lane; each as `kind verdict-or-by reason +opens`."""
        said = []
        for act in acts:
            self.seq += 1
            opened = act.opens and (self.works or act.exempt)
            self.acts.append({**act.fields, "kind": act.kind, "seq": self.seq, "opened": opened})
            self.lanes[lane].settled(act, self.seq if self.works else None, opened=opened, now=self.now())
            words = [act.fields.get(key) for key in ("verdict", "reason", "by", "result")]
            said.append(" ".join([act.kind, *(str(word) for word in words if word), *(["+"] if act.opens else [])]))
        return said

    def _judge(self, sighting: Sighting, rule: LaneRule, last: Last | None, now: Now) -> Any:
        entry = Entry(sighting.credential, "h") if sighting.credential in self.listed else None
        return decide(sighting, rule, entry, last, Policy({}), now), {}


def person(name: str = "in", direction: Direction = Direction.IN, **more: Any) -> LaneRule:
    """A lane for people."""
    return LaneRule(name, LaneKind.PERSON, direction, **more)


def vehicle(name: str = "car", direction: Direction = Direction.IN, **more: Any) -> LaneRule:
    """A lane for vehicles with a turn of 10 s."""
    return LaneRule(name, LaneKind.VEHICLE, direction, **more)


ADMIT = "passage admit listed +"
AGAIN = "opened again +"


def test_who_stays_is_one_passage() -> None:
    """An hour in the field is one passage."""
    assert Post(person()).stay("in", A, 3600) == [ADMIT]


def test_who_comes_back_soon_is_the_same_passage_and_is_let_through_again() -> None:
    """Gone longer than `gone` and back within `repeat`: opened, not recorded anew; after that, a new passage."""
    post = Post(person())
    assert post.see("in", A) == [ADMIT]
    post.wait(3.1)
    assert post.see("in", A) == [AGAIN]
    assert post.acts[-1]["of"] == 1
    post.wait(60.1)
    assert post.see("in", A) == [ADMIT]


def test_a_stranger_at_the_edge_of_the_field_all_evening_is_one_flag() -> None:
    """Seen each ten seconds for four hours: one flag, and the guard sees one who waits."""
    post = Post(person())
    assert post.stay("in", STRANGER, 4 * 3600, every=10) == ["passage flag unknown"]
    held = post.lanes["in"].held(post.now())
    assert [(one.credential, one.count) for one in held] == [(STRANGER, 1440)]
    post.wait(31)
    assert post.lanes["in"].held(post.now()) == []


def test_each_of_several_people_has_a_passage() -> None:
    """Three in one field at once."""
    post = Post(person())
    assert [post.see("in", one) for one in (A, B, STRANGER, A, B)] == [
        [ADMIT],
        [ADMIT],
        ["passage flag unknown"],
        [],
        [],
    ]


def test_a_tag_that_two_lanes_see_is_one_passage() -> None:
    """The first lane decides at once, the second is kept quiet until the first has lost it."""
    post = Post(person("one"), person("two"))
    assert post.see("one", A) == [ADMIT]
    assert post.stay("two", A, 2.5) == []
    post.wait(1)
    assert post.see("two", A) == ["passage flag repeat"]


def test_an_exit_opens_for_whom_another_lane_has() -> None:
    """Arbitration settles the record, never keeps people in."""
    post = Post(person("in"), person("out", Direction.OUT))
    post.see("in", A)
    assert post.see("out", A) == ["opened exit +"]
    assert post.acts[-1]["of"] == 1


def test_the_stronger_signal_takes_over_the_record_only() -> None:
    """Seven dB more at the other lane: its passage stands instead of the first, and its barrier does not move."""
    post = Post(person("one"), person("two"))
    post.see("one", A, signal=-60)
    assert post.see("two", A, signal=-55) == []
    assert post.see("two", A, signal=-53) == ["passage admit listed"]
    assert post.acts[-1]["instead"] == 1
    assert post.see("two", A, signal=-53) == []


def test_a_stale_sighting_is_recorded_and_opens_nothing() -> None:
    """Older than two seconds: flagged; the next fresh one opens. A person's exit opens at once."""
    post = Post(person("in"), person("out", Direction.OUT))
    assert post.see("in", A, age=2.5) == ["passage flag stale"]
    post.wait(1.0)
    assert post.see("in", A) == [ADMIT]
    assert post.see("out", B, age=2.5) == ["passage admit exit +"]


def test_a_list_that_changes_lets_in_who_stands_there() -> None:
    """Flagged, then listed: admitted at the next look, a second later at most."""
    post = Post(person())
    post.listed.discard(A)
    assert post.see("in", A) == ["passage flag unknown"]
    post.listed.add(A)
    assert post.stay("in", A, 1.5, every=0.25) == [ADMIT]


def test_vehicles_pass_one_at_a_time() -> None:
    """The second waits while the arm is up, is judged when the first is through, and did not age meanwhile."""
    post = Post(vehicle(senses=True))
    assert post.see("car", A) == [ADMIT]
    assert post.see("car", B) == []
    assert (post.lanes["car"].turn, post.lanes["car"].waiting) == (A, 1)
    post.wait(8)
    assert post.passed("car") == ["passed through", ADMIT]
    assert (post.acts[-2]["of"], post.acts[-1]["credential"]) == (1, B)


def test_a_turn_ends_by_itself() -> None:
    """Without a sensor by time; with one, that nobody went is written down too."""
    for senses, said in ((False, []), (True, ["passed turned-back"])):
        post = Post(vehicle(senses=senses))
        post.see("car", A)
        post.wait(9)
        post.see("car", B)
        post.wait(1)
        assert post.tick("car") == [*said, ADMIT]
        assert post.acts[-1]["credential"] == B


def test_a_flagged_vehicle_takes_no_turn() -> None:
    """When its turn comes it is flagged, and the next one passes."""
    post = Post(vehicle(senses=True))
    for one in (A, STRANGER, B):
        post.see("car", one)
    assert post.passed("car") == ["passed through", "passage flag unknown", ADMIT]


def test_who_waited_and_left_lapses() -> None:
    """Not seen for the lane's time-out: recorded as stale, and the arm does not rise for nobody."""
    post = Post(vehicle(senses=True, timeout=10))
    post.see("car", A)
    post.wait(1)
    post.see("car", B)
    post.wait(8)
    post.see("car", C)
    post.wait(3)
    assert post.tick("car") == ["passage flag stale", "passed turned-back", ADMIT]
    assert post.acts[-1]["credential"] == C


def test_through_twice_the_same_way() -> None:
    """With a sensor, who went through and comes in again is a repeat; who did not go is let through again."""
    post = Post(vehicle(senses=True))
    post.see("car", A)
    post.passed("car")
    post.wait(4)
    assert post.see("car", A) == ["passage flag repeat"]
    post.see("car", B)
    post.wait(11)
    assert post.tick("car") == ["passed turned-back"]
    assert post.see("car", B) == [AGAIN]


def test_somebody_whom_nobody_let_through() -> None:
    """The sensor without a turn: written down, of no passage."""
    post = Post(vehicle(senses=True))
    assert post.passed("car") == ["passed through"]
    assert post.acts[-1].get("of") is None


def test_while_nothing_can_be_written() -> None:
    """What could not be recorded did not open, waits for the guard, and is not judged again until it can be."""
    post = Post(person(), vehicle())
    post.works = False
    for lane in post.lanes.values():
        lane.writable = False
    assert post.see("in", A) == [ADMIT]
    assert not post.acts[-1]["opened"]
    assert post.stay("in", A, 30) == []
    assert [one.credential for one in post.lanes["in"].held(post.now())] == [A]
    post.see("car", B)
    assert post.lanes["car"].turn is None
    post.works = post.lanes["in"].writable = True
    assert post.stay("in", A, 1) == [ADMIT]


def test_after_a_restart() -> None:
    """Who was let through just before is let through again, and has no second passage."""
    post = Post(person())
    presence = restored(post.lanes["in"].rule, Sighting("in/0", A, post.mono - 1), 7)
    post.presences.put(presence)
    post.presences.admitted(presence)
    assert post.stay("in", A, 5) == [AGAIN]
    assert post.acts[-1]["of"] == 7


def test_memory_is_let_go() -> None:
    """Ten thousand tags and a minute later nothing is remembered."""
    post = Post(person())
    for number in range(10_000):
        post.see("in", Credential(f"epc:{number:024X}"))
    post.wait(61)
    post.presences.forget(post.mono)
    assert list(post.presences.at_lane("in")) == []
    assert post.presences.last(A) is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.sampled_from(["in", "out", "car", "lot"]), st.sampled_from([A, B, C, STRANGER])),
        st.tuples(st.just("passed"), st.sampled_from(["car"])),
        st.tuples(st.just("tick"), st.sampled_from(["in", "out", "car", "lot"])),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 2.9, 3.5, 11.0, 61.0])),
        st.tuples(st.just("works"), st.booleans()),
    ),
    max_size=60,
)


@given(steps)
def test_in_any_order(story: list[tuple[Any, ...]]) -> None:
    """Never an exception; what opens was admitted; one turn a lane, and only of one who was admitted."""
    post = Post(person("in"), person("out", Direction.OUT), vehicle("car", senses=True), vehicle("lot", Direction.OUT))
    doing: dict[str, Callable[..., object]] = {
        "see": post.see,
        "passed": post.passed,
        "tick": post.tick,
        "wait": post.wait,
        "works": lambda works: setattr(post, "works", works),
    }
    for step, *words in story:
        doing[step](*words)
        for lane in post.lanes.values():
            lane.writable = post.works
    opened = [act for act in post.acts if act["opened"]]
    assert all(act["kind"] is Kind.OPENED or act["verdict"] is Verdict.ADMIT for act in opened)
    admitted = {act["credential"] for act in opened if act["kind"] is Kind.PASSAGE}
    assert STRANGER not in {act["credential"] for act in opened if act["lane"] in {"in", "car", "lot"}}
    for name in ("car", "lot"):
        assert post.lanes[name].turn in {None, *admitted}


@pytest.mark.parametrize("direction", [Direction.IN, Direction.OUT])
def test_a_button_always_opens(direction: Direction) -> None:
    """At an exit even while nothing can be written."""
    (act,) = Post(person(direction=direction)).lanes["in"].button()
    assert (act.kind, act.fields["by"], act.opens, act.exempt) == (
        Kind.OPENED,
        "button",
        True,
        direction is Direction.OUT,
    )
