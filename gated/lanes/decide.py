"""The decision: admit or flag, and why. A pure function of what was read, what the list says, and the time.

Nothing but the credential and its entry can change it: there is no name, origin or category here to look at.

The first reason that holds is given, in this order:

1. hard ones, which also keep a vehicle from leaving: no entry (`unknown`; a valid visitor's pass is flagged `pass`),
   `suspended`, `clone`, `stale`;
2. soft ones: `not-yet`, `expired`, `wrong-lane`, `clock`, `schedule`, `repeat`;
3. none: `listed`, or `card`.

`card` stands for an entry where none is: a signed e-ID by a registrar's key that counts now, issued after the list in
force was made (`as_of`), at most `CARD_AGE_S` ago; a clock that was never set cannot tell how long (`clock`). A list
that says `gone` has taken it back. An e-ID on a list needs its proof all the same: without one, or read from another
chip than its own, it is a `clone`.

People can always leave: a person's exit admits whatever is read, a vehicle's exit whatever has no hard reason. Such a
passage has the reason `exit`, and `would` says what it would have been.

One thing read two ways (an on-board unit, and the plate in it) has two credentials. `ruling` says which line of the
list decides: that of what was read first, else of the others in their order. A line that takes any of them out of
force comes before all.

Dates are judged by validity time, hours of the day by `Now.hours`, lapses of a suspension by the floor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from gated.lanes.schedule import Schedule
from protocol.event import ClockQuality, Reason, Verdict
from protocol.sighting import Sighting, SignedCard
from protocol.whitelist import SUSPENSION_S, Entry

CARD_AGE_S: Final = 7 * 24 * 3600.0
_EID: Final = "eid:"
_PASS: Final = "pass:"  # noqa: S105 - a visitor's pass, no secret


class LaneKind(StrEnum):
    """Who passes."""

    PERSON = "person"
    VEHICLE = "vehicle"


class Direction(StrEnum):
    """Which way, seen from the community."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class LaneRule:
    """What a lane is, as far as deciding goes. Times in seconds; `senses` where it has a `passed` input."""

    name: str
    kind: LaneKind
    direction: Direction
    gone: float = 3.0
    stale: float = 2.0
    repeat: float = 60.0
    timeout: float = 10.0
    hold: float = 30.0
    senses: bool = False


@dataclass(frozen=True, slots=True)
class Last:
    """The credential's last admitted passage.

    `at` is when it was last seen there (monotonic s); `through` if the sensor saw somebody go.
    """

    lane: str
    direction: Direction
    at: float
    through: bool = False


@dataclass(frozen=True, slots=True)
class Now:
    """The time, as a decision needs it: monotonic s, validity time and floor (POSIX s), local time for hours."""

    mono: float
    validity: float
    floor: float
    hours: datetime
    clock: ClockQuality


