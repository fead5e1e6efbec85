"""GPIO lines: how they are found, what is asked of the kernel, and what is said when it refuses.

The kernel's side is a fake at libgpiod's border (`gpio_box`), with its own types: no chip is at hand here.
"""

import builtins
import errno
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gpiod.line import Bias, Direction, Edge

from drivers.port import Condition, DriverError, Level
from drivers.registry import Role
from tests.drivers.gpio_box import FakeBox
from tests.drivers.rig import eventually, made, watching


def output(line: str, **options: object) -> Any:
    """An output."""
    return made(Role.OUTPUT, "gpio", line, None, **options)


def sensor(line: str, **options: object) -> Any:
    """An input."""
    return made(Role.INPUT, "gpio", line, None, **options)


async def test_set_has_put_the_line_when_it_returns(tmp_path: Path) -> None:
    """At once, with the level that closes the contact; off first of all, whatever it was."""
    async with FakeBox(tmp_path) as box:
        relay = output("gpiochip0/4", active="low")
        box.levels[4] = False
        async with watching(relay) as watch:
            await watch.online()
            relay.set(on=True)
            assert box.puts == [(4, True), (4, False)]
            relay.set(on=False)
            assert box.levels[4]


async def test_a_line_that_is_held_is_taken_as_it_was(tmp_path: Path) -> None:
    """Back after it was gone, it is closed from the first moment, without an off between."""
    async with FakeBox.dark(tmp_path) as box:
        relay = output("gpiochip0/4")
        async with watching(relay) as watch:
            await watch.online()
            relay.set(on=True)
            box.unplug()
            await watch.offline()
            here = watch.here
            await box.plug()
            await watch.online(here)
            assert box.puts == [(4, True)]


async def test_an_input_is_asked_for_as_configured(tmp_path: Path) -> None:
    """Pull, debounce and edges are the kernel's affair, and it is told so."""
    async with FakeBox(tmp_path) as box, watching(sensor("gpiochip0/17", pull="down", debounce=0.05)) as watch:
        await watch.online()
        settings = box.requests[17].settings
        assert (settings.direction, settings.edge_detection) == (Direction.INPUT, Edge.BOTH)
        assert (settings.bias, settings.active_low) == (Bias.PULL_DOWN, True)
        assert settings.debounce_period == timedelta(milliseconds=50)


async def test_each_edge_counts_even_if_several_come_at_once(tmp_path: Path) -> None:
    """A short press between two looks of ours is a press."""
    async with FakeBox(tmp_path) as box, watching(sensor("gpiochip0/17")) as watch:
        await watch.until(lambda report: report == Level(False))
        box.wire(17, False, True)
        await watch.until(lambda report: report == Level(False), watch.here)
    assert watch.of(Level) == [Level(False), Level(True), Level(False)]


async def test_an_edge_that_the_kernel_dropped_is_made_up_for(tmp_path: Path) -> None:
    """The level is read every second besides."""
    async with FakeBox(tmp_path) as box, watching(sensor("gpiochip0/17")) as watch:
        await watch.until(lambda report: report == Level(False))
        box.levels[17] = False
        await watch.until(lambda report: report == Level(True))


async def test_a_line_has_its_label_too(tmp_path: Path) -> None:
    """On whichever chip; a label that two lines have is refused, with both."""
    async with FakeBox(tmp_path) as box:
        box.labels[5] = "DI1"
        async with watching(sensor("DI1")) as watch:
            await watch.online()
            assert list(box.requests) == [5]
        await eventually(lambda: not box.requests)
        box.labels[9] = "DI1"
        async with watching(sensor("DI1")) as watch:
            assert "several lines are called DI1: gpiochip0/5, gpiochip0/9" in await watch.offline()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gpiochip3/1", "there is no "),
        ("gpiochip0/99", "there is no gpiochip0/99: gpiochip0 has lines 0 to 27"),
        ("NOBODY", "no line is called NOBODY; gpioinfo"),
    ],
)
async def test_what_is_not_there(line: str, said: str, tmp_path: Path) -> None:
    """Said with what to do."""
    async with FakeBox(tmp_path):
        relay = output(line)
        async with watching(relay) as watch:
            assert said in await watch.offline()
            with pytest.raises(DriverError, match=said):
                relay.set(on=True)


async def test_permission_denied_says_which_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group that owns the chip's file, and the command that lets the user in."""
    async with FakeBox(tmp_path) as box:
        (tmp_path / "gpiochip0").chmod(0o660)
        box.refuse = errno.EACCES
        monkeypatch.setattr("grp.getgrgid", lambda _: SimpleNamespace(gr_name="gpio"))
        async with watching(output("gpiochip0/4")) as watch:
            assert "belongs to group gpio: sudo usermod -aG gpio" in await watch.offline()


async def test_a_line_in_use_says_by_whom(tmp_path: Path) -> None:
    """The other program's own word for itself."""
    async with FakeBox(tmp_path) as box:
        box.consumers[4] = "leds"
        async with watching(output("gpiochip0/4")) as watch:
            assert "gpiochip0/4 is in use by leds" in await watch.offline()
            here = watch.here
            box.consumers.clear()
            await watch.online(here)


async def test_a_line_is_let_go_of(tmp_path: Path) -> None:
    """With the last look at it."""
    async with FakeBox(tmp_path) as box:
        async with watching(sensor("gpiochip0/4")) as watch:
            await watch.online()
        assert box.requests == {}


async def test_a_chip_that_was_pulled_out(tmp_path: Path) -> None:
    """An output hears of it without being asked, as an input does."""
    async with FakeBox(tmp_path) as box, watching(output("gpiochip0/4")) as watch:
        await watch.online()
        box.unplug()
        assert "gpiochip0/4 is gone" in await watch.offline()


async def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the extra; the daemon runs on."""
    found = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("gpiod"):
            raise ImportError(name)
        return found(name, *rest, **more)

    async with FakeBox(tmp_path):
        monkeypatch.setattr("builtins.__import__", without)
        async with watching(output("gpiochip0/4")) as watch:
            assert 'pip install "gated[gpio]"' in await watch.offline()
            assert Condition(True) not in watch.conditions
