"""`gated test-card` at a running gate: the real daemon and command on emulated readers, relay and sensor."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from drivers.port import Condition
from gated import control
from gated.__main__ import main
from gated.lists.whitelist import Whitelist
from gated.recording.journal import JournalState
from protocol.event import Kind, Stamp
from protocol.sighting import Sighting
from tests.gated.lanes.test_recorded_before_opened import TAG, FakeJournal, Rig, settled, whitelist
from tests.gatepost import WAIT_S, Event, Gatepost
from tests.terminal import on_a_terminal

__all__ = ["whitelist"]

LISTED: Final = "0A00A1B2C3"
UNLISTED: Final = "0A00A1B2C4"
CAR: Final = "E28011700000020F12345678"
USER: Final = "root" if os.getuid() == 0 else os.environ.get("USER", "")
QUICK: Final = ("gone = 0.4\n", "timeout = 0.3\n")


def quick(text: str) -> str:
    """A configuration whose lanes know soon that somebody has gone."""
    gone, timeout = QUICK
    return text.replace("readers = ", f"{gone}readers = ").replace("timeout = 5.0\n", timeout)


class Command:
    """A `gated test-card` that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, what: str) -> None:
        """Return when it has printed a line with this in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            while not self.lines or what not in self.lines[-1]:
                line = await self.process.stdout.readline()
                assert line, f"it has not said {what!r}: {self.lines}"
                self.lines.append(line.decode())

    async def ends(self) -> int:
        """Its exit status; what it still said is taken."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            self.lines += (await self.process.stdout.read()).decode().splitlines(keepends=True)
            return await self.process.wait()

    @property
    def said(self) -> str:
        """All that it printed."""
        return "".join(self.lines)


class Here:
    """A `gated test-card` that runs in this process, which saves the start of another."""

    def __init__(self, post: Gatepost, *words: str) -> None:
        self._post = post
        self._said = io.StringIO()
        argv = ["test-card", *words, "--yes", "-c", str(post.devices.config)]
        self._run = asyncio.create_task(asyncio.to_thread(self._main, argv))

    async def says(self, what: str) -> None:
        """Return when it has said this."""
        await self._post.until(lambda: what in self.said or self._run.done(), f"it says {what!r}")
        assert what in self.said

    async def ends(self) -> int:
        """Its exit status."""
        async with asyncio.timeout(WAIT_S):
            return await self._run

    @property
    def said(self) -> str:
        """All that it printed."""
        return self._said.getvalue()

    def _main(self, argv: list[str]) -> int:
        with redirect_stdout(self._said), redirect_stderr(self._said):
            return main(argv)


@asynccontextmanager
async def proving(post: Gatepost, *words: str) -> AsyncIterator[Command]:
    """The command, killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gated", "test-card", *words, "-c", str(post.devices.config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def gate(folder: Path) -> AsyncIterator[Gatepost]:
    """A gate whose daemon runs."""
    async with Gatepost(folder, [f"em:{LISTED}"], quick) as post:
        await post.start()
        yield post


def recorded(post: Gatepost) -> list[Event]:
    """The events of tests."""
    return [event for event in post.events() if event["kind"] == "test"]


def last(post: Gatepost) -> Event:
    """How the last test ended."""
    return recorded(post)[-1]


async def ended(post: Gatepost) -> Event:
    """How the last test ended, once it has."""
    await post.until(lambda: recorded(post) and last(post)["step"] == "ended", "the test has ended")
    return last(post)


async def test_an_entrance_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unlisted card: written down, then one pulse; no passage, nobody held; the next card is decided on as ever."""
    monkeypatch.setenv("SUDO_USER", "lin")
    async with gate(tmp_path) as post:
        command = Here(post, "walk-in")
        await command.says("armed")
        post.walk_in(UNLISTED)
        assert await command.ends() == 0
        armed, read, end = recorded(post)
        assert (armed["step"], armed["user"], armed["sudo"], armed["opens"]) == ("armed", USER, "lin", True)
        assert (read["credential"], read["reader"], read["lane"]) == (f"em:{UNLISTED}", "walk-in/0", "walk-in")
        assert (read["would"], read["would_open"]) == ("unknown", False)
        assert (end["result"], end["of"], end["read"]) == ("ok", armed["seq"], read["seq"])
        assert 0 < end["durable_ms"] <= end["relay_ms"]
        assert post.pulsed("walk-in") == 1
        assert post.board.orders[0].at > read["mono"]
        assert "em:…B2C4 (clonable)" in command.said
        assert UNLISTED not in command.said
        assert "walk-in: OK" in command.said
        status = await post.status()
        assert status["figures"]["passages"] == 0
        assert status["lanes"]["walk-in"]["held"] == []
        post.walk_in(LISTED)
        await post.pulses("walk-in", 2)
        (passage,) = [event for event in post.events() if event["kind"] in {"passage", "opened"}]
        assert passage["reason"] == "listed"


