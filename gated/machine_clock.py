"""The clocks of this machine, and the word of its time service.

The service sandbox keeps `adjtimex` from us, so a time service is asked in its own way: systemd-timesyncd touches a
file at each answer of its server, chrony is asked with `chronyc`. The boot id comes from the unit
(`GATED_BOOT_ID`), since /proc/sys is hidden there, else from the kernel.
"""

import asyncio
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

from gated import durable
from gated.clock import Remembered

TimeService = Literal["auto", "timesyncd", "chrony", "none"]
TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
FRESH_S: Final = 3 * 2048.0  # three of timesyncd's longest poll intervals (timesyncd.conf(5), PollIntervalMaxSec)
ASK_S: Final = 10.0
_CHRONYC_S: Final = 5.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_LEAP_FIELD: Final = 13  # `chronyc -c tracking`, last column: Normal, Insert second, Delete second, Not synchronised
_FILE: Final = "clock.json"


class MachineClock:
    """The clocks of this machine. `ask` is to be called each `ASK_S`; in between, `synced` is what it found."""

    def __init__(self, service: TimeService = "auto", timesyncd: Path = TIMESYNCD) -> None:
        self.boot = boot_id()
        self._service = service
        self._timesyncd = timesyncd
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
        if self._service not in {"auto", "chrony"} or not _chrony_runs():
            return False
        try:
            async with asyncio.timeout(_CHRONYC_S):
                process = await asyncio.create_subprocess_exec(
                    "chronyc",
                    "-c",
                    "tracking",
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                out, _ = await process.communicate()
        except (OSError, TimeoutError):
            return False
        fields = out.decode(errors="replace").strip().split(",")
        return process.returncode == 0 and len(fields) > _LEAP_FIELD and fields[_LEAP_FIELD] != "Not synchronised"


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
        return Remembered(float(found["floor"]), float(found["mono"]), str(found["boot"]), found["synced"] is True)
    except (OSError, ValueError, KeyError, TypeError):
        return Remembered()


def remember(folder: Path, remembered: Remembered) -> None:
    """Leave word for the next life. Raises OSError where the disk cannot be written."""
    durable.write(folder / _FILE, json.dumps(asdict(remembered)).encode())


def _chrony_runs() -> bool:
    return Path("/run/chrony").is_dir()
