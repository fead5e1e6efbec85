"""The contacts of a Modbus bus, each a small machine without I/O: what to ask of its board next, what an answer means.

`drivers.modbus` holds the bus, and says how it all works together. Times are monotonic seconds.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self

from pydantic import Field, model_validator

from drivers.options import PortOptions
from drivers.port import Condition, DriverError, Level, Quiet
from protocol.modbus import (
    BITS,
    FLASH_COILS,
    NUMBERS,
    UNIT_MAX,
    Function,
    Message,
    flash_coil,
    put_coil,
    read,
    values,
    why,
)

CHECK_S: Final = 1.0
RETRY_S: Final = 1.0
TABLES: Final = {
    "inputs": Function.INPUTS,
    "coils": Function.COILS,
    "holding": Function.HOLDING,
    "registers": Function.REGISTERS,
}

_BAUD: Final = 9600
_BITS_TOGETHER: Final = 8
_TRIED_IN_VAIN: Final = 2
"""After so many questions without an answer whole bytes are asked for: some boards answer to nothing less."""


class Options(PortOptions):
    """What outputs and inputs have in common."""

    unit: int = Field(default=1, ge=1, le=UNIT_MAX, description="the board's address on the line")
    framing: Literal["auto", "rtu", "tcp"] = Field(
        default="auto", description="auto: tcp on socket://, rtu elsewhere; rtu on socket:// for a plain serial server"
    )
    baud: int = Field(default=_BAUD, gt=0, description="speed of the serial line")
    answer: float = Field(default=0.25, ge=0.05, le=0.5, description="how long a unit may take to answer, in s")


class OutputOptions(Options):
    """Options of one relay."""

    channel: int = Field(default=1, ge=1, le=NUMBERS, description="which relay of the unit, counted from 1 (coil 0)")
    flash: float | None = Field(
        default=None, ge=0.5, le=60, description="s after which the board itself opens the contact, if it can"
    )
    check: bool = Field(
        default=True, description="ask each second how the relay stands; false where a board cannot say"
    )

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.flash is not None and self.channel > FLASH_COILS:
            raise ValueError(f"flash reaches channels 1 to {FLASH_COILS}")
        return self


class InputOptions(Options):
    """Options of one input."""

    input: int = Field(default=1, ge=1, le=NUMBERS, description="which input of the unit, counted from 1")
    table: Literal["inputs", "coils", "holding", "registers"] = Field(
        default="inputs", description="where the board keeps it: function 02, 01, 03 or 04"
    )
    active: Literal["closed", "open"] = Field(
        default="closed", description="how the contact is when something is there"
    )
    poll: float = Field(default=0.05, ge=0.01, le=1, description="s from one question for the inputs to the next")


class Point:
    """One contact: what is to be said of it, kept for whoever watches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.watched = False
        self.news = asyncio.Event()
        self.reports: deque[Condition | Level | Quiet] = deque()
        self._condition: Condition | None = None
        self._level: Level | None = None

    @property
    def online(self) -> bool:
        """Whether its board is there."""
        return self._condition is not None and self._condition.online

    @property
    def fault(self) -> str:
        """Why it is not there."""
        return (self._condition and self._condition.why) or f"{self.name} has not answered yet"

    def say(self, report: Condition | Level | Quiet) -> None:
        """Report it; a condition or a level only where it is another one."""
        match report:
            case Quiet() if self._condition is None:
                self.say(Condition(False, self.fault))
                return
            case Condition():
                if report == self._condition:
                    return
                self._condition = report
                self._level = self._level if report.online else None
            case Level():
                if report == self._level:
                    return
                self._level = report
        self._tell(report)

    def watch(self, *, watched: bool) -> None:
        """Begin to keep what is said, with all that is the case now; or stop it."""
        self.watched = watched
        self.reports.clear()
        for report in (self._condition, self._level):
            if report is not None:
                self._tell(report)

    def forget(self) -> None:
        """Nothing is known any more, as nobody asks."""
        self._condition = self._level = None

    def _tell(self, report: Condition | Level | Quiet) -> None:
        if self.watched:
            self.reports.append(report)
            self.news.set()


class Subject(Protocol):
    """Something that is asked of a unit, again and again; `due` is when, `tried` how often there was no answer."""

    unit: int
    due: float
    tried: int

    @property
    def points(self) -> tuple[Point, ...]:
        """The contacts that it is about."""
        ...

    def begin(self, now: float) -> None:
        """Take word of a new link."""
        ...

    def request(self) -> Message:
        """What to ask."""
        ...

    def answered(self, request: Message, reply: Message, now: float) -> None:
        """Take the answer."""
        ...

    def failed(self, fault: str, now: float) -> None:
        """Take word that there is none, after `TRIES`."""
        ...


