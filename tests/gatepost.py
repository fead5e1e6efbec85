"""A gate post for tests: emulated devices on real ptys and ports, a whitelist, and the real daemon as a process.

Whatever a test waits for is a condition with a limit (`until`); nothing here sleeps to let something happen.
"""

import asyncio
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import PtyHost, TcpHost
from drivers.emulated.lcus import EmulatedLcus
from drivers.emulated.uhf18 import EmulatedUhf18
from gated import control
from gated.demo.day import CAR_LANES
from gated.demo.post import CHANNELS, EmulatedPost
from gated.lists import listload
from gated.recording import journal_read
from gated.recording.journal_read import Verified
from gated.recording.store import FILE_NAME
from protocol.lcus import LcusCodec, Switch

WAIT_S: Final = 30.0
"""How long a condition may take on a machine that has other things to do; no measure of anything."""
STOP_S: Final = 20.0
_POLL_S: Final = 0.01
_LOADED_AT: Final = "2026-11-25T00:00:00+08:00"
_LANES: Final = {channel: lane for lane, channel in CHANNELS.items()}

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """The daemon has told a lane's contact to close, or to stay closed longer. `at` is monotonic seconds."""

    at: float
    lane: str


class Board(EmulatedLcus):
    """The relay board, which also remembers the orders that change nothing because the contact is closed already."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Order] = []
        self.on_order: Callable[[], None] | None = None
        self._heard = LcusCodec()

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        for command in self._heard.feed(data):
            if isinstance(command, Switch) and command.on and command.channel in _LANES:
                self.orders.append(Order(time.monotonic(), _LANES[command.channel]))
                if self.on_order is not None:
                    self.on_order()
        return super().receive(data)


class Devices(EmulatedPost):
    """The demo's post, whose readers are those that it has by default."""

    @property
    def em4100(self) -> EmulatedEm4100:
        """The reader of walk-in."""
        device = self.readers["walk-in"].emulation
        assert isinstance(device, EmulatedEm4100)
        return device

    @property
    def em4100_host(self) -> PtyHost:
        """Its line."""
        host = self.readers["walk-in"].host
        assert isinstance(host, PtyHost)
        return host

    @property
    def walk_out(self) -> EmulatedUhf18:
        """The reader of walk-out."""
        return self._uhf("walk-out")

    @property
    def walk_out_host(self) -> PtyHost | TcpHost:
        """Its line."""
        return self.readers["walk-out"].host

    @property
    def cars(self) -> dict[str, EmulatedUhf18]:
        """The readers of the lanes for vehicles."""
        return {lane: self._uhf(lane) for lane in CAR_LANES}

    def _uhf(self, lane: str) -> EmulatedUhf18:
        device = self.readers[lane].emulation
        assert isinstance(device, EmulatedUhf18)
        return device


