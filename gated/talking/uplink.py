"""The uplink: tells the center every event of the journal, exactly once as far as the center is concerned.

A state machine without I/O. What the journal, the center and the clock say goes in; what is to be read, sent or
written down comes out as `Act`s. It never holds an event longer than it takes to put it into a batch: what is sent is
read from the journal each time, so that being offline, slow and just started are one path.

- Batches of consecutive events from the cursor, a window of them under way. Nothing acknowledged for a while, or a new
  connection: the cursor goes back to what is acknowledged.
- Only the center's own word, for our epoch and signed, counts. The journal compares its hash with its own before it
  takes it; where that does not fit, or lies beyond our end, our disk has gone back in time: a new epoch.
- `want` puts the cursor and what is acknowledged back; before our epoch's beginning, a new epoch from there. Many
  batches under way can each be answered so: the same `want` again is no news while what it asks for is under way.
- An idle gate says where its chain ends, at connect and each minute: the center may have lost what it once said.
- Somebody at the center may ask for all after an event again (`resend`). What the center says it holds then moves the
  cursor no more until it is past what there was: the center gets all of it, for as long as this connection lasts.
- Word about another epoch than ours is nothing to us: it is an old disk's, or another box's (`gated.talking.rivals`).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from protocol import batch, topics
from protocol.event import Stamp
from protocol.message import Ack, Header, MessageError, Sent

WINDOW: Final = 8
"""Batches under way: enough for 20,000 events/s over a link with 50 ms to and fro."""
RESEND_FIRST_S: Final = 2.0
RESEND_MAX_S: Final = 60.0
ASSERT_S: Final = 60.0
CONFIRMED_S: Final = 24 * 3600.0
KEEP_S: Final = 5.0
"""What is acknowledged is made durable this often: it only saves sending again, and costs the disk a write."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the journal says of itself: epoch, where it began and after which hash, its end, what is acknowledged."""

    epoch: str
    first: int
    root: bytes
    seq: int
    acked: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Read:
    """Read events after this seq; answer with `read`."""

    after: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Send a batch."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Compare this hash with the journal's own and take it as acknowledged, durably if `keep`; answer `checked`."""

    seq: int
    hash: bytes
    keep: bool


@dataclass(frozen=True, slots=True)
class Rewind:
    """What counts as acknowledged goes back to this seq. With `anew` a new epoch begins there; answer `changed`."""

    seq: int
    anew: str = ""


@dataclass(frozen=True, slots=True)
class BeginEpoch:
    """Begin a new epoch after what is acknowledged; answer `changed`."""

    why: str


class ResendError(ValueError):
    """That cannot be sent again; the message says why."""


Act = Read | Publish | Acknowledge | Rewind | BeginEpoch


@dataclass(frozen=True, slots=True)
class Us:
    """Who we are."""

    site: str
    gate: str
    board: str


