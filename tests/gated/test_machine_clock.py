"""The time service's word: a file that timesyncd touches, what chronyc prints; and what outlives the process."""

import json
import os
import stat
import time
from pathlib import Path

import pytest

from gated import machine_clock
from gated.clock import Remembered
from gated.machine_clock import CHRONY_FRESH_S, FRESH_S, MachineClock, boot_id, recall, remember

SERVER = "C0A80001,ntp.example"
TRACKING = "{who},3,{at},0.000001,0.0000002,0.00002,-1.2,0.0,0.05,0.02,0.001,64.2,{leap}"
KEPT = Remembered(1_795_564_800.0, 12.5, "b1", synced=True)


def chronyc(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> MachineClock:
    """A clock whose `chronyc` runs this shell script."""
    program = folder / "chronyc"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return MachineClock("chrony", folder / "none", folder)


def tracking(leap: str = "Normal", age: float = 30.0, *, who: str = SERVER, at: str = "") -> str:
    """What chronyc prints in a shell, of a server last heard that many seconds ago."""
    return f"echo '{TRACKING.format(who=who, at=at or f'{time.time() - age:.9f}', leap=leap)}'"


def test_timesyncd_says_so_by_a_file(tmp_path: Path) -> None:
    """Fresh: synced, from the start. Old, of the future or absent: not. Another service is not asked there."""
    touched = tmp_path / "synchronized"
    assert not MachineClock("timesyncd", touched).synced()
    touched.touch()
    assert MachineClock("timesyncd", touched).synced()
    assert MachineClock("auto", touched).synced()
    assert not MachineClock("none", touched).synced()
    assert not MachineClock("chrony", touched).synced()
    fresh = touched.stat().st_mtime
    for away in (-FRESH_S - 60, FRESH_S + 60):
        os.utime(touched, (fresh + away, fresh + away))
        assert not MachineClock("timesyncd", touched).synced()


async def test_it_is_asked_again(tmp_path: Path) -> None:
    """What was found is kept until the next question."""
    touched = tmp_path / "synchronized"
    clock = MachineClock("timesyncd", touched)
    touched.touch()
    assert not clock.synced()
    await clock.ask()
    assert clock.synced()
    touched.unlink()
    assert clock.synced()
    await clock.ask()
    assert not clock.synced()


@pytest.mark.parametrize(
    ("script", "synced"),
    [
        (tracking(), True),
        (tracking("Insert second"), True),
        (tracking("Not synchronised"), False),
        (tracking("Not synchronised", who="00000000,", at="0.000000000"), False),
        (f"{tracking()}; exit 1", False),
        ("echo '506 Cannot talk to daemon'; exit 1", False),
        ("echo '506 Cannot talk to daemon'", False),
        ("printf '\\377\\376,'", False),
        ("exit 0", False),
    ],
)
async def test_chrony_is_asked(tmp_path: Path, script: str, synced: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter
    """Its last column counts, if it is there and the command went well."""
    clock = chronyc(tmp_path, f'test "$*" = "-c tracking" || exit 9; {script}', monkeypatch)
    assert not clock.synced()
    await clock.ask()
    assert clock.synced() is synced


@pytest.mark.parametrize(
    ("said", "synced"),
    [
        (tracking(age=CHRONY_FRESH_S - 600), True),
        (tracking(age=CHRONY_FRESH_S + 60), False),
        (tracking(age=-CHRONY_FRESH_S - 600), False),  # the wall clock was set back since
        (tracking(at="0.000000000"), False),
        (tracking(at="nan"), False),
        (tracking(at="Tue Nov 24 08:15:02 2026"), False),
        (tracking(who="7F7F0101,"), False),
    ],
)
async def test_chrony_must_have_heard_somebody(
    tmp_path: Path,
    said: str,
    synced: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its leap status stays Normal long after the last answer, and with `local` it follows nobody but itself."""
    clock = chronyc(tmp_path, said, monkeypatch)
    await clock.ask()
    assert clock.synced() is synced


async def test_a_chronyc_that_hangs_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its time, and then is ended: asked every ten seconds, there would soon be hundreds."""
    monkeypatch.setattr(machine_clock, "_CHRONYC_S", 0.2)
    clock = chronyc(
        tmp_path, f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 600", monkeypatch
    )
    for _ in range(50):  # a machine that is busy may not have started it in so short a time
        await clock.ask()
        if (tmp_path / "pid").exists():
            break
    assert not clock.synced()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_without_chrony_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where chrony does not run, nor where another service is named; no chronyc is no error."""
    chronyc(tmp_path, f"touch {tmp_path}/asked", monkeypatch)
    for clock in (
        MachineClock("chrony", tmp_path / "none", tmp_path / "none"),
        MachineClock("timesyncd", tmp_path / "none", tmp_path),
        MachineClock("none", tmp_path / "none", tmp_path),
    ):
        await clock.ask()
        assert not clock.synced()
    assert not (tmp_path / "asked").exists()
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    clock = MachineClock("auto", tmp_path / "none", tmp_path)
    await clock.ask()
    assert not clock.synced()


def test_the_clocks_run(tmp_path: Path) -> None:
    """Neither runs backwards between two looks."""
    clock = MachineClock("none", tmp_path)
    assert clock.mono() <= clock.mono()
    assert clock.wall() > KEPT.floor - 10 * 366 * 86400


def test_the_boot_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the unit, else from the kernel, twelve digits; without either a word."""
    monkeypatch.setenv("GATED_BOOT_ID", "12345678-9abc-def0-1234-56789abcdef0\n")
    assert boot_id() == "123456789abc"
    monkeypatch.setenv("GATED_BOOT_ID", "")
    (tmp_path / "boot_id").write_text("abcdefab-cdef-abcd-efab-cdefabcdefab\n")
    monkeypatch.setattr(machine_clock, "_BOOT_ID", tmp_path / "boot_id")
    assert boot_id() == "abcdefabcdef"
    monkeypatch.setattr(machine_clock, "_BOOT_ID", tmp_path / "none")
    assert boot_id() == "unknown"


def test_what_is_remembered(tmp_path: Path) -> None:
    """Written whole, read back; a later word replaces the earlier one."""
    assert recall(tmp_path) == Remembered()
    for kept in (KEPT, Remembered(KEPT.floor + 9, 99.0, "b2")):
        remember(tmp_path, kept)
        assert recall(tmp_path) == kept
    assert [path.name for path in tmp_path.iterdir()] == ["clock.json"]


def _with(**other: object) -> bytes:
    return json.dumps({"floor": 1.0, "mono": 1.0, "boot": "b", "synced": True, **other}).encode()


@pytest.mark.parametrize(
    "broken",
    [
        *(b"", b"[]", b"{}", b"7", b"null", b"\xff", b"\0" * 100, b"[" * 100_000, _with()[:-9]),
        *(_with(floor="x"), _with(floor=None), _with(floor=[1]), _with(mono={})),
        *(_with(floor=float("nan")), _with(floor=float("inf")), _with(floor=-1.0), _with(floor=1e18)),
        *(_with(floor=10**400), _with(mono=float("inf")), _with(floor=0).replace(b"0", b"9" * 5000, 1)),
    ],
)
def test_a_broken_word_is_none(tmp_path: Path, broken: bytes) -> None:
    """Whatever the disk has made of it: nothing is known, and a floor that no calendar has is not taken."""
    (tmp_path / "clock.json").write_bytes(broken)
    assert recall(tmp_path) == Remembered()


def test_synced_is_a_plain_yes(tmp_path: Path) -> None:
    """Anything else but `true` is no."""
    (tmp_path / "clock.json").write_bytes(_with(synced="false"))
    assert recall(tmp_path) == Remembered(1.0, 1.0, "b", synced=False)
