"""OSDP frames: what a control panel (the host, CP) and readers (PDs) say to each other on an RS-485 line.

    SOM 53 | address, 80 on replies | length u16 LE | control | [security block] | code | data | [MAC] | check

- SIA OSDP 2.1.7 (IEC 60839-11-5): the length counts from SOM to the last byte of the check. Control: bits 0 and 1 the
  sequence, 04 a CRC of two bytes (else a checksum of one), 08 a security block, which begins with its own length. With
  a security block of type 15 or above, four bytes of a MAC stand before the check. FF before SOM is no part of a frame.
- Frames are found and checked here. What is said when, and the secure channel, is libosdp's (`drivers.osdp`): the data
  under a block of type 17 or 18 are encrypted, and stay so here; code and address are always in clear.
- Cards: reply 50 (RAW) has bits. Reply 51 (FMT), withdrawn with 2.2.2, has characters, and is not read.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocol.checksum import crc16_spi_fujitsu, sum8
from protocol.framer import Framer
from protocol.wiegand import bits_of

MARK: Final = b"\xff"
BROADCAST: Final = 0x7F
ADDRESS_MAX: Final = 0x7E
LENGTH_MAX: Final = 1440  # 2.1.7: the largest that a device may announce
BUFFER_MAX_BYTES: Final = LENGTH_MAX
GAP_S: Final = 0.02  # 2.1.7: silence inside a frame that ends it

_SOM: Final = 0x53
_REPLY: Final = 0x80
_SEQUENCE: Final = 0x03
_CRC: Final = 0x04
_SECURE: Final = 0x08
_HEADER_BYTES: Final = 5
_CRC_BYTES: Final = 2
_SUM_BYTES: Final = 1
_MAC_BYTES: Final = 4
_MAC_FROM: Final = 0x15
_BLOCK_MIN_BYTES: Final = 2
_RAW_HEADER_BYTES: Final = 4
_IDENTITY_BYTES: Final = 12


class Cmd(IntEnum):
    """The commands that we tell apart."""

    POLL = 0x60
    ID = 0x61
    CAP = 0x62
    LSTAT = 0x64
    OUT = 0x68
    LED = 0x69
    BUZ = 0x6A
    CHLNG = 0x76
    SCRYPT = 0x77


class Reply(IntEnum):
    """The replies that we tell apart."""

    ACK = 0x40
    NAK = 0x41
    PDID = 0x45
    PDCAP = 0x46
    LSTATR = 0x48
    RAW = 0x50
    FMT = 0x51
    KEYPAD = 0x53
    COM = 0x54
    CCRYPT = 0x76
    RMAC_I = 0x78
    BUSY = 0x79


class Nak(IntEnum):
    """Why a device refuses: the first byte behind NAK."""

    CHECK = 0x01
    LENGTH = 0x02
    UNKNOWN = 0x03
    SEQUENCE = 0x04
    NO_SECURITY = 0x05
    SECURITY = 0x06


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. `block` is the security block with its own length in front, `mac` what stands behind the data."""

    address: int
    code: int
    data: bytes = b""
    reply: bool = False
    sequence: int = 0
    crc: bool = True
    block: bytes = b""
    mac: bytes = b""

    def to_bytes(self) -> bytes:
        """The frame on the line, without a mark before it."""
        body = self.block + bytes([self.code]) + self.data + self.mac
        length = _HEADER_BYTES + len(body) + (_CRC_BYTES if self.crc else _SUM_BYTES)
        control = self.sequence & _SEQUENCE | _CRC * self.crc | _SECURE * bool(self.block)
        head = bytes([_SOM, self.address | _REPLY * self.reply]) + length.to_bytes(2, "little") + bytes([control])
        return head + body + _check(head + body, crc=self.crc)

    @classmethod
    def from_bytes(cls, frame: bytes) -> "Frame | None":
        """The frame in bytes whose length and check are right; None where its security block leaves it no code."""
        crc = bool(frame[4] & _CRC)
        body = frame[_HEADER_BYTES : -_CRC_BYTES if crc else -_SUM_BYTES]
        size = body[0] if frame[4] & _SECURE and body else 0
        block, rest = body[:size], body[size:]
        tail = _MAC_BYTES if size >= _BLOCK_MIN_BYTES and block[1:2] >= bytes([_MAC_FROM]) else 0
        if len(rest) <= tail or (frame[4] & _SECURE and size < _BLOCK_MIN_BYTES):
            return None
        data, mac = (rest[1:-tail], rest[-tail:]) if tail else (rest[1:], b"")
        reply = bool(frame[1] & _REPLY)
        return cls(frame[1] & BROADCAST, rest[0], data, reply, frame[4] & _SEQUENCE, crc, block, mac)


@dataclass(frozen=True, slots=True)
class Read:
    """A card as a RAW reply tells it: `count` bits, in whole bytes. `format` 0 says nothing of them, 1 is Wiegand."""

    reader: int
    format: int
    count: int
    data: bytes

    @property
    def bits(self) -> str:
        """The bits as they came, "0" and "1"."""
        return bits_of(self.data, self.count)

    def to_data(self) -> bytes:
        """The data of the reply."""
        return bytes([self.reader, self.format]) + self.count.to_bytes(2, "little") + self.data

    @classmethod
    def from_data(cls, data: bytes) -> "Read | None":
        """The read in the data of a RAW reply, None where it does not add up."""
        count = int.from_bytes(data[2:_RAW_HEADER_BYTES], "little")
        if len(data) < _RAW_HEADER_BYTES or len(data) - _RAW_HEADER_BYTES != (count + 7) // 8:
            return None
        return cls(data[0], data[1], count, data[_RAW_HEADER_BYTES:])


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says of itself (reply 45)."""

    vendor: str
    model: int
    version: int
    serial: int
    firmware: str

    @classmethod
    def from_frame(cls, frame: Frame) -> "Identity | None":
        """The identity in a reply, None where it is none, or encrypted."""
        data = frame.data
        if not frame.reply or frame.mac or frame.code != Reply.PDID or len(data) != _IDENTITY_BYTES:
            return None
        firmware = ".".join(map(str, data[9:]))
        return cls(data[:3].hex().upper(), data[3], data[4], int.from_bytes(data[5:9], "little"), firmware)


class OsdpCodec(Framer[Frame]):
    """Bytes of the line in, frames out: commands and replies alike. See `Framer` for garbage and silences."""

    def _length(self, start: int) -> int:
        head = self._buffer[start : start + _HEADER_BYTES]
        if head[0] != _SOM:
            return 0
        if len(head) < _HEADER_BYTES:
            return _HEADER_BYTES
        length = int.from_bytes(head[2:4], "little")
        check = _CRC_BYTES if head[4] & _CRC else _SUM_BYTES
        return length if _HEADER_BYTES + 1 + check <= length <= LENGTH_MAX else 0

    def _at(self, start: int, length: int) -> Frame | None:
        frame = bytes(self._buffer[start : start + length])
        crc = bool(frame[4] & _CRC)
        size = _CRC_BYTES if crc else _SUM_BYTES
        return Frame.from_bytes(frame) if _check(frame[:-size], crc=crc) == frame[-size:] else None


def _check(data: bytes, *, crc: bool) -> bytes:
    """The CRC, low byte first, or the checksum, which makes the sum of all bytes 0."""
    return crc16_spi_fujitsu(data).to_bytes(_CRC_BYTES, "little") if crc else bytes([-sum8(data) & 0xFF])
