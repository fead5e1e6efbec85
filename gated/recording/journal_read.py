"""The journal read from outside: listed, followed, verified, exported. Always `mode=ro`, never in the writer's way.

A read transaction that stays open keeps the WAL from being started over, so each statement takes at most a thousand
rows and ends before the first is handed on. Lines are looked at as bytes first, and parsed only where a filter might
fit. A reader needs the `-shm` file or the right to make it: without, the error says which command has that right.
"""

import asyncio
import csv
import json
import math
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from gated.recording.store import SELECT_EPOCHS, Epoch
from protocol.event import GENESIS, Kind, link

CHUNK_EVENTS: Final = 1000
POLL_S: Final = 0.2
BYTES_PER_EVENT: Final = 345.0
"""Disk for one passage, a line of 276 bytes, with hash, row and page overhead (measured over 64,000)."""
COLUMNS: Final = (
    *("seq", "at", "clock", "kind", "lane", "direction", "credential", "verdict", "reason", "holder", "list", "reader"),
    "unwritten",
)
_FOLLOWING_KIB: Final = 256
_LINES_AFTER: Final = "SELECT CAST(line AS BLOB) FROM event WHERE seq > ? ORDER BY seq"
_EVENTS_TO_MEASURE: Final = 20_000  # below, the file's fixed parts would count too much
_PROBLEMS_MAX: Final = 100
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what begins so

Row = tuple[int, bytes, bytes]


