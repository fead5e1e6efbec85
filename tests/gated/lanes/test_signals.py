"""Lamps and beepers: the table, the relays, the readers; that nobody is shamed and nobody is beeped at for standing."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from drivers.port import Colour, Condition, DriverError, Output, Signal
from gated import app
from gated.config import ConfigError, load
from gated.lanes.act import Act
from gated.lanes.barrier import FIRE, Barrier
from gated.lanes.display import Display
from gated.lanes.signals import TABLE, Lights, Outcome, colour_alone, lights, outcome
from gated.lists import listload
from gated.lists.whitelist import Whitelist
from protocol.credential import Credential
from protocol.event import Kind, Reason, Verdict
from protocol.sighting import Sighting
from tests.docs.test_docs import ROOT, section
from tests.gated.lanes.test_recorded_before_opened import PULSE_S, TAG, FakeJournal, Rig, settled
from tests.gatepost import Gatepost

STRANGER = Credential("epc:E28000000000000000000000")
OTHER = Credential("epc:E28000000000000000000001")
ADMIT, FLAG = TABLE[Outcome.ADMIT], TABLE[Outcome.FLAG]


class Lamp:
    """A reader that has a lamp and a beeper."""

    def __init__(self) -> None:
        self.shown: list[Signal] = []

    def show(self, signal: Signal) -> None:
        """See Indicator."""
        self.shown.append(signal)

    def took(self) -> list[Signal]:
        """What it was told since it was last asked."""
        shown, self.shown = self.shown, []
        return shown


@dataclass
class Relay:
    """An output that may be gone."""

    gone: bool = False
    told: list[bool] = field(default_factory=list)

    def set(self, *, on: bool) -> None:
        """See Output."""
        if self.gone:
            raise DriverError("unplugged")
        self.told.append(on)


class Gate(Rig):
    """The post with a lamp at each lane's reader."""

    def __init__(self, whitelist: Whitelist, journal: FakeJournal) -> None:
        super().__init__(whitelist, journal)
        self.lamps = {name: Lamp() for name in self.post.stations}
        for name, station in self.post.stations.items():
            station.display = Display({})
            station.display.indicators.append(self.lamps[name])

    async def shown(self, lane: str, credential: Credential = TAG, **more: Any) -> list[Signal]:
        """What the lane shows when this is read there and written down."""
        self.post.see(lane, Sighting(f"{lane}/0", credential, self.clocks.seconds, **more))
        await settled()
        self.journal.settle()
        await settled()
        return self.lamps[lane].took()


@pytest.fixture
def whitelist(tmp_path: Path) -> Iterator[Whitelist]:
    """A list that has TAG, and OTHER at another lane only."""
    source = tmp_path / "list.jsonl"
    source.write_text(f'{{"c":"{TAG}","h":"h1"}}\n{{"c":"{OTHER}","h":"h2","lanes":["elsewhere"]}}\n')
    listload.load(tmp_path, source, lambda *_: None, "2026-11-25T00:00:00+08:00")
    with closing(Whitelist(tmp_path)) as held:
        yield held


@pytest.fixture
def gate(whitelist: Whitelist) -> Gate:
    """A gate whose disk answers."""
    return Gate(whitelist, FakeJournal())


def passage(reason: Reason, **more: Any) -> Act:
    """Somebody was flagged."""
    return Act(Kind.PASSAGE, {"verdict": Verdict.FLAG, "reason": reason, **more})


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.LISTED, Reason.CARD, Reason.EXIT}))
def test_all_who_are_flagged_are_shown_the_same(reason: Reason) -> None:
    """Whatever it is; but what the holder can mend without a guard says so."""
    mends = reason in {Reason.STALE, Reason.WRONG_LANE}
    assert outcome(passage(reason)) is (Outcome.RETRY if mends else Outcome.FLAG)


def test_what_is_no_news_to_people() -> None:
    """A record that moves to another lane, a sensor, an alarm."""
    moved = Act(Kind.PASSAGE, {"verdict": Verdict.ADMIT, "reason": Reason.LISTED, "instead": 1})
    assert [outcome(act) for act in (moved, Act(Kind.PASSED, {}), Act(Kind.ALARM, {}))] == [None, None, None]


