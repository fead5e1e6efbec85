"""NFC readers by nfcpy (the extra `nfc`): PN532 on a serial line, ACR122U and others on USB.

- What nfcpy does it does waiting, so each connection has a thread of its own (`drivers.nfc_frontend`), never two on one
  reader. The loop looks after it: a thread that has said nothing for `SILENCE_S` hangs, and the reader is offline.
- At the end nobody waits for a thread longer than `END_S`: it closes the reader when it can, or dies with the process.
- The loop is woken once for all that has gathered until it hears, however fast a thread talks.
"""

import asyncio
import contextlib
import math
import re
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Final, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drivers import nfc_usb
from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.port import About, Condition, Quiet, Signal
from drivers.records import Prove, Records
from drivers.registry import Driver, Ports, Role
from protocol.sighting import Sighting

SILENCE_S: Final = 2.5
OPEN_S: Final = 10.0  # a Raspberry Pi's USB may take more than a second for the first byte, and the speed is tried out
END_S: Final = 0.5
REPORTS_MAX: Final = 256

_MISSING: Final = 'the library for NFC readers is not installed: in its environment, pip install "gated[nfc]"'
_PORT: Final = re.compile(
    rf"tty:[A-Za-z0-9-]+:(?:pn532|arygon)|{nfc_usb.PATTERN}|udp:[A-Za-z0-9.-]+:[0-9]{{1,5}}|/[A-Za-z0-9/_.:+-]+"
)


def checked(port: str) -> str:
    """`port` as it is. Raises ValueError, with what would be right, where it is none."""
    if not _PORT.fullmatch(port):
        raise ValueError(
            f"{port!r} is no port of an NFC reader: /dev/serial/by-id/… or tty:USB0:pn532 (a PN532 on a serial line), "
            "usb:072f:2200 (maker and model) or usb:1-1.4 (the socket) would be right"
        )
    return port


class Options(BaseModel):
    """Options of an NFC reader."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: Annotated[str, AfterValidator(checked)] = Field(
        description="where the reader is: /dev/serial/by-id/…, tty:USB0:pn532, usb:072f:2200, usb:1-1.4"
    )


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


class NfcReader:
    """An NFC reader: it says what it is (`drivers.port.Telling`), and shows signals if it has a lamp (`Indicator`)."""

    def __init__(self, name: str, options: Options, prove: Prove, rand: Callable[[], float]) -> None:
        self.about = About()
        self.last_heard: float | None = None
        self._name = name
        self._prove = prove
        self._opener = FrontendOpener(options.port, self._in_thread)
        self._rand = rand
        self._link: FrontendLink | None = None

    async def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        try:
            async with aclosing(keep(self._opener, self._watch, self._rand)) as reports:
                async for report in reports:
                    yield report
        finally:
            await self._opener.ended()

    def show(self, signal: Signal) -> None:
        """See `drivers.port.Indicator`."""
        if self._link is not None:
            self._link.show(signal)

    async def _watch(self, opened: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        self._link = link = cast("FrontendLink", opened)  # our opener opens no other
        self.about = link.about
        try:
            yield Condition(True)
            while (left := link.hangs_in(time.monotonic())) > 0:
                sightings = await link.taken(min(STEP_S, left))
                self.last_heard = link.heard or self.last_heard
                for sighting in sightings:
                    yield sighting
                yield Quiet()
            raise LinkLost(hanging(link.port))
        finally:
            self._link = None

    def _in_thread(self, link: FrontendLink) -> None:
        try:
            from drivers.nfc_frontend import serve  # noqa: PLC0415 - an extra, of 12 MB and 0.2 s
        except ImportError as error:
            raise LinkLost(_MISSING) from error
        serve(link, self._name, self._prove)


def hanging(port: str) -> str:
    """What is said of a reader that answers no more."""
    return f"{port}: the reader does not answer; check its power and cable, or pull it out and plug it in again"


def make(name: str, options: Options, ports: Ports) -> NfcReader:
    """The reader `name`."""
    return NfcReader(name, options, Records.of(ports).prove, ports.rand)


DRIVER: Final = Driver("nfc", Role.READER, Options, make)
