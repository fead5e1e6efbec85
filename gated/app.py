"""The whole daemon, put together: read this first.

`run` makes every part once, gives each what it needs, and owns all tasks in one group:

    fire task     contact → level ─────────────────────────────────────────→ every Barrier
    reader task   link → codec → sighting ─┐
    input task    contact → level ─────────┼→ Post → Lane → decide → Act ─→ Journal ─→ Barrier
    tick task     time, clock, list ───────┘                      (one writer thread)

A task that fails takes the daemon down, and the service manager starts it anew: nothing limps on. SIGTERM and SIGINT
end it in order: contacts released, `stop` written down, ports closed, journal committed and closed.
"""

import asyncio
import gc
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from drivers.port import Condition, Indicator, Input, Level, Output, Quiet, Reader
from drivers.records import SHARED, Prove, Records
from drivers.registry import Ports, make_input, make_output, make_reader
from gated import __version__, board, control, logs, machine_clock
from gated.clock import Timekeeper
from gated.config import Config, InputConfig, LaneConfig, OutputConfig
from gated.lanes.barrier import Barrier
from gated.lanes.decide import Direction, LaneKind, LaneRule
from gated.lanes.display import Display
from gated.lanes.fire import DEVICE, FireAlarm
from gated.lanes.post import Post
from gated.lists.whitelist import Whitelist
from gated.logs import FilteringBoundLogger
from gated.notify import Notifier
from gated.recording import folder
from gated.recording.journal import Journal, JournalTrouble
from gated.recording.journal_read import JournalUnreadable
from gated.state import Describer
from gated.talking import policy
from gated.watchdog import Watchdog
from protocol.event import Kind, Stamp
from protocol.sighting import Sighting

if TYPE_CHECKING:
    from gated.talking.center import Center

TICK_S: Final = 0.25
OBSERVE_S: Final = 1.0
REMEMBER_S: Final = 600.0
PRUNE_S: Final = 24 * 3600.0
DAY_S: Final = 24 * 3600.0
OPEN_S: Final = 2.0
"""How long the start waits for the journal; a salvage takes longer, and people must be able to leave meanwhile."""
TAIL_EVENTS: Final = 1000
RETRY_S: Final = 5.0
RETRY_CENTER_S: Final = 30.0
RESTART_STATUS: Final = 75
"""The daemon's exit status when it was told to start anew: the unit starts it again after any (`Restart=always`)."""

Task = tuple[str, AsyncGenerator[object, None]]


class _Stopping(Exception):  # noqa: N818 - an order, no error
    """Somebody has asked the daemon to end."""


async def run(config: Config) -> int:
    """Run the gate until SIGTERM or SIGINT; the exit status."""
    log = logs.configure()
    try:
        config.state.mkdir(parents=True, exist_ok=True)
        with folder.holding(config.state, time.strftime("%Y-%m-%d %H:%M:%S")):
            return await _Gate(config, log).live()
    except folder.FolderTakenError as error:
        sys.stderr.write(f"gated: {error}\n")
        return 1
    except PermissionError:
        raise  # the command line says who may
    except OSError as error:
        sys.stderr.write(f"gated: the state folder {config.state} cannot be used: {error.strerror}\n")
        return 1


