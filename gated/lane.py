"""A lane: turns what its readers see into passages. A state machine without I/O; time is an argument.

Sightings, the `passed` sensor, the button and the clock go in; what is to be written down, and whether the barrier
opens with it, comes out as `Act`s. The post writes each act down and tells the lane what became of it (`settled`).

Rules:

- Hands-free: a tag that is seen again and again is one passage until it has been gone for `gone` seconds. Back at the
  same lane within `repeat` it still belongs to that passage: it is not recorded anew, and if it was admitted it is
  judged again and let through again (`opened` by `again`). Admitted at another lane meanwhile, it begins a new one.
- A tag that two lanes see is one passage, of the lane that saw it first. A stronger signal at the other lane moves the
  record there (`instead`), never the barrier. A person's exit opens all the same (`opened` by `exit`); a vehicle at an
  exit whose tag an entrance has seen first waits for the guard as long as both see it.
- What is flagged is judged again at most each `REJUDGE_S` while it stays: a list or an hour may have changed. Only
  an admission is news. While nothing can be written only exits judge again, since they open all the same.
- Vehicles pass one at a time: while one has its turn, the next waits and is judged when its turn comes; the time
  it waited is no part of its age. `passed` ends a turn, else `timeout` does. What waits and is no longer seen lapses
  after `timeout`, and is recorded as `stale`.
- With a `passed` sensor, a vehicle or person that has gone through and comes back the same way is a `repeat`.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gated.decide import Decision, Direction, LaneKind, LaneRule, Last, Now
from gated.presence import Presence, Presences, Standing
from protocol.credential import Credential
from protocol.event import Kind, Reason, Verdict
from protocol.sighting import Sighting

REJUDGE_S: Final = 1.0
STRONGER_DB: Final = 6.0

Judge = Callable[[Sighting, LaneRule, Last | None, Now], tuple[Decision, Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Act:
    """Something to write down; with `opens` the barrier opens once it is written.

    `exempt` are people's and vehicles' exits, which open even while nothing can be written. `of` is the presence
    that it is about, None for what no tag has caused.
    """

    kind: Kind
    fields: Mapping[str, object]
    opens: bool = False
    exempt: bool = False
    of: Presence | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Someone flagged who waits for the guard. `since` is monotonic seconds."""

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
        self._presences = presences
        self._judge = judge
        self._queue: deque[Presence] = deque()
        self._turn: Presence | None = None
        self._turn_ends = 0.0
        self._admitted: deque[Presence] = deque()

    def see(self, sighting: Sighting, now: Now) -> list[Act]:
        """Take a sighting."""
        known = self._presences.get(sighting.credential, self.rule.name)
        if known is None or not known.here(sighting.at):
            return self._appear(sighting, known, now)
        known.refresh(sighting, now.mono)
        if known.standing is Standing.FLAGGED and self._judges_again and now.mono - known.judged >= REJUDGE_S:
            return self._rejudge(known, now)
        if known.standing is Standing.SHADOWED:
            return self._shadow(known, now)
        return []

    def passed(self, now: Now) -> list[Act]:
        """Take word from the sensor behind the arm: somebody has gone through."""
        presence = self._turn if self.rule.kind is LaneKind.VEHICLE else self._oldest_admitted(now)
        if presence is None:
            return [Act(Kind.PASSED, self._fields(result="through"))]
        presence.through = True
        self._turn = None
        return [Act(Kind.PASSED, self._fields(result="through", of=presence.seq)), *self._next_turn(now)]

    def button(self) -> list[Act]:
        """Take a press of the lane's button, which always opens."""
        return [Act(Kind.OPENED, self._fields(by="button"), opens=True, exempt=self.rule.direction is Direction.OUT)]

    def ordered(self, by: str, fields: Mapping[str, object]) -> Act:
        """The opening that somebody with the right to has ordered; `by` and `fields` say who and why."""
        exempt = self.rule.direction is Direction.OUT
        return Act(Kind.OPENED, self._fields(by=by, **fields), opens=True, exempt=exempt)

    def tick(self, now: Now) -> list[Act]:
        """Let time pass: turns end, waiting lapses."""
        acts = list(self._lapse(now))
        if self._turn is not None and now.mono >= self._turn_ends:
            if self.rule.senses:
                acts.append(Act(Kind.PASSED, self._fields(result="turned-back", of=self._turn.seq)))
            self._turn = None
        # A sensor that never fires must not make us remember everybody.
        self._admitted = deque(p for p in self._admitted if now.mono - p.seen <= self.rule.timeout)
        return acts + self._next_turn(now)

    def settled(self, act: Act, seq: int | None, *, opened: bool, now: Now) -> None:
        """Learn what became of an act: its seq once it is on disk, and whether it opened the barrier."""
        presence = act.of
        if presence is None:
            return
        if seq is not None and act.kind is Kind.PASSAGE:
            presence.seq = seq
        if not act.opens or opened:
            return
        if act.kind is Kind.PASSAGE:
            self._presences.withdraw(presence)
        if presence in self._admitted:
            self._admitted.remove(presence)
        presence.standing = Standing.FLAGGED
        presence.judged = now.mono
        if self._turn is presence:
            self._turn = None

    def held(self, now: Now) -> list[Held]:
        """Who waits for the guard, longest first."""
        found = [
            Held(p.sighting.credential, p.reason, p.since, p.seen, p.count)
            for p in self._presences.at_lane(self.rule.name)
            if p.standing is Standing.FLAGGED and p.reason is not None and now.mono - p.seen <= self.rule.hold
        ]
        return sorted(found, key=lambda held: held.since)

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
        return self._turn is not None or bool(self._queue) or bool(self._admitted)

    def present(self, at: float) -> dict[Credential, float]:
        """Who is in the field now, by when they were last seen."""
        here = self._presences.at_lane(self.rule.name)
        return {one.sighting.credential: one.seen for one in here if one.here(at)}

    def _appear(self, sighting: Sighting, known: Presence | None, now: Now) -> list[Act]:
        other = self._presences.elsewhere(sighting.credential, self.rule.name, sighting.at)
        if other is not None:
            if known is not None and known in self._queue:
                self._queue.remove(known)
            presence = self._new(sighting, Standing.SHADOWED, now)
            return self._exit_beside(presence, other) + self._shadow(presence, now)
        if known is None or not self._same_passage(known, sighting):
            return self._admit_or_wait(self._new(sighting, Standing.WAITING, now), now)
        known.refresh(sighting, now.mono)
        if known.standing is Standing.FLAGGED and not self._judges_again:
            return []
        return self._admit_or_wait(known, now)

    @property
    def _judges_again(self) -> bool:
        return self.writable or self.rule.direction is Direction.OUT

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
            return self._admit(presence, decision, by, now, again=was is Standing.ADMITTED)
        if was is Standing.FLAGGED and presence.reason is decision.reason:
            return []
        presence.standing, presence.reason = Standing.FLAGGED, decision.reason
        return [self._passage(presence, decision, by)]

    def _admit(
        self, presence: Presence, decision: Decision, by: Mapping[str, object], now: Now, *, again: bool
    ) -> list[Act]:
        presence.standing, presence.reason = Standing.ADMITTED, decision.reason
        self._presences.admitted(presence)
        if self.rule.kind is LaneKind.VEHICLE:
            self._turn, self._turn_ends = presence, now.mono + self.rule.timeout
        elif self.rule.senses and presence not in self._admitted:
            self._admitted.append(presence)
        if again:
            return [self._opened(presence, "again", of=presence.seq)]
        return [self._passage(presence, decision, by, opens=True)]

    def _rejudge(self, presence: Presence, now: Now) -> list[Act]:
        sighting = presence.sighting
        presence.judged = now.mono
        decision, _ = self._judge(sighting, self.rule, self._presences.last(sighting.credential), now)
        if not decision.admits:
            return []
        presence.standing = Standing.WAITING
        return self._admit_or_wait(presence, now)

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
        other.standing = Standing.SHADOWED
        presence.standing = Standing.ADMITTED if decision.admits else Standing.FLAGGED
        presence.reason, presence.judged = decision.reason, now.mono
        if decision.admits:
            self._presences.admitted(presence)
        return [self._passage(presence, decision, {**by, "instead": other.seq})]

    def _exit_beside(self, presence: Presence, other: Presence) -> list[Act]:
        if self.rule.kind is not LaneKind.PERSON or self.rule.direction is not Direction.OUT:
            return []
        return [self._opened(presence, "exit", of=other.seq)]

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
                yield self._passage(presence, Decision(Verdict.FLAG, Reason.STALE), {})

    def _oldest_admitted(self, now: Now) -> Presence | None:
        while self._admitted:
            presence = self._admitted.popleft()
            if now.mono - presence.seen <= self.rule.timeout:
                return presence
        return None

    def _passage(self, presence: Presence, decision: Decision, by: Mapping[str, object], *, opens: bool = False) -> Act:
        sighting = presence.sighting
        fields = self._fields(
            credential=sighting.credential,
            also=list(sighting.also) or None,
            verdict=decision.verdict,
            reason=decision.reason,
            would=decision.would,
            **by,
            reader=sighting.reader,
            signal=sighting.signal,
        )
        return Act(Kind.PASSAGE, fields, opens, opens and self.rule.direction is Direction.OUT, presence)

    def _opened(self, presence: Presence, by: str, *, of: int | None) -> Act:
        fields = self._fields(by=by, of=of, credential=presence.sighting.credential)
        return Act(Kind.OPENED, fields, opens=True, exempt=self.rule.direction is Direction.OUT, of=presence)

    def _fields(self, **fields: object) -> dict[str, object]:
        return {"lane": self.rule.name, "direction": self.rule.direction, **fields}


def _stronger(sighting: Sighting, other: Presence) -> bool:
    return sighting.signal is not None and other.signal is not None and sighting.signal > other.signal + STRONGER_DB