class Uplink:
    """One gate's uplink, for the length of one life. `sign` takes topic and message, `verify` gives it back or None.

    Every method that gives acts is called from one task; `now` is monotonic seconds.
    """

    def __init__(
        self, us: Us, *, sign: Callable[[str, bytes], bytes], verify: Callable[[str, bytes], bytes | None]
    ) -> None:
        self._us = us
        self._sign = sign
        self._verify = verify
        self._head: Head | None = None
        self._connected = False
        self._cursor = 0
        self._window: deque[int] = deque()
        self._reading: int | None = None
        self._changing = False
        self._checking: Ack | None = None
        self._heard: Ack | None = None
        self._wanted: int | None = None
        self._resend: int | None = None
        self._again = 0
        self._again_next = 0
        self._assert_at = 0.0
        self._resend_s = RESEND_FIRST_S
        self._resend_at = 0.0
        self._keep_at = 0.0
        self.confirmed_at: float | None = None
        """When the center last confirmed what we hold as acknowledged."""
        self.refused = 0
        """Answers that were not the center's."""

    @property
    def backlog(self) -> int:
        """How many events the center has not acknowledged."""
        return 0 if self._head is None else max(self._head.seq - max(self._head.acked, self._head.oldest - 1), 0)

    def confirmed(self, now: float) -> bool:
        """Whether the center has confirmed within a day what counts as acknowledged: only then may it be pruned."""
        return self.confirmed_at is not None and now - self.confirmed_at <= CONFIRMED_S

    def journal(self, head: Head, now: float) -> list[Act]:
        """Take the journal's own word on how it is, whenever it has grown or begun anew."""
        before, self._head = self._head, head
        if before is None or before.epoch != head.epoch:
            self._start_over(now)
        return self._go(now)

    def changed(self, head: Head, now: float) -> list[Act]:
        """Take the journal's word on how it is after a `Rewind` or a `BeginEpoch`."""
        self._changing = False
        self._head = head
        self._start_over(now)
        self._again, self._again_next = self._again_next, 0
        return self._go(now)

    def connected(self, now: float) -> list[Act]:
        """Take word that there is a connection to the broker, with our subscriptions made."""
        self._connected = True
        self._assert_at = now
        self._resend_s = RESEND_FIRST_S
        self._start_over(now)
        return self._go(now)

    def disconnected(self) -> None:
        """Take word that there is none."""
        self._connected = False
        self._window.clear()

    def read(self, after: int, prev: bytes, lines: list[bytes], sent: Stamp, now: float) -> list[Act]:
        """Take what was read of the journal after that seq, and the hash before it."""
        if self._reading != after:
            return []
        self._reading = None
        head = self._head
        if head is None or self._changing or not self._connected or after != self._cursor or after < head.first - 1:
            return self._go(now)
        payload = batch.encode(self._header(head, after, prev, len(lines), sent), lines)
        if not self._window:
            self._resend_at = now + self._resend_s
        self._cursor = after + len(lines)
        if lines:
            self._window.append(self._cursor)
        self._assert_at = now + ASSERT_S
        topic = topics.events(self._us.site, self._us.gate)
        return [Publish(self._sign(topic, payload)), *self._go(now)]

    def unread(self, now: float) -> list[Act]:
        """Take word that the journal could not be read; it is tried again later."""
        self._reading = None
        self._resend_at = now + self._resend_s
        return []

    def answered(self, payload: bytes, now: float) -> list[Act]:
        """Take a message from our ack topic."""
        bare = self._verify(topics.ack(self._us.site, self._us.gate), payload)
        try:
            ack = Ack.from_bytes(bare) if bare is not None else None
        except MessageError:
            ack = None
        if ack is None:
            self.refused += 1
            return []
        if self._head is None or ack.epoch != self._head.epoch:
            return []
        self._heard = ack
        return self._take(now)

    def resend(self, after: int, now: float) -> tuple[int, list[Act]]:
        """Send all after this event again; up to which there is something now. Raises ResendError."""
        head = self._head
        if head is None:
            raise ResendError("the journal cannot be read just now")
        oldest = max(head.first, head.oldest)
        if not oldest - 1 <= after <= head.seq:
            raise ResendError(f"the gate has events {oldest} to {head.seq} of this epoch")
        self._resend = after
        return head.seq, self._take(now)

    def checked(self, seq: int, now: float, *, fits: bool) -> list[Act]:
        """Take the journal's word on an `Acknowledge`: whether that hash is its own."""
        ack, self._checking = self._checking, None
        head = self._head
        if ack is None or head is None or ack.epoch != head.epoch or ack.seq != seq:
            return self._take(now)
        if not fits:
            return self._change(
                [
                    BeginEpoch(
                        f"the center holds event {seq} of epoch {head.epoch} as another: our disk went back in time"
                    )
                ]
            )
        self.confirmed_at = now
        self._wanted = None
        if seq > head.acked:
            self._head = Head(head.epoch, head.first, head.root, max(head.seq, seq), seq, head.oldest)
        while self._window and self._window[0] <= seq:
            self._window.popleft()
        if self._cursor >= self._again:
            self._cursor = max(self._cursor, seq)
        self._resend_s = RESEND_FIRST_S
        self._resend_at = now + self._resend_s
        return self._take(now)

    def unchecked(self) -> None:
        """Take word that the journal could not do what was asked of it: the center's next word comes soon enough."""
        self._checking = None
        self._changing = False
        self._wanted = None
        self._again_next = 0

    def tick(self, now: float) -> list[Act]:
        """Let time pass."""
        if self._connected and self._window and now >= self._resend_at:
            self._resend_s = min(self._resend_s * 2, RESEND_MAX_S)
            self._start_over(now)
        return self._take(now) if self._resend is not None else self._go(now)

    def _take(self, now: float) -> list[Act]:
        """Act on the newest answer, if the journal is not busy with one."""
        ack, head = self._heard, self._head
        if self._resend is not None and head is not None and self._checking is None and not self._changing:
            after, self._resend, self._again_next = self._resend, None, head.seq
            return self._change([Rewind(min(after, head.acked))])
        if ack is None or head is None or self._checking is not None or self._changing:
            return self._go(now)
        self._heard = None
        if ack.epoch != head.epoch:
            return self._go(now)
        if ack.want:
            return self._want(ack, head, now)
        if ack.seq < head.acked or ack.seq < head.oldest - 1 or ack.seq == 0:
            return self._go(now)  # it never falls, and what was pruned cannot be compared
        self._checking = ack
        keep = now >= self._keep_at
        if keep:
            self._keep_at = now + KEEP_S
        return [Acknowledge(ack.seq, bytes.fromhex(ack.hash), keep), *self._go(now)]

    def _want(self, ack: Ack, head: Head, now: float) -> list[Act]:
        if ack.seq < head.first - 1:
            return self._change([Rewind(ack.seq, f"the center lacks what came before event {head.first}")])
        under_way = bool(self._window) or self._reading is not None
        if (self._wanted == ack.seq and under_way) or ack.seq >= head.seq:
            return self._go(now)
        self._wanted = ack.seq
        return self._change([Rewind(ack.seq)])

    def _change(self, acts: list[Act]) -> list[Act]:
        self._changing = True
        self._heard = None
        return acts

    def _start_over(self, now: float) -> None:
        self._window.clear()
        self._reading = None
        self._again = 0
        self._resend_at = now + self._resend_s
        if self._head is not None:
            self._cursor = max(self._head.acked, self._head.first - 1, self._head.oldest - 1)

    def _go(self, now: float) -> list[Act]:
        """Read on if there is something to send and room for it."""
        head = self._head
        if head is None or not self._connected or self._changing or self._reading is not None:
            return []
        due = self._cursor < head.seq and len(self._window) < WINDOW
        if not due and not (now >= self._assert_at and not self._window):
            return []
        self._reading = self._cursor
        return [Read(self._cursor)]

    def _header(self, head: Head, after: int, prev: bytes, count: int, sent: Stamp) -> Header:
        return Header(
            site=self._us.site,
            gate=self._us.gate,
            board=self._us.board,
            epoch=head.epoch,
            begins=head.first,
            root=head.root.hex(),
            oldest=head.oldest,
            first=after + 1,
            count=count,
            prev=prev.hex(),
            sent=Sent(at=sent.at, mono=sent.mono, boot=sent.boot, clock=sent.clock),
        )