def test_the_table_is_told_apart_without_colours() -> None:
    """By blinking and beeps; so is any table that a configuration may have."""
    assert colour_alone(TABLE) is None
    for one in (Outcome.FLAG, Outcome.RETRY, Outcome.GUARD_ONLY):
        assert colour_alone({**TABLE, one: replace(ADMIT, colour=Colour.RED)}) is one


def test_the_page_has_the_table() -> None:
    """docs/hardware/signals.md says what the code does."""
    page = (ROOT / "docs" / "hardware" / "signals.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| `([a-z-]+)` \| (\w+) \| (\w+) \| (\d) \| ([\d.]+) \|", re.MULTILINE)
    told = {
        name: Signal(Colour(colour), blinks == "yes", int(beeps), float(seconds))
        for name, colour, blinks, beeps, seconds in row.findall(section(page, "The table"))
    }
    assert told == TABLE


async def test_who_is_admitted_and_who_is_flagged(gate: Gate) -> None:
    """Each lane shows its own; a stranger and a wrong lane differ, and nothing else does."""
    assert await gate.shown("walk-in") == [ADMIT]
    assert await gate.shown("walk-in", STRANGER) == [FLAG]
    assert await gate.shown("walk-in", OTHER) == [TABLE[Outcome.RETRY]]
    assert await gate.shown("walk-out", STRANGER) == [ADMIT]
    assert gate.lamps["car-in"].took() == []


async def test_nobody_is_beeped_at_for_standing_there(gate: Gate) -> None:
    """Hands-free: one signal, however long a tag stays; let through again, a light without beeps."""
    shown = []
    for _ in range(20):
        for one in (TAG, STRANGER):
            shown += await gate.shown("walk-in", one)
        gate.post.tick()
        gate.clocks.seconds += 1
    assert shown == [ADMIT, FLAG]
    gate.clocks.seconds += 4
    assert await gate.shown("walk-in") == [replace(ADMIT, beeps=0)]


async def test_a_vehicle_that_waits_is_told_so_unless_another_is_shown_something(gate: Gate) -> None:
    """The green for the first stays what it sees; once that is over the second is told to wait."""
    assert await gate.shown("car-in") == [ADMIT]
    assert await gate.shown("car-in", STRANGER) == []
    gate.clocks.seconds += ADMIT.seconds
    assert await gate.shown("car-in", OTHER) == [TABLE[Outcome.WAITING]]


async def test_a_button_shows_that_it_opens(gate: Gate) -> None:
    """So do openings from far away."""
    gate.post.pressed("walk-in")
    gate.journal.settle()
    await settled()
    assert gate.lamps["walk-in"].took() == [ADMIT]


async def test_a_barrier_that_cannot_be_told(gate: Gate) -> None:
    """Nobody is shown green before a closed barrier."""
    gate.post.stations["walk-in"].barrier = Barrier(cast("Output", Relay(gone=True)), PULSE_S)
    assert await gate.shown("walk-in") == [FLAG]


async def test_in_a_fire_nobody_is_told_to_wait(gate: Gate) -> None:
    """Whoever is read, and whatever is the matter with the lane: it is open."""
    barrier = gate.post.stations["walk-in"].barrier
    assert barrier is not None
    barrier.hold(FIRE)
    gate.post.journal_changed(False, "the disk burns")
    assert await gate.shown("walk-in", STRANGER) == [replace(ADMIT, beeps=0)]
    gate.clocks.seconds += 100
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == []
    barrier.let_go(FIRE)
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == [replace(TABLE[Outcome.GUARD_ONLY], beeps=0)]


