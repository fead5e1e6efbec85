"""A flash: how the gate takes a newer whitelist. A state machine without I/O.

What the broker, the building process and the clock say goes in; what is to be subscribed to, kept, asked of the
building process and told to the center comes out as `Act`s, to be done in their order.

    message → Check → fetch what is lacking → Build → (fetch the whole list → Build) → idle
                  ↘ refused, tried again later or with the next message

- Nothing is fetched that verified metadata does not name, and no more of it than its signed length.
- The small things come first: enrolments, suspensions, documents and deltas are in force before a whole list begins.
- What is fetched is judged in the building process only; this machine knows lengths, not contents.
- A newer message puts the older one aside at once, but a build is never broken off.
- What arrives last need not be the newest: where a message is refused, or its pieces do not come, or it put another one
  aside, the broker is asked again. Somebody else's message, or one of long ago, holds a gate up no longer than that.
- A build that came to nothing may have switched before: what is in force is taken up again.
- Whatever fails, the list in force stays, and `trouble` says why.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

from gated.lanes.decide import Now
from gated.lists.flash_acts import (
    Act,
    Build,
    Built,
    Check,
    Checked,
    KeepMessage,
    KeepPiece,
    Need,
    Publish,
    Release,
    Subscribe,
    Switched,
    Unsubscribe,
)
from protocol import topics
from protocol.blob import piece_bytes, piece_count
from protocol.message import WhitelistStatus
from protocol.repository import MESSAGE_MAX_BYTES

WINDOW: Final = 8
"""Pieces asked for at a time: 512 KiB under way."""
PIECE_S: Final = 20.0
"""How long a piece may take before it is asked for again."""
RETRY_FIRST_S: Final = 5.0
RETRY_MAX_S: Final = 600.0
SAY_S: Final = 1.0
"""Progress is told this often at most."""


class Phase(StrEnum):
    """What the machine waits for: nothing, an answer to Check, pieces, an answer to Build."""

    IDLE = "idle"
    CHECKING = "checking"
    FETCHING = "fetching"
    BUILDING = "building"


_NEWS: Final = ("in_force", "entries", "state", "version", "snapshot", "why")
_State = Literal["idle", "fetching", "building", "refused"]


class Flash:
    """One gate's flashes, for the length of one life. `sign` takes topic and message.

    `kept` is the message in the depot that was believed last. Every method that gives acts is called from one task.
    """

    def __init__(
        self, site: str, gate: str, session: str, *, sign: Callable[[str, bytes], bytes], kept: bytes | None
    ) -> None:
        self.phase = Phase.IDLE
        self.vouched: float | None = None
        """When the center last vouched for what is in force (POSIX s)."""
        self._site = site
        self._topic = topics.whitelist(site, gate)
        self._session = session
        self._sign = sign
        self._digest = _digest(kept) if kept is not None else b""
        self._fits = kept is not None
        self._pending: bytes | None = None
        self._connected = False
        self._status = WhitelistStatus(session=session, number=1, state="idle")
        self._said = self._status
        self._number = 1
        self._said_at = float("-inf")
        self._checked = Checked()
        self._stages: deque[tuple[Need, ...]] = deque()
        self._queue: deque[tuple[str, int, int]] = deque()
        self._window: dict[tuple[str, int], tuple[int, float]] = {}
        self._fetched = 0
        self._whole = False
        self._doubt = False
        """Whether another message may be newer than the one that was taken last."""
        self._late = False
        self._unkept: KeepMessage | None = None
        self._lost = ""
        """Why something could not be kept on which the order under way was to build."""
        self._refused: tuple[str, ...] = ()
        self._troubles: tuple[str, ...] = ()
        self._retry_at = float("inf")
        self._retry_s = RETRY_FIRST_S
        self._expired = ""

    @property
    def trouble(self) -> str:
        """What is wrong with the list's supply; "" while all is well."""
        return "; ".join(part for part in (*self._refused, self._expired, *self._troubles) if part)

    def start(self, now: Now) -> list[Act]:
        """Begin. What was kept of the last life is checked again: it says how old the list is, with no center."""
        return self._check(now) if self._fits else []

    def connected(self, now: Now) -> list[Act]:
        """Take word that there is a connection; nothing is subscribed to yet."""
        self._connected = True
        acts: list[Act] = [Subscribe(topics.repository(self._site))]
        acts += [Subscribe(self._piece_topic(*key)) for key in self._window]
        self._window = {key: (length, now.mono) for key, (length, _) in self._window.items()}
        return [*acts, *self._say(now, always=True)]

    def disconnected(self) -> None:
        """Take word that there is none."""
        self._connected = False

    def holding(self, version: str | None, entries: int | None, now: Now) -> list[Act]:
        """Take word of the list in force: at the start, and after each change of it."""
        self._status = self._status.model_copy(update={"in_force": version, "entries": entries})
        return self._say(now, always=True)

    def message(self, message: bytes, now: Now) -> list[Act]:
        """Take the repository's message from the broker. An empty one only says that the topic was cleared."""
        if not 0 < len(message) <= MESSAGE_MAX_BYTES:
            return []
        if _digest(message) == self._digest:
            return self._try_again(now) if self.phase is Phase.IDLE and not self._fits else []
        # What arrives last need not be the newest: when all is done, the broker is asked once more.
        unfinished = self._pending is not None or (self._digest and not self._fits)
        self._doubt = self._doubt or bool(unfinished)
        if self.phase in {Phase.CHECKING, Phase.BUILDING}:
            self._pending = message
            return []
        return self._take(message, now)

    def piece(self, sha256: str, piece: int, data: bytes, now: Now) -> list[Act]:
        """Take a piece from the broker. One that was not asked for, or is of another length, is nothing."""
        expected = self._window.get((sha256, piece))
        if expected is None or expected[0] != len(data):
            return []
        del self._window[sha256, piece]
        self._fetched += len(data)
        self._late = False
        # What is next does not wait for the broker's word that it has let go of this.
        return [KeepPiece(sha256, piece, data), *self._fetch(now), Unsubscribe(self._piece_topic(sha256, piece))]

    def checked(self, result: Checked, now: Now) -> list[Act]:
        """Take what the building process says of the message."""
        if self.phase is not Phase.CHECKING:
            return []
        self.phase = Phase.IDLE
        if not result.why:
            self.vouched = result.vouched
        if self._pending is not None:
            return self._take(self._pending, now)
        if result.why or self._lost:
            return self._refuse((self._lost or result.why,), now)
        self._checked = result
        self._troubles = result.troubles
        self._judge_age(now)
        first = tuple(need for need in result.needs if not need.last)
        last = tuple(need for need in result.needs if need.last)
        self._refused = ()
        self._stages = deque(stage for stage in (first, last) if stage)
        if result.build and not first:
            self._stages.appendleft(())
        return self._next_stage(now)

    def built(self, result: Built, now: Now) -> list[Act]:
        """Take what the building process says of the build."""
        if self.phase is not Phase.BUILDING:
            return []
        self.phase = Phase.IDLE
        self._troubles = result.troubles
        found = (*result.refused, self._lost) if self._lost else result.refused
        self._lost = ""
        self._refused += tuple(why for why in found if why not in self._refused)
        acts: list[Act] = [Switched(result.switched, result.documents)] if result.switched or result.documents else []
        self._status = self._status.model_copy(update={"in_force": result.version, "entries": result.entries})
        if self._pending is not None:
            return [*acts, *self._take(self._pending, now)]
        if result.whole and not self._whole:
            self._whole = True
            return [*acts, *self._check(now)]
        return [*acts, *self._next_stage(now)]

    def failed(self, why: str, now: Now) -> list[Act]:
        """Take word that the building process has come to nothing, however far it had come before."""
        if self.phase not in {Phase.CHECKING, Phase.BUILDING}:
            return []
        acts: list[Act] = [Switched(list=True, documents=True)] if self.phase is Phase.BUILDING else []
        self.phase = Phase.IDLE
        if self._pending is not None:
            return [*acts, *self._take(self._pending, now)]
        return [*acts, *self._refuse((why,), now)]

    def unkept(self, act: KeepMessage | KeepPiece, why: str, now: Now) -> list[Act]:
        """Take word that this could not be kept. An order that was given meanwhile is still answered."""
        if isinstance(act, KeepMessage):
            self._unkept, self._lost = act, why
        elif self.phase is Phase.BUILDING:
            self._lost = why
        elif self.phase is Phase.FETCHING:
            return self._refuse((why,), now)
        return []

    def tick(self, now: Now) -> list[Act]:
        """Let time pass: a second or so."""
        self._judge_age(now)
        if self.phase is Phase.IDLE and now.mono >= self._retry_at:
            return [*self._ask_again(), *self._try_again(now)]
        if self.phase is not Phase.FETCHING or not self._connected:
            return []
        late = [key for key, (_, since) in self._window.items() if now.mono - since >= PIECE_S]
        self._late = self._late or bool(late)
        acts: list[Act] = self._ask_again() if late else []
        for key in late:
            self._window[key] = (self._window[key][0], now.mono)
            acts += [Unsubscribe(self._piece_topic(*key)), Subscribe(self._piece_topic(*key))]
        return [*acts, *self._say(now, state="fetching", why="pieces do not come" if self._late else "")]

    def _take(self, message: bytes, now: Now) -> list[Act]:
        self._pending = None
        self._digest = _digest(message)
        self._fits = False
        self._whole = False
        self._retry_s = RETRY_FIRST_S
        return [*self._stop_fetching(), *self._keep(KeepMessage(message), now)]

    def _keep(self, act: KeepMessage, now: Now) -> list[Act]:
        self._unkept, self._lost = None, ""
        return [act, *self._check(now)]

    def _ask_again(self) -> list[Act]:
        """Have the broker say its message again."""
        return [Subscribe(topics.repository(self._site))] if self._connected else []

    def _try_again(self, now: Now) -> list[Act]:
        return self._keep(self._unkept, now) if self._unkept is not None else self._check(now)

    def _check(self, now: Now) -> list[Act]:
        self.phase = Phase.CHECKING
        self._retry_at = float("inf")
        return [Check(now.validity, now.floor, self._whole)]

    def _next_stage(self, now: Now) -> list[Act]:
        if not self._stages:
            return self._rest(now)
        stage = self._stages.popleft()
        pieces = [
            (need.sha256, piece, piece_bytes(need.length, piece))
            for need in sorted(stage, key=lambda need: need.length)
            for piece in range(piece_count(need.length))
            if piece not in need.have
        ]
        # The same content under two names is fetched once.
        self._queue = deque(dict.fromkeys(pieces))
        total = sum(need.length for need in stage)
        self._fetched = total - sum(length for _, _, length in self._queue)
        self.phase = Phase.FETCHING
        self._status = self._status.model_copy(update={"total": total})
        return self._fetch(now)

    def _fetch(self, now: Now) -> list[Act]:
        acts: list[Act] = []
        while self._queue and len(self._window) < WINDOW:
            sha256, piece, length = self._queue.popleft()
            self._window[sha256, piece] = (length, now.mono)
            if self._connected:
                acts.append(Subscribe(self._piece_topic(sha256, piece)))
        if self._window:
            return [*acts, *self._say(now, state="fetching")]
        self.phase = Phase.BUILDING
        return [*acts, Build(now.validity, now.floor, self._whole), *self._say(now, state="building")]

    def _stop_fetching(self) -> list[Act]:
        self._late = False
        acts: list[Act] = [Unsubscribe(self._piece_topic(*key)) for key in self._window]
        self._window.clear()
        self._queue.clear()
        self._stages.clear()
        return acts

    def _rest(self, now: Now) -> list[Act]:
        """All that could be done was done."""
        if self._refused:
            return self._refuse((), now)
        self._fits = True
        self._whole = False
        self._retry_at, self._retry_s = float("inf"), RETRY_FIRST_S
        asked = self._ask_again() if self._doubt else []
        self._doubt = False
        return [*self._say(now, state="idle"), Release(), *asked]

    def _refuse(self, why: tuple[str, ...], now: Now) -> list[Act]:
        self.phase = Phase.IDLE
        self._fits = False
        self._lost = ""
        self._refused = why or self._refused
        self._retry_at = now.mono + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_MAX_S)
        return [*self._stop_fetching(), *self._say(now, state="refused", why="; ".join(self._refused)), Release()]

    def _judge_age(self, now: Now) -> None:
        expires = self._checked.expires
        if not expires or now.validity < expires:
            self._expired = ""
        elif not self._expired:
            when = datetime.fromtimestamp(expires, UTC).isoformat(timespec="minutes")
            self._expired = f"the center's signatures ran out on {when}; the last list stays in force"

    def _say(self, now: Now, *, state: _State | None = None, why: str = "", always: bool = False) -> list[Act]:
        """The status, where it has changed; progress now and then."""
        if state is not None:
            self._status = self._told(state, why)
        if not self._connected:
            return []
        news = always or any(getattr(self._status, name) != getattr(self._said, name) for name in _NEWS)
        if not news and (self._status.done == self._said.done or now.mono - self._said_at < SAY_S):
            return []
        self._said = self._status = self._status.model_copy(update={"number": self._number})
        self._number += 1
        self._said_at = now.mono
        return [Publish(self._topic, self._sign(self._topic, self._said.to_bytes()))]

    def _told(self, state: _State, why: str) -> WhitelistStatus:
        busy = state in {"fetching", "building"}
        return self._status.model_copy(
            update={
                "state": state,
                "version": self._checked.version if state != "idle" else None,
                "snapshot": self._checked.snapshot or None,
                "done": self._fetched if busy else None,
                "total": self._status.total if busy else None,
                "why": why[:1000],
            }
        )

    def _piece_topic(self, sha256: str, piece: int) -> str:
        return topics.blob(self._site, sha256, piece)


def _digest(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()
