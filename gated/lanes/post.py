"""The post: all lanes, and the order in which things happen at them.

What readers, inputs and the clock say goes to a lane; what the lane wants written down goes to the journal; and only
when the journal has it on disk does the barrier open. The exceptions are the exits (`Act.exempt`): they open while
nothing can be written, or when the disk has not answered within `OVERDUE_S`; what opened without a record is kept in
memory, and written later as `unwritten`. Any other lane is guard-only for that time: what it would have admitted is
flagged, marked `guard_only`, and opens nothing.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from drivers.port import Condition, DriverError
from gated.clock import ClockFact, Timekeeper
from gated.lanes import signals
from gated.lanes.barrier import FIRE, Barrier
from gated.lanes.decide import Decision, Direction, LaneRule, Last, Now, Policy, decide, ruling
from gated.lanes.display import Display
from gated.lanes.holds import Holds
from gated.lanes.lane import LATE_S, Act, Lane
from gated.lanes.presence import Presence, Presences, restored
from gated.lanes.proving import Proving
from gated.lists.whitelist import Whitelist, WhitelistError
from gated.logs import FilteringBoundLogger
from gated.recording.journal import Journal, JournalTrouble
from protocol.credential import canonical, masked
from protocol.event import Kind, Reason, Stamp, Verdict
from protocol.sighting import Sighting
from protocol.whitelist import Entry

OVERDUE_S: Final = 1.0
"""An exit waits no longer than this for the disk."""
RECENT: Final = 20
LATENCIES: Final = 1000


@dataclass(slots=True)
class Station:
    """One lane with what hangs on it."""

    lane: Lane
    barrier: Barrier | None = None
    display: Display | None = None
    failing: bool = False


@dataclass(slots=True)
class Device:
    """What is known of one device."""

    what: str
    online: bool = False
    why: str = "not tried yet"
    since: str = ""


@dataclass(slots=True)
class Figures:
    """What the post has done since its start."""

    passages: int = 0
    admitted: int = 0
    flagged: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    recent: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=RECENT))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an opening that was ordered: its event, where it could be written, and why it did not open."""

    opened: bool
    seq: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An opening that was ordered: how, and who hears what became of it, once."""

    told: Callable[[Outcome], None]
    how: Callable[[Barrier], None] = Barrier.open


@dataclass(slots=True)
class _Pending:
    """An act on its way to the disk. `opened` once the barrier has been told; `why` it was not, or could not."""

    station: Station
    act: Act
    stamp: Stamp
    seen_at: float
    opened: bool = False
    overdue: asyncio.TimerHandle | None = None
    order: Order | None = None
    why: str = ""


class Post:
    """Everything that happens at the gate. Made once, lives in one event loop."""

    def __init__(
        self, *, journal: Journal, keeper: Timekeeper, whitelist: Whitelist, policy: Policy, log: FilteringBoundLogger
    ) -> None:
        self.stations: dict[str, Station] = {}
        self.devices: dict[str, Device] = {}
        self.figures = Figures()
        self._presences = Presences()
        self._journal = journal
        self._keeper = keeper
        self._whitelist = whitelist
        info = whitelist.info
        self._policy = replace(policy, as_of=info.as_of if info is not None else None)
        self._log = log
        self._list_trouble = ""
        self._stopped = False
        self.holds = Holds(self.note)
        self.proving = Proving(self, journal, keeper, log)

    def add(self, rule: LaneRule, barrier: Barrier | None, display: Display | None = None) -> None:
        """Put a lane into the post."""
        station = Station(Lane(rule, self._presences, self._judge), barrier, display)
        if barrier is not None:
            barrier.on_lost = partial(self.barrier_failed, station)
        self.stations[rule.name] = station

    def stop(self) -> None:
        """Let go of all contacts and open nothing any more: who still waits, the next life sees anew."""
        self._stopped = True
        self.holds.stop()
        self.proving.stop()
        for station in self.stations.values():
            if station.barrier is not None:
                station.barrier.stop()
            if station.display is not None:
                station.display.stop()

    def restore(self, lines: list[bytes]) -> None:
        """Take up what the last life left unfinished: who was let through just now, by the journal's last lines."""
        now = self._keeper.stamp()
        for one in self.stations.values():
            one.lane.stays_open(self._keeper.now())  # the last life may have opened for whom the sensor sees now
        admitted: dict[int, Presence] = {}
        for line in lines:
            event = json.loads(line)
            station = self.stations.get(event.get("lane", ""))
            if station is None or event["boot"] != now.boot:
                continue
            if (presence := admitted.get(event.get("of"))) is not None:
                self._went_on(presence, event)
            elif event["kind"] == Kind.PASSAGE and event["verdict"] == Verdict.ADMIT:
                sighting = Sighting(event["reader"], canonical(event["credential"]), event["mono"])
                admitted[event["seq"]] = presence = restored(station.lane.rule, sighting, event["seq"])
                self._presences.put(presence)
                self._presences.admitted(presence)
        self._presences.forget(now.mono)

    def _went_on(self, presence: Presence, event: Mapping[str, Any]) -> None:
        """Take what a later event of the last life says of one who was admitted; the last word counts."""
        if event["kind"] == Kind.PASSED:
            presence.through = event["result"] == "through"
            if not presence.through:
                self._presences.withdraw(presence)
        elif event.get("by") == "again":
            presence.seen = event["mono"]
            self._presences.admitted(presence)
        elif event.get("what") == "not-opened":
            self._presences.withdraw(presence)

    def see(self, lane: str, sighting: Sighting) -> None:
        """A reader of this lane has read something."""
        station = self.stations[lane]
        if self.proving.takes(station.lane.rule, sighting):
            return
        waiting = station.lane.waiting
        self._do(station, station.lane.see(sighting, self._keeper.now()), sighting.at)
        if station.lane.waiting > waiting:
            self._show(station, signals.Outcome.WAITING)

    def sensed(self, lane: str, active: bool | None) -> None:  # noqa: FBT001 - a level, None where it is lost
        """The level of the sensor behind this lane's arm."""
        station, now = self.stations[lane], self._keeper.now()
        self._do(station, station.lane.sensed(active, now), now.mono)

    def passed(self, lane: str) -> None:
        """The sensor behind this lane's arm has seen somebody go through; told before its level."""
        station = self.stations[lane]
        if self.proving.passed(station):
            return
        now = self._keeper.now()
        self._stays_open(station, now)
        self._do(station, station.lane.passed(now), now.mono)

    def pressed(self, lane: str) -> None:
        """This lane's button has been pressed."""
        station = self.stations[lane]
        self._do(station, station.lane.button(), self._keeper.now().mono)

    def order(self, lane: str, by: str, fields: Mapping[str, object], order: Order) -> None:
        """Somebody with the right to has ordered that this lane opens; recorded first, like everything else."""
        station = self.stations[lane]
        now = self._keeper.now()
        act = station.lane.ordered(by, fields)
        self._write(_Pending(station, act, self._keeper.stamp(), now.mono, order=order))

    def condition(self, name: str, what: str, condition: Condition) -> None:
        """A device has come or gone: one log line, one event. Only another reason for the same is no news."""
        known = self.devices.get(name)
        if known is not None and known.online is condition.online:
            known.why = condition.why
            return
        stamp = self._keeper.stamp()
        self.devices[name] = Device(what, condition.online, condition.why, stamp.at)
        said = self._log.info if condition.online else self._log.warning
        said("device." + ("online" if condition.online else "offline"), device=name, what=what, why=condition.why)
        fields = {"what": what, "device": name, "online": condition.online, "why": condition.why or None}
        self.note(Kind.SYSTEM, fields)

    def tick(self) -> None:
        """Let time pass: at the lanes, in the list, for the lamps."""
        self.refresh_list()
        now = self._keeper.now()
        for what, credential in self._whitelist.lapse(now.floor):
            self.note(Kind.SYSTEM, {"what": "lapsed", "of": what, "credential": credential})
        for station in self.stations.values():
            self._stays_open(station, now)
            self._do(station, station.lane.tick(now), now.mono)
        self._presences.forget(now.mono)
        self.holds.tick(now.mono)
        self.proving.tick(now.mono)

    def journal_changed(self, ok: bool, why: str) -> None:  # noqa: FBT001 - the journal's own signature
        """The journal can, or can no longer, be written."""
        for station in self.stations.values():
            station.lane.writable = ok
        if ok:
            self._log.info("journal.works")
        else:
            self.proving.journal_failed(why)
            self._log.error(
                "journal.trouble", why=why, effect="guard-only: nothing but exits opens by itself; open by hand"
            )

    def clock(self, facts: list[ClockFact]) -> None:
        """Write down what the clock did."""
        for fact in facts:
            self._log.warning("clock." + str(fact.fields["what"]).removeprefix("clock-"), **fact.fields)
            self.note(fact.kind, fact.fields)

    def refresh_list(self) -> None:
        """Take a newer list into force, between two decisions."""
        before = self._whitelist.info
        if self._whitelist.refresh() and (info := self._whitelist.info) is not None:
            self._policy = replace(self._policy, as_of=info.as_of)
            self._log.info("list.in-force", version=info.version, entries=info.entries)
            was = before.version if before is not None else None
            self.note(Kind.SYSTEM, {"what": "list", "from": was, "to": info.version, "entries": info.entries})
        self._list_fares(self._whitelist.trouble)

    def _list_fares(self, trouble: str) -> None:
        """Tell of a trouble with the list, once."""
        if trouble == self._list_trouble:
            return
        self._list_trouble = trouble
        if trouble:
            self._log.error("list.trouble", why=trouble)
            self.note(Kind.ALARM, {"what": "list-trouble", "why": trouble})

    def rule_by(self, policy: Policy) -> None:
        """Take another policy into force, between two decisions."""
        self._policy = replace(policy, as_of=self._policy.as_of)
        for name, station in self.stations.items():
            station.lane.repeats_within(policy.repeats.get(name))

    def note(self, kind: Kind, fields: Mapping[str, object]) -> None:
        """Write down something that opens nothing."""
        self._journal.note(kind, self._keeper.stamp(), fields)

    def would(self, station: Station, sighting: Sighting) -> Mapping[str, object]:
        """What would be decided on this sighting; nothing comes of it."""
        rule = station.lane.rule
        decision, _ = self._judge(sighting, rule, self._presences.last(sighting.credential), self._keeper.now())
        return {"would": decision.would or decision.reason, "would_open": decision.admits}

    def _judge(
        self, sighting: Sighting, rule: LaneRule, last: Last | None, now: Now
    ) -> tuple[Decision, Mapping[str, object]]:
        entry = self._ruling(sighting, now)
        decision = decide(sighting, rule, entry, last, self._policy, now)
        info = self._whitelist.info
        holder = entry.holder or None if entry is not None else None
        matched = entry.credential if entry is not None and entry.credential != sighting.credential else None
        if decision.reason is Reason.CARD and sighting.card is not None:
            holder = sighting.card.holder or None
        unread = entry is not None and entry.tid is not None and sighting.tid is None
        return decision, {
            "holder": holder,
            "matched": matched,
            "list": info and info.version,
            "chip": "unread" if unread else None,
        }

    def _ruling(self, sighting: Sighting, now: Now) -> Entry | None:
        """The line of the list that decides: what was read in several ways is looked up in all of them."""
        try:
            entries = [self._whitelist.entry(credential) for credential in (sighting.credential, *sighting.also)]
        except WhitelistError as error:
            # An error is never a yes: neither a card of its own nor anything else that was read stands in for the list.
            self._list_fares(str(error))
            return Entry(sighting.credential, "", gone=True)
        return ruling(sighting, entries, self._policy, now)

    def _stays_open(self, station: Station, now: Now) -> None:
        """Tell the lane of a barrier that is held; and where only the guard can open, nobody sees by what they do."""
        held = station.barrier is not None and bool(station.barrier.holders)
        if held or station.failing or not self._opens_by_itself(station.lane):
            station.lane.stays_open(now)

    def _opens_by_itself(self, lane: Lane) -> bool:
        return lane.writable or lane.rule.direction is Direction.OUT

    def _do(self, station: Station, acts: list[Act], seen_at: float) -> None:
        for act in acts:
            if act.kind is Kind.ALARM:
                self._log.warning("lane.alarm", lane=station.lane.rule.name, what=act.fields["what"])
            self._write(_Pending(station, act, self._keeper.stamp(), seen_at))
        self._light(station)

    def _write(self, pending: _Pending) -> None:
        act = pending.act
        self._journal.write(act.kind, pending.stamp, act.fields, partial(self._written, pending))
        if act.opens and act.exempt:
            pending.overdue = asyncio.get_running_loop().call_later(OVERDUE_S, self._overdue, pending)

    def _overdue(self, pending: _Pending) -> None:
        self._log.error("journal.slow", lane=pending.station.lane.rule.name, effect="the exit opens before its record")
        self._open(pending)
        self._tell(pending, None)

    def _written(self, pending: _Pending, word: int | JournalTrouble) -> None:
        act = pending.act
        if pending.overdue is not None:
            pending.overdue.cancel()
        seq = word if isinstance(word, int) else None
        if act.opens and not pending.opened and (seq is not None or act.exempt):
            self._open(pending, seq)
        if isinstance(word, JournalTrouble):
            if not pending.opened:
                pending.why = pending.why or str(word)
            self._keep(pending)
        self._settle(pending, seq)

    def _keep(self, pending: _Pending) -> None:
        act = pending.act
        fields = act.fields
        if act.opens and not pending.opened:
            if act.kind is not Kind.PASSAGE:
                return
            fields = {**fields, "verdict": Verdict.FLAG, "guard_only": True}
        self._journal.keep(act.kind, pending.stamp, fields)

    def _open(self, pending: _Pending, seq: int | None = None) -> None:
        if self._stopped:
            pending.why = "the gate is stopping"
            return
        station, act, now = pending.station, pending.act, self._keeper.now()
        if self._late(pending, now) or not station.lane.wants(act, now):
            pending.why = f"the disk took longer than {LATE_S:.0f} s"
            self.note(Kind.SYSTEM, {"what": "not-opened", "lane": station.lane.rule.name, "of": seq})
            return
        pending.opened = True
        station.lane.opened(now, act.of)
        try:
            if station.barrier is not None:
                (pending.order.how if pending.order is not None else Barrier.open)(station.barrier)
                station.failing = False
        except DriverError as error:
            pending.why = str(error)
            self.barrier_failed(station, error, seq)
        self._show(
            station,
            signals.Outcome.FLAG if pending.why else signals.Outcome.ADMIT,
            silent=act.fields.get("by") == "again",
        )

    def _late(self, pending: _Pending, now: Now) -> bool:
        """Whether it was ordered, or a button pressed at an entrance, so long ago that nobody waits for it any more."""
        by_hand = pending.order is not None or (pending.act.of is None and not pending.act.exempt)
        return by_hand and now.mono - pending.seen_at > LATE_S

    def barrier_failed(self, station: Station, error: DriverError, seq: int | None = None) -> None:
        """A barrier could not be told what it should have been: said once, until an opening succeeds."""
        if station.failing:
            return
        station.failing = True
        lane = station.lane.rule.name
        self._log.error("barrier.failed", lane=lane, why=str(error))
        self.note(Kind.ALARM, {"what": "barrier-failed", "lane": lane, "why": str(error), "of": seq})

    def _settle(self, pending: _Pending, seq: int | None) -> None:
        station, act = pending.station, pending.act
        now = self._keeper.now()
        if act.kind is Kind.PASSAGE:
            self._count(pending, seq, now.mono)
        station.lane.settled(act, seq, opened=pending.opened, now=now)
        if not pending.opened and not self._stopped and (shown := signals.outcome(act)) is not None:
            self._show(station, shown)
        self._tell(pending, seq)
        self._light(station)

    def _tell(self, pending: _Pending, seq: int | None) -> None:
        """Let who ordered it hear what became of it, once."""
        order, pending.order = pending.order, None
        if order is not None:
            order.told(Outcome(pending.opened and not pending.why, seq, pending.why))

    def _count(self, pending: _Pending, seq: int | None, mono: float) -> None:
        figures, fields = self.figures, pending.act.fields
        if "instead" not in fields:  # it takes the place of one that was counted
            admitted = pending.opened
            figures.passages += 1
            figures.admitted += admitted
            figures.flagged += not admitted
            if admitted:
                figures.latencies.append(mono - pending.seen_at)
        figures.recent.append({"seq": seq, "at": pending.stamp.at, **fields})
        credential: Any = fields["credential"]
        self._log.debug(
            "passage",
            lane=fields["lane"],
            verdict=fields["verdict"],
            reason=fields["reason"],
            credential=masked(credential),
            seq=seq,
        )

    def _show(self, station: Station, shown: signals.Outcome, *, silent: bool = False) -> None:
        if station.display is None:
            return
        if _burns(station):  # whoever it is must not be told to wait
            shown, silent = signals.Outcome.ADMIT, True
        station.display.show(shown, self._keeper.now().mono, silent=silent)

    def _light(self, station: Station) -> None:
        if station.display is not None and station.display.there and not self._stopped:
            now = self._keeper.now()
            wanted = bool(station.lane.held(now))
            trouble = None if _burns(station) else self._trouble(station.lane)
            station.display.tick(now.mono, wanted=wanted, trouble=trouble)

    def _trouble(self, lane: Lane) -> signals.Outcome | None:
        """What is the matter with the lane itself."""
        if not self._opens_by_itself(lane):
            return signals.Outcome.GUARD_ONLY
        of_lane = f"{lane.rule.name}/"
        readers = [one for name, one in self.devices.items() if one.what == "reader" and name.startswith(of_lane)]
        return signals.Outcome.OFFLINE if readers and not any(one.online for one in readers) else None


def _burns(station: Station) -> bool:
    return station.barrier is not None and FIRE in station.barrier.holders