async def test_guard_only_has_its_own_signal(whitelist: Whitelist) -> None:
    """It is the gate's trouble, not theirs; it is shown for as long as it lasts, beeps only for who was read."""
    gate = Gate(whitelist, FakeJournal(broken=True))
    trouble = TABLE[Outcome.GUARD_ONLY]
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == [replace(trouble, beeps=0)]
    assert await gate.shown("walk-in") == [trouble]
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == []
    gate.clocks.seconds += trouble.seconds
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == [replace(trouble, beeps=0)]
    assert gate.lamps["walk-out"].took() == []
    assert await gate.shown("walk-out") == [ADMIT]
    gate.post.journal_changed(True, "")
    gate.clocks.seconds += trouble.seconds
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == []


async def test_a_lane_without_readers_has_its_own_signal(gate: Gate) -> None:
    """When the last of its readers is gone; one that works is enough."""
    for number, online in ((0, True), (1, False)):
        gate.post.condition(f"walk-in/{number}", "reader", Condition(online))
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == []
    gate.post.condition("walk-in/0", "reader", Condition(False, "unplugged"))
    gate.post.tick()
    assert gate.lamps["walk-in"].took() == [TABLE[Outcome.OFFLINE]]
    assert gate.lamps["walk-out"].took() == []


@pytest.mark.parametrize(
    ("signal", "age", "wanted", "expected"),
    [
        (ADMIT, 0.0, False, Lights(green=True, beeper=True)),
        (ADMIT, 0.3, False, Lights(green=True)),
        (ADMIT, 0.3, True, Lights(green=True, lamp=True)),
        (ADMIT, 2.0, False, Lights()),
        (FLAG, 0.0, True, Lights(lamp=True, beeper=True)),
        (FLAG, 0.5, True, Lights()),
        (FLAG, 0.6, True, Lights(beeper=True)),
        (FLAG, 1.2, True, Lights(lamp=True)),
        (FLAG, 4.0, True, Lights(lamp=True)),
        (FLAG, 4.0, False, Lights()),
        (TABLE[Outcome.WAITING], 1.0, False, Lights(lamp=True)),
        (Signal(Colour.OFF), 0.0, False, Lights()),
    ],
)
def test_relays(signal: Signal, age: float, wanted: bool, expected: Lights) -> None:  # noqa: FBT001 - a parameter
    """Red and amber are the lamp, green is green; the lamp stays lit while somebody waits for the guard."""
    assert lights(signal, age, wanted=wanted) == expected


@pytest.mark.parametrize("tick", [0.25, 0.28])
def test_each_beep_is_heard(tick: float) -> None:
    """As often as the table says, at the rate at which the post looks."""
    for beeps in range(6):
        relay = Relay()
        display = Display({"beeper": cast("Output", relay)}, {Outcome.FLAG: replace(FLAG, beeps=beeps)})
        display.show(Outcome.FLAG, 100.0)
        for number in range(20):
            display.tick(100.0 + number * tick, wanted=True, trouble=None)
        assert relay.told == [True, False] * beeps


def test_trouble_lights_the_lamp_steadily() -> None:
    """A relay that blinks for days would wear out."""
    relay = Relay()
    display = Display({"lamp": cast("Output", relay)})
    for number in range(1000):
        display.tick(100.0 + number / 4, wanted=False, trouble=Outcome.GUARD_ONLY)
    assert relay.told == [True]


def test_a_relay_that_was_away_is_put_right() -> None:
    """A lamp whose board comes back shows what it should; at the end all is off."""
    lamp, green = Relay(gone=True), Relay()
    display = Display({"lamp": cast("Output", lamp), "green": cast("Output", green)})
    display.show(Outcome.ADMIT, 100.0)
    display.tick(100.0, wanted=True, trouble=None)
    assert (lamp.told, green.told) == ([], [True])
    lamp.gone = False
    display.tick(100.25, wanted=True, trouble=None)
    display.stop()
    assert (lamp.told, green.told) == ([True, False], [True, False])


