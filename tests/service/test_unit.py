"""The unit keeps the daemon in its cage, and leaves it what it needs."""

import re
from pathlib import Path

import pytest

from gated.__main__ import parser
from tests.service.units import DOCS, SYSTEMD, complaints, exposure, needs_analyze, settings

PAGES = [DOCS / name for name in ("install.md", "recover.md")]
UNIT = SYSTEMD / "gated.service"
OF_GATE = [file for file in SYSTEMD.iterdir() if not file.name.startswith("gated-center")]
EXPOSURE_MAX = 1.5


def test_notify_and_watchdog() -> None:
    """The daemon says itself when it is ready, is restarted when it hangs or ends, and systemd never gives up."""
    unit = settings(UNIT)
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert unit["WatchdogSec"] == ["30s"]
    assert unit["Restart"] == ["always"]
    assert unit["RestartSec"] == ["2s"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_it_runs_what_the_installation_page_installs() -> None:
    """Program and configuration lie where docs/install.md puts them; the boot id comes in by the environment."""
    unit = settings(UNIT)
    assert unit["ExecStart"] == ["/opt/gated/bin/gated run -c /etc/gated/gated.toml"]
    assert unit["Environment"] == ["GATED_BOOT_ID=%b", "MALLOC_ARENA_MAX=2"]
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    for path in ("/opt/gated/bin/gated", "/etc/gated/gated.toml", *(file.name for file in OF_GATE)):
        assert path in page


@pytest.mark.parametrize(("kind", "mode"), [("State", "0750"), ("Runtime", "0750"), ("Configuration", "0755")])
def test_folders_are_its_own(kind: str, mode: str) -> None:
    """The folders of the daemon have its name, and nobody else looks into them but into that of the configuration.

    There a center on the same machine has its own, and each file is readable by its own group alone.
    """
    unit = settings(UNIT)
    assert unit[f"{kind}Directory"] == ["gated"]
    assert unit[f"{kind}DirectoryMode"] == [mode]
    assert unit["UMask"] == ["0077"]


def test_serial_ports_are_allowed() -> None:
    """Readers and relays on every kind of serial port can be opened for reading and writing."""
    unit = settings(UNIT)
    assert "dialout" in unit["SupplementaryGroups"][0].split()
    for device in ("ttyS", "ttyUSB", "ttyACM", "ttyAMA", "gpiochip"):
        assert f"char-{device} rw" in unit["DeviceAllow"]


def test_ports_that_are_plugged_in_later_are_allowed() -> None:
    """A DeviceAllow= whose kind the kernel does not know yet is dropped: the modules are loaded before the start."""
    unit = settings(UNIT)
    modules = {"modprobe@usbserial.service", "modprobe@cdc_acm.service"}
    assert modules <= set(" ".join(unit["Wants"]).split())
    assert modules <= set(" ".join(unit["After"]).split())


def test_network_and_unix_sockets_are_allowed() -> None:
    """Readers on TCP, chronyc on UDP, and the control and notify sockets work; the base unit bars no address."""
    unit = settings(UNIT)
    assert set(unit["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"}
    assert "PrivateNetwork" not in unit
    assert "IPAddressDeny" not in unit
    assert "NoExecPaths" not in unit


def test_own_priority_can_be_lowered() -> None:
    """The build of a list steps behind the journal: @resources is in @system-service and is not taken out."""
    allowed, removed = settings(UNIT)["SystemCallFilter"]
    assert allowed == "@system-service"
    assert removed.startswith("~")
    assert "@resources" not in removed


def test_no_file_that_may_be_missing_stops_the_start() -> None:
    """Credentials come by a drop-in: a LoadCredential= of a missing file would keep the gate shut."""
    assert not {"LoadCredential", "EnvironmentFile", "Requires", "BindsTo"} & settings(UNIT).keys()


def test_tasks_are_bounded() -> None:
    """A runaway ends in a restart of the daemon, not in a dead box."""
    unit = settings(UNIT)
    assert unit["TasksMax"] == ["64"]
    assert unit["MemoryMax"] == ["256M"]


def test_user_and_folders_exist_before_the_first_start() -> None:
    """The user of the unit is made by sysusers; tmpfiles lets it read its configuration and not write it.

    A center's tmpfiles says the same of the folder that both may have.
    """
    user = settings(UNIT)["User"][0]
    assert re.search(rf"^u {user} ", (SYSTEMD / "gated.sysusers").read_text(encoding="utf-8"), re.MULTILINE)
    folders = (SYSTEMD / "gated.tmpfiles").read_text(encoding="utf-8")
    center = (SYSTEMD / "gated-center.tmpfiles").read_text(encoding="utf-8")
    for text in (folders, center):
        assert re.search(r"^d /etc/gated +0755 root +root ", text, re.MULTILINE)
    assert re.search(rf"^d /var/lib/gated +0750 {user} +{user} ", folders, re.MULTILINE)


def test_address_list_keeps_the_box_to_itself_reachable() -> None:
    """Whoever uses the example keeps the guard's page and chronyc."""
    dropin = settings(SYSTEMD / "10-addresses.conf")
    assert dropin["IPAddressDeny"] == ["any"]
    assert "localhost" in dropin["IPAddressAllow"]


def test_udev_rules_are_well_formed() -> None:
    """Each rule is a list of KEY, operator and quoted value; each jump has its label."""
    text = (SYSTEMD / "70-gated.rules").read_text(encoding="utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    part = r'[A-Z]+(?:\{[\w.]+\})?(?:==|!=|\+=|=)"[^"]*"'
    assert [rule for rule in rules if not re.fullmatch(rf"{part}(?:, {part})*", rule)] == []
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(re.findall(r'LABEL="(\w+)"', text))


def test_udev_rules_ask_no_parent_what_it_is_not() -> None:
    """A KEYS!= is true as soon as one parent differs, which one always does: it would skip every port."""
    text = (SYSTEMD / "70-gated.rules").read_text(encoding="utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [rule for rule in rules if re.search(r"\b(?:SUBSYSTEMS|KERNELS|DRIVERS|TAGS|ATTRS\{[^}]*\})!=", rule)] == []


def test_adapters_are_told_apart_by_their_socket() -> None:
    """Each name under /dev/gated holds the port's path, so that two equal adapters get two names."""
    names = re.findall(r'SYMLINK\+="([^"]*)"', (SYSTEMD / "70-gated.rules").read_text(encoding="utf-8"))
    assert [name.partition("-")[0] for name in names] == ["gated/ch340", "gated/ftdi", "gated/cp210x"]
    assert all(name.endswith("$env{ID_PATH_TAG}") for name in names)


@pytest.mark.parametrize("path", [*PAGES, *OF_GATE], ids=lambda path: path.name)
def test_commands_that_are_named_exist(path: Path) -> None:
    """Whoever follows a page or a comment finds the command that it names."""
    actions = parser()._subparsers
    assert actions is not None
    known = set(actions._group_actions[0].choices or ())
    named = re.findall(r"(?:`|-u gated |&& )gated ([a-z-]+)", path.read_text(encoding="utf-8"))
    assert set(named) <= known


def test_the_bundle_brings_its_own_pip() -> None:
    """The box needs no package for it: the page installs with what the bundle's recipe packs."""
    recipe = (SYSTEMD.parent / "Makefile").read_text(encoding="utf-8")
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    assert "$(BUNDLE)/pip.whl" in recipe
    installs = re.findall(r"^(.*\bpip\b.* install .*)$", page, re.MULTILINE)
    assert installs
    assert all(line.startswith("/opt/gated/bin/python pip.whl/pip install --no-index ") for line in installs)
    assert "venv --without-pip /opt/gated" in page


@needs_analyze
def test_exposure_is_low() -> None:
    """The exposure that systemd works out for the cage is at most 1.5."""
    assert exposure(UNIT) <= EXPOSURE_MAX


@needs_analyze
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """The checker of systemd finds nothing to complain of once the program is there."""
    assert complaints(UNIT, tmp_path) == []
