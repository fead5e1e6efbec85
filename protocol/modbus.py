"""Modbus: the few functions that boards of relays and inputs have, over RTU and TCP.

    RTU   unit | function | data | CRC-16/MODBUS, low byte first
    TCP   transaction, 2 | 0000 | bytes that follow, 2 | unit | function | data       (MBAP)

- A frame tells its length by its function, and for a request and a reply differently, so that each has its own codec.
- An answer has the request's unit and function; a refused one has 80 added to the function, and one byte says why.
- 05 puts a coil, FF00 on and 0000 off, and its echo, all of it, is the acknowledgement.
- Boards with timed coils (Waveshare's) close coil n for some tenths of a second by 05 to 0200 + n: theirs alone. Older
  boards of eight want those tenths in the high byte: 0700 where Waveshare's have 0007.
- Over TCP nothing but the header tells a frame: garbage that looks like one costs the frame behind it.

Sources: MODBUS Application Protocol Specification V1.1b3, sections 6 and 7; MODBUS over Serial Line V1.02, 2.5.1;
MODBUS Messaging on TCP/IP V1.0b, 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocol.checksum import crc16_modbus
from protocol.framer import Framer

UNIT_MAX: Final = 0xFF  # 247 on a line; over TCP, 255 is the device that the connection goes to
NUMBERS: Final = 0x10000
"""How many coils, inputs or registers a unit may have, and how many transactions there are."""
FLASH_AT: Final = 0x0200
FLASH_STEP_S: Final = 0.1
FLASH_COILS: Final = 0x100
FRAME_MAX_BYTES: Final = 6 + 7 + 255
"""What a codec holds back at most, for a frame that says it is so long; good ones have 260."""

_ON: Final = b"\xff\x00"
_OFF: Final = b"\x00\x00"
_REFUSED: Final = 0x80
_HEADER_BYTES: Final = 6
_LENGTH_MAX: Final = 254  # unit and PDU
_OPEN: Final = 1 << 16  # longer than any buffer: what is there does not tell yet


class Function(IntEnum):
    """What is asked for."""

    COILS = 0x01
    INPUTS = 0x02
    HOLDING = 0x03
    REGISTERS = 0x04
    PUT_COIL = 0x05
    PUT_REGISTER = 0x06
    PUT_COILS = 0x0F
    PUT_REGISTERS = 0x10


BITS: Final = frozenset((Function.COILS, Function.INPUTS))
READS: Final = BITS | {Function.HOLDING, Function.REGISTERS}
_SINGLE: Final = frozenset((Function.PUT_COIL, Function.PUT_REGISTER))
_MANY: Final = frozenset((Function.PUT_COILS, Function.PUT_REGISTERS))

_WHY: Final = {
    0x01: "it does not know this function",
    0x02: "it has nothing at this number",
    0x03: "it does not take this value",
    0x04: "it has failed",
    0x05: "it needs longer than it may",
    0x06: "it is busy",
    0x08: "its memory is damaged",
    0x0A: "the gateway has no way to it",
    0x0B: "the gateway gets no answer from it",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a reply. `transaction` counts over TCP only; elsewhere it stays 0."""

    unit: int
    function: int
    data: bytes
    transaction: int = 0

    def to_rtu(self) -> bytes:
        """The message as a frame of a serial line."""
        body = bytes([self.unit, self.function]) + self.data
        return body + crc16_modbus(body).to_bytes(2, "little")

    def to_tcp(self) -> bytes:
        """The message as a frame of a TCP connection."""
        body = bytes([self.unit, self.function]) + self.data
        return b"".join(number.to_bytes(2, "big") for number in (self.transaction, 0, len(body))) + body

    @property
    def refusal(self) -> int | None:
        """The code of a refusal; None of any other message."""
        return self.data[0] if self.function & _REFUSED and self.data else None

    @property
    def address(self) -> int:
        """Of a request: the first coil, input or register that it is about."""
        return int.from_bytes(self.data[:2], "big")

    @property
    def value(self) -> int:
        """Of a request: what a single one is put to, or how many are read or put."""
        return int.from_bytes(self.data[2:4], "big")


def read(unit: int, function: Function, first: int, count: int) -> Message:
    """Ask for `count` coils, inputs or registers, counted from 0."""
    return Message(unit, function, first.to_bytes(2, "big") + count.to_bytes(2, "big"))


def put_coil(unit: int, coil: int, *, on: bool) -> Message:
    """Close or open a relay, counted from 0."""
    return Message(unit, Function.PUT_COIL, coil.to_bytes(2, "big") + (_ON if on else _OFF))


