"""Serial ports under names that stay, and what of the rest of the box a technician wants to know."""

from pathlib import Path

import pytest

from drivers.registry import Role, driver
from gated.__main__ import parser
from gated.detect_ports import gpio_chips, nfc_readers, ports, running, usb_devices


def box(root: Path) -> Path:
    """A box with two FTDI, one CH340, a console, a place without a chip, and a GPIO chip."""
    for name in ("ttyUSB0", "ttyUSB1", "ttyS0", "ttyS1", "gpiochip0", "null"):
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev" / name).touch()
    link(root / "dev/serial/by-id/usb-FTDI_A50285BI-if00-port0", root / "dev/ttyUSB0")
    link(root / "dev/serial/by-path/pci-usb-0:1", root / "dev/ttyUSB0")
    link(root / "dev/serial/by-id/usb-1a86_USB_Serial-if00-port0", root / "dev/ttyUSB1")
    link(root / "dev/serial/by-path/pci-usb-0:2", root / "dev/ttyUSB1")
    link(root / "dev/gated/ch340-pci-usb-0_2", root / "dev/ttyUSB1")
    usb(root, "1-1", "0403", "6001", "ttyUSB0", serial="A50285BI")
    usb(root, "1-2", "1a86", "7523", "ttyUSB1")
    text(root / "sys/class/tty/console/active", "tty0 ttyS0")
    text(root / "sys/class/tty/ttyS0/type", "4")
    text(root / "sys/class/tty/ttyS1/type", "0")
    return root


def text(path: Path, content: str) -> None:
    """A file of the kernel's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content + "\n")


def link(path: Path, to: Path) -> None:
    """A name of udev's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def usb(root: Path, name: str, vendor: str, product: str, port: str = "", serial: str = "") -> None:
    """A USB device, with the serial port that the kernel has made of it."""
    folder = root / "sys/devices/usb1" / name
    text(folder / "idVendor", vendor)
    text(folder / "idProduct", product)
    link(root / "sys/bus/usb/devices" / name, folder)
    if serial:
        text(folder / "serial", serial)
    if port:
        (folder / f"{name}:1.0" / port).mkdir(parents=True)
        (root / "sys/class/tty" / port).mkdir(parents=True)
        (root / "sys/class/tty" / port / "device").symlink_to(folder / f"{name}:1.0" / port)


def test_names_that_stay(tmp_path: Path) -> None:
    """By serial number where there is one, else by socket: two CH340 share their by-id. No port without a chip."""
    found = ports(box(tmp_path))
    assert [(Path(port.name).name, Path(port.node).name, port.console) for port in found] == [
        ("ttyS0", "ttyS0", True),
        ("usb-FTDI_A50285BI-if00-port0", "ttyUSB0", False),
        ("ch340-pci-usb-0_2", "ttyUSB1", False),
    ]


def test_a_box_without_anything(tmp_path: Path) -> None:
    """No folder is there: no error."""
    assert (ports(tmp_path), gpio_chips(tmp_path), usb_devices(tmp_path), running(tmp_path)) == (
        [],
        [],
        [],
        frozenset(),
    )


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A box with a CH340 of which no port was made, an NFC reader, and ModemManager."""
    usb(tmp_path, "1-1", "1a86", "7523")
    text(tmp_path / "proc/77/comm", "ModemManager")
    return tmp_path


def run(root: Path, *words: str) -> int:
    """The command, on that box."""
    args = parser().parse_args(["detect", "-c", str(root / "none.toml"), "--seconds", "0", *words])
    args.root = root
    status: int = args.run(args)
    return status


def test_what_to_do(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing found: status 1, and each thing that takes ports away is named with the cure."""
    assert run(empty) == 1
    said = capsys.readouterr().err
    for words in ("there is no serial port", "brltty takes it; sudo apt remove brltty", "disable --now ModemManager"):
        assert words in said


def test_nfc_and_gpio(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """NFC readers on USB are known by their numbers, GPIO chips by their names; neither is opened."""
    usb(empty, "1-2", "072f", "2200")
    (empty / "dev").mkdir()
    (empty / "dev/gpiochip0").touch()
    assert run(empty) == 0
    said = capsys.readouterr().out
    assert "ACS ACR122U" in said
    assert 'readers = [{ driver = "nfc", port = "usb:072f:2200" }]' in said
    assert 'line = "gpiochip0/17"' in said
    usb(empty, "1-3.1", "072f", "2200")
    assert list(nfc_readers(empty)) == ["usb:1-2", "usb:1-3.1"]
    assert run(empty, "--only", "nfc") == 0
    assert "gpiochip" not in capsys.readouterr().out
    for port in ("usb:072f:2200", *nfc_readers(empty)):
        driver("nfc", Role.READER).options(port=port)


def test_the_console_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, and not opened; a port that is no device is told as such."""
    assert run(box(tmp_path)) == 1
    said = capsys.readouterr().out
    assert f"{tmp_path}/dev/ttyS0: the system's console; left alone" in said
    assert said.count("ttyS0") == 1
    assert "usb-FTDI_A50285BI-if00-port0  (ttyUSB0): is no serial port" in said
