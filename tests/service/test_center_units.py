"""The center's units keep it in its cage, and leave it what it needs."""

import re
from pathlib import Path

import pytest

from center.__main__ import parser
from tests.service.units import DOCS, SYSTEMD, complaints, exposure, needs_analyze, settings

FILES = sorted(SYSTEMD.glob("gated-center*"))
SERVICES = [file for file in FILES if file.suffix == ".service"]
LASTING = [file for file in SERVICES if settings(file)["Type"] != ["oneshot"]]
OWN = {"Description", "ExecStart", "Type", "Conflicts", "Nice", "IOSchedulingClass"}
OF_LASTING = {"Restart", "RestartSec", "StartLimitIntervalSec", "TimeoutStopSec", "WantedBy", "After"}
EXPOSURE_MAX = 1.5
of_services = pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)


def test_there_is_one_for_each_part() -> None:
    """All in one, workers, the publisher, and pruning by night."""
    names = {unit.name for unit in SERVICES}
    assert names == {f"gated-center{name}.service" for name in ("", "-ingest@", "-publish", "-prune")}


@of_services
def test_the_cage_is_the_same(unit: Path) -> None:
    """What is true of one is true of all: they differ in what they run, and in how long."""
    of_all, mine = settings(SYSTEMD / "gated-center.service"), settings(unit)
    differ = {key for key in of_all.keys() | mine.keys() if of_all.get(key) != mine.get(key)}
    assert differ <= (OWN if unit in LASTING else OWN | OF_LASTING)


@of_services
def test_it_runs_a_command_that_there_is(unit: Path) -> None:
    """Program, command and configuration are those of the page for who runs a center."""
    [line] = settings(unit)["ExecStart"]
    program, *words = line.split()
    assert program == "/opt/gated/bin/gated-center"
    assert parser().parse_args(words).config == Path("/etc/gated/center.toml")


@pytest.mark.parametrize("unit", LASTING, ids=lambda unit: unit.name)
def test_it_is_started_again_for_ever(unit: Path) -> None:
    """Whatever ends it, systemd starts it again, and after the broker and the database where they are here."""
    found = settings(unit)
    assert (found["Restart"], found["StartLimitIntervalSec"]) == (["always"], ["0"])
    assert {"mosquitto.service", "postgresql.service"} <= set(found["After"][0].split())
    assert not {"Requires", "BindsTo", "EnvironmentFile", "LoadCredential"} & found.keys()


def test_the_clock_may_be_asked() -> None:
    """Without adjtimex no event is live and nothing is pruned; to set the clock takes a capability, and it has none."""
    found = settings(SYSTEMD / "gated-center.service")
    allowed, removed, again = found["SystemCallFilter"]
    assert (allowed, removed[0]) == ("@system-service", "~")
    assert set(again.split()) == {"adjtimex", "clock_adjtime"}
    assert "ProtectClock" not in found
    assert found["CapabilityBoundingSet"] == [""]


def test_the_state_is_the_centers_alone() -> None:
    """The site's keys lie there: nobody else looks in, also before the first start."""
    found = settings(SYSTEMD / "gated-center.service")
    assert (found["StateDirectory"], found["StateDirectoryMode"]) == (["gated-center"], ["0700"])
    user = found["User"][0]
    assert re.search(rf"^u {user} ", (SYSTEMD / "gated-center.sysusers").read_text(encoding="utf-8"), re.MULTILINE)
    folders = (SYSTEMD / "gated-center.tmpfiles").read_text(encoding="utf-8")
    assert re.search(rf"^d /var/lib/gated-center +0700 {user} +{user} ", folders, re.MULTILINE)


def test_pruning_has_a_timer() -> None:
    """Each night, and a night that was missed is made up for."""
    timer = settings(SYSTEMD / "gated-center-prune.timer")
    assert timer["Persistent"] == ["yes"]
    assert timer["OnCalendar"]
    assert timer["WantedBy"] == ["timers.target"]


def test_the_page_installs_each() -> None:
    """Whoever follows the page has all of them."""
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert [file.name for file in FILES if file.name not in page] == []


def test_the_bundle_has_what_the_page_installs() -> None:
    """The extras that are named where a center or a box is installed are packed; a box names those of hardware only."""
    recipe = (SYSTEMD.parent / "Makefile").read_text(encoding="utf-8")
    center, box = (
        {extra for extras in re.findall(r"gated\[([a-z,]+)\]", page) for extra in extras.split(",")}
        for page in ((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("operations", "install"))
    )
    assert center == {"center", "postgresql"}
    assert box == {"nfc", "osdp", "gpio"}
    assert [extra for extra in center | box if f"--extra {extra}" not in recipe] == []


@needs_analyze
@of_services
def test_exposure_is_low(unit: Path) -> None:
    """The exposure that systemd works out for the cage is at most 1.5."""
    assert exposure(unit) <= EXPOSURE_MAX


@needs_analyze
@pytest.mark.parametrize(
    "unit", [file for file in FILES if file.suffix in {".service", ".timer"}], ids=lambda f: f.name
)
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    """The checker of systemd finds nothing to complain of once the program is there."""
    for other in SERVICES:
        (tmp_path / other.name).touch()
    assert complaints(unit, tmp_path) == []
