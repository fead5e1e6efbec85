"""A list on the box, as files: which ones there are, what is in them, and the pointer that says which one counts.

    list.json                the pointer: the list in force, the one before it, and the overlay
    list-SHA.db              a list: SQLite, never changed once it has its name
    list-SHA.layer           a list that differs from another one's file in a few lines only: those lines
    list-over-NUMBER.json    the overlay: enrolments and suspensions (`gated.lists.overlay`)

- Files are opened read-only and immutable: no lock, no journal file, no mmap (mmap costs 70 MB and gains nothing).
- A delta of a few lines does not rewrite a list of a million: it makes a layer, held in memory above the file.
- `rest` holds the canonical text of what a line has behind `c` and `h`, so that a line is put together again without
  reading it, and the whole list is hashed in a second; NULL for most.

Version and `sha256` are those of the list's canonical lines sorted by `c`, each with its newline, so that the files
alone tell whether they still are that list.
"""

import hashlib
import json
import sqlite3
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from protocol.credential import Credential
from protocol.whitelist import Entry, encode

POINTER: Final = "list.json"
FILES: Final = "list-*.db"
LAYERS: Final = "list-*.layer"
OVERLAYS: Final = "list-over-*.json"
SCHEMA: Final = """
    CREATE TABLE entry (c TEXT PRIMARY KEY, h TEXT NOT NULL, rest TEXT) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""
_LOOKUP: Final = "SELECT h, rest FROM entry WHERE c = ?"
_ALL: Final = "SELECT c, h, rest FROM entry ORDER BY c"
_BATCH_ROWS: Final = 1000
_GONE: Final = '"gone":true'

Row = tuple[str, str, str | None]
"""c, h, rest."""
Change = tuple[str, str | None] | None
"""What a layer says of a credential: h and rest, or that it is off the list."""


class WhitelistError(Exception):
    """The list cannot be read; the message says which and why. For the gate this is no answer, above all no yes."""


@dataclass(frozen=True)
class ListInfo:
    """Which list this is. `as_of` (POSIX s) is None where nobody vouches for its date; `loaded_at` is RFC 3339.

    `instead` is the version of the signed list in whose place one was loaded by hand.
    """

    version: str
    entries: int
    sha256: str
    as_of: float | None
    loaded_at: str
    file: str
    layer: str = ""
    instead: str = ""


@dataclass(frozen=True)
class Pointer:
    """What `list.json` says: the list in force, the one before it, if there is one, and the overlay's file."""

    now: ListInfo
    before: ListInfo | None
    over: str = ""

    @property
    def files(self) -> frozenset[str]:
        """All files that it names."""
        infos = [info for info in (self.now, self.before) if info is not None]
        return frozenset({self.over, *(info.file for info in infos), *(info.layer for info in infos)}) - {""}


@dataclass(frozen=True, slots=True)
class Content:
    """What a list holds: the sha256 of its lines, how many they are, and how many of them are in force."""

    sha256: str
    entries: int
    in_force: int


class OpenList:
    """A list open for lookups, known to be the one that `info` means. Raises WhitelistError where it is not.

    Use it from the thread that made it.
    """

    def __init__(self, folder: Path, info: ListInfo) -> None:
        self.info = info
        self.base = info.version
        self.layer: dict[str, Change] = {}
        if info.layer:
            self.base, self.layer = read_layer(folder, info)
        self.db = _connect(folder, info, self.base)

    def row(self, credential: str) -> Change:
        """What the list says: h and rest. Raises sqlite3.Error."""
        if self.layer and credential in self.layer:
            return self.layer[credential]
        found: Change = self.db.execute(_LOOKUP, (credential,)).fetchone()
        return found

    def rows(self) -> Iterator[Row]:
        """All rows, sorted by `c`. Raises sqlite3.Error."""
        return chain.from_iterable(self._batches())

    def content(self) -> Content:
        """What file and layer hold together, read to the last row. Raises sqlite3.Error."""
        digest, entries, gone = hashlib.sha256(), 0, 0
        for rows in self._batches():
            # line_of, written out for almost all rows: a call for each takes half as long again.
            lines = [f'{{"c":"{c}","h":"{h}"{rest or ""}}}' if h else line_of(c, h, rest) for c, h, rest in rows]
            text = "\n".join(lines)
            digest.update(text.encode())
            digest.update(b"\n")
            entries += len(rows)
            gone += text.count(_GONE)
        return Content(digest.hexdigest(), entries, entries - gone)

    def _batches(self) -> Iterator[list[Row]]:
        changes = deque(sorted(self.layer.items()))
        cursor = self.db.execute(_ALL)
        while rows := cursor.fetchmany(_BATCH_ROWS):
            last = rows[-1][0]
            while changes and changes[0][0] <= last:
                _lay_over(rows, *changes.popleft())
            if rows:
                yield rows
        if rest := [(c, *change) for c, change in changes if change is not None]:
            yield rest

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()


