"""LCUS relay boards (LCUS-1 to LCUS-8, CH340, 9600 8N1): four bytes switch one contact, and nothing answers.

    A0 | channel, from 1 | 01 on, 00 off | low byte of the sum of the three
    FF                                                                        asks for all contacts

What FF brings differs from board to board: nothing, one byte a channel (MultiRoomAudio's driver), or lines such as
`CH1:OFF` (AscomSwitchDriver). It helps to find a board; nothing else depends on it.

Within a command no byte can be another head: the check lies between A1 and A9. So no garbage hides a good command
behind it, however long it is.
"""

import re
from dataclasses import dataclass
from typing import Final

from protocol.checksum import sum8
from protocol.codec import Dropped

CHANNELS: Final = 8  # the largest board of the family
COMMAND_BYTES: Final = 4
BUFFER_MAX_BYTES: Final = COMMAND_BYTES - 1

_HEAD: Final = 0xA0
_QUERY: Final = 0xFF
_LINE: Final = re.compile(rb"CH ?([1-8]): ?(?:ON|OFF)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Switch:
    """Close (`on`) or open the contact of a channel."""

    channel: int
    on: bool

    def to_bytes(self) -> bytes:
        """The command as the board takes it."""
        body = bytes([_HEAD, self.channel, self.on])
        return body + bytes([sum8(body)])


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
    lines = [line.strip() for line in answer.split(b"\n") if line.strip()]
    told = [_LINE.fullmatch(line) for line in lines]
    numbers = [int(one[1]) for one in told if one is not None]
    return len(lines) if lines and numbers == list(range(1, len(lines) + 1)) and len(lines) <= CHANNELS else 0


class LcusCodec:
    """What a board understands: bytes of a host in, commands out."""

    def __init__(self) -> None:
        self.dropped = Dropped()
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Switch | Query]:
        """All commands that `data` completes, oldest first. Bytes of failed ones count among `dropped.data` too."""
        commands: list[Switch | Query] = []
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
                commands.append(Switch(self._buffer[1], bool(self._buffer[2])))
                del self._buffer[:COMMAND_BYTES]
        return commands

    def _possible(self) -> bool:
        """Whether the bytes at the front are, as far as they have come, a command."""
        head, rest = self._buffer[0], self._buffer[1:COMMAND_BYTES]
        if head != _HEAD or (rest and not 1 <= rest[0] <= CHANNELS) or (rest[1:] and rest[1] > 1):
            return False
        if len(rest) == COMMAND_BYTES - 1 and rest[2] != sum8(bytes([head]) + rest[:2]):
            self.dropped.frames += 1
            return False
        return True
