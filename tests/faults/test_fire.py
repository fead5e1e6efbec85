"""Fire: every barrier opens and stays open, whatever else is broken, until the input reads clear. By the relays."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest

from drivers.emulated.contact import EmulatedContact
from drivers.emulated.host import PtyHost, TcpHost
from drivers.emulated.modbus import EmulatedModbus
from gated import control
from gated.demo.post import CHANNELS
from tests.community import Community
from tests.faults import test_disk
from tests.gatepost import Event, Gatepost, tags
from tests.proxy import Proxy

LISTED, STRANGER = islice(tags("0A"), 2)
CLEAR_S: Final = 0.3
FIRST_S: Final = 0.5
PROGRAM: Final = (
    "from gated import __main__; from gated.lanes import fire; "
    f"fire.CLEAR_S, fire.FIRST_S, fire.KEEP_S = {CLEAR_S}, {FIRST_S}, 0.2; "
    "raise SystemExit(__main__.main())"
)
disk = test_disk.disk


class Contact:
    """The fire contact, closed, with its module on a pty."""

    def __init__(self, folder: Path) -> None:
        self._contact = EmulatedContact()
        self._contact.level(True)
        self.host = PtyHost(self._contact, folder / "fire")

    def configured(self, text: str) -> str:
        """The configuration with it."""
        return f'{text}\n[fire]\ndriver = "contact"\nport = "{self.host.port}"\n'

    def open(self) -> None:
        """Fire."""
        self.host.send(self._contact.level(False))

    def close(self) -> None:
        """All clear."""
        self.host.send(self._contact.level(True))


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Gatepost, Contact]]:
    """A post with a fire contact; its daemon does not run yet."""
    contact = Contact(folder)
    async with contact.host, Gatepost(folder, [f"em:{LISTED}"], contact.configured) as post:
        post.program = ["-c", PROGRAM]
        post.further = 1
        yield post, contact


def stays_open(post: Gatepost) -> bool:
    """Whether every contact is closed now."""
    return all(post.board.channels[channel] for channel in CHANNELS.values())


def shut(post: Gatepost) -> bool:
    """Whether every contact is open now."""
    return not any(post.board.channels[channel] for channel in CHANNELS.values())


def moves(post: Gatepost) -> dict[str, list[bool]]:
    """How each lane's contact has moved."""
    return {
        lane: [on for _, channel, on in tuple(post.board.changes) if channel == number]
        for lane, number in CHANNELS.items()
    }


def each(*moved: bool) -> dict[str, list[bool]]:
    """Every lane's contact has moved so."""
    return {lane: list(moved) for lane in CHANNELS}


def alarms(events: list[Event]) -> list[str]:
    """What the fire alarms say, oldest first."""
    return [event["state"] for event in events if event["kind"] == "alarm" and event["what"] == "fire"]


def ended(events: list[Event]) -> list[Event]:
    """The events that say that the barriers were let go."""
    return [event for event in events if event["kind"] == "system" and event["what"] == "fire-ended"]


def by_fire(events: list[Event]) -> list[Event]:
    """The openings by fire."""
    return [event for event in events if event["kind"] == "opened" and event["by"] == "fire"]


def recorded(post: Gatepost, tag: str) -> bool:
    """Whether that tag has a passage."""
    return bool(test_disk.of(post.events(), f"em:{tag}"))


def alarmed(post: Gatepost, times: int) -> bool:
    """Whether there were so many fire alarms."""
    return len(alarms(post.events())) == times


def told_of(post: Gatepost, lives: int) -> bool:
    """Whether the openings of so many fires, or lives in one, are written down."""
    return len(by_fire(post.events())) == lives * len(CHANNELS)


async def fire_is(post: Gatepost, state: str) -> None:
    """Return when the daemon says that this is what the input says."""

    async def found() -> bool:
        try:
            return bool((await post.status())["fire"]["state"] == state)
        except control.NotRunning:
            return False

    await post.until(found, f"fire is {state}")


