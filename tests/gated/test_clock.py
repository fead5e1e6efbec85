"""The clock that is not trusted: 1970, two weeks back, a year ahead; nobody stays locked out, nothing is pruned."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from gated.clock import SETTLED_S, STEP_S, TRUSTED_S, Remembered, Timekeeper
from protocol.event import ClockQuality, Kind

SHANGHAI = ZoneInfo("Asia/Shanghai")
TRUE = datetime(2026, 11, 25, 8, 0, tzinfo=SHANGHAI).timestamp()
DAY = 86_400.0
YEAR = 365 * DAY


@dataclass
class Clocks:
    """Clocks that the test turns: `off` is how far the wall clock is from the truth."""

    boot: str = "b1"
    up: float = 100.0
    off: float = 0.0
    true: float = TRUE
    service: bool = True

    def wall(self) -> float:
        """See Source."""
        return self.true + self.off

    def mono(self) -> float:
        """See Source."""
        return self.up

    def synced(self) -> bool:
        """See Source."""
        return self.service

    def run(self, keeper: Timekeeper, seconds: float, every: float = 60.0) -> list[str]:
        """Let time pass, with a look now and then; what was to be written down."""
        said = []
        for _ in range(int(seconds / every)):
            self.true += every
            self.up += every
            said += [str(fact.fields["what"]) for fact in keeper.observe()]
        return said


def test_a_start_in_1970_and_the_service_comes_later() -> None:
    """Unset with dates at the floor of the last life; then a step is told, and all is right."""
    clocks = Clocks(off=-TRUE, service=False)
    keeper = Timekeeper(clocks, SHANGHAI, Remembered(floor=TRUE - DAY, mono=5.0, boot="b0", synced=True))
    assert keeper.quality is ClockQuality.UNSET
    assert keeper.now().validity >= TRUE - DAY
    assert keeper.stamp().at.startswith("1970-01-01T08:00")
    clocks.off, clocks.service = 0.0, True
    facts = keeper.observe()
    assert [fact.fields["what"] for fact in facts] == ["clock-step", "clock"]
    assert str(facts[0].fields["before"]).startswith("1970-01-01T")
    assert str(facts[0].fields["after"]).startswith("2026-11-25T")
    assert keeper.now().clock is ClockQuality.SYNCED
    assert keeper.now().validity == clocks.true


def test_two_weeks_back_after_a_reboot() -> None:
    """The floor holds: what had expired stays expired."""
    clocks = Clocks(boot="b2", off=-14 * DAY, service=False)
    keeper = Timekeeper(clocks, SHANGHAI, Remembered(floor=TRUE, mono=9e5, boot="b1", synced=True))
    assert keeper.quality is ClockQuality.UNSET
    clocks.run(keeper, 3600)
    assert keeper.now().validity == TRUE + 3600


def test_a_restart_in_the_same_boot_goes_on() -> None:
    """The floor is carried on by monotonic time, and `synced` earlier in this boot is holdover."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    clocks.run(keeper, 2 * TRUSTED_S)
    remembered = keeper.remember()
    clocks.true += 500
    clocks.up += 500
    clocks.off, clocks.service = -DAY, False
    again = Timekeeper(clocks, SHANGHAI, remembered)
    assert again.quality is ClockQuality.HOLDOVER
    assert again.now().validity == clocks.true
    assert again.now().hours.timestamp() == clocks.true


def test_an_hour_back() -> None:
    """Told as a step; after ten minutes of a service that stands by it, the floor is lowered as an alarm."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    clocks.run(keeper, 2 * TRUSTED_S)
    clocks.off = -3600
    assert [fact.fields["what"] for fact in keeper.observe()] == ["clock-step"]
    assert keeper.now().validity == clocks.true
    said = clocks.run(keeper, TRUSTED_S)
    assert said == ["floor-lowered"]
    assert keeper.now().validity == clocks.true - 3600


def test_a_year_ahead_and_back() -> None:
    """While it is wrong dates are, too; ten minutes after it is right they are right, and nothing was pruned."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    clocks.run(keeper, 2 * SETTLED_S)
    before = keeper.prune_before(90 * DAY)
    assert before is not None
    assert abs(before.timestamp() - (clocks.true - 90 * DAY)) < 1
    clocks.off = YEAR
    said = clocks.run(keeper, 12 * 3600)
    assert said == ["clock-step"]
    assert keeper.now().validity > clocks.true + 364 * DAY
    assert keeper.prune_before(90 * DAY) is None
    clocks.off = 0.0
    assert clocks.run(keeper, TRUSTED_S + 60) == ["clock-step", "floor-lowered"]
    assert keeper.now().validity == clocks.true
    assert keeper.prune_before(90 * DAY) is None
    clocks.run(keeper, SETTLED_S)
    again = keeper.prune_before(90 * DAY)
    assert again is not None
    assert again.timestamp() <= clocks.true - 90 * DAY


