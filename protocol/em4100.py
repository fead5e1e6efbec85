"""EM4100 tags as 125 kHz serial readers send them: RDM6300 and kin, ID-12/ID-20LA, a 13-byte variant, Parallax.

    rdm6300   02 | 10 hex digits | 2 hex digits, the check | 03                    14 bytes, repeated every 50-65 ms
    id20      02 | 10 hex digits | 2 hex digits, the check | 0D 0A | 03            16 bytes, sent once
    raw13     02 | 10 hex digits | 1 byte, the check | 03                          13 bytes, repeated
    parallax  0A | 10 hex digits | 0D                                              12 bytes, repeated

The check is the exclusive or of the five bytes that the ten digits spell (Seeed wiki; esphome issues 3610, 13753).
Digits are upper case in every frame known, and lower case is taken as well: the check says that they are meant.
Parallax's readers (28140, 28340; their documentation v2.1, page 2) send none. So that framing is taken only where it is
named: lines of ten decimal digits, as other readers send them, look the same and mean another tag.

- Parsed by length, never by looking for 03: the raw check of raw13 may itself be 02 or 03.
- No frame is the beginning of another: where raw13 ends in 03 the others still have a hex digit. So a frame counts
  with its last byte, and where several framings are taken each one's own check has held.
- A head is given up with the first byte that fits no framing, and the search goes on behind it. Between its head and
  its end a frame holds no other head but raw13's check, and that is followed by 03 where a frame would go on with a
  digit. So no garbage, however long, hides a good frame behind it. Line ends between frames are garbage.
- A tag of zeros is a phantom that passes the check (esp-rfid issue 411): it is dropped as a failed frame. Others like
  it exist; that two equal frames are wanted before anything happens is the driver's rule.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.checksum import xor8
from protocol.codec import Dropped
from protocol.credential import Credential

BUFFER_MAX_BYTES: Final = 15  # the longest frame less its last byte: what stays between two calls of `feed`
TAG_BYTES: Final = 5

_STX: Final = b"\x02"
_ETX: Final = b"\x03"
_CR: Final = b"\r"
_LF: Final = b"\n"
_DIGITS: Final = frozenset(b"0123456789ABCDEFabcdef")
_DIGITS_END: Final = 1 + 2 * TAG_BYTES
_ZERO_TAG: Final = bytes(TAG_BYTES)


class Framing(StrEnum):
    """How a reader wraps a tag."""

    RDM6300 = "rdm6300"
    ID20 = "id20"
    RAW13 = "raw13"
    PARALLAX = "parallax"


CHECKED: Final = (Framing.RDM6300, Framing.ID20, Framing.RAW13)
"""Those that can be told apart by themselves, by their check; no other is among them."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One read of one tag, and the framing it came in."""

    tag: bytes
    framing: Framing

    def to_bytes(self) -> bytes:
        """The frame as the reader sends it."""
        return _head(self.framing) + self.tag.hex().upper().encode() + _tails(self.tag, self.framing)[0]


def credential(tag: bytes) -> Credential:
    """The credential of a tag: `em:` and all ten digits, version byte included."""
    return Credential(f"em:{tag.hex().upper()}")


class Em4100Codec:
    """Bytes of a reader in, frames out. `framing` None takes all of `CHECKED`."""

    def __init__(self, framing: Framing | None = None) -> None:
        self.dropped = Dropped()
        self._framings = CHECKED if framing is None else (framing,)
        self._head = _head(self._framings[0])
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that `data` completes, oldest first. Bytes of a failed frame count among `dropped.data` too."""
        frames = []
        self._buffer += data
        while self._seek():
            frame = self._match()
            if frame is None:
                break
            if frame.tag == _ZERO_TAG:
                self.dropped.frames += 1
                self._drop(len(frame.to_bytes()))
                continue
            del self._buffer[: len(frame.to_bytes())]
            frames.append(frame)
        return frames

    def _seek(self) -> bool:
        """Bring the next head that may still become a frame to the front; False where there is none."""
        while (at := self._buffer.find(self._head)) >= 0:
            self._drop(at)
            if self._possible():
                return True
            self._drop(1)
        self._drop(len(self._buffer))
        return False

    def _possible(self) -> bool:
        """Whether what follows the head is, as far as it has come, the beginning of a frame."""
        if not _DIGITS.issuperset(self._buffer[1:_DIGITS_END]):
            return False
        rest = bytes(self._buffer[_DIGITS_END:])
        if not rest:
            return True
        tails = [tail for framing in self._framings for tail in _tails(self._tag(), framing)]
        if any(tail.startswith(rest[: len(tail)]) for tail in tails):
            return True
        self.dropped.frames += 1
        return False

    def _match(self) -> Frame | None:
        """The frame at the front, None while it is incomplete."""
        if len(self._buffer) <= _DIGITS_END:
            return None
        tag, rest = self._tag(), bytes(self._buffer[_DIGITS_END:])
        fits = (framing for framing in self._framings if rest.startswith(_tails(tag, framing)))
        return next((Frame(tag, framing) for framing in fits), None)

    def _tag(self) -> bytes:
        return bytes.fromhex(self._buffer[1:_DIGITS_END].decode("ascii"))

    def _drop(self, count: int) -> None:
        self.dropped.data += count
        del self._buffer[:count]


def _head(framing: Framing) -> bytes:
    """What stands in front of the ten digits: the same for all of `CHECKED`."""
    return _LF if framing is Framing.PARALLAX else _STX


def _tails(tag: bytes, framing: Framing) -> tuple[bytes, ...]:
    """What may come behind the ten digits: the check, in digits of either case, and the end."""
    if framing is Framing.PARALLAX:
        return (_CR,)
    check = xor8(tag)
    if framing is Framing.RAW13:
        return (bytes([check]) + _ETX,)
    end = (_CR + _LF if framing is Framing.ID20 else b"") + _ETX
    return b"%02X" % check + end, b"%02x" % check + end
