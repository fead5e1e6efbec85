"""What the fire input says, and what is made of it: the rules, without a device."""

from typing import Final

import pytest

from drivers.port import Condition, Level, Quiet
from gated.fire import CLEAR_S, FIRST_S, Fire, State

CLOSED: Final = Level(True)
OPEN: Final = Level(False)
HERE: Final = Condition(True)
GONE: Final = Condition(False, "its cable is out")


class Told:
    """A fire input that has said these things, a second apart."""

    def __init__(self, *reports: Level | Condition | Quiet) -> None:
        self.now = 100.0
        self.fire = Fire(self.now)
        self.say(*reports)

    def say(self, *reports: Level | Condition | Quiet) -> list[State]:
        """Say them; the states that are new."""
        found = []
        for report in reports:
            self.now += 1.0
            if self.fire.hear(report, self.now):
                found.append(self.fire.state)
        return found

    def wait(self, seconds: float) -> State:
        """Let time pass; the state then."""
        self.now += seconds
        self.fire.tick(self.now)
        return self.fire.state


@pytest.mark.parametrize(
    ("reports", "state"),
    [
        ((), State.UNREAD),
        ((HERE,), State.UNREAD),
        ((GONE,), State.UNREAD),
        ((HERE, CLOSED), State.CLEAR),
        ((GONE, HERE, CLOSED), State.CLEAR),
        ((HERE, OPEN), State.OPEN),
        ((HERE, CLOSED, OPEN), State.OPEN),
        ((HERE, CLOSED, GONE), State.LOST),
        ((HERE, CLOSED, GONE, HERE), State.LOST),
        ((HERE, CLOSED, GONE, HERE, OPEN), State.OPEN),
        ((HERE, OPEN, GONE), State.OPEN),
        ((HERE, OPEN, GONE, HERE), State.OPEN),
    ],
)
def test_what_it_says(reports: tuple[Level | Condition, ...], state: State) -> None:
    """Clear only by a closed contact; open and lost are fire, and lost after open is no less."""
    told = Told(*reports)
    assert told.fire.state is state
    assert told.fire.burns is (state in (State.OPEN, State.LOST))


@pytest.mark.parametrize("reports", [(HERE, OPEN), (HERE, CLOSED, GONE, HERE)])
def test_clear_after_a_while(reports: tuple[Level | Condition, ...]) -> None:
    """Closed for its time without a break, and not a moment less."""
    told = Told(*reports)
    assert told.say(CLOSED) == []
    assert told.wait(CLEAR_S - 0.1) is not State.CLEAR
    assert told.wait(0.1) is State.CLEAR
    assert told.fire.due is None


@pytest.mark.parametrize("broken", [(OPEN,), (GONE, HERE)])
def test_a_break_begins_it_anew(broken: tuple[Level | Condition, ...]) -> None:
    """What opens again or is lost meanwhile has its whole time before it; without a word, for ever."""
    told = Told(HERE, OPEN, CLOSED)
    told.say(*broken)
    assert told.wait(1000) is State.OPEN
    told.say(CLOSED)
    assert told.wait(CLEAR_S - 0.1) is State.OPEN
    assert told.wait(0.1) is State.CLEAR


def test_quiet_lets_time_pass() -> None:
    """A contact that stays closed says so once; that its loop turns is enough."""
    told = Told(HERE, OPEN, CLOSED)
    assert told.say(*[Quiet()] * 3) == [State.CLEAR]


@pytest.mark.parametrize(("reports", "why"), [((), "has said nothing"), ((HERE,), "nothing"), ((GONE,), "its cable")])
def test_a_start_waits_so_long_and_no_longer(reports: tuple[Condition, ...], why: str) -> None:
    """Without a level within its time it is fire, with the reason."""
    told = Told(*reports)
    told.now = 100.0
    assert told.wait(FIRST_S - 0.1) is State.UNREAD
    assert told.wait(0.1) is State.LOST
    assert why in told.fire.why


def test_it_is_told_once() -> None:
    """The same again is no news."""
    told = Told()
    assert told.say(HERE, CLOSED, CLOSED, OPEN, OPEN, GONE, HERE, OPEN) == [State.CLEAR, State.OPEN]
