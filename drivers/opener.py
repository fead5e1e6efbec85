"""Opens what a `port` names: a device, `socket://`, `rfc2217://`, or `listen://` where the device calls us.

- A device is opened in a thread (a driver in the kernel may take its time) and locked against other processes.
- `socket://` and `listen://` have TCP keepalive: a peer that vanished without a word is noticed within
  half a minute; drivers that can ask notice sooner.
- `listen://` keeps its socket from one link to the next. A device that calls anew is believed, and the link before
  is over: it has restarted, and the old connection would never tell.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import termios
import time
from typing import Final
from urllib.parse import SplitResult, urlsplit

from drivers.link import FdLink, Link, LinkLost, Opener
from drivers.threads import in_thread
from drivers.words import why

CONNECT_TIMEOUT_S: Final = 4.0
LAST_WORDS_S: Final = 0.05
"""How long closing may hold up everything else: 48 bytes at 9600 baud."""
_LOOK_S: Final = 0.001
_KEEPALIVE: Final = (
    (socket.TCP_KEEPIDLE, 10),  # s of silence before the first probe
    (socket.TCP_KEEPINTVL, 5),  # s between probes
    (socket.TCP_KEEPCNT, 3),  # probes without an answer
    (socket.TCP_USER_TIMEOUT, 20_000),  # ms that what we sent may stay unacknowledged
    (socket.TCP_NODELAY, 1),
)
_CC: Final = 6  # where tcgetattr keeps the control characters
_SCHEMES: Final = ("socket", "rfc2217", "listen")


def checked(port: str) -> str:
    """`port` as it is. Raises ValueError, with what would be right, where it is no port."""
    right = (
        f"{port!r} is no port: write a device (/dev/serial/by-id/…), socket://host:port, rfc2217://host:port"
        " or, where the device connects to this machine, listen://0.0.0.0:port"
    )
    if port.startswith("/"):
        if port.strip() != port or port.endswith("/"):
            raise ValueError(right)
        return port
    try:
        parts = urlsplit(port)
        number = parts.port
    except ValueError:
        raise ValueError(right) from None
    bare = not (parts.path or parts.query or parts.fragment or parts.username)
    if parts.scheme not in _SCHEMES or not parts.hostname or not number or not bare:
        raise ValueError(right)
    return port


def opener(port: str, baud: int) -> Opener:
    """The opener of a checked `port`. `baud` matters where there is a serial line at the end."""
    if port.startswith("/"):
        return SerialOpener(port, baud)
    parts = urlsplit(port)
    if parts.scheme == "rfc2217":
        from drivers.rfc2217 import Rfc2217Opener  # noqa: PLC0415 - pyserial's telnet only where it is wanted

        return Rfc2217Opener(port, baud)
    return ListenOpener(port) if parts.scheme == "listen" else SocketOpener(port)


class SerialOpener:
    """A serial device, raw, 8N1."""

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        self._baud = baud

    async def open(self) -> Link:
        """See Opener."""
        import serial  # noqa: PLC0415 - a gate post may have no serial device at all

        def work() -> serial.Serial:
            return serial.Serial(self.port, self._baud, timeout=0, write_timeout=0, exclusive=True)

        try:
            device = await in_thread(work)
        except (OSError, ValueError, termios.error) as error:  # pyserial's own error is an OSError
            raise LinkLost(why(self.port, error)) from error
        fd = device.fileno()

        def shut() -> None:
            with contextlib.suppress(OSError, termios.error):  # a device that is gone
                _last_words(fd)
            device.close()

        try:
            _prepare(fd)
        except (OSError, termios.error) as error:
            shut()
            raise LinkLost(why(self.port, error)) from error
        return FdLink(self.port, fd, shut)

    def close(self) -> None:
        """See Opener."""


class SocketOpener:
    """A TCP connection to a device, or to a serial server in raw mode."""

    def __init__(self, port: str) -> None:
        self.port = port
        self._parts = urlsplit(port)

    async def open(self) -> Link:
        """See Opener."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return tcp_link(self.port, await self._connect())
        except OSError as error:  # TimeoutError is one
            raise LinkLost(why(self.port, error)) from error

    def close(self) -> None:
        """See Opener."""

    async def _connect(self) -> socket.socket:
        """The first of the host's addresses that answers."""
        loop = asyncio.get_running_loop()
        refusal: OSError = TimeoutError()
        found = await loop.getaddrinfo(self._parts.hostname, self._parts.port, type=socket.SOCK_STREAM)
        for family, kind, proto, _, address in found:
            connection = socket.socket(family, kind, proto)
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, address)
            except OSError as error:
                connection.close()
                refusal = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise refusal


class ListenOpener:
    """The device connects to us."""

    def __init__(self, port: str) -> None:
        self.port = port
        self._parts: SplitResult = urlsplit(port)
        self._server: socket.socket | None = None
        self._caller: socket.socket | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._link: Link | None = None

    async def open(self) -> Link:
        """See Opener. Waits for as long as it takes."""
        try:
            self._listen()
        except OSError as error:
            raise LinkLost(why(self.port, error)) from error
        if self._caller is None:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        caller, self._caller = self._caller, None
        if caller is None:
            raise LinkLost(f"{self.port} was closed")
        self._link = tcp_link(self.port, caller)
        return self._link

    def close(self) -> None:
        """See Opener."""
        if self._server is not None:
            asyncio.get_running_loop().remove_reader(self._server)
            self._server.close()
        if self._caller is not None:
            self._caller.close()
        self._server = self._caller = None

    def _listen(self) -> None:
        """Listen, unless we do already."""
        if self._server is not None:
            return
        host = self._parts.hostname or ""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server((host, self._parts.port or 0), family=family, backlog=2)
        server.setblocking(False)
        self._server = server
        asyncio.get_running_loop().add_reader(server, self._accept, server)

    def _accept(self, server: socket.socket) -> None:
        try:
            caller, _ = server.accept()
        except OSError:  # gone before we answered; the next one wakes us again
            return
        caller.setblocking(False)
        if self._caller is not None:
            self._caller.close()
        self._caller = caller
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        elif self._link is not None:
            self._link.lose(f"{self.port}: the device has connected anew")


def tcp_link(port: str, connection: socket.socket) -> FdLink:
    """A link over a connected socket, which it owns from here on."""
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return FdLink(port, connection.fileno(), connection.close)


def _last_words(fd: int) -> None:
    """Let what was written last go out, such as a relay's Off at the end; what the device does not take is dropped.

    Closing would wait for all of it, for half a minute at a device that takes nothing.
    """
    until = time.monotonic() + LAST_WORDS_S
    while _unsent(fd):
        if time.monotonic() > until:
            termios.tcflush(fd, termios.TCOFLUSH)
            return
        time.sleep(_LOOK_S)  # tcdrain has no limit


def _unsent(fd: int) -> int:
    """How many bytes the kernel has not handed to the device."""
    found: int = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0]
    return found


def _prepare(fd: int) -> None:
    """No byte from before, non-blocking, and 0 bytes read mean the end and not merely that there are none now."""
    settings = termios.tcgetattr(fd)
    settings[_CC][termios.VMIN] = 1
    settings[_CC][termios.VTIME] = 0
    termios.tcsetattr(fd, termios.TCSANOW, settings)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
    termios.tcflush(fd, termios.TCIFLUSH)
