"""A box with one GPIO chip, as libgpiod would show it: the library's border is ours, its types are its own."""

import errno
import os
import socket
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from unittest import mock

import gpiod
from gpiod.line import Direction, Value

LINES = 28


class FakeBox:
    """Its chip is gpiochip0 with lines labelled GPIO0, GPIO1, …; while unplugged there is none.

    `levels` are the wires' own, `puts` all (line, level of the wire) that changed an output, `refuse` an error number
    for whoever opens the chip, `consumers` other programs that hold lines.
    """

    def __init__(self, folder: Path) -> None:
        self.port = "gpiochip0"
        self.levels = dict.fromkeys(range(LINES), True)
        self.labels = {line: f"GPIO{line}" for line in range(LINES)}
        self.puts: list[tuple[int, bool]] = []
        self.consumers: dict[int, str] = {}
        self.requests: dict[int, FakeRequest] = {}
        self.refuse = 0
        self._folder = folder
        self._patches: list[Any] = []

    @classmethod
    def dark(cls, folder: Path) -> Self:
        """A box whose wires are all low, as outputs at rest."""
        box = cls(folder)
        box.levels = dict.fromkeys(range(LINES), False)
        return box

    async def __aenter__(self) -> Self:
        self._patches = [mock.patch("gpiod.Chip", self._open), mock.patch("drivers.gpio.DEV", self._folder)]
        for patch in self._patches:
            patch.start()
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        for patch in self._patches:
            patch.stop()

    async def plug(self) -> None:
        """Plug the chip in."""
        (self._folder / self.port).touch()

    def unplug(self) -> None:
        """Pull it out: whoever holds lines hears so."""
        (self._folder / self.port).unlink(missing_ok=True)
        for request in self.requests.values():
            request.hang_up()

    def wire(self, line: int, *levels: bool) -> None:
        """Put the wire to these levels, one after the other."""
        for level in levels:
            changed = self.levels[line] != level
            self.levels[line] = level
            if changed and line in self.requests:
                self.requests[line].edge(level)

    def _open(self, path: str) -> "FakeChip":
        if self.refuse:
            raise OSError(self.refuse, os.strerror(self.refuse))
        if not Path(path).exists():
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return FakeChip(self)


class FakeChip:
    """See gpiod.Chip."""

    def __init__(self, box: FakeBox) -> None:
        self._box = box

    def get_info(self) -> Any:
        """See gpiod."""
        return SimpleNamespace(num_lines=LINES)

    def get_line_info(self, line: int) -> Any:
        """See gpiod."""
        return SimpleNamespace(name=self._box.labels[line], consumer=self._box.consumers.get(line, ""))

    def request_lines(self, config: dict[int, gpiod.LineSettings], consumer: str) -> "FakeRequest":
        """See gpiod."""
        assert consumer == "gated"
        ((line, settings),) = config.items()
        if line in self._box.requests or line in self._box.consumers:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return FakeRequest(self._box, line, settings)

    def close(self) -> None:
        """See gpiod."""


class FakeRequest:
    """See gpiod.LineRequest. Its descriptor is readable while an edge waits."""

    def __init__(self, box: FakeBox, line: int, settings: gpiod.LineSettings) -> None:
        self.offsets = [line]
        self.settings = settings
        self._box = box
        self._line = line
        self._gone = False
        self._events: deque[gpiod.EdgeEvent] = deque()
        self._end, self._other = socket.socketpair()
        self.fd = self._end.fileno()
        box.requests[line] = self
        if settings.direction is Direction.OUTPUT:
            self.set_value(line, settings.output_value)

    def get_value(self, line: int) -> Value:
        """See gpiod."""
        self._look()
        return Value.ACTIVE if self._box.levels[line] != self.settings.active_low else Value.INACTIVE

    def set_value(self, line: int, value: Value) -> None:
        """See gpiod."""
        self._look()
        level = bool(value) != self.settings.active_low
        if level != self._box.levels[line]:
            self._box.levels[line] = level
            self._box.puts.append((line, level))

    def read_edge_events(self) -> list[gpiod.EdgeEvent]:
        """See gpiod."""
        self._look()
        self._end.recv(len(self._events))
        events, self._events = list(self._events), deque()
        return events

    def release(self) -> None:
        """See gpiod."""
        self._end.close()
        self._other.close()
        del self._box.requests[self._line]

    def edge(self, level: bool) -> None:  # noqa: FBT001 - edge(True) reads well
        """The wire has changed."""
        kinds = gpiod.EdgeEvent.Type
        kind = kinds.RISING_EDGE if level != self.settings.active_low else kinds.FALLING_EDGE
        self._events.append(gpiod.EdgeEvent(kind.value, 0, self._line, 1, 1))
        self._other.send(b"x")

    def hang_up(self) -> None:
        """The chip is gone."""
        self._gone = True
        self._other.send(b"x")

    def _look(self) -> None:
        if self._gone:
            raise OSError(errno.ENODEV, "No such device")
