"""Frames between an ETC roadside unit (antenna) and the lane's computer, after GB/T 20851, in both directions.

    BCC     FF FF | RSCTL | CMD data … | BCC | FF                     some regions: one FF in front
    CRC16   FF FF | VER 00 | SEQ | LEN u32 | CMD data … | CRC16       no stuffing, no end mark
    PARK    FF FF | LEN u16 | CMD data … | CRC16                      the same, of car-park units

(leizi163163/test `USER/CommandProcess.c`, a unit's firmware; ansend/ebox_svc `lib/libetc.rb`, `bin/trans_protocol.rb`.)

- BCC is the exclusive or of RSCTL to data. Then everything between the marks, BCC included, is stuffed: FF as FE 01,
  FE as FE 00. The exclusive or over the stuffed bytes is the same, so it does not reveal a mistake in the stuffing:
  whoever reads a frame checks its length.
- LEN counts CMD and data. CRC16 is X-25 over all between the head and itself, high byte first.
- The answer to a frame bears its RSCTL or SEQ with the nibbles swapped.
- B0 tells who a unit is: maker, the unit's number 3, its program's version 2, in one piece. In BCC that stands behind
  status, terminal 6 and algorithm (ETCParseB0 of a lane program in Go); behind status, two terminals and algorithm
  (rsudatatype.h of a Qt lane program); or with a count of PSAM cards before them (a Python client of Beijing units; two
  C headers give the maker two bytes and the number two). In PARK it stands behind status, in CRC16 behind status, a
  count, nine bytes of PSAM and algorithm (tests/vectors/rsu.json).

Telling them apart
- Behind the head, RSCTL is 08 or more; VER, and the high byte of a LEN below 2048, are less.
- Two bytes on, CRC16 has the high byte of its LEN, which is 00, and PARK has CMD, which never is.

Finding frames
- `protocol.framer` says how; `GAP_S` is the silence that its `gap` wants. A broken BCC frame counts as dropped once for
  each FF in front of it: with one FF less it might be one.
- The FF at the end of a false BCC frame may be the head of the next one, and is looked at as such.
- After any garbage that is itself no frame, of any length, a good frame is given by `feed` or by the next `gap`.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from protocol.checksum import crc16_x25, xor8
from protocol.framer import Framer

DATA_MAX_BYTES: Final = (
    2047  # CMD and data, all that a LEN with a high byte below 08 can tell; the longest known is 274
)
BUFFER_MAX_BYTES: Final = 2 * DATA_MAX_BYTES + 8  # a BCC frame that is all stuffing, without its end
GAP_S: Final = 0.25  # more than TCP's shortest retransmission, 200 ms

_MARK: Final = 0xFF
_ESCAPE: Final = 0xFE
_RSCTL_MIN: Final = 0x08
_BCC_MIN_BYTES: Final = 3  # RSCTL, CMD, BCC
_CRC_BYTES: Final = 2
_CRC16_HEAD_BYTES: Final = 8  # FF FF VER SEQ LEN LEN LEN LEN
_PARK_HEAD_BYTES: Final = 4  # FF FF LEN LEN
_IDENTITY_BYTES: Final = 6
_TELLING_BYTES: Final = 5  # FF FF and three more tell CRC16 from PARK


class Cmd(IntEnum):
    """The frames that we send or read, by their CMD."""

    SETUP = 0xC0
    CONTINUE = 0xC1
    STOP = 0xC2
    SWITCH = 0xC4
    SWITCH_OLD = 0x4C
    STATE = 0xB0
    BEAT = 0xB1
    OBU = 0xB2
    VEHICLE = 0xB3
    CARD = 0xB4


OURS: Final = frozenset((Cmd.SETUP, Cmd.CONTINUE, Cmd.STOP, Cmd.SWITCH, Cmd.SWITCH_OLD))
"""What no unit says: where one of these comes, the line gives back what it is sent."""


class Framing(Enum):
    """How a frame is wrapped; see the module's table."""

    BCC = "bcc"
    CRC16 = "crc16"
    PARK = "park"


