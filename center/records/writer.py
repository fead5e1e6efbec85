"""The one thread that writes, as seen from the event loop: the store in it, and patience while the database is away.

That it was away is the first thing written when it is back: an alarm, for those who do not read logs.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, Final, ParamSpec, TypeVar

from structlog.typing import FilteringBoundLogger

from center.records.alarms import DATABASE
from center.records.database import DatabaseAwayError
from center.records.store import Store

RETRY_FIRST_S: Final = 0.2
RETRY_MAX_S: Final = 5.0

P = ParamSpec("P")
T = TypeVar("T")


class StoppingError(Exception):
    """The worker is told to stop: what was to be written is not, and nobody was told that it is."""


class Writer:
    """Runs work on the store, one at a time, in a thread of its own."""

    def __init__(self, opened: Callable[[], Store], log: FilteringBoundLogger) -> None:
        self._opened = opened
        self._log = log
        self._thread = ThreadPoolExecutor(1, "writer")
        self._store: Store | None = None
        self._stopping = asyncio.Event()
        self._away = ""
        self.back_at = 0.0
        """When the database was last back after being away (POSIX s)."""

    async def once(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do this work. Raises DatabaseAwayError."""

        def run() -> T:
            if self._store is None:
                self._store = self._opened()
            if self._away:
                why = f"the database could not be reached or written: {self._away}"
                self._store.alarm_of_site(DATABASE, [why], time.time())
            return work(self._store, *args, **kwargs)

        try:
            result = await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except DatabaseAwayError as error:
            if not self._away:
                self._log.error("database.away", why=str(error))
            self._away = self._away or str(error)
            raise
        if self._away:
            self._log.info("database.back")
            self.back_at = time.time()
        self._away = ""
        return result

    async def until_done(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do this work, again and again until the database takes it. Raises StoppingError once told to stop."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                return await self.once(work, *args, **kwargs)
            except DatabaseAwayError:
                if await self._stopped_within(pause_s):
                    raise StoppingError from None
                pause_s = min(pause_s * 2, RETRY_MAX_S)

    def stop(self) -> None:
        """Try nothing again from now on."""
        self._stopping.set()

    async def close(self) -> None:
        """Close the store, after whatever is under way."""

        def run() -> None:
            if self._store is not None:
                self._store.close()

        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except DatabaseAwayError as error:
            self._log.warning("database.not-closed", why=str(error))
        self._thread.shutdown(wait=False)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True
