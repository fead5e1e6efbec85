"""What every reader codec looks like."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

Frame = TypeVar("Frame")


@dataclass(slots=True)
class Dropped:
    """What a codec threw away since it was made: `data` bytes outside any frame, `frames` that failed their check."""

    data: int = 0
    frames: int = 0


class Codec(Protocol[Frame]):
    """Bytes in, frames out. Buffers within a stated bound, resynchronises by itself, never raises on bytes.

    A subclass of nothing: any object with these two members will do. `dropped` counts what was no frame.
    """

    dropped: Dropped

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that `data` completes, oldest first."""
        ...
