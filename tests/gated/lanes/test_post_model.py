"""The whole post under whatever happens to it: people, vehicles, disk, fire, relays, orders, tests with a card."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from drivers.port import Condition, Level
from gated.lanes.presence import Presences
from protocol.credential import Credential
from protocol.sighting import Sighting
from protocol.whitelist import Entry
from tests.gated.lanes.postmodel import RULES, TURNSTILES, Rig

LISTED, SECOND, GONE, CHIP, STRANGER = (Credential(f"epc:E2801170000002{n:010X}") for n in range(5))
EVERYBODY = (LISTED, SECOND, GONE, CHIP, STRANGER)
RIGHT, WRONG = "E2003412", "E2003499"
LIST = {
    LISTED: Entry(LISTED, "a"),
    SECOND: Entry(SECOND, "b"),
    GONE: Entry(GONE, "c", since=1.0),
    CHIP: Entry(CHIP, "d", tid=RIGHT),
}
SCENES = (
    ("car-in",),
    ("walk-in",),
    ("car-in", "car-out"),
    ("walk-in", "walk-out"),
    ("car-in", "walk-out"),
    TURNSTILES,
    ("walk-out",),
    ("car-out",),
    tuple(RULES),
)
PARTIES = ((LISTED, SECOND), (LISTED, CHIP), (LISTED, SECOND, STRANGER), (CHIP,), (LISTED, GONE), EVERYBODY)
LANES = WHO = st.integers(0, 59)
"""Which of the lanes, and of the people, that this example is about."""

WHAT_ELSE = st.one_of(
    st.tuples(st.just("device"), LANES, st.sampled_from(["0", "barrier"]), st.booleans()),
    st.tuples(st.just("list"), WHO, st.sampled_from([None, 1.0]), st.booleans()),
    st.tuples(st.just("test"), LANES, st.one_of(st.none(), WHO), st.booleans(), st.booleans(), st.just(30.0)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("technician"), st.sampled_from([True, True, False])),
)


class Gate(RuleBasedStateMachine):
    """Everything that the daemon can tell the post, in any order. What must hold is looked at by the rig."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(dict(LIST))
        self.run = self.rig.run
        self.lanes = SCENES[-1]
        self.people: tuple[Credential, ...] = EVERYBODY

    @initialize(
        lanes=st.sampled_from(SCENES),
        people=st.sampled_from(PARTIES),
        first=st.sampled_from([Level(True), Level(True), Level(True), Level(False), Condition(False, "cut")]),
    )
    def start(self, lanes: tuple[str, ...], people: tuple[Credential, ...], first: Level | Condition) -> None:
        """What this example is about, and the fire input's first word."""
        self.lanes, self.people = lanes, people
        self.run(self.rig.fire, first)

    def lane(self, number: int) -> str:
        """One of the lanes."""
        return self.lanes[number % len(self.lanes)]

    def one(self, number: int) -> Credential:
        """One of the people."""
        return self.people[number % len(self.people)]

    @rule(
        lane=LANES,
        who=WHO,
        age=st.sampled_from([0.0, 0.0, 0.0, 2.5]),
        signal=st.sampled_from([None, -70.0, -40.0]),
        tid=st.sampled_from([None, None, RIGHT, WRONG]),
    )
    def see(self, lane: int, who: int, age: float, signal: float | None, tid: str | None) -> None:
        """A reader reads, or hands over late what it has read."""
        name, at = self.lane(lane), self.rig.loop.time() - age
        self.run(self.rig.see, name, Sighting(f"{name}/0", self.one(who), at, signal=signal, tid=tid))

    @rule(lane=LANES, who=WHO, wait=st.sampled_from([0.0, 0.5, 3.5]))
    def see_at_once(self, lane: int, who: int, wait: float) -> None:
        """A reader reads, and some time later something else happens."""
        name = self.lane(lane)
        self.run(self.rig.see, name, Sighting(f"{name}/0", self.one(who), self.rig.loop.time()))
        self.rig.pass_time(wait)

    @rule(lane=LANES, who=WHO, seconds=st.sampled_from([1.0, 4.0, 12.0]))
    def stay(self, lane: int, who: int, seconds: float) -> None:
        """Somebody stands in the field."""
        name = self.lane(lane)
        for _ in range(int(seconds * 2)):
            self.run(self.rig.see, name, Sighting(f"{name}/0", self.one(who), self.rig.loop.time()))
            self.rig.pass_time(0.5)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.5, 11.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.rig.pass_time(seconds)

    @rule(lane=LANES, level=st.sampled_from([True, False, False, None]))
    def sense(self, lane: int, level: bool | None) -> None:  # noqa: FBT001 - a level, None where it is lost
        """The sensor behind the arm."""
        if self.lane(lane) in self.rig.levels:
            self.run(self.rig.sense, self.lane(lane), level)

    @rule(how=st.sampled_from(["hang", "hang", "answer", "fail", "work"]))
    def disk(self, how: str) -> None:
        """The disk no longer answers, answers for what it was given until now, is full, is cleared."""
        self.run(getattr(self.rig.disk, how))

    @rule(lane=LANES, how=st.sampled_from(["button", "command", "hold", "hold", "release"]))
    def order(self, lane: int, how: str) -> None:
        """Somebody with the right to opens, or holds it open, or lets it go."""
        self.run(getattr(self.rig, how), self.lane(lane))

    @rule(said=st.sampled_from([Level(True), Level(True), Level(False), Condition(False, "cut")]))
    def fire(self, said: Level | Condition) -> None:
        """The fire input."""
        self.run(self.rig.fire, said)

    @rule(lane=LANES, there=st.booleans())
    def relay(self, lane: int, there: bool) -> None:  # noqa: FBT001 - a state
        """The barrier's relay is lost, or back."""
        self._device(lane, "barrier", there)

    @rule(what=WHAT_ELSE)
    def else_(self, what: tuple[str, *tuple[Any, ...]]) -> None:
        """Something that happens less often."""
        name, *how = what
        getattr(self, f"_{name}")(*how)

    def _device(self, lane: int, device: str, there: bool) -> None:  # noqa: FBT001 - a state
        self.run(self.rig.plug, self.lane(lane), device, there)

    def _list(self, who: int, since: float | None, gone: bool) -> None:  # noqa: FBT001 - as an entry has it
        one = self.one(who)
        self.rig.list.entries[one] = replace(LIST.get(one, Entry(one, "e")), since=since, gone=gone)
        self.rig.list.changed = True

    def _test(self, lane: int, card: int | None, dry: bool, outside: bool, seconds: float) -> None:  # noqa: FBT001 - as it is asked for
        named = None if card is None else self.one(card)
        request = {"card": named, "dry": dry, "outside": outside, "seconds": seconds, "watch": 3.0}
        self.run(self.rig.test, self.lane(lane), request)

    def _restart(self) -> None:
        self.run(self.rig.restart)

    def _technician(self, stays: bool) -> None:  # noqa: FBT001 - a choice
        self.run(self.rig.post.proving.confirm if stays else self.rig.hang_up)

    def teardown(self) -> None:
        """When all is well again and everybody has been gone for long, nothing is left of them."""
        try:
            self._all_is_well()
            self._nothing_is_left()
            self.rig.each_opening_is_one_event()
        finally:
            self.rig.close()

    def _all_is_well(self) -> None:
        rig = self.rig
        self.run(rig.disk.work)
        self.run(rig.hang_up)
        for report in (Condition(True), Level(True)):
            self.run(rig.fire, report)
        for lane in RULES:
            for device in ("0", "barrier"):
                self.run(rig.plug, lane, device, True)
        for lane in rig.levels:
            self.run(rig.sense, lane, False)
        rig.pass_time(5.0)
        rig.pass_time(400.0, tick=5.0)

    def _nothing_is_left(self) -> None:
        post = self.rig.post
        assert not self.rig.leaving
        assert not self.rig.burns
        assert post._presences == Presences()
        assert not post.holds._holds
        assert post.proving._trial is None
        assert not post.openings._owed
        for name, station in post.stations.items():
            lane, barrier = station.lane, station.barrier
            assert (lane.turn, lane.waiting, lane.busy) == (None, 0, False), name
            assert lane._sensor._openings.maxlen is not None
            assert barrier is not None
            assert (barrier.pulsing, barrier.holders, len(barrier._queued), barrier._timer) == (
                False,
                set(),
                0,
                None,
            ), name
            assert not self.rig.contacts[name].closed, name
            assert not any(lamp.closed for lamp in self.rig.lamps[name].values()), name


TestGate = Gate.TestCase
TestGate.settings = settings(max_examples=200, stateful_step_count=40, derandomize=True)
