"""What loading a list costs a journal beside it, and what looking up in it costs.

    python -m benchmarks.list_load [LINES] [FOLDER]

A journal-like writer (WAL, FULL, one row each 5 ms, as a lane would) runs alone and then beside the load, which is a
process of its own. FOLDER must lie on the disk that is to be judged. The figures of commits are milliseconds.
"""

import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path

from benchmarks.latency import percentile
from gated.lists.listload import load, step_back
from gated.lists.whitelist import Whitelist
from protocol.credential import Credential

ALONE_S = 12.0
EVERY_S = 0.005
LOOKUPS = 100_000
COLD = 2_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def credential(number: int) -> Credential:
    """The credential of a line: spread over the key space, as real tags are."""
    return Credential(f"epc:{number * 0x9E3779B97F4A7C15F39CC061 % (1 << 96):024X}")


def make(path: Path, count: int) -> None:
    """A list sorted as published ones are, every tenth entry with dates and hours."""
    more = ',"from":"2026-01-01T00:00:00Z","until":"2027-01-01T00:00:00Z","when":"workdays"'
    numbers = sorted(range(count), key=credential)
    with path.open("w") as file:
        file.writelines(f'{{"c":"{credential(n)}","h":"h{n:09d}"{"" if n % 10 else more}}}\n' for n in numbers)


def commits(folder: Path, going: Callable[[], bool]) -> list[float]:
    """Seconds of each commit while `going`."""
    db = sqlite3.connect(folder / "journal.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, line BLOB)")
    took = []
    while going():
        start = time.perf_counter()
        db.execute("INSERT INTO event (line) VALUES (zeroblob(256))")
        took.append(time.perf_counter() - start)
        time.sleep(EVERY_S)
    db.close()
    return took


def row(name: str, values: list[float], unit_s: float) -> None:
    """One line of the table."""
    figures = [percentile(values, share) / unit_s for share in (0.5, 0.99, 1.0)]
    print(f"{name:34} {len(values):8,}  p50 {figures[0]:7.2f}  p99 {figures[1]:7.2f}  max {figures[2]:8.2f}")


def lookups(folder: Path, count: int) -> None:
    """Print what looking up in the list of a folder takes, before and after its file is in the page cache."""
    asked = _asked(count)
    held = Whitelist(folder)
    row("lookup just after the load, µs", list(timed(held, asked[:COLD])), 1e-6)
    held.close()
    times, memory = _cached(folder, asked[COLD:])
    row("lookup in the page cache, µs", times, 1e-6)
    print(f"{'memory of the held list':34} {memory / 1e6:.1f} MB")


def lookups_among(count: int, where: Path | None = None) -> tuple[list[float], int]:
    """Seconds of lookups among `count` entries in the page cache, and the bytes that holding the list adds."""
    with tempfile.TemporaryDirectory(prefix="lookup-", dir=where) as name:
        make(Path(name) / "source.jsonl", count)
        subprocess.run(_child(Path(name), Path(name) / "source.jsonl"), stdout=subprocess.DEVNULL, check=True)
        return _cached(Path(name), _asked(count))


def _asked(count: int) -> list[Credential]:
    """What is looked up among `count` entries: nine tenths of it is there."""
    chooser = random.Random(1)
    return [credential(int(chooser.randrange(count) * 10 / 9)) for _ in range(LOOKUPS)]


def _cached(folder: Path, asked: list[Credential]) -> tuple[list[float], int]:
    """Seconds of each lookup once the file is in the page cache, which direct writes go past; bytes that it adds."""
    for path in folder.glob("list-*.db"):
        path.read_bytes()
    before = resident()
    held = Whitelist(folder)
    took = timed(held, asked)
    memory = resident() - before - took.itemsize * len(took)
    held.close()
    return list(took), memory


def _child(folder: Path, source: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.list_load", "--child", str(folder), str(source)]


def timed(held: Whitelist, asked: list[Credential]) -> "array[float]":
    """Seconds of each lookup."""
    took = array("d", bytes(8 * len(asked)))
    for index, one in enumerate(asked):
        start = time.perf_counter()
        held.entry(one)
        took[index] = time.perf_counter() - start
    return took


def resident() -> int:
    """Bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def child(folder: Path, source: Path) -> None:
    """The load as the command line does it; prints its seconds and its peak memory."""
    step_back()
    start = time.perf_counter()
    load(folder, source, lambda *_: None, "2026-11-24T08:00:00Z")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak}))


def main(count: int, where: Path | None) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="list-load-", dir=where))
    try:
        source = folder / "source.jsonl"
        make(source, count)
        os.sync()  # else its own write-back falls into the measurement
        until = time.monotonic() + ALONE_S
        alone = commits(folder, lambda: time.monotonic() < until)
        with subprocess.Popen(_child(folder, source), stdout=subprocess.PIPE) as loader:
            beside = commits(folder, lambda: loader.poll() is None)
            figures = json.loads(loader.communicate()[0])
        print(f"{count:,} lines loaded in {figures['seconds']:.1f} s, peak {figures['peak'] / 1e6:.0f} MB")
        row("commits alone, ms", alone, 1e-3)
        row("commits beside the load, ms", beside, 1e-3)
        print(f"{'p99 beside / alone':34} {percentile(beside, 0.99) / percentile(alone, 0.99):.2f}")
        lookups(folder, count)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000, Path(sys.argv[2]) if sys.argv[2:] else None)
