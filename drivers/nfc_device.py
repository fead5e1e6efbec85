"""An NFC reader as nfcpy has it: opened by any name that its port may have, what it says of itself, and let go.

Opening says in words what is wrong: a library that is missing, rights, another program, a reader that is none.

An ACR122U has firmware of its own before its PN532. nfcpy 1.0.4 refuses it before 2.00 (nfc/clf/acr122.py, Chipset),
and says no more than that there is no such device: so the reader is asked for its age before.
"""

import contextlib
import errno
import fcntl
import importlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import nfc  # type: ignore[import-untyped]
import nfc.clf.device  # type: ignore[import-untyped]
import nfc.clf.transport  # type: ignore[import-untyped]

from drivers import nfc_usb
from drivers.link import LinkLost
from drivers.nfc_link import hanging
from drivers.port import About
from drivers.words import why

SILENT: Final = (errno.EIO, errno.ETIMEDOUT)
"""What nfcpy makes of a reader that answers nothing, or nothing right."""

_SERIAL: Final = re.compile(r"/dev/[A-Za-z0-9/_.+-]+")  # nfcpy hands the name to a shell, to try speeds
_CHIPSET: Final = re.compile(r"(?P<model>.+?) ?v(?P<firmware>[0-9a-f.]+)")
_ACR122U: Final = re.compile(rb"ACR122U([0-9])([0-9]{2})")
_ACR122U_ASKED: Final = bytes.fromhex("6F 05000000 0000000000 FF00480000")  # ACS, ACR122U API V2.04, in a CCID block
_ACR122U_LEAST: Final = "2.00"
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
        return _opening(port, lambda: _on_serial(os.path.realpath(port), "pn532"))
    _, line, chip = port.split(":")
    path = f"/dev/tty{line}"
    return _opening(path, lambda: _on_serial(path, chip))


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
    return About(named[:_NAME_MAX] or chipset["model"], firmware or chipset["firmware"])


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
        silent = error.errno in SILENT or error.errno == errno.ENODEV  # what nfcpy makes of a wrong answer, too
        raise LinkLost(hanging(port) if silent else why(port, error)) from error
    except Exception as error:  # nfcpy is not particular about what it raises on bytes that it does not expect
        raise LinkLost(f"{port} answers, but not as such a reader does: is it one, and is that its port?") from error


def _on_serial(path: str, chip: str) -> Any:
    if not _SERIAL.fullmatch(path):
        raise LinkLost(f"{path} is no name of a serial port")
    _check_free(path)
    line = nfc.clf.transport.TTY(path)
    with _closed_on_failure(line):
        line.tty.exclusive = True
        frontend = _made(path, line, chip)
        line.tty.exclusive = True  # it has opened the port anew, at another speed
        return frontend


def _check_free(path: str) -> None:
    """Raises OSError where somebody has the port: nfcpy would open it all the same, and set its speed."""
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(port)


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
            if age and age < _ACR122U_LEAST:
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
