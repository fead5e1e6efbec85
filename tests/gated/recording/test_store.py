"""The journal's file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.recording.journal_read import verify
from gated.recording.store import (
    FILE_NAME,
    PAGE_BYTES,
    WAL_PAGES,
    JournalDamaged,
    JournalTrouble,
    Store,
    new_epoch_id,
    wal_of,
)
from protocol.event import GENESIS, ClockQuality, Kind, Stamp, body

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def rest(number: int = 0, clock: ClockQuality = ClockQuality.SYNCED) -> bytes:
    """An event `number` seconds after the start."""
    at = (START + timedelta(seconds=number)).isoformat(timespec="milliseconds")
    return body(Kind.TEST, Stamp(at, clock, "9f2c", 1.0), {"n": number})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / FILE_NAME


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A new journal with its first epoch."""
    with closing(Store(path)) as store:
        store.begin_epoch(board="serial:a", began="", why="a new journal")
        yield store


def test_a_new_journal_begins_at_1_with_zeros(store: Store) -> None:
    """Rule 2: a fresh disk."""
    assert store.epoch is not None
    assert (store.epoch.first, store.epoch.root) == (1, GENESIS)
    assert store.commit([rest()]) == 1


def test_the_wal_is_grown_at_the_start_and_kept(store: Store, path: Path) -> None:
    """Its size does not change with commits and checkpoints; the file holds nothing of the filling."""
    size = wal_of(path).stat().st_size
    assert size >= WAL_PAGES * PAGE_BYTES
    for number in range(100):
        store.commit([rest(number)])
    store.checkpoint()
    store.commit([rest(100)])
    assert wal_of(path).stat().st_size == size
    assert path.stat().st_size < 100 * PAGE_BYTES


def test_commits_are_durable_ones(store: Store) -> None:
    """FULL, and no checkpoint by itself."""
    run = store._connection.execute
    assert run("PRAGMA synchronous").fetchone() == (2,)
    assert run("PRAGMA journal_mode").fetchone() == ("wal",)
    assert run("PRAGMA wal_autocheckpoint").fetchone() == (0,)


def test_a_failed_commit_moves_nothing(store: Store, path: Path) -> None:
    """The head stays where it was, and the file opens again there."""
    store.commit([rest()])
    head = store.seq, store.hash
    store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(JournalTrouble, match="read-only"):
        store.commit([rest(1), rest(2)])
    assert (store.seq, store.hash) == head
    store.close()
    with closing(Store(path)) as again:
        assert (again.seq, again.hash) == head


def test_a_newer_schema_is_left_alone(store: Store, path: Path) -> None:
    """An older gated on a newer journal is trouble, not damage."""
    store._set("schema", 2)
    store.close()
    with pytest.raises(JournalTrouble, match="newer") as caught:
        Store(path)
    assert not isinstance(caught.value, JournalDamaged)


def test_pruning_does_not_trust_an_unset_clock(store: Store) -> None:
    """Such an event goes only with a dated one behind it that is old enough."""
    store.commit([rest(0), rest(-99, ClockQuality.UNSET), rest(1), rest(-99, ClockQuality.UNSET), rest(50)])
    store.acknowledge(5, store.hash)
    assert store.prune(START + timedelta(seconds=10)) == 3
    assert store.prune(START + timedelta(seconds=10)) == 0
    assert store.oldest == 4


def test_a_new_epoch_after_pruning_begins_behind_the_checkpoint(store: Store, path: Path) -> None:
    """Its root is the checkpoint's hash, and all verifies."""
    store.commit([rest(number) for number in range(10)])
    store.acknowledge(10, store.hash)
    store.prune(START + timedelta(seconds=5))
    assert store.rewind(0) == 5
    epoch = store.begin_epoch(board="serial:a", began="", why="test", alarm=rest(11))
    assert (epoch.first, epoch.root) == (6, store.pruned_hash)
    assert store.seq == 11
    assert verify(path).problems == ()


def test_opening_verifies_the_tail(store: Store, path: Path) -> None:
    """A line altered by hand is damage, named by its seq."""
    store.commit([rest(number) for number in range(10)])
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET line = replace(line, '\"n\":6', '\"n\":7') WHERE seq = 7")
    with pytest.raises(JournalDamaged, match="event 7 "):
        Store(path)


def test_epoch_ids() -> None:
    """26 characters, never twice."""
    ids = {new_epoch_id() for _ in range(100)}
    assert len(ids) == 100
    assert {len(each) for each in ids} == {26}


@settings(deadline=None)  # it waits for the disk
@given(groups=st.lists(st.integers(1, 9), max_size=6), acked=st.integers(0, 60), reopen=st.booleans())
def test_any_history_verifies(
    tmp_path_factory: pytest.TempPathFactory,
    groups: list[int],
    acked: int,
    reopen: bool,  # noqa: FBT001 - drawn
) -> None:
    """Whatever the groups, acknowledgements, epochs and prunings: the chain has no gap and verifies."""
    path = tmp_path_factory.mktemp("journal") / FILE_NAME
    store = Store(path, presize=False)
    store.begin_epoch(board="a", began="", why="a new journal")
    try:
        for size in groups:
            first = store.commit([rest(number) for number in range(size)])
            assert store.seq == first + size - 1
            if store.holds(acked, store._hash_at(acked) or b""):
                store.acknowledge(acked, store._hash_at(acked) or b"")
                store.prune(START + timedelta(seconds=4))
            if reopen:
                store.close()
                store = Store(path, presize=False)
                store.begin_epoch(board="a", began="", why="test")
        verified = verify(path)
    finally:
        store.close()
    assert verified.problems == ()
    assert verified.last == sum(groups)
