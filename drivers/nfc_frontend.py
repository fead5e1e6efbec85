"""What the thread of an NFC reader does, by nfcpy, which waits: looks for chips, reads their records, tells of them.

A chip
- Type A (ISO 14443) and FeliCa are looked for. Type B is not: the number that it gives may be drawn anew each time.
- Its record is read once each time it comes into the field, and goes to `prove` with its UID. Proved, the chip is that
  credential; else its `uid:`. Away for less than `AGAIN_S` it has not been away.
- Where the reading broke off it is read again, `READS` times, while the chip stays: then only the bare UID counts.
- A UID that a phone has drawn by lot (08 and three more bytes) is no credential. What such a chip proves counts.
- While it stays it is told of again every `PRESENT_S`, without another reading.

What a chip may not do
- Hold the thread: no frame is waited for longer than `FRAME_S`, and a record no longer than `RECORD_S` in all, however
  often the chip asks for more time.
- Raise: nfcpy lets out errors of any kind where a chip's bytes are not what it expects. Then its record has broken off.

The reader: `FAULTS` looks in a row that fail are its end; the opener opens it anew.
"""

import contextlib
import errno
import importlib
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import nfc  # type: ignore[import-untyped]
import nfc.clf  # type: ignore[import-untyped]
import nfc.clf.transport  # type: ignore[import-untyped]
import nfc.tag.tt2  # type: ignore[import-untyped]

from drivers import nfc_lamp, nfc_usb
from drivers.link import LinkLost
from drivers.nfc import FrontendLink, hanging
from drivers.port import Signal
from drivers.records import Prove
from drivers.words import why
from protocol.credential import Credential
from protocol.sighting import Proved, Sighting

LOOK_S: Final = 0.1
PRESENT_S: Final = 0.1
AGAIN_S: Final = 1.0
READS: Final = 3
FRAME_S: Final = 0.5
RECORD_S: Final = 3.0  # 500 bytes take about a second of a PN532 at 115,200 baud
FAULTS: Final = 2

_TECHNOLOGIES: Final = ("106A", "212F")
_SERIAL: Final = re.compile(r"/dev/[A-Za-z0-9/_.+-]+")  # nfcpy hands the name to a shell, to try speeds
_UID_BYTES: Final = range(4, 11)
_RANDOM_UID: Final = 0x08
_RANDOM_UID_BYTES: Final = 4
_CLASSIC: Final = 0x08  # SEL_RES: MIFARE Classic, whose memory nfcpy cannot read; not with ISO 14443-4 beside it
_ISO_DEP: Final = 0x20
_CC: Final = 12  # the byte of a Type 2 chip's memory that says whether it is made for NDEF
_CC_NDEF: Final = 0xE1
_ANSWER_S: Final = 0.5
_SILENT: Final = (errno.EIO, errno.ETIMEDOUT)

T = TypeVar("T")

# nfcpy's log has cards' numbers in it, and takes Python's warnings over.
logging.getLogger("nfc").addHandler(logging.NullHandler())
logging.getLogger("nfc").propagate = False
logging.captureWarnings(False)


class _BrokenOffError(Exception):
    """A chip's record has not been read to its end."""


@dataclass(slots=True)
class _Chip:
    """The chip that is in the field, or was last. `settled` once it is known what it counts as: None for nothing."""

    uid: bytes
    at: float
    reads: int = 0
    settled: bool = False
    proved: Proved | None = None

    @property
    def named(self) -> Credential | None:
        """The UID as a credential, where it is one."""
        if len(self.uid) not in _UID_BYTES or (len(self.uid) == _RANDOM_UID_BYTES and self.uid[0] == _RANDOM_UID):
            return None
        return Credential(f"uid:{self.uid.hex().upper()}")

    def sighting(self, reader: str, at: float) -> Sighting | None:
        """What it is seen as."""
        named = self.named
        if self.proved is not None:
            also = () if named is None else (named,)
            return Sighting(reader, self.proved.credential, at, also=also, card=self.proved.card)
        return None if named is None else Sighting(reader, named, at)


def serve(link: FrontendLink, name: str, prove: Prove) -> None:
    """Open the reader of this link, tell of chips until it is to end or is lost, close it. Raises LinkLost."""
    frontend = opened(link.port)
    try:
        Field(frontend, link, name, prove).run()
    finally:
        _close(frontend)


