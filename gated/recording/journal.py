"""The journal: what the gate writes down, on disk before anything opens.

Lanes append from the event loop and are told what became of it; one thread writes. It takes whatever has gathered
while the last commit ran, gives it seq and hash, commits it as one group and reports with one call into the loop.
Nothing else ever writes the file.

- Append order is seq order. Who is told a seq knows that the event is on disk.
- A failed commit fails its group, and the journal is *in trouble*: appends fail at once, `on_change` has been told
  why, and the writer tries by itself, ever more slowly, until a write of its own succeeds.
- What rule 4 of the design opens without a record is kept in memory, bounded, and written marked `unwritten` before
  anything newer, once the disk is back; then `on_change` is told, and an alarm event says from when to when.
- After a failure the outcome of the last commit is unknown. The head is read from the disk again, and what turns out
  to be there is not written a second time.
- A damaged file is set aside and salvaged, a file from another board begins a new epoch: see `gated.recording.salvage`
  and `gated.recording.store`.

Checkpoints run in the writer while nothing has come for a moment; a lane that appends in that moment waits for it.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Self, TypeVar

from gated.recording import journal_read
from gated.recording.journal_writer import (
    Answered,
    Ask,
    Close,
    Failed,
    Gone,
    InTrouble,
    Item,
    Learned,
    Line,
    Report,
    Works,
    Writer,
    Written,
    begin_epoch,
)
from gated.recording.store import FILE_NAME, PRUNE_EVENTS, Facts, JournalTrouble, Store
from protocol.event import Kind, Stamp, body

__all__ = ["KEPT_MAX_EVENTS", "Journal", "JournalState", "JournalTrouble"]

KEPT_MAX_EVENTS: Final = 10_000
"""Events kept in memory while the disk is away: about 5 MB, a day of exits at a busy gate."""

_CLOSE_S: Final = 10.0  # of the 20 s that the service manager allows
_PRUNE_PAUSE_S: Final = 0.05
_OPENING: Final = "the journal is being opened"
_CLOSED: Final = "the journal is closed"

T = TypeVar("T")

Told = Callable[[int | JournalTrouble], None]
"""Hears what became of an event, once, in the loop: its seq now that it is on disk, or why it is not."""


@dataclass(frozen=True)
class JournalState:
    """How the journal is: `unwritten` counts events that so far are kept in memory only."""

    ok: bool
    why: str
    seq: int
    epoch: str
    first: int
    root: bytes
    acked: int
    oldest: int
    bytes: int
    wal_bytes: int
    unwritten: int


class Journal:
    """The event loop's side. One task enters and leaves; everything is called from that loop.

    `stamp` is called from the writer's thread as well; it may only read clocks. `on_change(ok, why)` is called in the
    loop when trouble begins and when it is over, `on_grown` when there is more in it, or another epoch.
    """

    def __init__(
        self,
        folder: Path,
        *,
        board: str,
        stamp: Callable[[], Stamp],
        on_change: Callable[[bool, str], None] | None = None,
    ) -> None:
        self.on_grown: Callable[[], None] = _unheard
        self._path = folder / FILE_NAME
        self._board = board
        self._stamp = stamp
        self._on_change = on_change
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._reports: deque[Report] = deque()
        self._woken = False
        self._opened = asyncio.Event()
        self._gone = asyncio.Event()
        self._facts = Facts()
        self._why = _OPENING
        self._refuse = ""  # why appends fail at once; empty while they may be queued
        self._closing = False
        self._since: Stamp | None = None
        self._unwritten = 0
        self._kept = 0
        self._dropped = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        writer = Writer(self._path, board=self._board, stamp=self._stamp, queue=self._queue, report=self._hand_over)
        threading.Thread(target=writer.run, name="journal.writer", daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Return when all that was appended is on disk and the file is closed.

        Raises JournalTrouble where the disk does not answer in time, or where kept events could not be written.
        """
        self._refuse = _CLOSED
        self._closing = True
        self._queue.put(Close())
        gone = asyncio.create_task(self._gone.wait())
        # No asyncio.timeout: before Python 3.11.4 a task group that has failed in this task leaves it half cancelled.
        if not (await asyncio.wait({gone}, timeout=_CLOSE_S))[0]:
            gone.cancel()
            raise JournalTrouble(f"the disk does not answer: the journal is not closed after {_CLOSE_S:.0f} s")
        if self._unwritten:
            raise JournalTrouble(f"{self._unwritten} events could not be written before the end: {self._why}")

    async def opened(self) -> None:
        """Return when the first open, with a salvage if one is needed, has succeeded or failed."""
        await self._opened.wait()

    def write(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object], told: Told) -> None:
        """Write an event; `told` is called later, never from here. Raises EventError where it is none."""
        rest = body(kind, stamp, fields)
        if self._refuse:
            self._loop.call_soon(told, JournalTrouble(self._refuse))
            return
        self._queue.put(Line(rest, told))
        # Lets go of the interpreter's lock: the writer begins now, not when this task next waits.
        os.sched_yield()

    def append(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object]) -> asyncio.Future[int]:
        """`write` for who can wait: the event's seq, once it is on disk. Fails with JournalTrouble."""
        future: asyncio.Future[int] = self._loop.create_future()
        self.write(kind, stamp, fields, partial(_settle, future))
        return future

    def keep(self, kind: Kind, stamp: Stamp, fields: Mapping[str, object]) -> None:
        """Write an event that was acted on without a record, marked `unwritten`, as soon as the disk allows."""
        if self._unwritten >= KEPT_MAX_EVENTS:
            self._dropped += 1
            return
        rest = body(kind, stamp, {**fields, "unwritten": True})
        self._unwritten += 1
        self._kept += 1
        self._queue.put(Line(rest, None))

    @property
    def state(self) -> JournalState:
        """How the journal is, as far as the loop has heard."""
        facts = self._facts
        return JournalState(
            ok=not self._why,
            why=self._why,
            seq=facts.seq,
            epoch=facts.epoch,
            first=facts.first,
            root=facts.root,
            acked=facts.acked,
            oldest=facts.oldest,
            bytes=facts.bytes,
            wal_bytes=facts.wal_bytes,
            unwritten=self._unwritten,
        )

    def tail(self, count: int) -> list[bytes]:
        """The last lines, oldest first. None before the journal is opened or while it is in trouble."""
        return [] if self._why else journal_read.tail(self._path, count)

    async def acknowledge(self, seq: int, event_hash: bytes, *, keep: bool = True) -> bool:
        """Whether that hash is ours at that seq; if so, all up to it counts as acknowledged. Never falls.

        Without `keep` a restart may forget it, and what it covers is sent again.
        """
        return await self._ask(lambda store: store.acknowledge(seq, event_hash, keep=keep))

    async def rewind(self, seq: int) -> int:
        """What counts as acknowledged, after the center has said that it wants what follows `seq`."""
        return await self._ask(lambda store: store.rewind(seq))

    async def prune(self, before_at: datetime) -> int:
        """How many events were removed: acknowledged and older than `before_at` (with offset), in small steps."""
        before = before_at.astimezone()
        removed = step = await self._ask(lambda store: store.prune(before))
        while step >= PRUNE_EVENTS:
            await asyncio.sleep(_PRUNE_PAUSE_S)
            step = await self._ask(lambda store: store.prune(before))
            removed += step
        return removed

    async def begin_epoch(self, why: str, *, after: int | None = None) -> str:
        """The id of a new epoch, begun with an alarm event that says why; `after` rewinds to that seq first."""

        def begin(store: Store) -> str:
            if after is not None:
                store.rewind(after)
            return begin_epoch(store, self._board, self._stamp(), why)

        return await self._ask(begin)

    def _ask(self, work: Callable[[Store], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        if self._refuse:
            future.set_exception(JournalTrouble(self._refuse))
        else:
            self._queue.put(Ask(work, future))
        return future

    def _hand_over(self, report: Report) -> None:
        """In the writer's thread. The loop is woken once for all that gathers until it hears.

        A wake-up for each would fill the pipe that signals come through as well, and a SIGTERM would be lost.
        """
        self._reports.append(report)
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # a loop that is gone has nobody left who waits
                self._loop.call_soon_threadsafe(self._hear_all)

    def _hear_all(self) -> None:
        self._woken = False  # before the first is taken: what comes after that wakes the loop again
        while self._reports:
            self._hear(self._reports.popleft())

    def _hear(self, report: Report) -> None:
        match report:
            case Written(first, lines):
                self._written(first, lines)
            case Failed(items, why):
                self._failed(items, why)
            case Answered(ask, answer, facts):
                self._facts = facts
                _settle(ask.waiter, answer)
            case Learned(facts):
                self._facts = facts
            case InTrouble(why, salvaging):
                self._in_trouble(why, salvaging=salvaging)
            case Works(facts, on_disk):
                self._works(facts, on_disk)
            case Gone():
                self._gone.set()

    def _written(self, first: int, lines: list[Line]) -> None:
        for seq, item in enumerate(lines, first):
            if item.told is None:
                self._unwritten -= 1
            else:
                self._tell(item.told, seq)
        self._facts = replace(self._facts, seq=first + len(lines) - 1)
        self.on_grown()

    def _failed(self, items: list[Line | Ask], why: str) -> None:
        for item in items:
            if isinstance(item, Line):
                self._tell(item.told, JournalTrouble(why))
            else:
                _settle(item.waiter, JournalTrouble(why))

    def _tell(self, told: Told, word: int | JournalTrouble) -> None:
        """Straight from here, without another turn of the loop: a barrier waits for it."""
        try:
            told(word)
        except Exception as error:  # noqa: BLE001 - the others of the group must hear theirs
            self._loop.call_exception_handler({"message": "what a written event calls for failed", "exception": error})

    def _in_trouble(self, why: str, *, salvaging: bool) -> None:
        self._why = why
        if not self._closing:
            self._refuse = why
        if not salvaging:
            self._opened.set()
        if self._since is None:
            self._since = self._stamp()
            if self._on_change is not None:
                self._on_change(False, why)

    def _works(self, facts: Facts, on_disk: tuple[int, int] | None) -> None:
        self._facts = facts
        why, self._why = self._why, ""
        since, self._since = self._since, None
        if not self._closing:
            self._refuse = ""
        self._opened.set()
        if since is not None:
            if self._on_change is not None:
                self._on_change(True, "")
            self._tell_the_trouble(since, why, on_disk)
        self.on_grown()

    def _tell_the_trouble(self, since: Stamp, why: str, on_disk: tuple[int, int] | None) -> None:
        """The alarm event: from when to when, why, what was kept, what was lost for want of memory."""
        now = self._stamp()
        fields = {
            "what": "journal-trouble",
            "from": since.at,
            "until": now.at,
            "why": why,
            "kept": self._kept,
            "dropped": self._dropped or None,
            "failed_but_on_disk": on_disk,
        }
        self._kept = self._dropped = 0
        self.note(Kind.ALARM, now, fields)

    def note(
        self, kind: Kind, stamp: Stamp, fields: Mapping[str, object], settled: Callable[[], None] | None = None
    ) -> None:
        """Write an event that opens nothing; where that fails, it is kept. `settled` is called when either is done."""

        def keep_if_failed(word: int | JournalTrouble) -> None:
            if isinstance(word, JournalTrouble) and not self._closing:
                self.keep(kind, stamp, fields)
            if settled is not None:
                settled()

        self.write(kind, stamp, fields, keep_if_failed)


def _unheard() -> None:
    """Nobody has asked to hear."""


def _settle(waiter: asyncio.Future[T], answer: T | JournalTrouble) -> None:
    if waiter.done():  # it may have been cancelled; what was asked for is done all the same
        return
    if isinstance(answer, JournalTrouble):
        waiter.set_exception(answer)
    else:
        waiter.set_result(answer)
