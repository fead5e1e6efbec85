"""The other side of `drivers.lcus`."""

import time
from collections.abc import Callable

from protocol.lcus import CHANNELS, LcusCodec, Query, Switch


class EmulatedLcus:
    """A board of eight relays. `changes` lists (monotonic s, channel, on), without commands that change nothing."""

    def __init__(self, on_change: Callable[[int, bool], None] | None = None) -> None:
        self.channels = dict.fromkeys(range(1, CHANNELS + 1), False)
        self.changes: list[tuple[float, int, bool]] = []
        self.on_change = on_change
        self._codec = LcusCodec()

    def receive(self, data: bytes) -> bytes:
        """See Device. A query is answered as boards of one byte a channel do; orders are beyond this one."""
        answer = b""
        for command in self._codec.feed(data):
            if isinstance(command, Query):
                answer += bytes(self.channels.values())
            elif isinstance(command, Switch) and self.channels[command.channel] != command.on:
                self.channels[command.channel] = command.on
                self.changes.append((time.monotonic(), command.channel, command.on))
                if self.on_change is not None:
                    self.on_change(command.channel, command.on)
        return answer