_IDENTITY_AT: Final = {  # by how many bytes B0 has behind CMD
    (Framing.BCC, 19): 8,
    (Framing.BCC, 25): 14,
    (Framing.BCC, 26): 15,
    (Framing.CRC16, 26): 12,
    (Framing.PARK, 12): 1,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `seq` is RSCTL or SEQ, 0 in PARK, which has none; `heads` is how many FF stand in front."""

    framing: Framing
    seq: int
    command: int
    data: bytes = b""
    heads: int = 2

    def to_bytes(self) -> bytes:
        """The frame as it goes over the line."""
        body = bytes([self.command]) + self.data
        if self.framing is Framing.BCC:
            plain = bytes([self.seq]) + body
            return bytes([_MARK]) * self.heads + _stuffed(plain + bytes([xor8(plain)])) + bytes([_MARK])
        front = len(body).to_bytes(2, "big")
        if self.framing is Framing.CRC16:
            front = bytes([0, self.seq]) + len(body).to_bytes(4, "big")
        return bytes([_MARK, _MARK]) + front + body + crc16_x25(front + body).to_bytes(_CRC_BYTES, "big")

    def answered(self, command: int, data: bytes = b"") -> "Frame":
        """The answer to this frame, wrapped as it is."""
        swapped = (self.seq & 0x0F) << 4 | self.seq >> 4
        return Frame(self.framing, swapped, command, data, self.heads)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a unit is: its maker's code, its own number and the version of its program, each in hex."""

    maker: str
    number: str
    version: str

    @classmethod
    def from_frame(cls, frame: Frame) -> "Identity | None":
        """What B0 tells of it; None of all else, and of a B0 that is not laid out like that, or tells nothing."""
        at = _IDENTITY_AT.get((frame.framing, len(frame.data))) if frame.command == Cmd.STATE else None
        if at is None:
            return None
        told = frame.data[at : at + _IDENTITY_BYTES]
        return cls(told[:1].hex(), told[1:4].hex(), told[4:].hex()) if any(told) else None


class RsuCodec(Framer[Frame]):
    """Bytes of either side in, frames out; see the module's rules."""

    def _length(self, start: int) -> int:
        """See Framer."""
        head = bytes(self._buffer[start : start + _CRC16_HEAD_BYTES])
        if head[0] != _MARK:
            return 0
        still_open = len(self._buffer) - start + 1
        body = 1 + (head[1:2] == b"\xff")
        if len(head) <= body:
            return still_open
        if head[body] < _RSCTL_MIN:
            return _counted_length(head, still_open) if body > 1 else 0
        end = self._buffer.find(_MARK, start + body) - start
        length = end + 1 if end > 0 else still_open
        return length if body < end or still_open <= length <= BUFFER_MAX_BYTES else 0

    def _at(self, start: int, length: int) -> Frame | None:
        """See Framer."""
        frame = bytes(self._buffer[start : start + length])
        heads = 1 + (frame[1] == _MARK)
        if frame[heads] < _RSCTL_MIN:
            return _counted(frame)
        plain = _unstuffed(frame[heads:-1])
        if len(plain) < _BCC_MIN_BYTES or xor8(plain) != 0:
            return None
        return Frame(Framing.BCC, plain[0], plain[1], plain[2:-1], heads)


def _counted_length(head: bytes, still_open: int) -> int:
    """How long the frame is that claims a LEN; 0 where no frame has such a one."""
    if len(head) < _TELLING_BYTES:
        return still_open
    size, at = (_PARK_HEAD_BYTES, 2) if head[2] != 0 or head[4] != 0 else (_CRC16_HEAD_BYTES, 4)
    if len(head) < size:
        return still_open
    count = int.from_bytes(head[at:size], "big")
    return size + count + _CRC_BYTES if 0 < count <= DATA_MAX_BYTES else 0


def _counted(frame: bytes) -> Frame | None:
    covered, crc = frame[2:-_CRC_BYTES], frame[-_CRC_BYTES:]
    if crc16_x25(covered) != int.from_bytes(crc, "big"):
        return None
    if covered[0] == 0 and covered[2] == 0:
        return Frame(Framing.CRC16, covered[1], covered[6], covered[7:])
    return Frame(Framing.PARK, 0, covered[2], covered[3:])


def _stuffed(plain: bytes) -> bytes:
    return plain.replace(b"\xfe", b"\xfe\x00").replace(b"\xff", b"\xfe\x01")


def _unstuffed(body: bytes) -> bytes:
    """The body without stuffing; b"" where an FE is followed by anything but 00 or 01."""
    first, *rest = body.split(b"\xfe")
    if not all(part[:1] in (b"\x00", b"\x01") for part in rest):
        return b""
    return first + b"".join(bytes([_ESCAPE + part[0]]) + part[1:] for part in rest)
