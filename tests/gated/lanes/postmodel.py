"""What a model of the whole post stands on: a loop that jumps in time, a disk and relays that do what they like."""

import asyncio
import json
import logging
import selectors
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from types import SimpleNamespace
from typing import Any, Final, cast

import structlog

from drivers.port import Condition, DriverError, Level, Quiet
from gated.clock import Remembered, Timekeeper
from gated.lanes import barrier
from gated.lanes.barrier import COMMAND, Barrier
from gated.lanes.decide import Direction, LaneKind, LaneRule, Policy
from gated.lanes.display import Display
from gated.lanes.fire import FireAlarm, State
from gated.lanes.holds import Hold
from gated.lanes.lane import LATE_S
from gated.lanes.openings import OVERDUE_S, Openings, Order, Outcome, Pending
from gated.lanes.post import Post
from gated.recording.journal import JournalTrouble, Told
from protocol.credential import Credential
from protocol.event import Kind, Stamp, Verdict, body, line
from protocol.sighting import Sighting
from protocol.whitelist import Entry

TICK_S: Final = 0.25
PULSE_S: Final = 0.5
EPS_S: Final = 0.01
TURNSTILES: Final = ("stile-in", "stile-out")
RULES: Final = {
    rule.name: rule
    for rule in (
        LaneRule("walk-in", LaneKind.PERSON, Direction.IN, senses=True),
        LaneRule("walk-out", LaneKind.PERSON, Direction.OUT, senses=True),
        LaneRule("stile-in", LaneKind.PERSON, Direction.IN, repeat=5.0),
        LaneRule("stile-out", LaneKind.PERSON, Direction.OUT),
        LaneRule("car-in", LaneKind.VEHICLE, Direction.IN, senses=True),
        LaneRule("car-out", LaneKind.VEHICLE, Direction.OUT, timeout=4.0),
    )
}
PEOPLES_EXITS: Final = ("walk-out", "stile-out")
Key = tuple[object, ...]
Somebody = tuple[str, Credential]
"""At a lane."""
LAMPS: Final = ("lamp", "green", "beeper")


class _Jump(selectors.SelectSelector):
    """Waits for nothing: what a loop would have slept has passed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left that the loop could wait for"
        self.now += timeout
        return []


class Loop(asyncio.SelectorEventLoop):
    """A loop in which time passes only by being waited for."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Seconds since the test began, and a thousand."""
        return self._jump.now


@dataclass
class Clocks:
    """The machine's clocks, by the loop's."""

    loop: Loop
    boot: str = "9f2c"

    def wall(self) -> float:
        """See Source."""
        return 1_790_000_000.0 + self.loop.time()

    def mono(self) -> float:
        """See Source."""
        return self.loop.time()

    def synced(self) -> bool:
        """See Source."""
        return True


