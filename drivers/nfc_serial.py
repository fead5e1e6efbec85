"""A serial line as nfcpy wants one, with what nfcpy leaves out put around it.

- The line is ours alone at each opening: nfcpy opens it anew for another speed.
- What a port that was pulled out makes of a call is an OSError, whichever part of Python says it.
- An adapter may give back what it is sent. nfcpy takes that for a wrong answer, and says that there is no such device.
  So it is passed over: what comes first after the first thing said shows whether the line echoes, and from then on each
  thing said must come back before anything else counts. No reader's answer begins as what it was asked does.
- nfcpy tells a PN532 to talk faster than it does when it is switched on, and slowly again at the end. One that was left
  without that word (a plug that was pulled, a process that was killed) is deaf to nfcpy's next call: `slowed` tells it.
"""

import contextlib
import errno
import os
import termios
from collections.abc import Iterator
from typing import Any, Final

import nfc.clf.transport  # type: ignore[import-untyped]
import serial

from drivers.nfc_link import hanging
from drivers.words import why
from protocol.pn532 import Cmd, Frame, Kind

_BAUD: Final = 115_200
_FASTER: Final = (921_600, 460_800, 230_400)  # what nfcpy goes to, as far as the port can
_TO_BAUD: Final = 4  # PN532 user manual, 7.2.6: 115,200
_WAKE: Final = bytes(10)
_ACK: Final = Frame(Kind.ACK).to_bytes()
_ANSWER_MS: Final = 100
_READ_S: Final = 0.05
_WRITE_S: Final = 1.0


class Line(nfc.clf.transport.TTY):  # type: ignore[misc]
    """A serial line for nfcpy. Its methods raise OSError for all that goes wrong.

    `echoes` says whether it gives back what it is sent, None while that is not known; `heard`, that something came that
    was no echo; `met`, that this was a PN532's word of having taken a command; `gone`, that the port was pulled out.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.echoes: bool | None = None
        self.heard = self.met = self.gone = False
        super().__init__(path)

    def complaint(self, port: str) -> str:
        """What is wrong with the port of this name where no reader is found on it, and what to do."""
        if self.gone:
            return why(port, OSError(errno.EIO, os.strerror(errno.EIO)))
        if self.heard and not self.met:
            return f"{port} answers, but not as such a reader does: is it one, and is that its port?"
        if self.echoes and not self.met:
            return (
                f"{port} gives back what it is sent, and nothing else: its adapter echoes and no reader answers, "
                "or TX and RX touch; check the reader's power and its wires"
            )
        return hanging(port)

    def open(self, port: str, baudrate: int = _BAUD) -> None:
        """See nfcpy."""
        with self._as_oserror():
            self.close()
            self.tty = _Port(port, baudrate, self)

    def read(self, timeout: int) -> Any:
        """See nfcpy."""
        with self._as_oserror():
            frame = super().read(timeout)
        self.met = self.met or frame == _ACK
        return frame

    def write(self, frame: bytes) -> None:
        """See nfcpy."""
        with self._as_oserror():
            super().write(frame)

    @contextlib.contextmanager
    def _as_oserror(self) -> Iterator[None]:
        try:
            yield
        except serial.SerialException as error:
            self.gone = self.gone or error.errno is None  # pyserial's own, of a port that it has had
            raise
        except termios.error as error:
            self.gone = True
            raise OSError(errno.EIO, str(error)) from error
        except IndexError as error:  # nfcpy's, of a frame that broke off
            raise OSError(errno.EIO, str(error)) from error


class _Port(serial.Serial):
    """The port beneath a `Line`, without its echo."""

    def __init__(self, path: str, baud: int, line: Line) -> None:
        self._line = line
        self._said = b""  # and not heard back yet
        self._kept = b""  # came where an echo was looked for, and is none
        super().__init__(path, baud, timeout=_READ_S, write_timeout=_WRITE_S, exclusive=True)

    def write(self, data: Any) -> int | None:
        """See pyserial."""
        count = super().write(data)
        if self._line.echoes is not False:
            self._said = bytes(data)
        if self._line.echoes and not self._passed_over():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return count

    def read(self, size: int = 1) -> bytes:
        """See pyserial."""
        waited = bool(self._said) and not self._passed_over()
        came, self._kept = self._kept[:size], self._kept[size:]
        if not waited:
            came += super().read(size - len(came))
        self._line.heard = self._line.heard or bool(came)
        return came

    def reset_input_buffer(self) -> None:
        """See pyserial."""
        self._kept = b""
        super().reset_input_buffer()

    def _passed_over(self) -> bool:
        """Take what was said last from what comes; whether it came, or something else did. False after a silence."""
        said, self._said = self._said, b""
        for number in range(len(said)):
            came = super().read(1)
            if came != said[number : number + 1]:
                self._kept += said[:number] + came
                if came and self._line.echoes is None:
                    self._line.echoes = False
                return bool(came) and not self._line.echoes
        self._line.echoes = True
        return True


def slowed(line: Line) -> bool:
    """Tell a PN532 that was left at one of nfcpy's faster speeds to go back to the first; whether there was one."""
    for baud in _FASTER:
        with contextlib.suppress(OSError, ValueError, termios.error):  # the PN532, or the port, does not talk so fast
            line.open(line.path, baud)
            line.write(_WAKE + Frame(Kind.COMMAND, bytes([Cmd.SET_BAUD, _TO_BAUD])).to_bytes())
            answer = Frame(Kind.REPLY, bytes([Cmd.SET_BAUD + 1])).to_bytes()
            if line.read(_ANSWER_MS) == _ACK and line.read(_ANSWER_MS) == answer:
                line.write(_ACK)  # the PN532 waits for it
                line.tty.flush()
                return True
    return False
