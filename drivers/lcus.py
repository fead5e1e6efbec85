"""LCUS relay boards (`protocol.lcus`): up to eight contacts on one port, one link for all of them.

The board answers nothing, so no more can be known of a contact than that its command was handed to an open port.
A board that loses its power drops its relays; if its USB chip stays up on the host's 5 V, nobody sees it. A contact
stays as it was last put when the program ends: whoever closed it opens it before leaving, and the next start does.

The board's link is held by one task, which lives while at least one contact's `reports()` is iterated.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from pydantic import Field

from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.port import Condition, DriverError, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from protocol.lcus import CHANNELS, Query, Switch, channels

_BAUD: Final = 9600


class Options(PortOptions):
    """Options of one contact of an lcus board."""

    channel: int = Field(default=1, ge=1, le=CHANNELS, description="which relay of the board, counted from 1")


class Board:
    """One board: holds the link, and what each contact was last asked for."""

    def __init__(self, port: str, rand: Callable[[], float]) -> None:
        self._opener = opener(port, _BAUD)
        self._rand = rand
        self._asked: dict[int, bool] = {}
        self._owed: set[int] = set()  # what was asked of these has not reached the board
        self._link: Link | None = None
        self._condition: Condition | None = None
        self._watchers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, channel: int) -> None:
        """From now on this contact is put as asked for at each connect: off at first."""
        if self._asked.setdefault(channel, False) or self._link is None:
            return
        with contextlib.suppress(DriverError):  # the link is being lost; the next one begins with it
            self.put(channel, on=False)

    def leave(self, channel: int) -> None:
        """Put this contact no way until it is asked for."""
        self._asked.pop(channel, None)
        self._owed.discard(channel)

    def put(self, channel: int, *, on: bool, owed: bool = False) -> None:
        """Close or open the contact, at once. Raises DriverError where that is impossible.

        Off is owed all the same, and sent as soon as the port takes it: a pulse must end though its cable was pulled
        or the board was not reading.
        """
        was = self._asked.get(channel, False)
        if owed or not on:
            self._asked[channel] = on
            self._owed.add(channel)
        if self._link is None:
            raise DriverError((self._condition and self._condition.why) or f"{self._opener.port} is not open")
        try:
            self._link.write(Switch(channel, on).to_bytes())
        except LinkLost:
            raise
        except DriverError:
            if not (on and was):
                raise
            return  # the On that closed it is on its way, or owed; one more would say the same
        self._asked[channel] = on
        self._owed.discard(channel)

    async def watch(self) -> AsyncGenerator[Condition | Quiet, None]:
        """How the board fares, for one contact."""
        turned = asyncio.Event()
        self._watchers.add(turned)
        said: Condition | None = None
        try:
            while True:
                task = self._running()
                if self._condition is None or self._condition == said:
                    await turned.wait()
                turned.clear()
                if task.done():
                    task.result()  # what broke the task, broken here
                if self._condition is not None:
                    yield Quiet() if self._condition == said else self._condition
                    said = self._condition
        finally:
            self._watchers.discard(turned)
            if not self._watchers:
                await self._stop()

    def _running(self) -> asyncio.Task[None]:
        """The task that holds the link."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"board[{self._opener.port}]")
            self._task.add_done_callback(lambda _: self._turn())
        return self._task

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._condition = None

    async def _run(self) -> None:
        async with aclosing(keep(self._opener, self._serve, self._rand)) as reports:
            async for report in reports:
                if isinstance(report, Condition):
                    self._condition = report
                self._turn()

    async def _serve(self, link: Link) -> AsyncGenerator[Condition | Quiet, None]:
        for channel, on in self._asked.items():
            link.write(Switch(channel, on).to_bytes())
        self._owed.clear()
        self._link = link
        try:
            yield Condition(True)
            while True:
                await link.read_within(STEP_S)  # nothing that a board says is of use
                for channel in tuple(self._owed):
                    with contextlib.suppress(DriverError):  # the next turn tries again
                        self.put(channel, on=self._asked[channel])
                yield Quiet()
        finally:
            self._link = None

    def _turn(self) -> None:
        for turned in self._watchers:
            turned.set()


class LcusOutput:
    """One contact of a board."""

    def __init__(self, board: Board, channel: int) -> None:
        self._board = board
        self._channel = channel
        board.add(channel)

    def reports(self) -> AsyncGenerator[Condition | Quiet, None]:
        """See `drivers.port.Output`."""
        return self._board.watch()

    def leave(self) -> None:
        """See `drivers.port.Output`."""
        self._board.leave(self._channel)

    def set(self, *, on: bool, owed: bool = False) -> None:
        """See `drivers.port.Output`."""
        self._board.put(self._channel, on=on, owed=owed)


def make(_: str, options: Options, ports: Ports) -> LcusOutput:
    """The contact, on the board that all contacts of its port share."""
    board = ports.shared(("lcus", options.port), Board, lambda: Board(options.port, ports.rand))
    return LcusOutput(board, options.channel)


def address(options: Options) -> str:
    """Which contact of the port."""
    return f"channel {options.channel}"


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """A board that tells its contacts, twice the same: one answer is short, and has no check."""
    first = channels(heard[0]) if heard else 0
    alike = len(heard) > 1 and all(answer == heard[0] for answer in heard)
    return [Found(f"board of {first} contact{'s' if first > 1 else ''}")] if first and alike else []


PROBE: Final = Probe(recognise, speeds=(_BAUD,), asks=(Query().to_bytes(),) * 2)
DRIVER: Final = Driver("lcus", Role.OUTPUT, Options, make, address, probes=(PROBE,))
