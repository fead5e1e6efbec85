"""Sightings a second through lane, decision and durable journal, and what a passage costs as the journal grows.

    python -m benchmarks.throughput

In one process: the real post with four lanes, the real list, the real journal on disk; only the relays are missing.
"""

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

import structlog

from benchmarks.latency import percentile
from gated.clock import Remembered, Timekeeper
from gated.lanes.decide import Direction, LaneKind, LaneRule, Policy
from gated.lanes.post import Post
from gated.lists import listload
from gated.lists.whitelist import Whitelist
from gated.machine_clock import MachineClock
from gated.recording.journal import Journal
from protocol.credential import Credential
from protocol.event import Kind
from protocol.sighting import Sighting

LANES: Final = 4
SIGHTINGS: Final = 40_000
AT_ONCE: Final = 64
SMALL: Final = 1_000
LARGE: Final = 1_000_000
COST_ROUNDS: Final = 20
COST_EACH: Final = 200


@dataclass(slots=True)
class Parts:
    """A post without relays, and its journal."""

    post: Post
    journal: Journal
    keeper: Timekeeper


def main(_: list[str]) -> None:
    """Measure and print."""
    print(f"{asyncio.run(sightings_a_second()):,.0f} sightings/s, {LANES} lanes")
    small, large = asyncio.run(costs())
    ratio = percentile(large, 0.5) / percentile(small, 0.5)
    print(f"a passage at {LARGE:,} events costs {ratio:.3f} times one at {SMALL:,} (medians)")


async def sightings_a_second(folder: Path | None = None) -> float:
    """Every sighting a fresh listed person, `AT_ONCE` of them under way."""
    async with _parts(SIGHTINGS, folder) as parts:
        start = time.perf_counter()
        for number in range(SIGHTINGS):
            _see(parts, number)
            if number % AT_ONCE == AT_ONCE - 1:
                await _written(parts, number + 1)
        await _written(parts, SIGHTINGS)
        return SIGHTINGS / (time.perf_counter() - start)


async def costs(folder: Path | None = None) -> tuple[list[float], list[float]]:
    """Seconds of a passage in a small and in a large journal, taken in turn."""
    count = COST_ROUNDS * COST_EACH
    async with _parts(count, folder) as small, _parts(count, folder) as large:
        await _fill(small, SMALL)
        await _fill(large, LARGE)
        took: tuple[list[float], list[float]] = ([], [])
        for round_number in range(COST_ROUNDS):
            for parts, times in zip((small, large), took, strict=True):
                for number in range(round_number * COST_EACH, (round_number + 1) * COST_EACH):
                    start = time.perf_counter()
                    _see(parts, number)
                    await _written(parts, number + 1)
                    times.append(time.perf_counter() - start)
        return took


@asynccontextmanager
async def _parts(count: int, folder: Path | None) -> AsyncIterator[Parts]:
    with tempfile.TemporaryDirectory(prefix="throughput-", dir=folder) as name:
        state = Path(name)
        source = state / "list.jsonl"
        source.write_text("".join(json.dumps({"c": _credential(n), "h": "h"}) + "\n" for n in range(count)))
        listload.load(state, source, lambda *_: None, "2026-11-24T08:00:00Z")
        keeper = Timekeeper(MachineClock("none"), UTC, Remembered())
        whitelist = Whitelist(state)
        log = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr), wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
        )
        async with Journal(state, board="bench", stamp=keeper.stamp) as journal:
            post = Post(journal=journal, keeper=keeper, whitelist=whitelist, policy=Policy({}), log=log)
            for lane in range(LANES):
                post.add(LaneRule(f"lane-{lane}", LaneKind.PERSON, Direction.IN), None, None)
            await journal.opened()
            yield Parts(post, journal, keeper)
        whitelist.close()


def _credential(number: int) -> Credential:
    return Credential(f"em:{number * 2654435761 % (1 << 40):010X}")


def _see(parts: Parts, number: int) -> None:
    lane = f"lane-{number % LANES}"
    parts.post.see(lane, Sighting(f"{lane}/0", _credential(number), time.monotonic()))


async def _written(parts: Parts, count: int) -> None:
    while parts.post.figures.passages < count:  # noqa: ASYNC110 - an event would be a cost of its own
        await asyncio.sleep(0)


async def _fill(parts: Parts, count: int) -> None:
    stamp = parts.keeper.stamp()
    fields = {
        "lane": "lane-0",
        "direction": "in",
        "credential": "em:0000000000",
        "verdict": "admit",
        "holder": "h" * 60,
    }
    for start in range(0, count, 10_000):
        many = [parts.journal.append(Kind.PASSAGE, stamp, fields) for _ in range(start, min(start + 10_000, count))]
        await asyncio.gather(*many)


if __name__ == "__main__":
    main(sys.argv[1:])