def flash_coil(unit: int, coil: int, seconds: float) -> Message:
    """Close a relay that its board opens by itself after so many seconds: the first `FLASH_COILS` of them can."""
    steps = round(seconds / FLASH_STEP_S)
    return Message(unit, Function.PUT_COIL, (FLASH_AT + coil).to_bytes(2, "big") + steps.to_bytes(2, "big"))


def put_coils(unit: int, first: int, values: Sequence[bool]) -> Message:
    """Close and open relays side by side, counted from 0."""
    head = first.to_bytes(2, "big") + len(values).to_bytes(2, "big")
    return Message(unit, Function.PUT_COILS, head + packed(values))


def packed(values: Sequence[bool]) -> bytes:
    """Bits as messages carry them: their bytes' count, then the first in the lowest bit of the first byte."""
    data = bytearray((len(values) + 7) // 8)
    for number, value in enumerate(values):
        data[number // 8] |= value << number % 8
    return bytes([len(data)]) + data


def values(request: Message, reply: Message) -> list[bool] | None:
    """What was asked for, a register being true unless it is 0; None where the reply is not of that length."""
    count, data = request.value, reply.data[1:]
    if request.function in BITS:
        return [bool(data[n // 8] >> n % 8 & 1) for n in range(count)] if len(data) == (count + 7) // 8 else None
    return [any(data[2 * n : 2 * n + 2]) for n in range(count)] if len(data) == 2 * count else None


def answers(request: Message, reply: Message) -> bool:
    """Whether the reply can be the answer to the request: of the same unit, function and transaction, or an echo."""
    if (reply.unit, reply.transaction) != (request.unit, request.transaction):
        return False
    if reply.refusal is not None:
        return reply.function == request.function | _REFUSED
    if reply.function != request.function:
        return False
    return values(request, reply) is not None if request.function in READS else reply.data[:4] == request.data[:4]


def why(code: int) -> str:
    """A refusal's code in words."""
    return _WHY.get(code, f"it answers with error {code}")


class _Codec(Framer[Message]):
    """Finds frames of one direction; a subclass knows their envelope."""

    _head_bytes = 0
    _tail_bytes = 0

    def __init__(self, *, requests: bool) -> None:
        super().__init__()
        self._body = _request_bytes if requests else _reply_bytes

    def _length(self, start: int) -> int:
        body = self._body(self._buffer[start + self._head_bytes : start + self._head_bytes + 7])
        return self._head_bytes + body + self._tail_bytes if body else 0


class RtuCodec(_Codec):
    """The frames of a serial line, each found by its CRC."""

    _tail_bytes = 2

    def _at(self, start: int, length: int) -> Message | None:
        frame = bytes(self._buffer[start : start + length])
        return None if crc16_modbus(frame) else Message(frame[0], frame[1], frame[2:-2])


class TcpCodec(_Codec):
    """The frames of a TCP connection, each found by its header, which must fit the function."""

    _head_bytes = _HEADER_BYTES

    def _length(self, start: int) -> int:
        head = bytes(self._buffer[start : start + _HEADER_BYTES])
        if any(head[2:4]) or head[4:5] > b"\x00":
            return 0
        return super()._length(start) if len(head) == _HEADER_BYTES else _OPEN

    def _at(self, start: int, length: int) -> Message | None:
        frame = bytes(self._buffer[start : start + length])
        if length - _HEADER_BYTES != int.from_bytes(frame[4:6], "big") or length - _HEADER_BYTES > _LENGTH_MAX:
            return None
        return Message(frame[6], frame[7], frame[8:], int.from_bytes(frame[:2], "big"))


def _request_bytes(body: bytes | bytearray) -> int:
    """How long a request's unit, function and data are together, by their first bytes; 0 where they are no request."""
    if len(body) < 2:  # noqa: PLR2004 - unit and function
        return _OPEN
    if body[1] in READS or body[1] in _SINGLE:
        return 6
    if body[1] in _MANY:
        return 7 + body[6] if len(body) > 6 else _OPEN  # noqa: PLR2004 - the count's place
    return 0


def _reply_bytes(body: bytes | bytearray) -> int:
    """The same of a reply."""
    if len(body) < 2:  # noqa: PLR2004 - unit and function
        return _OPEN
    if body[1] in READS:
        return 3 + body[2] if len(body) > 2 else _OPEN  # noqa: PLR2004 - the count's place
    if body[1] in _SINGLE or body[1] in _MANY:
        return 6
    return 3 if body[1] & _REFUSED and body[1] & ~_REFUSED in READS | _SINGLE | _MANY else 0