class Disk:
    """A journal that answers at once (`quick`), when told to, or not at all; in order, as the real one.

    `lines` are on disk, `handed` is all that it was ever given, `telling` the event whose word is being given now.
    """

    def __init__(self, loop: Loop) -> None:
        self.quick = True
        self.why = ""
        self.lines: list[dict[str, Any]] = []
        self.handed: list[dict[str, Any]] = []
        self.telling: dict[str, Any] | None = None
        self.on_change: Callable[[bool, str], None] = lambda *_: None
        self._loop = loop
        self._waiting: deque[tuple[dict[str, Any], Told | None]] = deque()

    @property
    def state(self) -> SimpleNamespace:
        """See Journal."""
        return SimpleNamespace(ok=not self.why, why=self.why)

    def write(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object], told: Told) -> None:
        """See Journal."""
        event = json.loads(body(kind, stamp, fields))
        self.handed.append(event)
        if self.why:
            self._loop.call_soon(told, JournalTrouble(self.why))
            return
        self._waiting.append((event, told))
        if self.quick:
            self._loop.call_soon(self.answer)

    def note(
        self, kind: Kind, stamp: Stamp, fields: Mapping[str, object], settled: Callable[[], None] | None = None
    ) -> None:
        """See Journal."""

        def told(word: int | JournalTrouble) -> None:
            if isinstance(word, JournalTrouble):
                self.keep(kind, stamp, fields)
            if settled is not None:
                settled()

        self.write(kind, stamp, fields, told)

    def keep(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object]) -> None:
        """See Journal."""
        self._waiting.append((json.loads(body(kind, stamp, {**fields, "unwritten": True})), None))
        if self.quick and not self.why:
            self._loop.call_soon(self.answer)

    def hang(self) -> None:
        """It answers only when it is told to."""
        self.quick = False

    def answer(self) -> None:
        """All that waits is on disk now; nothing while it is in trouble."""
        for _ in range(0 if self.why else len(self._waiting)):
            event, told = self._waiting.popleft()
            self.lines.append(event)
            self._of_names_an_earlier_one(event)
            if told is not None:
                self.telling = event
                told(len(self.lines))
                self.telling = None

    def fail(self) -> None:
        """What waits is not written, and neither is anything else until it works again."""
        if self.why:
            return
        self.why = "the disk is full"
        self.on_change(False, self.why)
        failed, self._waiting = self._waiting, deque(one for one in self._waiting if one[1] is None)
        for _, told in failed:
            if told is not None:
                told(JournalTrouble(self.why))

    def work(self) -> None:
        """It works, and answers at once."""
        self.quick = True
        if self.why:
            self.why = ""
            self.answer()
            self.on_change(True, "")
        self.answer()

    def close(self) -> tuple[range, list[dict[str, Any]]]:
        """The daemon ends: the seqs of what was written at last, and what is lost with its memory."""
        first = len(self.lines) + 1
        self.answer()
        lost = [event for event, _ in self._waiting]
        self._waiting.clear()
        return range(first, len(self.lines) + 1), lost

    def _of_names_an_earlier_one(self, event: dict[str, Any]) -> None:
        of = event.get("of")
        if not isinstance(of, int):
            return
        assert 1 <= of < len(self.lines), event
        meant = self.lines[of - 1]
        assert meant["lane"] == event["lane"] or event.get("by") in {"exit", "owed"}, (meant, event)
        if "credential" in event and "credential" in meant:
            assert event["credential"] == meant["credential"], (meant, event)
        if event["kind"] == Kind.PASSED or event.get("by") in {"again", "exit", "owed"}:
            assert meant["kind"] == Kind.PASSAGE, (meant, event)


@dataclass
class Contact:
    """A relay that can be without power: then it is open, and closes again when it has power if that is owed."""

    loop: Loop
    there: bool = True
    closed: bool = False
    wanted: bool = False
    left: bool = False
    forgot: bool = False
    closed_at: float = 0.0
    watch: Callable[[bool], None] = lambda _: None

    async def reports(self) -> AsyncGenerator[Condition | Quiet, None]:
        """See Output."""
        yield Condition(True)

    def leave(self) -> None:
        """See Output."""
        self.left = True

    def set(self, *, on: bool, owed: bool = False) -> None:
        """See Output."""
        if not self.there:
            self.wanted = owed
            raise DriverError("unplugged")
        self.watch(on)
        self.wanted = self.closed = on
        self.forgot = False
        self.closed_at = self.loop.time()

    def unplug(self) -> None:
        """It has lost its power."""
        self.there = self.closed = False
        self.forgot = True

    def plug(self) -> None:
        """It has power again."""
        self.there, self.closed = True, self.wanted


@dataclass
class List:
    """A whitelist in memory."""

    entries: dict[Credential, Entry]
    info: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(version="1", entries=0, as_of=None))
    trouble: str = ""
    changed: bool = False

    def entry(self, credential: Credential) -> Entry | None:
        """See Whitelist."""
        return self.entries.get(credential)

    def refresh(self) -> bool:
        """See Whitelist."""
        was, self.changed = self.changed, False
        return was

    def lapse(self, _: float) -> list[tuple[str, Credential]]:
        """See Whitelist."""
        return []


