"""How fast the journal grows, today in the gate's own time, and for how long the disk will do.

- Today's first event is found by halving over `seq`: twenty rows of a million events are read, none is scanned.
- Times in the journal are the wall clock's, which may have been set: where they do not rise with `seq`, the count
  begins at some event beside midnight. It is an estimate then, and never an error.
- It only reads, and from files: where the disk may hang, ask from a thread.
"""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gated.recording.journal_read import bytes_per_event, hours_left

HOURS_MIN: Final = 1.0
"""Soon after midnight a few events say little of the day: they count as those of an hour."""
_BUSY_S: Final = 1.0
_NEXT: Final = "SELECT seq, CAST(line AS BLOB) FROM event WHERE seq >= ? ORDER BY seq LIMIT 1"
_LAST: Final = "SELECT seq FROM event ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Pace:
    """Events an hour since midnight, disk for one, and the hours until it is full: infinite where nothing happens."""

    events_per_hour: float
    bytes_per_event: float
    hours_left: float


def look(path: Path, now: datetime) -> Pace | None:
    """The pace of the journal at `path`; `now` has the gate's zone. None where the journal cannot be read."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)) as connection:
            held, today = _counts(connection, midnight)
        each = bytes_per_event(path.stat().st_size, held)
    except (sqlite3.Error, OSError):
        return None  # safe: it is only told; the journal's own trouble is told elsewhere
    rate = today / max((now.astimezone(UTC) - midnight).total_seconds() / 3600, HOURS_MIN)
    return Pace(rate, each, hours_left(rate, free_bytes(path.parent), each))


def free_bytes(folder: Path) -> int:
    """What the daemon may still write there; 0 where that cannot be told."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize


def _counts(connection: sqlite3.Connection, start: datetime) -> tuple[int, int]:
    """How many events there are, and how many from the first on that is not before `start`."""
    first, last = connection.execute(_NEXT, (0,)).fetchone(), connection.execute(_LAST).fetchone()
    if first is None or last is None:
        return 0, 0
    low, high = int(first[0]), int(last[0]) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_NEXT, (middle,)).fetchone()
        if row is None or row[0] >= high or not _before(row[1], start):
            high = middle
        else:
            low = int(row[0]) + 1
    end = int(last[0]) + 1
    return end - int(first[0]), end - low


def _before(line: bytes, start: datetime) -> bool:
    """Whether the event happened before `start`. A line that does not say counts as one that did."""
    try:
        return datetime.fromisoformat(json.loads(line)["at"]) < start
    except (ValueError, KeyError, TypeError, RecursionError):
        return True  # safe: it only counts
