"""UHFReader18: the protocol of Chafon's CF-RU5102 family and its many rebrands, both directions.

    command   Len | Adr | Cmd | data … | CRC low | CRC high             Len = bytes behind Len
    reply     Len | Adr | Cmd | Status | data … | CRC low | CRC high    CRC-16/MCRF4XX over all before it
    beat      56 00 00 00 00 00                                         every 30 s where the reader calls the host

(Chafon's UHFReader18 manual; xynogen/uhfreader18 for the beat and for Cmd EE, a capture of an HW-VX6330K; wabson's
chafon-rfid for readers with several antennas.)

Finding frames
- There is no head byte: any byte can claim to be a Len and wait for up to 255 others. `protocol.framer` says how frames
  are found all the same; `GAP_S` is the silence that its `gap` wants.
- So after any garbage, of any length, a good frame is given by `feed` or by the next `gap`.
- The beat is taken where a frame would begin. As a frame it would be a reply to command 00, which there is none of.

EPCs
- Inventory (01, 0F) tells number and lengths of its EPCs. All of it must add up, else nothing of it counts: half a
  list that does not mean what we think is worse than none. EPCs of no whole words have no credential.
- Readers with ports for several antennas (UHFReader288, UHFReader86, E710) have the antenna in front of that number,
  and one byte of strength behind each EPC. What adds up in one way with EPCs of whole words does not in the other,
  but for several antennas' bits at once: where it does in both, nothing counts.
- Some with one antenna have the strength behind each EPC as well (an RD903M). Without strengths goes before that: a
  strength that could be a length is none that a reader measures.
- Cmd EE carries one EPC where its status is 00 (28 is a heartbeat): alone, 12 bytes in the frames known, or from those
  readers as `antenna, 1 | length, 1 | EPC | strength, 1`. One alone has whole words, and the other form never has.
- An EPC alone is taken exactly as it is. One capture begins with 20 00 and ends in zeros, and whether these are a flag,
  a PC word with its padding or part of the tag cannot be told from it; cutting them could make two tags one. Hence:
  enrol a tag in the mode that the gate reads in.
- Those readers want an inventory to say how it is done, `Q, 1 | session, 1`, and answer FF to one that does not
  (a Faread FRD950's log). Older ones take these two bytes for a place in the TID: they must not get them.

Chips
- Read (02) is `words of the EPC, 1 byte | EPC | bank, 1 | first word, 1 | words, 1 | password, 4`; no mask follows, so
  that the whole EPC says which tag is meant, of up to 14 words. A good answer is what was read and nothing else: whose
  it is shows by what was asked. FC is the tag's own error, whose code follows; 03 is a bank shorter than that.

Lamp and buzzer
- Command 33 has both go on and off together: `on, 1 byte, 50 ms each | off, 1 byte, 50 ms each | times, 1 byte` (8.4.7
  of the manual, and of that of the ZK-RFID102; so BASM's UHFreader sends it, tried on a CF-RU5102 and an LJYZN-105).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeVar

from protocol.checksum import crc16_mcrf4xx
from protocol.framer import Framer
from protocol.gen2 import TID_BANK, WORD_BYTES, is_epc

BUFFER_MAX_BYTES: Final = 255  # the longest frame less its last byte: what stays between two calls of `feed`
GAP_S: Final = 0.020  # the manual: 15 ms between two bytes end a frame
BROADCAST: Final = 0xFF

_CRC_BYTES: Final = 2
_COMMAND_LEN_MIN: Final = 4
_REPLY_LEN_MIN: Final = 5
_REPLY_DATA_AT: Final = 4
_BEAT: Final = bytes.fromhex("560000000000")
_BEAT_MARK_BYTES: Final = 4
_INFO_BYTES: Final = 8
_BAND_SHIFT: Final = 6
BAND_CHINA_920: Final = 1  # this and the others: pedrozc90's driver for Chafon readers, ChafonFrequency
BAND_US: Final = 2
BAND_KOREA: Final = 3
BAND_EU: Final = 4
BAND_CHINA_840: Final = 8
_SCAN_UNIT_S: Final = 0.1
_SIGNAL_UNIT_S: Final = 0.05
POWER_UNKNOWN: Final = 0xFF  # in place of a power (8.4.1)
_READ_EPC_MAX_BYTES: Final = 28
_PASSWORD_BYTES: Final = 4
_BEYOND: Final = b"\x03"
_STRENGTH_BYTES: Final = 1

INVENTORY_HOW: Final = bytes([4, 0])
"""The data of an inventory for readers that want it: Q for some sixteen tags at once, session 0, as in their logs."""


class Cmd(IntEnum):
    """The commands we use, by their code."""

    INVENTORY = 0x01
    READ = 0x02
    SINGLE = 0x0F
    INFO = 0x21
    SCAN_TIME = 0x25
    POWER = 0x2F
    SIGNAL = 0x33
    REPORT = 0xEE


class Status(IntEnum):
    """The statuses we tell apart. 01 to 04 carry EPCs."""

    OK = 0x00
    DONE = 0x01
    SCAN_TIME_OVER = 0x02
    MORE = 0x03
    MEMORY_FULL = 0x04
    UNSUPPORTED = 0x0B
    BAD_ANTENNA = 0xF8
    FAILED = 0xF9
    POOR_COMMUNICATION = 0xFA
    NO_TAG = 0xFB
    TAG_ERROR = 0xFC
    BAD_LENGTH = 0xFD
    BAD_COMMAND = 0xFE
    BAD_PARAMETER = 0xFF


_WITH_EPCS: Final = frozenset((Status.DONE, Status.SCAN_TIME_OVER, Status.MORE, Status.MEMORY_FULL))


@dataclass(frozen=True, slots=True)
class Command:
    """What the host asks for."""

    address: int
    command: int
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """The command as the reader takes it."""
        return _framed(bytes([self.address, self.command]) + self.data)

    @classmethod
    def from_bytes(cls, frame: bytes) -> "Command":
        """The command in a frame whose length and CRC have been checked."""
        return cls(frame[1], frame[2], frame[3:-_CRC_BYTES])


@dataclass(frozen=True, slots=True)
class Reply:
    """What the reader answers, or sends by itself in active mode."""

    address: int
    command: int
    status: int
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """The reply as the reader sends it."""
        return _framed(bytes([self.address, self.command, self.status]) + self.data)

    @classmethod
    def from_bytes(cls, frame: bytes) -> "Reply":
        """The reply in a frame whose length and CRC have been checked."""
        return cls(frame[1], frame[2], frame[3], frame[_REPLY_DATA_AT:-_CRC_BYTES])


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The reader that called the host is still there."""

    def to_bytes(self) -> bytes:
        """The beat as the reader sends it."""
        return _BEAT


