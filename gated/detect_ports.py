"""Where devices may be plugged in: serial ports by a name that stays, GPIO chips, USB devices that are no ports.

Read from /dev and /sys; nothing is opened.

- A port is named as a technician should write it: by its chip's serial number where it has one (by-id), else by the
  socket (/dev/gated, by-path), else as the kernel calls it.
- A port that the system itself speaks on (its console) is none of ours, and one without hardware behind it is none.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PORT: Final = re.compile(r"tty(USB|ACM|AMA|S|XRUSB|O|mxc|SC)\d+")
_CHIPS: Final = {
    ("1a86", "7523"): "CH340",
    ("1a86", "5523"): "CH341",
    ("0403", "6001"): "FT232",
    ("10c4", "ea60"): "CP210x",
    ("067b", "2303"): "PL2303",
}
NFC: Final = {  # as nfcpy knows them (nfc/clf/device.py)
    ("054c", "0193"): "Sony RC-S330",
    ("054c", "02e1"): "Sony RC-S370",
    ("054c", "06c1"): "Sony RC-S380/S",
    ("054c", "06c3"): "Sony RC-S380/P",
    ("072f", "2200"): "ACS ACR122U",
    ("04cc", "0531"): "NXP PN531",
    ("04cc", "2533"): "NXP PN533",
    ("04e6", "5591"): "SCM SCL3711",
    ("04e6", "5593"): "SCM SCL3712",
}
ROOT: Final = Path("/")


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port: the name to write, and the kernel's. `console`: the system speaks on it."""

    name: str
    node: str
    console: bool = False


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A USB device, by its maker's and product's numbers, and the socket it is in, as the kernel names that.

    `ports` is how many serial ports the kernel made of it.
    """

    ids: tuple[str, str]
    socket: str
    ports: int

    @property
    def serial_chip(self) -> str:
        """The chip, if it is one that makes a serial port; else ""."""
        return _CHIPS.get(self.ids, "")


def ports(root: Path = ROOT) -> list[Port]:
    """All serial ports, each once."""
    dev, classes = root / "dev", root / "sys/class/tty"
    consoles = _text(classes / "console/active").split()
    stable = list(_stable(dev))
    found = []
    for node in sorted(path for path in _listed(dev) if _PORT.fullmatch(path.name)):
        if _text(classes / node.name / "type") == "0":  # an 8250 place without a chip
            continue
        names = [name for name in stable if name.resolve() == node.resolve()]
        found.append(Port(str(_best(names, node, classes)), str(node), node.name in consoles))
    return found


def gpio_chips(root: Path = ROOT) -> list[str]:
    """The GPIO chips, by name."""
    return sorted(path.name for path in _listed(root / "dev") if re.fullmatch(r"gpiochip\d+", path.name))


def usb_devices(root: Path = ROOT) -> list[UsbDevice]:
    """All USB devices that tell who they are."""
    found = []
    for folder in sorted(_listed(root / "sys/bus/usb/devices")):
        ids = _text(folder / "idVendor"), _text(folder / "idProduct")
        if all(ids):
            ports = len([*folder.glob("*/ttyUSB*"), *folder.glob("*/tty/ttyACM*")])
            found.append(UsbDevice(ids, folder.name, ports))
    return found


def nfc_readers(root: Path = ROOT) -> dict[str, str]:
    """The NFC readers on USB, by the port to write: maker and model, or the socket where there are several of those."""
    devices = [device for device in usb_devices(root) if device.ids in NFC]
    of_each = Counter(device.ids for device in devices)
    names = (":".join(device.ids) if of_each[device.ids] == 1 else device.socket for device in devices)
    return {f"usb:{name}": NFC[device.ids] for name, device in zip(names, devices, strict=True)}


def _stable(dev: Path) -> Iterator[Path]:
    """Names that stay, the best first."""
    for folder in ("serial/by-id", "gated", "serial/by-path"):
        yield from sorted(_listed(dev / folder))


def _best(names: list[Path], node: Path, classes: Path) -> Path:
    """The name to write. Without a serial number two equal chips share their by-id: the socket tells them apart."""
    device = Path(os.path.realpath(classes / node.name / "device"))
    numbered = any((above / "serial").exists() for above in (device, *list(device.parents)[:3]))
    by_id = [name for name in names if name.parent.name == "by-id"]
    others = [name for name in names if name.parent.name != "by-id"]
    return next(iter([*by_id, *others] if numbered else [*others, *by_id]), node)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def running(root: Path = ROOT) -> frozenset[str]:
    """The names of all processes."""
    return frozenset(_text(folder / "comm") for folder in _listed(root / "proc") if folder.name.isdigit())