class Coil:
    """One relay: what it was asked for, and what of that the board has not echoed yet (`orders`).

    One that is left as it is was asked for nothing, None.
    """

    def __init__(self, unit: int, options: OutputOptions, point: Point) -> None:
        self.unit = unit
        self.due = 0.0
        self.tried = 0
        self.asked: bool | None = False
        self.orders: deque[bool] = deque()
        self.ordered_at = 0.0
        self._coil = options.channel - 1
        self._flash = options.flash
        self._check = options.check
        self._whole = False
        self._point = point

    @property
    def points(self) -> tuple[Point, ...]:
        """See Subject."""
        return (self._point,)

    @property
    def urgent(self) -> bool:
        """Whether it goes before everything else."""
        return bool(self.orders) and self._point.online

    def leave(self) -> None:
        """Put it no way until it is ordered."""
        self.asked = None

    def order(self, *, on: bool, now: float, owed: bool = False) -> None:
        """Put the relay so, unless that is under way or done. Raises DriverError where the board is not there."""
        if not self._point.online:
            if owed or not on:
                self.asked = on
                self.orders = deque([on])
                self.due = now if self.due == float("inf") else self.due
            raise DriverError(self._point.fault)
        if on != self.asked:
            self.asked = on
            if not self.orders:
                self.ordered_at = now
            self.orders.append(on)

    def begin(self, now: float) -> None:
        """See Subject: it is put as last asked for. A board that cannot say how it stands is not asked that."""
        self.due = now if self._check or self.asked is not None else float("inf")
        self.tried = 0
        self.orders = self._anew()

    def request(self) -> Message:
        """See Subject."""
        on = self.orders[0] if self.orders else self.asked
        if on and self._flash is not None:
            return flash_coil(self.unit, self._coil, self._flash)
        if self.orders:
            return put_coil(self.unit, self._coil, on=self.orders[0])
        exact = read(self.unit, Function.COILS, self._coil, 1)
        return _in_whole_bytes(exact) if self._whole or self.tried >= _TRIED_IN_VAIN else exact

    def answered(self, request: Message, reply: Message, now: float) -> None:
        """See Subject."""
        put = request.function == Function.PUT_COIL
        self.due = now + CHECK_S if self._check else float("inf")
        if put and reply.refusal is not None:
            self.failed(f"{self._point.name} cannot be put: {why(reply.refusal)}", now)
            return
        if put and self.orders:
            self.orders.popleft()
            self.ordered_at = now
        elif not put:
            seen = values(request, reply)
            self._whole = seen is not None and request.value > 1
            if seen is not None and seen[self._coil - request.address] != self.asked and not self.orders:
                self.orders = self._anew()
        if self.asked and self._flash is not None:
            self.due = now + self._flash / 2
        self._point.say(Condition(True))

    def failed(self, fault: str, now: float) -> None:
        """See Subject."""
        self.orders = self._anew()
        self.due = now + RETRY_S
        self._point.say(Condition(False, fault))

    def _anew(self) -> deque[bool]:
        return deque(() if self.asked is None else (self.asked,))


@dataclass(frozen=True, slots=True)
class Eye:
    """One input, counted from 0. `active` is how it reads when something is there."""

    point: Point
    number: int
    active: bool


class Inputs:
    """The inputs of one table of a unit, read together."""

    def __init__(self, unit: int, table: Function) -> None:
        self.unit = unit
        self.due = 0.0
        self.tried = 0
        self._table = table
        self._whole = False
        self._poll = float("inf")
        self._eyes: list[Eye] = []

    def add(self, eye: Eye, poll: float) -> None:
        """One input more."""
        self._eyes.append(eye)
        self._poll = min(self._poll, poll)

    @property
    def points(self) -> tuple[Point, ...]:
        """See Subject."""
        return tuple(eye.point for eye in self._eyes)

    def begin(self, now: float) -> None:
        """See Subject."""
        self.due = now
        self.tried = 0

    def request(self) -> Message:
        """See Subject."""
        whole = self._whole or self.tried >= _TRIED_IN_VAIN
        return _in_whole_bytes(self._exact) if whole and self._table in BITS else self._exact

    def answered(self, request: Message, reply: Message, now: float) -> None:
        """See Subject."""
        seen, exact = values(request, reply), self._exact
        if reply.refusal is not None and request.value != exact.value:
            self._whole, self.due = False, now  # it has not as many: what it has is asked for
            return
        if reply.refusal is not None or seen is None:
            first, last = request.address + 1, request.address + request.value
            self.failed(f"inputs {first} to {last} cannot be read: {why(reply.refusal or 0)}", now)
            return
        self._whole = request.value != exact.value
        self.due = max(self.due + self._poll, now)
        for eye in self._eyes:
            eye.point.say(Condition(True))
            eye.point.say(Level(seen[eye.number - request.address] == eye.active))

    def failed(self, fault: str, now: float) -> None:
        """See Subject."""
        self.due = now + RETRY_S
        for point in self.points:
            point.say(Condition(False, fault))

    @property
    def _exact(self) -> Message:
        """The question for these inputs and no more than what stands between them."""
        first, last = (end(eye.number for eye in self._eyes) for end in (min, max))
        return read(self.unit, self._table, first, last - first + 1)


def _in_whole_bytes(request: Message) -> Message:
    """The same question, for as many bits as whole bytes have, from the first of a byte on."""
    first = request.address - request.address % _BITS_TOGETHER
    end = request.address + request.value
    count = (end - first + _BITS_TOGETHER - 1) // _BITS_TOGETHER * _BITS_TOGETHER
    return read(request.unit, Function(request.function), first, count)