class JournalUnreadable(Exception):  # noqa: N818 - says what it is
    """The journal cannot be read; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are meant; what is None does not matter. Times are instants with offset, half-open."""

    start: datetime | None = None
    end: datetime | None = None
    lane: str | None = None
    credential: str | None = None
    kind: Kind | str | None = None
    verdict: str | None = None
    reason: str | None = None
    _needles: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        needles = (f'"{key}":{json.dumps(value, ensure_ascii=False)}'.encode() for key, value in self._wanted())
        object.__setattr__(self, "_needles", tuple(needles))

    def fits(self, event_line: bytes) -> bool:
        """Whether this event is meant. A line that cannot be parsed is, only if everything is."""
        if not all(needle in event_line for needle in self._needles):
            return False
        if self.start is None and self.end is None and not self._needles:
            return True
        try:
            event = json.loads(event_line)
            return all(event.get(key) == value for key, value in self._wanted()) and self._in_time(event["at"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return False

    def _wanted(self) -> Iterator[tuple[str, str]]:
        for key in ("lane", "credential", "kind", "verdict", "reason"):
            value = getattr(self, key)
            if value is not None:
                yield key, str(value)

    def _in_time(self, text: str) -> bool:
        if self.start is None and self.end is None:
            return True
        at = datetime.fromisoformat(text).astimezone()
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not fit, and at which event; seq 0 where it concerns none."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a journal holds, and the first hundred things in it that do not fit, in order."""

    first: int
    last: int
    head: bytes
    epochs: tuple[Epoch, ...]
    problems: tuple[Problem, ...]


def lines(
    path: Path,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    lane: str | None = None,
    credential: str | None = None,
    kind: Kind | str | None = None,
    verdict: str | None = None,
    reason: str | None = None,
    after: int = 0,
) -> Generator[bytes, None, None]:
    """The event lines that are meant, oldest first. Raises JournalUnreadable."""
    wanted = Filter(start, end, lane, credential, kind, verdict, reason)
    with _reading(path) as connection:
        yield from (row[1] for row in _rows(connection, after) if wanted.fits(row[1]))


def tail(path: Path, count: int) -> list[bytes]:
    """The last lines, oldest first."""
    with _reading(path) as connection:
        rows = connection.execute("SELECT CAST(line AS BLOB) FROM event ORDER BY seq DESC LIMIT ?", (count,)).fetchall()
    return [bytes(row[0]) for row in reversed(rows)]


class Following:
    """A journal read on and on, by one connection that is kept: opening one costs more than to read an event.

    For one thread at a time. A journal that was set aside meanwhile is let go of, and the new one opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def read(self, after: int, most_bytes: int) -> tuple[bytes, list[bytes]]:
        """The hash of the event `after`, and the lines behind it: up to that many bytes, at least one if there is one.

        Raises JournalUnreadable, also where that event is neither there nor the last that was pruned.
        """
        try:
            with _in_words(self._path):
                return self._read(self._current(), after, most_bytes)
        except JournalUnreadable:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the journal; it is opened again by the next `read`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _current(self) -> sqlite3.Connection:
        stands = _inode(self._path)
        if stands != self._opened:
            self.close()
        if self._connection is None:
            self._connection, self._opened = _opened(self._path), stands
            self._connection.execute(f"PRAGMA cache_size=-{_FOLLOWING_KIB}").close()
        return self._connection

    def _read(self, connection: sqlite3.Connection, after: int, most_bytes: int) -> tuple[bytes, list[bytes]]:
        found: list[bytes] = []
        size = 0
        with closing(connection.execute(_LINES_AFTER, (after,))) as rows:
            for (line,) in rows:
                size += len(line)
                if found and size > most_bytes:
                    break
                found.append(line)
        row = connection.execute("SELECT CAST(hash AS BLOB) FROM event WHERE seq = ?", (after,)).fetchone()
        if row is None:
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            row = (meta["pruned_hash"],) if meta["pruned_seq"] == after else None
        if row is None:
            raise JournalUnreadable(f"{self._path}: event {after} is not there")
        return bytes(row[0]), found


def head(path: Path) -> int:
    """The last seq."""
    with _reading(path) as connection:
        return _last(connection)


async def follow(
    path: Path, wanted: Filter | None = None, *, after: int | None = None, poll_s: float = POLL_S
) -> AsyncGenerator[bytes, None]:
    """Lines as they are written, after `after` or from now on, for ever.

    A journal that was salvaged meanwhile is taken up from its new epoch's beginning: lines may come again.
    """
    wanted = wanted or Filter()
    last = head(path) if after is None else after
    while True:
        identity = _inode(path)
        with _reading(path) as connection:
            last = min(last, _last(connection))
            while _inode(path) == identity:
                for seq, event_line, _ in _rows(connection, last):
                    last = seq
                    if wanted.fits(event_line):
                        yield event_line
                await asyncio.sleep(poll_s)
        while _inode(path) == 0:  # noqa: ASYNC110 - being salvaged, by another process
            await asyncio.sleep(poll_s)
        with _reading(path) as connection:
            epochs = connection.execute(SELECT_EPOCHS).fetchall()
            last = min(last, epochs[-1][1] - 1) if epochs else 0


def verify(path: Path, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Every event, checkpoint and epoch of the journal checked against the chain. Raises JournalUnreadable.

    `progress(done, last)` is called every thousand events.
    """
    with _reading(path) as connection:
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        epochs = tuple(Epoch(*row) for row in connection.execute(SELECT_EPOCHS).fetchall())
        check = _Check(int(meta["pruned_seq"]), bytes(meta["pruned_hash"]), epochs)
        last = _last(connection)
        for row in _rows(connection, 0):
            check.see(row)
            if progress is not None and row[0] % CHUNK_EVENTS == 0:
                progress(row[0], last)
        return check.result(int(meta["acked"]))


class _Check:
    """A walk along the chain. One event behind: whether a line or its hash was altered, only the next one tells."""

    def __init__(self, pruned_seq: int, pruned_hash: bytes, epochs: tuple[Epoch, ...]) -> None:
        self._pruned_seq = pruned_seq
        self._seq = pruned_seq
        self._hash = pruned_hash
        self._epochs = epochs
        self._roots = {epoch.first - 1: b"" for epoch in epochs}
        self._roots[pruned_seq] = pruned_hash
        self._doubt: tuple[int, bytes] | None = None  # an event that did not fit, and what its hash should have been
        self._problems: list[Problem] = []
        self._first = 0
        if pruned_seq == 0 and pruned_hash != GENESIS:
            self._problem(0, "the checkpoint was altered: nothing is pruned, yet its hash is not the beginning's")

    def see(self, row: Row) -> None:
        """The next event."""
        seq, event_line, event_hash = row
        self._first = self._first or seq
        if seq != self._seq + 1:
            self._settle(None)
            self._problem(seq, f"gap: events {self._seq + 1} to {seq - 1} are missing")
        else:
            self._settle(row)
            expected = link(self._hash, event_line)
            if expected != event_hash:
                self._doubt = (seq, expected)
        if not event_line.startswith(b'{"seq":%d,' % seq):
            self._problem(seq, f"the line says another seq: {event_line[:24].decode('utf-8', 'backslashreplace')}…")
        self._seq, self._hash = seq, event_hash
        if seq in self._roots:
            self._roots[seq] = event_hash

    def result(self, acked: int) -> Verified:
        """What the walk found."""
        self._settle(None)
        if acked > self._seq:
            self._problem(0, f"event {acked} counts as acknowledged, but the last one is {self._seq}")
        if not self._epochs and self._first:
            self._problem(0, "there is no epoch")
        for epoch in self._epochs:
            self._check_epoch(epoch)
        first = self._first or self._pruned_seq + 1
        return Verified(first, self._seq, self._hash, self._epochs, tuple(self._problems))

    def _settle(self, following: Row | None) -> None:
        if self._doubt is None:
            return
        seq, expected = self._doubt
        self._doubt = None
        if following is not None and link(expected, following[1]) == following[2]:
            self._problem(seq, "its hash was altered")
            self._hash = expected
        elif seq == self._pruned_seq + 1 and self._pruned_seq:
            self._problem(seq, "does not follow the checkpoint: the checkpoint or this line was altered")
        elif following is not None and link(self._hash, following[1]) == following[2]:
            self._problem(seq, "its line was altered")
        else:
            self._problem(seq, "its line or its hash was altered")

    def _check_epoch(self, epoch: Epoch) -> None:
        if not 1 <= epoch.first <= self._seq + 1:
            self._problem(0, f"epoch {epoch.id} begins at {epoch.first}, outside of 1 to {self._seq + 1}")
            return
        root = self._roots[epoch.first - 1] or (GENESIS if epoch.first == 1 else b"")
        if root and root != epoch.root:
            self._problem(epoch.first, f"the root of epoch {epoch.id} is not the hash of the event before it")

    def _problem(self, seq: int, what: str) -> None:
        if len(self._problems) < _PROBLEMS_MAX:
            self._problems.append(Problem(seq, what))


def export_jsonl(event_lines: Iterable[bytes], out: BinaryIO) -> int:
    """How many lines were written, each as it is."""
    count = 0
    for event_line in event_lines:
        count += 1
        out.write(event_line + b"\n")
    return count


def export_csv(event_lines: Iterable[bytes], out: TextIO) -> int:
    """How many rows were written: the usual fields as columns, the others as JSON in the last."""
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, "other"])
    count = 0
    for event_line in event_lines:
        count += 1
        writer.writerow(_csv_row(event_line))
    return count


