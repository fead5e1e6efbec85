"""The community shown: set up, a day let happen, the live view, what is done to it, and the check at the end."""

import asyncio
import os
import signal
import time
from contextlib import nullcontext
from typing import Final

from gated.commands.output import Failure, say, say_now
from gated.demo import terminal
from gated.demo.community import GATES, day
from gated.demo.community.day import Act
from gated.demo.community.parts import Community
from gated.demo.community.summary import Compared, Run, summary
from gated.demo.community.until import LateError
from gated.demo.community.view import KEYS, GateRow, Picture, render
from gated.demo.daemon import DaemonEnded
from gated.demo.show import DRAW_S, UP_S, Options, first_of, folder_of

LOG_COLUMNS: Final = 120
DAY_S: Final = 60.0
"""Without a terminal and without an end, all is done once within this."""


async def show(options: Options) -> bool:
    """Run the demonstration and print its summary; whether everything fits. Raises Failure."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    say_now(f"gated demo: seed {options.seed}, {len(GATES)} gates, a broker, a center")
    with folder_of(options, look="gated-center verify -c {}/site/center.toml") as folder:
        quiet = terminal.usable()
        community = Community(folder, options.seed, (lambda _: None) if quiet else say_now, options.mix)
        if options.mix:
            say_now(f"readers of each gate: {community.gates[GATES[0]].post.mix}")
        try:
            run = await _Show(community, options, stop, on_terminal=quiet).run()
        except (DaemonEnded, LateError) as error:
            raise Failure(str(error)) from error
        if run is None:
            say("ended before everything was there: there is nothing to check")
            return True
        lines, fits = summary(run, terminal.size().columns if quiet else LOG_COLUMNS)
        for line in lines:
            say(line)
        return fits


class _Show:
    """One run."""

    def __init__(self, community: Community, options: Options, stop: asyncio.Event, *, on_terminal: bool) -> None:
        self._community = community
        self._options = options
        self._stop = stop
        self._terminal = on_terminal
        self._chosen = GATES[0]
        self._began = time.monotonic()

    async def run(self) -> Run | None:
        """Run it to its end; what is to be looked at, None where it ended before everything was there."""
        compared: Compared | None = None
        community = self._community
        try:
            async with community, asyncio.TaskGroup() as tasks:
                try:
                    setting_up = tasks.create_task(community.set_up(tasks, self._progress), name="setup")
                    if await self._done(setting_up):
                        compared = await self._show()
                finally:
                    community.release()
        except BaseExceptionGroup as group:
            raise first_of(group) from None  # the one error says it better than the group
        if compared is None:
            return None
        return Run(
            seed=self._options.seed,
            elapsed_s=time.monotonic() - self._began,
            gates=community.runs(),
            compared=compared,
            outcomes=community.deeds.outcomes,
            problems=community.problems,
        )

    async def _show(self) -> Compared:
        self._began = time.monotonic()
        community = self._community
        community.heard.news.clear()
        community.note(f"the day begins: {len(community.gates)} gates have the list, and the center answers each")
        with terminal.screen(self._key) if self._terminal else nullcontext():
            if self._terminal:
                community.keep(self._draw(), "draw")
            else:
                community.keep(self._act(self._options.seconds or DAY_S), "acts")
            if self._options.seconds is not None:
                community.keep(self._limit(self._options.seconds), "limit")
            living = asyncio.create_task(self._live(), name="live")
            try:
                await self._stop.wait()
            finally:
                living.cancel()
            return await community.compare()

    async def _done(self, task: asyncio.Task[None]) -> bool:
        """Whether the task has come to its end before somebody wanted to stop."""
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        task.cancel()
        return task.done() and not task.cancelled() and task.exception() is None

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        begin, speed = loop.time(), self._options.speed * day.BUSIER
        async with asyncio.TaskGroup() as group:
            for gate, visit in day.visits(self._community.town, self._options.seed):
                await asyncio.sleep(max(0.0, begin + visit.at / speed - loop.time()))
                group.create_task(self._community.gates[gate].life.come(visit), name=f"{visit.person.who} at {gate}")

    async def _limit(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._stop.set()

    async def _act(self, seconds: float) -> None:
        for at, act, gate in day.acts(seconds):
            await asyncio.sleep(max(0.0, self._began + at - time.monotonic()))
            self._community.deeds.do(act, gate)

    async def _draw(self) -> None:
        colour = "NO_COLOR" not in os.environ
        while True:
            columns, rows = terminal.size()
            terminal.draw(render(self._picture(), columns, rows), colour=colour)
            await asyncio.sleep(DRAW_S)

    def _picture(self) -> Picture:
        now, community = time.monotonic(), self._community
        rows = [
            GateRow(
                name=name,
                status=gate.watch.status,
                pid=gate.daemon.pid,
                linked=gate.link.open,
                unplugged=gate.unplugged,
                up=frozenset(lane for lane, at in gate.life.raised.items() if now - at < UP_S),
                seq=gate.watch.mark.seq,
            )
            for name, gate in community.gates.items()
        ]
        return Picture(
            rows,
            chosen=self._chosen,
            center=community.center.pid,
            center_kills=community.center.kills,
            held=community.ear.held,
            rate=community.ear.rate,
            passages=community.heard.passages,
            news=community.heard.news,
            elapsed_s=now - self._began,
        )

    def _key(self, key: str) -> None:
        if key == "q":
            self._stop.set()
        elif key.isdigit() and 1 <= int(key) <= len(GATES):
            self._chosen = GATES[int(key) - 1]
        elif key in KEYS and not self._stop.is_set():
            self._community.deeds.do(Act(KEYS[key]), self._chosen)

    def _progress(self, text: str) -> None:
        say_now(f"{time.monotonic() - self._began:5.1f} s  {text}")
