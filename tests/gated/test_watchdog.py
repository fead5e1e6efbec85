"""What systemd is told: ready, and alive only while every reading loop turns."""

import os
import socket
from pathlib import Path
from typing import cast

from gated.notify import Notifier
from gated.watchdog import Watchdog


def _notifier(tmp_path: Path, usec: str = "30000000") -> tuple[Notifier, socket.socket]:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.setblocking(False)
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": usec}
    return Notifier(cast("os._Environ[str]", environ)), manager


def _said(manager: socket.socket) -> list[bytes]:
    said = []
    while True:
        try:
            said.append(manager.recv(200))
        except BlockingIOError:
            return said


def test_ready(tmp_path: Path) -> None:
    """One datagram, one word a line; without a manager nothing happens."""
    notifier, manager = _notifier(tmp_path)
    notifier("READY=1", "STATUS=4 lanes")
    assert _said(manager) == [b"READY=1\nSTATUS=4 lanes"]
    manager.close()
    notifier("STOPPING=1")
    Notifier(cast("os._Environ[str]", {}))("READY=1")


def test_fed_only_by_all(tmp_path: Path) -> None:
    """A loop that hangs keeps the whole daemon from being fed."""
    notifier, manager = _notifier(tmp_path)
    dog = Watchdog(notifier, ["a", "b"])
    for second in range(40):
        dog.turned("a", float(second))
    assert _said(manager) == []
    dog.turned("b", 40.0)
    assert _said(manager) == [b"WATCHDOG=1"]
    for second in range(41, 80):
        dog.turned("a", float(second))
    assert _said(manager) == []
    manager.close()
