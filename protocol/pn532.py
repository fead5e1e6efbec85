"""PN532: the frames between a host and NXP's NFC chip on a serial line, both directions.

    00 00 FF | length | its complement | data | the data's complement | 00         data: D4 command, D5 reply, 7F error
    00 00 FF FF FF | length, 2 bytes | their complement | data | …                 extended: beyond 255 bytes of data
    00 00 FF 00 FF 00   taken          00 00 FF FF 00 00   say it again

(PN532 user manual UM0701-02, 6.2.1. A length and its complement, and the data and theirs, add up to 0 in one byte.)

Here the emulated reader uses them; the driver's side of the line is nfcpy's (`drivers.nfc_device`).

- Nothing is escaped. A frame that claims a length with a right complement waits for its bytes or for a silence
  (`protocol.framer`).
- Any number of zeros may stand before a frame, and 55 55 before these, to wake the chip. They count as `dropped.data`.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from protocol.checksum import sum8
from protocol.framer import Framer

DATA_MAX_BYTES: Final = 265  # the manual's longest packet
FRAME_MAX_BYTES: Final = DATA_MAX_BYTES + 10
BUFFER_MAX_BYTES: Final = FRAME_MAX_BYTES - 1  # what stays between two calls of `feed`

_START: Final = b"\x00\x00\xff"
_TAKEN: Final = b"\x00\xff"
_AGAIN: Final = b"\xff\x00"
_EXTENDED: Final = b"\xff\xff"
_HEAD_BYTES: Final = 5
_LONG_HEAD_BYTES: Final = 8
_SHORT_MAX_BYTES: Final = 255


class Kind(Enum):
    """What a frame is."""

    ACK = "ack"
    NAK = "nak"
    COMMAND = 0xD4
    REPLY = 0xD5
    ERROR = 0x7F


class Cmd(IntEnum):
    """The commands that a reader is given here, by their code; a reply's is one more."""

    DIAGNOSE = 0x00
    FIRMWARE = 0x02
    READ_REGISTER = 0x06
    SET_BAUD = 0x10
    RF_CONFIGURATION = 0x32
    THRU = 0x42
    LIST_TARGETS = 0x4A
    POWER_DOWN = 0x16


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of either direction; `data` begins behind D4 or D5 with the code, and is empty for the others."""

    kind: Kind
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """The frame as it goes over the line."""
        match self.kind:
            case Kind.ACK:
                return _START + _TAKEN + b"\x00"
            case Kind.NAK:
                return _START + _AGAIN + b"\x00"
        data = bytes([self.kind.value]) + self.data
        size = len(data).to_bytes(2) if len(data) > _SHORT_MAX_BYTES else bytes([len(data)])
        head = (_EXTENDED if len(size) > 1 else b"") + size + _complement(size)
        return _START + head + data + _complement(data) + b"\x00"


class Pn532Codec(Framer[Frame]):
    """Bytes of either direction in, frames out."""

    def _length(self, start: int) -> int:
        head = bytes(self._buffer[start : start + _LONG_HEAD_BYTES])
        if not (_START.startswith(head[:3]) or head.startswith(_START)):
            return 0
        if len(head) < _HEAD_BYTES:
            return _HEAD_BYTES + 1
        size = head[3:5]
        if size in (_TAKEN, _AGAIN):
            return _HEAD_BYTES + 1
        if size != _EXTENDED:
            return 0 if sum8(size) else _HEAD_BYTES + size[0] + 2
        if len(head) < _LONG_HEAD_BYTES:
            return _LONG_HEAD_BYTES + 2
        length = int.from_bytes(head[5:7])
        return 0 if sum8(head[5:8]) or not 0 < length <= DATA_MAX_BYTES else _LONG_HEAD_BYTES + length + 2

    def _at(self, start: int, length: int) -> Frame | None:
        frame = bytes(self._buffer[start : start + length])
        if frame[-1]:
            return None
        if frame[3:5] == _TAKEN:
            return Frame(Kind.ACK)
        if frame[3:5] == _AGAIN:
            return Frame(Kind.NAK)
        data = frame[_LONG_HEAD_BYTES if frame[3:5] == _EXTENDED else _HEAD_BYTES : -1]
        if sum8(data):
            return None
        if data[0] == Kind.ERROR.value:
            return Frame(Kind.ERROR) if len(data) == len(b"\x7f\x81") else None
        return Frame(Kind(data[0]), data[1:-1]) if data[0] in (Kind.COMMAND.value, Kind.REPLY.value) else None


def _complement(data: bytes) -> bytes:
    return bytes([-sum(data) & 0xFF])