def opened(port: str) -> Any:
    """The reader, open. Raises LinkLost, with what to do, where it cannot be had."""
    if port.startswith("usb:"):
        return _on_usb(port)
    if port.startswith("udp:"):
        return _opening(port, lambda: nfc.ContactlessFrontend(port))
    if port.startswith("/"):
        return _opening(port, lambda: _on_serial(os.path.realpath(port), "pn532"))
    _, line, chip = port.split(":")
    path = f"/dev/tty{line}"
    return _opening(path, lambda: _on_serial(path, chip))


def _opening(port: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        silent = error.errno in _SILENT or error.errno == errno.ENODEV  # what nfcpy makes of a wrong answer, too
        raise LinkLost(hanging(port) if silent else why(port, error)) from error
    except Exception as error:  # nfcpy is not particular about what it raises on bytes that it does not expect
        raise LinkLost(f"{port} answers, but not as such a reader does: is it one, and is that its port?") from error


def _on_serial(path: str, chip: str) -> Any:
    """As nfcpy opens it, but by any name that the port may have, and for us alone."""
    if not _SERIAL.fullmatch(path):
        raise LinkLost(f"{path} is no name of a serial port")
    line = nfc.clf.transport.TTY(path)
    try:
        line.tty.exclusive = True
        device = importlib.import_module(f"nfc.clf.{chip}").init(line)
        line.tty.exclusive = True  # it has opened the port anew, at another speed
    except BaseException:
        _close_transport(line)
        raise
    device._path = path  # noqa: SLF001 - as nfcpy does
    frontend = nfc.ContactlessFrontend()
    frontend.device = device
    return frontend


def _close(frontend: Any) -> None:
    """Let go of the reader, whatever state it is in: nfcpy leaves the port open where the reader does not answer."""
    transport = getattr(getattr(frontend.device, "chipset", None), "transport", None)
    with contextlib.suppress(Exception):
        frontend.close()
    if transport is not None:
        _close_transport(transport)


def _close_transport(transport: Any) -> None:
    for held in (getattr(transport, "tty", None), transport):
        if held is not None:
            with contextlib.suppress(Exception):
                held.close()


def _on_usb(port: str) -> Any:
    where = nfc_usb.place(port)
    try:
        return nfc.ContactlessFrontend(f"usb:{where.bus:03}:{where.device:03}")
    except FileNotFoundError as error:
        raise LinkLost(f"{port}: the system's library for USB is missing: sudo apt install libusb-1.0-0") from error
    except OSError as error:
        raise LinkLost(nfc_usb.refused(port, where, error)) from error
    except Exception as error:
        raise LinkLost(
            f"{port}: USB cannot be used ({error}); the service wants AF_NETLINK for it: docs/hardware/nfc.md"
        ) from error


class Field:
    """What is in one reader's field. Everything here is the thread's."""

    def __init__(self, frontend: Any, link: FrontendLink, name: str, prove: Prove) -> None:
        self._frontend = frontend
        self._link = link
        self._name = name
        self._prove = prove
        self._chip: _Chip | None = None
        self._until = 0.0  # no frame goes out after this
        self._dark_at = 0.0
        self._speaks = not link.port.startswith("udp:")  # on nfcpy's UDP path only chips speak
        self._exchange = frontend.exchange
        self._sense = frontend.sense
        frontend.exchange = self._bounded
        frontend.sense = self._beating
        self._lamp = getattr(getattr(frontend.device, "chipset", None), "ccid_xfr_block", None)

    def run(self) -> None:
        """Look until it is to end. Raises LinkLost where the reader does not answer."""
        self._light(nfc_lamp.IDLE)
        self._link.ready()
        faults = 0
        while not self._link.ending:
            try:
                self._look()
                faults = 0
            except _BrokenOffError:
                return  # it is to end
            except OSError as error:
                faults += 1
                if faults >= FAULTS:
                    silent = error.errno is None or error.errno in _SILENT
                    raise LinkLost(hanging(self._link.port) if silent else why(self._link.port, error)) from error
            self._pause(LOOK_S)

    def _look(self) -> None:
        """One look into the field; with a chip there, until it leaves. Raises OSError where the reader fails."""
        target = self._found()
        if target is None:
            if self._chip is not None and not self._chip.settled:
                self._chip = None  # what reading it broke off for: it left
            return
        classic = _is_classic(target)
        tag = None if classic else self._try(lambda: nfc.tag.activate(self._frontend, target))
        chip = self._came(bytes(target.sdd_res or getattr(tag, "identifier", b"")))
        if not chip.settled:
            self._settle(chip, b"" if classic else self._record(tag))
        while chip.settled and not self._link.ending:
            self._tell(chip)
            self._pause(PRESENT_S)
            if tag is None or not self._try(lambda: tag.is_present):
                return

    def _found(self) -> Any:
        """What answers in the field. Raises OSError for all that the reader does wrong."""
        for technology in _TECHNOLOGIES:
            try:
                target = self._frontend.sense(nfc.clf.RemoteTarget(technology))
            except (OSError, _BrokenOffError):
                raise
            except Exception as error:
                raise OSError(errno.EIO, repr(error)) from error
            self._link.beat(heard=self._speaks or target is not None)
            if target is not None:
                return target
        return None

    def _came(self, uid: bytes) -> _Chip:
        now = time.monotonic()
        if self._chip is None or self._chip.uid != uid or now - self._chip.at > AGAIN_S:
            self._chip = _Chip(uid, now)
        return self._chip

    def _settle(self, chip: _Chip, message: bytes | None) -> None:
        """Find out what the chip counts as, unless its record broke off (None) and may still be read to its end."""
        chip.at = time.monotonic()
        chip.reads += 1
        if message is None and chip.reads < READS:
            return
        if message:
            self._link.rest()
            chip.proved = self._prove(message, chip.uid)
            self._link.beat()
        chip.settled = True

    def _record(self, tag: Any) -> bytes | None:
        """The chip's NDEF message; b"" where it has none for sure, None where reading it broke off."""

        def read() -> bytes | None:
            if isinstance(tag, nfc.tag.tt2.Type2Tag) and tag.read(0)[_CC] != _CC_NDEF:
                return b""
            ndef = tag.ndef
            return None if ndef is None else bytes(ndef.octets)

        return None if tag is None else self._try(read)

    def _tell(self, chip: _Chip) -> None:
        chip.at = time.monotonic()
        self._link.beat(heard=True)
        sighting = chip.sighting(self._name, chip.at)
        if sighting is not None:
            self._link.tell(sighting)

    def _try(self, work: Callable[[], T]) -> T | None:
        """What nfcpy makes of a chip's bytes; None where they were wrong. Raises OSError where the reader fails."""
        self._until = time.monotonic() + RECORD_S
        try:
            return work()
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - see above
            return None

    def _bounded(self, data: bytes, timeout: float) -> Any:
        if self._link.ending or time.monotonic() > self._until:
            raise _BrokenOffError
        self._link.beat()
        return self._exchange(data, min(timeout, FRAME_S) if self._speaks else FRAME_S)  # a datagram can be late

    def _beating(self, *targets: Any, **options: Any) -> Any:
        if self._link.ending:
            raise _BrokenOffError
        self._link.beat()
        return self._sense(*targets, **options)

    def _pause(self, seconds: float) -> None:
        """Wait, show what there is to show, and darken the lamp when its time is up."""
        signal = self._link.pause(seconds)
        now = time.monotonic()
        if signal is not None:
            self._light(signal)
            self._dark_at = now + signal.seconds
        elif 0 < self._dark_at <= now:
            self._light(nfc_lamp.IDLE)
            self._dark_at = 0.0

    def _light(self, signal: Signal) -> None:
        """Best effort: a lamp that does not answer is no reason to read no cards."""
        if self._lamp is not None:
            with contextlib.suppress(OSError):
                self._lamp(bytearray(nfc_lamp.command(signal)), timeout=nfc_lamp.seconds(signal) + _ANSWER_S)
            self._link.beat()


def _is_classic(target: Any) -> bool:
    sel = target.sel_res
    return bool(sel) and sel[0] & (_CLASSIC | _ISO_DEP) == _CLASSIC
