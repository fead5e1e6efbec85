"""Why a port does not open, in words for the technician who stands in front of it."""

import errno
import grp
import os
import socket
import stat
from collections.abc import Callable
from typing import Final

_TEXT: Final = {
    errno.ENOENT: "there is no {port}: unplugged, or the name is wrong (ls /dev/serial/by-id shows what there is)",
    errno.ENXIO: "{port} has no device behind it: unplugged",
    errno.ENODEV: "{port} has no device behind it: unplugged",
    errno.EIO: "{port} went away: unplugged, or the cable is loose",
    errno.EBUSY: "{port} is in use by another process (sudo fuser -v {port} shows which)",
    errno.EAGAIN: "{port} is in use by another process (sudo fuser -v {port} shows which)",
    errno.ENOTTY: "{port} is no serial port",
    errno.ECONNREFUSED: "{port} refuses the connection: the device is up, but nothing listens on this port number",
    errno.ECONNRESET: "{port} closed the connection: restarted, or in use by another client",
    errno.EPIPE: "{port} closed the connection",
    errno.EHOSTUNREACH: "{port} cannot be reached: check the device's power, its cable and its address",
    errno.ENETUNREACH: "{port} cannot be reached: this machine has no network to it",
    errno.ETIMEDOUT: "{port} does not answer: check the device's power, its cable and its address",
    errno.EADDRINUSE: "{port} is taken: another process listens on this port number",
    errno.EADDRNOTAVAIL: "{port} is no address of this machine",
}

_UNIT: Final = "allow it in a drop-in (systemctl edit gated: DeviceAllow=…), then systemctl restart gated"
_HIDDEN_GID: Final = 65534  # what a service with PrivateUsers= sees of groups that are not its own


def why(port: str, error: BaseException) -> str:
    """What went wrong with `port`, and what to do about it."""
    if isinstance(error, socket.gaierror):
        return f"{port}: the host's name is not known; check the spelling, or write its address"
    number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else getattr(error, "errno", None)
    if number == errno.EPERM:
        return f"{port}: the service is kept from this kind of device; {_UNIT}"
    if number == errno.EACCES:
        return forbidden(port)
    if number in _TEXT:
        return _TEXT[number].format(port=port)
    return f"{port}: {error}"


def forbidden(port: str, look: Callable[[str], os.stat_result] = os.stat) -> str:
    """Names the group that owns the device, and the command that lets our user in."""
    try:
        found = look(port)
    except OSError:
        return f"{port}: permission denied"
    if found.st_gid == _HIDDEN_GID:
        return (
            f"{port}: permission denied; its group cannot be seen from inside the service: stat -c %G {port} names it, "
            "sudo usermod -aG that group gated, then systemctl restart gated"
        )
    if not found.st_mode & stat.S_IRGRP or not found.st_mode & stat.S_IWGRP:
        return f"{port}: permission denied; its group may not read and write it: it wants a udev rule"
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return f"{port}: permission denied; it belongs to group {group}: sudo usermod -aG {group} $USER, then log in again"