async def test_an_exit_is_proved(tmp_path: Path) -> None:
    """The card is let out, and then not read outside; `--json` has it all."""
    async with gate(tmp_path) as post:
        command = Here(post, "walk-out", "--watch", "1", "--json")
        await post.until(lambda: recorded(post), "it is armed")
        post.uhf["walk-out"].enter(CAR)
        await post.pulses("walk-out", 1)
        post.uhf["walk-out"].leave(CAR)
        assert await command.ends() == 0
        found = json.loads(command.said)
        assert (found["ok"], found["outside"], found["credential"]) == (True, "not-read", f"epc:{CAR}")
        assert [step["step"] for step in found["steps"]][-4:] == ["confirm", "leaving", "watching", "ended"]
        assert last(post)["outside"] == "not-read"
        assert post.passages("walk-out") == []


async def test_an_exit_that_reads_outside(tmp_path: Path) -> None:
    """Read where nobody should be: failed, with what to do; nothing opens for it."""
    async with gate(tmp_path) as post:
        command = Here(post, "walk-out", "--watch", "60")
        await command.says("armed")
        post.uhf["walk-out"].enter(CAR)
        await post.pulses("walk-out", 1)
        post.uhf["walk-out"].leave(CAR)
        await command.says("nobody may be read")
        post.uhf["walk-out"].enter(CAR)
        assert await command.ends() == 1
        assert "FAILED: the card was read outside" in command.said
        assert "lower the power" in command.said
        assert (last(post)["why"], last(post)["outside"]) == ("read-outside", "read")
        assert post.orders("walk-out") == 1


@pytest.mark.parametrize(("key", "status"), [(b"\r", 0), (b"\x03", 130)], ids=["enter", "ctrl-c"])
async def test_on_a_terminal(tmp_path: Path, key: bytes, status: int) -> None:
    """It waits for Enter before nobody may be read; Ctrl-C there ends the test."""
    async with gate(tmp_path) as post:
        words = [sys.executable, "-m", "gated", "test-card", "walk-out", "--watch", "1", "-c", str(post.devices.config)]
        run = asyncio.to_thread(on_a_terminal, words, {}, [(b"Press Enter", key)], WAIT_S)
        command = asyncio.create_task(run)
        await post.until(lambda: recorded(post), "it is armed")
        post.uhf["walk-out"].enter(CAR)
        await post.pulses("walk-out", 1)
        post.uhf["walk-out"].leave(CAR)
        assert (await command)[0] == status
        assert (await ended(post))["result"] == ("ok" if status == 0 else "cancelled")


async def test_a_lane_with_a_sensor(tmp_path: Path) -> None:
    """Who goes through is the test's: no `passed` that nothing explains."""
    async with gate(tmp_path) as post:
        command = Here(post, "car-in", "--card", f"epc:{CAR}")
        await command.says("armed")
        post.uhf["car-in"].enter(CAR)
        await post.pulses("car-in", 1)
        post.devices.passed("car-in")
        await command.says("somebody go through")
        assert await command.ends() == 0
        assert last(post)["passed"] is True
        assert [event for event in post.events() if event["kind"] in {"passed", "passage", "alarm"}] == []


async def test_dry(tmp_path: Path) -> None:
    """The barrier is left alone; at an exit only for a card that is named."""
    async with gate(tmp_path) as post:
        command = Here(post, "walk-in", "--dry")
        await command.says("armed")
        post.walk_in(LISTED)
        assert await command.ends() == 0
        assert [event["step"] for event in post.events()[-3:]] == ["armed", "read", "ended"]
        assert post.board.orders == []
        command = Here(post, "walk-out", "--dry")
        assert await command.ends() == 1
        assert "with --card only" in command.said


async def test_nothing_is_read(tmp_path: Path) -> None:
    """It says what to try, and the event says that it was armed and nothing came."""
    async with gate(tmp_path) as post:
        command = Here(post, "walk-in", "--seconds", "1")
        assert await command.ends() == 1
        assert "FAILED: nothing was read" in command.said
        assert "what to do: hold the card" in command.said
        assert [event["step"] for event in recorded(post)] == ["armed", "ended"]


