"""Makes a signed list, or a delta of one, the files of a list: checked before anything has its name.

- A whole list is read as a stream: each line must be canonical and in order, the lines together must have the signed
  hash. Beside it the list in force is read for what is lost: more than a tenth needs the signers' word (`shrinks`),
  where the list was made from the very one in force. A gate that missed lists between takes their sum: each step had
  the signers' word or needed none.
- A delta is applied to nothing but the list it was made from, version and hash. It becomes a layer above that list's
  file; with more than `LAYER_MAX` changes all is written anew. The hash is checked over all lines either way.

Nothing here switches a list. Memory does not grow with the list.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gated.lists import listwrite
from gated.lists.listfile import ListInfo, OpenList, Row, WhitelistError, is_gone, layer_text, line_of, pack
from gated.lists.listwrite import ListWriter
from gated.recording import durable
from protocol import delta
from protocol.repository import DeltaTarget, ListTarget
from protocol.whitelist import Entry, LineError, parse, read_time

LAYER_MAX: Final = 4000
"""Changes held in memory above a list's file: 2 MB, read in 10 ms."""
LOSS_MAX: Final = 0.1
_FILE_FACTOR: Final = 1.25
"""A list's file takes up to that many times its lines, measured."""


class BuildRefused(Exception):  # noqa: N818 - says what became of the list
    """The list is not one to put in force, and trying again would not change that."""


class DeltaUnfit(Exception):  # noqa: N818 - says what became of the delta
    """The delta does not make the list that is wanted out of what is here; the whole list will."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The list to be made: what its signers say of it, and when that is (RFC 3339) on this box."""

    target: ListTarget
    loaded_at: str

    def info(self, entries: int, digest: str) -> ListInfo:
        """Its description. Raises BuildRefused where the lines are not those that were signed."""
        if digest != self.target.result_sha256:
            raise BuildRefused(f"list {self.target.version}: its lines are not those that were signed")
        if entries != self.target.entries:
            raise BuildRefused(f"list {self.target.version}: it has {entries} lines and says {self.target.entries}")
        as_of = read_time("as_of", self.target.as_of)
        return ListInfo(str(self.target.version), entries, digest, as_of, self.loaded_at, "")


def whole(folder: Path, wanted: Wanted, lines: Iterable[bytes], held: ListInfo | None) -> ListInfo:
    """The files of a whole list. Raises BuildRefused, BlobError, OSError, sqlite3.Error."""
    _room(folder, wanted.target.bytes)
    losses = _Losses(folder, held)
    digest, entries = hashlib.sha256(), 0
    with closing(losses), ListWriter(folder) as writer:
        for row in _rows(lines):
            digest.update(line_of(*row).encode() + b"\n")
            entries += 1
            losses.see(row)
            writer.add(row)
        info = wanted.info(entries, digest.hexdigest())
        _may_shrink(wanted.target, held, *losses.end())
        return writer.finish(info)


def layered(folder: Path, wanted: Wanted, said: DeltaTarget, lines: Iterable[bytes], held: ListInfo) -> ListInfo:
    """The files of the list that a delta makes. Raises DeltaUnfit, BuildRefused, BlobError, OSError, sqlite3.Error."""
    if (held.version, held.sha256) != (str(said.base), said.base_sha256):
        raise DeltaUnfit(f"the delta is for list {said.base}, and {held.version} is in force")
    if (said.version, said.result_sha256) != (wanted.target.version, wanted.target.result_sha256):
        raise DeltaUnfit("the delta makes another list than the one that is wanted")
    try:
        opened = OpenList(folder, held)
    except WhitelistError as error:
        raise DeltaUnfit(str(error)) from error
    with closing(opened):
        lost, gained = _apply(opened, lines)
        info, in_force = _hashed(opened, wanted)
        _may_shrink(wanted.target, held, in_force - gained + lost, lost)
        if len(opened.layer) > LAYER_MAX:
            return _written_anew(folder, info, opened)
        named = ListInfo(
            info.version, info.entries, info.sha256, info.as_of, info.loaded_at, held.file, listwrite.layer_name(info)
        )
        durable.write(folder / named.layer, layer_text(named.version, opened.base, opened.layer))
        return named