class Watched(Openings):
    """Openings that tell each as it is done, and each at which the relay fails, be it later."""

    tell: Callable[[Pending], None] = lambda _: None
    tell_failed: Callable[[Pending, bool], None] = lambda *_: None

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._done: set[Pending] = set()

    def _open(self, pending: Pending) -> None:
        super()._open(pending)
        if pending.told and not pending.why:
            self._done.add(pending)
            self.tell(pending)

    def _failed(self, pending: Pending, error: DriverError) -> None:
        super()._failed(pending, error)
        self.tell_failed(pending, pending in self._done)
        self._done.discard(pending)


class Rig:
    """The post with all that hangs on it, and what must hold of it whenever somebody looks."""

    def __init__(self, entries: dict[Credential, Entry]) -> None:
        self.loop = Loop()
        self.disk = Disk(self.loop)
        self.list = List(entries)
        self.contacts = {name: Contact(self.loop) for name in RULES}
        self.lamps = {name: {lamp: Contact(self.loop) for lamp in LAMPS} for name in RULES}
        self.levels: dict[str, bool | None] = dict.fromkeys((name for name, one in RULES.items() if one.senses), False)
        self.orders: list[Outcome] = []
        self.openings: Counter[Key] = Counter()
        self.burning = False
        self._at_the_end: set[int] = set()  # of what may or may not have opened, when a daemon ended
        self._fire_said: Level | Condition | None = None
        self.seen: dict[tuple[str, object], float] = {}
        self.turns: dict[str, tuple[Credential, float]] = {}
        self.leaving: dict[Somebody, float] = {}
        self.owed: set[Somebody] = set()
        self._next_tick = self.loop.time() + TICK_S
        self._left: dict[Somebody, float] = {}
        self._away: set[Somebody] = set()
        self._fire_says: asyncio.Queue[Level | Condition | Quiet] = asyncio.Queue()
        self._wrong: list[BaseException] = []
        self.loop.set_exception_handler(
            lambda _, context: self._wrong.append(context.get("exception") or AssertionError(context))
        )
        self.run(self._make)

    def _make(self) -> None:
        keeper = Timekeeper(Clocks(self.loop), UTC, Remembered())
        log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.post = Post(
            journal=cast("Any", self.disk),
            keeper=keeper,
            whitelist=cast("Any", self.list),
            policy=Policy({}),
            log=cast("Any", log),
        )
        openings = Watched(self.disk, keeper, self.post.devices, self.post.figures, log)
        openings.tell, openings.tell_failed = self._opened, self._failed
        self.post.openings = openings
        self.disk.on_change = self.post.journal_changed
        for name, rule in RULES.items():
            contact = self.contacts[name]
            contact.watch = lambda on, lane=name: self._moves(lane, on)  # type: ignore[misc]
            gate = Barrier(contact, PULSE_S, turnstile=name in TURNSTILES)
            self.post.add(rule, gate, Display(self.lamps[name]))
            self.post.condition(f"{name}/0", "reader", Condition(True))
            self.post.condition(f"{name}/barrier", "output", Condition(contact.there))
            if rule.senses:
                self.post.sensed(name, False)
        self.alarm = FireAlarm(
            cast("Any", SimpleNamespace(reports=self._fire_reports)),
            self.post.stations,
            stamp=keeper.stamp,
            note=self.disk.note,
            failed=self.post.openings.barrier_failed,
            log=cast("Any", log),
        )
        self._fire = self.loop.create_task(self._drain(self.alarm.reports()))
        self._test: asyncio.Task[None] | None = None
        if self.disk.why:
            self.post.journal_changed(False, self.disk.why)
        else:
            self.post.restore([line(seq, json.dumps(event).encode()) for seq, event in enumerate(self.disk.lines, 1)])

    # What happens

    def run(self, work: Callable[..., object], *args: object) -> None:
        """Do this, and all that follows from it at once."""

        async def now() -> None:
            work(*args)
            await self._settled()
            self._check()

        self.loop.run_until_complete(now())

    def pass_time(self, seconds: float, tick: float = TICK_S) -> None:
        """Let this much time pass, and the post look at it as the daemon does, or less often."""

        async def wait() -> None:
            until = self.loop.time() + seconds
            while (now := self.loop.time()) < until - EPS_S:
                await asyncio.sleep(min(max(self._next_tick - now, 0.0), until - now))
                if self.loop.time() >= self._next_tick - EPS_S:
                    self._next_tick = self.loop.time() + tick
                    self.post.tick()
                await self._settled()
                self._check()

        self.loop.run_until_complete(wait())

    def see(self, lane: str, sighting: Sighting) -> None:
        """A reader has read this."""
        who, now = sighting.credential, self.loop.time()
        self.seen[lane, who] = now
        self.post.see(lane, sighting)
        gate, somebody = self.post.stations[lane].lane, (lane, who)
        if lane not in PEOPLES_EXITS or gate.present(now).get(who, 0.0) < sighting.at:  # it was a test's
            return
        if somebody in self._away or sighting.at - self._left.get(somebody, 0.0) > gate.rule.gone:
            self._away.discard(somebody)
            self.leaving.setdefault(somebody, now)
        self._left[somebody] = max(sighting.at, self._left.get(somebody, 0.0))

    def sense(self, lane: str, level: bool | None) -> None:  # noqa: FBT001 - the post's own signature
        """The sensor behind this lane's arm says this; what leaves it has gone through."""
        if self.levels[lane] and level is False:
            self.turns.pop(lane, None)
            self.post.passed(lane)
        self.levels[lane] = level
        self.post.sensed(lane, level)

    def command(self, lane: str) -> None:
        """An operator orders that it opens."""
        self.post.order(lane, "command", {"operator": "op", "command": "1"}, Order(self.orders.append))

    def button(self, lane: str) -> None:
        """Somebody presses it."""
        self.post.pressed(lane)

    def release(self, lane: str) -> None:
        """An operator lets it go."""
        self.post.holds.release(lane, {})

    def hold(self, lane: str, seconds: float = 30.0) -> None:
        """An operator orders that it is held open."""
        gate, until = self.post.stations[lane].barrier, self.loop.time() + seconds
        assert gate is not None

        def told(outcome: Outcome) -> None:
            if outcome.opened:
                self.post.holds.begun(Hold(lane, gate, until, "op", "1", outcome.seq))

        how = Order(told, lambda barrier, _: barrier.hold(COMMAND))
        self.post.order(lane, "held", {"operator": "op", "command": "1", "seconds": seconds}, how)

    def plug(self, lane: str, device: str, there: bool) -> None:  # noqa: FBT001 - a state
        """The barrier's relay comes or goes, or a reader."""
        if device == "barrier":
            contact = self.contacts[lane]
            contact.plug() if there else contact.unplug()
        what = "output" if device == "barrier" else "reader"
        self.post.condition(f"{lane}/{device}", what, Condition(there, "" if there else "unplugged"))

    def fire(self, report: Level | Condition) -> None:
        """The fire input says this."""
        self._fire_said = report
        self._fire_says.put_nowait(report)

    def test(self, lane: str, request: Mapping[str, object]) -> None:
        """A technician asks for a test, and listens."""
        if self._test is None or self._test.done():
            self._test = self.loop.create_task(self._drain(self.post.proving.run({"lane": lane, **request}, "root")))

    def hang_up(self) -> None:
        """Whoever listens to a test does no longer."""
        if self._test is not None:
            self._test.cancel()

    def restart(self) -> None:
        """The daemon ends in order, and the next one begins."""
        self.hang_up()
        self._fire.cancel()
        self.post.stop()
        self.turns.clear()
        self.leaving.clear()
        self.owed.clear()
        self._away = set(self._left)  # whoever was seen before the end counts as away, whenever that was
        written, lost = self.disk.close()
        self._at_the_end |= set(written)
        self._at_the_end |= {event["of"] for event in lost if event.get("what") == "not-opened" and "of" in event}
        self.openings -= Counter(_key(event) for event in lost if _opens(event))
        for contact in self.contacts.values():
            contact.wanted = contact.closed
        self._make()
        if self._fire_said is not None:
            self.fire(self._fire_said)

    def each_opening_is_one_event(self) -> None:
        """And each event that says so an opening, but for what the end of a daemon left undone."""
        lines = dict(enumerate(self.disk.lines, 1))
        undone: set[int] = set()
        for seq, event in lines.items():
            if event.get("what") == "not-opened":
                undone.add(event.get("of") or self._unwritten(seq, event, undone))
        said = {seq: _key(event) for seq, event in lines.items() if seq not in undone and _opens(event)}
        assert Counter(key for seq, key in said.items() if seq not in self._at_the_end) <= self.openings
        assert self.openings <= Counter(said.values())

    def _unwritten(self, seq: int, told: Mapping[str, object], undone: set[int]) -> int:
        """Which event this word is about, that something was not opened by one that was in memory only."""
        before = [n for n in range(1, seq) if n not in undone and self.disk.lines[n - 1].get("unwritten")]
        about = ("lane", "credential")
        found = [
            n
            for n in before
            if _opens(event := self.disk.lines[n - 1]) and all(event.get(key) == told.get(key) for key in about)
        ]
        assert found, told
        return found[-1]

    def close(self) -> None:
        """End all that runs."""

        async def end() -> None:
            for task in (self._fire, self._test):
                if task is not None:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
            await asyncio.sleep(barrier.TURNSTILE_PAUSE_S + 2 * PULSE_S)

        self.loop.run_until_complete(end())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    @property
    def burns(self) -> bool:
        """Whether the fire input says fire."""
        return self.alarm._fire.burns

    @property
    def clear(self) -> bool:
        """Whether the fire input says that all is well."""
        return self.alarm._fire.state is State.CLEAR

    async def _fire_reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        while True:
            yield await self._fire_says.get()

    async def _drain(self, reports: Any) -> None:
        try:
            async for _ in reports:
                pass
        finally:
            await reports.aclose()

    async def _settled(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    # What must hold

    def _moves(self, lane: str, on: bool) -> None:  # noqa: FBT001 - a level
        """A contact is told: an entrance's closes for a record or for what holds it, and under fire none opens."""
        held = self.post.stations[lane].barrier
        assert held is not None
        assert on or not self.burning or self.clear, f"{lane} opens its contact under fire"
        if not on or lane in TURNSTILES or RULES[lane].direction is Direction.OUT:
            return
        told = self.disk.telling
        recorded = told is not None and told.get("lane") == lane and told["kind"] in {"passage", "opened", "test"}
        assert recorded or held.holders or self.burns, f"{lane} opens for no reason"

    def _opened(self, pending: Pending) -> None:
        """The post has opened a lane: an entrance for what is on disk and not flagged, a vehicle's in its turn."""
        lane, fields = pending.station.lane.rule, pending.act.fields
        event = {**fields, "kind": pending.act.kind, "mono": round(pending.stamp.mono, 3)}
        self.openings[_key(event)] += 1
        who, now = fields.get("credential"), self.loop.time()
        if lane.direction is Direction.IN:
            told = self.disk.telling
            assert told is not None
            assert pending.seq == len(self.disk.lines)
            assert (told["kind"], told.get("by"), told["lane"]) == (pending.act.kind, fields.get("by"), lane.name)
            assert told.get("verdict") != Verdict.FLAG
            given = next(n for n, one in enumerate(self.disk.handed) if one is told)
            long_ago = LATE_S + (lane.timeout if lane.kind is LaneKind.VEHICLE else 0.0) + EPS_S
            assert who is None or now - self.seen[lane.name, who] <= long_ago, f"{who} has gone"
            later = [e for e in self.disk.handed[given:] if e.get("credential") == who and e.get("lane") == lane.name]
            assert who is None or not [e for e in later if e.get("verdict") == Verdict.FLAG], f"{who} was flagged since"
        if who is None:
            return
        somebody = lane.name, cast("Credential", who)
        if fields.get("by") == "owed":
            assert lane.direction is Direction.OUT
            assert somebody in self.owed, f"{who} is let out a second time"
            assert now - self.seen[somebody] <= lane.gone + OVERDUE_S + EPS_S, f"{who} has gone"
        self.owed.discard(somebody)
        self.leaving.pop(somebody, None)
        if lane.kind is LaneKind.VEHICLE:
            before, since = self.turns.get(lane.name, (who, now))
            assert before == who or now - since >= lane.timeout - EPS_S, f"{who} in the turn of {before}"
            self.turns[lane.name] = (cast("Credential", who), now)

    def _failed(self, pending: Pending, told: bool) -> None:  # noqa: FBT001 - whether it was told as opened
        """The relay has failed at an opening, perhaps after that was told."""
        lane, fields = pending.station.lane.rule.name, pending.act.fields
        if told:
            self.openings[_key({**fields, "kind": pending.act.kind, "mono": round(pending.stamp.mono, 3)})] -= 1
        if (who := fields.get("credential")) is not None:
            self.owed.add((lane, cast("Credential", who)))
            if lane in PEOPLES_EXITS:
                self.leaving[lane, cast("Credential", who)] = self.loop.time()

    def _has_left(self, lane: str, who: Credential, now: float) -> bool:
        """Whether they are no longer seen there, or the sensor has seen somebody go and took them for it."""
        presence = self.post._presences.get(who, lane)
        through = presence is not None and presence.through
        return through or now - self._left[lane, who] > RULES[lane].gone

    def _check(self) -> None:
        if self._wrong:
            raise self._wrong[0]
        self.burning = self.burns or (self.burning and not self.clear)
        now = self.loop.time()
        for (lane_name, who), since in list(self.leaving.items()):
            if not self.contacts[lane_name].there:
                self.leaving[lane_name, who] = now
            elif self._has_left(lane_name, who, now):
                del self.leaving[lane_name, who]
            else:
                assert now - since <= OVERDUE_S + EPS_S, f"{who} is not let out"
        for name, station in self.post.stations.items():
            contact, held, lane = self.contacts[name], station.barrier, station.lane
            assert held is not None
            queued, expected = ([one.sighting.credential for one in of] for of in (lane._queue, lane._sensor._expected))
            assert len(queued) == len(set(queued)), f"{name}: somebody has two places"
            assert len(expected) == len(set(expected)), f"{name}: somebody is waited for twice"
            if self.burning:
                owed = contact.wanted or not self.burns
                unsaid = held._left and contact.forgot  # the input has not spoken yet, and the last life is forgotten
                assert contact.closed or (not contact.there and owed) or unsaid, f"{name} is shut under fire"
            elif contact.closed and not held.holders and not held._left:
                assert now - contact.closed_at <= PULSE_S + EPS_S, f"{name} stays open"


def _opens(event: Mapping[str, object]) -> bool:
    """Whether this event says that the post has opened a lane."""
    if event["kind"] == Kind.OPENED:
        return event["by"] != "fire"
    return event["kind"] == Kind.PASSAGE and event["verdict"] == Verdict.ADMIT and "instead" not in event


def _key(event: Mapping[str, object]) -> Key:
    return tuple(event.get(key) for key in ("kind", "lane", "by", "credential", "mono"))
