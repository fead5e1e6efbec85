"""The journal's writer: the one thread that touches the store.

It takes what has gathered in the queue while the last commit ran, commits it as one group, and reports; the loop's
side, `gated.recording.journal`, wakes the waiters. While the store is in trouble everything that waits is refused, kept
events are gathered, and an attempt to open again follows ever more slowly. Only a write that succeeded ends the
trouble.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Final, TypeGuard

from gated.recording.salvage import finish, salvage
from gated.recording.store import WAL_PAGES, Facts, JournalDamaged, JournalTrouble, Store
from protocol.event import Kind, Stamp, body

GROUP_MAX_EVENTS: Final = 256
IDLE_S: Final = 0.05
IDLE_PAGES: Final = 256  # a checkpoint worth its fsync: a quarter of the WAL
FULL_PAGES: Final = WAL_PAGES * 7 // 8  # then even if busy: the estimate is rough, and a WAL that grows costs more
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Line:
    """An event on its way to the disk, and who is to be told; where nobody is, it is kept until it is there."""

    rest: bytes
    told: Any


@dataclass(frozen=True, slots=True)
class Ask:
    """Work for the writer between two groups, and what waits for its answer."""

    work: Callable[[Store], Any]
    waiter: Any


@dataclass(frozen=True, slots=True)
class Close:
    """The last item."""


Item = Line | Ask | Close


@dataclass(frozen=True, slots=True)
class Written:
    """These are on disk, with consecutive seqs."""

    first: int
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Failed:
    """These are not, or not certainly."""

    items: list[Line | Ask]
    why: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An ask is done."""

    ask: Ask
    answer: Any
    facts: Facts


@dataclass(frozen=True, slots=True)
class Learned:
    """The store has changed by itself: a checkpoint."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class InTrouble:
    """Nothing can be written; `salvaging` while the remedy is already under way."""

    why: str
    salvaging: bool


@dataclass(frozen=True, slots=True)
class Works:
    """Open, and a write has succeeded. `on_disk`: events (first, last) reported as failed that are there after all."""

    facts: Facts
    on_disk: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Gone:
    """The file is closed; the thread ends."""


Report = Written | Failed | Answered | Learned | InTrouble | Works | Gone


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A group whose commit failed: where it would stand if it is on disk all the same."""

    first: int
    last: int
    hash: bytes
    lines: list[Line]


