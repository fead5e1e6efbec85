"""Fire: one input for the whole gate, which holds every barrier open (rule 5 of the design).

- The contact is normally closed: closed is the all-clear. Open, a broken wire, and a module that is lost count as fire.
- Nothing else has a say: the barriers are held in the very turn of the loop that brings the word, before anything is
  logged or written down. No list, decision, journal or center is asked, and none is waited for.
- What is lost stays fire until it is read clear, without a break, for `CLEAR_S`: a contact that flutters does not beat
  the arm on those who run.
- At a start nothing has been read yet: contacts are left as the last life has left them until the input has spoken, or
  has not within `FIRST_S`, which is fire.

Events: `alarm` `fire` when it begins, and again when what was a lost module turns out to be an open contact; `opened`
by `fire` for each lane with a barrier; `system` `fire-ended`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from enum import StrEnum
from typing import Final

from drivers.port import Condition, DriverError, Input, Level, Quiet
from gated.lanes.barrier import FIRE, Barrier
from gated.lanes.station import Station
from gated.logs import FilteringBoundLogger
from protocol.event import Kind, Stamp

DEVICE: Final = "fire"
FIRST_S: Final = 3.0
"""A start waits no longer for the input's first word; a board that answers has answered three times over."""
CLEAR_S: Final = 2.0
"""So long the contact must be closed before the barriers are let go."""
KEEP_S: Final = 1.0
"""How often a relay is told again while it burns: one that was without power for a moment has forgotten."""

_OPEN: Final = "its contact is open, or a wire to it is broken"
_SILENT: Final = f"the input has said nothing within {FIRST_S:.0f} s"

Note = Callable[[Kind, Stamp, Mapping[str, object]], None]
Failed = Callable[[Station, DriverError], None]


class State(StrEnum):
    """What the input says. `OPEN` and `LOST` are fire."""

    UNREAD = "unread"
    CLEAR = "clear"
    OPEN = "open"
    LOST = "lost"


class Fire:
    """The rules, without I/O. Times are monotonic seconds. `due` is when to call `tick`, None for never."""

    def __init__(self, now: float) -> None:
        self.state = State.UNREAD
        self.why = ""
        self.due: float | None = now + FIRST_S

    @property
    def burns(self) -> bool:
        """Whether the barriers are to be held open."""
        return self.state in (State.OPEN, State.LOST)

    def hear(self, report: Level | Condition | Quiet, now: float) -> bool:
        """Take what the input says; whether the state is another one."""
        match report:
            case Level(active=True):
                return self._closed(now)
            case Level():
                return self._is(State.OPEN, _OPEN)
            case Condition(online=False):
                return self._lost(report.why)
        return self.tick(now)

    def tick(self, now: float) -> bool:
        """Let time pass; whether the state is another one."""
        if self.due is None or now < self.due:
            return False
        if self.state is State.UNREAD:
            return self._is(State.LOST, self.why or _SILENT)
        return self._is(State.CLEAR, "")

    def _closed(self, now: float) -> bool:
        if self.state is State.UNREAD:
            return self._is(State.CLEAR, "")
        if self.burns and self.due is None:
            self.due = now + CLEAR_S
        return self.tick(now)

    def _lost(self, why: str) -> bool:
        if self.state is State.UNREAD:  # it may still be found within its time
            self.why = why
            return False
        if self.state is State.OPEN:  # what was seen open is no less a fire for being out of sight
            self.due = None
            return False
        return self._is(State.LOST, why)

    def _is(self, state: State, why: str) -> bool:
        changed, self.state, self.why = state is not self.state, state, why
        self.due = None
        return changed


class FireAlarm:
    """The fire input of the gate, and the barriers of all lanes.

    `stamp` reads the clock, `note` writes down and waits for nothing, `failed` hears which barrier could not be told.
    """

    def __init__(
        self,
        contact: Input,
        stations: Mapping[str, Station],
        *,
        stamp: Callable[[], Stamp],
        note: Note,
        failed: Failed,
        log: FilteringBoundLogger,
    ) -> None:
        self._contact = contact
        self._barriers = {name: (found, found.barrier) for name, found in stations.items() if found.barrier is not None}
        self._stamp = stamp
        self._note = note
        self._failed = failed
        self._log = log
        self._fire = Fire(0.0)
        self._timer: asyncio.TimerHandle | None = None
        self._keep_at = 0.0
        self._began: Stamp | None = None
        self._since = stamp().at
        for _, barrier in self._barriers.values():
            barrier.leave()

    def state(self) -> dict[str, object]:
        """What the input says, since when, and why."""
        return {"state": self._fire.state, "why": self._fire.why, "since": self._since}

    async def reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        """What the input says, after it was acted on."""
        loop = asyncio.get_running_loop()
        self._fire = Fire(loop.time())
        self._wind()
        try:
            async with aclosing(self._contact.reports()) as reports:
                async for report in reports:
                    if self._fire.hear(report, loop.time()):
                        self._turn(loop.time())
                    self._wind()
                    yield report
        finally:
            self._unwind()

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._fire.tick(now):
            self._turn(now)
        elif self._fire.burns and now >= self._keep_at:
            self._hold(now, failed=self._failed)
        self._wind()

    def _unwind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        """See to it that `_tick` comes when there is something to do."""
        self._unwind()
        times = [self._fire.due] if self._fire.due is not None else []
        times += [self._keep_at] if self._fire.burns else []
        if times:
            self._timer = asyncio.get_running_loop().call_at(min(times), self._tick)

    def _turn(self, now: float) -> None:
        """The state is another one: the barriers first, then the word about it."""
        if self._fire.burns:
            # One that is not there yet, as at a start, may be in a moment: it is told of when it is not the next time.
            self._hold(now, failed=lambda *_: None)
            self._begun()
        else:
            self._each(lambda barrier: barrier.let_go(FIRE), self._failed)
            self._ended()

    def _hold(self, now: float, failed: Failed) -> None:
        self._keep_at = now + KEEP_S
        self._each(lambda barrier: barrier.hold(FIRE), failed)

    def _each(self, told: Callable[[Barrier], None], failed: Failed) -> None:
        """Tell all of them, whatever one of them says."""
        for station, barrier in self._barriers.values():
            try:
                told(barrier)
            except DriverError as error:
                failed(station, error)
            except Exception as error:  # noqa: BLE001 - one driver's fault must not keep the others from being told
                failed(station, DriverError(repr(error)))

    def _begun(self) -> None:
        stamp = self._stamp()
        self._since = stamp.at
        state, why = self._fire.state, self._fire.why
        self._note(Kind.ALARM, stamp, {"what": "fire", "state": state, "why": why})
        if self._began is None:
            self._began = stamp
            for station, _ in self._barriers.values():
                act = station.lane.ordered("fire", {})
                self._note(act.kind, stamp, act.fields)
        self._log.error("fire.begun", state=state, why=why, effect="every barrier is held open")

    def _ended(self) -> None:
        stamp = self._stamp()
        self._since = stamp.at
        began, self._began = self._began, None
        if began is not None:
            seconds = round(stamp.mono - began.mono, 1)
            self._note(Kind.SYSTEM, stamp, {"what": "fire-ended", "seconds": seconds})
            self._log.warning("fire.ended", seconds=seconds, effect="the barriers are let go")
        else:
            self._log.info("fire.clear")
