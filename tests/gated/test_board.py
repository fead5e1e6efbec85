"""The board's identity."""

from pathlib import Path

import pytest

from gated.board import identity


def lay(root: Path, files: dict[str, str]) -> Path:
    """A root with these files in it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


CARDS = {
    "etc/machine-id": "5f0c\n",
    "sys/class/net/eth0/address": "02:42:ac:00:00:01\n",
    "sys/class/net/eth0/addr_assign_type": "3\n",
    "sys/class/net/eth0/device/uevent": "",
    "sys/class/net/eth1/address": "dc:a6:32:00:00:02\n",
    "sys/class/net/eth1/addr_assign_type": "0\n",
    "sys/class/net/eth1/device/uevent": "",
    "sys/class/net/lo/address": "00:00:00:00:00:00\n",
    "sys/class/net/lo/addr_assign_type": "0\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/device-tree/serial-number": "10000000abcd\0"} | CARDS, "serial:10000000abcd"),
        ({"sys/class/dmi/id/product_serial": "CZC 123\n"}, "serial:CZC_123"),
        ({"sys/class/dmi/id/product_serial": "Default string\n", "sys/class/dmi/id/board_serial": "B7\n"}, "serial:B7"),
        ({"sys/class/dmi/id/product_serial": "0000-0000\n"} | CARDS, "machine:5f0c/dc:a6:32:00:00:02"),
        ({"etc/machine-id": "5f0c\n"}, "machine:5f0c/-"),
        ({}, "unknown"),
    ],
)
def test_identity(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    """The serial first, what makers leave in its place never, then machine id and a card's own address."""
    assert identity(lay(tmp_path, files)) == expected


def test_identity_of_this_machine() -> None:
    """The same twice, one word."""
    assert identity() == identity()
    assert len(identity().split()) == 1