def _rows(lines: Iterable[bytes]) -> Iterator[Row]:
    """The rows of a list as published: canonical lines in order."""
    last = ""
    for number, line in enumerate(lines, start=1):
        try:
            entry = parse(line)
        except LineError as error:
            raise BuildRefused(f"line {number}: {error}") from error
        if entry.credential <= last:
            raise BuildRefused(f"line {number}: {entry.credential} is out of order")
        row = pack(entry)
        if line_of(*row).encode() != line:
            raise BuildRefused(f"line {number} is not in canonical form")
        last = entry.credential
        yield row


def _apply(opened: OpenList, lines: Iterable[bytes]) -> tuple[int, int]:
    """Put a delta's changes into the layer; how many credentials in force it takes out and brings in."""
    lost = gained = 0
    try:
        for _, line in delta.in_order(lines):
            entry: Entry = parse(line)
            row = pack(entry)
            off = delta.removes(line)
            before = opened.row(entry.credential)
            if off and before is None:
                raise DeltaUnfit(f"the delta takes out {entry.credential}, which the list has not")
            was = before is not None and not is_gone(before[1])
            lost += was and entry.gone
            gained += not was and not entry.gone
            opened.layer[entry.credential] = None if off else row[1:]
    except (LineError, delta.DeltaError) as error:
        raise DeltaUnfit(str(error)) from error
    return lost, gained


def _hashed(opened: OpenList, wanted: Wanted) -> tuple[ListInfo, int]:
    """The description of what file and layer hold together, its hash checked, and how much of it is in force."""
    found = opened.content()
    try:
        return wanted.info(found.entries, found.sha256), found.in_force
    except BuildRefused as error:
        raise DeltaUnfit(str(error)) from error


def _written_anew(folder: Path, info: ListInfo, opened: OpenList) -> ListInfo:
    _room(folder, int((folder / opened.info.file).stat().st_size))
    with ListWriter(folder) as writer:
        for row in opened.rows():
            writer.add(row)
        return writer.finish(info)


class _Losses:
    """Counts, while a new list goes by in order, what the one in force has and it has not."""

    def __init__(self, folder: Path, held: ListInfo | None) -> None:
        self._opened: OpenList | None = None
        self._before = self._lost = 0
        self._rows: Iterator[Row] = iter(())
        if held is not None:
            with suppress(WhitelistError):  # damaged, one more reason for the new one
                self._opened = OpenList(folder, held)
                self._rows = self._opened.rows()
        self._row = self._next()

    def see(self, new: Row) -> None:
        """The new list's next row."""
        while self._row is not None and self._row[0] <= new[0]:
            same = self._row[0] == new[0] and not is_gone(new[2])
            self._count(self._row, kept=same)
            self._row = self._next()

    def end(self) -> tuple[int, int]:
        """How many were in force, and how many of them are lost."""
        while self._row is not None:
            self._count(self._row, kept=False)
            self._row = self._next()
        return self._before, self._lost

    def close(self) -> None:
        """Let go of the list."""
        if self._opened is not None:
            self._opened.close()

    def _next(self) -> Row | None:
        try:
            return next(self._rows, None)
        except sqlite3.Error:  # the same
            return None

    def _count(self, row: Row, *, kept: bool) -> None:
        if not is_gone(row[2]):
            self._before += 1
            self._lost += not kept


def _may_shrink(target: ListTarget, held: ListInfo | None, before: int, lost: int) -> None:
    successor = held is not None and held.version == str(target.previous)
    if successor and not target.shrinks and lost > LOSS_MAX * before:
        raise BuildRefused(
            f"list {target.version} takes out {lost:,} of {before:,} credentials in force, more than a tenth, "
            "and its signers do not say that this is meant"
        )


def _room(folder: Path, lines_bytes: int) -> None:
    missing = listwrite.missing_bytes(folder, int(lines_bytes * _FILE_FACTOR))
    if missing:
        raise OSError(f"the disk is too full for the list: {missing // 1_000_000 + 1} MB more are needed")
