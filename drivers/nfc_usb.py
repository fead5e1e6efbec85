"""Where an NFC reader on USB is, and what keeps us from it, by what the kernel shows in /sys: nothing is opened.

`usb:072f:2200` is the one reader of this maker and model; `usb:1-1.4` the reader in this socket (bus 1, port 1 of the
root, port 4 of the hub there), which stays its name for as long as the plug stays where it is.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drivers.link import LinkLost

DEVICES: Final = Path("/sys/bus/usb/devices")
NODES: Final = Path("/dev/bus/usb")
PATTERN: Final = r"usb:(?:[0-9a-fA-F]{4}:[0-9a-fA-F]{4}|[0-9]{1,3}-[0-9]{1,2}(?:\.[0-9]{1,2}){0,6})"

_SOCKET: Final = re.compile(r"[0-9]+-[0-9.]+")
_OURS: Final = "usbfs"  # what the kernel calls a program that has a device


@dataclass(frozen=True, slots=True)
class Place:
    """One USB device: the socket it is in, its number now, and the kernel's driver that has it ("" for none)."""

    socket: str
    bus: int
    device: int
    holder: str = ""

    @property
    def node(self) -> Path:
        """The file by which programs use it."""
        return NODES / f"{self.bus:03}" / f"{self.device:03}"


def place(port: str, devices: Path = DEVICES) -> Place:
    """Where the reader of this port is now. Raises LinkLost, with what to do, where it is not to be had."""
    wanted = port.removeprefix("usb:")
    found = list(_found(wanted, devices))
    if not found:
        raise LinkLost(f"there is no {port}: unplugged, or the name is wrong (lsusb shows what there is)")
    if len(found) > 1:
        sockets = ", ".join(sorted(f"usb:{one.socket}" for one in found))
        raise LinkLost(f"several readers are {port}: {sockets}; write one of these")
    if found[0].holder:
        module = found[0].holder
        raise LinkLost(
            f"{port}: the kernel's driver {module} has the reader: sudo modprobe -r {module}, and write "
            f'"blacklist {module}" into /etc/modprobe.d/gated-nfc.conf'
        )
    return found[0]


def refused(port: str, where: Place, error: Exception, access: Callable[[Path, int], bool] = os.access) -> str:
    """Why the reader cannot be opened though it is there, and what to do."""
    number = getattr(error, "errno", None)
    if number == errno.EBUSY:
        stop = "sudo systemctl disable --now pcscd.socket pcscd.service"
        return f"{port} is in use: by another reader of this gate, or by pcscd, most likely: {stop}"
    if number == errno.EACCES or not access(where.node, os.R_OK | os.W_OK):
        return (
            f"{port}: permission denied at {where.node}: copy systemd/70-gated.rules to /etc/udev/rules.d, "
            "sudo udevadm control --reload, then pull the reader out and plug it in again"
        )
    said = getattr(error, "strerror", None) or error
    return f"{port} does not answer ({said}): pull the reader out and plug it in again"


def _found(wanted: str, devices: Path) -> Iterator[Place]:
    for folder in sorted(devices.glob("*")):
        if not _SOCKET.fullmatch(folder.name):
            continue
        try:
            number = f"{_text(folder, 'idVendor')}:{_text(folder, 'idProduct')}"
            if wanted == folder.name or wanted.lower() == number:
                yield Place(folder.name, int(_text(folder, "busnum")), int(_text(folder, "devnum")), _holder(folder))
        except (OSError, ValueError):
            continue  # safe: unplugged while we looked


def _holder(folder: Path) -> str:
    """The kernel's driver of its first interface."""
    for interface in sorted(folder.glob(f"{folder.name}:*.0")):
        driver = interface / "driver"
        if driver.is_symlink() and driver.readlink().name != _OURS:
            return driver.readlink().name
    return ""


def _text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="ascii").strip().lower()
