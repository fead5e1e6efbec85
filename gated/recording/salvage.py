"""A damaged journal is set aside, and what can be read of it goes on in a new one.

Reading does not trust SQLite with the wreck: the file's pages, with those of its WAL laid over them, are looked
through one by one for records that have the shape of ours. A lost header, a zeroed page, a torn end or a broken tree
then cost the records in them and nothing else. (File format: https://sqlite.org/fileformat2.html, sections 1.5, 1.6,
2.1 and 4.1.)

- The longest chain that verifies from the checkpoint on is carried over as it is.
- A new epoch begins, at the smaller of what was acknowledged and the last verified event, plus one.
- Each readable event after the last verified one comes again as a `salvaged` event with its original line.
- An alarm event says what happened, and under which name the wreck was kept.

The new file is built beside the old as `journal.db.part` and called `journal.db.new` when it is whole; only then is
the wreck renamed and the new file put in its place. Power may fail at any point: `finish` does what is left to do.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from gated.recording.durable import sync_folder
from gated.recording.store import PAGE_BYTES, WAL_PAGES, Epoch, Store, fits, trouble, wal_of
from protocol.event import GENESIS, EventError, Kind, Stamp, body

_CHUNK_EVENTS: Final = 512
_LEAF: Final = 0x0D
_LEAF_HEADER_BYTES: Final = 8
_FILE_HEADER_BYTES: Final = 100
_WAL_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24
_WAL_MAGIC: Final = frozenset({0x377F0682, 0x377F0683})
_LOCAL_MAX_BYTES: Final = PAGE_BYTES - 35
_LOCAL_MIN_BYTES: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
_RECORD_MAX_BYTES: Final = 64 * 1024  # no record of ours is larger; a longer one is damage
_CUT_CHARACTERS: Final = 4000  # of an original that does not fit; six bytes a character at worst
_HASH_BYTES: Final = 32
_VARINT_BYTES: Final = 9
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)
_TYPE_FALSE: Final = 8
_TYPE_TRUE: Final = 9
_TYPE_BLOB: Final = 12

Value = int | str | bytes | None
Event = tuple[int, bytes, bytes]


@dataclass(slots=True)
class _Notes:
    """What a wreck still says beside its events."""

    meta: dict[str, Value] = field(default_factory=dict)
    epochs: list[Epoch] = field(default_factory=list)
    leaves: list[tuple[int, int, int]] = field(default_factory=list)


class Wreck:
    """What can be read of a damaged journal. Reads the whole file once when made; holds no events in memory."""

    def __init__(self, path: Path) -> None:
        self._data = path.open("rb") if path.exists() else None
        wal = wal_of(path)
        self._wal = wal.open("rb") if wal.exists() else None
        self._frames = dict(_frames(wal)) if self._wal else {}
        size = path.stat().st_size if self._data else 0
        self._count = max([-(-size // PAGE_BYTES), *self._frames])
        self._notes = self._survey()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in (self._data, self._wal):
            if handle:
                handle.close()

    @property
    def epochs(self) -> list[Epoch]:
        """The epochs that can be read, oldest first."""
        return self._notes.epochs

    @property
    def acked(self) -> int:
        """What was acknowledged; 0 where that is lost, so that the center is told everything again."""
        acked = self._notes.meta.get("acked")
        return acked if isinstance(acked, int) else 0

    def checkpoint(self) -> tuple[int, bytes]:
        """Seq and hash before the first event: as noted, else by an epoch's root, else the first event's own."""
        first = next(self.events(), None)
        seq, root = self._notes.meta.get("pruned_seq"), self._notes.meta.get("pruned_hash")
        noted = (seq, root) if isinstance(seq, int) and isinstance(root, bytes) and len(root) == _HASH_BYTES else None
        if first is None or (noted and noted[0] + 1 == first[0]):
            return noted or (0, GENESIS)
        if first[0] == 1:
            return (0, GENESIS)
        if noted and noted[0] + 1 < first[0]:
            return noted
        roots = [epoch.root for epoch in self.epochs if epoch.first == first[0]]
        return (first[0] - 1, roots[0]) if roots else (first[0], first[2])

    def events(self) -> Iterator[Event]:
        """Every readable event, by seq, each once. What is older than the checkpoint was pruned and stays so."""
        pruned = self._notes.meta.get("pruned_seq")
        last = pruned if isinstance(pruned, int) else 0
        for _, _, number in self._notes.leaves:
            for event in sorted(filter(None, map(_as_event, self._records(number)))):
                if event[0] > last:
                    last = event[0]
                    yield event

    def _survey(self) -> _Notes:
        notes = _Notes()
        epochs: dict[int, Epoch] = {}
        for number in range(1, self._count + 1):
            seqs: list[int] = []
            for rowid, record in self._records(number):
                if event := _as_event((rowid, record)):
                    seqs.append(event[0])
                elif epoch := _as_epoch(record):
                    epochs[rowid] = epoch
                elif len(record) == 2 and isinstance(record[0], str):  # noqa: PLR2004 - key and value
                    notes.meta[record[0]] = record[1]
            if seqs:
                notes.leaves.append((min(seqs), -max(seqs), number))
        notes.leaves.sort()
        notes.epochs.extend(epochs[rowid] for rowid in sorted(epochs))
        return notes

    def _page(self, number: int) -> bytes:
        offset = self._frames.get(number)
        handle, place = (self._data, (number - 1) * PAGE_BYTES) if offset is None else (self._wal, offset)
        if handle is None:
            return b""
        try:
            handle.seek(place)
            return handle.read(PAGE_BYTES)
        except OSError:
            return b""  # a sector the disk no longer gives: what stood there is lost, the rest is not

    def _records(self, number: int) -> Iterator[tuple[int, list[Value]]]:
        """The records of one leaf page that can be read; none where it is no such page."""
        page = self._page(number)
        start = _FILE_HEADER_BYTES if number == 1 else 0
        if len(page) < start + _LEAF_HEADER_BYTES or page[start] != _LEAF:
            return
        (count,) = struct.unpack_from(">H", page, start + 3)
        for index in range(min(count, PAGE_BYTES // 4)):
            with suppress(IndexError, ValueError, struct.error):  # a torn record is skipped, its neighbours are not
                (offset,) = struct.unpack_from(">H", page, start + _LEAF_HEADER_BYTES + 2 * index)
                size, offset = _varint(page, offset)
                rowid, offset = _varint(page, offset)
                yield rowid, _decode(self._payload(page, offset, size))

    def _payload(self, page: bytes, offset: int, size: int) -> bytes:
        if size > _RECORD_MAX_BYTES:
            raise ValueError(size)
        if size <= _LOCAL_MAX_BYTES:
            return page[offset : offset + size]
        local = _LOCAL_MIN_BYTES + (size - _LOCAL_MIN_BYTES) % (PAGE_BYTES - 4)
        local = local if local <= _LOCAL_MAX_BYTES else _LOCAL_MIN_BYTES
        payload = page[offset : offset + local]
        (following,) = struct.unpack_from(">I", page, offset + local)
        while len(payload) < size:
            more = self._page(following) if following else b""
            (following,) = struct.unpack_from(">I", more)
            payload += more[4:]
        return payload[:size]


def salvage(path: Path, why: str, *, board: str, stamp: Stamp, between: Callable[[], None]) -> str:
    """The wreck's new name, once a new journal that holds what could be read is in its place.

    `between` is called every few hundred events. Raises JournalTrouble where the disk does not allow it now.
    """
    part, new, kept = _beside(path, ".part"), _beside(path, ".new"), _free_name(path, stamp)
    try:
        for old in (part, new):
            _remove(old)
        with Wreck(path) as wreck:
            _rebuild(wreck, part, f"{why}; kept as {kept.name}", board=board, stamp=stamp, between=between)
        _sync_file(part)
        part.rename(new)
        sync_folder(path.parent)
        _set_aside(path, kept)
        _finish(path)
    except OSError as error:
        raise trouble(error) from error
    return kept.name


def finish(path: Path) -> None:
    """Put a salvaged journal that is whole into its place, if a power cut left one beside it."""
    try:
        _finish(path)
    except OSError as error:
        raise trouble(error) from error


def _finish(path: Path) -> None:
    new = _beside(path, ".new")
    if path.exists() or not new.exists():
        if not path.exists() and wal_of(path).exists():
            wal_of(path).rename(_beside(path, f"-wal-without-journal-{os.urandom(3).hex()}"))
        return
    wrecks = sorted(path.parent.glob(f"{path.stem}-damaged-*{path.suffix}"))
    for suffix in ("-wal", "-shm"):  # of the wreck: a new file must never meet them
        if _beside(path, suffix).exists():
            _beside(path, suffix).rename(_beside(wrecks[-1] if wrecks else _beside(path, ".wreck"), suffix))
    new.rename(path)
    sync_folder(path.parent)


def _rebuild(wreck: Wreck, part: Path, why: str, *, board: str, stamp: Stamp, between: Callable[[], None]) -> None:
    store = Store(part, presize=False)
    try:
        store.adopt(pruned=wreck.checkpoint(), acked=wreck.acked, epochs=wreck.epochs)
        events = wreck.events()
        rest = _carry_over(store, events, between)
        verified = store.seq
        store.begin_epoch(board=board, began=stamp.at, why=why)
        count = _write_again(store, rest, events, stamp, between)
        fields = {"what": "journal-salvaged", "why": why, "verified": verified, "salvaged": count}
        store.commit([body(Kind.ALARM, stamp, fields)])
    finally:
        store.close()


def _carry_over(store: Store, events: Iterator[Event], between: Callable[[], None]) -> list[Event]:
    """Once the chain that verifies is in the store: the event that ended it, if one did.

    Before it stands an event that had to serve as its own checkpoint: its hash holds, its line cannot be verified.
    """
    seq, previous = store.seq, store.hash
    rows: list[Event] = []
    ended: list[Event] = []
    for event in events:
        if (event[0], event[2]) == (store.pruned_seq, store.pruned_hash):
            ended.append(event)
            continue
        if event[0] != seq + 1 or not fits(previous, *event):
            ended.append(event)
            break
        rows.append(event)
        seq, _, previous = event
        if len(rows) == _CHUNK_EVENTS:
            store.adopt_events(rows)
            rows = []
            _pause(store, between)
    if rows:
        store.adopt_events(rows)
    return ended


def _write_again(
    store: Store, first: list[Event], events: Iterator[Event], stamp: Stamp, between: Callable[[], None]
) -> int:
    """How many events were written again as `salvaged`."""
    epochs = store.epochs[:-1]
    rests = [_salvaged(event, epochs, stamp) for event in first]
    count = 0
    for event in events:
        rests.append(_salvaged(event, epochs, stamp))
        if len(rests) >= _CHUNK_EVENTS:
            store.commit(rests)
            count += len(rests)
            rests = []
            _pause(store, between)
    if rests:
        store.commit(rests)
    return count + len(rests)


def _pause(store: Store, between: Callable[[], None]) -> None:
    if store.wal_pages > WAL_PAGES:
        store.checkpoint()
    between()


def _salvaged(event: Event, epochs: list[Epoch], stamp: Stamp) -> bytes:
    """The body of a `salvaged` event; one that was salvaged before keeps what it said, and is not wrapped again."""
    seq, event_line, _ = event
    text = event_line.decode("utf-8", "backslashreplace")
    of = [epoch.id for epoch in epochs if epoch.first <= seq]
    fields: dict[str, object] = {"original": text, "epoch": of[-1] if of else None, "seq_was": seq}
    with suppress(ValueError, KeyError, TypeError):
        before = json.loads(text)
        if before["kind"] == Kind.SALVAGED:
            fields = {"original": before["original"], "epoch": before.get("epoch"), "seq_was": before["seq_was"]}
    try:
        return body(Kind.SALVAGED, stamp, fields)
    except EventError:
        return body(Kind.SALVAGED, stamp, {**fields, "original": text[:_CUT_CHARACTERS], "cut": len(text)})


def _frames(wal: Path) -> Iterator[tuple[int, int]]:
    """Page number and offset of each frame of the WAL's present generation, in order, up to its last commit."""
    size = wal.stat().st_size
    with wal.open("rb") as handle:
        header = handle.read(_WAL_HEADER_BYTES)
        if len(header) < _WAL_HEADER_BYTES or struct.unpack_from(">I", header)[0] not in _WAL_MAGIC:
            return
        waiting: list[tuple[int, int]] = []
        for offset in range(_WAL_HEADER_BYTES, size - PAGE_BYTES, _FRAME_HEADER_BYTES + PAGE_BYTES):
            handle.seek(offset)
            number, committed, *salts = struct.unpack(">IIII", handle.read(16))
            if struct.pack(">II", *salts) != header[16:24]:
                return
            waiting.append((number, offset + _FRAME_HEADER_BYTES))
            if committed:
                yield from waiting
                waiting = []


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for index in range(_VARINT_BYTES):
        byte = data[offset + index]
        if index == _VARINT_BYTES - 1:
            return value << 8 | byte, offset + index + 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the high bit says that more follow
            return value, offset + index + 1
    raise ValueError(offset)


