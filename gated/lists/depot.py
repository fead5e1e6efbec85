"""What a flash has received and not yet verified: the repository's message, and blobs piece by piece.

    flash/repo.json          the last message that was believed
    flash/repo.new           one that came since, and has not been believed yet
    flash/SHA256.NUMBER      a piece

Nothing here is made durable, and nothing is trusted for being here: whoever reads checks signatures, lengths and hashes
first. After a power cut a piece may be empty or short; then it is asked for again. A message takes the place of the one
before only when it has been verified: anybody at the broker can send one.
"""

import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from protocol.blob import PIECE_BYTES, piece_bytes, piece_count

FOLDER: Final = "flash"
_BELIEVED: Final = "repo.json"
_NEW: Final = "repo.new"


class Depot:
    """The folder of a state folder in which a flash collects."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER

    def begin(self) -> bytes | None:
        """Begin a life with the message that was believed last; None where there is none."""
        with suppress(OSError):  # then it is refused once more
            (self.folder / _NEW).unlink()
        return self.message()

    def put_message(self, message: bytes) -> None:
        """Keep a message that has come, beside the one that was believed. Raises OSError."""
        self._put(_NEW, message)

    def message(self) -> bytes | None:
        """The last one that has come; where none has since, the one that was believed. None where there is neither."""
        for name in (_NEW, _BELIEVED):
            with suppress(OSError):
                return (self.folder / name).read_bytes()
        return None

    def believed(self) -> None:
        """Take word that the last one was verified. Raises OSError."""
        with suppress(FileNotFoundError):  # it was before
            (self.folder / _NEW).replace(self.folder / _BELIEVED)

    def put(self, sha256: str, piece: int, data: bytes) -> None:
        """Keep a piece. Raises OSError."""
        self._put(f"{sha256}.{piece}", data)

    def have(self, sha256: str, length: int) -> list[int]:
        """The pieces of a blob that are there, by their length."""
        return [n for n in range(piece_count(length)) if self._size(sha256, n) == piece_bytes(length, n)]

    def open(self, sha256: str, length: int) -> io.BufferedReader:
        """A blob to read, all of whose pieces are there. Reading raises OSError where one is not."""
        return io.BufferedReader(_Pieces(self.folder, sha256, length), PIECE_BYTES)

    def keep_only(self, wanted: Iterable[str]) -> None:
        """Throw away the pieces of all other blobs."""
        names = frozenset(wanted)
        for path in self.folder.glob("*.*"):
            if path.name not in {_BELIEVED, _NEW} and path.name.partition(".")[0] not in names:
                with suppress(OSError):  # the next one tries again
                    path.unlink()

    def drop(self, sha256: str) -> None:
        """Throw away the pieces of one blob."""
        for path in self.folder.glob(f"{sha256}.*"):
            with suppress(OSError):
                path.unlink()

    def _size(self, sha256: str, piece: int) -> int:
        try:
            return (self.folder / f"{sha256}.{piece}").stat().st_size
        except OSError:
            return -1

    def _put(self, name: str, data: bytes) -> None:
        self.folder.mkdir(mode=0o750, exist_ok=True)
        temporary = self.folder / f".{name}"
        temporary.write_bytes(data)
        temporary.replace(self.folder / name)


class _Pieces(io.RawIOBase):
    """The pieces of a blob as one file."""

    def __init__(self, folder: Path, sha256: str, length: int) -> None:
        self._folder = folder
        self._sha256 = sha256
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        if self._at >= self._length:
            return 0
        number, start = divmod(self._at, PIECE_BYTES)
        with (self._folder / f"{self._sha256}.{number}").open("rb") as file:
            file.seek(start)
            part = file.read(min(len(buffer), piece_bytes(self._length, number) - start))
        if not part:
            raise OSError(f"piece {number} is cut short")
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
