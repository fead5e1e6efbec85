"""Modbus boards that do not do as told, and contacts that share their bus."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers import modbus
from drivers.emulated.host import PtyHost, TcpHost
from drivers.emulated.modbus import EmulatedModbus
from drivers.link import Link, LinkLost
from drivers.modbus import TRIES
from drivers.modbus_points import CHECK_S, Coil, Eye, InputOptions, Inputs, OutputOptions, Point
from drivers.port import Condition, DriverError, Level, Quiet
from drivers.registry import Ports, Role
from protocol.modbus import READS, Function, Message, TcpCodec, packed, put_coil
from tests.drivers.rig import eventually, hosted, made, watching

QUICK = 0.05


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked each second is asked ten times a second."""
    for name in ("drivers.modbus_points.CHECK_S", "drivers.modbus_points.RETRY_S", "drivers.modbus.RETRY_S"):
        monkeypatch.setattr(name, 0.1)


def relay(port: str, ports: Ports | None = None, **options: object) -> Any:
    """A relay of a board that must answer quickly."""
    return made(Role.OUTPUT, "modbus", port, ports, answer=QUICK, **options)


def sensor(port: str, ports: Ports | None = None, **options: object) -> Any:
    """An input of the same."""
    return made(Role.INPUT, "modbus", port, ports, answer=QUICK, **options)


async def test_set_is_on_the_wire_when_it_returns(tmp_path: Path) -> None:
    """With the bus idle, the bytes are the kernel's before `set` returns: no turn of the loop is needed."""
    board = EmulatedModbus()
    async with PtyHost(board, tmp_path / "bus") as host:
        output = relay(host.port)
        async with watching(output) as watch:
            await watch.online()
            await asyncio.sleep(0.02)  # the silence that ends a frame
            bus = output._bus
            assert bus._flight is None
            output.set(on=True)
            assert bus._flight is not None
            assert bus._flight.request == put_coil(1, 0, on=True)
            await eventually(lambda: board.closed(1))


@pytest.mark.parametrize("kind", ["pty", "tcp"])
async def test_several_units_share_one_port(kind: str, tmp_path: Path) -> None:
    """Relays and inputs of two boards on one line, each heard and moved by itself, never two requests at once."""
    board, ports = EmulatedModbus(units=(1, 2)), Ports(lambda: 0.0)
    async with hosted(kind, board, tmp_path) as host, AsyncExitStack() as stack:
        outputs = [relay(host.port, ports, unit=unit, channel=channel) for unit in (1, 2) for channel in (1, 5)]
        inputs = [sensor(host.port, ports, unit=unit, input=number) for unit in (1, 2) for number in (2, 7)]
        watches = [await stack.enter_async_context(watching(one)) for one in (*outputs, *inputs)]
        for watch in watches:
            await watch.online()
        outputs[3].set(on=True)
        outputs[0].set(on=True)
        board.inputs[2, 7] = True
        await eventually(lambda: board.closed(5, 2) and board.closed(1, 1))
        await watches[7].until(lambda report: report == Level(True))
        assert [watch.of(Level) for watch in watches[4:7]] == [[Level(False)]] * 3
        assert not board.closed(1, 2)
        assert not board.closed(5, 1)
    assert [(unit, channel) for _, unit, channel, on in board.changes if on] == [(2, 5), (1, 1)]


@pytest.mark.usefixtures("quick")
async def test_a_board_that_is_silent_takes_only_its_own_contacts_along(tmp_path: Path) -> None:
    """It is offline and its relay refuses to close; the other board goes on; and it comes back by itself."""
    board, ports = EmulatedModbus(units=(1, 2)), Ports(lambda: 0.0)
    async with PtyHost(board, tmp_path / "bus") as host:
        dead, alive = relay(host.port, ports, unit=1), relay(host.port, ports, unit=2)
        eye = sensor(host.port, ports, unit=1)
        async with watching(dead) as watch, watching(alive) as other, watching(eye) as seen:
            for one in (watch, other, seen):
                await one.online()
            board.deaf.add(1)
            assert "unit 1 channel 1 does not answer" in await watch.offline()
            assert "unit 1 input 1 does not answer" in await seen.offline()
            with pytest.raises(DriverError, match="does not answer"):
                dead.set(on=True)
            alive.set(on=True)
            await eventually(lambda: board.closed(1, 2))
            here = watch.here, seen.here
            board.deaf.clear()
            await watch.online(here[0])
            await seen.until(lambda report: report == Level(False), here[1])
            assert not board.closed(1, 1)
            assert other.conditions == [Condition(True)]


