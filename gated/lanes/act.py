"""Acts: what a lane wants done, in the words of its events. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from gated.lanes.decide import Decision, Direction, LaneRule
from gated.lanes.presence import Presence
from protocol.event import Kind


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


def passage(
    rule: LaneRule, presence: Presence, decision: Decision, by: Mapping[str, object], *, opens: bool = False
) -> Act:
    """What was decided on a presence; `by` says by which list."""
    sighting = presence.sighting
    said = fields(
        rule,
        credential=sighting.credential,
        also=list(sighting.also) or None,
        colour=sighting.colour,
        verdict=decision.verdict,
        reason=decision.reason,
        would=decision.would,
        **by,
        reader=sighting.reader,
        signal=sighting.signal,
    )
    return Act(Kind.PASSAGE, said, opens, opens and rule.direction is Direction.OUT, presence)


def opening(rule: LaneRule, by: str, presence: Presence | None = None, /, **more: object) -> Act:
    """An opening by something else than a decision on a new passage; `presence` is whom it is for, if a tag says so."""
    credential = presence.sighting.credential if presence is not None else None
    said = fields(rule, by=by, **more, credential=credential)
    return Act(Kind.OPENED, said, opens=True, exempt=rule.direction is Direction.OUT, of=presence)


def fields(rule: LaneRule, **more: object) -> dict[str, object]:
    """The fields of an event at this lane."""
    return {"lane": rule.name, "direction": rule.direction, **more}