async def test_it_holds_every_barrier_until_it_is_clear(tmp_path: Path) -> None:
    """One move for each barrier, however long; passages are decided and recorded, tailgaters none; then all let go."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        await fire_is(post, "clear")
        contact.open()
        await post.until(lambda: stays_open(post), "all barriers are open")
        for tag in (LISTED, STRANGER):
            post.walk_in(tag)
            await post.until(partial(recorded, post, tag), f"{tag} is recorded")
        post.devices.passed("car-in")
        await post.until(lambda: any(event["kind"] == "passed" for event in post.events()), "a car has gone through")
        status = await post.status()
        assert (status["fire"]["state"], status["mode"]) == ("open", "automatic")
        assert {lane["arm"] for lane in status["lanes"].values()} == {"up"}
        assert moves(post) == each(True)
        contact.close()
        await post.until(lambda: shut(post), "all barriers are let go")
        assert moves(post) == each(True, False)
        assert await post.stop() == 0
        events = post.events()
        assert [event["what"] for event in events if event["kind"] == "alarm"] == ["fire"]
        assert sorted((event["lane"], event["direction"]) for event in by_fire(events)) == sorted(
            (lane, lane.rpartition("-")[2]) for lane in CHANNELS
        )
        (end,) = ended(events)
        assert end["seconds"] >= CLEAR_S
        assert [event["verdict"] for event in post.passages("walk-in")] == ["admit", "flag"]
        assert post.verify().problems == ()


async def test_a_disk_that_is_full(tmp_path: Path, disk: Path) -> None:
    """Nothing can be written: it opens all the same, lets go all the same, and is written down later, marked so."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        filler = test_disk.fill(disk)
        await test_disk.use_up(post)
        contact.open()
        await post.until(lambda: stays_open(post), "all barriers are open")
        contact.close()
        await post.until(lambda: shut(post), "all barriers are let go")
        filler.unlink()
        await post.mode("automatic")
        assert await post.stop() == 0
        events = post.events()
        told = [event for event in events if event["kind"] == "alarm" and event["what"] == "fire"]
        assert [event["unwritten"] for event in (*told, *by_fire(events), *ended(events))] == [True] * 6


async def test_a_journal_that_never_opens(tmp_path: Path) -> None:
    """A start in the middle of a fire waits for nothing that the disk says, not even for its own first event."""
    async with guarded(tmp_path) as (post, contact):
        hangs = "import threading; from gated import app; from gated.recording import journal_writer; app.OPEN_S = 1e9"
        post.program = ["-c", f"{hangs}; journal_writer.Writer.run = lambda _: threading.Event().wait(); {PROGRAM}"]
        contact.open()
        await post.start(ready=False)
        await post.until(lambda: stays_open(post), "all barriers are open")


async def test_a_disk_that_hangs(tmp_path: Path) -> None:
    """The writer waits for the disk and never comes back: it opens all the same, and lets go all the same."""
    async with guarded(tmp_path) as (post, contact):
        sign = tmp_path / "hang"
        hangs = (
            "import os, threading; from gated.recording.store import Store; "
            "commit = Store.commit; hang = threading.Event().wait"
        )
        commit = f"lambda *it: hang() if os.path.exists({str(sign)!r}) else commit(*it)"
        post.program = ["-c", f"{hangs}; Store.commit = {commit}; {PROGRAM}"]
        await post.start()
        sign.touch()
        contact.open()
        await post.until(lambda: stays_open(post), "all barriers are open")
        contact.close()
        await post.until(lambda: shut(post), "all barriers are let go")
        assert alarms(post.events()) == []


async def test_a_journal_that_opens_late(tmp_path: Path) -> None:
    """What happened before the start could be written down stands behind it, with the time when it happened."""
    async with guarded(tmp_path) as (post, contact):
        late = "import time; from gated import app; from gated.recording import journal_writer; "
        late += "Writer = journal_writer.Writer; run = Writer.run"
        post.program = [
            "-c",
            f"{late}; app.OPEN_S = 1e9; Writer.run = lambda self: (time.sleep(0.5), run(self)); {PROGRAM}",
        ]
        contact.open()
        await post.start()
        events = [event for event in post.events() if event.get("what") != "journal-epoch"]
        assert (events[0]["kind"], events[0]["what"]) == ("system", "start")
        (alarm,) = [event for event in events if event["kind"] == "alarm"]
        assert alarm["mono"] < events[0]["mono"]
        assert [event for event in events if "unwritten" in event] == []


