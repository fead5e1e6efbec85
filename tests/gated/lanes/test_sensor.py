"""The sensor behind the arm: gone through, turned back, and tailgaters; on a clock that the test turns."""

import pytest

from gated.lanes.decide import Direction, LaneRule
from gated.lanes.sensor import OPENINGS_MAX, STUCK_S
from protocol.credential import Credential
from tests.gated.lanes.test_lane import (
    ADMIT,
    AGAIN,
    STRANGER,
    TAILGATER,
    TURNED_BACK,
    A,
    B,
    C,
    Post,
    person,
    vehicle,
)

THROUGH = "passed through"
BOTH = [vehicle(senses=True), person(senses=True)]


def ticking(post: Post, lane: str, seconds: float) -> list[str]:
    """Time passes, and the lane looks at it."""
    said: list[str] = []
    for _ in range(round(seconds * 4)):
        post.wait(0.25)
        said += post.tick(lane)
    return said


@pytest.mark.parametrize("rule", BOTH)
def test_a_tag_then_the_sensor_with_nobody_admitted(rule: LaneRule) -> None:
    """A tailgater, and the alarm names who was last seen and flagged at that lane, and that passage."""
    post = Post(rule)
    first, last = Credential("em:0000000001"), Credential("em:0000000002")
    for one in (first, last):
        post.see(rule.name, one)
        post.wait(1)
    assert post.passed(rule.name) == [THROUGH, TAILGATER]
    alarm = post.acts[-1]
    assert (alarm["lane"], alarm["direction"], alarm["credential"], alarm["of"]) == (rule.name, "in", last, 2)


@pytest.mark.parametrize("rule", BOTH)
def test_a_second_one_behind_who_was_admitted(rule: LaneRule) -> None:
    """One was let in, two went through."""
    post = Post(rule)
    post.see(rule.name, A)
    assert post.passed(rule.name) == [THROUGH]
    assert post.passed(rule.name) == [THROUGH, TAILGATER]
    assert post.acts[-1].get("credential") is None


def test_who_was_flagged_long_ago_is_not_named() -> None:
    """Whoever is off the guard's list is not accused."""
    post = Post(vehicle(senses=True))
    post.see("car", STRANGER)
    post.wait(31)
    assert post.passed("car") == [THROUGH, TAILGATER]
    assert post.acts[-1].get("credential") is None


@pytest.mark.parametrize("rule", BOTH)
def test_an_opening_by_hand_explains_one(rule: LaneRule) -> None:
    """Within the lane's time-out, and one each; a stranger whom the guard lets through raises no alarm."""
    post = Post(rule)
    post.see(rule.name, STRANGER)
    assert post.button(rule.name) == ["opened button +"]
    post.wait(9.9)
    assert post.passed(rule.name) == [THROUGH]
    assert post.passed(rule.name) == [THROUGH, TAILGATER]
    post.button(rule.name)
    post.button(rule.name)
    assert [post.passed(rule.name) for _ in range(3)] == [[THROUGH], [THROUGH], [THROUGH, TAILGATER]]
    post.button(rule.name)
    post.wait(10.1)
    assert post.passed(rule.name) == [THROUGH, TAILGATER]


def test_an_opening_that_did_not_happen_explains_nothing() -> None:
    """An entrance's button while nothing can be written opens nothing."""
    post = Post(vehicle(senses=True))
    post.works = False
    post.button("car")
    assert post.passed("car") == [THROUGH, TAILGATER]


def test_a_barrier_that_is_held_explains_all() -> None:
    """And for the time-out after, those who are still under way."""
    post = Post(vehicle(senses=True))
    for _ in range(5):
        post.lanes["car"].stays_open(post.now())
        assert post.passed("car") == [THROUGH]
        post.wait(60)
    post.lanes["car"].stays_open(post.now())
    post.wait(9.9)
    assert post.passed("car") == [THROUGH]
    post.wait(0.1)
    assert post.passed("car") == [THROUGH, TAILGATER]


def test_who_is_let_through_again_is_one() -> None:
    """Opened twice for the same one: one may go through."""
    post = Post(person(senses=True))
    post.see("in", A)
    post.wait(4)
    assert post.see("in", A) == [AGAIN]
    assert [post.passed("in") for _ in range(2)] == [[THROUGH], [THROUGH, TAILGATER]]


def test_whom_an_exit_lets_out_beside_another_lane() -> None:
    """Recorded elsewhere, they may go through here; when the record comes here after that, nobody has turned back."""
    post = Post(person("in"), person("out", Direction.OUT, senses=True))
    post.see("in", A)
    assert post.see("out", A) == ["opened exit +"]
    assert post.passed("out") == [THROUGH]
    assert post.stay("out", A, 4) == [ADMIT]
    assert ticking(post, "out", 20) == []


def test_who_goes_by_the_lane_that_has_the_record() -> None:
    """The stronger lane has the passage and its sensor sees them; of the other lane nothing more is said."""
    post = Post(person("one", senses=True), person("two", senses=True))
    post.see("one", A, signal=-60)
    assert post.see("two", A, signal=-40) == ["passage admit listed"]
    assert post.passed("two") == [THROUGH]
    assert post.acts[-1]["of"] == 2
    assert ticking(post, "one", 20) + post.tick("two") == []


