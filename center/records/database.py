"""Where the center keeps things: SQLite in one file, or PostgreSQL; how they are opened and how one writes.

- SQLite: WAL, `synchronous=FULL`. SQLite before 3.51.3 can lose committed pages when one connection checkpoints while
  another writes, so that whoever writes (a worker, a tool that adds a gate) holds a lock on a file beside it for the
  length of the transaction, its checkpoint included. Readers open it `mode=ro` and never checkpoint; on a full disk,
  where that may fail, they hold the lock as well (`readable`).
- PostgreSQL: as the server has it, but a commit is always on disk before it counts.
- What can be tried again is a `DatabaseAwayError`: unreachable, locked, full. Then nothing was written.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, Row, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

AnyRow = Row[*tuple[Any, ...]]

TURN_S: Final = 10.0
"""How long a writer waits for its turn. Transactions take milliseconds."""
_TURN_POLL_S: Final = 0.002
_NO_SHARED_MEMORY: Final = frozenset(
    (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
)
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",  # what is pruned is overwritten, and not to be found in the file's free pages
    "cache_size=-65536",  # 64 MiB: hashes come in no order, and each touches a page of their index
    "wal_autocheckpoint=4000",  # 16 MiB: the same pages are written many times before they are copied back
)
_POSTGRESQL: Final = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "application_name": "gated-center"}


class DatabaseAwayError(Exception):
    """The database cannot be reached or written just now, and nothing was written; try again later."""


class DatabaseVersionError(Exception):
    """The tables are of another version than this program; the message says what to do."""


class Database:
    """One connection to the database, opened when needed and again after trouble. For one thread at a time."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = make_url(url)
        self.read_only = read_only
        self.path = Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None
        self._engine = self._of_sqlite(self.path) if self.path else self._of_postgresql()
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction, committed when left, rolled back by an exception. Raises DatabaseAwayError."""
        with self._turn():
            try:
                if self._connection is None:
                    self._connection = self._engine.connect()
                with self._connection.begin():
                    yield self._connection
            except (DataError, IntegrityError):  # what was to be written is wrong; trying again would not help
                raise
            except SQLAlchemyError as error:
                self._drop()
                raise DatabaseAwayError(said(error)) from error

    def close(self) -> None:
        """Close the connection."""
        with self._turn():
            self._drop()
            self._engine.dispose()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
            with suppress(SQLAlchemyError):
                connection.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self.path is None or self.read_only:
            yield
            return
        try:
            lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise DatabaseAwayError(f"{self.path}.lock: {error.strerror}") from error
        try:
            _wait_for(lock, f"{self.path}: another process has been writing for {TURN_S:g} s")
            yield
        finally:
            os.close(lock)

    def _of_sqlite(self, path: Path) -> Engine:
        def connect() -> sqlite3.Connection:
            return readable(path) if self.read_only else _writable(path)

        engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
        begin = "BEGIN" if self.read_only else "BEGIN IMMEDIATE"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def _of_postgresql(self) -> Engine:
        url = self.url.set(drivername="postgresql+psycopg")
        engine = create_engine(url, poolclass=NullPool, connect_args=_POSTGRESQL)
        event.listen(engine, "connect", self._prepare)
        return engine

    def _prepare(self, connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            if cursor.execute("SHOW synchronous_commit").fetchone()[0] == "off":
                cursor.execute("SET synchronous_commit = on")
            cursor.execute("SET lock_timeout = '10s'")
            if self.read_only:
                cursor.execute("SET default_transaction_read_only = on")
        connection.commit()


def _writable(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "mode=rwc")
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()
        raise
    return connection


def readable(path: Path) -> sqlite3.Connection:
    """A connection to a SQLite file that only reads. Raises sqlite3.Error, DatabaseAwayError.

    To read beside a writer SQLite needs a file of shared memory. Where that cannot be made, since the disk is full or
    not to be written, all that was committed is read while no writer may have a turn.
    """
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_schema").close()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF not in _NO_SHARED_MEMORY:
            raise
        return _readable_alone(path, error)
    return connection


class _File(sqlite3.Connection):
    """May hold the writers' lock until it is closed."""

    lock: int | None = None

    def close(self) -> None:
        """See Connection."""
        super().close()
        lock, self.lock = self.lock, None
        if lock is not None:
            os.close(lock)


def _readable_alone(path: Path, why: sqlite3.Error) -> sqlite3.Connection:
    room = DatabaseAwayError(
        f"{path}: {why}; to read it SQLite makes a file of 32 KiB beside it: make room on that disk"
    )
    try:
        lock = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise room from why
    try:
        _wait_for(lock, f"{path}: another process has been writing for {TURN_S:g} s", fcntl.LOCK_SH)
        wal = Path(f"{path}-wal")
        whole = not wal.exists() or wal.stat().st_size == 0  # else it has what the file has not
        connection = _connect(path, "immutable=1") if whole else None
    except BaseException:
        os.close(lock)
        raise
    if connection is None:
        os.close(lock)
        raise room from why
    connection.lock = lock
    return connection


def _connect(path: Path, how: str) -> _File:
    name = f"file:{quote(str(path.absolute()))}?{how}"
    return sqlite3.connect(name, uri=True, isolation_level=None, timeout=5, check_same_thread=False, factory=_File)


def said(error: Exception) -> str:
    """What the database said, without the statement and its values: those are nobody's business in a log."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(origin).split()) or type(origin).__name__


def _wait_for(lock: int, why: str, how: int = fcntl.LOCK_EX) -> None:
    until = time.monotonic() + TURN_S
    while True:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise DatabaseAwayError(why) from error
            time.sleep(_TURN_POLL_S)
        else:
            return
