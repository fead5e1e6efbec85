"""What the tests of drivers share: emulated devices on every kind of line, and a driver's reports as they come."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self, cast

import serial
from serial.rfc2217 import PortManager

from drivers.emulated.host import Device, Greeting, PtyHost, TcpHost
from drivers.port import Condition, Input, Output, Quiet, Reader
from drivers.registry import Ports, Role, driver

PATIENCE_S = 15.0
LUMP_S = 0.04
"""Later than this a device's answer would not count with some drivers."""


class Host(Protocol):
    """A device on a line."""

    @property
    def port(self) -> str:
        """What goes into the configuration."""
        ...

    def send(self, data: bytes) -> None:
        """Send bytes to the daemon."""
        ...

    def unplug(self) -> None:
        """End the line."""
        ...

    async def plug(self) -> None:
        """Begin it again."""
        ...


class Wire(asyncio.Protocol):
    """One connection, as a callback and a transport."""

    def __init__(self, made: Callable[[asyncio.Transport], Callable[[bytes], None]]) -> None:
        self._made = made
        self._take: Callable[[bytes], None] = lambda _: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._take = self._made(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._take(data)


class Rfc2217Host:
    """A device behind a serial server that speaks RFC 2217."""

    def __init__(self, device: Device) -> None:
        self.port = ""
        self._device = device
        self._number = 0
        self._server: asyncio.Server | None = None
        self._lines: list[tuple[asyncio.Transport, PortManager]] = []

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        await asyncio.sleep(0)

    async def plug(self) -> None:
        """See Host."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Wire(self._made), "127.0.0.1", self._number
        )
        self._number = self._server.sockets[0].getsockname()[1]
        self.port = f"rfc2217://127.0.0.1:{self._number}"

    def unplug(self) -> None:
        """See Host."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport, _ in self._lines:
            transport.abort()
        self._lines.clear()

    def send(self, data: bytes) -> None:
        """See Host."""
        for transport, manager in self._lines:
            transport.write(b"".join(manager.escape(data)))

    def _made(self, transport: asyncio.Transport) -> Callable[[bytes], None]:
        manager = PortManager(cast("Any", serial.serial_for_url("loop://")), cast("Any", transport))
        self._lines.append((transport, manager))

        def take(data: bytes) -> None:
            answer = self._device.receive(b"".join(manager.filter(data)))
            transport.write(b"".join(manager.escape(answer)))

        return take


class CallingHost:
    """A device that connects to the daemon and pushes."""

    def __init__(self, device: Device) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._number = probe.getsockname()[1]
        self.port = f"listen://127.0.0.1:{self._number}"
        self._device = device
        self._calling: asyncio.Task[None] | None = None
        self._line: asyncio.Transport | None = None

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        await asyncio.sleep(0)

    async def plug(self) -> None:
        """See Host."""
        self._calling = asyncio.create_task(self._call())

    def unplug(self) -> None:
        """See Host."""
        if self._calling is not None:
            self._calling.cancel()
        if self._line is not None:
            self._line.abort()
            self._line = None
            if isinstance(self._device, Greeting):
                self._device.disconnected()

    def send(self, data: bytes) -> None:
        """See Host."""
        assert self._line is not None
        self._line.write(data)

    async def _call(self) -> None:
        while self._line is None:
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().create_connection(lambda: Wire(self._made), "127.0.0.1", self._number)
            await asyncio.sleep(0.02)

    def _made(self, transport: asyncio.Transport) -> Callable[[bytes], None]:
        self._line = transport
        if isinstance(self._device, Greeting):
            transport.write(self._device.connected()[0])
        return lambda data: transport.write(self._device.receive(data))


def hosted(kind: str, device: Device, folder: Path) -> AbstractAsyncContextManager[Host]:
    """The device on a line of this kind."""
    if kind == "pty":
        return PtyHost(device, folder / "by-id")
    kinds: dict[str, Callable[[Device], AbstractAsyncContextManager[Host]]] = {
        "tcp": TcpHost,
        "rfc2217": Rfc2217Host,
        "listen": CallingHost,
    }
    return kinds[kind](device)


def made(role: Role, name: str, place: str, ports: Ports | None = None, **options: object) -> Any:
    """A driver's device at a place, with these options."""
    found = driver(name, role)
    return found.make("lane.reader", found.options(**{found.place: place}, **options), ports or Ports(lambda: 0.0))


class Watch:
    """A driver's reports, as they come."""

    def __init__(self) -> None:
        self.reports: list[object] = []
        self.task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def until(self, wanted: Callable[[Any], bool], start: int = 0) -> Any:
        """The first report from number `start` on that is wanted, waited for."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._news.clear()
                for report in self.reports[start:]:
                    if wanted(report):
                        return report
                if self.task is not None and self.task.done():
                    self.task.result()
                await self._news.wait()

    async def online(self, start: int = 0) -> None:
        """Wait for Condition(True)."""
        await self.until(lambda report: report == Condition(True), start)

    async def offline(self, start: int = 0) -> str:
        """Wait for an offline condition; its reason."""
        condition = await self.until(lambda report: isinstance(report, Condition) and not report.online, start)
        return str(condition.why)

    @property
    def here(self) -> int:
        """Where the next report will stand."""
        return len(self.reports)

    @property
    def conditions(self) -> list[Condition]:
        """All conditions so far."""
        return [report for report in self.reports if isinstance(report, Condition)]

    def of(self, kind: type) -> list[Any]:
        """All reports of a kind so far."""
        return [report for report in self.reports if isinstance(report, kind)]

    async def run(self, device: Reader | Output | Input) -> None:
        """Take the reports until cancelled."""
        reports = cast("AsyncGenerator[object, None]", device.reports())
        try:
            async with aclosing(reports):
                async for report in reports:
                    self.reports.append(report)
                    self._news.set()
        finally:
            self._news.set()


@asynccontextmanager
async def watching(device: Reader | Output | Input) -> AsyncIterator[Watch]:
    """Iterate a device in a task, for the length of the block. Checks the rules that hold for every report."""
    watch = Watch()
    watch.task = asyncio.create_task(watch.run(device))
    try:
        yield watch
    finally:
        watch.task.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({watch.task})
        if not watch.task.cancelled():
            watch.task.result()
    assert not watch.reports or isinstance(watch.reports[0], Condition)
    assert all(one != other for one, other in zip(watch.conditions, watch.conditions[1:], strict=False))
    assert all(bool(condition.why) != condition.online for condition in watch.conditions)
    assert not watch.reports or Quiet() not in watch.reports[:1]


@asynccontextmanager
async def babbling(host: Host) -> AsyncIterator[None]:
    """Something is on the line that never stops, and says nothing that anybody understands."""

    async def babble() -> None:
        while True:
            host.send(b"\xfe\x00\xf8garbage\xe0")
            await asyncio.sleep(0.005)

    task = asyncio.create_task(babble())
    try:
        yield
    finally:
        task.cancel()


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - conditions of any kind, with no event to wait for
            await asyncio.sleep(0.005)


class Nobody:
    """A device that says nothing."""

    def receive(self, data: bytes) -> bytes:  # noqa: ARG002 - nothing is done with it
        """See Device."""
        return b""


class Way(StrEnum):
    """What a hostile line does to what a device says."""

    CRUMBS = "a byte at a time"
    LUMPS = "late, and much at once"
    ECHO = "behind an echo of what it was sent"


class Hostile:
    """A line that passes on what its device says in some `way`, or is torn after so many bytes, whoever said them.

    What was still to be said when it was torn comes first on the next line.
    """

    def __init__(self, kind: str, device: Device, folder: Path, way: Way | None = None) -> None:
        self.torn = asyncio.Event()
        self.passed = 0
        self._device = device
        self._host = hosted(kind, self, folder)
        self._line: Host | None = None
        self._way = way
        self._left: int | None = None
        self._rest = b""
        self._waiting = b""
        self._more = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._line = await self._host.__aenter__()
        self._pump = asyncio.create_task(self._pass_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pump is not None:
            self._pump.cancel()
        await self._host.__aexit__(None, None, None)

    @property
    def port(self) -> str:
        """See Host."""
        return self._host_line.port

    def take(self, device: Device, way: Way | None = None) -> None:
        """Have another device at the end, and do this to what it says."""
        self._device, self._way = device, way

    def unplug(self) -> None:
        """See Host."""
        self._host_line.unplug()

    async def plug(self) -> None:
        """See Host."""
        await self._host_line.plug()

    def tear_after(self, count: int | None) -> None:
        """Let the next line last for so many bytes; None: for ever."""
        self.torn.clear()
        self.passed, self._left = 0, count

    def send(self, data: bytes) -> None:
        """See Host."""
        self._waiting += self._through(data)
        self._more.set()

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        rest, self._rest = self._rest, b""
        self.send(rest)
        heard = self._through(data)
        self.send((heard if self._way is Way.ECHO else b"") + self._device.receive(heard))
        return b""

    def connected(self) -> tuple[bytes, bool]:
        """See Greeting."""
        hello, stays = self._device.connected() if isinstance(self._device, Greeting) else (b"", True)
        rest, self._rest = self._rest, b""
        self.send(hello + rest)
        return b"", stays

    def disconnected(self) -> None:
        """See Greeting."""
        if isinstance(self._device, Greeting):
            self._device.disconnected()

    @property
    def _host_line(self) -> Host:
        assert self._line is not None
        return self._line

    def _through(self, data: bytes) -> bytes:
        """What of it gets through before the line is torn."""
        if self._left is None:
            self.passed += len(data)
            return data
        through, self._rest = data[: self._left], data[self._left :]
        self.passed += len(through)
        self._left -= len(through)
        if self._left == 0 and not self.torn.is_set():
            self.torn.set()
        return through

    async def _pass_on(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            if self._way is Way.LUMPS:
                await asyncio.sleep(LUMP_S)
            size = 1 if self._way is Way.CRUMBS else len(self._waiting)
            while self._waiting:
                part, self._waiting = self._waiting[:size], self._waiting[size:]
                self._host_line.send(part)
                await asyncio.sleep(0)  # the driver reads it before there is more