@dataclass(frozen=True, slots=True)
class Info:
    """What a reader says of itself (command 21)."""

    firmware: tuple[int, int]
    kind: int
    protocols: int
    frequency_max: int
    frequency_min: int
    power_dbm: int
    scan_s: float

    @classmethod
    def from_reply(cls, reply: Reply) -> "Info | None":
        """The info in a good reply to command 21, else None."""
        data = reply.data
        if reply.command != Cmd.INFO or reply.status != Status.OK or len(data) < _INFO_BYTES:
            return None
        kind, protocols, highest, lowest, power = data[2:7]
        return cls((data[0], data[1]), kind, protocols, highest, lowest, power, data[7] * _SCAN_UNIT_S)

    @property
    def band(self) -> int:
        """Which band it is set to: the two top bits of both frequencies (`BAND_…`); below them are channels."""
        return self.frequency_max >> _BAND_SHIFT << 2 | self.frequency_min >> _BAND_SHIFT

    def to_data(self) -> bytes:
        """The data of the reply."""
        middle = (self.kind, self.protocols, self.frequency_max, self.frequency_min, self.power_dbm)
        return bytes([*self.firmware, *middle, round(self.scan_s / _SCAN_UNIT_S)])


def power_data(dbm: int) -> bytes:
    """The data of command 2F."""
    return bytes([dbm])


def scan_time_data(seconds: float) -> bytes:
    """The data of command 25: units of 100 ms."""
    return bytes([round(seconds / _SCAN_UNIT_S)])


