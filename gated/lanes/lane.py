"""A lane: turns what its readers see into passages. A state machine without I/O; time is an argument.

Sightings, the `passed` sensor, the button and the clock go in; what is to be written down, and whether the barrier
opens with it, comes out as `Act`s. Whoever carries one out (`gated.lanes.openings`) asks and tells the lane, in this
order: is it still to open (`wants`), it opens (`opened`), the relay has failed at it (`failed`), what became of it on
disk (`settled`). At an exit that cannot wait for the disk `settled` comes last all the same.

Rules:

- Hands-free: a tag that is seen again and again is one passage until it has been gone for `gone` seconds. Back at the
  same lane within `repeat` it still belongs to that passage: it is not recorded anew, and if it was admitted it is
  judged again and let through again (`opened` by `again`). Admitted at another lane meanwhile, it begins a new one.
- A tag that two lanes see is one passage, of the lane that saw it first. A stronger signal at the other lane moves the
  record there (`instead`), never the barrier. A person's exit opens all the same (`opened` by `exit`); a vehicle at an
  exit whose tag an entrance has seen first waits for the guard as long as both see it.
- A chip's own number may be read after its tag was let through. Where it shows a copy, that is recorded, flagged as
  `clone`: the barrier is open, but somebody looks. From then on the tag is judged as one whose number is known.
- What is flagged is judged again at most each `REJUDGE_S` while it stays: a list or an hour may have changed. Only
  an admission is news. While nothing can be written only exits judge again, since they open all the same.
- Vehicles pass one at a time: while one has its turn, the next waits and is judged when its turn comes; the time
  it waited is no part of its age. `passed` ends a turn, else `timeout` from its opening on, but not while somebody is
  on the sensor. What waits and is no longer seen lapses after `timeout`, and is recorded as `stale`.
- An entrance opens for nobody who has been flagged since, nor for whom it has not seen for `LATE_S` (or `gone`), nor
  for one after whom another has come with that tag: while the disk took its time they have gone.
- An exit whose relay fails at an opening owes it to whom it was for as long as it sees them: they are judged again and
  let through when the relay is back (`opened` by `owed`), a vehicle while it still has its turn, which it keeps.
- With a `passed` sensor (`gated.lanes.sensor`), a vehicle or person that has gone through and comes back the same way
  is a `repeat`; one that has turned back has passed nowhere, and is let through again, here or elsewhere. Whoever goes
  through though nothing has let them is a tailgater.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gated.lanes.act import Act, fields, opening, passage
from gated.lanes.decide import Decision, Direction, LaneKind, LaneRule, Last, Now
from gated.lanes.presence import Presence, Presences, Standing
from gated.lanes.sensor import STUCK_S, Sensor
from protocol.credential import Credential
from protocol.event import Kind, Reason, Verdict
from protocol.sighting import Sighting

REJUDGE_S: Final = 1.0
LATE_S: Final = 10.0
"""What the disk has taken longer than this for opens nothing: whoever it was for has gone on."""
STRONGER_DB: Final = 6.0

Judge = Callable[[Sighting, LaneRule, Last | None, Now], tuple[Decision, Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Held:
    """Someone flagged who waits for the guard, `since` when, last `seen` when (monotonic s), and read how often."""

    credential: Credential
    reason: Reason
    since: float
    seen: float
    count: int


class Lane:
    """One lane's state. `judge` gives the decision on a sighting and the fields that say by which list.

    `writable` is the post's word that the journal can be written; while it cannot, nothing flagged is judged again
    but at an exit.
    """

    def __init__(self, rule: LaneRule, presences: Presences, judge: Judge) -> None:
        self.rule = rule
        self.writable = True
        self._configured = rule
        self._presences = presences
        presences.heed(rule)
        self._judge = judge
        self._queue: deque[Presence] = deque()
        self._turn: Presence | None = None
        self._turn_ends = 0.0
        self._sensor = Sensor(rule.timeout)

    def repeats_within(self, seconds: float | None) -> None:
        """Take another repeat time; None: the configured one."""
        self.rule = self._configured if seconds is None else replace(self._configured, repeat=seconds)
        self._presences.heed(self.rule)

    def see(self, sighting: Sighting, now: Now) -> list[Act]:
        """Take a sighting."""
        known = self._presences.get(sighting.credential, self.rule.name)
        if known is None or not known.here(sighting.at):
            return self._appear(sighting, known, now)
        late = known.sighting.tid is None and sighting.tid is not None
        known.refresh(sighting, now.mono)
        if known.standing is Standing.ADMITTED and late:
            return self._unmask(known, now)
        if known.standing is Standing.FLAGGED and self.opens_by_itself and now.mono - known.judged >= REJUDGE_S:
            return self._rejudge(known, now)
        if known.standing is Standing.SHADOWED:
            return self._shadow(known, now)
        return []

    def sensed(self, active: bool | None, now: Now) -> list[Act]:  # noqa: FBT001 - a level, None where it is lost
        """Take the level of the sensor behind the arm: somebody is on it, or nobody, or it is lost."""
        acts = list(self._turned_back(now))
        self._sensor.sense(active, now.mono)
        return acts

    def passed(self, now: Now) -> list[Act]:
        """Take word from the sensor behind the arm: somebody has gone through."""
        acts = list(self._turned_back(now))
        presence = self._sensor.gone_through(self._turn)
        if presence is None:
            return [*acts, Act(Kind.PASSED, fields(self.rule, result="through")), *self._tailgater(now)]
        acts.append(Act(Kind.PASSED, fields(self.rule, result="through", of=presence.seq)))
        if self._turn is presence:
            self._turn = None
        return [*acts, *self._next_turn(now)]

    def wants(self, act: Act, now: Now) -> bool:
        """Whether an act that is on disk is still to open for whom it was about."""
        presence = act.of
        if act.exempt or presence is None:
            return True
        replaced = self._presences.get(presence.sighting.credential, self.rule.name) is not presence
        unseen = now.mono - max(presence.seen, presence.judged)
        return presence.standing is not Standing.FLAGGED and not replaced and unseen <= max(LATE_S, self.rule.gone)

    def opened(self, now: Now, of: Presence | None = None) -> None:
        """Learn that the barrier is being opened, for this presence or for somebody of whom nothing was read."""
        if of is None:
            self._sensor.opened(now.mono)
            return
        if of.owed and of.standing is Standing.ADMITTED:
            self._presences.admitted(of)
        of.asked, of.owed, of.let = False, False, of.let or of.standing is Standing.ADMITTED
        self._expect(of)
        if self._turn is of:
            self._turn_ends = now.mono + self.rule.timeout

    def failed(self, act: Act) -> None:
        """Learn that the relay has failed at this opening: nobody was let through by it, and an exit owes it."""
        if act.of is not None:
            act.of.owed = act.exempt
            if act.kind is Kind.PASSAGE:
                self._presences.withdraw(act.of)

    def owes(self, act: Act, now: Now) -> bool:
        """Whether an opening at which the relay has failed is still due."""
        return act.of is not None and not act.of.asked and _waits_for_relay(act.of, now)

    def make_up(self, act: Act, now: Now) -> list[Act]:
        """Open anew for whom the relay has failed, if that is still what is decided of them."""
        presence = act.of
        if presence is None:
            return []
        if presence.standing is not Standing.SHADOWED:
            return self._judged(presence, now, waited=now.mono - presence.arrived)
        presence.asked = True
        return [opening(self.rule, "owed", presence, of=act.fields.get("of", presence.seq))]

    def stays_open(self, now: Now) -> None:
        """Learn, again and again, that the barrier is held open: any number may go through."""
        self._sensor.stays_open(now.mono)

    def button(self) -> list[Act]:
        """Take a press of the lane's button, which always opens."""
        return [opening(self.rule, "button")]

    def ordered(self, by: str, who: Mapping[str, object]) -> Act:
        """The opening that somebody with the right to has ordered; `by` says how, `who` says who and why."""
        return opening(self.rule, by, **who)

    def tick(self, now: Now) -> list[Act]:
        """Let time pass: turns end, waiting lapses."""
        acts = list(self._lapse(now))
        if self._turn is not None and now.mono >= self._turn_ends and not self._stays(self._turn, now):
            self._turn = None
        acts += self._turned_back(now)
        if self._sensor.stuck(now.mono):
            acts.append(Act(Kind.ALARM, {"what": "sensor-stuck", "lane": self.rule.name, "seconds": STUCK_S}))
        return acts + self._next_turn(now)

    def settled(self, act: Act, seq: int | None, *, opened: bool, now: Now) -> None:
        """Learn what became of an act: its seq if it is on disk, and whether the barrier was told to open by it."""
        presence = act.of
        if presence is None:
            return
        if seq is not None and act.kind is Kind.PASSAGE:
            presence.seq = seq
        if act.opens:
            presence.asked = False
        if not act.opens or opened:
            return
        if act.kind is Kind.PASSAGE:
            self._presences.withdraw(presence)
        self._sensor.drop(presence)
        presence.standing = Standing.FLAGGED
        presence.judged = now.mono
        if self._turn is presence:
            self._turn = None

    def held(self, now: Now) -> list[Held]:
        """Who waits for the guard, longest first."""
        found = [
            Held(p.sighting.credential, p.reason, p.since, p.seen, p.count)
            for p in self._flagged(now)
            if p.reason is not None
        ]
        return sorted(found, key=lambda held: held.since)

    @property
    def crowd(self) -> int:
        """Among how many `held` has to look."""
        return self._presences.count

    @property
    def opens_by_itself(self) -> bool:
        """Whether what is read here may open it now; else it is guard-only."""
        return self.writable or self.rule.direction is Direction.OUT

    @property
    def turn(self) -> Credential | None:
        """Whose turn it is, on a lane for vehicles."""
        return self._turn.sighting.credential if self._turn is not None else None

    @property
    def waiting(self) -> int:
        """How many vehicles wait for their turn."""
        return len(self._queue)

    @property
    def busy(self) -> bool:
        """Whether somebody has been let through, or waits to be, of whom the sensor has still to tell."""
        return self._turn is not None or bool(self._queue) or self._sensor.expecting

    def present(self, at: float) -> dict[Credential, float]:
        """Who is in the field now, by when they were last seen."""
        here = self._presences.at_lane(self.rule.name)
        return {one.sighting.credential: one.seen for one in here if one.here(at)}

    def _appear(self, sighting: Sighting, known: Presence | None, now: Now) -> list[Act]:
        other = self._presences.elsewhere(sighting.credential, self.rule.name, sighting.at)
        if known is not None and other is None and self._same_passage(known, sighting):
            known.owed = False
            known.refresh(sighting, now.mono)
            if known.standing is Standing.FLAGGED and not self.opens_by_itself:
                return []
            return self._admit_or_wait(known, now)
        if known is not None and known in self._queue:
            self._queue.remove(known)
        if other is None:
            return self._admit_or_wait(self._new(sighting, Standing.WAITING, now), now)
        presence = self._new(sighting, Standing.SHADOWED, now)
        return self._exit_beside(presence, other) + self._shadow(presence, now)

    def _new(self, sighting: Sighting, standing: Standing, now: Now) -> Presence:
        presence = Presence(
            self.rule, sighting, now.mono, standing, seen=sighting.at, since=now.mono, signal=sighting.signal
        )
        self._presences.put(presence)
        return presence

    def _same_passage(self, known: Presence, sighting: Sighting) -> bool:
        if known.standing is Standing.SHADOWED or known.through:
            return False
        if known.standing is Standing.WAITING:
            return True
        last = self._presences.last(sighting.credential)
        if known.standing is Standing.ADMITTED and last is not None and last.lane != self.rule.name:
            return False  # it has been let out, or in, elsewhere since
        return sighting.at - known.seen <= self.rule.repeat

    def _admit_or_wait(self, presence: Presence, now: Now) -> list[Act]:
        busy = self._turn is not presence and (self._turn is not None or bool(self._queue))
        if self.rule.kind is LaneKind.VEHICLE and busy:
            if presence not in self._queue:
                self._queue.append(presence)
            return []
        return self._judged(presence, now)

    def _judged(self, presence: Presence, now: Now, *, waited: float = 0.0) -> list[Act]:
        sighting = presence.sighting
        if waited:
            sighting = replace(sighting, at=sighting.at + waited)
        decision, by = self._judge(sighting, self.rule, self._presences.last(sighting.credential), now)
        was, presence.judged = presence.standing, now.mono
        if decision.admits:
            return self._admit(presence, decision, by, again=was is Standing.ADMITTED)
        if was is Standing.FLAGGED and presence.reason is decision.reason:
            return []
        presence.standing, presence.reason = Standing.FLAGGED, decision.reason
        return [passage(self.rule, presence, decision, by)]

    def _admit(self, presence: Presence, decision: Decision, by: Mapping[str, object], *, again: bool) -> list[Act]:
        presence.standing, presence.reason = Standing.ADMITTED, decision.reason
        self._presences.admitted(presence)
        if self.rule.kind is LaneKind.VEHICLE:
            self._turn, self._turn_ends = presence, math.inf  # it runs from the opening
        self._expect(presence)
        if presence.asked:
            return []  # what is on its way opens for it
        presence.asked = True
        if again:
            return [opening(self.rule, "owed" if presence.owed else "again", presence, of=presence.seq)]
        presence.seq = None
        return [passage(self.rule, presence, decision, by, opens=True)]

    def _rejudge(self, presence: Presence, now: Now) -> list[Act]:
        sighting = presence.sighting
        presence.judged = now.mono
        decision, _ = self._judge(sighting, self.rule, self._presences.last(sighting.credential), now)
        if not decision.admits:
            return []
        presence.standing = Standing.WAITING
        return self._admit_or_wait(presence, now)

    def _unmask(self, presence: Presence, now: Now) -> list[Act]:
        """Judge one who was let through before its chip's number was known."""
        decision, by = self._judge(presence.sighting, self.rule, None, now)
        if decision.admits or decision.reason is not Reason.CLONE:
            return []
        presence.standing, presence.reason, presence.judged = Standing.FLAGGED, decision.reason, now.mono
        self._presences.withdraw(presence)
        return [passage(self.rule, presence, decision, by)]

    def _shadow(self, presence: Presence, now: Now) -> list[Act]:
        sighting = presence.sighting
        other = self._presences.elsewhere(sighting.credential, self.rule.name, sighting.at)
        if other is None:
            presence.standing = Standing.WAITING
            return self._admit_or_wait(presence, now)
        if not _stronger(sighting, other) or other.seq is None or other.standing is Standing.WAITING:
            return []
        last = self._presences.last(sighting.credential)
        if last is not None and last.lane == other.lane.name:
            last = None
        decision, by = self._judge(sighting, self.rule, last, now)
        other.standing, other.let = Standing.SHADOWED, False
        presence.standing = Standing.ADMITTED if decision.admits else Standing.FLAGGED
        presence.reason, presence.judged = decision.reason, now.mono
        if decision.admits:
            self._presences.admitted(presence)
            self._expect(presence)
        return [passage(self.rule, presence, decision, {**by, "instead": other.seq})]

    def _exit_beside(self, presence: Presence, other: Presence) -> list[Act]:
        if self.rule.kind is not LaneKind.PERSON or self.rule.direction is not Direction.OUT:
            return []
        self._expect(presence)
        return [opening(self.rule, "exit", presence, of=other.seq)]

    def _expect(self, presence: Presence) -> None:
        # An exit opens for whom another lane has, so that they may have gone before the passage is this lane's.
        if self.rule.senses and not presence.through:
            self._sensor.expect(presence)

    def _turned_back(self, now: Now) -> Iterator[Act]:
        for presence in self._sensor.turned_back(self._turn, now.mono):
            self._presences.withdraw(presence)
            yield Act(Kind.PASSED, fields(self.rule, result="turned-back", of=presence.seq))

    def _tailgater(self, now: Now) -> list[Act]:
        """The alarm for one who went through; none where an opening explains it."""
        if self._sensor.explained(now.mono):
            return []
        flagged = max(self._flagged(now), key=lambda presence: presence.seen, default=None)
        who = {} if flagged is None else {"credential": flagged.sighting.credential, "of": flagged.seq}
        return [Act(Kind.ALARM, {"what": "tailgater", **fields(self.rule, **who)})]

    def _flagged(self, now: Now) -> Iterator[Presence]:
        for presence in self._presences.at_lane(self.rule.name):
            if presence.standing is Standing.FLAGGED and now.mono - presence.seen <= self.rule.hold:
                yield presence

    def _stays(self, presence: Presence, now: Now) -> bool:
        """Whether a vehicle keeps its turn beyond its time: it may be on the sensor, or could not go."""
        return self._sensor.occupied(now.mono) or _waits_for_relay(presence, now)

    def _next_turn(self, now: Now) -> list[Act]:
        acts: list[Act] = []
        while self._turn is None and self._queue:
            presence = self._queue.popleft()
            if self._presences.elsewhere(presence.sighting.credential, self.rule.name, now.mono) is not None:
                presence.standing = Standing.SHADOWED
                continue
            acts += self._judged(presence, now, waited=now.mono - presence.arrived)
        return acts

    def _lapse(self, now: Now) -> Iterator[Act]:
        for presence in [p for p in self._queue if now.mono - p.seen > self.rule.timeout]:
            self._queue.remove(presence)
            if presence.standing is Standing.WAITING:
                presence.standing, presence.reason = Standing.FLAGGED, Reason.STALE
                yield passage(self.rule, presence, Decision(Verdict.FLAG, Reason.STALE), {})


def _waits_for_relay(presence: Presence, now: Now) -> bool:
    flagged_or_gone = presence.standing is Standing.FLAGGED or presence.through or not presence.here(now.mono)
    return presence.owed and not flagged_or_gone


def _stronger(sighting: Sighting, other: Presence) -> bool:
    return sighting.signal is not None and other.signal is not None and sighting.signal > other.signal + STRONGER_DB
