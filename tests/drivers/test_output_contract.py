"""What every output does, on every kind of line."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from drivers.emulated.host import TcpHost
from drivers.emulated.lcus import EmulatedLcus
from drivers.emulated.modbus import EmulatedModbus
from drivers.port import Condition, DriverError
from drivers.registry import Ports, Role
from tests.drivers.gpio_box import FakeBox
from tests.drivers.rig import Hostile, Nobody, Way, eventually, hosted, made, watching

pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # in pyserial's rfc2217


@dataclass(frozen=True)
class Case:
    """A driver on a kind of line. `place` gives the host with the device on it; contacts are counted from 1."""

    driver: str
    kind: str
    device: Callable[[Path], Any]
    closed: Callable[[Any, int], bool]
    force: Callable[[Any, int, bool], None]
    changes: Callable[[Any], list[tuple[int, bool]]]

    def hosted(self, device: Any, folder: Path) -> AbstractAsyncContextManager[Any]:
        """The device on its line."""
        box: AbstractAsyncContextManager[Any] = (
            device if isinstance(device, FakeBox) else hosted(self.kind, device, folder)
        )
        return box

    def contact(self, host: Any, ports: Ports | None = None, channel: int = 1) -> Any:
        """One contact of the device."""
        if self.driver == "gpio":
            return made(Role.OUTPUT, "gpio", f"gpiochip0/{channel}", ports)
        return made(Role.OUTPUT, self.driver, host.port, ports, channel=channel)


def lcus(kind: str) -> Case:
    """A board without answers."""
    return Case(
        "lcus",
        kind,
        lambda _: EmulatedLcus(),
        lambda board, channel: bool(board.channels[channel]),
        lambda board, channel, on: board.channels.__setitem__(channel, on),
        lambda board: [(channel, on) for _, channel, on in board.changes],
    )


def modbus(kind: str) -> Case:
    """A board with answers; over TCP with a header for each frame."""
    return Case(
        "modbus",
        kind,
        lambda _: EmulatedModbus(),
        lambda board, channel: bool(board.closed(channel)),
        lambda board, channel, on: board.close(channel, seconds=float("inf") if on else 0),
        lambda board: [(channel, on) for _, _, channel, on in board.changes],
    )


GPIO = Case(
    "gpio",
    "chip",
    FakeBox.dark,
    lambda box, channel: bool(box.levels[channel]),
    lambda box, channel, on: box.levels.__setitem__(channel, on),
    lambda box: box.puts,
)
ORDER_BYTES = {"lcus": 4, "modbus": 16}  # of an order, with the answer where there is one
KINDS = ("pty", "tcp", "rfc2217")
CASES = [*map(lcus, KINDS), *map(modbus, KINDS), GPIO]
on_every_line = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.driver}-{case.kind}")
of_each_driver = pytest.mark.parametrize(
    "case", [lcus("pty"), modbus("pty"), modbus("tcp"), GPIO], ids=lambda case: f"{case.driver}-{case.kind}"
)
of_each_line = pytest.mark.parametrize(
    "case", [lcus("pty"), modbus("pty"), modbus("tcp")], ids=lambda case: f"{case.driver}-{case.kind}"
)
of_each_bus = pytest.mark.parametrize("case", [lcus("tcp"), modbus("tcp")], ids=lambda case: str(case.driver))


@on_every_line
async def test_set_moves_the_contact(case: Case, tmp_path: Path) -> None:
    """On and off arrive at the device, in order, and nowhere else."""
    board = case.device(tmp_path)
    async with case.hosted(board, tmp_path) as host:
        output = case.contact(host, channel=3)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: case.closed(board, 3))
            output.set(on=False)
            await eventually(lambda: not case.closed(board, 3))
    assert case.changes(board) == [(3, True), (3, False)]


@of_each_driver
async def test_what_was_asked_for_before_the_end_is_done(case: Case, tmp_path: Path) -> None:
    """On and off in one breath, and the device is let go: both have arrived, in order."""
    board = case.device(tmp_path)
    async with case.hosted(board, tmp_path) as host:
        output = case.contact(host)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            output.set(on=False)
        await eventually(lambda: len(case.changes(board)) == 2)
    assert case.changes(board) == [(1, True), (1, False)]


@on_every_line
async def test_absent_means_nothing_moves_now_or_later(case: Case, tmp_path: Path) -> None:
    """An open that could not be done is not made up for."""
    board = case.device(tmp_path)
    async with case.hosted(board, tmp_path) as host:
        output = case.contact(host)
        with pytest.raises(DriverError):
            output.set(on=True)
        async with watching(output) as watch:
            await watch.online()
            host.unplug()
            await watch.offline()
            with pytest.raises(DriverError):
                output.set(on=True)
            here = watch.here
            await host.plug()
            await watch.online(here)
            output.set(on=True)
            await eventually(lambda: case.closed(board, 1))
    assert case.changes(board) == [(1, True)]


@of_each_driver
async def test_each_connect_puts_the_contact_as_last_asked_for(case: Case, tmp_path: Path) -> None:
    """Off at first, whatever the board held before; after a reconnect as it was."""
    board = case.device(tmp_path)
    case.force(board, 1, True)
    case.force(board, 2, True)
    async with case.hosted(board, tmp_path) as host:
        output = case.contact(host)
        async with watching(output) as watch:
            await eventually(lambda: not case.closed(board, 1))
            await watch.online()
            output.set(on=True)
            await eventually(lambda: case.closed(board, 1))
            host.unplug()
            case.force(board, 1, False)
            await watch.offline()
            await host.plug()
            await eventually(lambda: case.closed(board, 1))
    assert case.closed(board, 2)


@of_each_driver
async def test_off_is_made_up_for(case: Case, tmp_path: Path) -> None:
    """The cable is out when a pulse ends: the contact opens as soon as it is back."""
    board = case.device(tmp_path)
    async with case.hosted(board, tmp_path) as host:
        output = case.contact(host)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: case.closed(board, 1))
            host.unplug()
            await watch.offline()
            with pytest.raises(DriverError):
                output.set(on=False)
            await host.plug()
            await eventually(lambda: not case.closed(board, 1))


@of_each_bus
async def test_contacts_of_a_board_share_one_link(case: Case, tmp_path: Path) -> None:
    """Two contacts, one connection; it is closed when the last of them is left."""
    board, ports = case.device(tmp_path), Ports(lambda: 0.0)
    async with TcpHost(board) as host:
        first, second = case.contact(host, ports, 1), case.contact(host, ports, 2)
        async with watching(first) as one:
            async with watching(second) as two:
                await one.online()
                await two.online()
                second.set(on=True)
                await eventually(lambda: case.closed(board, 2))
                await eventually(lambda: host.connected == 1)
            first.set(on=True)
            await eventually(lambda: case.closed(board, 1))
        await eventually(lambda: host.connected == 0)
        with pytest.raises(DriverError):
            first.set(on=True)


@of_each_driver
async def test_a_contact_can_be_left_and_taken_up_again(case: Case, tmp_path: Path) -> None:
    """A device that was let go is opened again."""
    async with case.hosted(case.device(tmp_path), tmp_path) as host:
        output = case.contact(host, Ports(lambda: 0.0))
        for _ in range(2):
            async with aclosing(output.reports()) as reports:
                assert await anext(reports) == Condition(True)


@pytest.mark.parametrize("way", Way)
@of_each_line
async def test_a_hostile_line_changes_nothing(case: Case, way: Way, tmp_path: Path) -> None:
    """In crumbs, in lumps or behind an echo, each order is done once, and the device stays online."""
    board = case.device(tmp_path)
    async with Hostile(case.kind, board, tmp_path, way) as line:
        output = case.contact(line, channel=3)
        async with watching(output) as watch:
            await watch.online()
            for on in (True, False):
                output.set(on=on)
                await eventually(partial(_is_closed, case, board, on, 3))
            assert watch.conditions == [Condition(True)]
    assert case.changes(board) == [(3, True), (3, False)]


async def test_an_echo_alone_is_no_board(tmp_path: Path) -> None:
    """An adapter that gives back what it is sent is found out by the first question, and no board from then on."""
    case = modbus("pty")
    async with Hostile(case.kind, Nobody(), tmp_path, Way.ECHO) as line, watching(case.contact(line)) as watch:
        await watch.offline()
        asked = line.passed
        await eventually(lambda: line.passed >= asked + 2 * ORDER_BYTES[case.driver])
        assert not watch.conditions[-1].online
        assert watch.conditions.count(Condition(True)) <= 1


@of_each_line
async def test_a_line_torn_at_any_byte_begins_afresh(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever order or answer is torn, with its rest on the next line: the contact comes to what was asked for."""
    monkeypatch.setattr("drivers.link.BACKOFF_MIN_S", 0.001)
    monkeypatch.setattr("drivers.link.BACKOFF_MAX_S", 0.001)
    board = case.device(tmp_path)
    async with Hostile("tcp" if case.driver == "lcus" else case.kind, board, tmp_path) as line:
        output = case.contact(line)
        async with watching(output) as watch:
            await watch.online()
            for count in range(1, ORDER_BYTES[case.driver]):
                on = count % 2 == 1
                line.tear_after(count)
                output.set(on=on)
                await eventually(line.torn.is_set)
                line.unplug()
                await watch.offline(watch.here)
                line.tear_after(None)
                here = watch.here
                await line.plug()
                await watch.online(here)
                await eventually(partial(_is_closed, case, board, on))
    assert [channel for channel, _ in case.changes(board) if channel != 1] == []


