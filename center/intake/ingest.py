"""What the center makes of a batch: which events it stores, what it answers, what it raises alarm about.

A pure function of the batch and of what the center holds of that gate (`Ledger`). The shell around it has checked the
signature, holds a lock on the gate, writes what comes out in one transaction, and answers after the commit.

- An event's identity is its chain hash; (epoch, seq) is its place. What is held under another epoch is not stored
  twice.
- The answer is always the head of that epoch after the commit. `want` asks for all after it.
- An epoch that hangs on an event that is not held is wanted from the beginning; unless the gate has nothing before it
  any more: then the gap is recorded, with an alarm, and things go on from there.
- What does not fit what is held is set apart, with an alarm, and never stored as true. The answer is the head as it
  was, and the gate sees by itself.
- What was pruned here is not asked for, and one that is sent again is held to be what it was.
- Content plays no part in any of this. What a gate cries for in its events becomes an alarm beside it
  (`center.intake.cries`); a line that is not understood is no cry.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Final, Protocol

from center.intake.alarm import Alarm
from center.intake.cries import cry, gathered, loud
from center.intake.lateness import late, travelled
from center.records.facts import facts
from protocol.batch import Batch, hashes
from protocol.event import GENESIS
from protocol.message import Ack, MessageError

LIVE_S: Final = 600.0
"""Another box that was heard within this time under the same name still runs; a batch that took longer is no sign."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far the center holds an epoch: the last event's seq and hash; where it began and on which board.

    Events up to `gone` were held and have been pruned.
    """

    seq: int
    hash: bytes
    first: int
    root: bytes
    board: str
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """Whom the center heard last under a gate's name: which epoch, on which board, when (POSIX s)."""

    epoch: str
    board: str
    at: float


class Ledger(Protocol):
    """What the center holds of one gate, as of now in this transaction."""

    def head(self, epoch: str) -> Head | None:
        """How far it holds this epoch; None if it has never begun."""
        ...

    def holds(self, event_hash: bytes) -> bool:
        """Whether an event of this hash is stored, or was the last of those that were pruned."""
        ...

    def heard(self) -> Heard | None:
        """Whom it heard last; None for a gate never heard."""
        ...


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to store, unless its hash is held already."""

    seq: int
    hash: bytes
    line: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that the gate no longer has and the center never had: `first` to `last`, whose hash this is."""

    first: int
    last: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch comes to.

    `head` is to be written down for the epoch, None where there is nothing to write. `apart` says why the batch is set
    apart. `early` marks a batch that starts beyond the head: another worker may hold the one before it.

    `withheld` marks one of another board than the one heard last, which had left too long ago to say who runs now.
    """

    answer: Ack
    head: Head | None = None
    begins: bool = False
    events: tuple[NewEvent, ...] = ()
    gap: Gap | None = None
    apart: str = ""
    early: bool = False
    withheld: bool = False
    alarms: tuple[Alarm, ...] = ()

    def news_of(self, heard: Heard | None) -> bool:
        """Whether it shows who speaks under that name now: another's batches of long ago can be sent again."""
        new = bool(self.events) or self.begins or heard is None or heard.epoch == self.answer.epoch
        return new and not self.withheld


def ingest(batch: Batch, ledger: Ledger, now: float, *, center_synced: bool = True) -> Outcome:
    """What the center does with this batch, received at `now` (POSIX s) by a clock that is right or not."""
    journey = travelled(batch.header.sent, now, center_synced=center_synced)
    outcome = _judged(batch, ledger, now, journey)
    cries = _cries(outcome, batch, ledger, journey)
    return replace(outcome, alarms=(*outcome.alarms, *cries)) if cries else outcome


def _judged(batch: Batch, ledger: Ledger, now: float, journey: float | None) -> Outcome:
    """What the batch comes to, whatever its events say."""
    header = batch.header
    held = ledger.head(header.epoch)
    try:
        chain = hashes(batch)
    except MessageError as error:
        return _apart(batch, held, str(error))
    withheld = journey is not None and journey > LIVE_S and _of_another(batch, ledger.heard())
    if held is None:
        return replace(_begin(batch, chain, ledger), withheld=withheld)
    if (held.first, held.root) != (header.begins, bytes.fromhex(header.root)):
        return _apart(batch, held, f"epoch {header.epoch} began at event {held.first}, not at {header.begins}")
    outcome = _append(batch, chain, held, ledger, ())
    if withheld:
        return replace(outcome, withheld=True)
    # Only with something new: what was said long ago may be said again by anybody who was there.
    return replace(outcome, alarms=(*_rival(batch, ledger, now), *outcome.alarms)) if outcome.events else outcome