class DeadLink(Link):
    """A link that takes everything."""

    def write(self, data: bytes) -> None:
        """See Link."""

    def _shut(self) -> None:
        """Nothing lies beneath."""


class TimedBus:
    """Boards with eight relays and as many inputs, on a bus whose time is ours; `alive` are those that answer."""

    def __init__(self, units: int) -> None:
        self.now = 100.0
        self.alive = set(range(1, units + 1))
        self.bus = modbus.Bus(OutputOptions(port="/dev/none"), lambda: 0.0)
        self._link = DeadLink("/dev/none")
        for unit in self.alive:
            for n in range(1, 9):
                self.bus.coil(OutputOptions(port="/dev/none", unit=unit, channel=n), Point(f"{unit} channel {n}"))
                self.bus.look(InputOptions(port="/dev/none", unit=unit, input=n), Point(f"{unit} input {n}"))
        for subject in self.bus._subjects:
            subject.begin(self.now)

    def offline(self) -> set[str]:
        """Which contacts are."""
        return {point.name for subject in self.bus._subjects for point in subject.points if not point.online}

    def run(self, seconds: float) -> None:
        """Let time pass, or until nobody answers any more."""
        end = self.now + seconds
        while self.now < end:
            try:
                self.bus._turn(self._link, self.now)
            except LinkLost:
                return
            flight = self.bus._flight
            if flight is not None and flight.subject.unit in self.alive:
                self.now += 0.03
                self.bus._heard(reply_to(flight.request), self.now)
            else:
                self.now += max(self.bus._wait(self.now), 0.001)


def reply_to(request: Message) -> Message:
    """What a good board says; all of its contacts are open."""
    return replace(request, data=packed([False] * request.value)) if request.function in READS else request


@pytest.mark.parametrize(("units", "alive"), [(1, set()), (2, {2}), (4, set()), (4, {2, 3, 4})])
async def test_who_is_silent_is_offline_within_three_seconds(units: int, alive: set[int]) -> None:
    """However many contacts there are on the line; and nobody else is."""
    line = TimedBus(units)
    line.run(2)
    assert line.offline() == set()
    dead, line.alive = line.alive - alive, alive
    line.run(3)
    assert line.offline() == {
        f"{unit} {kind} {n}" for unit in dead for kind in ("channel", "input") for n in range(1, 9)
    }


async def test_a_dead_line_is_no_loop_that_hangs(tmp_path: Path) -> None:
    """While nobody answers and the port is opened again and again, each contact tells that its loop turns."""
    board = EmulatedModbus()
    board.deaf.add(1)
    ports = Ports(lambda: 0.0)
    async with (
        PtyHost(board, tmp_path / "bus") as host,
        watching(relay(host.port, ports)) as watch,
        watching(sensor(host.port, ports)) as seen,
    ):
        for one in (watch, seen):
            await one.offline()
            here = one.here
            for _ in range(2):
                await one.until(lambda report: report == Quiet(), here)
                here = one.here
            assert len(one.conditions) == 1


async def test_a_unit_that_is_back_is_back_with_all_that_it_has() -> None:
    """One of its contacts is asked each second; the first answer wakes the others."""
    line = TimedBus(2)
    line.run(2)
    line.alive = {2}
    line.run(10)
    assert len(line.offline()) == 16
    line.alive = {1, 2}
    line.run(3)
    assert line.offline() == set()


async def test_a_relay_that_is_refused_an_answer_takes_nothing_along(tmp_path: Path) -> None:
    """The board answers for its inputs, only not for that relay: the inputs stay."""
    board, ports = EmulatedModbus(), Ports(lambda: 0.0)
    async with PtyHost(board, tmp_path / "bus") as host:
        bad, eye = relay(host.port, ports), sensor(host.port, ports)
        async with watching(eye) as seen, watching(bad) as watch:
            await seen.online()
            board.lies = True
            await watch.online()
            bad.set(on=True)
            await watch.offline()
            board.inputs[1, 1] = True
            await seen.until(lambda report: report == Level(True))
            assert seen.conditions == [Condition(True)]


