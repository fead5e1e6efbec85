"""The GPIO lines of the box itself, over the kernel's character device (libgpiod, the extra `gpio`).

- A line is `gpiochip0/17`, or the label that the box's maker gave it ("GPIO17"), wherever that is.
- An input is debounced by the kernel, which tells of each edge. Every second it is read besides: no level is missed for
  good, and a chip that was pulled out is noticed.
- An output is put as last asked for when its line is taken: off at first. One that is to be left alone is not
  taken, as that would put it, until it is asked for. When the program ends, the kernel frees the line; what then
  becomes of its level is the chip's affair, and the next start puts it off.
"""

import asyncio
import contextlib
import errno
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.port import Condition, DriverError, Level, Quiet
from drivers.registry import Driver, Ports, Role
from drivers.threads import in_thread
from drivers.words import why

if TYPE_CHECKING:
    import gpiod

DEV: Final = Path("/dev")
CONSUMER: Final = "gated"

_PLACE: Final = re.compile(r"(gpiochip[0-9]+)/([0-9]{1,5})")
_LABEL: Final = re.compile(r"(?!(?:gpiochip)?[0-9]+$)[!-.0-~]{1,63}")  # printable, no "/", no mere number, no chip
_MISSING: Final = 'the library for GPIO lines is not installed: pip install "gated[gpio]" (docs/hardware/gpio.md)'
_SEE: Final = "; gpioinfo (of the package gpiod) shows what there is"

T = TypeVar("T")


def checked(line: str) -> str:
    """`line` as it is. Raises ValueError, with what would be right, where it is none."""
    if not (_PLACE.fullmatch(line) or _LABEL.fullmatch(line)):
        raise ValueError(f'{line!r} is no line: write chip/number ("gpiochip0/17") or its label ("GPIO17")')
    return line


class Options(BaseModel):
    """What outputs and inputs have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: Annotated[str, AfterValidator(checked)] = Field(description='which line: "gpiochip0/17", or its label')


class OutputOptions(Options):
    """Options of one output."""

    active: Literal["high", "low"] = Field(default="high", description="level that closes the contact behind the line")


class InputOptions(Options):
    """Options of one input."""

    active: Literal["low", "high"] = Field(default="low", description="level of the line when something is there")
    pull: Literal["up", "down", "none"] = Field(
        default="up", description="the line's own resistor; up for a contact to ground, none where there is one outside"
    )
    debounce: float = Field(default=0.02, ge=0, le=1, description="s for which a level must last to count")


class LineLink(Link):
    """One line that was taken. Bytes are levels, 1 active: those of each edge and the one of now, or what to put."""

    def __init__(self, line: str, request: "gpiod.LineRequest") -> None:
        super().__init__(line)
        self._request = request
        self._offset = request.offsets[0]
        self._loop.add_reader(request.fd, self._readable)

    def write(self, data: bytes) -> None:
        """See Link. The level is that of the last byte."""
        from gpiod.line import Value  # noqa: PLC0415 - whoever has no lines may have no library

        value = Value.ACTIVE if data[-1] else Value.INACTIVE
        self._ask(lambda: self._request.set_value(self._offset, value))

    async def read_within(self, seconds: float) -> bytes:
        """See Link. The level of now is the last byte, whatever has come."""
        edges = await super().read_within(seconds)
        return edges + bytes([bool(self._ask(lambda: self._request.get_value(self._offset)))])

    def _readable(self) -> None:
        with contextlib.suppress(LinkLost):  # whoever reads hears of it
            edges = self._ask(self._request.read_edge_events)
            self._arrived(bytes(edge.event_type is edge.Type.RISING_EDGE for edge in edges), time.monotonic())

    def _ask(self, work: Callable[[], T]) -> T:
        if self._lost is not None:
            raise LinkLost(self._lost)
        try:
            return work()
        except OSError as error:
            lost = f"{self.port} is gone: its chip was unplugged, or its driver was unloaded ({error.strerror})"
            self.lose(lost)
            raise LinkLost(lost) from error

    def _shut(self) -> None:
        self._loop.remove_reader(self._request.fd)
        self._request.release()


class LineOpener:
    """Takes the line, with the settings of the moment, once that is `wanted`."""

    def __init__(
        self, line: str, settings: Callable[[], "gpiod.LineSettings"], wanted: asyncio.Event | None = None
    ) -> None:
        self.port = line
        self._settings = settings
        self._wanted = wanted

    async def open(self) -> LineLink:
        """See Opener."""
        if self._wanted is not None:
            await self._wanted.wait()
        try:
            taken = await in_thread(lambda: _Taken(self.port, self._settings()))
        except ImportError as error:
            raise LinkLost(_MISSING) from error
        return LineLink(self.port, taken.request)

    def close(self) -> None:
        """See Opener."""


class _Taken:
    """A line that was taken, on its way from the thread that waited for the kernel."""

    def __init__(self, line: str, settings: "gpiod.LineSettings") -> None:
        chip, offset = _found(line)
        try:
            self.request = chip.request_lines({offset: settings}, consumer=CONSUMER)
        except OSError as error:
            raise LinkLost(_refused(line, chip, offset, error)) from error
        finally:
            chip.close()

    def close(self) -> None:
        """Let go of it."""
        self.request.release()


def _found(line: str) -> tuple["gpiod.Chip", int]:
    """The line's chip, open, and its number there."""
    place = _PLACE.fullmatch(line)
    if place is not None:
        chip, offset = _opened(str(DEV / place[1])), int(place[2])
        if (count := chip.get_info().num_lines) > offset:
            return chip, offset
        chip.close()
        raise LinkLost(f"there is no {line}: {place[1]} has lines 0 to {count - 1}")
    found = [where for path in sorted(DEV.glob("gpiochip*")) for where in _labelled(str(path), line)]
    if len(found) != 1:
        told = ", ".join(f"{Path(path).name}/{offset}" for path, offset in found)
        raise LinkLost(
            f"several lines are called {line}: {told}; write one of these"
            if found
            else f"no line is called {line}{_SEE}"
        )
    return _opened(found[0][0]), found[0][1]