def test_a_wrong_hour_that_lasts_less_than_ten_minutes_leaves_no_trace() -> None:
    """The floor takes only what has been synced for ten minutes."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    clocks.run(keeper, 2 * TRUSTED_S)
    clocks.off = YEAR
    clocks.run(keeper, TRUSTED_S - 60)
    clocks.off = 0.0
    keeper.observe()
    assert keeper.now().validity == clocks.true


def test_nothing_is_pruned_without_a_time_service() -> None:
    """Unset or holdover: None."""
    clocks = Clocks(service=False)
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    clocks.run(keeper, 2 * SETTLED_S, every=600)
    assert keeper.prune_before(0) is None


def test_a_technicians_word() -> None:
    """`clock accept` moves the floor to the wall clock, down as well as up, as an alarm."""
    clocks = Clocks(service=False)
    keeper = Timekeeper(clocks, SHANGHAI, Remembered(floor=TRUE + YEAR, boot="b0"))
    assert keeper.now().validity == TRUE + YEAR
    fact = keeper.accept()
    assert (fact.kind, fact.fields["what"]) == (Kind.ALARM, "clock-accepted")
    assert keeper.now().validity == TRUE
    assert keeper.quality is ClockQuality.HOLDOVER


def test_the_hour_that_comes_twice() -> None:
    """The same wall time twice, told apart by its offset; no step."""
    berlin = ZoneInfo("Europe/Berlin")
    clocks = Clocks(true=datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp())
    keeper = Timekeeper(clocks, berlin, Remembered())
    first = keeper.stamp().at
    assert clocks.run(keeper, 3600) == []
    second = keeper.stamp().at
    assert (first, second) == ("2026-10-25T02:30:00.000+02:00", "2026-10-25T02:30:00.000+01:00")


def test_without_time_zone_data_on_the_box() -> None:
    """The zone comes from the package that is installed with us."""
    code = (
        "import datetime, zoneinfo; zoneinfo.reset_tzpath(to=[]); "
        "print(datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2026-07-01 00:00:00+02:00"


def test_a_stamp_names_its_boot_and_how_good_it_is() -> None:
    """Wall time with offset and milliseconds, quality, boot, monotonic seconds."""
    clocks = Clocks(off=0.0625)
    stamp = Timekeeper(clocks, SHANGHAI, Remembered()).stamp()
    assert (stamp.at, stamp.clock, stamp.boot, stamp.mono) == (
        *("2026-11-25T08:00:00.062+08:00", ClockQuality.SYNCED, "b1", 100.0),
    )


def test_quality_is_told_when_it_changes() -> None:
    """Unset, synced, holdover, synced: each change once."""
    clocks = Clocks(service=False)
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    said = []
    for service in (False, True, True, False, False, True):
        clocks.service = service
        said += [(fact.kind, fact.fields["from"], fact.fields["to"]) for fact in keeper.observe()]
    assert said == [
        (Kind.SYSTEM, ClockQuality.UNSET, ClockQuality.SYNCED),
        (Kind.SYSTEM, ClockQuality.SYNCED, ClockQuality.HOLDOVER),
        (Kind.SYSTEM, ClockQuality.HOLDOVER, ClockQuality.SYNCED),
    ]


def test_another_boot_knows_nothing_of_a_service() -> None:
    """Holdover is of one boot; also where boot ids are the same and monotonic time began anew."""
    for boot, up in (("b2", 100.0), ("b1", 1.0)):
        clocks = Clocks(boot=boot, up=up, service=False)
        keeper = Timekeeper(clocks, SHANGHAI, Remembered(TRUE - DAY, 50.0, "b1", synced=True))
        assert keeper.quality is ClockQuality.UNSET
        assert keeper.now().floor == TRUE - DAY


def test_a_step_is_told_with_before_and_after() -> None:
    """Each way, once; what is no more than a slew is none."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    clocks.off = STEP_S
    assert keeper.observe() == []
    for off in (3600.0, 0.0):
        clocks.off = off
        (fact,) = keeper.observe()
        assert (fact.kind, fact.fields["what"]) == (Kind.SYSTEM, "clock-step")
        assert str(fact.fields["after"]).startswith(f"2026-11-25T{8 + int(off) // 3600:02}:00:00")
        assert fact.fields["before"] != fact.fields["after"]
        assert keeper.observe() == []


