"""A serial port opened to look who is there, and left as it was found.

- One that another process holds is not touched: neither opened past its lock (TIOCEXCL, flock) nor set.
- It is opened once and its speed changed in between: each opening and closing moves DTR and RTS, which restarts some
  devices. Nothing here sets the two lines: the kernel raises them at an opening, and drops them at the last closing.
- At the end its settings (termios) are those of before, and what was not read is thrown away.
"""

import contextlib
import errno
import fcntl
import os
import struct
import termios
from typing import Final, Self

from drivers.link import FdLink, LinkLost
from drivers.threads import in_thread
from drivers.words import why

_GET_EXCLUSIVE: Final = 0x80045440  # TIOCGEXCL, which termios does not have
_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)  # of tcgetattr's list


class PortHeld(LinkLost):
    """Another process has the port."""


class _Opened:
    """The descriptor, on its way from the thread that waited for the kernel. Raises OSError or termios.error."""

    def __init__(self, port: str) -> None:
        self.fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check_exclusive(self.fd)
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.settings = termios.tcgetattr(self.fd)
        except BaseException:
            os.close(self.fd)
            raise

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)


def _check_exclusive(fd: int) -> None:
    """Raises OSError where another process has it for itself: root can open it all the same."""
    try:
        exclusive = struct.unpack("i", fcntl.ioctl(fd, _GET_EXCLUSIVE, bytes(4)))[0]
    except OSError:
        exclusive = 0  # no terminal at all: tcgetattr says so in better words
    if exclusive:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


class QuietPort:
    """One serial device. `link` reads and writes it from the first `at` on."""

    def __init__(self, port: str, opened: _Opened) -> None:
        self._opened = opened
        self.link = FdLink(port, opened.fd, self._shut)

    @classmethod
    async def open(cls, port: str) -> Self:
        """Open it, and change nothing yet. Raises PortHeld, or LinkLost where it cannot be had."""
        try:
            return cls(port, await in_thread(lambda: _Opened(port)))
        except (OSError, termios.error) as error:
            number = error.args[0] if isinstance(error, termios.error) else error.errno
            lost = why(port, OSError(number, os.strerror(number or 0)))
            raise (PortHeld if number in (errno.EBUSY, errno.EAGAIN) else LinkLost)(lost) from error

    async def at(self, baud: int) -> FdLink:
        """The link, raw, 8N1, at this speed, with nothing received yet. Raises LinkLost where the device is gone."""
        await self.link.read_within(0)  # raises where it was unplugged: the descriptor may be another's by now
        code = getattr(termios, f"B{baud}")
        settings = list(self._opened.settings)
        settings[_IFLAG] = settings[_OFLAG] = settings[_LFLAG] = 0
        settings[_CFLAG] = settings[_CFLAG] & termios.HUPCL | termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[_ISPEED] = settings[_OSPEED] = code
        settings[_CC] = [*settings[_CC]]
        settings[_CC][termios.VMIN], settings[_CC][termios.VTIME] = 1, 0
        try:
            termios.tcsetattr(self._opened.fd, termios.TCSANOW, settings)
            termios.tcflush(self._opened.fd, termios.TCIFLUSH)
        except termios.error as error:
            raise LinkLost(f"{self.link.port}: {error.args[1]}") from error
        self.link.discard()
        return self.link

    def close(self) -> None:
        """Leave it as it was found."""
        self.link.close()

    def _shut(self) -> None:
        with contextlib.suppress(OSError, termios.error):  # a device that is gone
            termios.tcflush(self._opened.fd, termios.TCIOFLUSH)
            termios.tcsetattr(self._opened.fd, termios.TCSANOW, self._opened.settings)
        self._opened.close()
