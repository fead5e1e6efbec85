"""What the daemon takes while nobody comes: start, memory, CPU, end.

python -m benchmarks.idle [SECONDS]
"""

import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import box
from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import Host
from gated.demo.post import EmulatedPost
from gated.lists import listload

TAG: Final = "0A00A1B2C3"
SETTLE_S: Final = 5.0
EVERY_S: Final = 0.01
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Idle:
    """Seconds, bytes, and CPU as a share of one core."""

    start_s: float
    stop_s: float
    memory: int
    cpu: float


def measure(seconds: float, folder: Path | None = None) -> Idle:
    """Run a gate of four lanes for so long, with nobody before it."""
    with tempfile.TemporaryDirectory(prefix="idle-", dir=folder) as name:
        return asyncio.run(_measure(seconds, Path(name)))


async def _measure(seconds: float, folder: Path) -> Idle:
    async with EmulatedPost(folder) as post:
        config = post.write_config()
        source = folder / "list.jsonl"
        source.write_text(f'{{"c":"em:{TAG}","h":"h"}}\n')
        listload.load(post.state, source, lambda *_: None, "2026-11-24T08:00:00Z")
        opened = asyncio.Event()
        post.relay.on_change = lambda _, on: opened.set() if on else None
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environ["MALLOC_ARENA_MAX"] = "2"  # as the unit has it
        showing = asyncio.create_task(_show(post.readers["walk-in"].host))
        start = time.monotonic()
        daemon = await asyncio.create_subprocess_exec(
            box.python(), "-m", "gated", "run", "-c", str(config), env=environ, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            await opened.wait()
        started = time.monotonic() - start
        showing.cancel()
        await asyncio.sleep(SETTLE_S)
        before = cpu_seconds(daemon.pid)
        await asyncio.sleep(seconds)
        cpu = (cpu_seconds(daemon.pid) - before) / seconds
        memory = resident(daemon.pid)
        start = time.monotonic()
        daemon.terminate()
        await daemon.wait()
        return Idle(started, time.monotonic() - start, memory, cpu)


async def _show(host: Host) -> None:
    """Hold the tag before the reader, told so often that a start is measured to 10 ms."""
    frame = EmulatedEm4100().frame(TAG)
    while True:
        host.send(frame)
        await asyncio.sleep(EVERY_S)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def resident(pid: int) -> int:
    """Memory that a process holds, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    print(measure(float(sys.argv[1]) if sys.argv[1:] else 60.0))
