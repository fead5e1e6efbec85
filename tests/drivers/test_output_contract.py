"""What every output does, on every kind of line."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from drivers.emulated.host import TcpHost
from drivers.emulated.lcus import EmulatedLcus
from drivers.port import Condition, DriverError
from drivers.registry import Ports, Role
from tests.drivers.rig import eventually, hosted, made, watching

pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # in pyserial's rfc2217

on_every_line = pytest.mark.parametrize("kind", ["pty", "tcp", "rfc2217"])


def contact(port: str, ports: Ports | None = None, channel: int = 1) -> Any:
    """One contact of an lcus board."""
    return made(Role.OUTPUT, "lcus", port, ports, channel=channel)


@on_every_line
async def test_set_moves_the_contact(kind: str, tmp_path: Path) -> None:
    """On and off arrive at the device, in order, and nowhere else."""
    board = EmulatedLcus()
    async with hosted(kind, board, tmp_path) as host:
        output = contact(host.port, channel=3)
        async with watching(output) as watch:
            await watch.online()
            output.set(on=True)
            await eventually(lambda: board.channels[3])
            output.set(on=False)
            await eventually(lambda: not board.channels[3])
    assert [(channel, on) for _, channel, on in board.changes] == [(3, True), (3, False)]


@on_every_line
async def test_absent_means_nothing_moves_now_or_later(kind: str, tmp_path: Path) -> None:
    """An open that could not be done is not made up for."""
    board = EmulatedLcus()
    async with hosted(kind, board, tmp_path) as host:
        output = contact(host.port)
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
            await eventually(lambda: board.channels[1])
    assert [(channel, on) for _, channel, on in board.changes] == [(1, True)]


async def test_each_connect_puts_the_contact_as_last_asked_for(tmp_path: Path) -> None:
    """Off at first, whatever the board held before; after a reconnect as it was."""
    board = EmulatedLcus()
    board.channels[1] = board.channels[2] = True
    async with hosted("pty", board, tmp_path) as host:
        output = contact(host.port)
        async with watching(output) as watch:
            await eventually(lambda: not board.channels[1])
            await watch.online()
            output.set(on=True)
            await eventually(lambda: board.channels[1])
            host.unplug()
            board.channels[1] = False
            await watch.offline()
            await host.plug()
            await eventually(lambda: board.channels[1])
    assert board.channels[2]


async def test_contacts_of_a_board_share_one_link() -> None:
    """Two contacts, one connection; it is closed when the last of them is left."""
    board, ports = EmulatedLcus(), Ports(lambda: 0.0)
    async with TcpHost(board) as host:
        first, second = contact(host.port, ports, 1), contact(host.port, ports, 2)
        async with watching(first) as one:
            async with watching(second) as two:
                await one.online()
                await two.online()
                second.set(on=True)
                await eventually(lambda: board.channels[2])
                await eventually(lambda: host.connected == 1)
            first.set(on=True)
            await eventually(lambda: board.channels[1])
        await eventually(lambda: host.connected == 0)
        with pytest.raises(DriverError):
            first.set(on=True)


async def test_a_contact_can_be_left_and_taken_up_again() -> None:
    """A board that was let go opens its port again."""
    board, ports = EmulatedLcus(), Ports(lambda: 0.0)
    async with TcpHost(board) as host:
        output = contact(host.port, ports)
        for _ in range(2):
            async with aclosing(output.reports()) as reports:
                assert await anext(reports) == Condition(True)