def _labelled(path: str, label: str) -> list[tuple[str, int]]:
    """The chip's lines of this label."""
    chip = _opened(path)
    try:
        return [(path, n) for n in range(chip.get_info().num_lines) if chip.get_line_info(n).name == label]
    finally:
        chip.close()


def _opened(path: str) -> "gpiod.Chip":
    import gpiod  # noqa: PLC0415 - an extra, for whoever has such lines

    try:
        return gpiod.Chip(path)
    except FileNotFoundError as error:
        raise LinkLost(f"there is no {path}{_SEE}") from error
    except OSError as error:
        raise LinkLost(why(path, error)) from error


def _refused(line: str, chip: "gpiod.Chip", offset: int, error: OSError) -> str:
    """Why the line cannot be had."""
    if error.errno == errno.EBUSY:
        return f"{line} is in use by {chip.get_line_info(offset).consumer or 'another program'}: one program a line"
    if error.errno in (errno.EINVAL, errno.ENOTSUP, errno.ENXIO):
        return f'{line} cannot be set up so ({error.strerror}): try pull = "none", or another line'
    return why(line, error)


class GpioOutput:
    """One line as an output."""

    def __init__(self, options: OutputOptions, rand: Callable[[], float]) -> None:
        self._options = options
        self._asked = False
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._opener = LineOpener(options.line, self._settings, self._wanted)
        self._rand = rand
        self._link: Link | None = None
        self._why = f"{options.line} is not open"

    async def reports(self) -> AsyncGenerator[Condition | Quiet, None]:
        """See `drivers.port.Output`."""
        async with aclosing(keep(self._opener, self._serve, self._rand)) as reports:
            async for report in reports:
                if isinstance(report, Condition):
                    self._why = report.why
                yield report

    def leave(self) -> None:
        """See `drivers.port.Output`."""
        self._wanted.clear()

    def set(self, *, on: bool, owed: bool = False) -> None:
        """See `drivers.port.Output`."""
        if owed or not on:
            self._asked = on
            self._wanted.set()
        if self._link is None:
            raise DriverError(self._why)
        self._link.write(bytes([on]))
        self._asked = on

    async def _serve(self, link: Link) -> AsyncGenerator[Condition | Quiet, None]:
        link.write(bytes([self._asked]))  # what was asked for while it was being taken
        self._link = link
        try:
            yield Condition(True)
            while True:
                await link.read_within(STEP_S)
                yield Quiet()
        finally:
            self._link = None

    def _settings(self) -> "gpiod.LineSettings":
        from gpiod import LineSettings  # noqa: PLC0415 - as above
        from gpiod.line import Direction, Value  # noqa: PLC0415 - as above

        return LineSettings(
            direction=Direction.OUTPUT,
            active_low=self._options.active == "low",
            output_value=Value.ACTIVE if self._asked else Value.INACTIVE,
        )


class GpioInput:
    """One line as an input."""

    def __init__(self, options: InputOptions, rand: Callable[[], float]) -> None:
        self._options = options
        self._opener = LineOpener(options.line, self._settings)
        self._rand = rand

    def reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        """See `drivers.port.Input`."""
        return keep(self._opener, self._serve, self._rand)

    async def _serve(self, link: Link) -> AsyncGenerator[Level | Condition | Quiet, None]:
        yield Condition(True)
        last: bool | None = None
        while True:
            for level in map(bool, await link.read_within(0 if last is None else STEP_S)):
                if level != last:
                    last = level
                    yield Level(level)
            yield Quiet()

    def _settings(self) -> "gpiod.LineSettings":
        from gpiod import LineSettings  # noqa: PLC0415 - as above
        from gpiod.line import Bias, Direction, Edge  # noqa: PLC0415 - as above

        return LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.BOTH,
            bias={"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.DISABLED}[self._options.pull],
            active_low=self._options.active == "low",
            debounce_period=timedelta(seconds=self._options.debounce),
        )


def make_output(_: str, options: OutputOptions, ports: Ports) -> GpioOutput:
    """The output."""
    return GpioOutput(options, ports.rand)


def make_input(_: str, options: InputOptions, ports: Ports) -> GpioInput:
    """The input."""
    return GpioInput(options, ports.rand)


OUTPUT: Final = Driver("gpio", Role.OUTPUT, OutputOptions, make_output, place="line")
INPUT: Final = Driver("gpio", Role.INPUT, InputOptions, make_input, place="line")
