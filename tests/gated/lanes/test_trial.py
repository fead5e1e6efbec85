"""A test with a technician's card, as a state machine: which card is taken, what opens, how it ends."""

from typing import Any

import pytest

from gated.lanes.decide import Direction, LaneKind, LaneRule
from gated.lanes.trial import (
    AFTER_S,
    CONFIRM_S,
    DISK_S,
    EXIT_DISK_S,
    Do,
    End,
    GiveBack,
    Open,
    Tell,
    Terms,
    Trial,
    Write,
)
from protocol.credential import Credential
from protocol.sighting import Sighting

CARD = Credential("em:0A00A1B2C3")
OTHER = Credential("em:0A00000001")
IN = LaneRule("walk-in", LaneKind.PERSON, Direction.IN)
OUT = LaneRule("walk-out", LaneKind.PERSON, Direction.OUT)
GATE = LaneRule("car-in", LaneKind.VEHICLE, Direction.IN, senses=True)
SECONDS, WATCH = 30.0, 15.0


class Bench:
    """A trial and its time; `done` is all that came of it."""

    def __init__(
        self,
        rule: LaneRule = IN,
        *,
        card: Credential | None = None,
        opens: bool = True,
        watch: float = 0.0,
        **more: Any,
    ) -> None:
        self.mono = 100.0
        self.rule = rule
        self.done: list[Do] = []
        terms = Terms(rule, (f"{rule.name}/0",), "gated", None, card, opens, watch, SECONDS, more.get("present", {}))
        self.trial = Trial(terms, lambda _: {"would": "unknown", "would_open": False}, self.mono)
        self.done += self.trial.begin()

    def arm(self) -> "Bench":
        """The journal has it that the lane is armed."""
        self.done += self.trial.written(1, self.mono)
        return self

    def see(self, credential: Credential = CARD, rule: LaneRule | None = None, signal: float | None = None) -> bool:
        """A lane reads the credential now; whether it was the test's."""
        rule = rule or self.rule
        taken, acts = self.trial.see(rule, Sighting(f"{rule.name}/0", credential, self.mono, signal=signal), self.mono)
        self.done += acts
        return taken

    def after(self, seconds: float, offline: dict[str, str] | None = None) -> None:
        """Let time pass."""
        self.mono += seconds
        self.done += self.trial.tick(self.mono, offline or {})

    def prove(self) -> "Bench":
        """Read, on disk, open, pulse over."""
        self.arm()
        assert self.see()
        self.done += self.trial.written(2, self.mono)
        self.done += self.trial.opened(self.mono)
        self.done += self.trial.released(self.mono)
        return self

    def steps(self) -> list[str]:
        """What was told."""
        return [act.step for act in self.done if isinstance(act, Tell)]

    def end(self) -> tuple[object, object]:
        """The one result, and why."""
        (end,) = [act for act in self.done if isinstance(act, End)]
        return end.fields["result"], end.fields["why"]

    def has(self, kind: type[Do]) -> bool:
        """Whether this came of it."""
        return any(isinstance(act, kind) for act in self.done)


def test_nothing_is_armed_in_secret() -> None:
    """Nothing is taken before it is on disk that the lane is armed."""
    bench = Bench()
    (write,) = bench.done
    assert isinstance(write, Write)
    assert (write.fields["step"], write.fields["user"]) == ("armed", "gated")
    assert not bench.see()
    assert bench.arm().see()


def test_recorded_before_opened() -> None:
    """The relay is told when the read is on disk, and then only."""
    bench = Bench().arm()
    bench.see()
    assert not bench.has(Open)
    bench.mono += 0.25
    bench.done += bench.trial.written(2, bench.mono)
    assert bench.has(Open)
    bench.done += bench.trial.opened(bench.mono)
    bench.done += bench.trial.released(bench.mono)
    assert bench.steps() == ["armed", "read", "durable", "relay", "released"]
    assert bench.end() == ("ok", None)
    end = bench.done[-1]
    assert isinstance(end, End)
    assert (end.fields["durable_ms"], end.fields["of"], end.fields["read"]) == (250.0, 1, 2)


def test_dry() -> None:
    """The barrier is left alone, all else is as ever."""
    bench = Bench(opens=False).arm()
    bench.see()
    bench.done += bench.trial.written(2, bench.mono)
    assert not bench.has(Open)
    assert not bench.has(GiveBack)
    assert bench.end() == ("ok", None)


def test_only_one_card_and_until_it_has_gone() -> None:
    """The card is no passage while it stays; other cards are the lane's, and so is this one after a time."""
    bench = Bench().prove()
    assert not bench.see(OTHER)
    bench.mono += 1
    assert bench.see()
    bench.mono += IN.gone + 0.1
    assert not bench.see()


def test_a_card_that_stays_for_good() -> None:
    """It is a card like any other in the end."""
    bench = Bench().prove()
    for _ in range(int(AFTER_S)):
        assert bench.see()
        bench.mono += 1
    assert not bench.see()
    assert bench.trial.over(bench.mono)


