"""The post: all lanes of the gate, and everything that is said to them.

What readers, inputs and the clock say goes to a lane; what the lane wants done goes to the openings
(`gated.lanes.openings`), which record it before anything opens. By which list and policy the lanes judge is kept here.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drivers.port import Condition
from gated.clock import ClockFact, Timekeeper
from gated.lanes import signals
from gated.lanes.act import Act
from gated.lanes.barrier import Barrier
from gated.lanes.decide import Decision, LaneRule, Last, Now, Policy, decide, ruling
from gated.lanes.display import Display
from gated.lanes.figures import Figures
from gated.lanes.holds import Holds
from gated.lanes.lane import Lane
from gated.lanes.openings import Openings, Order
from gated.lanes.presence import Presence, Presences, restored
from gated.lanes.proving import Proving
from gated.lanes.station import Device, Station
from gated.lists.whitelist import Whitelist, WhitelistError
from gated.logs import FilteringBoundLogger
from gated.recording.journal import Journal
from protocol.credential import canonical
from protocol.event import Kind, Reason, Verdict
from protocol.sighting import Sighting
from protocol.whitelist import Entry


class Post:
    """Everything that happens at the gate. Made once, lives in one event loop."""

    def __init__(
        self, *, journal: Journal, keeper: Timekeeper, whitelist: Whitelist, policy: Policy, log: FilteringBoundLogger
    ) -> None:
        self.stations: dict[str, Station] = {}
        self.devices: dict[str, Device] = {}
        self.figures = Figures()
        self.openings = Openings(journal, keeper, self.devices, self.figures, log)
        self.holds = Holds(self.note)
        self.proving = Proving(self.stations, self.devices, journal, keeper, log, would=self.would, see=self.see)
        self._presences = Presences()
        self._journal = journal
        self._keeper = keeper
        self._whitelist = whitelist
        info = whitelist.info
        self._policy = replace(policy, as_of=info.as_of if info is not None else None)
        self._log = log
        self._list_trouble = ""

    def add(self, rule: LaneRule, barrier: Barrier | None, display: Display | None = None) -> None:
        """Put a lane into the post."""
        self.stations[rule.name] = Station(Lane(rule, self._presences, self._judge), barrier, display)

    def stop(self) -> None:
        """Let go of all contacts and open nothing any more: who still waits, the next life sees anew."""
        self.holds.stop()
        self.proving.stop()
        for station in self.stations.values():
            station.stop()

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
        elif event.get("by") in {"again", "owed"} and event["lane"] == presence.lane.name:
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
            station.show(signals.Outcome.WAITING, self._keeper.now().mono)

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
        self.openings.ordered(station, station.lane.ordered(by, fields), order)

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
        lane, _, part = name.rpartition("/")
        if condition.online and part == "barrier" and lane in self.stations:
            self.openings.make_up(self.stations[lane], back=True)

    def tick(self) -> None:
        """Let time pass: at the lanes, in the list, for the lamps."""
        self.refresh_list()
        now = self._keeper.now()
        for what, credential in self._whitelist.lapse(now.floor):
            self.note(Kind.SYSTEM, {"what": "lapsed", "of": what, "credential": credential})
        for station in self.stations.values():
            self._stays_open(station, now)
            self._do(station, station.lane.tick(now), now.mono)
            self.openings.make_up(station)
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
        if station.held_open or station.failing or not station.lane.opens_by_itself:
            station.lane.stays_open(now)

    def _do(self, station: Station, acts: list[Act], seen_at: float) -> None:
        self.openings.carry_out(station, acts, seen_at)
