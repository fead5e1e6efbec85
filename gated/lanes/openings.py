"""Openings: what a lane wants done goes to the journal, and only when that has it on disk does the barrier open.

The exceptions are the exits (`Act.exempt`): they open while nothing can be written, or when the disk has not answered
within `OVERDUE_S`; what opened without a record is kept in memory, and written later as `unwritten`. Any other lane is
guard-only for that time: what it would have admitted is flagged, marked `guard_only`, and opens nothing.

An opening at which the relay fails is written down as such (`not-opened`). An exit owes it: when the relay is there
again it opens for whom the lane still sees, once, by a further event (`opened` by `owed`). What is still on its way to
the disk then needs none, since nothing has been said of it yet.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from drivers.port import DriverError
from gated.clock import Timekeeper
from gated.lanes import signals
from gated.lanes.act import Act
from gated.lanes.barrier import Barrier, Lost
from gated.lanes.decide import Now
from gated.lanes.figures import Figures
from gated.lanes.lane import LATE_S
from gated.lanes.station import Devices, Station
from gated.logs import FilteringBoundLogger
from gated.recording.journal import Journal, JournalTrouble
from protocol.credential import masked
from protocol.event import Kind, Stamp, Verdict

OVERDUE_S: Final = 1.0
"""An exit waits no longer than this for the disk."""
RETRY_S: Final = 5.0
"""How often a relay that is there and has failed all the same is tried again for those whom an exit owes an opening."""


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
    how: Callable[[Barrier, Lost], None] = Barrier.open


@dataclass(slots=True, eq=False)
class Pending:
    """An act on its way to the disk and the barrier.

    `told` once the barrier has been told to open, or could not be; `why` it did not open. `settled` once the journal
    has said what became of it, with its `seq` where it is on disk. `retry_at` (monotonic s) is of one that is owed.
    """

    station: Station
    act: Act
    stamp: Stamp
    seen_at: float
    order: Order | None = None
    overdue: asyncio.TimerHandle | None = None
    told: bool = False
    why: str = ""
    settled: bool = False
    seq: int | None = None
    retry_at: float = 0.0


class Openings:
    """Carries out the acts of all lanes, each in its order."""

    def __init__(
        self, journal: Journal, keeper: Timekeeper, devices: Devices, figures: Figures, log: FilteringBoundLogger
    ) -> None:
        self._journal = journal
        self._keeper = keeper
        self._devices = devices
        self._figures = figures
        self._owed: list[Pending] = []
        self._log = log

    def carry_out(self, station: Station, acts: Iterable[Act], seen_at: float) -> None:
        """Do what the lane wants done for what was seen at this time (monotonic s)."""
        for act in acts:
            if act.kind is Kind.ALARM:
                self._log.warning("lane.alarm", lane=station.lane.rule.name, what=act.fields["what"])
            self._write(Pending(station, act, self._keeper.stamp(), seen_at))
        station.light(self._devices, self._keeper.now())

    def ordered(self, station: Station, act: Act, order: Order) -> None:
        """Do what somebody with the right to has ordered."""
        self._write(Pending(station, act, self._keeper.stamp(), self._keeper.now().mono, order))

    def make_up(self, station: Station, *, back: bool = False) -> None:
        """Open an exit for whom it owes that, now that its relay is there, or has just come `back`."""
        now = self._keeper.now()
        there = back or self._is_there(station)
        for pending in [one for one in self._owed if one.station is station]:
            owes = not station.stopped and station.lane.owes(pending.act, now)
            due = there and (back or now.mono >= pending.retry_at)
            if not owes or due:
                self._owed.remove(pending)
            if owes and due:
                self._open_anew(pending, now)

    def barrier_failed(self, station: Station, error: DriverError, of: int | None = None) -> None:
        """A barrier could not be told what it should have been: said once, until an opening succeeds."""
        if station.failing:
            return
        station.failing = True
        lane = station.lane.rule.name
        self._log.error("barrier.failed", lane=lane, why=str(error))
        fields = {"what": "barrier-failed", "lane": lane, "why": str(error), "of": of}
        self._journal.note(Kind.ALARM, self._keeper.stamp(), fields)

    def _write(self, pending: Pending) -> None:
        act = pending.act
        self._journal.write(act.kind, pending.stamp, act.fields, partial(self._written, pending))
        if act.opens and act.exempt:
            pending.overdue = asyncio.get_running_loop().call_later(OVERDUE_S, self._overdue, pending)

    def _overdue(self, pending: Pending) -> None:
        self._log.error("journal.slow", lane=pending.station.lane.rule.name, effect="the exit opens before its record")
        self._open(pending)
        self._tell(pending)

    def _written(self, pending: Pending, word: int | JournalTrouble) -> None:
        act = pending.act
        if pending.overdue is not None:
            pending.overdue.cancel()
        pending.seq = word if isinstance(word, int) else None
        if act.opens and not pending.told and (pending.seq is not None or act.exempt):
            self._open(pending)
        if isinstance(word, JournalTrouble):
            if not pending.told:
                pending.why = pending.why or str(word)
            self._keep(pending)
        self._settle(pending)

    def _keep(self, pending: Pending) -> None:
        act = pending.act
        fields = act.fields
        if act.opens and not pending.told:
            if act.kind is not Kind.PASSAGE:
                return
            fields = {**fields, "verdict": Verdict.FLAG, "guard_only": True}
        self._journal.keep(act.kind, pending.stamp, fields)

    def _open(self, pending: Pending) -> None:
        station, act, now = pending.station, pending.act, self._keeper.now()
        if station.stopped:
            pending.why = "the gate is stopping"
            return
        if _late(pending, now) or not station.lane.wants(act, now):
            pending.why = f"the disk took longer than {LATE_S:.0f} s"
            self._not_opened(pending)
            return
        pending.told, pending.why = True, ""
        station.lane.opened(now, act.of)
        try:
            if station.barrier is not None:
                how = pending.order.how if pending.order is not None else Barrier.open
                how(station.barrier, partial(self._failed, pending))
                station.failing = False
        except DriverError as error:
            self._failed(pending, error)
        shown = signals.Outcome.FLAG if pending.why else signals.Outcome.ADMIT
        station.show(shown, now.mono, silent=act.fields.get("by") == "again")

    def _failed(self, pending: Pending, error: DriverError) -> None:
        """The relay has failed at an opening: at once, or when its pulse's turn came."""
        station, act = pending.station, pending.act
        pending.why = str(error)
        station.lane.failed(act)
        self.barrier_failed(station, error, pending.seq)
        if pending.settled:
            self._not_opened(pending, str(error))
        if act.of is not None and act.of.owed:
            self._owed.append(pending)
            pending.retry_at = self._keeper.now().mono + RETRY_S

    def _not_opened(self, pending: Pending, why: str | None = None) -> None:
        fields = pending.act.fields
        told = {"lane": fields["lane"], "of": pending.seq, "credential": fields.get("credential"), "why": why}
        self._journal.note(Kind.SYSTEM, self._keeper.stamp(), {"what": "not-opened", **told})

    def _open_anew(self, pending: Pending, now: Now) -> None:
        if pending.settled:
            self.carry_out(pending.station, pending.station.lane.make_up(pending.act, now), now.mono)
        else:
            self._open(pending)

    def _is_there(self, station: Station) -> bool:
        relay = self._devices.get(f"{station.lane.rule.name}/barrier")
        return relay is None or relay.online

    def _settle(self, pending: Pending) -> None:
        station, act, now = pending.station, pending.act, self._keeper.now()
        pending.settled = True
        if pending.told and pending.why:
            self._not_opened(pending, pending.why)
        if act.kind is Kind.PASSAGE:
            self._count(pending, now.mono)
        station.lane.settled(act, pending.seq, opened=pending.told, now=now)
        if not pending.told and not station.stopped and (shown := signals.outcome(act)) is not None:
            station.show(shown, now.mono)
        self._tell(pending)
        station.light(self._devices, now)

    def _tell(self, pending: Pending) -> None:
        """Let who ordered it hear what became of it, once."""
        order, pending.order = pending.order, None
        if order is not None:
            order.told(Outcome(pending.told and not pending.why, pending.seq, pending.why))

    def _count(self, pending: Pending, mono: float) -> None:
        fields = pending.act.fields
        took = mono - pending.seen_at
        self._figures.count(fields, pending.seq, pending.stamp.at, admitted=pending.told, took=took)
        credential: Any = fields["credential"]
        self._log.debug(
            "passage",
            lane=fields["lane"],
            verdict=fields["verdict"],
            reason=fields["reason"],
            credential=masked(credential),
            seq=pending.seq,
        )


def _late(pending: Pending, now: Now) -> bool:
    """Whether it was ordered, or a button pressed at an entrance, so long ago that nobody waits for it any more."""
    by_hand = pending.order is not None or (pending.act.of is None and not pending.act.exempt)
    return by_hand and now.mono - pending.seen_at > LATE_S
