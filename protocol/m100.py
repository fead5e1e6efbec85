"""M100, QM100, R200, YRM100, JRD-4035: one protocol of many small UHF modules, both directions.

    BB | kind | command | length, 2 bytes | parameters | sum | 7E        kind 00 command, 01 reply, 02 notice
    sum: the low byte of the sum of all from kind to the last parameter

(M5Stack's page on its Unit UHF-RFID, "Communication protocol instruction set"; the error codes from the YPDR200 header
of an R200 driver; regions 04 and 06 from a Flipper Zero application for the YRM100, whose other names agree with
M5Stack's and SB Components' code.) Of the frames that are published, three have a wrong sum: the sum here is the rule
that all the others keep.

Frames (`protocol.framer` finds them)
- Nothing is escaped: BB and 7E may stand anywhere in the parameters. The length says where a frame ends; there must be
  7E, and before it the right sum. A false BB waits for at most `FRAME_MAX_BYTES`, or for a silence.
- A module that sleeps takes the first byte that it gets for its waking and loses it: what it does not answer must be
  asked again.

Tags
- A notice 22 is `RSSI, 1 byte, signed dBm | PC, 2 | EPC | StoredCRC, 2`, and from modules with several antennas
  `antenna, 1` behind it (a notice as an STM32 driver of MagicRF's received it). The PC tells how long the EPC is; that
  and the tag's own CRC must both be right. One that fails is whole as a frame and says nothing of a tag: it is dropped,
  counted in `dropped.frames` and in `failed_tags`, and nothing is looked for within it.
- A tag that nobody has written may have an EPC of no length at all. It is a tag, and has no credential.
- A poll that finds no tag is answered by an error reply, code 15. Errors are replies like others.

Chips (M100 user protocol: select 0C, read 39; replies as received from modules are in `tests/vectors/m100.json`)
- A select says which tag the next reading is meant for: `target, action and bank, 1 byte | first bit, 4 | bits, 1 | no
  truncation, 1 | mask`. It holds for reading only: polls find all tags as before.
- A read is `password, 4 bytes | bank, 1 | first word, 2 | words, 2`; its answer `bytes of PC and EPC, 1 | PC | EPC |
  what was read`. The EPC is told, so that it can be checked whose chip it is.
- Error 09 is no answer from the tag, A0 | n the tag's own error n; 3 is a bank that is shorter than that.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocol.checksum import sum8
from protocol.framer import Framer
from protocol.gen2 import CRC_BYTES, PC_BYTES, TID_BANK, epc_bytes, fits, is_epc, pc_of, stored_crc

PARAMETERS_MAX_BYTES: Final = 255  # a notice has at most 67; longer replies are to commands that nobody here gives
FRAME_MAX_BYTES: Final = PARAMETERS_MAX_BYTES + 7
BUFFER_MAX_BYTES: Final = FRAME_MAX_BYTES - 1  # what stays between two calls of `feed`
GAP_S: Final = 0.020  # 230 bytes' time at 115,200 baud: no module pauses so long within a frame
POLLS_MAX: Final = 0xFFFF

_HEAD: Final = 0xBB
_END: Final = 0x7E
_HEAD_BYTES: Final = 5
_AROUND_BYTES: Final = 7
_RSSI_BYTES: Final = 1
_ANTENNA_BYTES: Final = 1
_IN_EPC_BANK: Final = 0x01
_EPC_AT_BIT: Final = 0x20  # behind the tag's CRC and PC
_MASK_MAX_BYTES: Final = 12
_PASSWORD_BYTES: Final = 4
_CENTI: Final = 100  # power is told in 0.01 dBm


class Kind(IntEnum):
    """Who says it, and whether it was asked for."""

    COMMAND = 0x00
    REPLY = 0x01
    NOTICE = 0x02


class Cmd(IntEnum):
    """The commands we use, by their code."""

    INFO = 0x03
    SET_REGION = 0x07
    REGION = 0x08
    SELECT = 0x0C
    POLL = 0x22
    MULTI_POLL = 0x27
    STOP = 0x28
    READ = 0x39
    SET_POWER = 0xB6
    POWER = 0xB7
    ERROR = 0xFF


class Error(IntEnum):
    """The codes of error replies that we tell apart."""

    NO_TAG = 0x15
    BAD_COMMAND = 0x17
    NO_CHANNEL = 0x20
    READ_BEYOND = 0xA3


class Info(IntEnum):
    """What command 03 asks for."""

    HARDWARE = 0x00
    SOFTWARE = 0x01
    MAKER = 0x02


class Region(IntEnum):
    """Where a module may transmit, by its code."""

    CHINA_920 = 0x01
    US = 0x02
    EU = 0x03
    CHINA_840 = 0x04
    KOREA = 0x06


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of either direction."""

    kind: Kind
    command: int
    parameters: bytes = b""

    def to_bytes(self) -> bytes:
        """The frame as it goes over the line."""
        size = len(self.parameters).to_bytes(2, "big")
        summed = bytes([self.kind, self.command]) + size + self.parameters
        return bytes([_HEAD]) + summed + bytes([sum8(summed), _END])

    @property
    def error(self) -> int | None:
        """The code of an error reply, None for all else."""
        if self.kind is Kind.REPLY and self.command == Cmd.ERROR and self.parameters:
            return self.parameters[0]
        return None


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag that was read, how strong its answer was, in dBm, and by which antenna, where the module says so."""

    pc: bytes
    epc: bytes
    rssi: int
    antenna: int | None = None

    @classmethod
    def from_frame(cls, frame: Frame) -> "Tag | None":
        """The tag in a notice; None for all else, and where its length or its CRC is wrong."""
        data = frame.parameters
        if not is_tag(frame) or len(data) < _RSSI_BYTES + PC_BYTES + CRC_BYTES:
            return None
        rssi, pc = int.from_bytes(data[:_RSSI_BYTES], "big", signed=True), data[_RSSI_BYTES : _RSSI_BYTES + PC_BYTES]
        end = _RSSI_BYTES + PC_BYTES + epc_bytes(pc)
        epc, crc, behind = data[_RSSI_BYTES + PC_BYTES : end], data[end : end + CRC_BYTES], data[end + CRC_BYTES :]
        if len(behind) > _ANTENNA_BYTES or crc != stored_crc(pc, epc):
            return None
        return cls(pc, epc, rssi, behind[0] if behind else None)

    @classmethod
    def of(cls, epc: bytes, rssi: int) -> "Tag":
        """A plain tag with this EPC."""
        return cls(pc_of(epc), epc, rssi)

    def to_frame(self) -> Frame:
        """The notice that tells of it."""
        rssi = self.rssi.to_bytes(_RSSI_BYTES, "big", signed=True)
        antenna = b"" if self.antenna is None else bytes([self.antenna])
        return Frame(Kind.NOTICE, Cmd.POLL, rssi + self.pc + self.epc + stored_crc(self.pc, self.epc) + antenna)


class M100Codec(Framer[Frame]):
    """Bytes of either direction in, frames out. `failed_tags` counts the notices whose tag failed its check."""

    def __init__(self) -> None:
        super().__init__()
        self.failed_tags = 0

    def feed(self, data: bytes) -> list[Frame]:
        """See Framer; without notices whose tag fails its check, which count among `dropped.data` and `frames`."""
        return self._checked(super().feed(data))

    def gap(self) -> list[Frame]:
        """See Framer; checked as by `feed`."""
        return self._checked(super().gap())

    def _checked(self, frames: list[Frame]) -> list[Frame]:
        good = []
        for frame in frames:
            if is_tag(frame) and Tag.from_frame(frame) is None:
                self.dropped.frames += 1
                self.dropped.data += len(frame.to_bytes())
                self.failed_tags += 1
            else:
                good.append(frame)
        return good

    def _length(self, start: int) -> int:
        head = self._buffer[start : start + _HEAD_BYTES]
        if head[0] != _HEAD or (len(head) > 1 and head[1] not in tuple(Kind)):
            return 0
        if len(head) < _HEAD_BYTES:
            return FRAME_MAX_BYTES
        size = int.from_bytes(head[3:], "big")
        return size + _AROUND_BYTES if size <= PARAMETERS_MAX_BYTES else 0

    def _at(self, start: int, length: int) -> Frame | None:
        frame = bytes(self._buffer[start : start + length])
        summed, check, end = frame[1:-2], frame[-2], frame[-1]
        if end != _END or check != sum8(summed):
            return None
        return Frame(Kind(frame[1]), frame[2], frame[_HEAD_BYTES:-2])


def is_tag(frame: Frame) -> bool:
    """Whether this is a notice of a tag, sound or not."""
    return frame.kind is Kind.NOTICE and frame.command == Cmd.POLL


def command(code: Cmd, parameters: bytes = b"") -> Frame:
    """What the host asks for."""
    return Frame(Kind.COMMAND, code, parameters)


def info(frame: Frame) -> tuple[int, str] | None:
    """What a reply to 03 tells, and its text; None for all else, and where what it tells is no text."""
    kind, text = frame.parameters[:1], frame.parameters[1:]
    if frame.kind is not Kind.REPLY or frame.command != Cmd.INFO or not kind or not text.isascii():
        return None
    said = text.decode("ascii").strip("\0 ")
    return (kind[0], said) if said.isprintable() else None


def multi_poll(times: int = POLLS_MAX) -> Frame:
    """The command to poll so many times, at most POLLS_MAX. The byte before the number is the same in all sources."""
    return command(Cmd.MULTI_POLL, bytes([Cmd.POLL]) + times.to_bytes(2, "big"))


def select(epc: bytes) -> Frame:
    """The command to read next of the tag with this EPC; of one longer than a mask can be, with its beginning."""
    mask = epc[:_MASK_MAX_BYTES]
    head = bytes([_IN_EPC_BANK]) + _EPC_AT_BIT.to_bytes(4, "big") + bytes([len(mask) * 8, 0])
    return command(Cmd.SELECT, head + mask)


def read_tid(words: int) -> Frame:
    """The command to read so many words of the selected tag's chip."""
    return command(Cmd.READ, bytes(_PASSWORD_BYTES) + bytes([TID_BANK, 0, 0]) + words.to_bytes(2, "big"))


@dataclass(frozen=True, slots=True)
class Memory:
    """What was read of a tag's memory."""

    pc: bytes
    epc: bytes
    data: bytes

    @classmethod
    def from_frame(cls, frame: Frame) -> "Memory | None":
        """What a reply to 39 tells; None for all else, and where it does not add up."""
        said = frame.parameters
        if frame.kind is not Kind.REPLY or frame.command != Cmd.READ or not said:
            return None
        end = 1 + said[0]
        pc, epc, data = said[1 : 1 + PC_BYTES], said[1 + PC_BYTES : end], said[end:]
        return cls(pc, epc, data) if end < len(said) and is_epc(epc) and fits(pc, epc) else None

    def to_frame(self) -> Frame:
        """The reply that tells it."""
        told = self.pc + self.epc
        return Frame(Kind.REPLY, Cmd.READ, bytes([len(told)]) + told + self.data)


def power_data(dbm: float) -> bytes:
    """A power in the units of the module."""
    return round(dbm * _CENTI).to_bytes(2, "big", signed=True)


def power_of(data: bytes) -> float:
    """The power, in dBm, that the module tells in its units."""
    return int.from_bytes(data, "big", signed=True) / _CENTI
