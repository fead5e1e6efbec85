"""Orders: judges the commands that come to a gate. A state machine without I/O; who asks it carries them out.

A command is taken if and only if all of this holds, looked at in this order:

- It is not retained: a retained one would come again with each connection.
- It is a DSSE envelope signed by a key that `operators.json` names, with no forged signature in it.
- It names this site, this gate and this session. A session is new at each start and each disk, so nothing that was
  ever signed outlives a restart, and a gate of the same name at a sister site is another.
- It has not been taken before: ids are remembered for as long as the command could be taken.
- Its life is at most `LIFE_MAX_S`, and it is not over. Two clocks say so:
  - the gate's own monotonic one, always. The operator's tool reads it in the gate's latest status and says until when
    the command may be taken (`until`). No wall clock has a part in it, so that a command which somebody on the way
    holds back dies of age at a gate whose clock stands at 1970, too;
  - the wall clock while it is `synced`, and only then: `expires`, and not `issued` in the future.
- The action, and the lane where it has one, are allowed to that operator; a lane is there; a hold ends in time.

Nobody has proved anything to this gate by what is retained, no envelope, unsigned, forged or meant for another gate:
there is no reply to that. What else is refused is answered, each id once; a replay is not, since the first has its
answer.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from protocol import dsse, topics
from protocol.event import ClockQuality, Stamp
from protocol.message import Command, MessageError
from protocol.operators import Operator

LIFE_MAX_S: Final = 300.0
AHEAD_MAX_S: Final = 60.0
"""So far ahead of a gate's clock an operator's may be."""
HOLD_MAX_S: Final = 2 * 3600.0
IDS_MAX: Final = 1000
"""Ids of one operator that are remembered: three commands a second for as long as one may live. More are refused."""
LATE_MAX: Final = 200
"""Ids of what came too late that are remembered, so that each is answered once."""
AT_A_LANE: Final = frozenset({"open", "hold", "release"})


class Refusal(StrEnum):
    """Why a command is refused."""

    RETAINED = "retained"
    ENVELOPE = "envelope"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    UNREADABLE = "unreadable"
    ELSEWHERE = "elsewhere"
    SESSION = "session"
    REPLAYED = "replayed"
    LIFE = "life"
    EXPIRED = "expired"
    FUTURE = "future"
    NOT_ALLOWED = "not-allowed"
    LANE = "lane"
    INCOMPLETE = "incomplete"
    TOO_LONG = "too-long"
    BUSY = "busy"


_UNBELIEVED: Final = {
    dsse.EnvelopeError: Refusal.ENVELOPE,
    dsse.UnknownKeyError: Refusal.UNKNOWN_KEY,
    dsse.ForgedError: Refusal.FORGED,
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command to carry out, and whose it is: `keyid` is the public key in hex."""

    command: Command
    operator: str
    keyid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that is not carried out. `id` is to be answered, "" for none; `news` is to be logged."""

    reason: Refusal
    why: str
    operator: str = ""
    id: str = ""
    news: bool = False


class Orders:
    """Judges the commands of one session. `lanes` are those that there are."""

    def __init__(self, site: str, gate: str, session: str, lanes: Collection[str]) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        """How many were refused, by reason."""
        self._topic = topics.command(site, gate)
        self._site = site
        self._gate = gate
        self._session = session
        self._lanes = frozenset(lanes)
        self._seen: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._told: deque[tuple[str, str]] = deque(maxlen=LATE_MAX)

    def judge(
        self, topic: str, payload: bytes, operators: Mapping[str, Operator], stamp: Stamp, *, retained: bool
    ) -> Accepted | Refused:
        """What to do with a message from the command topic, at this time, with these operators by keyid."""
        found = self._judged(topic, payload, operators, stamp, retained=retained)
        if isinstance(found, Accepted):
            self.accepted += 1
            return found
        self.refused[found.reason] += 1
        first = self.refused[found.reason] == 1
        # A thousand forged ones are one line in the log; what an operator gets wrong is told each time, once an id.
        return Refused(found.reason, found.why, found.operator, found.id, news=first or bool(found.id))

    def _judged(
        self, topic: str, payload: bytes, operators: Mapping[str, Operator], stamp: Stamp, *, retained: bool
    ) -> Accepted | Refused:
        if retained:
            return Refused(Refusal.RETAINED, "a retained command counts for nothing")
        if topic != self._topic:
            return Refused(Refusal.ELSEWHERE, "it came over another topic")
        try:
            opened = dsse.verify(payload, dsse.COMMAND_TYPE, {keyid: one.key for keyid, one in operators.items()})
        except dsse.DsseError as error:
            return Refused(_UNBELIEVED[type(error)], str(error))
        if len(opened.keyids) > 1:
            return Refused(Refusal.ENVELOPE, "a command is one operator's")
        (keyid,) = opened.keyids
        return self._of_operator(opened.payload, keyid, operators[keyid], stamp)

    def _of_operator(self, payload: bytes, keyid: str, operator: Operator, stamp: Stamp) -> Accepted | Refused:
        try:
            command = Command.from_bytes(payload)
        except MessageError as error:
            return Refused(Refusal.UNREADABLE, str(error), operator.name)
        if (command.site, command.gate) != (self._site, self._gate):
            return Refused(Refusal.ELSEWHERE, f"it is for {command.gate} of {command.site}", operator.name)
        if command.session != self._session:
            why = "the gate has started anew since the status that it was made for"
            return self._late(Refusal.SESSION, why, command, keyid, operator)
        if (ago := stamp.mono - command.until) > 0:
            return self._late(Refusal.EXPIRED, f"it could be taken until {ago:.1f} s ago", command, keyid, operator)
        # Before anything is said of it: refused or not, what comes again gets no second answer and no second chance.
        if (known := self._remember(command, keyid, stamp.mono)) is not None:
            return Refused(known, "its id was seen before" if known is Refusal.REPLAYED else "wait", operator.name)
        wrong = self._age(command, stamp) or self._wish(command, operator)
        return Refused(*wrong, operator.name, command.id) if wrong else Accepted(command, operator.name, keyid)

    def _late(self, reason: Refusal, why: str, command: Command, keyid: str, operator: Operator) -> Refused:
        """One that will never be taken any more: answered, but not for ever."""
        told = (keyid, command.id) in self._told
        self._told.append((keyid, command.id))
        return Refused(reason, why, operator.name, "" if told else command.id)

    def _remember(self, command: Command, keyid: str, mono: float) -> Refusal | None:
        """Keep the id until the command could not be taken any more; why it is refused for its id."""
        seen = self._seen[keyid]
        for id_ in [id_ for id_, until in seen.items() if until < mono]:
            del seen[id_]
        if command.id in seen:
            return Refusal.REPLAYED
        if len(seen) >= IDS_MAX:
            return Refusal.BUSY
        seen[command.id] = command.until
        return None

    def _age(self, command: Command, stamp: Stamp) -> tuple[Refusal, str] | None:
        """What is wrong with its time."""
        issued, expires = _moment(command.issued), _moment(command.expires)
        bounded = command.until - stamp.mono <= LIFE_MAX_S
        if not bounded or issued is None or expires is None or not 0 < expires - issued <= LIFE_MAX_S:
            return Refusal.LIFE, f"a command has two times with offset, at most {LIFE_MAX_S:.0f} s apart"
        if stamp.clock is not ClockQuality.SYNCED:
            return None
        wall = datetime.fromisoformat(stamp.at).timestamp()
        if wall > expires:
            return Refusal.EXPIRED, f"it could be taken until {command.expires}; the gate's clock says {stamp.at}"
        if issued > wall + AHEAD_MAX_S:
            return Refusal.FUTURE, f"it was given at {command.issued}; the gate's clock says {stamp.at}"
        return None

    def _wish(self, command: Command, operator: Operator) -> tuple[Refusal, str] | None:
        """What is wrong with what it asks for."""
        action, lane = command.action, command.lane
        if (lane is not None) is not (action in AT_A_LANE):
            return Refusal.INCOMPLETE, f"{action} {'needs' if lane is None else 'has no'} lane"
        if not operator.allows(command):
            at = f" at {lane}" if lane is not None else ""
            return Refusal.NOT_ALLOWED, f"this operator may not {action}{at}"
        if lane is not None and lane not in self._lanes:
            return Refusal.LANE, f"there is no lane {lane}; there are: {', '.join(sorted(self._lanes))}"
        if (action == "hold" and command.seconds is None) or (action == "resend" and command.after is None):
            return Refusal.INCOMPLETE, f"{action} needs {'seconds' if action == 'hold' else 'after'}"
        if action == "hold" and (command.seconds or 0.0) > HOLD_MAX_S:
            return Refusal.TOO_LONG, f"a lane can be held for at most {HOLD_MAX_S:.0f} s"
        return None


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.timestamp()
    except (ValueError, OverflowError):
        return None
