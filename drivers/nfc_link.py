"""One connection to an NFC reader, whose thread waits where nfcpy waits, and what opens one after the other.

- Never two threads are on one reader. The loop looks after the thread: one that has said nothing for `SILENCE_S` hangs.
- At the end nobody waits for a thread longer than `END_S`: it closes the reader when it can, or dies with the process.
- The loop is woken once for all that has gathered until it hears, however fast a thread talks.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drivers.link import Link, LinkLost
from drivers.port import About, Signal
from protocol.sighting import Sighting

SILENCE_S: Final = 2.5
OPEN_S: Final = 10.0  # a Raspberry Pi's USB may take more than a second for the first byte, and the speed is tried out
END_S: Final = 0.5
REPORTS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Opened:
    """A thread has opened its reader, which says of itself: `about`."""

    about: About


@dataclass(frozen=True, slots=True)
class Ended:
    """A thread has done its last. `error` is LinkLost for what became of the reader, else a fault of ours."""

    error: BaseException


class FrontendLink(Link):
    """One connection to a reader. Its thread runs `serve`, which calls what stands under "in the thread"."""

    def __init__(self, port: str, serve: "Callable[[FrontendLink], None]") -> None:
        super().__init__(port)
        self.about = About()
        self.heard: float | None = None
        self.gone = asyncio.Event()
        self._opened = asyncio.Event()
        self._fault: BaseException | None = None
        self._serve = serve
        self._reports: deque[Sighting | Opened | Ended] = deque()
        self._taken: list[Sighting] = []
        self._woken = False
        self._beat = time.monotonic()
        self._signals: deque[Signal] = deque(maxlen=1)
        self._ending = threading.Event()
        self._attention = threading.Event()
        threading.Thread(target=self._run, name=f"nfc[{port}]", daemon=True).start()

    async def opened(self) -> None:
        """Return when the reader is open. Raises LinkLost where it cannot be had."""
        waiting = asyncio.create_task(self._opened.wait())
        try:
            await asyncio.wait({waiting}, timeout=OPEN_S)
        finally:
            waiting.cancel()
        if not self._opened.is_set():
            raise LinkLost(hanging(self.port))
        if self._lost is not None:
            raise self._fault or LinkLost(self._lost)

    async def taken(self, seconds: float) -> list[Sighting]:
        """What has been read, waited for. Raises LinkLost once there will be no more."""
        if not self._taken:
            try:
                await self.read_within(seconds)
            except LinkLost:
                if self._fault is not None:
                    raise self._fault from None
                if not self._taken:
                    raise
        taken, self._taken = self._taken, []
        return taken

    def hangs_in(self, now: float) -> float:
        """Seconds until the thread counts as hanging."""
        return self._beat + SILENCE_S - now

    def show(self, signal: Signal) -> None:
        """Show this next, in place of what was not shown yet."""
        self._signals.append(signal)
        self._attention.set()

    def _shut(self) -> None:
        self._ending.set()
        self._attention.set()

    def _hear_all(self) -> None:
        self._woken = False  # before the first is taken: what comes after that wakes the loop again
        while self._reports:
            match self._reports.popleft():
                case Sighting() as sighting if len(self._taken) < REPORTS_MAX:
                    self._taken.append(sighting)
                case Opened(about):
                    self.about = about
                    self._opened.set()
                case Ended(error):
                    self._fault = None if isinstance(error, LinkLost) else error
                    self.lose(str(error))
                    self._opened.set()
                    self.gone.set()
        self.nudge()

    # In the thread.

    @property
    def ending(self) -> bool:
        """Whether it is time to close the reader."""
        return self._ending.is_set()

    def ready(self, about: About = About()) -> None:  # noqa: B008 - it is frozen
        """The reader is open."""
        self.beat()
        self._hand_over(Opened(about))

    def beat(self, *, heard: bool = False) -> None:
        """The thread gets on; with `heard` the reader, or a chip, has said something."""
        self._beat = time.monotonic()
        if heard:
            self.heard = self._beat

    def rest(self) -> None:
        """What comes now waits for the disk: until the next beat it is no silence of the reader's."""
        self._beat = math.inf

    def tell(self, sighting: Sighting) -> None:
        """A chip is there. Lost where nobody has taken the last `REPORTS_MAX`: it will be told again."""
        if len(self._reports) < REPORTS_MAX:
            self._hand_over(sighting)

    def pause(self, seconds: float) -> Signal | None:
        """Wait, unless it is time to end, or there is something to show: that."""
        if self._attention.wait(seconds) and not self.ending:
            self._attention.clear()
        return self._signals.pop() if self._signals else None

    def _run(self) -> None:
        try:
            self._serve(self)
        except BaseException as error:  # noqa: BLE001 - the loop raises it, or says what became of the reader
            self._hand_over(Ended(error))
        else:
            self._hand_over(Ended(LinkLost(f"{self.port} was closed")))

    def _hand_over(self, report: Sighting | Opened | Ended) -> None:
        """The loop is woken once for all that gathers until it hears: its pipe is that of signals as well."""
        self._reports.append(report)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # a loop that is gone has nobody left who waits
                self._loop.call_soon_threadsafe(self._hear_all)


class FrontendOpener:
    """Opens one connection after the other, each when the one before is gone."""

    def __init__(self, port: str, serve: Callable[[FrontendLink], None]) -> None:
        self.port = port
        self._serve = serve
        self._last: FrontendLink | None = None

    async def open(self) -> FrontendLink:
        """See Opener."""
        if self._last is not None and not self._last.gone.is_set():
            raise LinkLost(hanging(self.port))
        self._last = FrontendLink(self.port, self._serve)
        try:
            await self._last.opened()
        except BaseException:
            self._last.close()
            raise
        return self._last

    def close(self) -> None:
        """See Opener."""

    async def ended(self) -> None:
        """Return when the last connection's thread is gone, or will not be soon."""
        if self._last is not None:
            gone = asyncio.create_task(self._last.gone.wait())
            try:
                await asyncio.wait({gone}, timeout=END_S)
            finally:
                gone.cancel()


def hanging(port: str) -> str:
    """What is said of a reader that answers no more."""
    return f"{port}: the reader does not answer; check its power and cable, or pull it out and plug it in again"
