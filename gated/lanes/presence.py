"""Who is in which reader's field now, over all lanes of the post, and where each was last let through.

A presence begins when a lane sees a credential and lasts until it has not been seen for the lane's `gone`. It is
remembered longer than that, because what comes back to the same lane soon is the same passage.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from gated.lanes.decide import LaneRule, Last
from protocol.credential import Credential
from protocol.event import Reason
from protocol.sighting import Sighting


class Standing(Enum):
    """What a lane has made of a presence."""

    WAITING = "waiting"  # a vehicle whose turn has not come
    ADMITTED = "admitted"
    FLAGGED = "flagged"
    SHADOWED = "shadowed"  # another lane has this passage


@dataclass(slots=True, eq=False)
class Presence:
    """One credential at one lane. Times are monotonic seconds; `seq` is the passage's, once it is on disk.

    `asked` while an opening for it is on its way to the disk, `owed` when the relay has failed at one at an exit; `let`
    if this lane was opened for it and has its record, `through` if the sensor saw it go; `judged` is when that was last
    done, `away` while it counts as gone though it was seen just now: it is from before a restart.
    """

    lane: LaneRule
    sighting: Sighting
    arrived: float
    standing: Standing
    seen: float
    since: float
    count: int = 1
    signal: float | None = None
    seq: int | None = None
    reason: Reason | None = None
    judged: float = 0.0
    asked: bool = False
    owed: bool = False
    let: bool = False
    through: bool = False
    away: bool = False

    def here(self, at: float) -> bool:
        """Whether the credential is still in the field at this time."""
        return not self.away and at - self.seen <= self.lane.gone

    def refresh(self, sighting: Sighting, arrived: float) -> None:
        """Take note of another sighting; the chip's own number stays known where this one has none.

        So does, while it is here, what else was read: a plate that is misread the next time is still that vehicle's.
        """
        tid = self.sighting.tid if sighting.tid is None else sighting.tid
        known = self.sighting if self.here(sighting.at) and not sighting.also else sighting
        self.sighting = replace(sighting, tid=tid, also=known.also, colour=known.colour)
        self.arrived = arrived
        self.seen = max(self.seen, sighting.at)
        self.count += 1
        self.away = False
        if sighting.signal is not None:
            self.signal = sighting.signal if self.signal is None else max(self.signal, sighting.signal)


@dataclass(slots=True)
class Presences:
    """All presences of a post, by credential, then by lane."""

    _by_credential: dict[Credential, dict[str, Presence]] = field(default_factory=dict)
    _last: dict[Credential, Presence] = field(default_factory=dict)
    _keep: float = field(default=0.0, compare=False)

    @property
    def count(self) -> int:
        """How many credentials are remembered, at whatever lanes."""
        return len(self._by_credential)

    def heed(self, lane: LaneRule) -> None:
        """Remember everybody long enough for this lane: who was at one may be a repeat at another."""
        self._keep = max(self._keep, lane.gone, lane.repeat, lane.hold, lane.timeout)

    def get(self, credential: Credential, lane: str) -> Presence | None:
        """This credential's presence at this lane, if it is remembered."""
        return self._by_credential.get(credential, {}).get(lane)

    def put(self, presence: Presence) -> None:
        """Remember it, in place of an earlier one of the same credential and lane."""
        lanes = self._by_credential.setdefault(presence.sighting.credential, {})
        lanes[presence.lane.name] = presence

    def elsewhere(self, credential: Credential, lane: str, at: float) -> Presence | None:
        """The presence at another lane that has this credential's passage now."""
        for other in self._by_credential.get(credential, {}).values():
            if other.lane.name != lane and other.standing is not Standing.SHADOWED and other.here(at):
                return other
        return None

    def admitted(self, presence: Presence) -> None:
        """Make this the credential's last admitted passage."""
        self._last[presence.sighting.credential] = presence

    def withdraw(self, presence: Presence) -> None:
        """It was not let through after all: it is no earlier passage to anybody."""
        if self._last.get(presence.sighting.credential) is presence:
            del self._last[presence.sighting.credential]

    def last(self, credential: Credential) -> Last | None:
        """The credential's last admitted passage, as a decision takes it."""
        presence = self._last.get(credential)
        if presence is None:
            return None
        return Last(presence.lane.name, presence.lane.direction, presence.seen, presence.through)

    def at_lane(self, lane: str) -> Iterator[Presence]:
        """All that are remembered at this lane."""
        return (lanes[lane] for lanes in self._by_credential.values() if lane in lanes)

    def forget(self, at: float) -> None:
        """Let go of what has been away so long that it can no longer matter."""
        for credential, lanes in list(self._by_credential.items()):
            for name, presence in list(lanes.items()):
                if at - presence.seen > self._keep and presence.standing is not Standing.WAITING:
                    del lanes[name]
            if not lanes:
                del self._by_credential[credential]
        for credential, presence in list(self._last.items()):
            if at - presence.seen > self._keep:
                del self._last[credential]


def restored(lane: LaneRule, sighting: Sighting, seq: int) -> Presence:
    """An admitted passage from before a restart.

    It counts as away, so that who still stands before the barrier is let through: the last life may have recorded
    the passage and died before it opened.
    """
    return Presence(lane, sighting, sighting.at, Standing.ADMITTED, sighting.at, sighting.at, seq=seq, away=True)