def _decode(payload: bytes) -> list[Value]:
    end, offset = _varint(payload, 0)
    values: list[Value] = []
    at = end
    while offset < end:
        kind, offset = _varint(payload, offset)
        value, at = _value(payload, kind, at)
        values.append(value)
    return values


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind in (_TYPE_FALSE, _TYPE_TRUE):
        return kind - _TYPE_FALSE, at
    if kind < len(_INTEGER_BYTES):
        after = at + _INTEGER_BYTES[kind]
        return (int.from_bytes(payload[at:after], "big", signed=True) if kind else None), after
    if kind < _TYPE_BLOB:
        raise ValueError(kind)  # no floats and nothing reserved in our tables
    after = at + (kind - _TYPE_BLOB) // 2
    if after > len(payload):
        raise ValueError(after)
    raw = payload[at:after]
    return (raw.decode() if kind % 2 else raw), after


def _as_event(row: tuple[int, list[Value]]) -> Event | None:
    match row:
        case (int(seq), [None, (bytes() | str()) as event_line, bytes(event_hash)]) if seq > 0 and _is_hash(event_hash):
            return seq, event_line if isinstance(event_line, bytes) else event_line.encode(), event_hash
    return None


def _is_hash(value: bytes) -> bool:
    return len(value) == _HASH_BYTES


def _as_epoch(record: list[Value]) -> Epoch | None:
    match record:
        case [str(name), int(first), bytes(root), str(board), str(began), str(why)] if len(root) == _HASH_BYTES:
            return Epoch(name, first, root, board, began, why)
    return None


def _free_name(path: Path, stamp: Stamp) -> Path:
    when = stamp.at[:19].replace(":", "")
    names = (path.with_name(f"{path.stem}-damaged-{when}{again}{path.suffix}") for again in _numbers())
    return next(name for name in names if not name.exists() and not wal_of(name).exists())


def _numbers() -> Iterator[str]:
    yield ""
    for number in range(2, 10_000):
        yield f"-{number}"


def _set_aside(path: Path, kept: Path) -> None:
    """Rename the wreck: the file first, so that it never stands without its WAL under its old name."""
    for suffix in ("", "-wal", "-shm"):
        if _beside(path, suffix).exists():
            _beside(path, suffix).rename(_beside(kept, suffix))


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