def _is_closed(case: Case, board: Any, wanted: bool, channel: int = 1) -> bool:  # noqa: FBT001 - for partial
    return case.closed(board, channel) is wanted


@of_each_driver
async def test_an_on_that_is_owed_is_made_up_for(case: Case, tmp_path: Path) -> None:
    """What must stay open closes its contact as soon as the device is there; taken back meanwhile, it does not."""
    board = case.device(tmp_path)
    async with case.hosted(board, tmp_path) as host:
        output = case.contact(host)
        async with watching(output) as watch:
            await watch.online()
            for owed in (True, False):
                host.unplug()
                await watch.offline(watch.here)
                with pytest.raises(DriverError):
                    output.set(on=True, owed=True)
                if not owed:
                    with pytest.raises(DriverError):
                        output.set(on=False)
                here = watch.here
                await host.plug()
                await watch.online(here)
                await eventually(partial(_is_closed, case, board, owed))
    assert case.changes(board) == [(1, True), (1, False)]


@of_each_driver
@pytest.mark.parametrize("on", [True, False])
async def test_left_as_it_is_until_it_is_asked_for(case: Case, on: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """Neither a connect nor another contact's moves it; asked for, it is put so, without an off before an on."""
    board, ports = case.device(tmp_path), Ports(lambda: 0.0)
    case.force(board, 1, True)
    before = len(case.changes(board))
    async with case.hosted(board, tmp_path) as host:
        left, other = case.contact(host, ports, 1), case.contact(host, ports, 2)
        left.leave()
        async with watching(left), watching(other) as watch:
            await watch.online()
            other.set(on=True)
            await eventually(lambda: case.closed(board, 2))
            assert case.closed(board, 1)
            with contextlib.suppress(DriverError):
                left.set(on=on, owed=True)
            other.set(on=False)
            await eventually(lambda: not case.closed(board, 2) and case.closed(board, 1) is on)
    moved = [change for change in case.changes(board)[before:] if change[0] == 1]
    assert moved == ([] if on else [(1, False)])