class _Gate:
    """All parts of one gate, for the length of one life."""

    def __init__(self, config: Config, log: FilteringBoundLogger) -> None:
        self._config = config
        self._log = log
        self._notifier = Notifier()
        self._machine = machine_clock.MachineClock(config.clock.source)
        self._keeper = Timekeeper(self._machine, config.zone, machine_clock.recall(config.state))
        self._whitelist = Whitelist(config.state)
        self._journal = Journal(
            config.state, board=board.identity(), stamp=self._keeper.stamp, on_change=self._journal_changed
        )
        self._post = Post(
            journal=self._journal,
            keeper=self._keeper,
            whitelist=self._whitelist,
            policy=policy.of_config(config),
            log=log,
        )
        self._readers: dict[str, Reader] = {}
        self._describe = Describer(
            config,
            post=self._post,
            journal=self._journal,
            keeper=self._keeper,
            whitelist=self._whitelist,
            readers=self._readers,
            center=lambda: None if self._center is None else self._center.state(),
            expected=lambda: None if self._center is None else self._center.expected.count,
            fire=lambda: None if self._fire is None else self._fire.state(),
        )
        self._ports = Ports()
        self._ports.shared(SHARED, Records, lambda: Records(self._cards))
        self._first: list[Task] = []
        self._tasks: list[Task] = []
        self._early: list[Callable[[], None]] | None = []
        for name, lane in config.lanes.items():
            self._add_lane(name, lane)
        self._fire = None if config.fire is None else self._fire_alarm(config.fire)
        self._center: Center | None = None
        self._ending = asyncio.Event()
        self._again = False
        self._watchdog = Watchdog(self._notifier, [name for name, _ in (*self._first, *self._tasks)])

    async def live(self) -> int:
        """Run until told to stop; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._ending.set)
        try:
            async with self._journal:
                await self._run_tasks()
        except JournalTrouble as error:
            self._log.error("journal.unfinished", why=str(error))
            return 1
        finally:
            self._whitelist.close()
            self._remember()
        self._log.info("gate.stopped")
        return RESTART_STATUS if self._again else 0

    async def _begin(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_S):
                await self._journal.opened()
        try:
            self._post.restore(await asyncio.to_thread(self._journal.tail, TAIL_EVENTS))
        except (JournalUnreadable, ValueError, KeyError) as error:
            self._log.warning("journal.tail-unreadable", why=str(error), effect="passages just made may be seen anew")
        info = self._whitelist.info
        fields: dict[str, object] = {
            "what": "start",
            "version": __version__,
            "python": sys.version.split()[0],
            "sqlite": sqlite3.sqlite_version,
            "list": info and info.version,
        }
        self._post.note(Kind.SYSTEM, fields)
        early, self._early = self._early or [], None
        for work in early:
            work()
        self._log.info("gate.started", gate=self._config.gate, lanes=len(self._config.lanes), list=fields["list"])
        # What is loaded now stays: the collector need not walk it again and again beside the lanes.
        gc.collect()
        gc.freeze()

    async def _run_tasks(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name, reports in self._first:
                    group.create_task(self._drain(name, reports), name=name)
                await self._begin()
                for name, reports in self._tasks:
                    group.create_task(self._drain(name, reports), name=name)
                group.create_task(self._tick(), name="tick")
                group.create_task(self._keep_clock(), name="clock")
                group.create_task(self._serve(), name="control")
                group.create_task(self._prune(), name="prune")
                group.create_task(self._talk(), name="center")
                self._notifier("READY=1", f"STATUS={len(self._config.lanes)} lanes")
                await self._stop()
        except* _Stopping:
            pass

    def _add_lane(self, name: str, lane: LaneConfig) -> None:
        rule = LaneRule(
            name,
            LaneKind(lane.kind),
            Direction(lane.direction),
            gone=lane.gone,
            stale=lane.stale,
            repeat=lane.repeat,
            timeout=lane.timeout,
            hold=lane.hold,
            senses=lane.passed is not None,
        )
        barrier = None
        if lane.barrier is not None:
            output = self._output(f"{name}/barrier", lane.barrier)
            barrier = Barrier(output, lane.barrier.pulse, turnstile=lane.turnstile)
        lights = {key: self._output(f"{name}/{key}", light) for key, light in lane.lights}
        display = Display(lights, self._config.table)
        self._post.add(rule, barrier, display)
        for number, config in enumerate(lane.readers):
            device = f"{name}/{number}"
            reader = make_reader(device, config.driver, config.options, self._ports)
            if isinstance(reader, Indicator):
                display.indicators.append(reader)
            self._read(name, device, reader)
        for role, contact in (("passed", lane.passed), ("button", lane.button)):
            if contact is not None:
                device = f"{name}/{role}"
                self._watch(name, device, make_input(device, contact.driver, contact.options, self._ports))

    def _fire_alarm(self, config: InputConfig) -> FireAlarm:
        contact = make_input(DEVICE, config.driver, config.options, self._ports)
        alarm = FireAlarm(
            contact,
            self._post.stations,
            stamp=self._keeper.stamp,
            note=self._note,
            failed=lambda station, error: self._once_begun(partial(self._post.openings.barrier_failed, station, error)),
            log=self._log,
        )
        self._first.insert(0, (f"{DEVICE}.input", self._alarms(alarm)))
        return alarm

    def _output(self, device: str, config: OutputConfig) -> Output:
        output = make_output(device, config.driver, config.options, self._ports)
        self._first.append((f"{device}.output", self._conditions(device, output)))
        return output

    def _read(self, lane: str, device: str, reader: Reader) -> None:
        self._readers[device] = reader
        self._tasks.append((f"{device}.reader", self._sightings(lane, device, reader)))

    def _cards(self) -> Prove:
        """What proves a card's record. Without a center nobody's e-ID counts: no signer has said whose do."""
        from gated.lanes import cards  # noqa: PLC0415 - cryptography, for a gate with readers that read records
        from protocol.operators import Registrars  # noqa: PLC0415 - the same

        nobody = Registrars()
        return cards.of_config(
            self._config, lambda: nobody if self._center is None else self._center.registrars, self._log
        ).prove

    def _watch(self, lane: str, device: str, contact: Input) -> None:
        self._tasks.append((f"{device}.input", self._levels(lane, device, contact)))

    async def _drain(self, name: str, reports: AsyncGenerator[object, None]) -> None:
        async with aclosing(reports):
            async for _ in reports:
                self._watchdog.turned(name, self._machine.mono())

    async def _sightings(self, lane: str, device: str, reader: Reader) -> AsyncGenerator[object, None]:
        async with aclosing(reader.reports()) as reports:
            async for report in reports:
                if isinstance(report, Sighting):
                    self._post.see(lane, report)
                elif isinstance(report, Condition):
                    self._post.condition(device, "reader", report)
                yield report

    async def _levels(self, lane: str, device: str, contact: Input) -> AsyncGenerator[object, None]:
        was: bool | None = None
        async with aclosing(contact.reports()) as reports:
            async for report in reports:
                if isinstance(report, Condition):
                    # A button that was stuck when its module went, and still is when it is back, is not pressed anew.
                    was = was if device.endswith("/button") else None
                    self._post.condition(device, "input", report)
                elif isinstance(report, Level):
                    if device.endswith("/button") and report.active and was is not True:
                        self._post.pressed(lane)
                    # Through is who has left the sensor again: until then the arm must not come down on them.
                    elif device.endswith("/passed") and was and not report.active:
                        self._post.passed(lane)
                    was = report.active
                if device.endswith("/passed") and not isinstance(report, Quiet):
                    self._post.sensed(lane, was)
                yield report

    async def _alarms(self, alarm: FireAlarm) -> AsyncGenerator[object, None]:
        async with aclosing(alarm.reports()) as reports:
            async for report in reports:
                if isinstance(report, Condition):
                    self._once_begun(partial(self._post.condition, DEVICE, "input", report))
                yield report

    async def _conditions(self, device: str, output: Output) -> AsyncGenerator[object, None]:
        async with aclosing(output.reports()) as reports:
            async for report in reports:
                if not isinstance(report, Quiet):
                    self._once_begun(partial(self._post.condition, device, "output", report))
                yield report

    def _note(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object]) -> None:
        self._once_begun(partial(self._journal.note, kind, stamp, fields))

    def _once_begun(self, work: Callable[[], None]) -> None:
        """Do it now; before the start is written down, after that."""
        if self._early is None:
            work()
        else:
            self._early.append(work)

    async def _tick(self) -> None:
        observe_at = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            mono = self._machine.mono()
            self._post.tick()
            if mono >= observe_at:
                observe_at = mono + OBSERVE_S
                self._post.clock(self._keeper.observe())

    async def _keep_clock(self) -> None:
        remember_at = self._machine.mono() + REMEMBER_S
        while True:
            await self._machine.ask()
            if self._machine.mono() >= remember_at:
                remember_at = self._machine.mono() + REMEMBER_S
                await asyncio.to_thread(self._remember)
            await asyncio.sleep(machine_clock.ASK_S)

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            before = self._keeper.prune_before(self._config.journal.keep_days * DAY_S)
            if before is None or self._center is None or not self._center.confirmed:
                continue
            try:
                removed = await self._journal.prune(before)
            except JournalTrouble:
                continue  # it is told where it happens; tomorrow is soon enough
            if removed:
                self._log.info("journal.pruned", events=removed)

    async def _talk(self) -> None:
        """Talk with the center. Whatever goes wrong in that is told and tried again: lanes go on without it."""
        while (center := self._make_center()) is not None:
            self._center = center
            try:
                await center.run()
            except Exception as error:  # noqa: BLE001 - no fault in talking may stop a gate
                self._log.exception("center.failed", again_s=RETRY_CENTER_S)
                self._post.note(Kind.ALARM, {"what": "center-failed", "why": repr(error)[:1000]})
            await asyncio.sleep(RETRY_CENTER_S)

    def _make_center(self) -> "Center | None":
        """The center, where there is one; a gate that is not set up with its own runs alone, and says so."""
        config = self._config
        if config.center is None:
            return None
        from gated.talking.center import Center, KeysError, Parts  # noqa: PLC0415 - 15 MB that a gate alone does without

        parts = Parts(
            config,
            self._journal,
            self._post,
            self._keeper,
            self._whitelist,
            self._describe,
            self._restart,
            self._log,
        )
        try:
            return Center(parts, config.center)
        except KeysError as error:
            self._log.error("center.no-keys", why=str(error))
            self._post.note(Kind.ALARM, {"what": "center-keys", "why": str(error)})
            return None

    async def _serve(self) -> None:
        said = ""
        while True:
            try:
                await control.serve(self._config.state, self._handle)
            except OSError as error:
                if str(error) != said:
                    said = str(error)
                    self._log.error("control.unavailable", why=said)
            await asyncio.sleep(RETRY_S)

    async def _handle(self, request: Mapping[str, Any], user: str) -> control.Answer | control.Answers:
        match request["op"]:
            case "status":
                return await self._describe()
            case "list":
                self._post.refresh_list()
                info = self._whitelist.info
                return {"version": info and info.version, "trouble": self._whitelist.trouble}
            case "clock-accept":
                fact = self._keeper.accept()
                self._post.clock([fact])
                await asyncio.to_thread(self._remember)
                return {"ok": True, **fact.fields}
            case "expected":
                none: control.Answer = {"error": "this gate has no center that could announce visitors"}
                return none if self._center is None else self._center.expected.find(str(request.get("text", "")))
            case "test-card" | "test-card-outside" as op:
                proving = self._post.proving
                return proving.confirm() if op == "test-card-outside" else proving.run(request, user)
            case other:
                return {"error": f"there is no {other!r} to be asked for"}

    def _restart(self) -> None:
        """End in order, to be started anew."""
        self._again = True
        self._ending.set()

    async def _stop(self) -> None:
        await self._ending.wait()
        self._notifier("STOPPING=1")
        self._post.stop()
        self._post.note(Kind.SYSTEM, {"what": "stop"})
        raise _Stopping

    def _remember(self) -> None:
        try:
            machine_clock.remember(self._config.state, self._keeper.remember())
        except OSError as error:
            # The journal says loudly that the disk is in trouble; the floor is written with the next try.
            self._log.warning("clock.not-remembered", why=str(error))

    def _journal_changed(self, ok: bool, why: str) -> None:  # noqa: FBT001 - the journal's own signature
        self._post.journal_changed(ok, why)