def test_a_service_that_comes_and_goes_proves_nothing() -> None:
    """The floor takes ten minutes of unbroken word."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    for _ in range(5):
        clocks.run(keeper, TRUSTED_S - 60)
        clocks.service = False
        keeper.observe()
        clocks.service = True
    assert keeper.now().floor == 0.0
    clocks.run(keeper, TRUSTED_S + 60)
    assert keeper.now().floor == clocks.true


def test_a_technicians_word_the_other_way() -> None:
    """A floor that lies behind is raised, and dates follow; before and after are told."""
    clocks = Clocks(service=False)
    keeper = Timekeeper(clocks, SHANGHAI, Remembered(floor=TRUE - YEAR, boot="b0"))
    fact = keeper.accept()
    assert str(fact.fields["before"]).startswith("2025-11-25T08:00")
    assert str(fact.fields["after"]).startswith("2026-11-25T08:00")
    clocks.off = -DAY
    assert keeper.now().validity == TRUE
    assert keeper.remember() == Remembered(TRUE, 100.0, "b1", synced=True)


def test_a_wrong_year_at_the_moment_of_pruning() -> None:
    """A step that nobody has looked at yet prunes nothing that the true date would not."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    clocks.run(keeper, 2 * SETTLED_S)
    clocks.off = YEAR
    before = keeper.prune_before(DAY)
    assert before is not None
    assert before.timestamp() <= clocks.true - DAY


def test_a_start_prunes_nothing_for_a_day() -> None:
    """A clock that was set wrong before we started has a day to be found out."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered(TRUE, 100.0, "b1", synced=True))
    clocks.run(keeper, SETTLED_S - 60)
    assert keeper.prune_before(DAY) is None
    clocks.run(keeper, 60)
    assert keeper.prune_before(DAY) is not None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.sampled_from([60.0, TRUSTED_S, 3600.0, 12 * 3600.0])),
        st.tuples(st.just("off"), st.sampled_from([-TRUE, -14 * DAY, -3600.0, 0.0, 3600.0, YEAR])),
        st.tuples(st.just("service"), st.booleans()),
        st.tuples(st.just("restart"), st.booleans()),
    ),
    max_size=30,
)


@given(steps)
def test_whatever_the_clock_has_done(story: list[tuple[str, float]]) -> None:
    """Right for ten minutes, dates are right; a wrong hour of less than a day, or after no service, prunes nothing."""
    clocks = Clocks()
    keeper = Timekeeper(clocks, SHANGHAI, Remembered())
    wrong_since = 0.0
    for step, value in story:
        floor = keeper.now().floor
        match step:
            case "run":
                clocks.run(keeper, value)
            case "off":
                wrong_since = clocks.up if clocks.off == 0.0 and value else wrong_since
                clocks.off = value
            case "service":
                clocks.service = bool(value)
            case _:
                remembered = keeper.remember()
                if value:
                    clocks.boot, clocks.up = clocks.boot + "+", 0.0
                    wrong_since = min(wrong_since, 0.0)
                keeper = Timekeeper(clocks, SHANGHAI, remembered)
                assert abs(keeper.now().floor - floor) < 1e-3
        now = keeper.now()
        assert now.validity >= now.floor
        before = keeper.prune_before(DAY)
        if before is not None and (clocks.off <= 0.0 or clocks.up - wrong_since < SETTLED_S):
            assert before.timestamp() <= clocks.true - DAY + 1e-3
    clocks.off, clocks.service = 0.0, True
    clocks.run(keeper, TRUSTED_S + 60)
    now = keeper.now()
    assert (now.clock, now.validity) == (ClockQuality.SYNCED, clocks.true)
    assert abs(now.floor - clocks.true) < 1e-3
    assert now.hours.timestamp() == clocks.true
