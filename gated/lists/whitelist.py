"""The whitelist on the box: which list is in force, and what it says of a credential.

In the state folder lie the files of `gated.lists.listfile`; what makes and switches them is `listload` and `listbuild`.

- An old list beats no list: where the list in force cannot be opened, the one before it serves, and `trouble` says so.
  Once a list is held, it is left only for one that opens.
- An error is never a yes: a lookup that cannot be read raises WhitelistError.
- Over the list lies the overlay, whichever list it is: enrolments add to it, suspensions take out of force.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from gated.lists import overlay as overlays
from gated.lists.listfile import (
    FILES,
    OVERLAYS,
    POINTER,
    ListInfo,
    OpenList,
    WhitelistError,
    as_info,
    read_pointer,
    unpack,
    uri,
)
from gated.lists.overlay import Overlay
from protocol.credential import Credential
from protocol.whitelist import Entry

__all__ = ["POINTER", "ListInfo", "Whitelist", "WhitelistError", "read_info", "read_overlay", "verify"]


class Whitelist:
    """The list in force as the daemon holds it. Use it from the thread that made it."""

    info: ListInfo | None
    trouble: str
    overlay: Overlay

    def __init__(self, folder: Path) -> None:
        self.info = None
        self.trouble = ""
        self.overlay = Overlay()
        self._folder = folder
        self._pointer = folder / POINTER
        self._stamp: tuple[int, ...] = ()
        self._list: OpenList | None = None
        self._over = ""
        self._lapses = float("inf")
        if not self.refresh() and self.trouble:
            self._fall_back()

    def entry(self, credential: Credential) -> Entry | None:
        """What counts for `credential`; None where nothing is said of it. Raises WhitelistError."""
        entry = None
        if self._list is not None:
            try:
                row = self._list.row(credential)
                entry = None if row is None else unpack(credential, *row)
            except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
                self.trouble = f"{self._list.info.file} cannot be read ({error}); load the list again, suspect the disk"
                raise WhitelistError(self.trouble) from error
        if entry is not None and credential not in self.overlay.suspensions:
            return entry
        return overlays.over(self.overlay, credential, entry)

    def refresh(self) -> bool:
        """Take up what the pointer names now; True if another list came into force. Cheap where nothing changed."""
        stamp: tuple[int, ...] = ()
        try:
            stat = self._pointer.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if stamp == self._stamp:
                return False
            pointer = read_pointer(self._folder)
            if pointer is None:  # removed since the stat
                return False
            opened = OpenList(self._folder, pointer.now)
        except FileNotFoundError:
            self.trouble = f"{POINTER} is gone; load the list again" if self.info else ""
            return False
        except (OSError, WhitelistError) as error:
            if self._superseded(stamp):
                return self.refresh()
            serving = f"; {self.info.version} stays in force" if self.info else ""
            self.trouble = f"{error}{serving}; load the list again"
            return False
        before = self.info
        self._take(opened)
        self._stamp = stamp
        self.trouble = ""
        self._lay_over(pointer.over)
        return self.info != before

    def lapse(self, floor: float) -> list[tuple[str, Credential]]:
        """Let go of enrolments and suspensions that have lapsed at this floor (POSIX s); which, for the journal.

        To be called between decisions, each second or so; cheap where nothing is due.
        """
        if floor < self._lapses:
            return []
        self.overlay, lapsed = overlays.lapse(self.overlay, floor)
        self._lapses = overlays.next_lapse(self.overlay)
        return lapsed

    def close(self) -> None:
        """Let go of the file; lookups raise from here on."""
        if self._list is not None:
            self._list.close()

    def _superseded(self, stamp: tuple[int, ...]) -> bool:
        """Whether the pointer was switched since, and what it named then has been removed."""
        try:
            stat = self._pointer.stat()
        except OSError:
            return False
        return bool(stamp) and stamp != (stat.st_mtime_ns, stat.st_ino, stat.st_size)

    def _take(self, opened: OpenList) -> None:
        self.close()
        self._list, self.info = opened, opened.info

    def _lay_over(self, name: str) -> None:
        """Take up another overlay. Where it cannot be read, the one held until now stays."""
        if name == self._over:
            return
        try:
            self.overlay = read_overlay(self._folder, name)
        except WhitelistError as error:
            self.trouble = f"{error}; suspensions and enrolments are as they were"
            return
        self._over = name
        self._lapses = overlays.next_lapse(self.overlay)

    def _fall_back(self) -> None:
        """Serve from another list of the folder, where the one in force does not open."""
        why = self.trouble
        self._lay_over(_overlay_name(self._folder))
        for info in _others(self._folder):
            try:
                opened = OpenList(self._folder, info)
            except WhitelistError:
                continue  # the next older one may do
            self._take(opened)
            self.trouble = f"{why}; until then the older {info.version}, loaded {info.loaded_at}, is in force"
            return
        self.trouble = f"{why}; there is no older list: every credential is unknown"


def read_info(folder: Path) -> ListInfo | None:
    """The list that the pointer names as in force; None if none was ever loaded. Raises WhitelistError."""
    pointer = read_pointer(folder)
    return pointer.now if pointer else None


def read_overlay(folder: Path, name: str) -> Overlay:
    """The overlay in a file of the folder; an empty one for no name. Raises WhitelistError."""
    if not name:
        return Overlay()
    try:
        return Overlay.from_bytes((folder / name).read_bytes())
    except OSError as error:
        raise WhitelistError(f"{name} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WhitelistError(f"{name} is damaged ({error})") from error


def verify(folder: Path) -> str:
    """Read the whole list in force: "" if it is what its version says, else what is wrong. Takes seconds."""
    try:
        pointer = read_pointer(folder)
        if pointer is None:
            return "no list was ever loaded"
        read_overlay(folder, pointer.over)
        with closing(OpenList(folder, pointer.now)) as opened:
            same = opened.content().sha256 == pointer.now.sha256
    except (WhitelistError, sqlite3.Error, ValueError, TypeError) as error:
        return str(error)
    return "" if same else f"{pointer.now.file} does not hold what was loaded; load it again"


def _overlay_name(folder: Path) -> str:
    """The overlay that counts or, with no pointer to say so, the newest."""
    try:
        pointer = read_pointer(folder)
    except WhitelistError:
        return max((path.name for path in folder.glob(OVERLAYS)), default="")
    return pointer.over if pointer else ""


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
            return as_info({**dict(db.execute("SELECT key, value FROM meta")), "file": path.name})
    except (sqlite3.Error, ValueError, TypeError):
        return None
