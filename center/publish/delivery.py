"""Making the broker hold what the repository says: one round, over a connection that there is.

Rounds of several processes (the center, a `gatectl flash`) take turns, so that an older state never overwrites a newer
one. Reading and hashing a list happens in a thread: whoever shares the loop goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from center.broker import BrokerAwayError, Link
from center.publish.opened import alone
from center.publish.repository import Repository
from center.publish.retained import Due, Retained, meaning
from center.site.files import SiteError

WINDOW: Final = 8
"""Messages under way at a time: 512 KiB of pieces."""
LOCK: Final = ".publishing"
TURN_S: Final = 60.0
_POLL_S: Final = 0.05

Progress = Callable[[int, int], None]
"""Told after each message: bytes that the broker has, of so many."""


async def deliver(
    link: Link, repository: Repository, retained: Retained, folder: Path, progress: Progress = lambda *_: None
) -> int:
    """Say what is still to be said; how many bytes. Raises BrokerAwayError, PublishError, SiteError, OSError."""
    async with _turn(folder / LOCK):
        wanted = await asyncio.to_thread(repository.publications)
        due = await asyncio.to_thread(retained.due, wanted)
        if due.length or due.clear:
            await asyncio.to_thread(repository.published, meaning(wanted))
            await _say(link, due, retained, progress)
            await asyncio.to_thread(repository.published, wanted)
        return due.length


async def _say(link: Link, due: Due, retained: Retained, progress: Progress) -> None:
    done = 0

    async def some(of: list[tuple[str, bytes]]) -> None:
        nonlocal done
        while of:
            topic, payload = of.pop()
            retained.saying(topic, payload)
            await link.publish(topic, payload, retain=True)
            done += len(payload)
            progress(done, due.length)

    async def all_of(step: list[tuple[str, bytes]]) -> None:
        left = step[::-1]
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(WINDOW, len(step))):
                tasks.create_task(some(left), name="publish.some")

    for step in due.steps:
        try:
            # A task of its own: before Python 3.11.4 a group that fails leaves the task around it half cancelled.
            await asyncio.create_task(all_of(step), name="publish.say")
        except BaseExceptionGroup as group:
            away, rest = group.split(BrokerAwayError)
            if away is None or rest is not None:
                raise
            raise away.exceptions[0] from group


@asynccontextmanager
async def _turn(lock: Path) -> AsyncIterator[None]:
    """Alone among all who publish this repository. Raises SiteError where somebody does so for too long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + TURN_S
    while True:
        with alone(lock) as mine:
            if mine:
                yield
                return
        if loop.time() > until:
            raise SiteError(f"another process has been publishing for {TURN_S:g} s; try again when it is done")
        await asyncio.sleep(_POLL_S)