def signal_data(on_s: float, off_s: float, times: int) -> bytes:
    """The data of command 33: lamp and buzzer on and off so often."""
    return bytes([round(on_s / _SIGNAL_UNIT_S), round(off_s / _SIGNAL_UNIT_S), times])


def can_read_tid(epc: bytes) -> bool:
    """Whether command 02 can name the tag with this EPC."""
    return len(epc) <= _READ_EPC_MAX_BYTES


def read_tid_data(epc: bytes, words: int) -> bytes:
    """The data of command 02 for so many words of this tag's chip."""
    return bytes([len(epc) // WORD_BYTES]) + epc + bytes([TID_BANK, 0, words]) + bytes(_PASSWORD_BYTES)


def read_beyond(reply: Reply) -> bool:
    """Whether the tag says that its bank is shorter than what was asked for."""
    return reply.status == Status.TAG_ERROR and reply.data[:1] == _BEYOND


def epcs(reply: Reply) -> tuple[bytes, ...]:
    """The EPCs that a reply carries, in its order; none where it carries none or does not add up."""
    data = reply.data
    if reply.command == Cmd.REPORT and reply.status == Status.OK:
        return (data,) if is_epc(data) else _told(_listed(b"\1" + data[1:], _STRENGTH_BYTES))
    if reply.command not in (Cmd.INVENTORY, Cmd.SINGLE) or reply.status not in _WITH_EPCS:
        return ()
    plain, wide = _listed(data, 0), _listed(data[1:], _STRENGTH_BYTES)
    if plain and wide:
        plain, wide = (found if all(map(is_epc, found)) else [] for found in (plain, wide))
    return () if plain and wide else _told(plain or wide or _listed(data, _STRENGTH_BYTES))


def _listed(data: bytes, behind: int) -> list[bytes]:
    """The EPCs in `number | length, EPC, so many bytes behind it | …`; none where that does not add up."""
    at, found = 1, []
    for _ in range(data[0] if data else 0):
        end = at + 1 + data[at] if at < len(data) else len(data) + 1
        found.append(data[at + 1 : end])
        at = end + behind
    return found if at == len(data) else []


def _told(found: list[bytes]) -> tuple[bytes, ...]:
    return tuple(filter(is_epc, found))


def inventory_data(tags: list[bytes]) -> bytes:
    """The data of an inventory reply that carries these EPCs."""
    return bytes([len(tags)]) + b"".join(bytes([len(tag)]) + tag for tag in tags)


F = TypeVar("F")


class _Codec(Framer[F]):
    """One direction; see the module's rules."""

    def __init__(self, len_min: int, make: Callable[[bytes], F], beat: F | None) -> None:
        super().__init__()
        self._len_min = len_min
        self._make = make
        self._beat = beat

    def _length(self, start: int) -> int:
        if self._beat is not None and _BEAT.startswith(self._buffer[start : start + _BEAT_MARK_BYTES]):
            return len(_BEAT)
        size = self._buffer[start]
        return size + 1 if size >= self._len_min else 0

    def _at(self, start: int, length: int) -> F | None:
        frame = bytes(self._buffer[start : start + length])
        if frame == _BEAT and self._beat is not None:
            return self._beat
        if length <= self._len_min or crc16_mcrf4xx(frame) != 0 or frame[0] + 1 != length:
            return None
        return self._make(frame)


class ReplyCodec(_Codec[Reply | Heartbeat]):
    """Bytes of a reader in, replies and beats out."""

    def __init__(self) -> None:
        super().__init__(_REPLY_LEN_MIN, Reply.from_bytes, Heartbeat())


class CommandCodec(_Codec[Command]):
    """Bytes of a host in, commands out."""

    def __init__(self) -> None:
        super().__init__(_COMMAND_LEN_MIN, Command.from_bytes, None)


def _framed(body: bytes) -> bytes:
    """Len in front, CRC behind."""
    counted = bytes([len(body) + _CRC_BYTES]) + body
    return counted + crc16_mcrf4xx(counted).to_bytes(_CRC_BYTES, "little")