def test_a_named_card() -> None:
    """Another one goes to its lane, and is told of once."""
    bench = Bench(card=CARD).arm()
    assert [bench.see(OTHER), bench.see(OTHER), bench.see()] == [False, False, True]
    assert bench.steps() == ["armed", "other", "read"]


def test_who_stood_there_before() -> None:
    """The parked car's tag is not the technician's, until it has been away; a named card is taken all the same."""
    bench = Bench(present={CARD: 99.0}).arm()
    assert not bench.see()
    bench.mono += IN.gone + 0.1
    assert bench.see()
    assert Bench(card=CARD, present={CARD: 99.0}).arm().see()


def test_another_lane_reads_it_too() -> None:
    """At an entrance that is no passage; an exit lets it out; either is told, once."""
    bench = Bench().prove()
    assert bench.see(rule=GATE)
    assert not bench.see(rule=OUT)
    assert not bench.see(rule=OUT)
    assert bench.steps().count("elsewhere") == 2


def test_nothing_read() -> None:
    """It ends after its time, and takes nothing any more."""
    bench = Bench().arm()
    bench.after(SECONDS - 0.1)
    assert not bench.has(End)
    bench.after(0.1)
    assert bench.end() == ("failed", "nothing-read")
    assert not bench.see()


@pytest.mark.parametrize(("rule", "disk_s"), [(IN, DISK_S), (OUT, EXIT_DISK_S)])
def test_a_slow_disk(rule: LaneRule, disk_s: float) -> None:
    """The lane has its sighting back, so that an exit opens; what the disk says later opens nothing."""
    bench = Bench(rule).arm()
    bench.see()
    bench.after(disk_s)
    assert bench.end() == ("failed", "journal")
    assert bench.has(GiveBack)
    bench.done += bench.trial.written(2, bench.mono)
    assert not bench.has(Open)
    assert not bench.see()


def test_a_disk_that_never_took_it() -> None:
    """A lane is not armed where that cannot be written."""
    bench = Bench()
    bench.done += bench.trial.failed("journal", "the disk is full", bench.mono)
    bench.done += bench.trial.written(1, bench.mono)
    assert bench.end() == ("failed", "journal")
    assert not bench.see()


def test_the_sensor() -> None:
    """Who goes through while the barrier is open is the test's; nobody is no failure."""
    bench = Bench(GATE).prove()
    assert not bench.has(End)
    taken, acts = bench.trial.passed(bench.mono)
    bench.done += acts
    assert taken
    assert bench.end() == ("ok", None)
    alone = Bench(GATE).prove()
    alone.after(GATE.timeout)
    assert alone.steps()[-1] == "not-passed"
    assert alone.end() == ("ok", None)
    assert not alone.trial.passed(alone.mono)[0]


def outside() -> Bench:
    """A proved exit, and the card on its way outside."""
    bench = Bench(OUT, watch=WATCH).prove()
    acts = bench.trial.confirmed(bench.mono)
    assert acts is not None
    bench.done += acts
    return bench


def test_nobody_is_read_outside() -> None:
    """The time begins when the card has gone."""
    bench = outside()
    bench.after(OUT.gone)
    assert "watching" not in bench.steps()
    bench.after(0.1)
    bench.after(WATCH - 0.1)
    assert not bench.has(End)
    bench.after(0.1)
    assert bench.end() == ("ok", None)


def test_the_card_is_read_outside() -> None:
    """That is a failure, with its signal, and opens nothing."""
    bench = outside()
    bench.after(OUT.gone + 0.1)
    before = len(bench.done)
    assert bench.see(signal=-61.0)
    assert bench.end() == ("failed", "read-outside")
    end = bench.done[before]
    assert isinstance(end, End)
    assert end.fields["outside_signal"] == -61.0
    assert Open() not in bench.done[before:]


def test_a_reader_that_is_gone_proves_nothing() -> None:
    """Neither while it waits for a card, nor that nobody is read outside."""
    armed, away = Bench().arm(), outside()
    away.after(OUT.gone + 0.1)
    for bench in (armed, away):
        bench.after(0.1, {f"{bench.rule.name}/0": "unplugged"})
        assert bench.end() == ("failed", "reader-offline")


def test_a_card_that_never_leaves() -> None:
    """Who does not get out of the antenna's reach has not proved that it ends there."""
    bench = outside()
    for _ in range(int(SECONDS)):
        bench.see()
        bench.after(1)
    assert bench.end() == ("failed", "still-read")


def test_nobody_goes_outside() -> None:
    """It does not wait for ever; and nobody can say so before they are asked."""
    bench = Bench(OUT, watch=WATCH)
    assert bench.trial.confirmed(bench.mono) is None
    bench.prove()
    bench.after(CONFIRM_S)
    assert bench.end() == ("failed", "not-confirmed")


def test_it_ends_once() -> None:
    """Whatever comes after the end, there is one."""
    bench = Bench().prove()
    for why in ("cancelled", "stop", "journal"):
        bench.done += bench.trial.failed(why, "", bench.mono)
    bench.after(1000)
    assert bench.end() == ("ok", None)
