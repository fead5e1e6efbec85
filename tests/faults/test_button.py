"""The button of a lane: it opens at once, whatever the disk does at an exit, and once for each press."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from drivers.emulated.contact import EmulatedContact
from drivers.emulated.host import PtyHost
from tests.faults import test_disk
from tests.gatepost import Event, Gatepost

LANES: Final = ("walk-in", "walk-out", "car-out")
EXITS: Final = ("walk-out", "car-out")
disk = test_disk.disk


class Button:
    """A button on a lane, not pressed, with its module on a pty."""

    def __init__(self, link: Path) -> None:
        self._contact = EmulatedContact()
        self.host = PtyHost(self._contact, link)

    def press(self) -> None:
        """Press it, and keep it pressed."""
        self.host.send(self._contact.level(True))

    def release(self) -> None:
        """Let go of it."""
        self.host.send(self._contact.level(False))


@asynccontextmanager
async def buttoned(folder: Path) -> AsyncIterator[tuple[Gatepost, dict[str, Button]]]:
    """A post with a button on three of its lanes; its daemon does not run yet."""
    buttons = {lane: Button(folder / f"{lane}-button") for lane in LANES}

    def configure(text: str) -> str:
        for lane, button in buttons.items():
            table = f"[lanes.{lane}]\n"
            text = text.replace(table, f'{table}button = {{ driver = "contact", port = "{button.host.port}" }}\n')
        return text

    async with AsyncExitStack() as stack:
        for button in buttons.values():
            await stack.enter_async_context(button.host)
        post = await stack.enter_async_context(Gatepost(folder, (), configure))
        post.further = len(LANES)
        yield post, buttons


def pressed(post: Gatepost, lane: str) -> list[Event]:
    """That lane's openings by its button."""
    return [event for event in post.events() if event["kind"] == "opened" and event["lane"] == lane]


@pytest.mark.parametrize("lane", LANES)
async def test_each_press_opens_once(tmp_path: Path, lane: str) -> None:
    """Recorded, then one pulse; the next press is another."""
    async with buttoned(tmp_path) as (post, buttons):
        await post.start()
        for number in (1, 2):
            buttons[lane].press()
            buttons[lane].release()
            await post.ordered(lane, number)
            assert len(pressed(post, lane)) == number
        assert {(event["by"], event["direction"]) for event in pressed(post, lane)} == {
            ("button", lane.rpartition("-")[2])
        }


async def test_the_disk_is_full(tmp_path: Path, disk: Path) -> None:
    """People and vehicles leave, which is written down later as unwritten; the way in stays shut."""
    async with buttoned(tmp_path) as (post, buttons):
        await post.start()
        filler = test_disk.fill(disk)
        await test_disk.use_up(post)
        buttons["walk-in"].press()
        for lane in EXITS:
            buttons[lane].press()
            await post.pulses(lane, 1)
        filler.unlink()
        await post.mode("automatic")
        assert await post.stop() == 0
        assert [event["unwritten"] for lane in EXITS for event in pressed(post, lane)] == [True, True]
        assert (pressed(post, "walk-in"), post.pulsed("walk-in")) == ([], 0)


async def test_one_that_is_stuck(tmp_path: Path) -> None:
    """It opens once and not for ever, nor again when its module comes and goes; let go and pressed, it opens."""
    async with buttoned(tmp_path) as (post, buttons):
        await post.start()
        button = buttons["walk-out"]
        button.press()
        await post.pulses("walk-out", 1)
        for _ in range(2):
            button.host.unplug()
            await post.device("walk-out/button", online=False)
            await button.host.plug()
            await post.device("walk-out/button", online=True)
        button.press()
        button.release()
        button.press()
        await post.pulses("walk-out", 2)
        assert await post.stop() == 0
        assert (len(pressed(post, "walk-out")), post.pulsed("walk-out")) == (2, 2)


async def test_pressed_while_its_module_was_away(tmp_path: Path) -> None:
    """Who presses it as it comes back, or at a start, is let out."""
    async with buttoned(tmp_path) as (post, buttons):
        button = buttons["walk-out"]
        button.press()
        await post.start()
        await post.pulses("walk-out", 1)
        assert await post.stop() == 0
        button.release()
        await post.start()
        button.host.unplug()
        await post.device("walk-out/button", online=False)
        button.press()
        await button.host.plug()
        await post.pulses("walk-out", 2)