async def test_a_port_with_nobody_on_it_says_it_once() -> None:
    """The link is opened anew again and again; the reason stays, and is told once."""
    board = EmulatedModbus()
    board.deaf.add(1)
    async with TcpHost(board) as host, watching(relay(host.port)) as watch:
        assert "unit 1 channel 1 does not answer" in await watch.offline()
        await eventually(lambda: len({request.transaction for request in board.requests}) > TRIES)
        assert len(watch.conditions) == 1
        board.deaf.clear()
        await watch.online()


@pytest.mark.usefixtures("quick")
async def test_off_is_put_until_it_is_echoed(tmp_path: Path) -> None:
    """The board does not hear the off: it is told again, and again after it was away."""
    board = EmulatedModbus()
    async with PtyHost(board, tmp_path / "bus") as host:
        output = relay(host.port)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: board.closed(1))
            board.deaf.add(1)
            output.set(on=False)
            await watch.offline()
            board.deaf.clear()
            await eventually(lambda: not board.closed(1))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("units", [(1,), (1, 2)])
async def test_an_opening_is_not_made_up_for_when_its_board_was_silent(units: tuple[int, ...], tmp_path: Path) -> None:
    """On was asked for and taken back while the board heard nothing: back again, it never closes."""
    board, ports = EmulatedModbus(units), Ports(lambda: 0.0)
    async with PtyHost(board, tmp_path / "bus") as host:
        output, *_ = [relay(host.port, ports, unit=unit) for unit in units]
        async with watching(output) as watch:
            await watch.online()
            board.deaf.add(1)
            output.set(on=True)
            await watch.offline()
            with pytest.raises(DriverError):
                output.set(on=False)
            here = watch.here
            board.deaf.clear()
            await watch.online(here)
    assert board.changes == []


@pytest.mark.usefixtures("quick")
async def test_a_wrong_echo_is_no_echo(tmp_path: Path) -> None:
    """A board that echoes something else did not do as told: offline, with a word about what to look for."""
    board = EmulatedModbus()
    async with PtyHost(board, tmp_path / "bus") as host:
        output = relay(host.port)
        async with watching(output) as watch:
            await watch.online()
            board.lies = True
            output.set(on=True)
            assert "answers something else" in await watch.offline()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        (Function.PUT_COIL, 2, "unit 1 channel 1 cannot be put: it has nothing at this number"),
        (Function.PUT_COIL, 1, "does not know this function"),
        (Function.PUT_COIL, 11, "the gateway gets no answer from it"),
        (Function.COILS, 11, "the gateway gets no answer from it"),
    ],
)
async def test_a_refusal_is_told_in_words(function: Function, code: int, words: str) -> None:
    """What the board or the gateway before it says."""
    board = EmulatedModbus()
    board.refuses[function] = code
    async with TcpHost(board) as host, watching(relay(host.port)) as watch:
        assert words in (await watch.until(lambda report: words in getattr(report, "why", ""))).why


@pytest.mark.usefixtures("quick")
async def test_a_board_that_cannot_say_how_its_relays_stand_is_there_all_the_same(tmp_path: Path) -> None:
    """It refuses to be asked, which is an answer."""
    board = EmulatedModbus()
    board.refuses[Function.COILS] = 1
    async with PtyHost(board, tmp_path / "bus") as host, watching(relay(host.port)) as watch:
        await watch.online()
        await eventually(lambda: any(request.function == Function.COILS for request in board.requests))
        assert watch.conditions == [Condition(True)]


async def test_a_board_that_tells_whole_bytes_only() -> None:
    """Its relays and its inputs are read all the same; it is at no time offline, and asked as it wants from then on."""
    board = EmulatedModbus()
    board.whole = True
    board.inputs[1, 3] = True
    ports = Ports(lambda: 0.0)
    async with TcpHost(board) as host:
        output, reader = relay(host.port, ports, channel=2), sensor(host.port, ports, input=3)
        async with watching(output) as watch, watching(reader) as eye:
            await eye.until(lambda report: report == Level(True))
            await watch.online()
            board.wire(3, closed=False)
            await eye.until(lambda report: report == Level(False))
            asked = [request for request in board.requests if request.function == Function.INPUTS]
            assert [request.value for request in asked[:4]] == [1, 1, 8, 8]
            assert all(condition.online for condition in (*watch.conditions, *eye.conditions)[1:])