async def test_devices_that_are_not_there(tmp_path: Path) -> None:
    """A reader that is offline is said at once, with the reason; so is a relay that does not take it."""
    async with gate(tmp_path) as post:
        post.devices.relay_host.unplug()
        await post.device("walk-in/barrier", online=False)
        command = Here(post, "walk-in")
        await command.says("armed")
        post.walk_in(LISTED)
        assert await command.ends() == 1
        assert "FAILED: the relay could not be closed" in command.said
        assert (last(post)["why"], "relay_ms" in last(post)) == ("relay", False)
        command = Here(post, "walk-in")
        await command.says("armed")
        post.devices.em4100_host.unplug()
        assert await command.ends() == 1
        assert "FAILED: the reader has gone offline (walk-in/0: " in command.said
        command = Here(post, "walk-in")
        assert await command.ends() == 1
        assert "no reader of walk-in is there: walk-in/0: " in command.said


async def test_the_command_ends(tmp_path: Path) -> None:
    """Ctrl-C or a kill disarms the lane, which is written down: the next card is flagged, another test may begin."""
    async with gate(tmp_path) as post:
        async with proving(post, "walk-in") as command:
            await command.says("armed")
            another = Here(post, "walk-out")
            assert await another.ends() == 1
            assert "another test runs, at walk-in" in another.said
            command.process.send_signal(signal.SIGINT)
            assert await command.ends() == 130
        assert (await ended(post))["why"] == "cancelled"
        async with proving(post, "walk-in") as command:
            await command.says("armed")
        assert (await ended(post))["why"] == "cancelled"
        post.walk_in(UNLISTED)
        await post.until(lambda: post.passages("walk-in"), "the card is decided on")
        assert post.board.orders == []


async def test_the_daemon_is_killed(tmp_path: Path) -> None:
    """The next life has no test, and its journal says that one was armed; the command says what has happened."""
    async with gate(tmp_path) as post:
        async with proving(post, "walk-in") as command:
            await command.says("armed")
            await post.kill()
            assert await command.ends() == 3
        assert "daemon" in command.lines[-1]
        await post.start()
        post.walk_in(UNLISTED)
        await post.until(lambda: post.passages("walk-in"), "the card is decided on")
        assert [event["step"] for event in recorded(post)] == ["armed"]
        assert post.board.orders == []


async def test_the_daemon_is_stopped(tmp_path: Path) -> None:
    """It ends in order, in spite of whoever listens, and the test is written down as stopped."""
    async with gate(tmp_path) as post:
        async with proving(post, "walk-in") as command:
            await command.says("armed")
            assert await post.stop() == 0
            assert await command.ends() in {1, 3}
        assert (last(post)["result"], last(post)["why"]) == ("cancelled", "stop")


@dataclass
class Disk(FakeJournal):
    """A journal that says how it is."""

    why: str = ""

    def note(
        self, kind: Kind, stamp: Stamp, fields: Mapping[str, object], settled: Callable[[], None] | None = None
    ) -> None:
        """See Journal."""
        super().note(kind, stamp, fields)
        if settled is not None:
            settled()

    @property
    def state(self) -> JournalState:
        """See Journal."""
        return JournalState(not self.why, self.why, 0, "", 1, b"", 0, 1, 0, 0, 0)


REQUEST: Final = {"op": "test-card", "seconds": 30, "watch": 15}


def rig_of(whitelist: Whitelist, disk: Disk) -> Rig:
    """A post of four lanes whose readers are there."""
    rig = Rig(whitelist, disk)
    for lane in rig.contacts:
        rig.post.condition(f"{lane}/0", "reader", Condition(online=True))
    return rig


async def refused(rig: Rig, request: dict[str, object]) -> str:
    """Why there is no test."""
    async with aclosing(rig.post.proving.run(request, "gated")) as answers:
        return str((await anext(answers))["error"])


async def next_step(answers: control.Answers, step: str) -> control.Answer:
    """The next answer of this step."""
    async for answer in answers:
        if answer.get("step") == step:
            return answer
    raise AssertionError(f"no {step} came")


@asynccontextmanager
async def armed(rig: Rig, lane: str, **more: object) -> AsyncIterator[control.Answers]:
    """A test whose lane is armed."""
    async with aclosing(rig.post.proving.run({**REQUEST, "lane": lane, **more}, "gated")) as answers:
        step = asyncio.ensure_future(next_step(answers, "armed"))
        await settled()
        rig.journal.settle()
        await step
        yield answers


