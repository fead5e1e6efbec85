"""The clocks of this machine, and the word of its time service.

The service sandbox keeps `adjtimex` from us, so a time service is asked in its own way: systemd-timesyncd touches a
file at each answer of its server, chrony is asked with `chronyc`. The word of either counts while it is fresh: one that
has lost its servers goes on saying that all is well. The boot id comes from the unit (`GATED_BOOT_ID`), since
/proc/sys is hidden there, else from the kernel.
"""

import asyncio
import json
import math
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

from gated.clock import Remembered
from gated.recording import durable

TimeService = Literal["auto", "timesyncd", "chrony", "none"]
TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
CHRONY: Final = Path("/run/chrony")
FRESH_S: Final = 3 * 2048.0  # three of timesyncd's longest poll intervals (timesyncd.conf(5), PollIntervalMaxSec)
CHRONY_FRESH_S: Final = 10 * 1024.0
"""Ten of chrony's longest poll intervals (chrony.conf(5), maxpoll 10): it throws single answers away as too slow."""
ASK_S: Final = 10.0
_CHRONYC_S: Final = 5.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
# The columns of `chronyc -c tracking` (chronyc(1)): whom the clock follows, when that one was last heard (POSIX s) …
_REFERENCE_FIELD: Final = 0
_REF_TIME_FIELD: Final = 3
_LEAP_FIELD: Final = 13  # … and Normal, Insert second, Delete second, Not synchronised
_ITSELF: Final = "7F7F0101"  # the directive `local`: chrony follows nobody but its own clock
_FILE: Final = "clock.json"
_YEAR_9999: Final = 253_370_764_800.0


class MachineClock:
    """The clocks of this machine. `ask` is to be called each `ASK_S`; in between, `synced` is what it found."""

    def __init__(self, service: TimeService = "auto", timesyncd: Path = TIMESYNCD, chrony: Path = CHRONY) -> None:
        self.boot = boot_id()
        self._service = service
        self._timesyncd = timesyncd
        self._chrony = chrony
        self._synced = self._timesyncd_says()

    def wall(self) -> float:
        """POSIX seconds."""
        return time.time()

    def mono(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def synced(self) -> bool:
        """What the time service said when last asked."""
        return self._synced

    async def ask(self) -> None:
        """Ask the time service."""
        self._synced = self._timesyncd_says() or await self._chrony_says()

    def _timesyncd_says(self) -> bool:
        if self._service not in {"auto", "timesyncd"}:
            return False
        try:
            touched = self._timesyncd.stat().st_mtime
        except OSError:
            return False
        return abs(self.wall() - touched) <= FRESH_S

    async def _chrony_says(self) -> bool:
        if self._service not in {"auto", "chrony"} or not self._chrony.is_dir():
            return False
        try:
            process = await asyncio.create_subprocess_exec(
                *("chronyc", "-c", "tracking"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            return False
        try:
            async with asyncio.timeout(_CHRONYC_S):
                out, _ = await process.communicate()
        except TimeoutError:
            return False
        finally:
            if process.returncode is None:  # it hangs, or we are to end: it must not stay behind
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return process.returncode == 0 and _tracks(out.decode(errors="replace"), self.wall())


def _tracks(tracking: str, wall: float) -> bool:
    """Whether this word of chrony means that the wall clock is right."""
    fields = tracking.strip().split(",")
    if len(fields) <= _LEAP_FIELD or fields[_LEAP_FIELD] == "Not synchronised" or fields[_REFERENCE_FIELD] == _ITSELF:
        return False
    try:
        return abs(wall - float(fields[_REF_TIME_FIELD])) <= CHRONY_FRESH_S
    except ValueError:
        return False


def boot_id() -> str:
    """This boot's id, shortened: it only has to differ from the boots around it."""
    text = os.environ.get("GATED_BOOT_ID", "")
    if not text:
        try:
            text = _BOOT_ID.read_text()
        except OSError:
            text = ""
    return text.strip().replace("-", "")[:12] or "unknown"


def recall(folder: Path) -> Remembered:
    """What the last life knew of the clock; nothing where it left no word or a broken one."""
    try:
        found = json.loads((folder / _FILE).read_bytes())
        floor, mono = float(found["floor"]), float(found["mono"])
        if not 0.0 <= floor < _YEAR_9999 or not math.isfinite(mono):
            return Remembered()  # a floor that no calendar has would stop every decision
        return Remembered(floor, mono, str(found["boot"]), found["synced"] is True)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return Remembered()


def remember(folder: Path, remembered: Remembered) -> None:
    """Leave word for the next life. Raises OSError where the disk cannot be written."""
    durable.write(folder / _FILE, json.dumps(asdict(remembered)).encode())
