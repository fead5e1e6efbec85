"""The whitelist on the box: which list is in force, and what it says of a credential.

In the state folder lies one SQLite file per version, `list-….db`, never changed once it has its name, and the
pointer `list.json`, which names the one in force and the one before it. What makes and switches them is `listload`.

- Files are opened read-only and immutable: no lock, no journal file, no mmap (mmap costs 70 MB and gains nothing).
- An old list beats no list: where the list in force cannot be opened, the one before it serves, and `trouble` says so.
  Once a list is held, it is left only for one that opens.
- An error is never a yes: a lookup that cannot be read raises WhitelistError.
- `rest` holds what an entry has beyond `c` and `h`, under Entry's own field names, NULL for most.

Version and `sha256` are those of the list's canonical lines sorted by `c`, each with its newline, so that `verify`
can tell from the file alone whether it still is that list.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from protocol.credential import Credential
from protocol.whitelist import Entry, encode

POINTER: Final = "list.json"
FILES: Final = "list-*.db"
SCHEMA: Final = """
    CREATE TABLE entry (c TEXT PRIMARY KEY, h TEXT NOT NULL, rest TEXT) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""
_LOOKUP: Final = "SELECT h, rest FROM entry WHERE c = ?"


class WhitelistError(Exception):
    """The list cannot be read; the message says which and why. For the gate this is no answer, above all no yes."""


@dataclass(frozen=True)
class ListInfo:
    """Which list this is. `as_of` (POSIX s) is None where nobody vouches for its date; `loaded_at` is RFC 3339."""

    version: str
    entries: int
    sha256: str
    as_of: float | None
    loaded_at: str
    file: str


@dataclass(frozen=True)
class Pointer:
    """What `list.json` says: the list in force and the one before it, if there is one."""

    now: ListInfo
    before: ListInfo | None


class Whitelist:
    """The list in force as the daemon holds it. Use it from the thread that made it."""

    info: ListInfo | None
    trouble: str

    def __init__(self, folder: Path) -> None:
        self.info = None
        self.trouble = ""
        self._folder = folder
        self._pointer = folder / POINTER
        self._stamp: tuple[int, ...] = ()
        self._db: sqlite3.Connection | None = None
        if not self.refresh() and self.trouble:
            self._fall_back()

    def entry(self, credential: Credential) -> Entry | None:
        """What the list says of `credential`; None where it says nothing. Raises WhitelistError."""
        if self._db is None:
            return None
        try:
            row = self._db.execute(_LOOKUP, (credential,)).fetchone()
            return None if row is None else unpack(credential, *row)
        except (sqlite3.Error, ValueError, TypeError) as error:
            name = self.info.file if self.info else "the list"
            self.trouble = f"{name} cannot be read ({error}); load the list again, and suspect the disk"
            raise WhitelistError(self.trouble) from error

    def refresh(self) -> bool:
        """Take up the list that the pointer names now; True if another came into force. Cheap where nothing changed."""
        try:
            stat = self._pointer.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if stamp == self._stamp:
                return False
            pointer = read_pointer(self._folder)
            if pointer is None:  # removed since the stat
                return False
            db = connect(self._folder, pointer.now)
        except FileNotFoundError:
            self.trouble = f"{POINTER} is gone; load the list again" if self.info else ""
            return False
        except (OSError, WhitelistError) as error:
            serving = f"; {self.info.version} stays in force" if self.info else ""
            self.trouble = f"{error}{serving}; load the list again"
            return False
        self._take(db, pointer.now)
        self._stamp = stamp
        self.trouble = ""
        return True

    def close(self) -> None:
        """Let go of the file; lookups raise from here on."""
        if self._db is not None:
            self._db.close()

    def _take(self, db: sqlite3.Connection, info: ListInfo) -> None:
        self.close()
        self._db, self.info = db, info

    def _fall_back(self) -> None:
        """Serve from another list of the folder, where the one in force does not open."""
        why = self.trouble
        for info in _others(self._folder):
            try:
                db = connect(self._folder, info)
            except WhitelistError:
                continue  # the next older one may do
            self._take(db, info)
            self.trouble = f"{why}; until then the older {info.version}, loaded {info.loaded_at}, is in force"
            return
        self.trouble = f"{why}; there is no older list: every credential is unknown"


