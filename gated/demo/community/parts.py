"""All that there is: gates, broker, center, desk, ear; set up, kept running, compared in the end."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from gated.demo import broker
from gated.demo.community import GATES, day
from gated.demo.community.deeds import Deeds
from gated.demo.community.desk import Desk, set_up
from gated.demo.community.ear import NAME, Ear
from gated.demo.community.gate import Gate
from gated.demo.community.summary import Compared, GateRun
from gated.demo.community.until import LateError, until
from gated.demo.daemon import Daemon, DaemonEnded
from gated.demo.day import HOURS, Form, hours_away
from gated.demo.post import SITE, TIMEZONE, WORKDAYS
from gated.demo.watch import Heard
from gated.recording import journal_read
from protocol.signature import public_key

CENTER: Final = "center"
START_S: Final = 60.0
"""Within this all has to be there, also on a machine that is busy."""

Tell = Callable[[str], None]


class Community:
    """Enter it for the devices, `set_up` the rest; leaving it ends every process in order.

    `tell` gets a line for everything that happens. `heard` has the last of them.
    """

    def __init__(self, folder: Path, seed: int, tell: Tell, mix: Sequence[str] = ()) -> None:
        self.heard = Heard()
        self.town = day.town(seed)
        self.desk = Desk(folder)
        self.problems: list[str] = []
        self._folder = folder
        self._tell = tell
        self._mix = mix
        self._port = broker.free_port()
        self.gates = {name: self._gate(name) for name in GATES}
        self.center = Daemon(("center", "serve", "-c", str(self.desk.config)), folder / "center.log", "the center")
        self.ear = Ear(SITE, self._port, secrets.token_urlsafe(12))
        self.deeds = Deeds(self.gates, self.desk, self.center, self.ear, self.town.tenants, self.note)
        self._config = folder / "broker.toml"
        self._broker = Daemon(("gated.demo.broker", str(self._config)), folder / "broker.log", "the broker")
        self._statuses: dict[str, int | None] = {}
        self._stack = AsyncExitStack()
        self._tasks: asyncio.TaskGroup | None = None
        self._kept: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        for gate in self.gates.values():
            await self._stack.enter_async_context(gate)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            daemons = {name: gate.daemon for name, gate in self.gates.items()}
            stopped = await asyncio.gather(*(daemon.stop() for daemon in daemons.values()))
            self._statuses = dict(zip(daemons, stopped, strict=True))
            await self.center.stop()
            await self._broker.stop()
        finally:
            await self._stack.aclose()

    def note(self, text: str) -> None:
        """Tell of something that no event tells of."""
        line = f"{datetime.now(ZoneInfo(TIMEZONE)):%H:%M:%S} {text}"
        self.heard.news.append(line)
        self._tell(line)

    async def set_up(self, tasks: asyncio.TaskGroup, progress: Tell) -> None:
        """Set everything up as people would, and start it; returns when it is all there. Raises Failure, LateError.

        What runs is kept by `tasks`, until `release`.
        """
        self._tasks = tasks
        now = datetime.now(ZoneInfo(TIMEZONE))
        for gate in self.gates.values():
            gate.post.write_config({**WORKDAYS, HOURS: hours_away(now.hour)})
        self.ear.center = [public_key(bytes.fromhex(key)) for key in await self.desk.init(self._port)]
        progress("gatectl site init: keys, an authority, the first root of the list")
        async with asyncio.TaskGroup() as group:
            bundle = group.create_task(self._first_list(progress))
            passwords = await self._add_gates(progress)
            self._open_broker({**passwords, CENTER: self.desk.password, NAME: self.ear.password})
            self.keep(self.center.keep(), CENTER)
        await self.desk.flash(bundle.result())
        progress("gatectl flash: the broker has it")
        await self._all_there(progress)
        for gate in self.gates.values():
            await asyncio.to_thread(gate.watch.accept_clock)

    def keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Let this run until `release`."""
        if self._tasks is None:
            raise RuntimeError("set it up first")
        self._kept.append(self._tasks.create_task(work, name=name))

    def release(self) -> None:
        """Keep nothing running any more."""
        self.deeds.cancel()
        for task in self._kept:
            task.cancel()

    async def compare(self) -> Compared:
        """Put all right that is wrong on purpose, wait until all is told, and ask the center what it holds."""
        self.note("the end: all is mended, and what is left is told")
        await self.deeds.restore()
        before = await self._journals()
        gates = self.gates.values()
        try:
            await until(lambda: all(map(self.deeds.suspended, gates)), "every suspension is in force at every gate")
            await until(lambda: all(self._told(name, before) for name in before), "the center has every event")
        except LateError as error:
            self.problems.append(f"not seen: {error}")
        export, wrong = await self.desk.events(), await self.desk.verify()
        return Compared(before, await self._journals(), export, wrong)

    def runs(self) -> dict[str, GateRun]:
        """Each gate's part of the run. Once everything has ended."""
        return {
            name: GateRun(
                journal=gate.watch.journal,
                pulses=gate.life.pulses(),
                mark=gate.watch.mark,
                lives=gate.daemon.lives,
                answered=gate.watch.answered,
                exit_status=self._statuses.get(name),
                problems=gate.watch.problems,
            )
            for name, gate in self.gates.items()
        }

    def _gate(self, name: str) -> Gate:
        width = max(map(len, GATES))
        return Gate(
            name, self._folder / name, self._port, mix=self._mix, tell=self._tell, heard=self.heard, width=width
        )

    def _forms(self) -> dict[str, list[Form]]:
        """What is read at each lane: at all gates the same."""
        return self.gates[GATES[0]].post.forms

    async def _add_gates(self, progress: Tell) -> dict[str, str]:
        """Let each gate in, set its box up, and start it; the passwords at the broker, by name."""
        files = await self.desk.add(list(self.gates))
        progress(f"gatectl gate add {' '.join(files)}: an enrolment file each")
        names, boxes = zip(*((name, self._begin(self.gates[name], files[name])) for name in files), strict=True)
        passwords = dict(zip(names, await asyncio.gather(*boxes), strict=True))
        progress("at each box: gated setup, gated run")
        return passwords

    async def _first_list(self, progress: Tell) -> Path:
        bundle = await self.desk.propose(day.table(self.town, self._forms()))
        progress("gatectl list import, gatectl sign: the first list is proposed and signed")
        return bundle

    async def _begin(self, gate: Gate, files: tuple[Path, Path]) -> str:
        password = await set_up(gate.post, files, gate.link.port)
        self.keep(gate.daemon.keep(), gate.name)
        self.keep(gate.watch.ask(), f"{gate.name}.ask")
        self.keep(gate.watch.read(), f"{gate.name}.read")
        return password

    def _open_broker(self, passwords: Mapping[str, str]) -> None:
        self._config.touch(0o600)
        self._config.write_text(broker.configuration(self._port, passwords))
        self.keep(self._broker.keep(), "broker")
        self.keep(self.ear.run(), "ear")

    async def _all_there(self, progress: Tell) -> None:
        gates = self.gates.values()
        try:
            await until(lambda: all(gate.watch.ready.is_set() for gate in gates), "all gates and devices", START_S)
            await until(lambda: all(gate.list.get("version") for gate in gates), "the list in force", START_S)
            progress("all gates have the list in force")
            await until(lambda: set(self.ear.acks) == set(self.gates), "the center's word to all gates", START_S)
        except LateError as error:
            daemons = [*(gate.daemon for gate in gates), self.center, self._broker]
            words = "\n".join(f"--- {daemon.name}\n{daemon.last_words()}" for daemon in daemons)
            raise DaemonEnded(f"not there within {START_S:.0f} s: {error}\n{words}") from None

    def _told(self, name: str, before: Mapping[str, list[bytes]]) -> bool:
        acked = self.gates[name].acked
        return acked is not None and acked >= len(before[name])

    async def _journals(self) -> dict[str, list[bytes]]:
        """Each journal's lines. In the demo nothing is pruned: the first line is event 1."""
        journals = {name: gate.watch.journal for name, gate in self.gates.items()}
        return {name: await asyncio.to_thread(_lines, journal) for name, journal in journals.items()}


def _lines(journal: Path) -> list[bytes]:
    return list(journal_read.lines(journal))
