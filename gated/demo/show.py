"""The demonstration put together: the emulated post, its life, the real daemon, whoever looks on, and the check."""

import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from gated.commands.output import Failure, say, say_now
from gated.demo import day, terminal
from gated.demo.daemon import Daemon, DaemonEnded
from gated.demo.life import Life
from gated.demo.post import CHANNELS, TIMEZONE, WORKDAYS, EmulatedPost
from gated.demo.summary import Run, summary
from gated.demo.view import Picture, render
from gated.demo.watch import Watch
from gated.lists import listload

READY_S: Final = 30.0
"""Within this the daemon has to answer with all its devices, also on a machine that is busy."""
DRAW_S: Final = 0.25
UP_S: Final = 1.0
LOG: Final = "gated.log"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. `seconds` None: until somebody ends it."""

    seconds: float | None
    seed: int
    speed: float
    keep: bool
    mix: tuple[str, ...] = ()
    """The families of readers that are to be at the lanes."""


class _Ended(Exception):  # noqa: N818 - an order, no error
    """The show is over."""


async def show(options: Options) -> bool:
    """Run the demonstration and print its summary; whether everything fits. Raises Failure."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with folder_of(options, look="gated journal list -c {}/gated.toml") as folder:
        try:
            async with EmulatedPost(folder, mix=options.mix) as post:
                run = await _Show(post, options, stop).run()
        except DaemonEnded as error:
            raise Failure(str(error)) from error
        lines, fits = summary(run)
        for line in lines:
            say(line)
        return fits


class _Show:
    """One run."""

    def __init__(self, post: EmulatedPost, options: Options, stop: asyncio.Event) -> None:
        self._post = post
        self._options = options
        self._stop = stop
        self._terminal = terminal.usable()
        self._town = day.Town(options.seed)
        self._life = Life(post)
        self._daemon = Daemon(("gated", "run", "-c", str(post.config)), post.folder / LOG)
        self._watch = Watch(post, self._daemon, (lambda _: None) if self._terminal else say_now)
        self._tasks = asyncio.TaskGroup()
        self._rand = random.Random()  # noqa: S311 - tags that nobody has, no secret
        self._next_reader = cycle(post.readers)
        self._unplugged: str | None = None
        self._began = time.monotonic()

    async def run(self) -> Run:
        """Run it to its end, daemon and all; what is to be looked at."""
        entries = self._prepare()
        if self._options.mix:
            say_now(f"readers: {self._post.mix}")
        if not self._terminal:
            say_now(f"gated demo: seed {self._options.seed}, {len(CHANNELS)} lanes, {entries} entries on the list")
        with terminal.screen(self._key) if self._terminal else nullcontext():
            try:
                await self._run_tasks()
            finally:
                exit_status = await self._daemon.stop()
        return Run(
            seed=self._options.seed,
            elapsed_s=time.monotonic() - self._began,
            journal=self._watch.journal,
            pulses=self._life.pulses(),
            mark=self._watch.mark,
            kills=self._daemon.kills,
            lives=self._daemon.lives,
            answered=self._watch.answered,
            back_s=self._watch.back_s,
            exit_status=exit_status,
            problems=self._watch.problems,
        )

    def _prepare(self) -> int:
        now = datetime.now(ZoneInfo(TIMEZONE))
        self._post.write_config({**WORKDAYS, day.HOURS: day.hours_away(now.hour)})
        source = self._post.folder / "list.jsonl"
        source.write_text("".join(json.dumps(entry) + "\n" for entry in self._town.whitelist(self._post.forms)))
        return listload.load(self._post.state, source, lambda *_: None, now.isoformat(timespec="seconds")).entries

    async def _run_tasks(self) -> None:
        try:
            async with self._tasks as tasks:
                tasks.create_task(self._daemon.keep(), name="daemon")
                tasks.create_task(self._watch.ask(), name="ask")
                tasks.create_task(self._watch.read(), name="read")
                tasks.create_task(self._live(), name="live")
                if self._terminal:
                    tasks.create_task(self._draw(), name="draw")
                await self._end()
        except BaseExceptionGroup as error:
            rest = error.split(_Ended)[1]
            if rest is not None:
                raise first_of(rest) from None  # the one error says it better than the group

    async def _live(self) -> None:
        await self._ready()
        await asyncio.to_thread(self._watch.accept_clock)
        self._began = time.monotonic()
        seconds = self._options.seconds
        if seconds is not None:
            self._later(self._limit(seconds))
            if not self._terminal:
                self._later(self._go_wrong(day.incidents(seconds)))
        await self._life.run(day.visits(self._town, self._options.seed), self._options.speed)

    async def _ready(self) -> None:
        try:
            async with asyncio.timeout(READY_S):
                await self._watch.ready.wait()
        except TimeoutError:
            words = self._daemon.last_words()
            raise DaemonEnded(f"the daemon is not ready within {READY_S:.0f} s; its last words:\n{words}") from None

    async def _limit(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._stop.set()

    async def _end(self) -> None:
        await self._stop.wait()
        if self._daemon.kills:
            await self._ready()  # else the last kill would prove nothing
        raise _Ended

    async def _go_wrong(self, incidents: list[tuple[float, day.What]]) -> None:
        for at, what in incidents:
            await asyncio.sleep(max(0.0, self._began + at - time.monotonic()))
            if what is day.What.KILL:
                self._kill()
            else:
                await self._replug()

    async def _draw(self) -> None:
        colour = "NO_COLOR" not in os.environ
        while True:
            columns, rows = terminal.size()
            terminal.draw(render(self._picture(), columns, rows), colour=colour)
            await asyncio.sleep(DRAW_S)

    def _picture(self) -> Picture:
        now, watch = time.monotonic(), self._watch
        return Picture(
            watch.status,
            pid=self._daemon.pid,
            passages=watch.heard.passages,
            news=watch.heard.news,
            up={lane for lane, at in self._life.raised.items() if now - at < UP_S},
            elapsed_s=now - self._began,
            rate=watch.rate,
            seq=watch.mark.seq,
            kills=self._daemon.kills,
            unplugged=self._unplugged,
        )

    def _key(self, key: str) -> None:
        match key:
            case "q":
                self._stop.set()
            case "u":
                nobody = day.unknown(self._rand)
                self._later(self._life.come(day.Visit(0.0, "walk-in", nobody, flagged=True)))
            case "r":
                self._later(self._replug())
            case "k":
                self._kill()

    def _later(self, coroutine: Coroutine[None, None, None]) -> None:
        self._tasks.create_task(coroutine)

    def _kill(self) -> None:
        if self._daemon.kill():
            self._watch.killed()

    async def _replug(self) -> None:
        if self._unplugged is None:
            self._unplugged = next(self._next_reader)
            self._post.readers[self._unplugged].host.unplug()
            self._watch.say(f"unplugged: the reader of {self._unplugged}")
            return
        name, self._unplugged = self._unplugged, None
        await self._post.readers[name].host.plug()
        self._watch.say(f"plugged in: the reader of {name}")


@contextmanager
def folder_of(options: Options, look: str) -> Iterator[Path]:
    """A folder for the length of the run, or longer where it is to be kept; `look` is a command that looks into it."""
    if options.keep:
        folder = Path(tempfile.mkdtemp(prefix="gated-demo-"))
        try:
            yield folder
        finally:
            say(f"kept: {folder}; look at it with: {look.format(folder)}")
        return
    with tempfile.TemporaryDirectory(prefix="gated-demo-") as name:
        yield Path(name)


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in the group that is none itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
