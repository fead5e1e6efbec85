"""What a passage takes while something else goes on: garbage on another reader, a list of a million lines loading.

    python -m benchmarks.beside

Both are ratios within one run, of the real daemon: with the other thing going on over without, taken in turn.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.latency import Bench, line, percentile, running
from benchmarks.list_load import make

GARBAGE_BYTES_A_SECOND: Final = 1_000_000
GARBAGE_CHUNK: Final = 10_000
COUNT: Final = 400
LINES: Final = 1_000_000
RHYTHM_S: Final = 0.01
LOADING_MAX: Final = 20_000


def main(_: list[str]) -> None:
    """Measure and print."""
    alone, beside = garbage()
    print(f"beside garbage: p50 {_ratio(alone, beside, 0.5):.2f}  p99 {_ratio(alone, beside, 0.99):.2f} times")
    alone, beside, seconds = loading()
    print(f"beside a load of {LINES:,} lines ({seconds:.1f} s): p50 {_ratio(alone, beside, 0.5):.2f}", end="  ")
    print(f"p99 {_ratio(alone, beside, 0.99):.2f} times, longest {max(beside) * 1e3:.1f} ms")


def garbage(folder: Path | None = None) -> tuple[list[float], list[float]]:
    """Seconds of passages alone, and with 1 MB/s of garbage on another reader of the lane."""
    noise = line()
    more = f', {{ driver = "em4100", port = "{noise.port}" }}'
    alone: list[float] = []
    beside: list[float] = []
    with running(2 * COUNT + 10, folder, more) as bench:
        for number in range(8):
            times = beside if number % 2 else alone
            with _pouring(noise.fd if number % 2 else None):
                for _ in range(COUNT // 4):
                    _pass(bench, times)
    os.close(noise.fd)
    return alone, beside


def loading(folder: Path | None = None) -> tuple[list[float], list[float], float]:
    """Seconds of passages alone, and while a list loads; how long the load took."""
    with tempfile.TemporaryDirectory(prefix="beside-", dir=folder) as name, running(LOADING_MAX, folder) as bench:
        source = Path(name) / "million.jsonl"
        make(source, LINES - LOADING_MAX)
        known = "".join(f'{{"c":"em:{tag}","h":"h"}}\n' for tag in bench.tags)
        source.write_text(known + source.read_text())
        os.sync()  # else its own write-back falls into the measurement
        alone: list[float] = []
        beside: list[float] = []
        while len(alone) < 4 * COUNT:
            _pass(bench, alone)
        command = [sys.executable, "-m", "gated", "list", "load", "--shrink", "-c", str(bench.folder / "gated.toml")]
        start = time.perf_counter()
        command.append(str(source))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as loader:
            while loader.poll() is None and bench.used < LOADING_MAX - 1:
                _pass(bench, beside)
        if loader.returncode:
            raise RuntimeError("the list was not loaded")
        return alone, beside, time.perf_counter() - start


def _pass(bench: Bench, times: list[float]) -> None:
    times.append(bench.pass_one())
    time.sleep(RHYTHM_S)


@contextmanager
def _pouring(fd: int | None) -> Iterator[None]:
    """Pour garbage into a reader's line meanwhile."""
    end = threading.Event()

    def pour(line_fd: int) -> None:
        while not end.wait(GARBAGE_CHUNK / GARBAGE_BYTES_A_SECOND):
            os.write(line_fd, os.urandom(GARBAGE_CHUNK))

    thread = threading.Thread(target=pour, args=(fd,), daemon=True) if fd is not None else None
    if thread is not None:
        thread.start()
    yield
    end.set()
    if thread is not None:
        thread.join()


def _ratio(alone: list[float], beside: list[float], share: float) -> float:
    return percentile(beside, share) / percentile(alone, share)


if __name__ == "__main__":
    main(sys.argv[1:])