def bytes_per_event(file_bytes: int = 0, events: int = 0) -> float:
    """Disk that one event takes: of this journal where it holds enough of them to say, else as measured."""
    return file_bytes / events if events >= _EVENTS_TO_MEASURE else BYTES_PER_EVENT


def hours_left(events_per_hour: float, free_bytes: int, each_bytes: float = BYTES_PER_EVENT) -> float:
    """Hours until the disk is full at that rate; infinite where nothing happens."""
    return free_bytes / (events_per_hour * each_bytes) if events_per_hour > 0 else math.inf


def _csv_row(event_line: bytes) -> list[str]:
    event = json.loads(event_line)
    row = [_cell(event.pop(name, None)) for name in COLUMNS]
    return [*row, json.dumps(event, ensure_ascii=False)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text if text.startswith(_FORMULA) else text


def _rows(connection: sqlite3.Connection, after: int) -> Iterator[Row]:
    query = "SELECT seq, CAST(line AS BLOB), CAST(hash AS BLOB) FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
    while rows := connection.execute(query, (after, CHUNK_EVENTS)).fetchall():
        yield from rows
        after = rows[-1][0]


def _inode(path: Path) -> int:
    """Which file stands under that name; 0 for none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _last(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM event ORDER BY seq DESC LIMIT 1").fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, and SQLite's errors in words."""
    with _in_words(path), closing(_opened(path)) as connection:
        yield connection


def _opened(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    except (KeyError, TypeError, ValueError) as error:
        raise JournalUnreadable(f"{path}: the journal is damaged ({error!r}); the daemon sets it aside") from error


def _unreadable(path: Path, error: sqlite3.Error) -> JournalUnreadable:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return JournalUnreadable(
            f"{path} is missing, or this user may not read its folder: try sudo -u gated gated journal …"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return JournalUnreadable(
            f"{path}: the journal is damaged ({error}); the daemon sets it aside at its next start"
        )
    return JournalUnreadable(f"{path} cannot be read: {error}")
