"""The other side of `drivers.nfc`: chips in a field, on the two ways that nfcpy has to them.

- `datagram`: nfcpy's own UDP path, one frame of the air in each datagram, "106A 26" (nfcpy 1.0.4, nfc/clf/udp.py). An
  empty field answers RFOFF: a reader that asks need not wait until its time is up.
- `receive`: a PN532 on a serial line (`protocol.pn532`), as far as nfcpy asks it.

One chip of each technology answers, the one that came first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from protocol.checksum import xor8
from protocol.pn532 import Cmd, Frame, Kind, Pn532Codec

RFOFF: Final = b"RFOFF"
UID_BYTES: Final = (4, 7, 10)
IDM_BYTES: Final = 8

_CASCADE: Final = 0x88
_WAKE: Final = b"\x26"
_NAK: Final = b"\x00"
_NTAG215: Final = bytes.fromhex("0004040201001103")  # NXP NTAG213/215/216, Rev. 3.2, 10.1
_NTAG215_BYTES: Final = 135 * 4
_LONG_TLV: Final = 255
_BAUDS: Final = (9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600, 1_288_000)  # by their codes
_REGISTERS: Final = {b"\x63\x39": 0x26}  # CIU_FIFOData: what was sent to an empty field is still there

Message = bytes | Callable[[], bytes]
"""An NDEF message, or what gives one anew at each read."""


class Chip(Protocol):
    """A chip in the field: its number, its technology, and what it says once it was chosen (None: nothing)."""

    uid: bytes
    technology: str

    def chosen(self) -> None:
        """It was found anew."""
        ...

    def command(self, frame: bytes) -> bytes | None:
        """The answer to a frame of the air, without its check."""
        ...


class Type2:
    """An NTAG215 with this UID; without a message its memory is blank. `reads` counts how often the record began."""

    technology = "106A"
    sens = b"\x44\x00"
    sel = b"\x00"

    def __init__(self, uid: bytes, message: bytes | None = None) -> None:
        if len(uid) not in UID_BYTES:
            raise ValueError(f"a UID has {', '.join(map(str, UID_BYTES))} bytes, in hex")
        self.uid = uid
        self.reads = 0
        self._memory = bytearray(_NTAG215_BYTES)
        if message is not None:
            size = bytes([len(message)]) if len(message) < _LONG_TLV else b"\xff" + len(message).to_bytes(2)
            record = b"\xe1\x10\x3e\x00\x03" + size + message + b"\xfe"
            if len(record) > _NTAG215_BYTES - 12 - 20:
                raise ValueError(f"{len(message)} bytes are more than an NTAG215 holds")
            self._memory[12 : 12 + len(record)] = record

    def chosen(self) -> None:
        """See Chip."""

    def command(self, frame: bytes) -> bytes | None:
        """See Chip."""
        match frame[:1], frame[1:]:
            case b"\x30", page if page and 4 * page[0] < _NTAG215_BYTES:
                self.reads += page[0] == 4  # noqa: PLR2004 - where the user's memory begins
                return bytes((self._memory + self._memory)[4 * page[0] : 4 * page[0] + 16])
            case b"\x60", b"":
                return _NTAG215
        return _NAK


class Type4:
    """A chip that speaks ISO 14443-4, with the NDEF application (or none), such as an NTAG 424 DNA."""

    technology = "106A"
    sens = b"\x44\x03"
    sel = b"\x20"

    _ATS = bytes.fromhex("067577810280")
    _OK = b"\x90\x00"
    _NOT_FOUND = b"\x6a\x82"
    _APPLICATION = bytes.fromhex("D2760000850101")
    _CC_FILE, _NDEF_FILE = b"\xe1\x03", b"\xe1\x04"
    _CC = bytes.fromhex("000F20003A00340406E104040000FF")
    _FRAME_BYTES = 61

    def __init__(self, uid: bytes, message: Message | None = None) -> None:
        self.uid = uid
        self.reads = 0
        self._message = message
        self._file = b""
        self._pending = b""
        self._last = b""

    def chosen(self) -> None:
        """See Chip."""
        self._file = self._pending = self._last = b""

    def command(self, frame: bytes) -> bytes | None:
        """See Chip."""
        if frame[:1] == b"\xe0":
            return self._ATS
        number = frame[0] & 1
        match frame[0] & 0xF6:
            case 0x02:
                self._pending = self._apdu(frame[1:])
            case 0xA2:
                pass
            case 0xB2:
                return self._last if self._last and self._last[0] & 1 == number else bytes([0xA2 | number])
            case 0xC2:
                return frame[:1]
            case _:
                return None
        part, self._pending = self._pending[: self._FRAME_BYTES], self._pending[self._FRAME_BYTES :]
        self._last = bytes([0x02 | number | (0x10 if self._pending else 0)]) + part
        return self._last

    def _apdu(self, apdu: bytes) -> bytes:
        match apdu[:4]:
            case b"\x00\xa4\x04\x00" if self._message is not None and apdu[5:12] == self._APPLICATION:
                return self._OK
            case b"\x00\xa4\x00\x0c" if apdu[5:7] == self._CC_FILE:
                self._file = self._CC
                return self._OK
            case b"\x00\xa4\x00\x0c" if apdu[5:7] == self._NDEF_FILE and self._message is not None:
                self.reads += 1
                message = self._message if isinstance(self._message, bytes) else self._message()
                self._file = len(message).to_bytes(2) + message
                return self._OK
            case _ if apdu[:2] == b"\x00\xb0":
                at = int.from_bytes(apdu[2:4])
                return self._file[at : at + (apdu[4] or 256)] + self._OK
        return self._NOT_FOUND


class Type3:
    """A FeliCa chip with this IDm and an NDEF message."""

    technology = "212F"
    _PMM = bytes([0xFF] * 8)
    _SYSTEM = b"\x12\xfc"

    def __init__(self, idm: bytes, message: bytes = b"") -> None:
        if len(idm) != IDM_BYTES:
            raise ValueError(f"an IDm has {IDM_BYTES} bytes, in hex")
        self.uid = idm
        self.reads = 0
        count = -(-len(message) // 16)
        head = bytes([0x10, 4, 1]) + count.to_bytes(2) + bytes(6) + len(message).to_bytes(3)
        self._blocks = head + sum(head).to_bytes(2) + message.ljust(16 * count, b"\x00")

    @property
    def sensf(self) -> bytes:
        """Its answer to a polling, without the length."""
        return b"\x01" + self.uid + self._PMM + self._SYSTEM

    def chosen(self) -> None:
        """See Chip."""

    def command(self, frame: bytes) -> bytes | None:
        """See Chip."""
        if frame[1:2] == b"\x00" and frame[2:4] in (b"\xff\xff", self._SYSTEM):
            answer = self.sensf if frame[4] == 1 else self.sensf[:-2]
            return bytes([len(answer) + 1]) + answer
        if frame[1:2] != b"\x06" or frame[2:10] != self.uid:
            return None
        wanted = [frame[at + 1] for at in range(14, 14 + 2 * frame[13], 2)]
        self.reads += wanted == [0]
        data = b"".join(self._blocks[16 * block : 16 * block + 16] for block in wanted)
        answer = b"\x07" + self.uid + b"\x00\x00" + bytes([len(wanted)]) + data
        return bytes([len(answer) + 1]) + answer


def chip(text: str) -> Chip:
    """The chip that a line names, "UID" or "UID MESSAGE", in hex: FeliCa by eight bytes, else an NTAG215.

    Raises ValueError where it is none.
    """
    uid, *message = (bytes.fromhex(word) for word in text.split(" ", 1))
    return Type3(uid, *message) if len(uid) == IDM_BYTES else Type2(uid, *message)


class EmulatedNfc:
    """The field of one reader. `baud` is what it was told last, the speed of its line until it is told another."""

    def __init__(self) -> None:
        self.baud = 115_200
        self._chips: list[Chip] = []
        self._now: Chip | None = None
        self._codec = Pn532Codec()

    def enter(self, coming: Chip | str) -> None:
        """The chip comes into the field. Raises ValueError for a text that names none."""
        if isinstance(coming, str):
            coming = chip(coming)
        self.leave(coming.uid)
        self._chips.append(coming)

    def leave(self, uid: bytes | str) -> None:
        """The chip with this number leaves it."""
        gone = bytes.fromhex(uid.partition(" ")[0]) if isinstance(uid, str) else uid
        self._chips = [chip for chip in self._chips if chip.uid != gone]
        if self._now not in self._chips:
            self._now = None

    def datagram(self, data: bytes) -> bytes | None:
        """What nfcpy's reader is answered on its UDP path."""
        words = data.split()
        if len(words) != 2:  # noqa: PLR2004 - RFOFF: the reader has switched its field off
            return None
        technology = words[0].decode()
        answer = self._aired(technology, bytes.fromhex(words[1].decode()))
        return RFOFF if answer is None else words[0] + b" " + answer.hex().encode()

    def receive(self, data: bytes) -> bytes:
        """See Device: what a PN532 says on its serial line."""
        return b"".join(self._served(frame.data) for frame in self._codec.feed(data) if frame.kind is Kind.COMMAND)

    def command(self, data: bytes) -> bytes:
        """What a PN532 replies to a command: its code, one more, and what belongs to it.

        Raises IndexError where the command breaks off.
        """
        code, rest = data[0], data[1:]
        match code:
            case Cmd.DIAGNOSE:
                reply = rest
            case Cmd.FIRMWARE:
                reply = b"\x32\x01\x06\x07"
            case Cmd.READ_REGISTER:
                reply = bytes(_REGISTERS.get(rest[at : at + 2], 0) for at in range(0, len(rest), 2))
            case Cmd.SET_BAUD:
                self.baud = _BAUDS[rest[0]]
                reply = b""
            case Cmd.POWER_DOWN:
                reply = b"\x00"
            case Cmd.LIST_TARGETS:
                reply = self._listed(rest)
            case Cmd.THRU:
                reply = self._through(rest)
            case _:
                reply = b""
        return bytes([(code + 1) & 0xFF]) + reply

    def _served(self, data: bytes) -> bytes:
        try:
            reply = Frame(Kind.REPLY, self.command(data))
        except IndexError:
            reply = Frame(Kind.ERROR)
        return Frame(Kind.ACK).to_bytes() + reply.to_bytes()

    def _chip(self, technology: str) -> Chip | None:
        return next((chip for chip in self._chips if chip.technology == technology), None)

    def _listed(self, asked: bytes) -> bytes:
        chip = self._chip({0: "106A", 1: "212F"}.get(asked[1], ""))
        wanted = asked[2:].replace(bytes([_CASCADE]), b"") if asked[1] == 0 else b""
        if chip is None or (wanted and wanted != chip.uid.replace(bytes([_CASCADE]), b"")):
            return b"\x00"
        chip.chosen()
        self._now = chip
        if isinstance(chip, Type2 | Type4):
            return b"\x01\x01" + chip.sens[::-1] + chip.sel + bytes([len(chip.uid)]) + chip.uid
        answer = chip.command(b"\x06\x00\xff\xff\x01\x00") or b""
        return b"\x01\x01" + answer

    def _through(self, frame: bytes) -> bytes:
        """The answer with its state; a Type 2 chip's comes with its CRC, which nfcpy has the PN532 leave in."""
        chip = self._now
        answer = chip.command(frame) if chip is not None else None
        if answer is None:
            return b"\x01"
        checked = isinstance(chip, Type2) and len(answer) > 1
        return b"\x00" + answer + (_crc_a(answer) if checked else b"")

    def _aired(self, technology: str, frame: bytes) -> bytes | None:
        """What the field answers to a frame: a chip of type A only once it was woken, and while it stays."""
        chip = self._chip(technology)
        if isinstance(chip, Type2 | Type4):
            if frame == _WAKE:
                self._now = chip
            return _anticollision(chip, frame) if chip is self._now else None
        return chip.command(frame) if chip is not None else None


