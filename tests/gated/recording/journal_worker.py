"""A process that appends until it is killed, and prints each seq once the journal has said that it is on disk."""

import asyncio
import sys
from pathlib import Path

from gated.recording.journal import Journal
from protocol.event import ClockQuality, Kind, Stamp

STAMP = Stamp("2026-11-24T08:15:02.113+08:00", ClockQuality.SYNCED, "9f2c", 1.5)


async def lane(journal: Journal, number: int) -> None:
    """Appends as fast as the journal allows."""
    while True:
        seq = await journal.append(Kind.PASSAGE, STAMP, {"lane": f"lane-{number}"})
        sys.stdout.write(f"{seq}\n")
        sys.stdout.flush()


async def main() -> None:
    """Four lanes."""
    async with Journal(Path(sys.argv[1]), board="serial:a", stamp=lambda: STAMP) as journal:
        await asyncio.gather(*(lane(journal, number) for number in range(4)))


asyncio.run(main())
