"""What the doctor asks of the gate: its state folder, journal, list, clock, and the running daemon."""

import os
import pwd
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gated.commands.finding import Finding, note, ok, wrong
from gated.commands.output import count, duration, size

if TYPE_CHECKING:
    from gated.config import Config

SPACE_MIN_BYTES: Final = 100 * 1024 * 1024
LIST_OLD_S: Final = 30 * 86_400.0
HOURS_MIN: Final = 7 * 24.0
HEARD_S: Final = 24 * 3600.0
"""A reader that only talks says nothing while nobody comes; at no lane that is used nobody comes for a day."""
_LOAD: Final = "sudo -u gated gated list load FILE"
_AS_DAEMON: Final = "look as the daemon: sudo -u gated gated doctor"
_BAD_FS: Final = {
    "nfs": "is on the network", "nfs4": "is on the network", "cifs": "is on the network", "smb3": "is on the network",
    "vfat": "has no journal of its own", "exfat": "has no journal of its own",
    "tmpfs": "is memory: a power cut takes everything", "ramfs": "is memory: a power cut takes everything",
}  # fmt: skip


def examine(config: "Config") -> Iterator[Finding]:
    """Everything below the state folder, then the daemon."""
    folder = config.state
    try:
        there = folder.is_dir()
        readable = there and os.access(folder, os.R_OK | os.X_OK)
    except PermissionError:
        there, readable = True, False
    if not there:
        do = "sudo install -d -o gated -g gated -m 0750 " + str(folder)
        yield wrong("state", f"{folder} is not there: the daemon has never run", do)
    elif not readable:
        yield note("state", f"{folder} may not be read by this user", _AS_DAEMON)
    else:
        yield from _folder(folder)
        yield from _journal(config)
        yield from _whitelist(folder)
    yield from _options(config)
    yield _timezone(config)
    yield from _fire(config)
    yield from _daemon(config)


