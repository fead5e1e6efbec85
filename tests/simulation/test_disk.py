"""The simulated disk against the real store: the same steps, the same state."""

import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gated.recording.store import Store
from protocol.event import ClockQuality, Kind, Stamp, body
from tests.simulation.disk import Disk

STAMP = Stamp("2026-11-25T08:00:00.000+08:00", ClockQuality.SYNCED, "boot", 1.0)
LATER = datetime(2027, 1, 1, tzinfo=UTC)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("acknowledge"), st.integers(0, 12), st.booleans()),
        st.tuples(st.just("rewind"), st.integers(0, 12), st.booleans()),
        st.tuples(st.just("epoch"), st.integers(0, 0), st.booleans()),
        st.tuples(st.just("prune"), st.integers(1, 6), st.booleans()),
        st.tuples(st.just("crash"), st.integers(0, 0), st.booleans()),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_as_the_real_store(script: list[tuple[str, int, bool]]) -> None:
    """Appending, acknowledging, rewinding, new epochs, pruning and crashes come to the same in both."""
    with tempfile.TemporaryDirectory() as folder:
        path, disk = Path(folder) / "journal.db", Disk()
        store = Store(path, presize=False)
        try:
            for number, (step, value, flag) in enumerate(script):
                store = _step(step, value, flag, number, store, disk, path)
                assert (store.seq, store.acked, store.oldest) == (disk.seq, disk.acked, disk.oldest)
                assert store.hash == disk.hash_at(disk.seq)
                assert [(e.first, e.root) for e in store.epochs] == [(e.first, e.root) for e in disk.epochs]
        finally:
            store._drop()


def _step(step: str, value: int, flag: bool, number: int, store: Store, disk: Disk, path: Path) -> Store:  # noqa: FBT001 - a script's
    match step:
        case "append":
            rests = [body(Kind.TEST, STAMP, {"n": [number, n]}) for n in range(value)]
            store.commit(rests)
            for rest in rests:
                disk.append(rest)
        case "acknowledge":
            event_hash = disk.hash_at(value) or bytes(31)
            assert store.acknowledge(value, event_hash, keep=flag) == disk.acknowledge(value, event_hash, keep=flag)
        case "rewind":
            store.rewind(value)
            disk.rewind(value)
        case "epoch":
            alarm = body(Kind.ALARM, STAMP, {"n": number})
            epoch = store.begin_epoch(board="b", began=STAMP.at, why="", alarm=alarm)
            disk.begin_epoch(epoch.id, "b")
            disk.append(alarm)
        case "prune":
            store.prune(LATER, value)
            disk.prune(LATER, value)
        case _:
            store._drop()
            disk.crash()
            return Store(path, presize=False)
    return store


def test_read_is_what_the_journal_gives(tmp_path: Path) -> None:
    """Reading after a seq gives the hash before and the lines behind."""
    disk = Disk()
    with closing(Store(tmp_path / "journal.db", presize=False)) as store:
        rests = [body(Kind.TEST, STAMP, {"n": n}) for n in range(5)]
        store.commit(rests)
        for rest in rests:
            disk.append(rest)
        assert disk.read(2, 2) == (store._hash_at(2), disk.lines[2:4])
        assert disk.read(9, 2) is None
