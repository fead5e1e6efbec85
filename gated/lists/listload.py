"""Makes a file of whitelist lines the list in force, all or nothing, without the journal beside it feeling much.

- Every bad line is named, not only the first; one bad line and nothing changes.
- The list is built in memory and copied to its file in small direct writes with pauses: no burst of dirty pages for
  the journal's next fsync to wait behind.
- The file gets its name when it is whole and on disk; the pointer is switched after that. Whatever is killed or loses
  power in between, the old list is in force, and the next load removes the remains.
- A list that takes more than a tenth of the credentials out of force is usually a mistake: it is asked for twice.
- One load at a time.

A load lasts seconds and holds about twice the list in memory: it is for a process of its own, which calls
`step_back` first. What the daemon holds and how it switches is in `whitelist`.
"""

import ctypes
import fcntl
import hashlib
import mmap
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from gated.lists.listfile import (
    FILES,
    LAYERS,
    OVERLAYS,
    POINTER,
    SCHEMA,
    ListInfo,
    OpenList,
    Pointer,
    WhitelistError,
    is_gone,
    line_of,
    pack,
    pointer_text,
    read_pointer,
    uri,
)
from gated.lists.whitelist import Whitelist, read_info
from gated.recording import durable
from protocol.credential import Credential
from protocol.whitelist import LINE_MAX_BYTES, Entry, LineError, parse

Progress = Callable[[str, int, int], None]
"""Called with a stage ("read", "compare", "write"), how much of it is done, and of how much."""

LOCK: Final = "list.lock"
LOCAL: Final = "local:"
"""Begins the version of every list that is loaded by hand."""
ERRORS_KEPT: Final = 1000
LOSS_MAX: Final = 0.1
_BATCH_LINES: Final = 2000
_BATCH_PAUSE_S: Final = 0.002
"""After each batch (about 15 ms of work), so that even an unlowered priority leaves the processor now and then."""
_CHUNK_BYTES: Final = 256 * 1024
_CHUNK_PAUSE_S: Final = 0.010
_RESERVE_BYTES: Final = 32 * 1024 * 1024
"""What a load leaves free on the disk, so that the journal beside it can go on."""
_REASON_MAX: Final = 400
_BOM: Final = b"\xef\xbb\xbf"
_NAME_DIGITS: Final = 12
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
_IOPRIO_IDLE: Final = 3 << 13
_GONE: Final = """({0}.rest IS NOT NULL AND instr({0}.rest, '"gone":true') > 0)"""


class LoadError(Exception):
    """The load could not be done; the list in force is as it was. The message says what to do."""


class ListRefused(LoadError):  # noqa: N818 - says what became of the list
    """The list is not one to put in force. `lines` has the first reasons, (line number, reason); `count` is of all.

    Line 0 stands for the list as a whole.
    """

    def __init__(self, bad: list[tuple[int, str]], count: int) -> None:
        super().__init__(f"refused: {count} bad lines, line {bad[0][0]}: {bad[0][1]}" if bad[0][0] else bad[0][1])
        self.lines = bad
        self.count = count


@dataclass(frozen=True)
class LoadResult:
    """What is in force now, and how it differs from the list before. `previous` is None where there was none."""

    version: str
    entries: int
    previous: str | None
    added: int
    removed: int
    changed: int


class Difference(NamedTuple):
    """How a new list differs from the one in force; `before` counts the credentials that this one admits."""

    before: int
    added: int
    removed: int
    changed: int


def load(
    folder: Path,
    source: Path,
    progress: Progress,
    now: str,
    *,
    shrink: bool = False,
    known_whens: frozenset[str] | None = None,
    known_lanes: frozenset[str] | None = None,
) -> LoadResult:
    """Put the lines of `source` in force in the state folder; `now` (RFC 3339) is noted as the time of it.

    With `known_…` a line that names other hours or lanes is bad. Raises ListRefused for a list that must not be in
    force, PermissionError where the state folder is another user's, LoadError for everything else that went wrong;
    whatever it is, nothing has changed.
    """
    try:
        with alone(folder), closing(_memory()) as db:
            _Reader(db, _Known(known_whens, known_lanes)).read(source, progress)
            return _switch(folder, db, progress, now, shrink=shrink)
    except PermissionError as error:
        if error.filename != str(source):
            raise
        why = f"{source} may not be read by this user; copy it to where it may be, such as /tmp"
        raise LoadError(f"{why}; the list in force is unchanged") from error
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise LoadError(f"{error.strerror or error}{where}; the list in force is unchanged") from error
    except sqlite3.Error as error:
        raise LoadError(f"the list cannot be built ({error}); the list in force is unchanged") from error


