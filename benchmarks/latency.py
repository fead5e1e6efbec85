"""From the last byte of a tag to the relay's command, through the real daemon.

    python -m benchmarks.latency [--rhythm SECONDS] [--count N]

The daemon runs as a process of its own, its reader and its relay are ptys held here. In turn, a raw append of 256
bytes with fdatasync is timed on the same disk: what is given is the ratio of the two, within one run.
"""

import argparse
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gated.lists import listload

RAW_BYTES: Final = 256
START_S: Final = 10.0
ON: Final = bytes.fromhex("a00101a2")
CONFIG: Final = """
site = "bench"
gate = "bench"
state = "{folder}"
timezone = "Asia/Shanghai"
[schedules]
workdays = ["Mon-Fri 06:00-22:00"]
[lanes.walk-in]
kind = "person"
direction = "in"
repeat = 1.0
readers = [ {{ driver = "em4100", port = "{reader}", framing = "id20" }} {more} ]
barrier = {{ driver = "lcus", port = "{relay}", channel = 1, pulse = 0.1 }}
"""


@dataclass(slots=True)
class Line:
    """A pty: `port` is what the daemon opens, `fd` is our end."""

    port: str
    fd: int


@dataclass(slots=True)
class Bench:
    """A running daemon with a reader and a relay."""

    folder: Path
    reader: Line
    relay: Line
    tags: list[str]
    used: int = 0

    def pass_one(self) -> float:
        """Seconds from the last byte of a fresh tag to the relay's command."""
        tag = self.tags[self.used]
        self.used += 1
        frame = id20(tag)
        os.write(self.reader.fd, frame[:-1])
        start = time.perf_counter()
        os.write(self.reader.fd, frame[-1:])
        await_on(self.relay.fd)
        return time.perf_counter() - start


def main(words: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="last byte of a tag → relay command, over a raw append + fdatasync")
    parser.add_argument("--rhythm", type=float, default=0.0, help="seconds between tags; 0 is back to back")
    parser.add_argument("--count", type=int, default=2000)
    args = parser.parse_args(words)
    gate, raw = measure(args.count, args.rhythm)
    for share in (0.5, 0.99):
        one, other = percentile(gate, share), percentile(raw, share)
        print(f"p{share * 100:<4.0f} gate {one * 1e3:.3f} ms  raw {other * 1e3:.3f} ms  ratio {one / other:.2f}")


def measure(count: int, rhythm: float, folder: Path | None = None) -> tuple[list[float], list[float]]:
    """Seconds of `count` passages, and of as many raw appends taken in turn."""
    gate, raw = [], []
    with running(count + 10, folder) as bench:
        handle = os.open(bench.folder / "raw", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for _ in range(10):
            bench.pass_one()
        for _ in range(count):
            raw.append(append(handle))
            time.sleep(rhythm / 2)
            gate.append(bench.pass_one())
            time.sleep(rhythm / 2)
        os.close(handle)
    return gate, raw


@contextmanager
def running(tags: int, folder: Path | None = None, more: str = "") -> Iterator[Bench]:
    """A daemon that knows this many tags, ready to read."""
    with tempfile.TemporaryDirectory(prefix="latency-", dir=folder) as name:
        state = Path(name)
        known = [f"{number * 2654435761 % (1 << 40):010X}" for number in range(1, tags + 1)]
        source = state / "list.jsonl"
        source.write_text("".join(json.dumps({"c": f"em:{tag}", "h": "h"}) + "\n" for tag in known))
        listload.load(state, source, lambda *_: None, "2026-11-24T08:00:00Z")
        reader, relay = line(), line()
        config = state / "gated.toml"
        config.write_text(CONFIG.format(folder=state, reader=reader.port, relay=relay.port, more=more))
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environ["MALLOC_ARENA_MAX"] = "2"
        command = [sys.executable, "-m", "gated", "run", "-c", str(config)]
        with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as daemon:
            try:
                read_some(relay.fd)  # the relay is put off at connect: the daemon is up
                while select.select([relay.fd], [], [], 0.2)[0]:
                    read_some(relay.fd)
                yield Bench(state, reader, relay, known)
            finally:
                daemon.terminate()
        for end in (reader.fd, relay.fd):
            os.close(end)


def line() -> Line:
    """A new pty, raw."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs, termios.TCSANOW)
    return Line(os.ttyname(theirs), ours)


def id20(tag: str) -> bytes:
    """A tag as an ID-20 sends it (tests/vectors/em4100.json)."""
    check = 0
    for byte in bytes.fromhex(tag):
        check ^= byte
    return b"\x02" + tag.encode() + f"{check:02X}".encode() + b"\r\n\x03"


def append(handle: int) -> float:
    """Seconds of one raw append with fdatasync."""
    start = time.perf_counter()
    os.write(handle, b"x" * RAW_BYTES)
    os.fdatasync(handle)
    return time.perf_counter() - start


def await_on(fd: int) -> None:
    """Return when the relay has been told to close channel 1."""
    data = b""
    while ON not in data:
        data += read_some(fd)


def read_some(fd: int) -> bytes:
    """What the daemon has written."""
    if not select.select([fd], [], [], START_S)[0]:
        raise TimeoutError("the daemon has not moved the relay")
    return os.read(fd, 4096)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    main(sys.argv[1:])