async def test_not_while_nothing_can_be_written(whitelist: Whitelist) -> None:
    """A test is refused, with the reason."""
    rig = rig_of(whitelist, Disk(why="the disk is full"))
    assert "the disk is full" in await refused(rig, {**REQUEST, "lane": "walk-in"})
    assert rig.journal.appended == []


@pytest.mark.parametrize(("lane", "pulses"), [("walk-in", 0), ("walk-out", 1)])
async def test_the_journal_fails_meanwhile(whitelist: Whitelist, lane: str, pulses: int) -> None:
    """No test's pulse; the lane has the sighting back: an exit opens as it always would, an entrance does not."""
    rig = rig_of(whitelist, Disk())
    async with armed(rig, lane) as answers:
        await rig.see(lane, TAG)
        rig.journal.fail()
        await settled()
        rig.journal.fail()
        await settled()
        assert (await next_step(answers, "ended"))["why"] == "journal"
    assert rig.pulses(lane) == pulses
    assert [event["kind"] for event in rig.journal.events] == ["test", "test", "passage"]
    assert [event["why"] for event in rig.journal.noted if event["kind"] == "test"] == ["journal"]


async def test_no_pulse_before_it_is_on_disk(whitelist: Whitelist) -> None:
    """However long the disk takes."""
    rig = rig_of(whitelist, Disk())
    async with armed(rig, "walk-in") as answers:
        await rig.see("walk-in", TAG)
        rig.post.tick()
        assert rig.pulses("walk-in") == 0
        rig.journal.settle()
        assert rig.pulses("walk-in") == 1
        await next_step(answers, "relay")


async def test_a_card_that_lies_there_during_the_next_test(whitelist: Whitelist) -> None:
    """It is no passage for all that; the next test's card is."""
    rig = rig_of(whitelist, Disk())
    async with armed(rig, "walk-in", dry=True) as answers:
        await rig.see("walk-in", TAG)
        rig.journal.settle()
        await next_step(answers, "ended")
    async with armed(rig, "walk-in", card="em:0A00A1B2C3"):
        await rig.see("walk-in", TAG)
    assert [event["kind"] for event in rig.journal.events] == ["test"] * 3


@pytest.mark.parametrize("turns", range(5))
async def test_cancelled_while_news_come(whitelist: Whitelist, turns: int) -> None:
    """Whoever listens is told to end in whichever turn of the loop that brings a step, and ends."""
    rig = rig_of(whitelist, Disk())
    async with armed(rig, "walk-in") as answers:
        listening = asyncio.ensure_future(next_step(answers, "ended"))
        await settled()
        rig.post.see("walk-in", Sighting("walk-in/0", TAG, rig.clocks.seconds))
        for _ in range(turns):
            await asyncio.sleep(0)
        listening.cancel()
        await settled()
        assert listening.cancelled()


async def test_whoever_tests_hears_nothing_of_the_test_before(whitelist: Whitelist) -> None:
    """Its card, read at another lane meanwhile, is none of theirs."""
    rig = rig_of(whitelist, Disk())
    async with armed(rig, "walk-in", dry=True) as answers:
        await rig.see("walk-in", TAG)
        rig.journal.settle()
        await next_step(answers, "ended")
    async with armed(rig, "car-out", card="em:0A00A1B2C3") as answers:
        await rig.see("car-in", TAG)
        rig.post.proving.stop()
        assert (await anext(answers))["step"] == "ended"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lane": "nowhere"}, "there is no such lane"),
        ({"seconds": 1000}, "a number from 1 to 120"),
        ({"seconds": True}, "a number from 1 to 120"),
        ({"outside": True, "watch": "long"}, "a number from 1 to 60"),
        ({"card": "em:1"}, "is not canonical"),
    ],
)
async def test_wrong_requests(whitelist: Whitelist, wrong: dict[str, object], said: str) -> None:
    """A test is bounded, whatever is asked for."""
    rig = rig_of(whitelist, Disk())
    request = {**REQUEST, "lane": "walk-in", **wrong}
    assert said in await refused(rig, request)


async def test_somebody_is_at_the_lane(whitelist: Whitelist) -> None:
    """Whose turn it is has the lane, and the sensor."""
    rig = rig_of(whitelist, Disk())
    await rig.see("car-in")
    assert "somebody is being let through" in await refused(rig, {**REQUEST, "lane": "car-in"})
