"""The journal read from outside."""

import csv
import io
import json
import math
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gated.recording.journal_read import (
    Following,
    JournalUnreadable,
    bytes_per_event,
    export_csv,
    export_jsonl,
    follow,
    hours_left,
    lines,
    tail,
    verify,
)
from gated.recording.store import FILE_NAME, Store
from protocol.event import ClockQuality, Kind, Stamp, body, link

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def rest(number: int) -> bytes:
    """A passage, `number` seconds after the start."""
    at = (START + timedelta(seconds=number)).isoformat(timespec="milliseconds")
    fields = {"lane": ("walk-in", "走出")[number % 2], "credential": f"epc:{number % 5}", "note": '"lane":"walk-in"'}
    return body(Kind.PASSAGE, Stamp(at, ClockQuality.SYNCED, "9f2c", 1.0), fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of 2,500 events, 200 pruned."""
    path = tmp_path / FILE_NAME
    with closing(Store(path)) as store:
        store.begin_epoch(board="serial:a", began="", why="a new journal")
        store.commit([rest(number) for number in range(1, 201)])
        store.acknowledge(200, store.hash)
        store.commit([rest(number) for number in range(201, 2501)])
        store.prune(START + timedelta(days=1), limit=200)
        store.begin_epoch(board="serial:b", began="", why="another board")
    return path


def alter(path: Path, statement: str) -> None:
    """What somebody with a database shell could do."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_whole_journal_verifies(path: Path) -> None:
    """First, last, epochs, and progress on the way."""
    seen: list[tuple[int, int]] = []
    verified = verify(path, lambda done, last: seen.append((done, last)))
    assert verified.problems == ()
    assert (verified.first, verified.last, len(verified.epochs)) == (201, 2500, 2)
    assert seen == [(1000, 2500), (2000, 2500)]


@pytest.mark.parametrize(
    ("statement", "seq", "what"),
    [
        ("UPDATE event SET line = replace(line, 'walk-in', 'walk-on') WHERE seq = 1000", 1000, "its line was altered"),
        ("UPDATE event SET hash = zeroblob(32) WHERE seq = 1000", 1000, "its hash was altered"),
        ("UPDATE event SET hash = zeroblob(32) WHERE seq = 2500", 2500, "its line or its hash"),
        ("DELETE FROM event WHERE seq = 1000", 1001, "events 1000 to 1000 are missing"),
        ("DELETE FROM event WHERE seq <= 210", 211, "events 201 to 210 are missing"),
        ("UPDATE event SET seq = 3000 WHERE seq = 2500", 3000, "missing"),
        ("UPDATE meta SET value = zeroblob(32) WHERE key = 'pruned_hash'", 201, "the checkpoint"),
        ("UPDATE epoch SET root = zeroblob(32) WHERE first = 201", 201, "root of epoch"),
        ("UPDATE epoch SET first = 9000 WHERE first = 201", 0, "outside of 1 to 2501"),
        ("UPDATE meta SET value = 2501 WHERE key = 'acked'", 0, "counts as acknowledged"),
        ("DELETE FROM epoch", 0, "no epoch"),
    ],
)
def test_each_alteration_is_named(path: Path, statement: str, seq: int, what: str) -> None:
    """The first event that does not fit, and what is wrong with it."""
    alter(path, statement)
    problem = verify(path).problems[0]
    assert problem.seq == seq
    assert what in problem.what


def test_a_line_that_says_another_seq(path: Path) -> None:
    """Even if somebody recomputed its hash."""
    alter(path, "UPDATE event SET line = replace(line, '\"seq\":2500', '\"seq\":2499') WHERE seq = 2500")
    assert any("another seq" in problem.what for problem in verify(path).problems)


def test_filters(path: Path) -> None:
    """By field exactly, by instant half-open and whatever the offset, in order."""
    assert len(list(lines(path))) == 2300
    assert len(list(lines(path, lane="走出"))) == 1150
    assert len(list(lines(path, lane="walk-in"))) == 1150
    assert len(list(lines(path, kind=Kind.ALARM))) == 0
    assert len(list(lines(path, credential="epc:1", lane="walk-in"))) == 230
    offset = datetime.fromisoformat("2026-11-24T16:10:00+08:00")
    some = [json.loads(line)["seq"] for line in lines(path, start=offset, end=offset + timedelta(seconds=3))]
    assert some == [600, 601, 602]
    assert [json.loads(line)["seq"] for line in lines(path, after=2498)] == [2499, 2500]
    assert [json.loads(line)["seq"] for line in tail(path, 2)] == [2499, 2500]


def test_a_reader_holds_nothing_up(path: Path) -> None:
    """In the middle of a listing everything can be checkpointed and the WAL starts over."""
    with closing(Store(path)) as store:
        listing = lines(path)
        next(listing)
        store.commit([rest(1)])
        busy = store._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]
        assert busy == 0
        listing.close()


async def test_follow_gives_what_is_written_from_now_on(path: Path) -> None:
    """New lines as they come, also those in the WAL."""
    with closing(Store(path)) as store:
        following = follow(path, after=2499, poll_s=0.001)
        assert b'"seq":2500,' in await anext(following)
        store.commit([rest(1), rest(2)])
        assert b'"seq":2501,' in await anext(following)
        assert b'"seq":2502,' in await anext(following)
        await following.aclose()


def test_what_is_read_on_and_on_is_of_the_journal_that_stands_there(path: Path, tmp_path: Path) -> None:
    """Up to so many bytes at a time, what was written meanwhile too; nothing is held up."""
    with closing(Following(path)) as following:
        with closing(Store(path)) as store:
            before, some = following.read(2400, 1000)
            assert 0 < sum(map(len, some)) <= 1000
            (prev, (first,)), (after, _) = following.read(2400, 1), following.read(2401, 1)
            assert (prev, first) == (before, some[0])
            assert after == link(before, first)
            assert store.commit([rest(1)])
            assert [json.loads(line)["seq"] for line in following.read(2499, 1000)[1]] == [2500, 2501]
            assert store._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
        path.rename(tmp_path / "wreck")
        with pytest.raises(JournalUnreadable):
            following.read(2499, 1000)
        with closing(Store(path)) as store:
            store.begin_epoch(board="serial:a", began="", why="a new journal")
            store.commit([rest(1), rest(2)])
            assert [json.loads(line)["seq"] for line in following.read(1, 1000)[1]] == [2]


def test_exports(path: Path) -> None:
    """JSON lines byte for byte; CSV with the usual columns, and nothing that a spreadsheet would run."""
    out = io.BytesIO()
    assert export_jsonl(lines(path), out) == 2300
    assert out.getvalue().splitlines() == list(lines(path))
    evil = b'{"seq":1,"at":"2026-11-24T08:00:00Z","kind":"test","credential":"=1+1","extra":{"a":1}}'
    text = io.StringIO()
    assert export_csv([evil], text) == 1
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert rows[0]["credential"] == "'=1+1"
    assert rows[0]["other"] == '{"extra": {"a": 1}}'


def test_disk_use() -> None:
    """As measured, or as this journal shows; never a division by nothing."""
    assert bytes_per_event() > 300
    assert bytes_per_event(40_000_000, 100_000) == 400
    assert hours_left(0, 1) == math.inf
    assert hours_left(100, 100_000, 100) == 10


def test_a_missing_journal_says_what_to_do(tmp_path: Path) -> None:
    """The command that has the right."""
    with pytest.raises(JournalUnreadable, match="sudo -u gated"):
        list(lines(tmp_path / FILE_NAME))
