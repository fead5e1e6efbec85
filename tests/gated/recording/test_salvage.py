"""Damaged journals: set aside, and what can be read of them goes on."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gated.recording.journal import Journal
from gated.recording.journal_read import Verified, lines, verify
from gated.recording.salvage import Wreck, finish, salvage
from gated.recording.store import FILE_NAME, PAGE_BYTES, Store, wal_of
from protocol.event import GENESIS, ClockQuality, Kind, Stamp, body

STAMP = Stamp("2026-11-24T08:15:02.113+08:00", ClockQuality.SYNCED, "9f2c", 1.5)
COUNT = 300
ACKED = 20


def build(folder: Path, *, prune: bool = False) -> Path:
    """A journal of 300 events, one of them over several pages, 20 acknowledged."""
    path = folder / FILE_NAME
    with closing(Store(path)) as store:
        store.begin_epoch(board="serial:a", began=STAMP.at, why="a new journal")
        for number in range(1, COUNT + 1):
            pad = "长" * 3000 if number == 150 else "x" * 100
            store.commit([body(Kind.PASSAGE, STAMP, {"n": number, "pad": pad})])
            if number == ACKED:
                store.acknowledge(ACKED, store.hash)
        if prune:
            store.prune(datetime(2027, 1, 1, tzinfo=UTC))
    return path


def poke(path: Path, offset: int, data: bytes) -> None:
    """Overwrite some of the file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def damaged_names(folder: Path) -> list[str]:
    """The wrecks that were kept."""
    return sorted(path.name for path in folder.glob("journal-damaged-*.db"))


def header(path: Path) -> None:
    """The first hundred bytes."""
    poke(path, 0, b"\xff" * 100)


def first_page(path: Path) -> None:
    """All of the first page, with the schema."""
    poke(path, 0, bytes(PAGE_BYTES))


def root_page(path: Path) -> None:
    """The root of the tree of events."""
    poke(path, PAGE_BYTES, bytes(PAGE_BYTES))


def middle_page(path: Path) -> None:
    """A page of events."""
    poke(path, path.stat().st_size // PAGE_BYTES // 2 * PAGE_BYTES, bytes(PAGE_BYTES))


def last_pages(path: Path) -> None:
    """The end, cut off in the middle of a page."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 2 * PAGE_BYTES - 700)


def altered_line(path: Path) -> None:
    """One line, altered by hand."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET line = replace(line, '\"n\":290', '\"n\":291') WHERE seq = 290")


def noise(path: Path) -> None:
    """Everything."""
    path.write_bytes(b"\x5a" * path.stat().st_size)


async def restart(folder: Path, told: list[tuple[bool, str]]) -> tuple[Verified, list[dict[str, object]]]:
    """The journal opened again on what is there, one event appended, and what it holds then."""
    async with Journal(
        folder, board="serial:a", stamp=lambda: STAMP, on_change=lambda ok, why: told.append((ok, why))
    ) as journal:
        await journal.opened()
        assert journal.state.ok
        await journal.append(Kind.TEST, STAMP, {"after": True})
    path = folder / FILE_NAME
    return verify(path), [json.loads(line) for line in lines(path)]


@pytest.mark.parametrize(
    ("damage", "lost"),
    [(header, 0), (first_page, 0), (root_page, 0), (middle_page, 40), (last_pages, 60), (altered_line, 0)],
)
async def test_what_is_readable_goes_on(tmp_path: Path, damage: Callable[[Path], None], lost: int) -> None:
    """The verified prefix as it was, a new epoch by rule 2, then each readable event as `salvaged`, then an alarm."""
    path = build(tmp_path)
    before = list(lines(path))
    damage(path)
    told: list[tuple[bool, str]] = []
    verified, events = await restart(tmp_path, told)
    assert verified.problems == ()
    assert damaged_names(tmp_path) == ["journal-damaged-2026-11-24T081502.db"]
    salvaged = [event for event in events if event["kind"] == "salvaged"]
    prefix = [event for event in events if event["kind"] == "passage"]
    assert [json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() for event in prefix] == before[
        : len(prefix)
    ]
    assert len(prefix) + len(salvaged) >= COUNT - lost
    for event in salvaged:
        seq = event["seq_was"]
        assert isinstance(seq, int)
        assert event["epoch"] == verified.epochs[0].id
        assert event["original"] == before[seq - 1].decode() or damage is altered_line
    assert verified.epochs[-1].first == min(ACKED, len(prefix)) + 1
    whats = [event.get("what") for event in events if event["kind"] == "alarm"]
    assert whats == ["journal-salvaged", "journal-trouble"]
    assert [ok for ok, _ in told] == [False, True]


