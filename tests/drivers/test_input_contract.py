"""What every input does, on every kind of line."""

import operator
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from drivers.emulated.contact import EmulatedContact
from drivers.emulated.modbus import EmulatedModbus
from drivers.port import Condition, Level
from drivers.registry import Role
from tests.drivers.gpio_box import FakeBox
from tests.drivers.rig import Hostile, Way, eventually, hosted, made, watching

pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # in pyserial's rfc2217


@dataclass(frozen=True)
class Case:
    """A driver on a kind of line. `close` puts the contact before the device; `inverted` is for one that opens."""

    driver: str
    kind: str
    device: Callable[[Path], Any]
    close: Callable[[Any, Any, bool], None]
    inverted: dict[str, Any]
    place: str = ""

    def hosted(self, device: Any, folder: Path) -> AbstractAsyncContextManager[Any]:
        """The device on its line."""
        box: AbstractAsyncContextManager[Any] = (
            device if isinstance(device, FakeBox) else hosted(self.kind, device, folder)
        )
        return box

    def contact(self, host: Any, *, inverted: bool = False) -> Any:
        """The input."""
        return made(Role.INPUT, self.driver, self.place or host.port, **(self.inverted if inverted else {}))


def contact(kind: str) -> Case:
    """A contact that reports itself."""

    def close(device: EmulatedContact, host: Any, on: bool) -> None:  # noqa: FBT001 - as Case has it
        data = device.level(on)
        if host is not None:
            host.send(data + b"x\r\n")

    return Case("contact", kind, lambda _: EmulatedContact(), close, {"normally_closed": True})


def modbus(kind: str) -> Case:
    """An input that is asked for."""
    return Case(
        "modbus",
        kind,
        lambda _: EmulatedModbus(),
        lambda board, _, on: board.inputs.__setitem__((1, 1), on),
        {"active": "open"},
    )


GPIO = Case("gpio", "chip", FakeBox, lambda box, _, on: box.wire(17, not on), {"active": "high"}, "gpiochip0/17")
KINDS = ("pty", "tcp", "rfc2217")
CASES = [*map(contact, KINDS), *map(modbus, KINDS), GPIO]
on_every_line = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.driver}-{case.kind}")
of_each_line = pytest.mark.parametrize("case", [contact("pty"), modbus("pty")], ids=lambda case: str(case.driver))
of_each_driver = pytest.mark.parametrize(
    "case", [contact("pty"), modbus("pty"), GPIO], ids=lambda case: str(case.driver)
)


@on_every_line
@pytest.mark.parametrize("inverted", [False, True])
async def test_each_change_is_a_level(case: Case, inverted: bool, tmp_path: Path) -> None:  # noqa: FBT001 - pytest's
    """The level at connect first, then each change once; the installer's view of active."""
    device = case.device(tmp_path)
    case.close(device, None, True)
    async with case.hosted(device, tmp_path) as host, watching(case.contact(host, inverted=inverted)) as watch:
        await watch.until(lambda report: report == Level(not inverted))
        case.close(device, host, False)
        await watch.until(lambda report: report == Level(inverted))
        here = watch.here
        case.close(device, host, False)
        case.close(device, host, True)
        case.close(device, host, True)
        await watch.until(lambda report: report == Level(not inverted), here)
    assert [level.active != inverted for level in watch.of(Level)] == [True, False, True]


@pytest.mark.parametrize("way", Way)
@of_each_line
async def test_a_hostile_line_changes_nothing(case: Case, way: Way, tmp_path: Path) -> None:
    """In crumbs, in lumps or behind an echo, each change is a level once, and the device stays online."""
    device = case.device(tmp_path)
    async with Hostile(case.kind, device, tmp_path, way) as line, watching(case.contact(line)) as watch:
        await watch.until(lambda report: report == Level(False))
        for closed in (True, False):
            here = watch.here
            case.close(device, line, closed)
            await watch.until(partial(operator.eq, Level(closed)), here)
    assert watch.of(Level) == [Level(False), Level(True), Level(False)]
    assert watch.conditions == [Condition(True)]


@of_each_line
async def test_a_line_torn_at_any_byte_begins_afresh(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever question or answer is torn, with its rest on the next line: no level is said but the contact's."""
    monkeypatch.setattr("drivers.link.BACKOFF_MIN_S", 0.001)
    monkeypatch.setattr("drivers.link.BACKOFF_MAX_S", 0.001)
    device = case.device(tmp_path)
    case.close(device, None, True)
    async with Hostile("tcp", device, tmp_path) as line, watching(case.contact(line)) as watch:
        await watch.until(lambda report: report == Level(True))
        whole = line.passed
        for count in range(1, whole):
            line.unplug()
            await watch.offline(watch.here)
            line.tear_after(count)
            await line.plug()
            await eventually(line.torn.is_set)
        line.unplug()
        line.tear_after(None)
        here = watch.here
        await line.plug()
        await watch.until(lambda report: report == Level(True), here)
    assert Level(False) not in watch.of(Level)


@of_each_driver
async def test_a_reconnect_says_the_level_again(case: Case, tmp_path: Path) -> None:
    """What changed while the line was down is not missed."""
    device = case.device(tmp_path)
    async with case.hosted(device, tmp_path) as host, watching(case.contact(host)) as watch:
        await watch.until(lambda report: report == Level(False))
        host.unplug()
        await watch.offline()
        case.close(device, None, True)
        await host.plug()
        await watch.until(lambda report: report == Level(True))


@of_each_driver
async def test_the_level_is_said_after_each_reconnect(case: Case, tmp_path: Path) -> None:
    """Also where it is the same: whoever watches counts nothing from before."""
    device = case.device(tmp_path)
    async with case.hosted(device, tmp_path) as host, watching(case.contact(host)) as watch:
        await watch.until(lambda report: report == Level(False))
        host.unplug()
        await watch.offline()
        here = watch.here
        await host.plug()
        await watch.until(lambda report: report == Level(False), here)