def test_a_board_that_has_fewer_than_whole_bytes_is_asked_for_what_it_has() -> None:
    """One that was silent for a moment, and refuses the question for whole bytes, is well."""
    inputs = Inputs(1, Function.INPUTS)
    inputs.add(Eye(point := Point("input 10"), 9, active=True), 0.05)
    inputs.tried = 2
    asked = inputs.request()
    assert (asked.address, asked.value) == (8, 8)
    inputs.answered(asked, Message(1, Function.INPUTS | 0x80, b"\x02"), 1.0)
    inputs.tried = 0
    asked = inputs.request()
    assert (asked.address, asked.value, inputs.due) == (9, 1, 1.0)
    inputs.answered(asked, Message(1, Function.INPUTS, packed([True])), 1.0)
    assert point.online
    assert inputs.request() == asked


async def test_inputs_that_are_not_there() -> None:
    """They are named: one of those that are read together is beyond the board."""
    board = EmulatedModbus()
    async with TcpHost(board) as host, watching(sensor(host.port, input=9)) as watch:
        assert "inputs 9 to 9 cannot be read: it has nothing at this number" in await watch.offline()


@pytest.mark.parametrize("table", ["coils", "inputs"])
async def test_an_input_may_stand_in_another_table(table: str) -> None:
    """Where boards keep their inputs differs."""
    board = EmulatedModbus()
    board.inputs[1, 3] = table == "inputs"
    if table == "coils":
        board.close(3)
    async with TcpHost(board) as host, watching(sensor(host.port, input=3, table=table)) as watch:
        await watch.until(lambda report: report == Level(True))


@pytest.mark.usefixtures("quick")
async def test_a_relay_that_lost_its_power_is_put_as_asked(tmp_path: Path) -> None:
    """Held closed, it is closed again within seconds; nobody had to say so."""
    board = EmulatedModbus()
    async with PtyHost(board, tmp_path / "bus") as host:
        output = relay(host.port)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: board.closed(1))
            board.cut_power()
            await eventually(lambda: board.closed(1))
        assert len([on for _, _, _, on in board.changes if on]) == 2


async def test_a_timed_relay_opens_without_us(tmp_path: Path) -> None:
    """With `flash` it is closed anew while asked for; when the driver is gone, the board opens it by itself."""
    board = EmulatedModbus()
    async with PtyHost(board, tmp_path / "bus") as host:
        output = relay(host.port, flash=0.5)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: sum(request.address == 0x0200 for request in board.requests) >= 3)
            assert board.closed(1)
            assert all(request.value == 5 for request in board.requests if request.address == 0x0200)
        await eventually(lambda: not board.closed(1))
    assert [on for _, _, _, on in board.changes] == [True]


async def test_whoever_watches_later_hears_all_that_is_the_case(tmp_path: Path) -> None:
    """The bus runs for another contact; the input's level is known before anybody asks."""
    board, ports = EmulatedModbus(), Ports(lambda: 0.0)
    async with PtyHost(board, tmp_path / "bus") as host:
        output, eye = relay(host.port, ports), sensor(host.port, ports)
        async with watching(output) as watch:
            await watch.online()
            await eventually(lambda: eye._point.online)
            async with watching(eye) as seen:
                await seen.until(lambda report: report == Level(False))


async def test_late_and_foreign_answers_are_nothing() -> None:
    """An echo with another transaction's number acknowledges nothing."""
    board = EmulatedModbus()
    answer = board.receive

    def late(data: bytes) -> bytes:
        replies = TcpCodec(requests=False).feed(answer(data))
        return b"".join(replace(reply, transaction=reply.transaction - 1).to_tcp() for reply in replies)

    board.receive = late  # type: ignore[method-assign]
    async with TcpHost(board) as host, watching(relay(host.port)) as watch:
        await watch.offline()
        assert Condition(True) not in watch.conditions


@pytest.mark.parametrize("kind", ["pty", "tcp"])
async def test_a_board_that_answers_too_late_is_not_taken_for_dead(kind: str, tmp_path: Path) -> None:
    """What it says to one question comes behind the next one: each of its contacts tells what to change."""
    board = EmulatedModbus()

    class Slow:
        """The board, which takes longer than it may."""

        def receive(self, data: bytes) -> bytes:
            """See Device."""
            asyncio.get_running_loop().call_later(1.5 * QUICK, host.send, board.receive(data))
            return b""

    async with hosted(kind, Slow(), tmp_path) as host:
        ports = Ports(lambda: 0.0)
        contacts = [relay(host.port, ports, channel=1), relay(host.port, ports, channel=2), sensor(host.port, ports)]
        async with AsyncExitStack() as stack:
            for watch in [await stack.enter_async_context(watching(contact)) for contact in contacts]:
                assert "answers too late; make answer longer" in await watch.offline()
                assert Condition(True) not in watch.conditions


