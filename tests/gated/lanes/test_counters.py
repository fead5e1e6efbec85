"""The counters of chips: no tap is taken twice, also after a kill, and what cannot be written says no."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.lanes.counters import FILE_NAME, Counters, CountersError

UID = b"\x04" + bytes(6)
OTHER = b"\x05" + bytes(6)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([UID, OTHER]), st.integers(0, 5), st.booleans()), max_size=12))
def test_a_counter_never_goes_back(
    tmp_path_factory: pytest.TempPathFactory, taps: list[tuple[bytes, int, bool]]
) -> None:
    """Taken is only what is higher than all before, whether or not the daemon was started anew in between."""
    folder = tmp_path_factory.mktemp("state")
    counters, highest = Counters(folder), dict.fromkeys((UID, OTHER), -1)
    for uid, counter, again in taps:
        assert counters.advance(uid, counter) is (counter > highest[uid])
        highest[uid] = max(counter, highest[uid])
        if again:
            counters = Counters(folder)


def test_killed(tmp_path: Path) -> None:
    """What was said to be taken is refused after kill -9."""
    worker = [sys.executable, "-m", "tests.gated.counting", str(tmp_path)]
    for _ in range(3):
        with subprocess.Popen(worker, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            for _ in range(5):
                process.stdout.readline()
            process.kill()
            said = [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        last = max([*said, first + 5])
        counters = Counters(tmp_path)
        assert not counters.advance(UID, last)
        assert counters.advance(UID, last + 2)


def test_asked_by_several_threads(tmp_path: Path) -> None:
    """Of many who show the same tap at once, one is let in."""
    counters, interval = Counters(tmp_path), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for counter in range(20):
                taken = pool.map(lambda _, counter=counter: counters.advance(UID, counter), range(8))
                assert sum(taken) == 1
    finally:
        sys.setswitchinterval(interval)


def test_on_disk_when_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to the system's own time: a power cut finds what was said."""
    said: list[str] = []
    connect = sqlite3.connect

    def listened(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*args, **kwargs)
        db.set_trace_callback(said.append)
        return db

    monkeypatch.setattr(sqlite3, "connect", listened)
    assert Counters(tmp_path).advance(UID, 1)
    assert said.index("PRAGMA synchronous = FULL") < next(n for n, one in enumerate(said) if one.startswith("INSERT"))
    assert [path.name for path in tmp_path.iterdir() if path.stat().st_size] == [FILE_NAME]


def test_bounded(tmp_path: Path) -> None:
    """Beyond its bound a new chip is refused in words; those that are known go on."""
    counters = Counters(tmp_path, chips_max=1)
    assert counters.advance(UID, 1)
    with pytest.raises(CountersError, match="takes no more"):
        counters.advance(OTHER, 1)
    assert counters.advance(UID, 2)
    assert not counters.advance(UID, 2)


def test_damaged(tmp_path: Path) -> None:
    """A file that is none says no and stays as it is; once it is there again, all goes on."""
    path = tmp_path / FILE_NAME
    path.write_bytes(b"no database " * 1000)
    counters = Counters(tmp_path)
    for _ in range(2):
        with pytest.raises(CountersError, match="cannot be used"):
            counters.advance(UID, 1)
    assert path.read_bytes() == b"no database " * 1000
    path.unlink()
    assert counters.advance(UID, 1)