def read_pointer(folder: Path) -> Pointer | None:
    """What `list.json` says; None where there is none. Raises WhitelistError where it cannot be read."""
    try:
        text = (folder / POINTER).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WhitelistError(f"{POINTER} cannot be read ({error.strerror})") from error
    try:
        now = json.loads(text)
        before, over = now.pop("previous", None), now.pop("over", "")
        return Pointer(as_info(now), as_info(before) if before else None, _name(over))
    except (ValueError, TypeError, AttributeError) as error:
        raise WhitelistError(f"{POINTER} is damaged ({error})") from error


def pointer_text(pointer: Pointer) -> bytes:
    """The bytes of `list.json`."""
    before = asdict(pointer.before) if pointer.before else None
    return json.dumps({**asdict(pointer.now), "previous": before, "over": pointer.over}, indent=1).encode() + b"\n"


def read_layer(folder: Path, info: ListInfo) -> tuple[str, dict[str, Change]]:
    """The version of the file below a layer, and what the layer changes in it. Raises WhitelistError."""
    try:
        value = json.loads((folder / info.layer).read_bytes())
        if value["version"] != info.version:
            raise WhitelistError(f"{info.layer} belongs to another list than {info.version}")
        changes: dict[str, Change] = {c: (h, rest) for c, h, rest in value["rows"]}
        changes.update(dict.fromkeys(value["gone"]))
        return value["base"], changes
    except OSError as error:
        raise WhitelistError(f"{info.layer} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise WhitelistError(f"{info.layer} is damaged ({error})") from error


def layer_text(version: str, base: str, layer: dict[str, Change]) -> bytes:
    """The bytes of a layer's file."""
    rows = [[c, *change] for c, change in layer.items() if change is not None]
    gone = [c for c, change in layer.items() if change is None]
    value = {"version": version, "base": base, "rows": rows, "gone": gone}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def uri(path: Path) -> str:
    """The file as SQLite opens it without ever writing near it."""
    return f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"


def as_info(value: dict[str, Any]) -> ListInfo:
    """A list's description. Raises ValueError, TypeError for what is none."""
    info = ListInfo(**value)
    if not isinstance(info.version, str):
        raise TypeError("a version is text")
    _name(info.file)
    _name(info.layer)
    return info


def pack(entry: Entry) -> Row:
    """The entry as its row."""
    text = encode(entry).decode()
    rest = text[len(line_of(entry.credential, entry.holder, None)) - 1 : -1]
    return entry.credential, entry.holder, rest or None


def line_of(credential: str, holder: str, rest: str | None) -> str:
    """The canonical line of a row: nothing in a credential or a holder's name is escaped in JSON."""
    named = f',"h":"{holder}"' if holder else ""
    return f'{{"c":"{credential}"{named}{rest or ""}}}'


def is_gone(rest: str | None) -> bool:
    """Whether a row is of a credential that was taken off the list for good."""
    return rest is not None and _GONE in rest


def unpack(credential: Credential, holder: str, rest: str | None) -> Entry:
    """The entry of a row. Raises ValueError, TypeError or KeyError for a row that `pack` did not make."""
    if rest is None:
        return Entry(credential, holder)
    return Entry(credential, holder, **_fields(rest))


@lru_cache(maxsize=1024)
def _fields(rest: str) -> dict[str, Any]:
    """What `rest` says, as fields of Entry, not to be changed; most cards share theirs with many others."""
    fields: dict[str, Any] = {}
    for key, value in json.loads(f"{{{rest[1:]}}}").items():
        name = _FIELDS[key]
        if name in _TIMES:
            fields[name] = datetime.fromisoformat(value).timestamp()
        else:
            fields[name] = tuple(value) if name == "lanes" else value
    return fields


def _connect(folder: Path, info: ListInfo, base: str) -> sqlite3.Connection:
    path = folder / info.file
    try:
        db = sqlite3.connect(uri(path), uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise WhitelistError(f"{info.file} cannot be opened ({error})") from error
    try:
        _check(db, path, base)
    except (sqlite3.Error, OSError) as error:
        db.close()
        raise WhitelistError(f"{info.file} cannot be opened ({error})") from error
    except WhitelistError:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path, base: str) -> None:
    """Whole by its size, and the version that it should be; single pages show when they are read, or by `verify`."""
    pages, page_bytes = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    if path.stat().st_size != pages * page_bytes:
        raise WhitelistError(f"{path.name} is cut short or has something appended")
    version = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if version != (base,):
        raise WhitelistError(f"{path.name} holds another list than {base}")
    db.execute(_LOOKUP, ("",)).fetchone()  # the way to the first entry can be read


def _lay_over(rows: list[Row], credential: str, change: Change) -> None:
    """Put a change into its place among rows, none of which is lost that it does not mean, in order or not."""
    at = bisect_left(rows, credential, key=itemgetter(0))
    there = at < len(rows) and rows[at][0] == credential
    rows[at : at + there] = [] if change is None else [(credential, *change)]


def _name(name: str) -> str:
    if "/" in name:
        raise ValueError(f"{name!r} is no file of this folder")
    return name


_FIELDS: Final = {
    "from": "begins",
    "until": "ends",
    "when": "when",
    "lanes": "lanes",
    "tid": "tid",
    "with": "partner",
    "since": "since",
    "signed": "signed",
    "gone": "gone",
}
_TIMES: Final = frozenset({"begins", "ends", "since", "signed"})
