"""The one way to write a file so that a power cut leaves the old one or the new one, whole.

Temporary in the same folder, write, fsync, rename, fsync the folder. A write that fails takes its temporary with it;
one that is killed leaves a `.NAME.….tmp` behind, which `clean` removes.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

DEFAULT_MODE: Final = 0o640
_SUFFIX: Final = ".tmp"


def write(path: Path, data: bytes, mode: int = DEFAULT_MODE) -> None:
    """Make `path` hold `data`, on disk when this returns. Raises OSError, and then `path` is the old one, whole.

    (Where the very last step fails, the folder's fsync, it is the new one, whole; a power cut may bring the old back.)
    """
    descriptor, temporary = temporary_for(path, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def temporary_for(path: Path, mode: int = DEFAULT_MODE) -> tuple[int, Path]:
    """An open descriptor and the name of a new temporary beside `path`, with `mode` and the folder's owner.

    The owner matters where root writes for the daemon, which must be able to read.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent)
    try:
        os.fchmod(descriptor, mode)
        owner = path.parent.stat()
        with suppress(PermissionError):  # only root may give a file away; anyone else is the owner already
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except BaseException:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)
        raise
    return descriptor, Path(name)


def sync_folder(path: Path) -> None:
    """Make names that were created, renamed or removed in the folder `path` last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clean(folder: Path, names: str) -> None:
    """Remove what killed writes of files called `names` (a glob) left. Only where no such write is under way."""
    for left in folder.glob(f".{names}.*{_SUFFIX}"):
        left.unlink(missing_ok=True)