@dataclass(frozen=True, slots=True)
class _Level:
    """One cascade level: four bytes of the UID with their sum, and whether more follow."""

    code: int
    part: bytes
    more: bool


def _anticollision(chip: Type2 | Type4, frame: bytes) -> bytes | None:
    """ISO 14443-3, 6.5: how a chip of type A is found; else what it says."""
    if frame == _WAKE:
        chip.chosen()
        return chip.sens
    for level in _levels(chip.uid):
        if frame == bytes([level.code, 0x20]):
            return level.part
        if frame == bytes([level.code, 0x70]) + level.part:
            return bytes([chip.sel[0] | (0x04 if level.more else 0)])
    return chip.command(frame)


def _levels(uid: bytes) -> list[_Level]:
    levels = []
    for code in (0x93, 0x95, 0x97):
        more = len(uid) > UID_BYTES[0]
        part = bytes([_CASCADE]) + uid[:3] if more else uid
        levels.append(_Level(code, part + bytes([xor8(part)]), more))
        if not more:
            break
        uid = uid[3:]
    return levels


def _crc_a(data: bytes) -> bytes:
    """CRC_A of ISO 14443-3, 6.2.4: reflected, begins at 6363, low byte first."""
    crc = 0x6363
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8408 if crc & 1 else 0)
    return crc.to_bytes(2, "little")
