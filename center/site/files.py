"""Files of a site's folder: secret, and written so that a power cut leaves the old one or the new one, whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SECRET: Final = 0o600
SECRET_FOLDER: Final = 0o700


class SiteError(Exception):
    """Something is wrong with a site's folder or with what is asked of it; the message says what to do."""


def write(path: Path, data: bytes, mode: int = SECRET) -> None:
    """Make `path` hold `data`, on disk when this returns. Raises OSError, and then `path` is the old one, whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            owner = path.parent.stat()
            # Only root may give a file away, and anyone else is the owner already; a stick's file system has neither
            # modes nor owners.
            with suppress(PermissionError):
                os.fchmod(file.fileno(), mode)
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Take the file away, for good when this returns; one that is not there is no error."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` that takes its name when the block ends; nothing is left where it fails.

    Raises SiteError where something has that name already.
    """
    refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        beside.chmod(SECRET_FOLDER)
        yield beside
        for below, _, _ in os.walk(beside):
            sync_folder(Path(below))
        refuse_existing(folder)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def refuse_existing(folder: Path) -> None:
    """Raises SiteError if there is anything of this name."""
    if os.path.lexists(folder):
        raise SiteError(f"{folder} is there already, and is not touched; name another folder")


def sync_folder(path: Path) -> None:
    """Make names that were created, renamed or removed in the folder last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
