"""The clock that is not trusted: 1970, two weeks back, a year ahead; nobody stays locked out, nothing is pruned."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gated import machine_clock
from gated.clock import SETTLED_S, TRUSTED_S, Remembered, Timekeeper
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
    code = "import datetime, zoneinfo; print(datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo('Asia/Shanghai')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "2026-01-01 00:00:00+08:00"


def test_timesyncd_says_so_by_a_file(tmp_path: Path) -> None:
    """Fresh: synced. Old or absent: not. Another service is not asked there."""
    touched = tmp_path / "synchronized"
    assert not machine_clock.MachineClock("timesyncd", touched).synced()
    touched.touch()
    assert machine_clock.MachineClock("timesyncd", touched).synced()
    assert not machine_clock.MachineClock("none", touched).synced()
    old = touched.stat().st_mtime - machine_clock.FRESH_S - 60
    os.utime(touched, (old, old))
    assert not machine_clock.MachineClock("timesyncd", touched).synced()


def test_what_is_remembered(tmp_path: Path) -> None:
    """Written whole, read back; a broken or missing file is nothing known."""
    assert machine_clock.recall(tmp_path) == Remembered()
    kept = Remembered(TRUE, 12.5, "b1", synced=True)
    machine_clock.remember(tmp_path, kept)
    assert machine_clock.recall(tmp_path) == kept
    for broken in (b"", b"[]", b'{"floor": "x"}', b"\xff"):
        (tmp_path / "clock.json").write_bytes(broken)
        assert machine_clock.recall(tmp_path) == Remembered()
