"""Which gates have taken what was published: from what they sign themselves, verified. Pure.

- A gate has taken it when it says `idle` at this state of the repository or a later one.
- A refusal counts once the gate has heard of this state, or says so after it was published. It tries again by itself,
  so that only one that lasts is its last word.
- One that is offline, or whose keys the center does not know, is named with its reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import topics
from protocol.message import MessageError, Offline, WhitelistStatus, gate_says
from protocol.signature import verified

SETTLED_S: Final = 15.0
"""A refusal or an absence that lasts so long is final: a gate tries again after 5 s, and a box starts in 10 s."""
_PERCENT: Final = 100


class State(StrEnum):
    """How far a gate is."""

    TAKEN = "taken"
    WAITING = "waiting"
    FETCHING = "fetching"
    BUILDING = "building"
    REFUSED = "refused"
    OFFLINE = "offline"
    UNKNOWN = "not set up"


_WHY: Final = {
    State.TAKEN: "",
    State.UNKNOWN: "its box is not set up yet",
    State.OFFLINE: "it is offline; it takes the list when it is back",
}


@dataclass
class Gate:
    """One gate, as far as it has been heard."""

    name: str
    keys: tuple[Ed25519PublicKey, ...]
    online: bool | None = None
    session: str = ""
    said: WhitelistStatus | None = None
    fresh: bool = False
    """Whether it said that after it was published."""
    since: float = 0.0
    """When what it says last changed (monotonic s)."""


@dataclass
class Taking:
    """All gates of a site, until each has had its last word. `snapshot` is the state of the repository to be taken."""

    site: str
    snapshot: int
    gates: dict[str, Gate] = field(default_factory=dict)

    @classmethod
    def of(
        cls, site: str, snapshot: int, names: Iterable[str], keys: Mapping[str, bytes | Ed25519PublicKey], now: float
    ) -> "Taking":
        """Nothing heard yet. `keys` has those of the gates that are set up."""
        gates = {}
        for name in names:
            key = keys.get(name)
            public = Ed25519PublicKey.from_public_bytes(key) if isinstance(key, bytes) else key
            gates[name] = Gate(name, () if public is None else (public,), since=now)
        return cls(site, snapshot, gates)

    @property
    def subscriptions(self) -> list[str]:
        """What is to be listened to."""
        return [topics.status(self.site, "+"), topics.whitelist(self.site, "+")]

    def hear(self, topic: str, payload: bytes, now: float, *, fresh: bool) -> str | None:
        """Take a message; the gate's name where it said something new. `fresh`: not one that the broker had kept."""
        address = topics.parse(topic)
        if not isinstance(address, topics.GateAddress) or address.site != self.site:
            return None
        gate = self.gates.get(address.gate)
        bare = verified(topic, payload, gate.keys) if gate is not None else None
        if gate is None or bare is None:
            return None
        before = self.state(gate), self.why(gate)
        try:
            if address.leaf == "status":
                _presence(gate, bare)
            elif address.leaf == "whitelist":
                _progress(gate, WhitelistStatus.from_bytes(bare), fresh=fresh)
        except MessageError:
            return None
        if before != (self.state(gate), self.why(gate)):
            gate.since = now
        return gate.name

    def state(self, gate: Gate) -> State:
        """How far the gate is."""
        said = gate.said
        if not gate.keys:
            return State.UNKNOWN
        if said is not None and said.state == "idle" and (said.snapshot or 0) >= self.snapshot:
            return State.TAKEN
        if gate.online is False:
            return State.OFFLINE
        if said is None or said.state == "idle" or not self._about_this(gate, said):
            return State.WAITING
        return State(said.state)

    def why(self, gate: Gate) -> str:
        """Why the gate has not taken it; "" where it has, or is at it."""
        state, said = self.state(gate), gate.said.why if gate.said is not None else ""
        if state is State.WAITING:
            return f"it last said: {said}" if said else "it has not said that it has heard of it"
        return {State.REFUSED: said or "it does not say why", **_WHY}.get(state, said)

    def share(self, gate: Gate) -> int:
        """How much of it the gate has, in percent."""
        if self.state(gate) is State.TAKEN:
            return _PERCENT
        said = gate.said
        if said is None or not said.total or not said.done or not self._about_this(gate, said):
            return 0
        return min(_PERCENT * said.done // said.total, _PERCENT)

    def settled(self, gate: Gate, now: float) -> bool:
        """Whether this was the gate's last word."""
        match self.state(gate):
            case State.TAKEN | State.UNKNOWN:
                return True
            case State.REFUSED | State.OFFLINE:
                return now - gate.since >= SETTLED_S
        return False

    def done(self, now: float) -> bool:
        """Whether there is nothing to wait for."""
        return all(self.settled(gate, now) for gate in self.gates.values())

    @property
    def ok(self) -> bool:
        """Whether every gate that is set up has taken it."""
        return all(self.state(gate) in {State.TAKEN, State.UNKNOWN} for gate in self.gates.values())

    def _about_this(self, gate: Gate, said: WhitelistStatus) -> bool:
        return gate.fresh or (said.snapshot or 0) >= self.snapshot


def _presence(gate: Gate, bare: bytes) -> None:
    said = gate_says(bare)
    if isinstance(said, Offline):
        # A will of a session before the one that is heard says nothing.
        if gate.session in {"", said.session}:
            gate.online = False
    else:
        gate.online, gate.session = True, said.session


def _progress(gate: Gate, said: WhitelistStatus, *, fresh: bool) -> None:
    known = gate.said
    if known is not None and known.session == said.session and said.number <= known.number:
        return
    gate.said, gate.fresh = said, fresh
    if fresh:
        gate.online = True
