"""What is wrong with a box, found by looking and changing nothing.

Each examination is a function that yields findings: what was looked at, what was found, and what to do about it.
One that fails is a finding too; the others go on.
"""

import grp
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from zoneinfo import TZPATH

from gated import control, journal_read, machine_clock
from gated.config import Config, ConfigError, load, warnings
from gated.store import FILE_NAME
from gated.whitelist import Whitelist

FREE_MIN_BYTES: Final = 64 * 1024 * 1024
LIST_AGE_MAX: Final = timedelta(days=30)
HOURS_LEFT_MIN: Final = 14 * 24
MEMORY_MIN_KB: Final = 64 * 1024
UNIT: Final = Path("/etc/systemd/system/gated.service")
BY_HAND: Final = (
    "no console here: while the journal cannot be written, entries stay shut by themselves; "
    "open them at the barrier's own button or hand lever"
)
_WAL_RESET: Final = ((3, 7, 0), (3, 51, 2))
_WAL_RESET_FIXED: Final = frozenset({(3, 50, 7), (3, 44, 6)})


class Level(StrEnum):
    """How a finding is meant."""

    GOOD = "good"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do ("" where nothing is to be done)."""

    level: Level
    what: str
    found: str
    do: str = ""


Examination = Callable[[Config], Iterator[Finding]]


def examine(path: Path) -> list[Finding]:
    """All findings, in the order in which one would look."""
    try:
        config = load(path)
    except ConfigError as error:
        return [Finding(Level.WRONG, "config", str(error), "mend the file; gated check says whether it is right")]
    found = [Finding(Level.GOOD, "config", f"{path}: {len(config.lanes)} lanes")]
    found += [Finding(Level.NOTE, "config", text) for text in warnings(config)]
    for examination in (_state, _daemon, _journal, _sqlite, _list, _clock, _ports, _service, _memory):
        try:
            found += examination(config)
        except PermissionError as error:
            what = examination.__name__.strip("_")
            found.append(
                Finding(Level.WRONG, what, f"{error.filename} may not be read", "run it as: sudo -u gated gated doctor")
            )
        except (OSError, sqlite3.Error) as error:
            found.append(Finding(Level.WRONG, examination.__name__.strip("_"), f"could not be looked at: {error}"))
    return found


def _state(config: Config) -> Iterator[Finding]:
    folder = config.state
    if not folder.is_dir():
        yield Finding(Level.NOTE, "state", f"{folder} is not there yet", "the daemon makes it at its first start")
        return
    free = shutil.disk_usage(folder).free
    if free < FREE_MIN_BYTES:
        yield Finding(
            Level.WRONG, "state", f"{free // 2**20} MiB free under {folder}", "make room; see docs/recover.md"
        )
    else:
        yield Finding(Level.GOOD, "state", f"{folder}: {free // 2**20:,} MiB free")
    for wreck in sorted(folder.glob("journal-damaged-*.db")):
        yield Finding(Level.NOTE, "state", f"{wreck.name} was set aside as damaged", "keep a copy, then remove it")


def _daemon(config: Config) -> Iterator[Finding]:
    try:
        state = control.ask(config.state, {"op": "status"})
    except control.NotRunning as error:
        yield Finding(Level.WRONG, "daemon", str(error))
        return
    yield Finding(Level.GOOD, "daemon", f"runs since {state['since']}, pid {state['pid']}")
    if state["mode"] != "automatic":
        yield Finding(Level.WRONG, "daemon", f"guard-only: {state['journal']['why']}", BY_HAND)
    for name, device in state["devices"].items():
        if not device["online"]:
            yield Finding(Level.WRONG, "device", f"{name} ({device['what']}) is offline: {device['why']}")
    yield from _of_clock(state["clock"])
    yield from _of_disk(state["journal"])


def _of_clock(clock: dict[str, Any]) -> Iterator[Finding]:
    if clock["quality"] == "unset":
        yield Finding(
            Level.WRONG,
            "clock",
            f"nobody vouches for the clock; it says {clock['at']}",
            "reach a time server (timedatectl), or check `date` and say: gated clock accept",
        )
    else:
        yield Finding(Level.GOOD, "clock", f"{clock['at']}, {clock['quality']}")


def _of_disk(journal: dict[str, Any]) -> Iterator[Finding]:
    hours = journal["hours_left"]
    if hours is None:
        return
    level = Level.WRONG if hours < HOURS_LEFT_MIN else Level.GOOD
    do = "make room, or lower journal.keep_days" if level is Level.WRONG else ""
    yield Finding(level, "disk", f"{hours:,} hours left at today's rate", do)


def _journal(config: Config) -> Iterator[Finding]:
    path = config.state / FILE_NAME
    if not path.exists():
        yield Finding(Level.NOTE, "journal", "none yet", "the daemon begins one at its first start")
        return
    try:
        last = journal_read.head(path)
    except journal_read.JournalUnreadable as error:
        yield Finding(Level.WRONG, "journal", str(error))
        return
    size = path.stat().st_size
    each = journal_read.bytes_per_event(size, last)
    yield Finding(Level.GOOD, "journal", f"{last:,} events, {size // 1024:,} KiB, {each:.0f} bytes an event")
    yield Finding(Level.NOTE, "journal", "whether it is whole, says: gated journal verify")
    yield Finding(Level.NOTE, "by hand", BY_HAND)


def _sqlite(_: Config) -> Iterator[Finding]:
    version = sqlite3.sqlite_version_info
    first, last = _WAL_RESET
    if first <= version <= last and version not in _WAL_RESET_FIXED:
        found = (
            f"{sqlite3.sqlite_version} has the WAL-reset bug (a checkpoint beside a write can lose pages); "
            "one connection writes and checkpoints here, which keeps clear of it"
        )
        yield Finding(Level.NOTE, "sqlite", found, "let no other program write to the journal")
    else:
        yield Finding(Level.GOOD, "sqlite", sqlite3.sqlite_version)


def _list(config: Config) -> Iterator[Finding]:
    if not config.state.is_dir():
        return
    held = Whitelist(config.state)
    info, trouble = held.info, held.trouble
    held.close()
    if trouble:
        yield Finding(Level.WRONG, "list", trouble, "load it again: gated list load FILE")
    if info is None:
        yield Finding(Level.WRONG, "list", "none: everybody is flagged unknown", "gated list load FILE")
        return
    age = datetime.now(config.zone) - datetime.fromisoformat(info.loaded_at)
    level = Level.NOTE if age > LIST_AGE_MAX else Level.GOOD
    yield Finding(level, "list", f"{info.entries:,} entries, {age.days} days old, {info.version}")


def _clock(config: Config) -> Iterator[Finding]:
    if not any(Path(folder).is_dir() for folder in TZPATH):
        yield Finding(Level.NOTE, "time zone", "this box has no time zone data; the one that came with gated is used")
    yield Finding(Level.GOOD, "time zone", config.timezone)
    remembered = machine_clock.recall(config.state)
    if remembered.floor:
        floor = datetime.fromtimestamp(remembered.floor, config.zone).isoformat(timespec="seconds")
        yield Finding(Level.NOTE, "clock", f"it is not earlier than {floor}: the floor from the last life")


def _ports(config: Config) -> Iterator[Finding]:
    paths = {str(getattr(device.options, "port", "")) for lane in config.lanes.values() for _, device in lane.devices}
    for path in sorted(path for path in paths if path.startswith("/") and os.path.exists(path)):  # noqa: PTH110
        if os.access(path, os.R_OK | os.W_OK):
            yield Finding(Level.GOOD, "port", path)
            continue
        group = grp.getgrgid(os.stat(path).st_gid).gr_name  # noqa: PTH116
        yield Finding(Level.WRONG, "port", f"{path} may not be opened", f"sudo usermod -aG {group} gated, then restart")


def _service(_: Config) -> Iterator[Finding]:
    if UNIT.exists() or Path("/usr/lib/systemd/system/gated.service").exists():
        yield Finding(Level.GOOD, "service", "the unit is installed")
    else:
        yield Finding(Level.NOTE, "service", "no unit is installed", "see docs/install.md")


def _memory(_: Config) -> Iterator[Finding]:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0])
    if free < MEMORY_MIN_KB:
        yield Finding(Level.WRONG, "memory", f"{free // 1024} MiB available", "end what else runs on this box")
    else:
        yield Finding(Level.GOOD, "memory", f"{free // 1024:,} MiB available")
