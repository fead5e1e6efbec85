"""The state folder belongs to one daemon at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOCK: Final = "gated.lock"


class FolderTakenError(Exception):
    """Another daemon runs on this state folder; the message names it."""


@contextmanager
def holding(folder: Path, since: str) -> Iterator[None]:
    """Hold the folder for this process; `since` is for whoever comes second. Raises FolderTakenError, OSError."""
    descriptor = _open(folder / LOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            raise FolderTakenError(f"{folder} is in use by {who}; two daemons on one gate are never right") from error
        with suppress(OSError):  # a full or read-only disk: the lock holds all the same, only nameless
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"gated run, pid {os.getpid()}, since {since}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
