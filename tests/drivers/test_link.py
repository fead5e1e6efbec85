"""Links: backoff, bounds, and why a port does not open."""

import asyncio
import errno
import os
import socket
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.link import BACKOFF_MAX_S, BACKOFF_MIN_S, BUFFER_MAX_BYTES, FdLink, LinkLost, backoff
from drivers.opener import SerialOpener, checked, opener
from drivers.port import DriverError
from drivers.words import forbidden, why
from tests.drivers.rig import eventually


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_backoff_stays_within_its_bounds(attempt: int, chance: float) -> None:
    """Whatever the attempt and the dice."""
    assert BACKOFF_MIN_S <= backoff(attempt, lambda: chance) <= BACKOFF_MAX_S


def test_backoff_doubles() -> None:
    """From the shortest to the longest wait."""
    assert [round(backoff(attempt, lambda: 1.0), 3) for attempt in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


async def test_nobody_reads_and_the_buffer_is_bounded() -> None:
    """Reading stops at the bound and goes on when the bytes are taken; none is lost."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    link = _link(ours)
    sent = received = 0
    while sent < 4 * BUFFER_MAX_BYTES:
        try:
            sent += theirs.send(bytes(BUFFER_MAX_BYTES))
        except BlockingIOError:
            break
    await eventually(lambda: len(link._received) >= BUFFER_MAX_BYTES)
    await asyncio.sleep(0)
    assert len(link._received) < BUFFER_MAX_BYTES + 4096
    theirs.close()
    while received < sent:
        received += len(await link.read())
    with pytest.raises(LinkLost):
        await link.read()


async def test_a_write_that_does_not_fit_is_an_error() -> None:
    """All or an error: nothing is queued behind the caller's back."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = _link(ours)
    with pytest.raises(DriverError, match="takes no more bytes"):
        link.write(bytes(100 * BUFFER_MAX_BYTES))
    theirs.close()
    with pytest.raises(LinkLost):
        link.write(b"x")
    with pytest.raises(LinkLost):
        link.write(b"x")


async def test_what_was_written_last_goes_out() -> None:
    """A relay is told Off at the end, and the port is closed at once behind it."""
    off = bytes.fromhex("a00100a1")
    for _ in range(20):
        device, host = os.openpty()
        try:
            link = await SerialOpener(os.ttyname(host), 9600).open()
            link.write(off)
            link.close()
            os.set_blocking(device, False)
            assert os.read(device, 100) == off
        finally:
            os.close(device)
            os.close(host)


async def test_discard_forgets_what_was_not_read() -> None:
    """What comes after it is read."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = _link(ours)
    with theirs:
        theirs.sendall(b"old")
        await eventually(lambda: bool(link._received))
        link.discard()
        theirs.sendall(b"new")
        assert await link.read() == b"new"
        assert await link.read_within(0.0) == b""
    link.close()


def test_permission_denied_names_the_group_and_the_command() -> None:
    """The technician can copy the command."""
    owned = cast("os.stat_result", SimpleNamespace(st_mode=0o20660, st_gid=0))
    assert forbidden("/dev/ttyUSB0", lambda _: owned) == (
        "/dev/ttyUSB0: permission denied; it belongs to group root: sudo usermod -aG root $USER, then log in again"
    )
    closed = cast("os.stat_result", SimpleNamespace(st_mode=0o20600, st_gid=0))
    assert "udev rule" in forbidden("/dev/ttyUSB0", lambda _: closed)
    assert "permission denied" in why("/nowhere", PermissionError(errno.EACCES, "no"))
    hidden = cast("os.stat_result", SimpleNamespace(st_mode=0o20660, st_gid=65534))
    assert "stat -c %G /dev/ttyUSB0" in forbidden("/dev/ttyUSB0", lambda _: hidden)
    assert "DeviceAllow" in why("/dev/ttyUSB0", PermissionError(errno.EPERM, "no"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOENT, ""), "unplugged"),
        (OSError(errno.EAGAIN, ""), "in use by another process"),
        (OSError(errno.EHOSTUNREACH, ""), "cannot be reached"),
        (OSError(errno.ECONNREFUSED, ""), "refuses the connection"),
        (TimeoutError(), "does not answer"),
        (socket.gaierror(-2, ""), "not known"),
        (OSError(errno.ENOSPC, "no space"), "no space"),
    ],
)
def test_errors_are_said_in_words(error: OSError, words: str) -> None:
    """Each says what it is, and names the port."""
    assert words in why("the-port", error)
    assert "the-port" in why("the-port", error)


@pytest.mark.parametrize(
    "port",
    ["/dev/ttyUSB0", "/dev/serial/by-id/usb-1", "socket://10.0.0.1:6000", "rfc2217://[::1]:1", "listen://0.0.0.0:2077"],
)
def test_ports_that_are_right(port: str) -> None:
    """They stay as they are, and have an opener."""
    assert checked(port) == port
    assert opener(port, 9600).port == port


@pytest.mark.parametrize(
    "port",
    [
        "",
        "ttyUSB0",
        "COM3",
        "/dev/",
        " /dev/x",
        "socket://",
        "socket://host",
        "socket://host:0",
        "socket://host:99999",
        "socket://host:x",
        "tcp://host:1",
        "socket://host:1/x",
        "rfc2217://host:1?logging=debug",
        "socket://[:1",
    ],
)
def test_ports_that_are_wrong(port: str) -> None:
    """The message says what would be right."""
    with pytest.raises(ValueError, match="socket://host:port"):
        checked(port)


@pytest.mark.parametrize("path", ["/dev/null", "/tmp"])  # noqa: S108 - only opened
async def test_what_is_no_serial_port(path: str) -> None:
    """A file that is no serial port is said to be none, whatever it is."""
    with pytest.raises(LinkLost, match=path):
        await SerialOpener(path, 9600).open()


def _link(ours: socket.socket) -> FdLink:
    return FdLink("pair", ours.fileno(), ours.close)
