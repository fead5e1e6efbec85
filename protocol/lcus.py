"""LCUS relay boards (LCUS-1 to LCUS-8, CH340, 9600 8N1): four bytes switch one contact, and nothing answers.

    A0 | channel, from 1 | 01 on, 00 off | low byte of the sum of the three
    FF                                                                        asks for all contacts

What FF brings differs from board to board: nothing, one byte a channel (MultiRoomAudio's driver), or lines such as
`CH1:OFF` (AscomSwitchDriver). It helps to find a board; nothing else depends on it.

Newer boards know more operations than 00 and 01: `Operation`. They answer some by `A0 | channel | 01 on, 00 off | sum`.
Others ignore those, and lamps on such boards blink by 02: so none is ever sent to a board that nobody has described.

Within a command no byte can be another head: the check lies between A1 and AE. So no garbage hides a good command
behind it, however long it is.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocol.checksum import sum8
from protocol.codec import Dropped

CHANNELS: Final = 8  # the largest board of the family
COMMAND_BYTES: Final = 4
BUFFER_MAX_BYTES: Final = COMMAND_BYTES - 1

_HEAD: Final = 0xA0
_QUERY: Final = 0xFF
_LINE: Final = re.compile(rb"CH ?([1-8]): ?(?:ON|OFF)", re.IGNORECASE)
_AROUND: Final = b" \t\r\0"


class Operation(IntEnum):
    """What a contact is to do, by its code."""

    OFF = 0x00
    ON = 0x01
    OFF_AND_TELL = 0x02
    ON_AND_TELL = 0x03
    TURN_AND_TELL = 0x04
    TELL = 0x05
    BREAK_AND_TELL = 0x06


@dataclass(frozen=True, slots=True)
class Switch:
    """Close (`on`) or open the contact of a channel."""

    channel: int
    on: bool

    def to_bytes(self) -> bytes:
        """The command as the board takes it."""
        return _framed(self.channel, self.on)


@dataclass(frozen=True, slots=True)
class Order:
    """An operation that only newer boards know."""

    channel: int
    operation: Operation

    def to_bytes(self) -> bytes:
        """The command as the board takes it."""
        return _framed(self.channel, self.operation)


@dataclass(frozen=True, slots=True)
class Query:
    """Asks for the state of all contacts."""

    def to_bytes(self) -> bytes:
        """The command as the board takes it."""
        return bytes([_QUERY])


def channels(answer: bytes) -> int:
    """How many contacts an answer to a query tells of, one byte or one line of text each; 0 where it is none."""
    if 0 < len(answer) <= CHANNELS and set(answer) <= {0, 1}:
        return len(answer)
    lines = [line.strip(_AROUND) for line in answer.split(b"\n") if line.strip(_AROUND)]
    told = [_LINE.fullmatch(line) for line in lines]
    numbers = [int(one[1]) for one in told if one is not None]
    return len(lines) if lines and numbers == list(range(1, len(lines) + 1)) and len(lines) <= CHANNELS else 0


class LcusCodec:
    """What a board understands: bytes of a host in, commands out."""

    def __init__(self) -> None:
        self.dropped = Dropped()
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Switch | Order | Query]:
        """All commands that `data` completes, oldest first. Bytes of failed ones count among `dropped.data` too."""
        commands: list[Switch | Order | Query] = []
        self._buffer += data
        while self._buffer:
            if self._buffer[0] == _QUERY:
                commands.append(Query())
                del self._buffer[0]
            elif not self._possible():
                self.dropped.data += 1
                del self._buffer[0]
            elif len(self._buffer) < COMMAND_BYTES:
                break
            else:
                channel, operation = self._buffer[1], Operation(self._buffer[2])
                simple = operation in (Operation.OFF, Operation.ON)
                commands.append(Switch(channel, bool(operation)) if simple else Order(channel, operation))
                del self._buffer[:COMMAND_BYTES]
        return commands

    def _possible(self) -> bool:
        """Whether the bytes at the front are, as far as they have come, a command."""
        head, rest = self._buffer[0], self._buffer[1:COMMAND_BYTES]
        if head != _HEAD or (rest and not 1 <= rest[0] <= CHANNELS) or (rest[1:] and rest[1] not in tuple(Operation)):
            return False
        if len(rest) == COMMAND_BYTES - 1 and rest[2] != sum8(bytes([head]) + rest[:2]):
            self.dropped.frames += 1
            return False
        return True


def _framed(channel: int, operation: int) -> bytes:
    body = bytes([_HEAD, channel, operation])
    return body + bytes([sum8(body)])