async def test_nothing_readable(tmp_path: Path) -> None:
    """A fresh epoch at 1 with zeros, and the alarm."""
    noise(build(tmp_path))
    verified, events = await restart(tmp_path, [])
    assert verified.problems == ()
    assert [(epoch.first, epoch.root) for epoch in verified.epochs] == [(1, GENESIS)]
    assert events[0]["what"] == "journal-salvaged"


def only_the_wal(path: Path) -> Path:
    """A folder with an empty journal and the WAL of one that has just written an event."""
    copy = path.parent / "copy"
    copy.mkdir()
    with closing(Store(path)) as store:
        store.commit([body(Kind.TEST, STAMP, {"late": True})])
        shutil.copy(wal_of(path), wal_of(copy / FILE_NAME))
    (copy / FILE_NAME).touch()
    return copy


async def test_a_file_cut_to_nothing_gives_back_its_wal(tmp_path: Path) -> None:
    """An empty file beside a WAL is damage too, and the WAL's events are not lost."""
    path = build(tmp_path)
    copy = only_the_wal(path)
    verified, events = await restart(copy, [])
    assert verified.problems == ()
    assert any(event.get("late") for event in events)


async def test_a_pruned_journal_keeps_its_checkpoint(tmp_path: Path) -> None:
    """What was pruned stays so, and what remains is carried over from the checkpoint on."""
    path = build(tmp_path, prune=True)
    altered_line(path)
    verified, _ = await restart(tmp_path, [])
    assert verified.problems == ()
    assert verified.first == ACKED + 1
    assert verified.epochs[-1].first == ACKED + 1


async def test_salvaged_twice_is_not_wrapped_twice(tmp_path: Path) -> None:
    """An event that comes out of a second wreck still has its first line, epoch and seq."""
    path = build(tmp_path)
    altered_line(path)
    await restart(tmp_path, [])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET line = x'00' WHERE seq = 291")
    _, events = await restart(tmp_path, [])
    originals = [event for event in events if event["kind"] == "salvaged"]
    assert originals
    assert all('"kind":"salvaged"' not in str(event["original"]) for event in originals)
    assert len(damaged_names(tmp_path)) == 2


def test_a_power_cut_between_the_renames(tmp_path: Path) -> None:
    """A whole new file beside a gap is put in place, and the wreck's WAL never meets it."""
    path = build(tmp_path)
    shutil.copy(path, tmp_path / "journal.db.new")
    path.rename(tmp_path / "journal-damaged-2026-11-24T081502.db")
    wal_of(path).write_bytes(b"stale")
    finish(path)
    assert wal_of(tmp_path / "journal-damaged-2026-11-24T081502.db").read_bytes() == b"stale"
    assert verify(path).last == COUNT


def test_salvage_lets_others_speak(tmp_path: Path) -> None:
    """`between` is called while a large wreck is worked through; the name it was kept under comes back."""
    path = tmp_path / FILE_NAME
    with closing(Store(path)) as store:
        store.begin_epoch(board="serial:a", began=STAMP.at, why="a new journal")
        store.commit([body(Kind.TEST, STAMP, {"n": number}) for number in range(2000)])
    calls: list[None] = []
    name = salvage(path, "test", board="serial:a", stamp=STAMP, between=lambda: calls.append(None))
    assert name == "journal-damaged-2026-11-24T081502.db"
    assert len(calls) >= 3
    with Wreck(tmp_path / name) as wreck:
        assert sum(1 for _ in wreck.events()) == 2000