@dataclass(frozen=True, slots=True)
class Policy:
    """What the committee has decided: hours by name, holidays, keys whose cards count, the list's own date.

    `repeats` are the lanes' repeat times where the committee has set them, in seconds by the lanes' names; the post
    puts them into the rules.
    """

    schedules: Mapping[str, Schedule]
    holidays: frozenset[date] = frozenset()
    registrars: frozenset[str] = frozenset()
    as_of: float | None = None
    repeats: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why; `would` only with `exit`."""

    verdict: Verdict
    reason: Reason
    would: Reason | None = None

    @property
    def admits(self) -> bool:
        """Whether the barrier is to open."""
        return self.verdict is Verdict.ADMIT


_ADMITTED: Final = frozenset({Reason.LISTED, Reason.CARD})
_HARD: Final = frozenset({Reason.UNKNOWN, Reason.PASS, Reason.SUSPENDED, Reason.CLONE, Reason.STALE})


def ruling(sighting: Sighting, entries: Sequence[Entry | None], policy: Policy, now: Now) -> Entry | None:
    """The line that decides; `entries` are what the list says of the credential, then of each of `also`.

    Where the list is silent about the credential itself, a signed card speaks for it, and then for what else was read
    nobody is asked.
    """
    for entry in entries:
        if entry is not None and (entry.gone or _suspended(entry, now)):
            return entry
    if entries[0] is not None or _speaks(sighting, policy, now):
        return entries[0]
    return next((entry for entry in entries if entry is not None), None)


def decide(
    sighting: Sighting, lane: LaneRule, entry: Entry | None, last: Last | None, policy: Policy, now: Now
) -> Decision:
    """What the gate does with this sighting, of which `entry` rules. Total: every input has an answer."""
    reason = _reason(sighting, lane, entry, last, policy, now)
    if reason in _ADMITTED:
        return Decision(Verdict.ADMIT, reason)
    if lane.direction is Direction.OUT and (lane.kind is LaneKind.PERSON or reason not in _HARD):
        return Decision(Verdict.ADMIT, Reason.EXIT, reason)
    return Decision(Verdict.FLAG, reason)


def _reason(
    sighting: Sighting, lane: LaneRule, entry: Entry | None, last: Last | None, policy: Policy, now: Now
) -> Reason:
    if entry is None or entry.gone:
        return _unlisted(sighting, lane, last, policy, now) if entry is None else Reason.UNKNOWN
    return (
        _suspended(entry, now)
        or _clone(sighting, entry)
        or _stale(sighting, lane, now)
        or _dates(entry.begins, entry.ends, now)
        or _place(lane, entry)
        or _hours(entry, policy, now)
        or _repeat(lane, last, now)
        or Reason.LISTED
    )


def _unlisted(sighting: Sighting, lane: LaneRule, last: Last | None, policy: Policy, now: Now) -> Reason:
    card = sighting.card
    if card is None or not _speaks(sighting, policy, now):
        return Reason.UNKNOWN
    if sighting.credential.startswith(_PASS):
        return Reason.PASS
    return (
        _copied(sighting)
        or _stale(sighting, lane, now)
        or _dates(card.begins, card.ends, now)
        or (Reason.CLOCK if now.clock is ClockQuality.UNSET else None)
        or _repeat(lane, last, now)
        or Reason.CARD
    )


def _speaks(sighting: Sighting, policy: Policy, now: Now) -> bool:
    """Whether the card itself speaks for its holder, where the list does not: a pass, or a card newer than the list."""
    card = sighting.card
    if card is None or card.key not in policy.registrars:
        return False
    return sighting.credential.startswith(_PASS) or _newer_than_the_list(sighting, card, policy, now)


def _newer_than_the_list(sighting: Sighting, card: SignedCard, policy: Policy, now: Now) -> bool:
    if not sighting.credential.startswith(_EID) or policy.as_of is None:
        return False
    return policy.as_of < card.issued <= now.validity <= card.issued + CARD_AGE_S


def _suspended(entry: Entry, now: Now) -> Reason | None:
    # A clock that was never set cannot tell that a suspension is still to come.
    ahead = entry.since is not None and now.clock is not ClockQuality.UNSET and now.validity < entry.since
    if entry.since is None or ahead:
        return None
    lapsed = entry.signed is not None and now.floor >= entry.signed + SUSPENSION_S
    return None if lapsed else Reason.SUSPENDED


def _clone(sighting: Sighting, entry: Entry) -> Reason | None:
    beside = {sighting.credential, *sighting.also} - {entry.credential}
    if entry.partner is not None and entry.partner not in beside:
        return Reason.CLONE
    # The proof is of what was read first.
    if entry.credential.startswith(_EID) and (sighting.card is None or sighting.credential != entry.credential):
        return Reason.CLONE
    # A reader that cannot read the chip's own number leaves None: then the credential alone has to do.
    if entry.tid is not None and sighting.tid is not None and sighting.tid != entry.tid:
        return Reason.CLONE
    return _copied(sighting)


def _copied(sighting: Sighting) -> Reason | None:
    return Reason.CLONE if sighting.card is not None and sighting.card.copied else None


def _stale(sighting: Sighting, lane: LaneRule, now: Now) -> Reason | None:
    return Reason.STALE if now.mono - sighting.at > lane.stale else None


def _dates(begins: float | None, ends: float | None, now: Now) -> Reason | None:
    if begins is not None and now.validity < begins:
        return Reason.NOT_YET
    if ends is not None and now.validity >= ends:
        return Reason.EXPIRED
    return None


def _place(lane: LaneRule, entry: Entry) -> Reason | None:
    return None if "*" in entry.lanes or lane.name in entry.lanes else Reason.WRONG_LANE


def _hours(entry: Entry, policy: Policy, now: Now) -> Reason | None:
    if entry.when == "always":
        return None
    if now.clock is ClockQuality.UNSET:
        return Reason.CLOCK
    schedule = policy.schedules.get(entry.when)
    return None if schedule is not None and schedule.open_at(now.hours, policy.holidays) else Reason.SCHEDULE


def _repeat(lane: LaneRule, last: Last | None, now: Now) -> Reason | None:
    if last is None or last.direction is not lane.direction or now.mono - last.at >= lane.repeat:
        return None
    # Back at the same lane it is the same passage, unless the sensor saw somebody go through.
    return Reason.REPEAT if last.lane != lane.name or last.through else None
