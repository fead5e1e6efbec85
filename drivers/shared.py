"""Readers that share one link: a task holds it while at least one of them is iterated, and each has its own reports."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, Generic, TypeVar

from drivers.link import Link, Opener, keep
from drivers.port import Condition, Quiet
from protocol.sighting import Sighting

WAITING_MAX: Final = 256
"""So many sightings wait for whoever iterates at most; what is seen beyond that is dropped."""

Report = Sighting | Condition | Quiet


class SharedReader:
    """One reader of a shared link: what there is to report, kept while somebody iterates. See `drivers.port.Reader`."""

    def __init__(self, name: str) -> None:
        self.last_heard: float | None = None
        self.name = name
        self.news = asyncio.Event()
        self.waiting: deque[Report] = deque()
        self._condition: Condition | None = None
        self._watched = False

    def say(self, report: Report) -> None:
        """Report it; a condition only where it is another one, and nothing before the first of them."""
        if isinstance(report, Condition):
            if report == self._condition:
                return
            self._condition = report
            if not report.online:  # what was seen before and not taken does not count after it
                self.waiting = deque(one for one in self.waiting if isinstance(one, Condition))
        elif self._condition is None or len(self.waiting) >= WAITING_MAX:
            return
        if self._watched:
            self.waiting.append(report)
            self.news.set()

    def watch(self, *, watched: bool) -> None:
        """Begin to keep what is said, with what is the case now; or stop it."""
        self._watched = watched
        self.waiting.clear()
        if watched and self._condition is not None:
            self.waiting.append(self._condition)

    def forget(self) -> None:
        """Nothing is known any more, as the link is closed."""
        self._condition = None


R = TypeVar("R", bound=SharedReader)


class SharedLink(Generic[R]):
    """The link of `readers`. What is said over it is `_serve`, by the rules of `drivers.link.keep`."""

    def __init__(self, opener: Opener, rand: Callable[[], float]) -> None:
        self.readers: list[R] = []
        self._opener = opener
        self._rand = rand
        self._watched: set[R] = set()
        self._task: asyncio.Task[None] | None = None

    async def watch(self, reader: R) -> AsyncGenerator[Report, None]:
        """The reports of one reader."""
        self._watched.add(reader)
        reader.watch(watched=True)
        try:
            while True:
                task = self._running()
                if not reader.waiting:
                    await reader.news.wait()
                reader.news.clear()
                if task.done():
                    task.result()  # what broke the task, broken here
                while reader.waiting:
                    yield reader.waiting.popleft()
        finally:
            self._watched.discard(reader)
            reader.watch(watched=False)
            if not self._watched:
                await self._stop()

    def _serve(self, link: Link) -> AsyncGenerator[Condition | Quiet, None]:
        """Run one link, and tell each reader what is its own."""
        raise NotImplementedError

    def _told(self, report: Condition | Quiet) -> None:
        """What there is to say of the link: for all readers. That it is there means no more to them than `Quiet`."""
        for reader in self.readers:
            reader.say(Quiet() if report == Condition(True) else report)

    def _running(self) -> asyncio.Task[None]:
        """The task that holds the link."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"shared[{self._opener.port}]")
            self._task.add_done_callback(lambda _: self._wake())
        return self._task

    def _wake(self) -> None:
        for reader in self._watched:
            reader.news.set()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        for reader in self.readers:
            reader.forget()

    async def _run(self) -> None:
        async with aclosing(keep(self._opener, self._serve, self._rand)) as reports:
            async for report in reports:
                self._told(report)
