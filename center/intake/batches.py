"""The order in which batches are judged: a state machine without I/O, one in each worker.

Messages come in as they arrive; `group` gives the batches that one transaction is to judge, `judged` takes what each
came to, and `answers` gives what is to be said once that transaction is committed.

- What waits at the same moment shares a transaction: fsync is what a center spends its time on.
- Within a group a gate's batches are judged in the order of their events, whatever order they arrived in.
- A batch that starts beyond the head waits up to `EARLY_S` for the one before it: another worker may hold that one.
- One answer for each gate and epoch in a group, its last: it is the head after the commit.
- A message whose signature does not hold is counted and gets no answer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from center.intake.ingest import Outcome
from protocol import topics
from protocol.batch import Batch, decode
from protocol.message import Ack, MessageError
from protocol.signature import verified

EARLY_S: Final = 1.0
EARLY_AGAIN_S: Final = 0.02
GROUP_MAX_BATCHES: Final = 64
EARLY_MAX_BATCHES: Final = 1000
"""More than this many early batches at once are answered at once: the gates send them again."""

Keys = Callable[[str], Iterable[Ed25519PublicKey]]
"""A gate's keys by its name; none for a gate that the site does not have."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch as it arrived: its payload as sent, and when (POSIX s, and monotonic s for waiting)."""

    gate: str
    batch: Batch
    payload: bytes
    received: float
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said to a gate after the commit."""

    gate: str
    ack: Ack


@dataclass(slots=True)
class Refused:
    """Counts of messages that were none of ours."""

    topic: int = 0
    signature: int = 0
    malformed: int = 0


@dataclass(slots=True)
class Intake:
    """One worker's batches between arrival and answer."""

    site: str
    keys: Keys
    refused: Refused = field(default_factory=Refused)
    _waiting: list[Arrival] = field(default_factory=list)
    _early: list[Arrival] = field(default_factory=list)
    _again_at: float = 0.0
    _answers: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def take(self, topic: str, payload: bytes, *, received: float, at: float) -> Arrival | None:
        """Take a message; None if it is no batch of one of our gates."""
        address = topics.parse(topic)
        if not isinstance(address, topics.GateAddress) or (address.site, address.leaf) != (self.site, "events"):
            self.refused.topic += 1
            return None
        bare = verified(topic, payload, self.keys(address.gate))
        if bare is None:
            self.refused.signature += 1
            return None
        try:
            batch = decode(bare)
        except MessageError:
            self.refused.malformed += 1
            return None
        arrival = Arrival(address.gate, batch, payload, received, at)
        self._waiting.append(arrival)
        return arrival

    @property
    def idle(self) -> bool:
        """Whether there is nothing to judge now nor soon."""
        return not self._waiting and not self._early

    def due(self, now: float) -> float:
        """In how many seconds there is something to judge; 0 if now."""
        if self._waiting or not self._early:
            return 0.0 if self._waiting else EARLY_S
        return max(self._again_at - now, 0.0)

    def group(self, now: float) -> list[Arrival]:
        """The batches that the next transaction is to judge, in this order."""
        taken, self._waiting = self._waiting[:GROUP_MAX_BATCHES], self._waiting[GROUP_MAX_BATCHES:]
        if self._early and (taken or now >= self._again_at):
            taken += self._early
            self._early = []
            self._again_at = now + EARLY_AGAIN_S
        return sorted(taken, key=lambda arrival: (arrival.gate, arrival.batch.header.epoch, arrival.batch.header.first))

    def judged(self, arrival: Arrival, outcome: Outcome, now: float) -> bool:
        """Take what a batch came to; False if it is to wait: then nothing of the outcome counts."""
        if outcome.early and now - arrival.at < EARLY_S and len(self._early) < EARLY_MAX_BATCHES:
            self._early.append(arrival)
            return False
        self._answers[arrival.gate, outcome.answer.epoch] = Answer(arrival.gate, outcome.answer)
        return True

    def answers(self) -> list[Answer]:
        """What is to be said now that the transaction is committed."""
        answers, self._answers = list(self._answers.values()), {}
        return answers
