"""An NFC reader as nfcpy has it: opened by any name that its port may have, what it says of itself, and let go.

Opening says in words what is wrong: a library that is missing, rights, another program, a reader that is none.

An ACR122U has firmware of its own before its PN532. nfcpy 1.0.4 refuses it before 2.00 (nfc/clf/acr122.py, Chipset),
and says no more than that there is no such device: so the reader is asked for its age before. Before 2.06 it fails to
answer with 123 bytes of a chip of ISO 14443 (LudovicRousseau/CCID, commit 0fae61d: `Bogus_firmwares` of src/ccid_usb.c,
from which pcscd refuses it).
"""

import contextlib
import errno
import importlib
import logging
import os
import re
from collections.abc import Callable, Container, Iterator
from typing import Any, Final, TypeVar

import nfc  # type: ignore[import-untyped]
import nfc.clf.device  # type: ignore[import-untyped]
import nfc.clf.transport  # type: ignore[import-untyped]

from drivers import nfc_usb
from drivers.firmware import DOTTED, Least
from drivers.link import LinkLost
from drivers.nfc_link import hanging
from drivers.nfc_serial import Line, slowed
from drivers.port import About
from drivers.words import why

_SILENT: Final = (errno.EIO, errno.ETIMEDOUT)  # what nfcpy makes of a reader that answers nothing, or nothing right
_NO_READER: Final = (*_SILENT, errno.ENODEV)  # and what it makes of that while it opens one
_PN532: Final = "pn532"
_SERIAL: Final = re.compile(r"/dev/[A-Za-z0-9/_.+-]+")  # nfcpy hands the name to a shell, to try speeds
_CHIPSET: Final = re.compile(r"(?P<model>.+?) ?v(?P<firmware>[0-9a-f.]+)")
_ACR122U: Final = re.compile(rb"ACR122U([0-9])([0-9]{2})")
_ACR122U_ASKED: Final = bytes.fromhex("6F 05000000 0000000000 FF00480000")  # ACS, ACR122U API V2.04, in a CCID block
_ACR122U_LEAST: Final = Least("2.00", DOTTED)
_ACR122U_WHOLE: Final = Least("2.06", DOTTED)
_ACR122U_BROKEN: Final = "before 2.06 an ACR122U fails on answers of 123 bytes, as in the record of a signed card"
_CCID_BYTES: Final = 10  # what stands before the answer
_ASKED_MS: Final = 200
_WAIT_MS: Final = 1000
_NAME_MAX: Final = 64

T = TypeVar("T")

# nfcpy's log has cards' numbers in it, and takes Python's warnings over.
logging.getLogger("nfc").addHandler(logging.NullHandler())
logging.getLogger("nfc").propagate = False
logging.captureWarnings(False)


def opened(port: str) -> Any:
    """The reader, open. Raises LinkLost, with what to do, where it cannot be had."""
    if port.startswith("usb:"):
        return _on_usb(port)
    if port.startswith("udp:"):
        return _opening(port, lambda: nfc.ContactlessFrontend(port))
    if port.startswith("/"):
        return _opening(port, lambda: _on_serial(port, os.path.realpath(port), _PN532))
    _, line, chip = port.split(":")
    path = f"/dev/tty{line}"
    return _opening(path, lambda: _on_serial(path, path, chip))


def lost(port: str, error: OSError, silent: Container[int] = _SILENT) -> LinkLost:
    """What became of a reader by what nfcpy has raised; `silent` are the errors of one that does not answer."""
    if error.errno is None:  # pyserial's, of a port that is gone
        return LinkLost(why(port, OSError(errno.EIO, str(error))))
    return LinkLost(hanging(port) if error.errno in silent else why(port, error))


def about(frontend: Any) -> About:
    """What an open reader says of itself."""
    device = frontend.device
    chipset = _CHIPSET.fullmatch(device.chipset_name)
    if chipset is None:
        return About()  # nfcpy's UDP path
    named = "".join(filter(str.isprintable, " ".join(filter(None, (device.vendor_name, device.product_name)))))
    firmware = ""
    if is_acr122u(frontend):
        with contextlib.suppress(OSError):
            firmware = _acr122u(device.chipset.transport)
    outdated = _ACR122U_BROKEN if firmware and not _ACR122U_WHOLE.met(firmware) else ""
    return About(named[:_NAME_MAX] or chipset["model"], firmware or chipset["firmware"], outdated=outdated)


def is_acr122u(frontend: Any) -> bool:
    """Whether it has a lamp, and firmware of its own."""
    return hasattr(getattr(frontend.device, "chipset", None), "ccid_xfr_block")


