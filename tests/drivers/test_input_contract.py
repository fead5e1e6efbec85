"""What every input does, on every kind of line."""

from pathlib import Path

import pytest

from drivers.emulated.contact import EmulatedContact
from drivers.port import Level
from drivers.registry import Role
from tests.drivers.rig import hosted, made, watching

pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # in pyserial's rfc2217


@pytest.mark.parametrize("kind", ["pty", "tcp", "rfc2217"])
@pytest.mark.parametrize("normally_closed", [False, True])
async def test_each_change_is_a_level(kind: str, normally_closed: bool, tmp_path: Path) -> None:  # noqa: FBT001 - pytest's
    """The level at connect first, then each change once; the installer's view of active."""
    device = EmulatedContact()
    device.level(True)
    async with hosted(kind, device, tmp_path) as host:
        contact = made(Role.INPUT, "contact", host.port, normally_closed=normally_closed)
        async with watching(contact) as watch:
            await watch.until(lambda report: report == Level(not normally_closed))
            host.send(device.level(False) + b"x\r\n")
            await watch.until(lambda report: report == Level(normally_closed))
            host.send(device.level(False) + device.level(True) + device.level(True))
            await watch.until(lambda report: report == Level(not normally_closed), watch.here - 1)
    assert [level.active != normally_closed for level in watch.of(Level)] == [True, False, True]


async def test_a_reconnect_says_the_level_again(tmp_path: Path) -> None:
    """What changed while the line was down is not missed."""
    device = EmulatedContact()
    async with hosted("pty", device, tmp_path) as host, watching(made(Role.INPUT, "contact", host.port)) as watch:
        await watch.until(lambda report: report == Level(False))
        host.unplug()
        await watch.offline()
        device.level(True)
        await host.plug()
        await watch.until(lambda report: report == Level(True))
