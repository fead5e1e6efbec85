"""Which board this is: what tells two boxes with the same disk image apart.

A serial number that the board itself carries comes first; where the maker put none in, the machine id together with
the first network card's own address must do. The journal keeps the answer: found on another board, it begins a new
epoch. Everything is read from files under a root, so that a test can lay out a board of its own.
"""

from pathlib import Path
from typing import Final

_SERIALS: Final = (
    "sys/firmware/devicetree/base/serial-number",  # /proc/device-tree, where a sandbox hides /proc
    "proc/device-tree/serial-number",
    "sys/class/dmi/id/product_serial",
    "sys/class/dmi/id/board_serial",
)
_MACHINE_ID: Final = "etc/machine-id"
_CARDS: Final = "sys/class/net"
_PERMANENT: Final = (
    "0"  # addr_assign_type of an address burnt into the card (Documentation/ABI/testing/sysfs-class-net)
)
_PLACEHOLDERS: Final = frozenset(
    {
        "",
        "0123456789",
        "123456789",
        "default string",
        "n/a",
        "na",
        "none",
        "not applicable",
        "not available",
        "not specified",
        "o.e.m.",
        "oem",
        "system serial number",
        "base board serial number",
        "to be filled by o.e.m.",
        "unknown",
    }
)
"""What makers leave where a serial should be."""


def identity(root: Path = Path("/")) -> str:
    """The board's identity, one word: `serial:…`, else `machine:…/…`, else `unknown`."""
    for name in _SERIALS:
        serial = _read(root / name)
        if serial.lower() not in _PLACEHOLDERS and serial.strip("0-. "):
            return "serial:" + serial.replace(" ", "_")
    machine, address = _read(root / _MACHINE_ID), _first_address(root / _CARDS)
    return f"machine:{machine or '-'}/{address or '-'}" if machine or address else "unknown"


def _first_address(cards: Path) -> str:
    """The address of the first card, by name, that is a device and has one of its own."""
    try:
        names = sorted(cards.iterdir())
    except OSError:
        return ""
    for card in names:
        address = _read(card / "address")
        if (card / "device").exists() and _read(card / "addr_assign_type") == _PERMANENT and address.strip("0:"):
            return address
    return ""


def _read(path: Path) -> str:
    """The file's text without padding; nothing where it is missing or not ours to read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return ""