class Gatepost:
    """One gate post. Enter it, then `start` the daemon; leaving it kills what still runs.

    `listed` are the credentials of the whitelist; `configure` may change the configuration's text.
    """

    def __init__(self, folder: Path, listed: Iterable[str] = (), configure: Callable[[str], str] = str) -> None:
        self.devices = Devices(folder)
        self.board = Board()
        self.devices.relay = self.board
        self.devices.relay_host = PtyHost(self.board, folder / "relay")
        self.log = folder / "gated.log"
        self.python = sys.executable
        self.program = ["-m", "gated"]
        self.further = 0  # devices beside those of the demo
        self.process: asyncio.subprocess.Process | None = None
        self._spawned: list[asyncio.subprocess.Process] = []
        self._folder = folder
        self._listed = list(listed)
        self._configure = configure

    async def __aenter__(self) -> Self:
        await self.devices.__aenter__()
        try:
            config = self.devices.write_config()
            config.write_text(self._configure(config.read_text()))
            self._load_list()
        except BaseException:
            await self.devices.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for process in self._spawned:
                await _end(process)
        finally:
            await self.devices.__aexit__()

    @property
    def state(self) -> Path:
        """The daemon's state folder."""
        return self.devices.state

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.state / FILE_NAME

    @property
    def uhf(self) -> dict[str, EmulatedUhf18]:
        """The UHF readers by lane."""
        return {"walk-out": self.devices.walk_out, **self.devices.cars}

    async def start(self, *, ready: bool = True) -> None:
        """Start the daemon; with `ready`, return when it answers and all its devices are online."""
        self.process = await self.spawn()
        if ready:
            await self.online()

    async def online(self) -> None:
        """Return when the daemon answers and all its devices are online."""
        await self.until(self._ready, "all devices are online")

    async def spawn(self) -> asyncio.subprocess.Process:
        """A daemon on this post's configuration; its log is added to the same file."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(self.python, *self.program, "run", "-c", str(self.devices.config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},  # as the unit has it
            )
        self._spawned.append(process)
        return process

    async def stop(self) -> int:
        """Ask the daemon to end; its exit status."""
        process, self.process = self.process, None
        assert process is not None
        os.kill(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                return await process.wait()
        except TimeoutError:
            await _end(process)
            raise AssertionError(f"the daemon did not end within {STOP_S:.0f} s\n{self._last_words()}") from None

    async def kill(self) -> None:
        """Kill -9, if it runs."""
        process, self.process = self.process, None
        if process is not None:
            await _end(process)

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal, at once."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    async def until(self, predicate: Callable[[], object], what: str) -> None:
        """Return when the predicate (or what it returns, awaited) holds. Fails with the daemon's last words."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not await self._holds(predicate):  # noqa: ASYNC110 - another process, which sets no Event
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise AssertionError(f"not within {WAIT_S:.0f} s: {what}\n{self._last_words()}") from None

    async def pulses(self, lane: str, number: int) -> None:
        """Return when that lane's contact has closed that many times in all."""
        await self.until(lambda: self.pulsed(lane) >= number, f"{number} pulses at {lane}")

    async def ordered(self, lane: str, number: int) -> None:
        """Return when that lane's contact has been told that many times in all to close."""
        await self.until(lambda: self.orders(lane) >= number, f"{number} orders at {lane}")

    def pulsed(self, lane: str) -> int:
        """How often that lane's contact has closed."""
        return sum(on and channel == CHANNELS[lane] for _, channel, on in tuple(self.board.changes))

    def orders(self, lane: str) -> int:
        """How often that lane's contact was told to close."""
        return sum(order.lane == lane for order in self.board.orders)

    def events(self, after: int = 0) -> list[Event]:
        """The events in the journal, oldest first."""
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in journal_read.lines(self.journal, after=after)]

    def passages(self, lane: str) -> list[Event]:
        """That lane's passages in the journal, oldest first."""
        return [event for event in self.events() if event["kind"] == "passage" and event["lane"] == lane]

    def verify(self) -> Verified:
        """The journal against its chain."""
        return journal_read.verify(self.journal)

    async def status(self) -> Event:
        """What the daemon says of itself. Raises control.NotRunning."""
        return await asyncio.to_thread(control.ask, self.state, {"op": "status"})

    async def mode(self, wanted: str) -> None:
        """Return when the daemon says that this is its mode: "automatic" or "guard-only"."""

        async def found() -> bool:
            try:
                return bool((await self.status())["mode"] == wanted)
            except control.NotRunning:
                return False

        await self.until(found, f"the mode is {wanted}")

    async def device(self, name: str, *, online: bool) -> None:
        """Return when the daemon says that this device is online, or not."""

        async def found() -> bool:
            return bool((await self.status())["devices"][name]["online"] is online)

        await self.until(found, f"{name} is {'online' if online else 'offline'}")

    def said(self, what: str) -> list[Event]:
        """The daemon's log lines of this name."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [said for said in map(_log_line, lines) if said.get("event") == what]

    def walk_in(self, tag: str) -> None:
        """Hold a tag (10 hex digits) before the walk-in reader for as long as the two frames take that it needs."""
        self.devices.em4100_host.send(self.devices.em4100.frame(tag) * 2)

    async def _holds(self, predicate: Callable[[], object]) -> bool:
        ended = self.process is not None and self.process.returncode is not None
        found = predicate()
        if inspect.isawaitable(found):
            awaited: Awaitable[object] = found
            found = await awaited
        assert found or not ended, f"the daemon has ended\n{self._last_words()}"
        return bool(found)

    async def _ready(self) -> bool:
        try:
            devices = (await self.status())["devices"]
        except control.NotRunning:
            return False
        return len(devices) == self.devices.count + self.further and all(
            device["online"] for device in devices.values()
        )

    def _load_list(self) -> None:
        source = self._folder / "list.jsonl"
        entries = ({"c": credential, "h": f"h{number}"} for number, credential in enumerate(self._listed))
        source.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        if self._listed:
            listload.load(self.state, source, lambda *_: None, _LOADED_AT)

    def _last_words(self) -> str:
        return "".join(self.log.read_text().splitlines(keepends=True)[-20:]) if self.log.exists() else ""


def tags(prefix: str, digits: int = 10) -> Iterable[str]:
    """Tags as hex without end, all different: the prefix, filled up with a number."""
    return (f"{prefix}{number:0{digits - len(prefix)}X}" for number in count(1))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            # Not process.kill(): that looks whether it has ended already, and takes the news from whoever waits.
            os.kill(process.pid, signal.SIGKILL)
    await process.wait()


def _log_line(text: str) -> Event:
    try:
        said = json.loads(text)
    except ValueError:
        return {"event": text}
    return said if isinstance(said, dict) else {"event": text}