@pytest.mark.usefixtures("quick")
async def test_noise_in_front_of_an_echo_makes_no_board_of_it(tmp_path: Path) -> None:
    """The adapter is found out all the same: nobody behind it comes and goes."""
    asked: list[bytes] = []

    class Adapter:
        """With nobody at its line."""

        def receive(self, data: bytes) -> bytes:
            """See Device."""
            asked.append(data)
            return b"\0" + data

    async with hosted("pty", Adapter(), tmp_path) as host, watching(relay(host.port)) as watch:
        await watch.offline()
        already = len(asked)
        await eventually(lambda: len(asked) > already + 2 * TRIES)
        assert watch.conditions.count(Condition(True)) <= 1


async def test_noise_on_the_line_costs_a_try_at_most(tmp_path: Path) -> None:
    """Garbage before each answer, in pieces: the answers are found."""
    board = EmulatedModbus()
    answer = board.receive

    class Noisy:
        """The board behind a bad cable."""

        def receive(self, data: bytes) -> bytes:
            """See Device."""
            reply = answer(data)
            return b"\x01\x01\xff" + reply if reply else b""

    async with PtyHost(Noisy(), tmp_path / "bus") as host:
        output = relay(host.port)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: board.closed(1))
            output.set(on=False)
            await eventually(lambda: not board.closed(1))
            assert watch.conditions == [Condition(True)]


async def test_rtu_over_a_plain_serial_server() -> None:
    """`framing = "rtu"` on a TCP port."""
    board = EmulatedModbus()
    async with TcpHost(board) as host:
        output = relay(host.port, framing="rtu")
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: board.closed(1))
    assert all(request.transaction == 0 for request in board.requests)


def test_outputs_go_first() -> None:
    """Whatever else is due: an order that waits is asked next, and of several the oldest."""
    bus = modbus.Bus(OutputOptions(port="/dev/none"), lambda: 0.0)
    coils = [bus.coil(OutputOptions(port="/dev/none", channel=n), Point(f"channel {n}")) for n in (1, 2)]
    bus.look(InputOptions(port="/dev/none"), Point("input 1"))
    for coil in coils:
        coil.points[0].say(Condition(True))
        coil.due = 99.0
    assert bus._next(10.0) is bus._inputs[1, Function.INPUTS, 0]
    coils[1].order(on=True, now=10.0)
    coils[0].order(on=True, now=10.1)
    assert bus._next(10.2) is coils[1]
    coils[1].answered(put_coil(1, 1, on=True), put_coil(1, 1, on=True), 10.3)
    assert bus._next(10.4) is coils[0]


def test_inputs_far_apart_are_asked_for_one_by_one() -> None:
    """Side by side they are one question; no question is for more than a board may tell at once."""
    bus = modbus.Bus(InputOptions(port="/dev/none"), lambda: 0.0)
    for number in (3, 1, 65_536, 500):
        bus.look(InputOptions(port="/dev/none", input=number), Point(f"input {number}"))
    asked = [subject.request() for subject in bus._subjects]
    assert [(request.address, request.value) for request in asked] == [(0, 3), (65_535, 1), (499, 1)]


def test_no_change_is_left_out_while_the_bus_is_busy() -> None:
    """Off and on again before the off was sent: both are sent, else a turnstile would miss a pulse."""
    coil = Coil(1, OutputOptions(port="/dev/none"), point := Point("channel 1"))
    point.say(Condition(True))
    sent: list[Message] = []
    for on in (True, False, True, True):
        coil.order(on=on, now=0.0)
    while coil.orders:
        sent.append(coil.request())
        coil.answered(sent[-1], sent[-1], 0.0)
    assert sent == [put_coil(1, 0, on=on) for on in (True, False, True)]
    assert coil.due == CHECK_S


def test_what_waits_when_the_board_falls_silent_is_not_given_later() -> None:
    """An opening and its end were under way: what is left of them is the end."""
    coil = Coil(1, OutputOptions(port="/dev/none"), point := Point("channel 1"))
    point.say(Condition(True))
    for on in (True, False):
        coil.order(on=on, now=0.0)
    coil.failed("silent", 1.0)
    assert coil.request() == put_coil(1, 0, on=False)