def step_back() -> None:
    """Let everything else on the machine go first, for the rest of this process's life.

    Best effort: where the unit's hardening refuses it, the pauses have to do.
    """
    with suppress(OSError):
        os.nice(19)
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IOPRIO_IDLE)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, and leave no remains; the kernel lets go of it with the process, however that ends."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.DEFAULT_MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LoadError("another load is under way; wait for it to end, then try again") from error
        _tidy(folder)
        try:
            yield
        finally:
            _tidy(folder)
    finally:
        os.close(descriptor)


def _tidy(folder: Path) -> None:
    """Remove temporaries, and lists that the pointer does not name; all of these where a pointer cannot be read stay.

    What cannot be removed now is tried again by the next load.
    """
    with suppress(OSError):
        durable.clean(folder, "list*")
        try:
            pointer = read_pointer(folder)
        except WhitelistError:
            return
        names = pointer.files if pointer else ()
        for path in (path for pattern in (FILES, LAYERS, OVERLAYS) for path in folder.glob(pattern)):
            if path.name not in names:
                path.unlink()


def _memory() -> sqlite3.Connection:
    """An empty list in memory, of the kind that `serialize` copies once only (a plain :memory: one, twice)."""
    db = sqlite3.connect(":memory:", uri=True, isolation_level=None)
    db.executescript(SCHEMA)
    db.deserialize(db.serialize())
    db.execute("PRAGMA journal_mode = OFF")
    return db


@dataclass(frozen=True)
class _Known:
    """The names a gate knows; None where it was not asked."""

    whens: frozenset[str] | None
    lanes: frozenset[str] | None

    def check(self, entry: Entry) -> None:
        if self.whens is not None and entry.when != "always" and entry.when not in self.whens:
            raise LineError(f"when is {entry.when!r}; this gate knows {_names(self.whens | {'always'})}")
        if self.lanes is not None:
            for lane in entry.lanes:
                if lane != "*" and lane not in self.lanes:
                    raise LineError(f"the lane {lane!r} is not one of this gate, which has {_names(self.lanes)}")