CONFIG = """site = "s"
gate = "g"
state = "{state}"
[lanes.a]
kind = "person"
direction = "in"
readers = [{{ driver = "em4100", port = "/dev/x" }}]
"""


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    """What is not named stays as it is."""
    file = tmp_path / "gated.toml"
    own = '[signals.flag]\ncolour = "amber"\nseconds = 6\n[signals.guard-only]\nbeeps = 0\n'
    file.write_text(CONFIG.format(state=tmp_path) + own)
    changed = {
        Outcome.FLAG: replace(FLAG, colour=Colour.AMBER, seconds=6.0),
        Outcome.GUARD_ONLY: replace(TABLE[Outcome.GUARD_ONLY], beeps=0),
    }
    assert load(file).table == {**TABLE, **changed}


@pytest.mark.parametrize(
    ("own", "key", "said"),
    [
        ("[signals.flag]\nblink = false\nbeeps = 1\n", "signals", "let flag differ from admit by blink or beeps"),
        ('[signals.flagged]\ncolour = "red"\n', "signals.flagged", "'admit', 'flag', 'retry', 'waiting'"),
        ('[signals.flag]\ncolour = "blue"\n', "signals.flag.colour", "'green', 'amber' or 'red'"),
        ("[signals.flag]\nbeeps = 6\n", "signals.flag.beeps", "5 or less"),
        ("[signals.flag]\ncolor = 1\n", "signals.flag.color", 'did you mean "colour"?'),
    ],
)
def test_a_table_that_is_wrong(tmp_path: Path, own: str, key: str, said: str) -> None:
    """Said with the key, and what would be right."""
    file = tmp_path / "gated.toml"
    file.write_text(CONFIG.format(state=tmp_path) + own)
    with pytest.raises(ConfigError) as error:
        load(file)
    assert [problem.key for problem in error.value.problems] == [key]
    assert said in str(error.value)


async def test_the_daemon_knows_which_readers_have_a_lamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that do are told, by the table of the configuration."""
    made = [Lamp(), object()]
    monkeypatch.setattr(app, "make_reader", lambda *_: made.pop(0))
    file = tmp_path / "gated.toml"
    two = '{ driver = "em4100", port = "/dev/x" }, { driver = "em4100", port = "/dev/y" }'
    text = CONFIG.format(state=tmp_path).replace('{ driver = "em4100", port = "/dev/x" }', two)
    file.write_text(text + "[signals.admit]\nbeeps = 5\n")
    lamp = made[0]
    display = app._Gate(load(file), structlog.get_logger())._post.stations["a"].display
    assert display is not None
    assert display.indicators == [lamp]
    display.show(Outcome.ADMIT, 1.0)
    assert display.indicators[0].took() == [replace(ADMIT, beeps=5)]  # type: ignore[attr-defined]


async def test_relays_of_a_real_daemon(tmp_path: Path) -> None:
    """Green for who is admitted, the lamp for a stranger as long as they stand there, and the beeper for both."""
    listed, stranger = "em:0A00A1B2C3", "0A00A1B2C4"

    def configure(text: str) -> str:
        relay = re.search(r'driver = "lcus", port = "[^"]+"', text)
        assert relay is not None
        more = "".join(
            f"{name} = {{ {relay[0]}, channel = {n} }}\n" for n, name in enumerate(("lamp", "green", "beeper"), 5)
        )
        short = "[signals.admit]\nseconds = 0.5\n[signals.flag]\nseconds = 1.2\n"
        return text.replace("[lanes.walk-in]\n", f"[lanes.walk-in]\nhold = 1.3\n{more}") + short

    async with Gatepost(tmp_path, [listed], configure) as post:

        def changes(channel: int) -> list[bool]:
            return [on for _, one, on in tuple(post.board.changes) if one == channel]

        post.further = 3
        await post.start()
        post.walk_in(listed.removeprefix("em:"))
        await post.until(lambda: changes(6) == [True, False] and changes(7) == [True, False], "green and a beep")
        assert changes(5) == []
        post.walk_in(stranger)
        await post.until(lambda: changes(7) == [True, False] * 3, "two beeps more")
        await post.until(lambda: changes(5)[-1:] == [False] and len(changes(5)) > 2, "they have gone")
        assert changes(6) == [True, False]