@pytest.mark.parametrize("rule", BOTH)
def test_who_does_not_go_has_turned_back(rule: LaneRule) -> None:
    """Not before the time-out since they were last seen, and once."""
    post = Post(rule)
    post.see(rule.name, A)
    post.wait(2)
    post.see(rule.name, A)
    assert ticking(post, rule.name, 9.75) == []
    assert ticking(post, rule.name, 20) == [TURNED_BACK]
    assert post.acts[-1]["of"] == 1


@pytest.mark.parametrize("rule", BOTH)
def test_nobody_on_the_sensor_has_turned_back(rule: LaneRule) -> None:
    """However long they stand there: they have gone through when they leave it, on nobody else's turn."""
    post = Post(rule)
    post.see(rule.name, A)
    post.wait(5)
    assert post.sense(rule.name, True) == []
    assert ticking(post, rule.name, 60) == []
    assert post.leave(rule.name) == [THROUGH]
    assert post.acts[-1]["of"] == 1


def test_a_turn_goes_on_while_somebody_is_on_the_sensor() -> None:
    """The arm does not rise for the next one, and comes down on nobody."""
    post = Post(vehicle(senses=True, timeout=10))
    post.see("car", A)
    post.sense("car", True)
    post.wait(9)
    post.see("car", B)
    for _ in range(20):
        post.wait(1)
        assert post.see("car", B) + post.tick("car") == []
    assert post.leave("car") == [THROUGH, ADMIT]
    assert post.lanes["car"].turn == B


def test_a_turn_whose_end_nobody_has_seen_yet() -> None:
    """Who goes at the last moment, before the lane has looked at the time, has not turned back."""
    post = Post(vehicle(senses=True))
    post.see("car", A)
    post.wait(10.1)
    assert post.passed("car") == [THROUGH]
    assert post.acts[-1]["of"] == 1


def test_who_is_still_read_before_the_arm_has_not_turned_back() -> None:
    """But blocks nobody: it may be a car that parks beside the lane. It may go when it will."""
    post = Post(vehicle(senses=True))
    said = []
    for _ in range(60):
        said += post.see("car", A)
        said += ticking(post, "car", 1)
    assert said == [ADMIT]
    assert post.see("car", B) == [ADMIT]
    assert [post.passed("car"), post.passed("car")] == [[THROUGH], [THROUGH]]
    assert [act["of"] for act in post.acts[-2:]] == [2, 1]


@pytest.mark.parametrize("rule", BOTH)
def test_who_turned_back_has_not_gone_in(rule: LaneRule) -> None:
    """Elsewhere it is no repeat; here it is let through again, and its going is told of the same passage."""
    post = Post(rule, LaneRule("other", rule.kind, Direction.IN))
    for lane, said in (("other", ADMIT), (rule.name, AGAIN)):
        post.see(rule.name, A)
        assert ticking(post, rule.name, 10) == [TURNED_BACK]
        assert post.see(lane, A) == [said]
        post.wait(61)
        post.tick(rule.name)
        post.presences.forget(post.mono)
        post.see(rule.name, A)
        assert ticking(post, rule.name, 10) == [TURNED_BACK]
        assert post.see(rule.name, A) == [AGAIN]
        of = post.acts[-1]["of"]
        assert post.passed(rule.name) == [THROUGH]
        assert post.acts[-1]["of"] == of
        post.wait(61)


def test_until_it_has_turned_back_it_is_a_repeat_elsewhere() -> None:
    """Nobody hands the card to the next one by another lane while the first may be going through."""
    post = Post(vehicle(senses=True), vehicle("other"))
    post.see("car", A)
    post.wait(4)
    assert post.see("other", A) == ["passage flag repeat"]
    assert ticking(post, "car", 6) == [TURNED_BACK]
    assert post.see("other", A) == [ADMIT]


@pytest.mark.parametrize("rule", BOTH)
def test_a_sensor_that_is_lost_says_of_nobody_that_they_turned_back(rule: LaneRule) -> None:
    """The turn ends all the same; who comes back is let through again."""
    post = Post(rule)
    post.see(rule.name, A)
    post.sense(rule.name, True)
    post.sense(rule.name, None)
    assert ticking(post, rule.name, 11) == []
    assert (post.lanes[rule.name].turn, post.lanes[rule.name].busy) == (None, False)
    assert post.see(rule.name, A) == [AGAIN]


def test_a_sensor_that_is_stuck_blocks_no_lane_for_ever() -> None:
    """An alarm, once; turns end by time again, nobody is said to have turned back. It works again when it moves."""
    post = Post(vehicle(senses=True))
    post.see("car", A)
    post.sense("car", True)
    assert ticking(post, "car", STUCK_S - 0.25) == []
    assert post.see("car", B) == []
    assert ticking(post, "car", 30) == ["alarm sensor-stuck", ADMIT]
    assert ticking(post, "car", STUCK_S) == []
    post.sense("car", False)
    post.see("car", C)
    assert ticking(post, "car", 10) == [TURNED_BACK]


def test_passages_one_after_the_other_of_one_credential_wait_for_one() -> None:
    """With no repeat time to speak of, who comes back is a new passage; one may go through, not two."""
    post = Post(person(senses=True, repeat=0.1))
    post.see("in", A)
    post.wait(4)
    assert post.see("in", A) == [ADMIT]
    assert [post.passed("in") for _ in range(2)] == [[THROUGH], [THROUGH, TAILGATER]]


def test_a_thousand_openings_cost_no_memory() -> None:
    """On a lane whose sensor never answers."""
    post = Post(vehicle(senses=True))
    for _ in range(1000):
        post.button("car")
    assert sum(post.passed("car") == [THROUGH] for _ in range(1000)) == OPENINGS_MAX