def read_info(folder: Path) -> ListInfo | None:
    """The list that the pointer names as in force; None if none was ever loaded. Raises WhitelistError."""
    pointer = read_pointer(folder)
    return pointer.now if pointer else None


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
        before = now.pop("previous", None)
        return Pointer(_info(now), _info(before) if before else None)
    except (ValueError, TypeError, AttributeError) as error:
        raise WhitelistError(f"{POINTER} is damaged ({error})") from error


def pointer_text(pointer: Pointer) -> bytes:
    """The bytes of `list.json`."""
    value = {**asdict(pointer.now), "previous": asdict(pointer.before) if pointer.before else None}
    return json.dumps(value, indent=1).encode() + b"\n"


def connect(folder: Path, info: ListInfo) -> sqlite3.Connection:
    """The list's file, open for lookups and known to be the one that `info` means. Raises WhitelistError."""
    path = folder / info.file
    try:
        db = sqlite3.connect(uri(path), uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise WhitelistError(f"{info.file} cannot be opened ({error})") from error
    try:
        _check(db, path, info)
    except (sqlite3.Error, OSError) as error:
        db.close()
        raise WhitelistError(f"{info.file} cannot be opened ({error})") from error
    except WhitelistError:
        db.close()
        raise
    return db


def uri(path: Path) -> str:
    """The file as SQLite opens it without ever writing near it."""
    return f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"


def _check(db: sqlite3.Connection, path: Path, info: ListInfo) -> None:
    """Whole by its size, and the version that it should be; single pages show when they are read, or by `verify`."""
    pages, page_bytes = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    if path.stat().st_size != pages * page_bytes:
        raise WhitelistError(f"{info.file} is cut short or has something appended")
    version = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if version != (info.version,):
        raise WhitelistError(f"{info.file} holds another list than {info.version}")
    db.execute(_LOOKUP, ("",)).fetchone()  # the way to the first entry can be read


def verify(folder: Path) -> str:
    """Read the whole list in force: "" if it is what its version says, else what is wrong. Takes seconds."""
    try:
        info = read_info(folder)
        if info is None:
            return "no list was ever loaded"
        with closing(connect(folder, info)) as db:
            found = hashlib.sha256()
            for line in lines(db):
                found.update(line)
    except (WhitelistError, sqlite3.Error, ValueError, TypeError) as error:
        return str(error)
    return "" if found.hexdigest() == info.sha256 else f"{info.file} does not hold what was loaded; load it again"


def lines(db: sqlite3.Connection) -> Iterator[bytes]:
    """The list's canonical lines with their newlines, sorted by `c`."""
    for credential, holder, rest in db.execute("SELECT c, h, rest FROM entry ORDER BY c"):
        yield encode(unpack(credential, holder, rest)) + b"\n"


def pack(entry: Entry) -> tuple[str, str, str | None]:
    """The entry as its row: c, h, rest."""
    plain = Entry(entry.credential, entry.holder)
    if entry == plain:
        return entry.credential, entry.holder, None
    rest = {name: value for name in _REST if (value := getattr(entry, name)) != getattr(plain, name)}
    return entry.credential, entry.holder, _ENCODER.encode(rest)


def unpack(credential: Credential, holder: str, rest: str | None) -> Entry:
    """The entry of a row. Raises ValueError or TypeError for a row that `pack` did not make."""
    if rest is None:
        return Entry(credential, holder)
    fields: dict[str, Any] = json.loads(rest)
    if "lanes" in fields:
        fields["lanes"] = tuple(fields["lanes"])
    return Entry(credential, holder, **fields)


def _info(value: dict[str, Any]) -> ListInfo:
    info = ListInfo(**value)
    if "/" in info.file or not isinstance(info.version, str):
        raise ValueError(f"{info.file!r} is no list of this folder")
    return info


def _others(folder: Path) -> list[ListInfo]:
    """What may serve in place of the list in force: what was before it or, with no pointer to say so, the newest."""
    try:
        pointer = read_pointer(folder)
    except WhitelistError:
        found = [info for path in folder.glob(FILES) if (info := _described(path))]
        return sorted(found, key=lambda info: info.loaded_at, reverse=True)
    return [pointer.before] if pointer and pointer.before else []


def _described(path: Path) -> ListInfo | None:
    """What a list's own `meta` says of it; None where that cannot be read."""
    try:
        with closing(sqlite3.connect(uri(path), uri=True)) as db:
            return _info({**dict(db.execute("SELECT key, value FROM meta")), "file": path.name})
    except (sqlite3.Error, ValueError, TypeError):
        return None


_REST: Final = ("begins", "ends", "when", "lanes", "tid", "partner", "since", "signed", "gone")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