def _folder(folder: Path) -> Iterator[Finding]:
    from gated.recording.pace import free_bytes  # noqa: PLC0415 - not for a box without a state folder

    owner = _user_name(folder.stat().st_uid)
    if owner not in {"gated", _user_name(os.geteuid())}:
        yield wrong("state", f"{folder} belongs to {owner}, not to gated", f"sudo chown -R gated:gated {folder}")
    free = free_bytes(folder)
    if free < SPACE_MIN_BYTES:
        yield wrong("state", f"only {size(free)} are free", "make room; when it is full nothing is admitted")
    kind = filesystem(folder, Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace"))
    if kind in _BAD_FS:
        do = "put the state folder on a local ext4, xfs or btrfs"
        yield wrong("state", f"{folder} lies on {kind}, which {_BAD_FS[kind]}", do)
    else:
        yield ok("state", f"{folder} on {kind or 'an unknown file system'}, {size(free)} free")
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield wrong("state", f"{folder} is mounted read-only", "look at dmesg for why; the disk may be dying")


def filesystem(folder: Path, mounts: str) -> str:
    """The kind of file system that the folder lies on, by /proc/self/mounts."""
    best, kind = "", ""
    where = os.path.realpath(folder)
    for line in mounts.splitlines():
        parts = line.split()
        point = parts[1].replace("\\040", " ")
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, parts[2]
    return kind


def _journal(config: "Config") -> Iterator[Finding]:
    from gated.recording import journal_read, pace  # noqa: PLC0415 - not for a box without a state folder
    from gated.recording.store import FILE_NAME  # noqa: PLC0415 - the same

    folder = config.state
    path = folder / FILE_NAME
    for damaged in sorted(folder.glob(f"{path.stem}-damaged-*{path.suffix}")):
        do = "what could be read of it is in the new journal; keep a copy, then remove it, and check the disk"
        yield wrong("journal", f"a damaged journal was set aside: {damaged.name}", do)
    if not path.exists():
        yield note("journal", "there is none yet: the daemon has not run")
        return
    if not os.access(path, os.R_OK):
        yield note("journal", f"{path} may not be read by this user", _AS_DAEMON)
        return
    try:
        last = journal_read.head(path)
    except journal_read.JournalUnreadable as error:
        yield wrong("journal", str(error), _AS_DAEMON)
        return
    said = f"{count(last, 'event')}, {size(path.stat().st_size)}"
    found = pace.look(path, datetime.now(config.zone))
    if found is None or not found.events_per_hour:
        yield ok("journal", said if found is None else f"{said}; none today")
        return
    said += f", {found.bytes_per_event:.0f} bytes each; {found.events_per_hour:.1f} an hour today"
    said += f", room for {duration(found.hours_left * 3600)}"
    if found.hours_left < HOURS_MIN:
        yield wrong("journal", said, "make room on the disk, or lower journal.keep_days once events are acknowledged")
    else:
        yield ok("journal", said)


def _whitelist(folder: Path) -> Iterator[Finding]:
    from gated.lists.whitelist import POINTER, Whitelist, verify  # noqa: PLC0415 - not for a box without a state folder

    if (folder / POINTER).exists() and not os.access(folder / POINTER, os.R_OK):
        yield note("list", f"{folder / POINTER} may not be read by this user", _AS_DAEMON)
        return
    held = Whitelist(folder)
    try:
        info, trouble = held.info, held.trouble
    finally:
        held.close()
    if trouble:
        yield wrong("list", trouble, _LOAD)
    if info is None:
        if not trouble:
            yield wrong("list", "none was ever loaded: every credential is unknown", _LOAD)
        return
    if not trouble and (damage := verify(folder)):
        yield wrong("list", f"it is damaged: {damage}", f"{_LOAD}; and look at dmesg: the disk may be dying")
        return
    age = (datetime.now(UTC) - datetime.fromisoformat(info.loaded_at)).total_seconds()
    said = f"{count(info.entries, 'entry', 'entries')}, loaded {duration(max(age, 0))} ago ({info.loaded_at})"
    yield note("list", said, "it is old: load a newer one") if age > LIST_OLD_S else ok("list", said)


def _options(config: "Config") -> Iterator[Finding]:
    """Devices that are set up as nobody should leave them."""
    from gated.config import device_warnings  # noqa: PLC0415 - not without a configuration

    for key, advice in device_warnings(config):
        yield wrong("device", f"{key}: {advice.said}", advice.do)


def _timezone(config: "Config") -> Finding:
    if Path("/usr/share/zoneinfo", config.timezone).exists():
        return ok("time zone", f"{config.timezone}, by the system's data")
    return note(
        "time zone",
        f"{config.timezone}, by the data that came with gated",
        "sudo apt install tzdata keeps it up to date",
    )


def _fire(config: "Config") -> Iterator[Finding]:
    barred = [name for name, lane in config.lanes.items() if lane.barrier is not None]
    if config.fire is None and barred:
        do = (
            "wire the fire contact to each barrier's own OPEN, which works with the box off; and where there is another"
            " contact, normally closed, give it to the gate as [fire]"
        )
        yield note("fire", f"no [fire] input: the gate itself opens no barrier for it ({', '.join(barred)})", do)


def _daemon(config: "Config") -> Iterator[Finding]:
    from gated import control  # noqa: PLC0415 - not without a configuration
    from gated.commands import doctor_readers  # noqa: PLC0415 - the same

    try:
        state = control.ask(config.state, {"op": "status"})
    except control.NotRunning as error:
        yield wrong("daemon", str(error), "sudo systemctl start gated; journalctl -u gated says why it ended")
        yield from _own_clock(config)
        return
    except PermissionError:
        yield note("daemon", "this user may not ask it", _AS_DAEMON)
        yield from _own_clock(config)
        return
    yield ok("daemon", f"runs, version {state.get('version')}, since {state.get('since')}")
    yield from _devices(state)
    yield from doctor_readers.examine(config, state)
    yield _clock(str(_of(state, "clock").get("quality")))


def _devices(state: Mapping[str, Any]) -> Iterator[Finding]:
    if state.get("mode") == "guard-only":
        why = _of(state, "journal").get("why")
        yield wrong("journal", f"cannot be written ({why}): nothing but exits opens by itself", "see `by hand` below")
    fire = _of(state, "fire")
    if fire.get("state") in {"open", "lost"}:
        do = "if nothing burns: see the contact, its wires and its module; closed again, it lets the barriers go"
        yield wrong("fire", f"every barrier is held open since {fire.get('since')}: {fire.get('why')}", do)
    for name, device in _of(state, "devices").items():
        if device.get("online"):
            yield _online(name, device, state.get("up_s"))
        else:
            do = "see its cable and power, and the port in the configuration"
            yield wrong("device", f"{name} is offline: {device.get('why')}", do)


def _online(name: str, device: Mapping[str, Any], up_s: float | None) -> Finding:
    """A device that is there. A reader that is asked answers all the time: only one that just talks can be unheard."""
    heard = device.get("heard_s_ago", 0.0)
    unheard = (up_s or 0.0) if heard is None else heard
    if unheard < HEARD_S:
        return ok("device", f"{name} is online")
    do = f"prove it: gated test-card {name.partition('/')[0]}; where nothing is read, see its cable and power"
    return note("device", f"{name} is online, and has read nothing for {duration(unheard)}", do)


def _own_clock(config: "Config") -> Iterator[Finding]:
    """What the time service says, where the daemon cannot be asked."""
    import asyncio  # noqa: PLC0415 - only where the daemon cannot be asked

    from gated.machine_clock import MachineClock  # noqa: PLC0415 - the same

    clock = MachineClock(config.clock.source)
    asyncio.run(clock.ask())
    yield _clock("synced" if clock.synced() else "unset")


def _clock(quality: str) -> Finding:
    if quality == "synced":
        return ok("clock", "synced")
    do = (
        "timedatectl status: is there a time server and a way to it? "
        "Where there is none: set the clock, then sudo -u gated gated clock accept"
    )
    if quality == "holdover":
        return note("clock", "holdover: it was right earlier in this boot, and nobody says so now", do)
    return wrong("clock", f"{quality}: nobody says that the wall clock is right", do)


def _of(state: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = state.get(key)
    return found if isinstance(found, dict) else {}


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