def close(frontend: Any) -> None:
    """Let go of the reader, whatever state it is in: nfcpy leaves the port open where the reader does not answer."""
    transport = getattr(getattr(frontend.device, "chipset", None), "transport", None)
    with contextlib.suppress(Exception):
        frontend.close()
    if transport is not None:
        _close_transport(transport)


def _opening(port: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except LinkLost:
        raise
    except OSError as error:
        raise lost(port, error, _NO_READER) from error
    except Exception as error:  # nfcpy is not particular about what it raises on bytes that it does not expect
        raise LinkLost(f"{port} answers, but not as such a reader does: is it one, and is that its port?") from error


def _on_serial(port: str, path: str, chip: str) -> Any:
    if not _SERIAL.fullmatch(path):
        raise LinkLost(f"{path} is no name of a serial port")
    line = Line(path)
    with _closed_on_failure(line):
        try:
            return _made(path, line, chip)
        except OSError as error:
            if error.errno not in _NO_READER:
                raise
            if line.gone or line.heard or chip != _PN532 or not slowed(line):
                raise LinkLost(line.complaint(port)) from error
        return _made(path, line, chip)


def _on_usb(port: str) -> Any:
    where = nfc_usb.place(port)
    path = f"usb:{where.bus:03}:{where.device:03}"
    chip = _chip_on_usb(port, path)
    try:
        transport = nfc.clf.transport.USB(where.bus, where.device)
    except Exception as error:  # libusb's own as well: nfcpy makes an OSError of some of them
        raise LinkLost(nfc_usb.refused(port, where, error)) from error
    _bound(transport)

    def work() -> Any:
        try:
            age = _acr122u(transport) if chip == "acr122" else ""
            if age and not _ACR122U_LEAST.met(age):
                raise LinkLost(f"{port}: its firmware is {age}, and too old from before {_ACR122U_LEAST}: take another")
            return _made(path, transport, chip)
        except OSError as error:
            raise LinkLost(nfc_usb.refused(port, where, error)) from error

    with _closed_on_failure(transport):
        return _opening(port, work)


def _chip_on_usb(port: str, path: str) -> str:
    """What nfcpy calls what is in the reader. Raises LinkLost where USB cannot be used, or where it knows no such."""
    try:
        found = nfc.clf.transport.USB.find(path)
    except FileNotFoundError as error:
        raise LinkLost(f"{port}: the system's library for USB is missing: sudo apt install libusb-1.0-0") from error
    except Exception as error:
        said = "a service needs AF_NETLINK among its RestrictAddressFamilies=, as in systemd/gated.service"
        raise LinkLost(f"{port}: USB cannot be used ({error}): {said}") from error
    if not found:
        raise LinkLost(f"there is no {port}: unplugged just now")
    chip = nfc.clf.device.usb_device_map.get(found[0][:2])
    if chip is None:
        raise LinkLost(f"{port} is none of the NFC readers that can be used: docs/hardware/nfc.md has them")
    return str(chip)


def _bound(transport: Any) -> None:
    """Wait a while for a reader that takes nothing, and for an RC-S380's answer: nfcpy says 0, which is for ever."""
    read, write = transport.read, transport.write
    transport.read = lambda timeout=0: read(timeout or _WAIT_MS)
    transport.write = lambda frame, timeout=0: write(frame, timeout or _WAIT_MS)


def _made(path: str, transport: Any, chip: str) -> Any:
    """As nfcpy makes it, but of a port by any of its names."""
    device = importlib.import_module(f"nfc.clf.{chip}").init(transport)
    device._path = path  # noqa: SLF001 - as nfcpy does
    frontend = nfc.ContactlessFrontend()
    frontend.device = device
    return frontend


def _acr122u(transport: Any) -> str:
    """The firmware of an ACR122U, as in "2.07"; "" where it tells none. Raises OSError where it does not answer."""
    transport.write(bytearray(_ACR122U_ASKED))
    said = _ACR122U.match(bytes(transport.read(_ASKED_MS))[_CCID_BYTES:])
    return b".".join(said.groups()).decode() if said else ""


@contextlib.contextmanager
def _closed_on_failure(transport: Any) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _close_transport(transport)
        raise


def _close_transport(transport: Any) -> None:
    for held in (
        getattr(transport, "tty", None),
        transport,
        getattr(transport, "context", None),
    ):  # the last is libusb's
        if held is not None:
            with contextlib.suppress(Exception):
                held.close()
