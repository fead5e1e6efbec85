"""What the doctor asks of the machine: SQLite, memory, the unit, users and groups, the ports of the devices."""

import grp
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gated.commands.finding import Finding, note, ok, wrong
from gated.commands.output import size
from gated.rights import USER, Account

if TYPE_CHECKING:
    from gated.config import Config

SERIAL_GROUP: Final = "dialout"
MEMORY_MIN_BYTES: Final = 64 * 1024 * 1024
_UNITS: Final = tuple(
    Path(folder) / "gated.service"
    for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
)
_ENABLED: Final = Path("/etc/systemd/system/multi-user.target.wants/gated.service")
_RESET_BUG: Final = ((3, 7, 0), (3, 51, 2))
_RESET_FIXED: Final = ((3, 50, 7), (3, 44, 6))
"""The WAL-reset bug of SQLite: 3.7.0 to 3.51.2, but for these releases and those after them in their own series."""
_VERSION_PARTS: Final = 3


def examine() -> Iterator[Finding]:
    """The machine, whatever is configured."""
    yield sqlite(sqlite3.sqlite_version)
    yield from _users()
    yield from _unit()
    yield _memory()


def sqlite(version: str) -> Finding:
    """The version, and what it is known for."""
    if not has_reset_bug(version):
        return ok("sqlite", f"version {version}")
    return note(
        "sqlite",
        f"version {version} has the WAL-reset bug: a checkpoint beside another connection's write can lose pages",
        "nothing: one connection of the daemon writes and checkpoints, everything else only reads. Never write to the "
        "journal with another tool",
    )


def has_reset_bug(version: str) -> bool:
    """Whether this SQLite can lose committed pages when two connections write and checkpoint."""
    parts = tuple(int(part) for part in version.split(".")[:_VERSION_PARTS])
    fixed = any(parts[:2] == good[:2] and parts >= good for good in _RESET_FIXED)
    return _RESET_BUG[0] <= parts <= _RESET_BUG[1] and not fixed


def ports(config: "Config") -> Iterator[Finding]:
    """The port of each device: there, and ours to open."""
    seen: set[str] = set()
    for key, device in config.devices:
        port = str(getattr(device.options, "port", ""))
        if port in seen or not port:
            continue
        seen.add(port)
        yield _port(key, port)


def _port(where: str, port: str) -> Finding:
    if not port.startswith("/"):
        how = "is reached over the network" if "://" in port else "is no file to look at from here"
        return ok("port", f"{where}: {port} {how}; gated status says if it answers")
    try:
        facts = Path(port).stat()
    except PermissionError:
        return note("port", f"{where}: {port} may not be looked at by this user", "sudo -u gated gated doctor")
    except OSError:
        do = "plug the device in, or correct the port: ls -l /dev/serial/by-id /dev/serial/by-path"
        return wrong("port", f"{where}: {port} is not there", do)
    if not stat.S_ISCHR(facts.st_mode):
        return wrong("port", f"{where}: {port} is no device", "correct the port: ls -l /dev/serial/by-id")
    # Where there is no such user yet, this one is asked about.
    user = Account.of_daemon()
    if (user or Account.of_process()).may(facts, os.R_OK | os.W_OK):
        return ok("port", f"{where}: {port}")
    group = _group_name(facts.st_gid)
    do = f"sudo usermod -aG {group} {user.name if user else 'USER'}, then restart the daemon"
    return wrong("port", f"{where}: {port} may be opened by group {group} only", do)


def _users() -> Iterator[Finding]:
    user = Account.of_daemon()
    if user is None:
        do = "sudo cp systemd/gated.sysusers /etc/sysusers.d/gated.conf; sudo systemd-sysusers"
        yield wrong("user", f"there is no user {USER!r}", do)
    elif SERIAL_GROUP in {_group_name(gid) for gid in user.groups}:
        yield ok("user", f"{USER} is in {SERIAL_GROUP}")
    else:
        do = f"sudo usermod -aG {SERIAL_GROUP} {USER}, then restart the daemon"
        yield wrong("user", f"{USER} is not in {SERIAL_GROUP}, which serial ports belong to", do)


def _unit() -> Iterator[Finding]:
    found = next((unit for unit in _UNITS if unit.exists()), None)
    if found is None:
        do = "in the bundle: sudo cp systemd/gated.service /etc/systemd/system/; sudo systemctl enable --now gated"
        yield wrong("unit", "gated.service is not installed: the gate does not start with the box", do)
    elif not os.path.lexists(_ENABLED):
        yield wrong(
            "unit", f"{found} is not enabled: the gate does not start with the box", "sudo systemctl enable gated"
        )
    else:
        yield ok("unit", f"{found}, enabled")


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return note("memory", "cannot be told")
    if free < MEMORY_MIN_BYTES:
        do = "see what takes it: ps aux --sort -rss | head. A list load takes up to twice the list"
        return wrong("memory", f"only {size(free)} are free", do)
    return ok("memory", f"{size(free)} are free")


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
