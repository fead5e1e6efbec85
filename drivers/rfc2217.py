"""`rfc2217://`: a serial port behind a network server, over pyserial, which has no descriptor and so needs threads.

pyserial's own thread reads the socket into a queue without a bound; ours takes from it. While nobody reads the link,
ours stops at the link's bound and the queue grows: drivers always read. Closing takes pyserial up to a second, so our
thread does it, on its way out.
"""

import contextlib
import select
import socket
import threading
import time
from typing import Final

import serial
from serial import rfc2217

from drivers.link import Link, LinkLost
from drivers.port import DriverError
from drivers.threads import in_thread
from drivers.words import why

_POLL_S: Final = 0.5  # how long a read of the thread lasts at most; the socket's end wakes it sooner


class Rfc2217Opener:
    """Opens the port through the server at the other end."""

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        self._baud = baud

    async def open(self) -> Link:
        """See Opener."""
        try:
            return Rfc2217Link(self.port, await in_thread(self._open))
        except (OSError, ValueError) as error:  # pyserial's own error is an OSError
            raise LinkLost(why(self.port, _cause(error))) from error

    def close(self) -> None:
        """See Opener."""

    def _open(self) -> rfc2217.Serial:
        return rfc2217.Serial(self.port, self._baud, timeout=_POLL_S)


class Rfc2217Link(Link):
    """A link over pyserial's client."""

    def __init__(self, port: str, device: rfc2217.Serial) -> None:
        super().__init__(port)
        self._device = device
        self._room = threading.Event()
        self._room.set()
        self._over = False
        self._socket: socket.socket = vars(device)["_socket"]  # pyserial has no public way to it
        self._pumping: threading.Thread = vars(device)["_thread"]  # its end is the only sign of the connection's end
        self._thread = threading.Thread(target=self._run, name=f"rfc2217[{port}]", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """See Link. Written only where the socket has room, so that it does not block."""
        if self._lost is not None:
            raise LinkLost(self._lost)
        if not select.select((), (self._socket,), (), 0)[1]:
            raise DriverError(f"{self.port} takes no more bytes: the device does not read them")
        try:
            self._device.write(data)
        except OSError as error:
            self.lose(why(self.port, _cause(error)))
            raise LinkLost(why(self.port, _cause(error))) from error

    def _run(self) -> None:
        """The thread: bytes to the loop until the end, then close."""
        reason = f"{self.port} closed the connection: unplugged, or restarted"
        try:
            while not self._over and self._pumping.is_alive():
                self._room.wait()
                first = self._device.read(1)
                if first:
                    data = first + self._device.read(self._device.in_waiting)
                    self._post(data, time.monotonic())
        except OSError as error:
            reason = why(self.port, _cause(error))
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self.lose, reason)
        with contextlib.suppress(OSError):  # closed is closed
            self._device.close()
        self._socket.close()  # pyserial leaves it open where the connection has ended by itself

    def _post(self, data: bytes, at: float) -> None:
        if not self._over:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._arrived, data, at)

    def _pause(self) -> None:
        self._room.clear()

    def _resume(self) -> None:
        self._room.set()

    def _shut(self) -> None:
        self._over = True
        self._room.set()
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._socket.shutdown(socket.SHUT_RDWR)


def _cause(error: BaseException) -> BaseException:
    """The operating system's error beneath pyserial's, which hides the number."""
    beneath = error.__context__
    return beneath if isinstance(error, serial.SerialException) and isinstance(beneath, OSError) else error
