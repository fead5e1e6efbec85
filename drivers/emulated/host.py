"""Puts an emulated device on a line: a new pty, a TCP server or a UDP port on the loopback address.

All can be unplugged and plugged in again. A pty then has another name, so a symlink may stand for it, as
/dev/serial/by-id does for a real device; the TCP server and the UDP port keep their number.
"""

import asyncio
import contextlib
import os
import termios
import tty
from pathlib import Path
from typing import Any, Final, Protocol, Self, cast, runtime_checkable

_CHUNK_BYTES: Final = 4096
_SPEED: Final = 5  # where tcgetattr keeps the output's


class Device(Protocol):
    """The device's side of a line, without I/O."""

    def receive(self, data: bytes) -> bytes:
        """Take the host's bytes; the device's answer, b"" for none."""
        ...


@runtime_checkable
class Greeting(Protocol):
    """A device that speaks first on each connection, and may turn a host away."""

    def connected(self) -> tuple[bytes, bool]:
        """A host has connected: what to say to it, and whether it may stay."""
        ...

    def disconnected(self) -> None:
        """The host that stayed is gone."""
        ...


class Datagrams(Protocol):
    """A device that is asked and answers by datagrams, without I/O."""

    def datagram(self, data: bytes) -> bytes | None:
        """Take the host's datagram; the answer, None for none."""
        ...


class Host(Protocol):
    """A line with a device on it, for devices that speak unasked."""

    def send(self, data: bytes) -> None:
        """Send bytes to the host."""
        ...


class PtyHost:
    """A device on a pty. `port` is what goes into the configuration: `link`, where given, else the pty's own name."""

    def __init__(self, device: Device, link: Path | None = None) -> None:
        self.port = str(link or "")
        self._device = device
        self._link = link
        self._fds: tuple[int, int] | None = None  # the other end stays open here: else a line nobody holds is an error

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()

    @property
    def baud(self) -> int:
        """The code of the speed that the host has set (`termios.B115200`); 0 while the device is unplugged."""
        return int(termios.tcgetattr(self._fds[1])[_SPEED]) if self._fds is not None else 0

    async def plug(self) -> None:
        """Plug the device in, if it is not."""
        if self._fds is not None:
            return
        line, end = os.openpty()
        tty.setraw(end)
        os.set_blocking(line, False)
        self._fds = line, end
        asyncio.get_running_loop().add_reader(line, self._readable, line)
        name = os.ttyname(end)
        if self._link is None:
            self.port = name
            return
        fresh = self._link.with_name(f".{self._link.name}.new")
        fresh.symlink_to(name)
        fresh.replace(self._link)

    def unplug(self) -> None:
        """Pull the device out, if it is in."""
        if self._fds is None:
            return
        line, end = self._fds
        self._fds = None
        asyncio.get_running_loop().remove_reader(line)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        os.close(end)
        os.close(line)

    def send(self, data: bytes) -> None:
        """Send bytes to the host. Lost where the device is not plugged in, or nobody has read for long."""
        if self._fds is not None and data:
            with contextlib.suppress(BlockingIOError):
                os.write(self._fds[0], data)

    def _readable(self, line: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self.send(self._device.receive(os.read(line, _CHUNK_BYTES)))


class TcpHost:
    """A device behind a TCP server. `port` is what goes into the configuration; `number` 0 takes any free TCP port."""

    def __init__(self, device: Device, number: int = 0) -> None:
        self.port = ""
        self._device = device
        self._number = number
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Transport] = set()

    @property
    def connected(self) -> int:
        """How many hosts are connected."""
        return len(self._lines)

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        await asyncio.sleep(0)  # aborted transports end in the loop's next turn

    async def plug(self) -> None:
        """Listen, if it does not."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Line(self._device, self._lines), "127.0.0.1", self._number)
            self._number = self._server.sockets[0].getsockname()[1]
            self.port = f"socket://127.0.0.1:{self._number}"

    def unplug(self) -> None:
        """Close all connections and listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for line in tuple(self._lines):
            line.abort()

    def send(self, data: bytes) -> None:
        """Send bytes to all hosts that are connected."""
        for line in self._lines:
            line.write(data)


class _Line(asyncio.Protocol):
    """One connection of a TcpHost."""

    def __init__(self, device: Device, lines: set[asyncio.Transport]) -> None:
        self._device = device
        self._lines = lines
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            return
        hello, stays = self._device.connected() if isinstance(self._device, Greeting) else (b"", True)
        transport.write(hello)
        if not stays:
            transport.close()
            return
        self._transport = transport
        self._lines.add(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(self._device.receive(data))

    def connection_lost(self, _: Exception | None) -> None:
        if self._transport is not None:
            self._lines.discard(self._transport)
            if isinstance(self._device, Greeting):
                self._device.disconnected()


class UdpHost:
    """A device at a UDP port. `port` is what goes into the configuration; `number` 0 takes any free UDP port."""

    def __init__(self, device: Datagrams, number: int = 0) -> None:
        self.port = ""
        self._device = device
        self._number = number
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        await asyncio.sleep(0)  # as with TCP

    async def plug(self) -> None:
        """Listen, if it does not."""
        if self._transport is None:
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Datagrams(self._device), ("127.0.0.1", self._number)
            )
            self._number = self._transport.get_extra_info("sockname")[1]
            self.port = f"udp:127.0.0.1:{self._number}"

    def unplug(self) -> None:
        """Listen no more."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def send(self, data: bytes) -> None:
        """Nothing: such a device speaks only when it is asked."""


class _Datagrams(asyncio.DatagramProtocol):
    """The port of a UdpHost."""

    def __init__(self, device: Datagrams) -> None:
        self._device = device
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # asyncio's own is none by its type

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        answer = self._device.datagram(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