def _begin(batch: Batch, chain: list[bytes], ledger: Ledger) -> Outcome:
    """The first batch of an epoch."""
    header = batch.header
    root = bytes.fromhex(header.root)
    before = header.begins - 1
    if header.first < header.begins:
        return _apart(batch, None, f"event {header.first} lies before its epoch, which begins at {header.begins}")
    gap: Gap | None = None
    if not (before == 0 and root == GENESIS) and not ledger.holds(root):
        if header.begins != header.oldest:
            return Outcome(Ack(epoch=header.epoch, seq=0, hash=GENESIS.hex(), want=True))
        gap = Gap(1, before, root)
    alarms: list[Alarm] = []
    if (heard := ledger.heard()) is not None:
        anew = f"the journal began anew at event {header.begins}: epoch {header.epoch} after {heard.epoch}"
        alarms.append(Alarm("epoch", anew))
    if gap is not None:
        alarms.append(_gap_alarm(gap))
    start = Head(before, root, header.begins, root, header.board)
    return _append(batch, chain, start, ledger, tuple(alarms), gap=gap, begins=True)


def _append(
    batch: Batch,
    chain: list[bytes],
    held: Head,
    ledger: Ledger,
    alarms: tuple[Alarm, ...],
    *,
    gap: Gap | None = None,
    begins: bool = False,
) -> Outcome:
    """What is new of a batch of an epoch whose head is `held`."""
    header = batch.header
    if header.first > held.seq + 1:
        if header.first != header.oldest:
            return Outcome(_ack(header.epoch, held, want=True), early=header.oldest <= held.seq + 1)
        gap = Gap(held.seq + 1, header.first - 1, bytes.fromhex(header.prev))
        alarms = (*alarms, _gap_alarm(gap))
        held = _moved(held, gap.last, gap.hash)
    if not _fits(batch, chain, held, ledger):
        known = None if begins else held
        return _apart(batch, known, f"events {header.first} to {batch.last} are not those that are held")
    places = zip(range(header.first, batch.last + 1), chain, batch.lines, strict=True)
    new = tuple(NewEvent(seq, event_hash, line) for seq, event_hash, line in places if seq > held.seq)
    if new:
        held = _moved(held, new[-1].seq, new[-1].hash)
    return Outcome(_ack(header.epoch, held), head=held, begins=begins, events=new, gap=gap, alarms=alarms)


def _fits(batch: Batch, chain: list[bytes], held: Head, ledger: Ledger) -> bool:
    """Whether the batch and what is held are one chain."""
    before = batch.header.first - 1
    ours = [bytes.fromhex(batch.header.prev), *chain]
    if before <= held.seq <= batch.last:
        return ours[held.seq - before] == held.hash
    # All of it lies behind the head. Before the epoch's first event nothing of it is held under this name, and of what
    # was pruned nothing can be compared any more; in neither case is anything of it stored.
    return batch.last < held.first or batch.last <= held.gone or ledger.holds(ours[-1])


def _apart(batch: Batch, held: Head | None, why: str) -> Outcome:
    epoch = batch.header.epoch
    answer = Ack(epoch=epoch, seq=0, hash=GENESIS.hex(), want=False) if held is None else _ack(epoch, held)
    return Outcome(answer, apart=why, alarms=(Alarm("apart", f"epoch {epoch}: {why}"),))


def _of_another(batch: Batch, heard: Heard | None) -> bool:
    """Whether it is of another board than the one heard last, in another epoch."""
    return heard is not None and heard.epoch != batch.header.epoch and heard.board != batch.header.board


def _rival(batch: Batch, ledger: Ledger, now: float) -> tuple[Alarm, ...]:
    """Two boxes under one name: an epoch speaks again though another board has spoken a moment ago.

    Its batch has left a moment ago, or its clocks do not tell: then it may be one that somebody has kept back, and
    nothing that a batch says of itself could show that. Two that hear each other prove it (`rival`, a gate's own cry).
    """
    header, heard = batch.header, ledger.heard()
    if heard is None or not _of_another(batch, heard) or now - heard.at > LIVE_S:
        return ()
    boards = " and ".join(sorted((heard.board, header.board)))
    epochs = " and ".join(sorted((heard.epoch, header.epoch)))
    return (Alarm("rivals", f"two boxes speak under this name: boards {boards}, epochs {epochs}"),)


def _cries(outcome: Outcome, batch: Batch, ledger: Ledger, journey: float | None) -> tuple[Alarm, ...]:
    """What the gate cries for in events that are new here."""
    events = [event for event in outcome.events if loud(event.line)]
    # An epoch may begin with events that are held under another: each hash covers all before it, so they come first.
    new = events[bisect_left(events, True, key=lambda event: not ledger.holds(event.hash)) :]
    said = (facts(event.line) for event in new)
    return gathered(cry(one, late=late(one, batch.header.sent, journey)) for one in said)


def _ack(epoch: str, head: Head, *, want: bool = False) -> Ack:
    return Ack(epoch=epoch, seq=head.seq, hash=head.hash.hex(), want=want)


def _gap_alarm(gap: Gap) -> Alarm:
    return Alarm("gap", f"events {gap.first} to {gap.last} are lost: the gate no longer has them")


def _moved(head: Head, seq: int, event_hash: bytes) -> Head:
    return replace(head, seq=seq, hash=event_hash)
