"""Where a repository keeps its files: every version of its metadata, and the blobs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from center.site.files import SECRET_FOLDER, remove, write


class Vault(Protocol):
    """Files by name. What it holds is public; that it is the newest is what counts."""

    def get(self, name: str) -> bytes | None:
        """The file; None where there is none."""
        ...

    def put(self, files: Mapping[str, bytes]) -> None:
        """Keep these, durably, in this order: if it breaks off, a beginning of them is kept."""
        ...

    def drop(self, name: str) -> None:
        """Take the file away; one that is not there is no error."""
        ...


class FolderVault:
    """A folder on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> bytes | None:
        """The file; None where there is none."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, files: Mapping[str, bytes]) -> None:
        """Keep these, durably, in this order."""
        self._folder.mkdir(mode=SECRET_FOLDER, parents=True, exist_ok=True)
        for name, data in files.items():
            write(self._folder / name, data)

    def drop(self, name: str) -> None:
        """Take the file away."""
        remove(self._folder / name)
