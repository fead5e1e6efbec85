"""Openings: what a lane wants done goes to the journal, and only when that has it on disk does the barrier open.

The exceptions are the exits (`Act.exempt`): they open while nothing can be written, or when the disk has not answered
within `OVERDUE_S`; what opened without a record is kept in memory, and written later as `unwritten`. Any other lane is
guard-only for that time: what it would have admitted is flagged, marked `guard_only`, and opens nothing.
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
from gated.lanes.barrier import Barrier
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
class Pending:
    """An act on its way to the disk and the barrier.

    `told` once the barrier has been told to open, or could not be; `why` it did not open. `seq` once it is on disk.
    """

    station: Station
    act: Act
    stamp: Stamp
    seen_at: float
    order: Order | None = None
    overdue: asyncio.TimerHandle | None = None
    told: bool = False
    why: str = ""
    seq: int | None = None


class Openings:
    """Carries out the acts of all lanes, each in its order."""

    def __init__(
        self, journal: Journal, keeper: Timekeeper, devices: Devices, figures: Figures, log: FilteringBoundLogger
    ) -> None:
        self._journal = journal
        self._keeper = keeper
        self._devices = devices
        self._figures = figures
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
            fields = {"what": "not-opened", "lane": station.lane.rule.name, "of": pending.seq}
            self._journal.note(Kind.SYSTEM, self._keeper.stamp(), fields)
            return
        pending.told = True
        station.lane.opened(now, act.of)
        try:
            if station.barrier is not None:
                (pending.order.how if pending.order is not None else Barrier.open)(station.barrier)
                station.failing = False
        except DriverError as error:
            pending.why = str(error)
            self.barrier_failed(station, error, pending.seq)
        shown = signals.Outcome.FLAG if pending.why else signals.Outcome.ADMIT
        station.show(shown, now.mono, silent=act.fields.get("by") == "again")

    def _settle(self, pending: Pending) -> None:
        station, act, now = pending.station, pending.act, self._keeper.now()
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
