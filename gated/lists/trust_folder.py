"""Verified metadata and documents on disk, changed as a whole: `trust-N`, the newest N counts.

A change is made in a copy beside it, made durable file by file (python-tuf does not), and takes effect by one rename.
Power may fail at any byte: there is the old folder or the new one.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gated.recording import durable
from protocol.repository import DOCUMENTS, EXPECTED, FILE_OF

METADATA: Final = "metadata"
_DOCUMENTS: Final = "documents"
_NAME: Final = re.compile(r"trust-([0-9]{1,12})")
_NEW: Final = ".trust.tmp"
_MODE: Final = 0o750


def current(state: Path) -> Path | None:
    """The folder that counts; None before the first."""
    found = _numbered(state)
    return found[max(found)] if found else None


def documents(state: Path) -> dict[str, bytes]:
    """The documents in force, by name; what is announced, as it is sealed, among them. Raises OSError."""
    folder = current(state)
    if folder is None:
        return {}
    paths = {name: folder / _DOCUMENTS / name for name in (*DOCUMENTS, FILE_OF[EXPECTED])}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def put_document(folder: Path, name: str, data: bytes) -> None:
    """Put a document into a folder that is being changed."""
    (folder / _DOCUMENTS).mkdir(mode=_MODE, exist_ok=True)
    (folder / _DOCUMENTS / name).write_bytes(data)


def drop_document(folder: Path, name: str) -> None:
    """Take a document out of a folder that is being changed."""
    (folder / _DOCUMENTS / name).unlink(missing_ok=True)


@contextmanager
def changing(state: Path) -> Iterator[Path]:
    """A copy of the folder that counts from when the block ends; where it ends with an error, all stays as it is.

    Where nothing in it was changed, nothing is written. Raises OSError. One at a time.
    """
    before, new = current(state), state / _NEW
    shutil.rmtree(new, ignore_errors=True)
    if before is not None:
        shutil.copytree(before, new, symlinks=True)
    (new / METADATA).mkdir(mode=_MODE, parents=True, exist_ok=True)
    try:
        yield new
        if before is None or _content(before) != _content(new):
            _take(state, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _take(state: Path, new: Path) -> None:
    for below, _, names in os.walk(new, topdown=False):
        for name in names:
            if not (Path(below) / name).is_symlink():
                _sync(Path(below) / name)
        durable.sync_folder(Path(below))
    found = _numbered(state)
    number = max(found, default=0) + 1
    new.rename(state / f"trust-{number}")
    durable.sync_folder(state)
    for path in found.values():
        with suppress(OSError):  # tried again with the next change
            shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]
    return {
        str(path.relative_to(folder)): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for path in paths
    }


def _numbered(state: Path) -> dict[int, Path]:
    return {int(found[1]): path for path in state.glob("trust-*") if (found := _NAME.fullmatch(path.name))}