async def test_a_center_that_hangs(tmp_path: Path) -> None:
    """The line is up and says nothing any more: fire has nothing to do with it."""
    contact = Contact(tmp_path)
    async with contact.host, Community(tmp_path, names=()) as community, Proxy(community.broker.port) as proxy:
        community.port_for_gates = proxy.port
        post = await community.add("north")
        post.devices.config.write_text(contact.configured(post.devices.config.read_text()))
        post.further = 1
        await post.start()
        await community.until(lambda: bool(post.said("center.connected")), "it is connected")
        proxy.stall()
        contact.open()
        await post.until(lambda: stays_open(post), "all barriers are open")


async def test_killed_in_the_middle_of_it(tmp_path: Path) -> None:
    """Kill -9 and a start: no contact opens for a moment; it is said anew; clear, all are let go."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        contact.open()
        await post.until(lambda: stays_open(post), "all barriers are open")
        for life in range(2):
            # It opens before it is written down: a kill right then may cost the record of one, and of no opening.
            await post.until(partial(told_of, post, life + 1), "each opening is written down")
            await post.kill()
            await post.start()
            await fire_is(post, "open")
            await post.until(partial(alarmed, post, life + 2), "it is said anew")
        assert moves(post) == each(True)
        await post.until(partial(told_of, post, 3), "each opening is written down")
        contact.close()
        await post.until(lambda: shut(post), "all barriers are let go")
        assert moves(post) == each(True, False)


async def test_clear_while_it_was_down(tmp_path: Path) -> None:
    """Over when the next life begins: what the last one held is let go, after the input has been read."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        contact.open()
        await post.until(lambda: stays_open(post), "all barriers are open")
        await post.kill()
        contact.close()
        await post.start()
        await post.until(lambda: shut(post), "all barriers are let go")
        assert alarms(post.events()) == ["open"]


async def test_told_to_stop_in_the_middle_of_it(tmp_path: Path) -> None:
    """SIGTERM is no all-clear: the contacts stay as they are, and the next life goes on from there."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        contact.open()
        await post.until(lambda: stays_open(post), "all barriers are open")
        assert await post.stop() == 0
        assert moves(post) == each(True)
        await post.start()
        await fire_is(post, "open")
        assert moves(post) == each(True)


async def test_a_start_without_a_word_from_the_input(tmp_path: Path) -> None:
    """The module does not answer: contacts are left as they are for its time, an exit opens; then it is fire."""
    async with guarded(tmp_path) as (post, contact):
        post.board.channels[CHANNELS["car-in"]] = True
        contact.host.unplug()
        await post.start(ready=False)
        await post.until(lambda: stays_open(post), "all barriers are open")
        await fire_is(post, "lost")
        assert moves(post) == each(True) | {"car-in": []}
        await contact.host.plug()
        await post.until(lambda: shut(post), "all barriers are let go")
        assert alarms(post.events()) == ["lost"]


async def test_a_module_that_is_pulled(tmp_path: Path) -> None:
    """Lost is fire, and back is fire until it is read: an open contact then is told as such."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        contact.host.unplug()
        await post.until(lambda: stays_open(post), "all barriers are open")
        contact.open()
        await contact.host.plug()
        await fire_is(post, "open")
        assert moves(post) == each(True)
        contact.host.unplug()
        await post.device("fire", online=False)
        contact.close()
        await contact.host.plug()
        await post.until(lambda: shut(post), "all barriers are let go")
        assert moves(post) == each(True, False)
        events = post.events()
        assert alarms(events) == ["lost", "open"]
        assert len(by_fire(events)) == len(CHANNELS)


