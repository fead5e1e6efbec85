"""Carries out tests with a technician's card: the thin shell around `gated.lanes.trial`, one test at a time.

Whoever asks hears each step as it comes; when they hang up, the test is over. A test begins with an event on disk and
ends with another, whatever came of it, so that nobody arms a lane in secret.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from drivers.port import DriverError
from gated.clock import Timekeeper
from gated.lanes.decide import Direction, LaneRule
from gated.lanes.station import Devices, Station
from gated.lanes.trial import Do, End, GiveBack, Open, Tell, Terms, Trial, Write
from gated.logs import FilteringBoundLogger
from gated.recording.journal import Journal, JournalTrouble
from protocol.credential import Credential, CredentialError, canonical
from protocol.event import Kind
from protocol.sighting import Sighting

SECONDS: Final = (1.0, 120.0)
"""For how long a lane may be armed."""
WATCH: Final = (1.0, 60.0)
QUIET_S: Final = 1.0
"""Who listens hears something at least so often."""
_NAME_MAX: Final = 64

News = Mapping[str, object]


class _Refused(Exception):  # noqa: N818 - an answer
    """The test cannot begin; the message says why and what to do."""


class Proving:
    """The test of the post that runs, if one does.

    `would` says what a lane would make of a sighting, `see` gives one back to its lane.
    """

    def __init__(
        self,
        stations: Mapping[str, Station],
        devices: Devices,
        journal: Journal,
        keeper: Timekeeper,
        log: FilteringBoundLogger,
        *,
        would: Callable[[Station, Sighting], Mapping[str, object]],
        see: Callable[[str, Sighting], None],
    ) -> None:
        self._stations = stations
        self._devices = devices
        self._would = would
        self._see = see
        self._journal = journal
        self._keeper = keeper
        self._log = log
        self._trial: Trial | None = None
        self._before: Trial | None = None
        self._news: asyncio.Queue[News] = asyncio.Queue()

    @property
    def lane(self) -> str | None:
        """The lane that is being tested."""
        return self._trial.terms.rule.name if self._trial is not None and not self._trial.ended else None

    def takes(self, rule: LaneRule, sighting: Sighting) -> bool:
        """Whether this sighting is the test's: then the lane does not see it."""
        for trial in (self._trial, self._before):  # the card of the one before may lie there still
            if trial is not None:
                taken, acts = trial.see(rule, sighting, self._mono())
                self._carry_out(trial, acts)
                if taken:
                    return True
        return False

    def passed(self, station: Station) -> bool:
        """Whether it was for the test that somebody went through."""
        trial = self._trial
        if trial is None or trial.terms.rule.name != station.lane.rule.name or station.lane.busy:
            return False
        taken, acts = trial.passed(self._mono())
        self._carry_out(trial, acts)
        return taken

    def tick(self, mono: float) -> None:
        """Let time pass."""
        trial = self._trial
        if trial is None:
            return
        if trial.over(mono):
            self._trial = None
            return
        barrier, name = self._stations[trial.terms.rule.name].barrier, trial.terms.rule.name
        if trial.opening and barrier is not None and not barrier.pulsing:
            output = self._devices.get(f"{name}/barrier")
            if output is not None and not output.online:
                self._carry_out(trial, trial.failed("relay", output.why, mono))
            else:
                self._carry_out(trial, trial.released(mono))
        self._carry_out(trial, trial.tick(mono, self._offline(trial.terms.readers)))

    def journal_failed(self, why: str) -> None:
        """Take word that nothing can be written: then nothing is tested."""
        self._end("journal", why)

    def stop(self) -> None:
        """End the test, with the daemon."""
        self._end("stop", "the daemon was stopped")

    async def run(self, request: Mapping[str, Any], user: str) -> AsyncGenerator[News, None]:
        """A test as `request` asks for it: its steps as they come, the last with `ended` or `error`."""
        try:
            trial = self._arm(request, user)
        except _Refused as refused:
            yield {"error": str(refused)}
            return
        try:
            self._carry_out(trial, trial.begin())
            while True:
                news = await self._next()
                yield news
                if news["step"] == "ended":
                    return
        finally:
            if self._trial is trial:
                self._end("cancelled", "whoever had asked for it hung up")

    def confirm(self) -> News:
        """Take the technician's word that the card is outside."""
        trial = self._trial
        acts = None if trial is None else trial.confirmed(self._mono())
        if trial is None or acts is None:
            return {"error": "no test waits for a card outside; begin again with: gated test-card LANE"}
        self._carry_out(trial, acts)
        return {"ok": True}

    def _arm(self, request: Mapping[str, Any], user: str) -> Trial:
        """The test, begun. Raises _Refused."""
        station = self._stations.get(str(request.get("lane")))
        if station is None:
            raise _Refused(f"there is no such lane; there are {', '.join(self._stations)}")
        terms = self._terms(request, user, station)
        self._refuse(terms, station)
        self._news = asyncio.Queue()
        self._before = self._trial
        self._trial = Trial(terms, partial(self._would, station), self._mono())
        self._log.warning("test.armed", lane=terms.rule.name, user=user, seconds=terms.seconds, opens=terms.opens)
        return self._trial

    def _terms(self, request: Mapping[str, Any], user: str, station: Station) -> Terms:
        lane, sudo = station.lane, request.get("sudo")
        readers = [name for name in self._devices if self._reads(name, lane.rule.name)]
        opens = station.barrier is not None and not request.get("dry")
        watch = _number(request, "watch", WATCH) if request.get("outside") else 0.0
        return Terms(
            rule=lane.rule,
            readers=tuple(readers),
            user=user,
            sudo=sudo[:_NAME_MAX] if isinstance(sudo, str) and sudo.isprintable() else None,
            card=_card(request.get("card")),
            opens=opens,
            watch=watch,
            seconds=_number(request, "seconds", SECONDS),
            present=lane.present(self._mono()),
        )

    def _refuse(self, terms: Terms, station: Station) -> None:
        """Raise _Refused where it may not be tested now."""
        name, state = terms.rule.name, self._journal.state
        if self.lane is not None:
            raise _Refused(f"another test runs, at {self.lane}; one at a time")
        if not state.ok:
            raise _Refused(f"the journal cannot be written ({state.why}); nothing is tested unrecorded: gated doctor")
        offline = self._offline(terms.readers)
        if set(terms.readers) <= set(offline):
            told = "; ".join(f"{reader}: {why}" for reader, why in offline.items()) or "not tried yet"
            raise _Refused(f"no reader of {name} is there: {told}")
        # Whoever leaves must be let out, and the first card may be theirs.
        if (
            terms.rule.direction is Direction.OUT
            and station.barrier is not None
            and not terms.opens
            and terms.card is None
        ):
            raise _Refused("with --dry an exit is tested with --card only: anybody else's card must open it")
        if station.lane.busy or (station.barrier is not None and station.barrier.pulsing):
            raise _Refused(f"somebody is being let through at {name}; try again when they are gone")
        if terms.opens and station.barrier is not None and station.barrier.holders:
            raise _Refused(f"{name} is held open, which proves nothing; wait until it is not, or use --dry")

    def _carry_out(self, trial: Trial, acts: list[Do]) -> None:
        for act in acts:
            match act:
                case Tell(step, fields) if trial is self._trial:  # whoever tests now hears nothing of the one before
                    self._news.put_nowait({"step": step, **fields})
                case Write(fields):
                    told = partial(self._written, trial)
                    self._journal.write(Kind.TEST, self._keeper.stamp(), fields, told)
                case End(fields):
                    self._write_end(fields)
                    self._log.info("test.ended", lane=fields["lane"], result=fields["result"], why=fields["why"])
                case Open():
                    self._open(trial)
                case GiveBack(lane, sighting):
                    self._see(lane, sighting)

    def _write_end(self, fields: Mapping[str, object]) -> None:
        """Write down how it ended, then tell it; at once where the disk or the daemon is what ended it."""
        tell = partial(self._news.put_nowait, {**fields, "step": "ended"})
        at_once = fields["why"] in {"journal", "stop"}
        self._journal.note(Kind.TEST, self._keeper.stamp(), fields, None if at_once else tell)
        if at_once:
            tell()

    def _written(self, trial: Trial, word: int | JournalTrouble) -> None:
        mono = self._mono()
        if isinstance(word, JournalTrouble):
            self._carry_out(trial, trial.failed("journal", str(word), mono))
        else:
            self._carry_out(trial, trial.written(word, mono))

    def _open(self, trial: Trial) -> None:
        barrier = self._stations[trial.terms.rule.name].barrier
        if barrier is None:
            return
        if barrier.holders:
            self._end("relay", "the lane is held open meanwhile, which proves nothing")
            return
        try:
            barrier.open(partial(self._relay_failed, trial))
        except DriverError as error:
            self._relay_failed(trial, error)
        else:
            # Who goes through by it after the test is no tailgater.
            self._stations[trial.terms.rule.name].lane.opened(self._keeper.now())
            self._carry_out(trial, trial.opened(self._mono()))

    def _relay_failed(self, trial: Trial, error: DriverError) -> None:
        self._carry_out(trial, trial.failed("relay", str(error), self._mono()))

    def _end(self, why: str, detail: str) -> None:
        if self._trial is not None:
            self._carry_out(self._trial, self._trial.failed(why, detail, self._mono()))

    async def _next(self) -> News:
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_S):
                return await self._news.get()
        return {"step": "quiet"}

    def _offline(self, readers: tuple[str, ...]) -> dict[str, str]:
        return {name: self._devices[name].why for name in readers if not self._devices[name].online}

    def _reads(self, device: str, lane: str) -> bool:
        return self._devices[device].what == "reader" and device.rpartition("/")[0] == lane

    def _mono(self) -> float:
        return self._keeper.now().mono


def _card(text: object) -> Credential | None:
    if text is None:
        return None
    try:
        return canonical(str(text))
    except CredentialError as error:
        raise _Refused(str(error)) from error


def _number(request: Mapping[str, Any], name: str, bounds: tuple[float, float]) -> float:
    value, (low, high) = request.get(name), bounds
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _Refused(f"{name} is {value!r}; a number from {low:.0f} to {high:.0f} would be right")
    return float(value)