def _names(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


@dataclass
class _Reader:
    """Reads lines into the list in memory, and collects what is wrong with them."""

    db: sqlite3.Connection
    known: _Known
    bad: list[tuple[int, str]] = field(default_factory=list)
    twice: dict[int, Credential] = field(default_factory=dict)
    count: int = 0

    def read(self, source: Path, progress: Progress) -> None:
        """All of `source`; raises ListRefused if a line is bad."""
        total = source.stat().st_size
        self.db.execute("BEGIN")
        with source.open("rb") as file:
            for number, line in _numbered(file):
                self._take(number, line)
                if number % _BATCH_LINES == 0:
                    progress("read", file.tell(), total)
                    time.sleep(_BATCH_PAUSE_S)
            progress("read", total, total)
            if self.count:
                self._name_first_of_twice(file)
                raise ListRefused(sorted(self.bad), self.count)
        self.db.execute("COMMIT")

    def _take(self, number: int, line: bytes) -> None:
        try:
            entry = parse(line)
            self.known.check(entry)
        except LineError as error:
            self._note(number, str(error))
            return
        inserted = self.db.execute("INSERT OR IGNORE INTO entry VALUES (?, ?, ?)", pack(entry))
        if inserted.rowcount == 0:
            if len(self.bad) + len(self.twice) < ERRORS_KEPT:
                self.twice[number] = entry.credential
            self.count += 1

    def _note(self, number: int, reason: str) -> None:
        if len(self.bad) + len(self.twice) < ERRORS_KEPT:
            self.bad.append((number, reason[:_REASON_MAX]))
        self.count += 1

    def _name_first_of_twice(self, file: BinaryIO) -> None:
        """Find where each doubled credential stood first: read again, as a list of a million keeps no line numbers."""
        wanted = set(self.twice.values())
        first: dict[Credential, int] = {}
        file.seek(0)
        for number, line in _numbered(file):
            if len(first) == len(wanted):
                break
            with suppress(LineError):
                entry = parse(line)
                self.known.check(entry)
                if entry.credential in wanted:
                    first.setdefault(entry.credential, number)
        for number, credential in self.twice.items():
            where = first.get(credential, 0)
            self.bad.append((number, f"{credential} is in line {where} already; leave one of the two"))


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, numbered from 1, without a byte order mark. One too long is cut, still too long."""
    number = 0
    while line := file.readline(LINE_MAX_BYTES + 2):
        number += 1
        if len(line) > LINE_MAX_BYTES + 1 and not line.endswith(b"\n"):
            _skip_line(file)
            yield number, line
        elif text := line.removeprefix(_BOM if number == 1 else b"").strip():
            yield number, text


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(_CHUNK_BYTES)) and not rest.endswith(b"\n"):
        pass


def _switch(folder: Path, db: sqlite3.Connection, progress: Progress, now: str, *, shrink: bool) -> LoadResult:
    """Make the list in memory the one in force."""
    with closing(Whitelist(folder)) as whitelist:
        held = whitelist.info
    before = held or _named(folder)
    entries = int(db.execute("SELECT count(*) FROM entry").fetchone()[0])
    progress("compare", 0, entries)
    difference = _compare(db, folder, before, entries)
    _ask_twice(entries, difference, shrink=shrink)
    sha256 = _sha256(db, entries, progress)
    instead = "" if before is None else before.instead if before.version.startswith(LOCAL) else before.version
    file = f"list-{sha256[:_NAME_DIGITS]}.db"
    info = ListInfo(f"{LOCAL}{sha256}", entries, sha256, None, now, file, instead=instead)
    _describe(db, info)
    image = db.serialize()
    db.close()
    _copy(image, folder / info.file, progress)
    durable.write(folder / POINTER, pointer_text(Pointer(info, _before(folder, held, info), _over(folder))))
    return LoadResult(info.version, entries, before.version if before else None, *difference[1:])


def _named(folder: Path) -> ListInfo | None:
    """The list that should be in force, where none can be opened: its size at least is known."""
    with suppress(WhitelistError):
        return read_info(folder)
    return None


def _before(folder: Path, held: ListInfo | None, new: ListInfo) -> ListInfo | None:
    """What a gate falls back to from `new`: the list held until now, or what that one had, if it is loaded again."""
    if held is None or held.file != new.file:
        return held
    try:
        pointer = read_pointer(folder)
    except WhitelistError:
        return None  # nothing can be said of it, and a new pointer is on its way
    return pointer.before if pointer and pointer.before != held else None


def _over(folder: Path) -> str:
    """The overlay: it lies over whichever list is in force."""
    try:
        pointer = read_pointer(folder)
    except WhitelistError:
        return max((path.name for path in folder.glob(OVERLAYS)), default="")
    return pointer.over if pointer else ""


def _compare(db: sqlite3.Connection, folder: Path, before: ListInfo | None, entries: int) -> Difference:
    if before is None:
        return Difference(0, entries, 0, 0)
    try:
        if before.layer:
            return _count_above_layer(db, folder, before)
        db.execute("ATTACH ? AS old", (uri(folder / before.file),))
        try:
            return _count_differences(db)
        finally:
            db.execute("DETACH old")
    except (
        sqlite3.DatabaseError,
        WhitelistError,
    ):  # the old list is damaged, one more reason for the new: judge by size
        more = entries - before.entries
        return Difference(before.entries, max(0, more), max(0, -more), 0)


def _count_differences(db: sqlite3.Connection) -> Difference:
    """Counted over credentials in force, without those that are `gone`."""
    new_gone, old_gone = _GONE.format("n"), _GONE.format("o")
    new = int(db.execute(f"SELECT count(*) FROM main.entry n WHERE NOT {new_gone}").fetchone()[0])  # noqa: S608 - constants
    old = int(db.execute(f"SELECT count(*) FROM old.entry o WHERE NOT {old_gone}").fetchone()[0])  # noqa: S608 - constants
    both, changed = db.execute(
        f"""SELECT count(*), coalesce(sum(n.h IS NOT o.h OR n.rest IS NOT o.rest), 0)
        FROM main.entry n CROSS JOIN old.entry o ON n.c = o.c WHERE NOT {new_gone} AND NOT {old_gone}"""  # noqa: S608 - constants
    ).fetchone()
    return Difference(old, new - both, old - both, changed)


def _count_above_layer(db: sqlite3.Connection, folder: Path, before: ListInfo) -> Difference:
    """The same, where the old list is a file and a layer: row by row."""
    in_force = int(db.execute(f"SELECT count(*) FROM entry n WHERE NOT {_GONE.format('n')}").fetchone()[0])  # noqa: S608 - constants
    old = both = changed = 0
    with closing(OpenList(folder, before)) as opened:
        for credential, holder, rest in opened.rows():
            if is_gone(rest):
                continue
            old += 1
            row = db.execute("SELECT h, rest FROM entry WHERE c = ?", (credential,)).fetchone()
            if row is not None and not is_gone(row[1]):
                both += 1
                changed += row != (holder, rest)
    return Difference(old, in_force - both, old - both, changed)


def _ask_twice(entries: int, difference: Difference, *, shrink: bool) -> None:
    if shrink:
        return
    if entries == 0:
        raise ListRefused([(0, "the file has no entry; if nobody is to be admitted, say so with --shrink")], 1)
    if difference.removed > LOSS_MAX * difference.before:
        loss = f"takes out {difference.removed:,} of {difference.before:,} credentials in force, more than a tenth"
        raise ListRefused([(0, f"the list {loss}; if that is meant, say so with --shrink")], 1)


def _sha256(db: sqlite3.Connection, entries: int, progress: Progress) -> str:
    digest = hashlib.sha256()
    for done, row in enumerate(db.execute("SELECT c, h, rest FROM entry ORDER BY c"), start=1):
        digest.update(line_of(*row).encode() + b"\n")
        if done % _BATCH_LINES == 0:
            progress("compare", done, entries)
            time.sleep(_BATCH_PAUSE_S)
    progress("compare", entries, entries)
    return digest.hexdigest()


def _describe(db: sqlite3.Connection, info: ListInfo) -> None:
    """Put into the file what the pointer says, for the day the pointer cannot be read."""
    keys = ("version", "entries", "sha256", "as_of", "loaded_at")
    db.executemany("INSERT INTO meta VALUES (?, ?)", [(key, getattr(info, key)) for key in keys])


def _copy(image: bytes, path: Path, progress: Progress) -> None:
    """Write `image` to `path`, paced and durable; under its name only when whole."""
    room = os.statvfs(path.parent)
    free = room.f_bavail * room.f_frsize
    if free < len(image) + _RESERVE_BYTES:
        need = (len(image) + _RESERVE_BYTES - free) // 1_000_000 + 1
        raise LoadError(f"the disk is too full for the list: free {need} MB more; the list in force is unchanged")
    descriptor, temporary = durable.temporary_for(path)
    try:
        try:
            _write_paced(descriptor, image, progress)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    durable.sync_folder(path.parent)


def _write_paced(descriptor: int, image: bytes, progress: Progress) -> None:
    """Chunk by chunk, past the page cache where the file system allows it, else each synced and dropped from it."""
    direct = _set_direct(descriptor, on=True)
    aligned = memoryview(mmap.mmap(-1, _CHUNK_BYTES))
    for start in range(0, len(image), _CHUNK_BYTES):
        part = image[start : start + _CHUNK_BYTES]
        aligned[: len(part)] = part
        direct = _write_chunk(descriptor, aligned[: len(part)], start, direct=direct)
        progress("write", start + len(part), len(image))
        time.sleep(_CHUNK_PAUSE_S)


def _write_chunk(descriptor: int, part: memoryview, start: int, *, direct: bool) -> bool:
    """All of `part` at `start`; returns whether direct writing still works."""
    done = 0
    while done < len(part):
        try:
            done += os.pwrite(descriptor, part[done:], start + done)
        except OSError:
            if not direct:
                raise
            direct = _set_direct(descriptor, on=False)  # a real fault comes back with the plain write
    if not direct:
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, start, len(part), os.POSIX_FADV_DONTNEED)
    return direct


def _set_direct(descriptor: int, *, on: bool) -> bool:
    """Switch O_DIRECT; returns whether it is on now."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_DIRECT
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | (os.O_DIRECT if on else 0))
    except OSError:
        return False  # this file system has none
    return on