class Writer:
    """What the thread runs. `report` is called in it, and hands over to the loop."""

    def __init__(
        self,
        path: Path,
        *,
        board: str,
        stamp: Callable[[], Stamp],
        queue: SimpleQueue[Item],
        report: Callable[[Report], None],
    ) -> None:
        self._path = path
        self._board = board
        self._stamp = stamp
        self._queue = queue
        self._report = report
        self._store: Store | None = None
        self._in_hand: list[Line | Ask] = []
        self._kept: deque[Line] = deque()
        self._doubt: _Doubt | None = None
        self._damage = ""
        self._pause_s = 0.0
        self._closing = False

    def run(self) -> None:
        """Write until told to close."""
        try:
            while not self._closing:
                if self._store is not None:
                    self._work(self._store)
                else:
                    self._sit_out()
                    if not self._closing or self._kept:
                        self._open()
        except Exception as error:
            self._fail(self._in_hand, f"the journal's writer has stopped: {error!r}")
            self._report(InTrouble(f"the journal's writer has stopped: {error!r}", salvaging=False))
            self._refuse_waiting()
            raise
        finally:
            if self._store is not None:
                self._store.close()
            self._report(Gone())

    def _work(self, store: Store) -> None:
        """One group, and the ask that came behind it."""
        try:
            item = self._next(store)
            lines: list[Line] = []
            while isinstance(item, Line):
                lines.append(item)
                full = len(lines) == GROUP_MAX_EVENTS or self._queue.empty()
                item = None if full else self._queue.get_nowait()
            self._in_hand = [*lines, item] if isinstance(item, Ask) else [*lines]
            if lines:
                self._kept.extend(item for item in lines if _is_kept(item))
                self._commit(store, lines)
                self._kept.clear()
            if isinstance(item, Ask):
                self._answer(store, item)
            self._closing = isinstance(item, Close)
            if store.wal_pages >= FULL_PAGES:
                self._checkpoint(store)
        except JournalTrouble as error:
            self._fall(error)

    def _next(self, store: Store) -> Item | None:
        if store.wal_pages < IDLE_PAGES:
            return self._queue.get()
        try:
            return self._queue.get(timeout=IDLE_S)
        except Empty:
            self._checkpoint(store)
            return None

    def _commit(self, store: Store, lines: list[Line]) -> None:
        try:
            first = store.commit([item.rest for item in lines])
        except JournalTrouble:
            after = store.hash_after([item.rest for item in lines])
            self._doubt = _Doubt(store.seq + 1, store.seq + len(lines), after, lines)
            raise
        self._report(Written(first, lines))
        self._in_hand = self._in_hand[len(lines) :]
        self._pause_s = RETRY_FIRST_S

    def _answer(self, store: Store, ask: Ask) -> None:
        answer = ask.work(store)
        self._report(Answered(ask, answer, store.facts()))
        self._in_hand = []

    def _checkpoint(self, store: Store) -> None:
        store.checkpoint()
        self._report(Learned(store.facts()))

    def _fall(self, error: JournalTrouble) -> None:
        """From writing to trouble: what is in hand fails, the file is closed, the next open reads the head anew."""
        if self._store is not None:
            self._store.close()
        self._store = None
        self._note(error)
        self._fail(self._in_hand, str(error))
        self._in_hand = []

    def _note(self, error: JournalTrouble) -> None:
        if isinstance(error, JournalDamaged):
            self._damage = str(error)
        self._pause_s = min(max(self._pause_s * 2, RETRY_FIRST_S), RETRY_MAX_S)
        self._report(InTrouble(str(error), salvaging=False))

    def _fail(self, items: list[Line | Ask], why: str) -> None:
        waiting = [item for item in items if not _is_kept(item)]
        if waiting:
            self._report(Failed(waiting, why))

    def _sit_out(self) -> None:
        """Refuse what comes until it is time to try again."""
        until = monotonic() + self._pause_s
        while not self._closing and (left_s := until - monotonic()) > 0:
            with suppress(Empty):
                self._refuse(self._queue.get(timeout=left_s))

    def _refuse_waiting(self) -> None:
        while not self._queue.empty():
            self._refuse(self._queue.get_nowait())

    def _refuse(self, item: Item) -> None:
        if isinstance(item, Close):
            self._closing = True
        elif _is_kept(item):
            self._kept.append(item)
        else:
            self._fail([item], self._damage or "the journal is in trouble")

    def _open(self) -> None:
        try:
            store = self._enter()
        except JournalTrouble as error:
            self._note(error)
            self._refuse_waiting()
        else:
            self._store = store

    def _enter(self) -> Store:
        """The open store, after a write that succeeded and with all kept events in it."""
        finish(self._path)
        if self._damage:
            self._salvage()
        try:
            store = Store(self._path)
        except JournalDamaged as error:
            self._damage = str(error)
            self._salvage()
            store = Store(self._path)
        try:
            on_disk = self._settle_doubt(store)
            self._claim(store)
            store.probe()
            while self._kept:
                self._write_kept(store)
        except JournalTrouble:
            store.close()
            raise
        self._report(Works(store.facts(), on_disk))
        return store

    def _salvage(self) -> None:
        self._report(InTrouble(f"{self._damage}; what can be read of it is being saved", salvaging=True))
        salvage(self._path, self._damage, board=self._board, stamp=self._stamp(), between=self._refuse_waiting)
        self._damage = ""

    def _settle_doubt(self, store: Store) -> tuple[int, int] | None:
        """Where the last group that failed is on disk all the same: its kept events need no second writing."""
        doubt, self._doubt = self._doubt, None
        if doubt is None or not store.holds(doubt.last, doubt.hash):
            return None
        for item in doubt.lines:
            if _is_kept(item):
                self._kept.popleft()
        self._report(Written(doubt.first, doubt.lines))
        return doubt.first, doubt.last

    def _claim(self, store: Store) -> None:
        """Begin an epoch where there is none, or where the last one was on another board."""
        if store.epoch is None:
            store.begin_epoch(board=self._board, began=self._stamp().at, why="a new journal")
        elif store.epoch.board != self._board:
            begin_epoch(store, self._board, self._stamp(), f"found on another board: was {store.epoch.board}")

    def _write_kept(self, store: Store) -> None:
        lines = list(islice(self._kept, GROUP_MAX_EVENTS))
        self._commit(store, lines)
        for _ in lines:
            self._kept.popleft()


def _is_kept(item: Line | Ask) -> TypeGuard[Line]:
    """Whether this is an event that nobody waits for: it must not be dropped."""
    return isinstance(item, Line) and item.told is None


def begin_epoch(store: Store, board: str, stamp: Stamp, why: str) -> str:
    """The id of a new epoch, begun together with an alarm event that says why."""
    alarm = body(Kind.ALARM, stamp, {"what": "journal-epoch", "why": why, "board": board})
    return store.begin_epoch(board=board, began=stamp.at, why=why, alarm=alarm).id
