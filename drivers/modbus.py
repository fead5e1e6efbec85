"""Modbus boards (`protocol.modbus`): relays and inputs of several units on one port, one link for all of them.

The bus
- One request at a time, and an answer or its time limit before the next. Outputs go before everything else. So `set`
  hands its bytes to the port before it returns, unless a request is under way: then it goes next, when that one is
  answered or its time is up (`answer`). Two at once would garble each other on the two wires.
- What is not answered, or wrongly, is asked again; the third time its contact is offline. A unit that has not answered
  three times is offline with all its contacts, of which one is asked each second. Where no unit of the port answers any
  more, the port is closed and opened anew.
- Before the bus is let go, what was asked of its outputs goes out.
- Some adapters for two wires give back what they are sent, and an order reads as its own answer. A question does not:
  where one came back, from then on what comes back is no answer.

Outputs
- The echo is the board's word that it did as told. Off is put again until it has come.
- Each second the board is asked how the relay stands, and put right, as after a moment without power. Writing instead
  of asking would wear a board that keeps its relays' state in a memory.
- With `flash` the board opens the contact by itself: it is closed for that time and, while asked for, again after half
  of it. When the daemon dies, the contact opens; without `flash` it stays, until the next start.

Inputs
- Those of a unit and table are read together, up to `BLOCK` of them, each `poll`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.modbus_points import (
    RETRY_S,
    TABLES,
    Coil,
    Eye,
    InputOptions,
    Inputs,
    Options,
    OutputOptions,
    Point,
    Subject,
)
from drivers.opener import opener
from drivers.port import Condition, DriverError, Level, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from protocol.modbus import NUMBERS, READS, Function, Message, RtuCodec, TcpCodec, answers, read, why

TRIES: Final = 3
SILENCE_S: Final = 1.5
"""After so long without any answer, counted from the first request that had none, the whole port is silent."""
BLOCK: Final = 100  # a question may be for 125 registers, or 2000 bits

_CHARACTER_BITS: Final = 11
_GAP_CHARACTERS: Final = 3.5
_GAP_MIN_S: Final = 0.00175  # MODBUS over Serial Line V1.02, 2.5.1.1
_FRAMES_CHARACTERS: Final = 20  # of a request and its answer on the line; the answer's time begins behind them
_HELD_UP_S: Final = 0.02  # a silence that ends a frame
_BUSY: Final = frozenset((0x05, 0x06, 0x0A, 0x0B))  # refusals that are as good as no answer
_SILENT: Final = "does not answer; check its power, its two wires (A and B), its unit and baud"
_WRONG: Final = "answers something else than it was asked; look for another board with its unit, or another master"
_LATE: Final = "answers too late; make answer longer"


@dataclass(slots=True)
class Flight:
    """The request under way, until when an answer is waited for, and what to say if none comes."""

    subject: Subject
    request: Message
    sent: float
    until: float
    fault: str = _SILENT


class Bus:
    """One port: holds the link, and decides what is asked next."""

    def __init__(self, options: Options, rand: Callable[[], float]) -> None:
        self.port = options.port
        self._opener = opener(options.port, options.baud)
        self._rand = rand
        self._tcp = options.framing == "tcp" or (options.framing == "auto" and options.port.startswith("socket:"))
        character_s = 0.0 if self._tcp else _CHARACTER_BITS / options.baud
        self._gap_s = 0.0 if self._tcp else max(_GAP_MIN_S, _GAP_CHARACTERS * character_s)
        self._answer_s = options.answer + _FRAMES_CHARACTERS * character_s
        self._silence = f"{self.port}: no unit answers"
        self._coils: list[Coil] = []
        self._inputs: dict[tuple[int, Function, int], Inputs] = {}
        self._watched: set[Point] = set()
        self._link: Link | None = None
        self._lost = f"{self.port} is not open"
        self._flight: Flight | None = None
        self._own = b""  # what was sent, until it is known whether it comes back
        self._back = b""  # so much of it has
        self._echoes = False
        self._free_at = 0.0
        self._silent_since: float | None = None
        self._given_up: Message | None = None
        self._misses: Counter[int] = Counter()  # of each unit, in a row
        self._transaction = 0
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def coil(self, options: OutputOptions, point: Point) -> Coil:
        """A relay, which is put as asked for at each connect from now on: off at first."""
        coil = Coil(options.unit, options, point)
        self._coils.append(coil)
        self._begin(coil)
        return coil

    def look(self, options: InputOptions, point: Point) -> None:
        """Read this input too."""
        table = TABLES[options.table]
        block = options.unit, table, (options.input - 1) // BLOCK
        inputs = self._inputs.setdefault(block, Inputs(options.unit, table))
        inputs.add(Eye(point, options.input - 1, options.active == "closed"), options.poll)
        self._begin(inputs)

    def put(self, coil: Coil, *, on: bool, owed: bool = False) -> None:
        """Close or open a relay; see the module. Raises DriverError where the board is not there."""
        if self._link is None:
            if owed or not on:
                coil.asked = on
            raise DriverError(self._lost)
        coil.order(on=on, now=time.monotonic(), owed=owed)
        try:
            self._ask(self._link, time.monotonic())
        except DriverError:
            coil.asked = on and owed
            raise
        self._link.nudge()

    async def watch(self, point: Point) -> AsyncGenerator[Condition | Level | Quiet, None]:
        """The reports of one contact."""
        self._watched.add(point)
        point.watch(watched=True)
        try:
            while True:
                bus = self._running()
                if not point.reports:
                    await point.news.wait()
                point.news.clear()
                if bus.done():
                    bus.result()  # what broke the bus, broken here
                while point.reports:
                    yield point.reports.popleft()
        finally:
            self._watched.discard(point)
            point.watch(watched=False)
            if not self._watched:
                await self._stop()

    @property
    def _subjects(self) -> tuple[Subject, ...]:
        return (*self._coils, *self._inputs.values())

    def _begin(self, subject: Subject) -> None:
        if self._link is not None:
            subject.begin(time.monotonic())
            self._link.nudge()

    def _running(self) -> asyncio.Task[None]:
        """The task that holds the link."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"bus[{self.port}]")
            self._task.add_done_callback(lambda _: self._tell_all())
        return self._task

    def _tell_all(self) -> None:
        for point in self._watched:
            point.news.set()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self._idle.clear()
        if self._link is not None and any(coil.urgent for coil in self._coils):
            idle = asyncio.ensure_future(self._idle.wait())
            await asyncio.wait({task, idle}, timeout=TRIES * self._answer_s, return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
        task.cancel()
        await asyncio.wait({task})
        for subject in self._subjects:
            for point in subject.points:
                point.forget()

    async def _run(self) -> None:
        async with aclosing(keep(self._opener, self._serve, self._rand)) as reports:
            async for report in reports:
                if isinstance(report, Condition) and not report.online:
                    self._lost = report.why
                    if report.why != self._silence:  # of which each contact has told already
                        self._say(report)
                if isinstance(report, Quiet) or self._lost == self._silence:  # a dead line is tried again and again
                    for point in self._watched:
                        point.say(Quiet())

    def _say(self, condition: Condition) -> None:
        for subject in self._subjects:
            for point in subject.points:
                point.say(condition)

    async def _serve(self, link: Link) -> AsyncGenerator[Condition | Quiet, None]:
        codec = (TcpCodec if self._tcp else RtuCodec)(requests=False)
        self._link, self._flight, self._free_at, self._silent_since = link, None, 0.0, None
        self._misses.clear()
        self._given_up = None
        for subject in self._subjects:
            subject.begin(time.monotonic())
        try:
            yield Condition(True)
            while True:
                self._turn(link, time.monotonic())
                wait = self._wait(time.monotonic())
                data = await link.read_within(min(wait, _HELD_UP_S) if codec.pending else wait)
                for reply in codec.feed(self._of_others(data)) if data else codec.gap():
                    self._heard(reply, link.read_at)
                yield Quiet()
        finally:
            self._link = self._flight = None

    def _turn(self, link: Link, now: float) -> None:
        """Give up what was not answered in time, and ask the next. Raises DriverError at the end of the link."""
        if self._flight is not None and now >= self._flight.until:
            flight, self._flight = self._flight, None
            self._missed(flight, flight.fault, now)
        self._ask(link, now)

    def _missed(self, flight: Flight, fault: str, now: float) -> None:
        """There was no answer: it is asked again, or given up. Raises LinkLost where nobody answers any more."""
        subject = flight.subject
        if self._silent_since is None:
            self._silent_since = flight.sent
        subject.tried += 1
        subject.due = now
        self._misses[subject.unit] = self._misses[subject.unit] + 1 if flight.fault == _SILENT else 0
        self._given_up = flight.request
        if subject.tried >= TRIES or self._misses[subject.unit] >= TRIES:
            self._give_up(subject, fault, now)
        if now - self._silent_since >= SILENCE_S:
            self._fail(
                [other for other in self._subjects if other.tried < TRIES], _LATE if fault == _LATE else _SILENT, now
            )
        if all(other.tried >= TRIES for other in self._subjects):
            raise LinkLost(self._silence)

    def _give_up(self, subject: Subject, fault: str, now: float) -> None:
        """It is offline, and with it all of its unit, if nothing of that answers."""
        of_unit = [other for other in self._subjects if other.unit == subject.unit]
        silent = self._misses[subject.unit] >= TRIES
        taken = [other for other in of_unit if silent and other.tried < TRIES and other is not subject]
        self._fail([subject, *taken], fault, now)
        for turn, other in enumerate(taken, 2):  # one probe a second for all of a unit
            other.due = now + RETRY_S * turn
        subject.due = now + RETRY_S * sum(other.tried >= TRIES for other in of_unit)

    def _fail(self, subjects: Iterable[Subject], fault: str, now: float) -> None:
        for subject in subjects:
            names = ", ".join(point.name for point in subject.points)
            subject.tried = max(subject.tried, TRIES)
            subject.failed(f"{self.port}: {names} {fault}", now)

    def _ask(self, link: Link, now: float) -> None:
        """Send the next request, if one is due and the line is free."""
        if not any(coil.urgent for coil in self._coils):
            self._idle.set()
        if self._flight is not None or now < self._free_at:
            return
        subject = self._next(now)
        if subject is None:
            return
        request = subject.request()
        if self._tcp:
            self._transaction = (self._transaction + 1) % NUMBERS
            request = replace(request, transaction=self._transaction)
        else:
            heeded = self._echoes or request.function in READS
            self._own, self._back = request.to_rtu() if heeded else b"", b""
        try:
            link.write(request.to_tcp() if self._tcp else request.to_rtu())
        except DriverError as error:
            link.lose(str(error))  # part of a frame may have gone out
            raise
        self._flight = Flight(subject, request, now, now + self._answer_s)

    def _next(self, now: float) -> Subject | None:
        urgent = [coil for coil in self._coils if coil.urgent]
        if urgent:
            return min(urgent, key=lambda coil: coil.ordered_at)
        due = [subject for subject in self._subjects if subject.due <= now]
        return min(due, key=lambda subject: subject.due, default=None)

    def _wait(self, now: float) -> float:
        """How long there is nothing to do but listen."""
        if self._flight is not None:
            until = self._flight.until
        elif any(coil.urgent for coil in self._coils):
            until = self._free_at
        else:
            until = max(self._free_at, min((subject.due for subject in self._subjects), default=now + STEP_S))
        return min(max(0.0, until - now), STEP_S)

    def _of_others(self, data: bytes) -> bytes:
        """What came without what was sent, where that comes back."""
        if not self._own:
            return data
        came = self._back + data
        if len(came) < len(self._own) and self._own.startswith(came):
            self._back = came
            return b""
        noise, echo, answer = came.partition(self._own)
        if echo or (self._flight is not None and self._flight.request.function in READS):
            self._echoes = bool(echo)
        self._own = self._back = b""
        return noise + answer

    def _heard(self, reply: Message, now: float) -> None:
        """Take an answer; what nobody has asked for, or comes too late, is nothing."""
        flight = self._flight
        if flight is None:
            return
        if not answers(flight.request, reply):
            if self._given_up is None or not answers(self._given_up, reply):
                flight.fault = _WRONG
            elif reply.unit == flight.request.unit:
                flight.fault = _LATE
            return
        self._flight, self._free_at = None, now + self._gap_s
        self._silent_since = None
        if reply.refusal in _BUSY:
            self._free_at = now + self._answer_s
            self._missed(flight, f"does not do as told: {why(reply.refusal or 0)}", now)
            return
        subject = flight.subject
        if subject.tried >= TRIES:  # it is back, and with it perhaps the others of its unit
            for other in self._subjects:
                if other.unit == subject.unit and other.tried >= TRIES:
                    other.due = now
        self._misses[subject.unit] = 0
        subject.tried = 0
        subject.answered(flight.request, reply, now)


class ModbusOutput:
    """One relay of a unit."""

    def __init__(self, bus: Bus, options: OutputOptions) -> None:
        self._bus = bus
        self._point = Point(address_of_output(options))
        self._coil = bus.coil(options, self._point)

    async def reports(self) -> AsyncGenerator[Condition | Quiet, None]:
        """See `drivers.port.Output`."""
        async with aclosing(self._bus.watch(self._point)) as reports:
            async for report in reports:
                if not isinstance(report, Level):  # none is ever said of an output
                    yield report

    def leave(self) -> None:
        """See `drivers.port.Output`."""
        self._coil.leave()

    def set(self, *, on: bool, owed: bool = False) -> None:
        """See `drivers.port.Output`, and the module for when another request is under way."""
        self._bus.put(self._coil, on=on, owed=owed)


class ModbusInput:
    """One input of a unit."""

    def __init__(self, bus: Bus, options: InputOptions) -> None:
        self._bus = bus
        self._point = Point(address_of_input(options))
        bus.look(options, self._point)

    def reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        """See `drivers.port.Input`."""
        return self._bus.watch(self._point)


def address_of_output(options: OutputOptions) -> str:
    """Which relay of the port."""
    return f"unit {options.unit} channel {options.channel}"


def address_of_input(options: InputOptions) -> str:
    """Which input of the port."""
    table = "" if options.table == "inputs" else f" of {options.table}"
    return f"unit {options.unit} input {options.input}{table}"


def make_output(_: str, options: OutputOptions, ports: Ports) -> ModbusOutput:
    """The relay, on the bus that all contacts of its port share."""
    return ModbusOutput(_bus(options, ports), options)


def make_input(_: str, options: InputOptions, ports: Ports) -> ModbusInput:
    """The input, on the same."""
    return ModbusInput(_bus(options, ports), options)


def _bus(options: Options, ports: Ports) -> Bus:
    return ports.shared(("modbus", options.port), Bus, lambda: Bus(options, ports.rand))


PROBED_UNITS: Final = (1, 2, 3, 4)
_PROBE_S: Final = 0.2
_PROBE_SPEEDS: Final = (9600, 19_200, 38_400, 115_200)
_TCP_PORT: Final = 502


def _probes(function: Function) -> tuple[Probe, ...]:
    """Asks the first units for their first contact: in RTU, and over TCP by its own frames."""
    asked = [read(unit, function, 0, 1) for unit in PROBED_UNITS]
    rtu = tuple(request.to_rtu() for request in asked)
    tcp = tuple(request.to_tcp() for request in asked)
    on_line = Probe(lambda heard: _found(asked, heard, RtuCodec), _PROBE_SPEEDS, rtu, network=False, answer_s=_PROBE_S)
    behind_server = Probe(lambda heard: _found(asked, heard, RtuCodec, "rtu"), (), rtu, answer_s=_PROBE_S)
    over_tcp = Probe(lambda heard: _found(asked, heard, TcpCodec), (), tcp, (_TCP_PORT,), answer_s=_PROBE_S)
    return on_line, over_tcp, behind_server


def _found(
    asked: Sequence[Message], heard: Sequence[bytes], codec: type[RtuCodec | TcpCodec], framing: str = ""
) -> list[Found]:
    """The units that answered. One that does not tell its relays may have some; one without inputs has none to read."""
    found = []
    for request, answer in zip(asked, heard, strict=False):
        line = codec(requests=False)
        replies = [reply for reply in line.feed(answer) + line.gap() if answers(request, reply)]
        if not replies:
            continue
        refusal = replies[0].refusal
        if refusal is not None and request.function != Function.COILS:
            continue
        options: dict[str, str | int | bool] = {"unit": request.unit} | ({"framing": framing} if framing else {})
        remark = "" if refusal is None else f"asked for its relays, {why(refusal)}; try whether it has some"
        found.append(Found(f"unit {request.unit}", "", options | ({} if refusal is None else {"check": False}), remark))
    return found


_COMMON: Final = ("framing", "baud", "answer")
OUTPUT: Final = Driver(
    "modbus", Role.OUTPUT, OutputOptions, make_output, address_of_output, common=_COMMON, probes=_probes(Function.COILS)
)
INPUT: Final = Driver(
    "modbus", Role.INPUT, InputOptions, make_input, address_of_input, common=_COMMON, probes=_probes(Function.INPUTS)
)
