"""The journal's SQLite file: one connection that writes and checkpoints, used from one thread.

- WAL with `synchronous=FULL`: what `commit` has returned from is on disk.
- The WAL is grown to its working size when the file is opened and overwritten in place from then on; a growing
  WAL makes each commit change the file's size as well, which costs up to half of the commit again.
- SQLite never checkpoints by itself here. `checkpoint` is called when nobody waits, and by this connection only:
  SQLite before 3.51.3 can lose committed pages when one connection checkpoints while another writes.
- `seq` and `hash`, the head of the chain, move only after a commit has succeeded. After any failure the store is
  closed and opened again, and the head is read from the disk.
- An epoch is a mark on the one chain: events are never renumbered or rewritten. A new one begins at the smaller
  of what is acknowledged and what verifies, plus one, so that the center is told again what it may lack.
- Lines and hashes are read as bytes whatever their type: somebody with a database shell may have left text.
- Pruning takes acknowledged events from the front and leaves a checkpoint, the last removed event's seq and hash.

No threads, no retries, no clock here; foreign errors leave as `JournalTrouble`, or as `JournalDamaged` where the file
itself is at fault.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from protocol.event import line, link

FILE_NAME: Final = "journal.db"
PAGE_BYTES: Final = 4096
WAL_PAGES: Final = 1024
"""Presized WAL, about 4 MB: a thousand single commits, minutes of a busy gate, between two forced checkpoints."""
TAIL_EVENTS: Final = 1000
"""How many events from the end are verified at each open: about 5 ms."""
PRUNE_EVENTS: Final = 256
"""Events removed in one transaction: about 1 ms, so that a passage hardly waits for it."""

_SCHEMA: Final = 1
_EPOCH_ID_LENGTH: Final = 26
_EPOCH_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as ULIDs have it
_BUSY_S: Final = 2.0
_FRAME_BYTES: Final = PAGE_BYTES + 24
_FILL_BYTES: Final = 2048  # event bytes that cost one more WAL frame than the commit's own; half a page, to be safe
_INSERT: Final = "INSERT INTO event (seq, line, hash) VALUES (?, ?, ?)"
_WORDS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the state folder or the journal in it is read-only",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error",
    sqlite3.SQLITE_CANTOPEN: "the journal cannot be opened: the state folder is missing or not ours to write",
    sqlite3.SQLITE_PERM: "the journal is not ours to write",
    sqlite3.SQLITE_BUSY: "another process holds the journal",
    sqlite3.SQLITE_LOCKED: "another process holds the journal",
    sqlite3.SQLITE_CORRUPT: "the journal is damaged",
    sqlite3.SQLITE_NOTADB: "the journal is damaged: it is no longer a database",
}
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class JournalTrouble(Exception):  # noqa: N818 - the field's word for it, on the wire as well
    """The journal cannot be written now; the text says why, in words for a technician."""


class JournalDamaged(JournalTrouble):
    """The file's content is at fault: it has to be set aside and salvaged."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One unbroken life of a journal: its first seq, the hash before it, the board it was on, when and why it began."""

    id: str
    first: int
    root: bytes
    board: str
    began: str
    why: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store says about itself."""

    seq: int = 0
    epoch: str = ""
    first: int = 1
    root: bytes = b""
    acked: int = 0
    oldest: int = 1
    bytes: int = 0
    wal_bytes: int = 0


def trouble(error: sqlite3.Error | OSError) -> JournalTrouble:
    """The same failure in words for a technician."""
    if isinstance(error, OSError):
        return JournalTrouble(f"the state folder cannot be used: {error.strerror or error}")
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    name: str = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    text = f"{_WORDS.get(code, 'SQLite cannot write the journal')} ({name}: {error})"
    return JournalDamaged(text) if code in _DAMAGE else JournalTrouble(text)


class Store:
    """The open journal file. Opening makes the file where there is none, and verifies the last events.

    Raises JournalDamaged where the content does not hold, JournalTrouble where it cannot be opened now.
    """

    def __init__(self, path: Path, *, presize: bool = True) -> None:
        self.path = path
        self.seq = 0
        self.hash = b""
        self.acked = 0
        self._acked_on_disk = 0
        self.pruned_seq = 0
        self.pruned_hash = b""
        self.epochs: list[Epoch] = []
        self._wal_pages = 0.0
        with _wrapped():
            self._refuse_headless()
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            with _wrapped():
                self._configure()
                self._migrate()
                self._load()
            self._check_tail()
            if presize:
                with _wrapped():
                    self._presize()
        except JournalTrouble:
            self._drop()
            raise

    @property
    def epoch(self) -> Epoch | None:
        """The epoch in force; None in a file just made."""
        return self.epochs[-1] if self.epochs else None

    @property
    def oldest(self) -> int:
        """The first seq still here, or the next one where nothing is."""
        return self.pruned_seq + 1

    @property
    def wal_pages(self) -> int:
        """About how many pages were written to the WAL since the last checkpoint."""
        return int(self._wal_pages)

    def facts(self) -> Facts:
        """What the store says about itself now; looks at the files' sizes."""
        epoch = self.epoch
        return Facts(
            seq=self.seq,
            epoch=epoch.id if epoch else "",
            first=epoch.first if epoch else 1,
            root=epoch.root if epoch else b"",
            acked=self.acked,
            oldest=self.oldest,
            bytes=_size(self.path),
            wal_bytes=_size(wal_of(self.path)),
        )

    def commit(self, rests: Sequence[bytes]) -> int:
        """The first one's seq, once all are on disk: one transaction, consecutive seqs, all or none."""
        rows, size = self._chain(rests)
        with _wrapped():
            if len(rows) == 1:
                self._connection.execute(_INSERT, rows[0])
            else:
                with self._transaction():
                    self._connection.executemany(_INSERT, rows)
        self._advance(rows, size)
        return rows[0][0]

    def begin_epoch(self, *, board: str, began: str, why: str, alarm: bytes | None = None) -> Epoch:
        """A new epoch, begun after the last acknowledged event; the alarm event that says so goes in with it."""
        before = max(min(self.acked, self.seq), self.pruned_seq)
        rows, size = self._chain([alarm] if alarm else [])
        with _wrapped(), self._transaction():
            epoch = Epoch(new_epoch_id(), before + 1, self._hash_at(before) or b"", board, began, why)
            self._add_epoch(epoch)
            self._set("acked", before)
            self._connection.executemany(_INSERT, rows)
        self.acked = self._acked_on_disk = before
        self.epochs.append(epoch)
        self._advance(rows, size)
        return epoch

    def adopt(self, *, pruned: tuple[int, bytes], acked: int, epochs: Iterable[Epoch]) -> None:
        """Take over what a salvaged journal says of itself, before its events; only into a file just made."""
        with _wrapped(), self._transaction():
            self._set("pruned_seq", pruned[0])
            self._set("pruned_hash", pruned[1])
            self._set("acked", acked)
            for epoch in epochs:
                self._add_epoch(epoch)
                self.epochs.append(epoch)
        self.pruned_seq, self.pruned_hash = pruned
        self.seq, self.hash = pruned
        self.acked = self._acked_on_disk = acked

    def adopt_events(self, rows: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Take over verified events as they are, in one transaction."""
        with _wrapped(), self._transaction():
            self._connection.executemany(_INSERT, rows)
        self._advance(rows, sum(len(row[1]) for row in rows))

    def acknowledge(self, seq: int, event_hash: bytes, *, keep: bool = True) -> bool:
        """Whether that hash is ours at that seq; if so, all up to it counts as acknowledged. Never falls.

        Without `keep` it is only remembered: if it is lost, what it covers is sent again, and nothing else happens.
        """
        with _wrapped():
            if self._hash_at(seq) != event_hash:
                return False
            self.acked = max(self.acked, seq)
            if keep:
                self._keep_acked()
        return True

    def holds(self, seq: int, event_hash: bytes) -> bool:
        """Whether the event with that hash stands at that seq."""
        with _wrapped():
            return self._hash_at(seq) == event_hash

    def hash_after(self, rests: Sequence[bytes]) -> bytes:
        """The head's hash as it would be with these events behind it."""
        rows, _ = self._chain(rests)
        return rows[-1][2] if rows else self.hash

    def rewind(self, seq: int) -> int:
        """What counts as acknowledged, put back to `seq` or to the checkpoint: the center wants what follows."""
        acked = max(min(seq, self.acked), self.pruned_seq)
        with _wrapped():
            self._set("acked", acked)
        self.acked = self._acked_on_disk = acked
        return acked

    def prune(self, before: datetime, limit: int = PRUNE_EVENTS) -> int:
        """How many events were removed from the front: acknowledged and older than `before`, about `limit` at most.

        An event whose clock was not set goes only together with a dated one after it that is old enough.
        """
        with _wrapped():
            bound = self._prune_bound(before, limit)
            if bound is None:
                return 0
            with self._transaction():
                self._keep_acked()
                removed = self._connection.execute("DELETE FROM event WHERE seq <= ?", (bound[0],)).rowcount
                self._set("pruned_seq", bound[0])
                self._set("pruned_hash", bound[1])
        self.pruned_seq, self.pruned_hash = bound
        self._wal_pages += removed / 4
        return removed

    def probe(self) -> None:
        """Return if the journal can be written: a small durable write of its own."""
        with _wrapped():
            self._connection.execute("UPDATE meta SET value = (value + 1) % 1000000 WHERE key = 'probe'")
        self._wal_pages += 1

    def checkpoint(self) -> None:
        """Copy the WAL into the file as far as no reader stands in the way; the next commit then starts it over.

        A full disk is no trouble yet: the events are safe in the WAL, and the commit that finds no room will say so.
        """
        self._wal_pages = 0.0
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
                raise trouble(error) from error

    def close(self) -> None:
        """Checkpoint and close. What was committed is safe whether or not this succeeds."""
        with suppress(JournalTrouble), _wrapped():
            self._keep_acked()
            self.checkpoint()
        self._drop()

    def _drop(self) -> None:
        with suppress(sqlite3.Error):  # a last checkpoint that fails leaves the WAL, which holds everything
            self._connection.close()

    def _refuse_headless(self) -> None:
        if self.path.exists() and _size(self.path) == 0 and _size(wal_of(self.path)) > 0:
            raise JournalDamaged("the journal is damaged: the file is empty, its WAL is not")

    def _configure(self) -> None:
        run = self._connection.execute
        run(f"PRAGMA page_size = {PAGE_BYTES}")
        run("PRAGMA journal_mode = WAL").fetchall()
        run("PRAGMA synchronous = FULL")
        run("PRAGMA wal_autocheckpoint = 0").fetchall()
        run("PRAGMA journal_size_limit = -1").fetchall()

    def _migrate(self) -> None:
        tables = {row[0] for row in self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not tables:
            script = files("gated.recording").joinpath("schema/0001.sql").read_text(encoding="utf-8")
            self._connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nCOMMIT;")
        elif not tables >= {"event", "epoch", "meta"}:
            raise JournalDamaged(f"the journal is damaged: it has only the tables {', '.join(sorted(tables))}")

    def _load(self) -> None:
        meta = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
        try:
            schema, self.acked, self.pruned_seq = int(meta["schema"]), int(meta["acked"]), int(meta["pruned_seq"])
            self._acked_on_disk = self.acked
            self.pruned_hash = bytes(meta["pruned_hash"])
        except (KeyError, TypeError, ValueError) as error:
            raise JournalDamaged(f"the journal is damaged: its own notes cannot be read ({error!r})") from error
        if schema > _SCHEMA:
            raise JournalTrouble(f"the journal was written by a newer gated (its schema is {schema}, ours {_SCHEMA})")
        self.epochs = [Epoch(*row) for row in self._connection.execute(SELECT_EPOCHS)]
        head = self._connection.execute(
            "SELECT seq, CAST(hash AS BLOB) FROM event ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        self.seq, self.hash = head or (self.pruned_seq, self.pruned_hash)

    def _check_tail(self) -> None:
        after = max(self.seq - TAIL_EVENTS, self.pruned_seq)
        with _wrapped():
            previous = self._hash_at(after) or b""
            rows = self._connection.execute(
                "SELECT seq, CAST(line AS BLOB), CAST(hash AS BLOB) FROM event WHERE seq > ? ORDER BY seq", (after,)
            )
            for seq, event_line, event_hash in rows:
                if seq != after + 1 or not fits(previous, seq, event_line, event_hash):
                    raise JournalDamaged(f"the journal is damaged: event {after + 1} does not fit the chain")
                after, previous = seq, event_hash

    def _presize(self) -> None:
        """Grow the WAL by a transaction that spills into it and is rolled back: neither file keeps anything of it."""
        run = self._connection.execute
        with suppress(sqlite3.OperationalError):  # no room: then the WAL grows as it needs, and probe() has the word
            run("PRAGMA cache_size = 16")
            run("BEGIN IMMEDIATE")
            run("CREATE TABLE presize (filler BLOB)")
            run("INSERT INTO presize VALUES (zeroblob(?))", (WAL_PAGES * PAGE_BYTES,))
        with suppress(sqlite3.OperationalError):  # SQLite may have rolled back by itself
            run("ROLLBACK")
        run("PRAGMA cache_size = -2000")

    def _prune_bound(self, before: datetime, limit: int) -> tuple[int, bytes] | None:
        query = "SELECT seq, CAST(line AS BLOB), CAST(hash AS BLOB) FROM event WHERE seq <= ? ORDER BY seq"
        with closing(self._connection.execute(query, (self.acked,))) as rows:
            return prunable(rows, before, limit)

    def _hash_at(self, seq: int) -> bytes | None:
        if seq == self.pruned_seq:
            return self.pruned_hash
        row = self._connection.execute("SELECT CAST(hash AS BLOB) FROM event WHERE seq = ?", (seq,)).fetchone()
        return bytes(row[0]) if row else None

    def _chain(self, rests: Sequence[bytes]) -> tuple[list[tuple[int, bytes, bytes]], int]:
        seq, previous, size = self.seq, self.hash, 0
        rows: list[tuple[int, bytes, bytes]] = []
        for rest in rests:
            seq += 1
            event_line = line(seq, rest)
            previous = link(previous, event_line)
            rows.append((seq, event_line, previous))
            size += len(event_line)
        return rows, size

    def _advance(self, rows: Sequence[tuple[int, bytes, bytes]], size: int) -> None:
        if rows:
            self.seq, _, self.hash = rows[-1]
        self._wal_pages += 1 + size / _FILL_BYTES

    def _keep_acked(self) -> None:
        if self.acked != self._acked_on_disk:
            self._set("acked", self.acked)
            self._acked_on_disk = self.acked

    def _set(self, key: str, value: int | bytes) -> None:
        self._connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))

    def _add_epoch(self, epoch: Epoch) -> None:
        row = (epoch.id, epoch.first, epoch.root, epoch.board, epoch.began, epoch.why)
        self._connection.execute(
            "INSERT INTO epoch (id, first, root, board, began, why) VALUES (?, ?, ?, ?, ?, ?)", row
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or, once the store is closed after the failure, nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        yield
        self._connection.execute("COMMIT")


SELECT_EPOCHS: Final = "SELECT id, first, root, board, began, why FROM epoch ORDER BY rowid"


def fits(previous: bytes, seq: int, event_line: bytes, event_hash: bytes) -> bool:
    """Whether an event stands in its place: its line says its seq, and its hash follows from the one before."""
    return event_line.startswith(b'{"seq":%d,' % seq) and link(previous, event_line) == event_hash


def prunable(
    acknowledged: Iterable[tuple[int, bytes, bytes]], before: datetime, limit: int
) -> tuple[int, bytes] | None:
    """The last event (seq, hash) that may go of these (seq, line, hash), oldest first; None if none may.

    That is one older than `before` with none behind it in the way, about the `limit`th at most.
    """
    bound: tuple[int, bytes] | None = None
    for count, (seq, event_line, event_hash) in enumerate(acknowledged, 1):
        at = dated(event_line)
        if at is not None and at >= before:
            break
        if at is not None:
            bound = (seq, event_hash)
        if bound is not None and count >= limit:
            break
    return bound


def dated(event_line: bytes) -> datetime | None:
    """When an event happened, if its clock could know."""
    try:
        event = json.loads(event_line)
        return None if event["clock"] == "unset" else datetime.fromisoformat(event["at"]).astimezone()
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def wal_of(path: Path) -> Path:
    """The write-ahead log beside a database file."""
    return path.with_name(path.name + "-wal")


def new_epoch_id() -> str:
    """26 random characters: 130 bits, no time in it."""
    return "".join(secrets.choice(_EPOCH_ALPHABET) for _ in range(_EPOCH_ID_LENGTH))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise trouble(error) from error
