"""The counters of chips that sign each tap: the highest that was taken of each, so that no tap is taken twice.

A small SQLite file in the state folder, for one process; any of its threads may ask.

- What `advance` has said yes to is on disk: a copy of the tap is refused after a kill, too. A counter never goes back.
- Only chips that have proved themselves get here, so that nobody fills it; beyond `CHIPS_MAX` a new one is refused.
- What cannot be read or written says no. A file that is damaged is not replaced: that would let old taps in again.
"""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

FILE_NAME: Final = "counters.db"
CHIPS_MAX: Final = 100_000
"""Five chips for each of twenty thousand people: 2 MB."""
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS chip (uid BLOB PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID"
_BUSY_S: Final = 1.0


class CountersError(Exception):
    """The file cannot be used; the message says why, and what to do."""


class Counters:
    """The counters of one gate. The file is opened for each tap: they are few, and a disk may come back as another."""

    def __init__(self, state: Path, chips_max: int = CHIPS_MAX) -> None:
        self._path = state / FILE_NAME
        self._chips_max = chips_max
        self._lock = threading.Lock()

    def advance(self, uid: bytes, counter: int) -> bool:
        """Whether this chip has never shown as high a counter; on disk when this returns. May wait for the disk.

        Raises CountersError, and then the tap must not count.
        """
        with self._lock:
            try:
                with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as db:
                    # No WAL: one commit now and then, and nobody reads it meanwhile.
                    for statement in ("PRAGMA journal_mode = TRUNCATE", "PRAGMA synchronous = FULL", _SCHEMA):
                        db.execute(statement)
                    return self._advance(db, uid, counter)
            except sqlite3.Error as error:
                raise CountersError(
                    f"{self._path} cannot be used: {error}; no NTAG 424 chip counts until it can"
                ) from error

    def _advance(self, db: sqlite3.Connection, uid: bytes, counter: int) -> bool:
        row = db.execute("SELECT last FROM chip WHERE uid = ?", (uid,)).fetchone()
        if row is not None and counter <= row[0]:
            return False
        if row is None and db.execute("SELECT count(*) FROM chip").fetchone()[0] >= self._chips_max:
            raise CountersError(f"{self._path} has {self._chips_max} chips, and takes no more; no site has so many")
        db.execute("INSERT OR REPLACE INTO chip (uid, last) VALUES (?, ?)", (uid, counter))
        return True