async def test_a_relay_that_is_pulled(tmp_path: Path) -> None:
    """Away when it begins, and away with its power in the middle of it: the contacts close as soon as it is back."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        post.devices.relay_host.unplug()
        await post.device("walk-in/barrier", online=False)
        contact.open()
        await fire_is(post, "open")
        assert shut(post)
        await post.until(lambda: len(failed(post)) == len(CHANNELS), "it is said which barriers could not be told")
        await post.devices.relay_host.plug()
        await post.until(lambda: stays_open(post), "all barriers are open")
        post.devices.relay_host.unplug()
        post.board.channels.update(dict.fromkeys(CHANNELS.values(), False))
        await post.devices.relay_host.plug()
        await post.until(lambda: stays_open(post), "all barriers are open again")
        post.board.channels.update(dict.fromkeys(CHANNELS.values(), False))
        await post.until(lambda: stays_open(post), "a board that has forgotten, and says nothing, is told again")
        contact.close()
        await post.until(lambda: shut(post), "all barriers are let go")


async def test_a_contact_that_flutters(tmp_path: Path) -> None:
    """One alarm and one move, however it beats; it ends when the contact has been closed for a while."""
    async with guarded(tmp_path) as (post, contact):
        await post.start()
        rand = random.Random(5)
        until = asyncio.get_running_loop().time() + 4 * CLEAR_S
        while asyncio.get_running_loop().time() < until:
            rand.choice((contact.open, contact.close))()
            contact.open()
            contact.close()
            await asyncio.sleep(CLEAR_S / 20)
        assert moves(post) == each(True)
        await post.until(lambda: shut(post), "all barriers are let go")
        assert moves(post) == each(True, False)
        assert alarms(post.events()) == ["open"]


def failed(post: Gatepost) -> list[Event]:
    """The alarms about barriers."""
    return [event for event in post.events() if event["kind"] == "alarm" and event["what"] == "barrier-failed"]


# One board on one line for relays and fire contact


@asynccontextmanager
async def one_board(folder: Path, **options: Any) -> AsyncIterator[tuple[Gatepost, EmulatedModbus, TcpHost]]:
    """A post whose barriers and fire contact hang on one Modbus board."""
    board = EmulatedModbus()
    board.wire(1, closed=True)
    async with TcpHost(board) as host:

        def configure(text: str) -> str:
            relay = f'driver = "lcus", port = "{folder / "relay"}"'
            more = "".join(f", {key} = {str(value).lower()}" for key, value in options.items())
            barriers = text.replace(relay, f'driver = "modbus", port = "{host.port}"{more}')
            return f'{barriers}\n[fire]\ndriver = "modbus"\nport = "{host.port}"\ninput = 1\n'

        async with Gatepost(folder, (), configure) as post:
            post.program = ["-c", PROGRAM]
            post.further = 1
            yield post, board, host


def closed(board: EmulatedModbus) -> bool:
    """Whether all four relays are closed now."""
    return all(board.closed(channel) for channel in CHANNELS.values())


def none_closed(board: EmulatedModbus) -> bool:
    """Whether all four relays are open now."""
    return not any(board.closed(channel) for channel in CHANNELS.values())


@pytest.mark.parametrize("options", [{}, {"check": False}], ids=["asked", "not-asked"])
async def test_killed_with_all_on_one_board(options: dict[str, object], tmp_path: Path) -> None:
    """The line to the input is that to the relays: none of them moves before the input was read."""
    async with one_board(tmp_path, **options) as (post, board, _):
        await post.start()
        board.wire(1, closed=False)
        await post.until(lambda: closed(board), "all barriers are open")
        before = len(board.changes)
        await post.kill()
        await post.start()
        await fire_is(post, "open")
        assert board.changes[before:] == []
        board.wire(1, closed=True)
        await post.until(lambda: none_closed(board), "all barriers are let go")


async def test_a_board_that_goes_deaf(tmp_path: Path) -> None:
    """It does not answer, which is fire; what can be told again is closed at once, and let go when it reads clear."""
    async with one_board(tmp_path) as (post, board, host):
        await post.start()
        board.deaf.add(1)
        await fire_is(post, "lost")
        board.deaf.clear()
        await post.until(lambda: closed(board), "all barriers are open")
        await post.until(lambda: none_closed(board), "all barriers are let go")
        host.unplug()
        await fire_is(post, "lost")
        await host.plug()
        await post.until(lambda: closed(board), "all barriers are open")
        await post.until(lambda: none_closed(board), "all barriers are let go")
