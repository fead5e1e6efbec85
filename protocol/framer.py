"""Finding binary frames that have no escape: each tells its length, and any byte may stand within it.

- A frame is parsed at the front of the buffer. Where its check fails, one byte goes and the search begins again behind
  it. What follows is not searched before that: the content of a tag can be the image of a frame.
- A false beginning can hold up good frames behind it, for as many bytes as it claims. Two things end that: as many
  bytes more, or a silent line. `gap()`, called after a silence, looks for a whole frame at each offset and gives up
  what lies before it. An incomplete frame alone is kept: a pause inside a frame (TCP, USB) loses nothing.
- So garbage of any length delays a good frame at most, unless by chance it makes a frame that passes the check.
"""

from typing import Generic, TypeVar

from protocol.codec import Dropped

F = TypeVar("F")


class Framer(Generic[F]):
    """What such codecs have in common; a codec says what a frame is by `_length` and `_at`."""

    def __init__(self) -> None:
        self.dropped = Dropped()
        self._buffer = bytearray()
        self._looked = False

    @property
    def pending(self) -> bool:
        """Whether bytes wait for others and no `gap` has looked at them, so that one may have something to say."""
        return bool(self._buffer) and not self._looked

    def feed(self, data: bytes) -> list[F]:
        """All frames that `data` completes, oldest first. Bytes of a failed frame count among `dropped.data` too."""
        self._buffer += data
        self._looked = False
        frames: list[F] = []
        start = 0
        while start < len(self._buffer):
            length = self._length(start)
            if length and start + length > len(self._buffer):
                break
            frame = self._at(start, length) if length else None
            if frame is None:
                self.dropped.frames += length > 0
                self.dropped.data += 1
                start += 1
            else:
                frames.append(frame)
                start += length
        del self._buffer[:start]
        return frames

    def gap(self) -> list[F]:
        """All whole frames that a false or broken one holds up, oldest first; to be called when the line is silent."""
        self._looked = True
        frames: list[F] = []
        start = kept = 0
        while start < len(self._buffer):
            length = self._length(start)
            frame = self._at(start, length) if length and start + length <= len(self._buffer) else None
            if frame is None:
                start += 1
                continue
            self.dropped.data += start - kept
            frames.append(frame)
            start = kept = start + length
        del self._buffer[:kept]
        return frames

    def _length(self, start: int) -> int:
        """How long the frame is that would begin here; 0 where none can. More than there is where that is open."""
        raise NotImplementedError

    def _at(self, start: int, length: int) -> F | None:
        """The frame of this length that begins here, if it is one."""
        raise NotImplementedError
