"""Eight readers of eight families on one gate: from tag to relay by family, and what they cost while nobody comes.

    python -m benchmarks.families [--rounds N] [--seconds N]

The daemon is the real one. Each reader is emulated in a process of its own, so that its processor time is not the
gate's. The families come in turn, each round with a raw append of 256 bytes with fdatasync before each.

- `waited`: from the tag's coming before the reader to the first frame that bears it. What is asked answers when it is
  asked; m100 and llrp speak unasked, in rounds of the emulation's own.
- `took`: from that frame to the relay's command, with all that a family still has to ask (rsu, nfc).
"""

import argparse
import asyncio
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import IO, Final

from benchmarks import box
from benchmarks.idle import SETTLE_S, cpu_seconds, resident
from benchmarks.latency import START_S, Line, append, line, percentile, read_some
from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import PtyHost, TcpHost
from gated import control
from gated.demo.day import Form, Person
from gated.demo.families import FAMILIES, EmulatedReader
from gated.lists import listload
from protocol.em4100 import Framing

ROUNDS: Final = 200
WARM_UP: Final = 3
IDLE_S: Final = 60.0
PULSE_S: Final = 0.1
SOMEBODY: Final = Person("h", "0A00A1B2C3", "E28011700000020F00000001")
_POLL_S: Final = 0.05
_EM4100: Final = "em4100"
_ONE_FRAME: Final = ', framing = "id20" }'
_UNASKED: Final = (_EM4100, "wiegand", "rsu", "osdp")
"""Of these the next frame after a tag's coming bears it: they speak by themselves, or have no other answer."""
_LANE: Final = """
[lanes.{name}]
kind = "person"
direction = "in"
repeat = 1.0
readers = [ {reader} ]
barrier = {{ driver = "lcus", port = "{relay}", channel = {channel}, pulse = {pulse} }}
"""


@dataclass(slots=True)
class Passages:
    """Of one family, seconds: see above; `raw` are the appends before each."""

    waited: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a daemon takes while nobody comes: its share of one core, and bytes."""

    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Reader:
    """An emulated reader in its process."""

    orders: IO[bytes]
    words: IO[bytes]
    config: str

    def order(self, *words: str) -> None:
        """Tell it something."""
        self.orders.write(" ".join(words).encode() + b"\n")
        self.orders.flush()


@dataclass(frozen=True, slots=True)
class Gate:
    """A running daemon, a lane for each family."""

    daemon: int
    relay: Line
    readers: dict[str, Reader]

    def pass_one(self, name: str, person: Person) -> tuple[float, float]:
        """Let somebody come before this family's reader: for how long they waited, and how long it took, seconds."""
        channel = [*self.readers].index(name) + 1
        on = bytes([0xA0, channel, 1, 0xA1 + channel])
        reader = self.readers[name]
        reader.order("come", person.card, person.tag)
        data = b""
        while on not in data:
            data += read_some(self.relay.fd)
        opened = time.monotonic()
        came, told = map(float, reader.words.readline().split())
        reader.order("go")
        return told - came, opened - told


def main(words: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="eight families of readers on one gate")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=IDLE_S)
    args = parser.parse_args(words)
    for name, found in latency(args.rounds).items():
        times = " ".join(f"{percentile(found.took, share) * 1e3:7.2f}" for share in (0.5, 0.99))
        raw, waited = percentile(found.raw, 0.5) * 1e3, percentile(found.waited, 0.5) * 1e3
        print(f"{name:<8} took p50, p99 {times} ms  raw p50 {raw:.2f} ms  waited p50 {waited:.1f} ms")
    for name, cost in idle(args.seconds).items():
        print(f"{name:<8} {cost.cpu * 100:5.2f} % of a core  {cost.memory / 1e6:.1f} MB")


def latency(rounds: int, folder: Path | None = None) -> dict[str, Passages]:
    """So many passages of each family, in turn."""
    found = {name: Passages() for name in FAMILIES}
    # Somebody else each time: whom two lanes hear passes at one of them.
    people = [
        Person("h", f"0A{mixed:08X}", f"E28011700000{mixed:012X}")
        for mixed in (number * 2654435761 % (1 << 32) for number in range(1, 1 + (rounds + WARM_UP) * len(found)))
    ]
    with tempfile.TemporaryDirectory(prefix="families-", dir=folder) as name, gate([*found], Path(name), people) as one:
        handle = os.open(Path(name) / "raw", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for number, (person, family) in enumerate(zip(people, cycle(found), strict=False)):
            raw = append(handle)
            waited, took = one.pass_one(family, person)
            if number >= WARM_UP * len(found):
                found[family].raw.append(raw)
                found[family].waited.append(waited)
                found[family].took.append(took)
        os.close(handle)
    return found


def idle(seconds: float, folder: Path | None = None) -> dict[str, Cost]:
    """What the gate with all eight takes, as `all`; then, at once, eight gates with one family each, by name."""
    every = list(FAMILIES)
    (together,) = _idle([every], seconds, folder)
    alone = _idle([[name] for name in every], seconds, folder)
    return {"all": together, **dict(zip(every, alone, strict=True))}


def _idle(posts: Sequence[Sequence[str]], seconds: float, folder: Path | None) -> list[Cost]:
    with ExitStack() as stack:
        gates = []
        for names in posts:
            own = stack.enter_context(tempfile.TemporaryDirectory(prefix="families-", dir=folder))
            gates.append(stack.enter_context(gate(names, Path(own), [SOMEBODY])))
        time.sleep(SETTLE_S)
        before = [cpu_seconds(one.daemon) for one in gates]
        time.sleep(seconds)
        shares = [(cpu_seconds(one.daemon) - began) / seconds for one, began in zip(gates, before, strict=True)]
        return [Cost(share, resident(one.daemon)) for share, one in zip(shares, gates, strict=True)]


@contextmanager
def gate(names: Sequence[str], folder: Path, people: Sequence[Person]) -> Iterator[Gate]:
    """A daemon with a lane for each of these families, all of them online; it knows these people."""
    with ExitStack() as stack:
        readers = {name: stack.enter_context(_reader(name, folder)) for name in names}
        relay = line()
        stack.callback(os.close, relay.fd)
        head = f'site = "bench"\ngate = "bench"\nstate = "{folder}"\ntimezone = "Asia/Shanghai"\n'
        lanes = [
            _LANE.format(name=name, reader=reader.config, relay=relay.port, channel=channel, pulse=PULSE_S)
            for channel, (name, reader) in enumerate(readers.items(), start=1)
        ]
        config, source = folder / "gated.toml", folder / "list.jsonl"
        config.write_text(head + "".join(lanes))
        entries = [{"c": person.credential(form), "h": person.who} for person in people for form in Form]
        source.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        listload.load(folder, source, lambda *_: None, "2026-11-24T08:00:00Z")
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environ["MALLOC_ARENA_MAX"] = "2"  # as the unit has it
        command = [box.python(), "-m", "gated", "run", "-c", str(config)]
        daemon = stack.enter_context(subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL))
        stack.callback(daemon.terminate)
        _await_online(folder, 2 * len(names))
        while select.select([relay.fd], [], [], 0.2)[0]:
            read_some(relay.fd)
        yield Gate(daemon.pid, relay, readers)


def _await_online(folder: Path, count: int) -> None:
    limit = time.monotonic() + START_S
    while time.monotonic() < limit:
        try:
            devices = control.ask(folder, {"op": "status"})["devices"].values()
        except control.NotRunning:
            devices = ()
        if len(devices) == count and all(device["online"] for device in devices):
            return
        time.sleep(_POLL_S)
    raise TimeoutError("not all readers are online")


@contextmanager
def _reader(name: str, folder: Path) -> Iterator[Reader]:
    command = [sys.executable, "-m", "benchmarks.families", "--emulate", name, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None  # noqa: S101 - as it was asked for
            assert process.stdout is not None  # noqa: S101 - the same
            yield Reader(process.stdin, process.stdout, process.stdout.readline().decode().strip())
        finally:
            process.terminate()


# In the process of a reader.


class _Heard:
    """A line that prints when the tag came, and when it sends the first frame with `mark` in it, once that is set."""

    mark: bytes | None = None
    came = 0.0

    def heed(self, data: bytes) -> None:
        """Look at what is about to be sent."""
        if data and self.mark is not None and self.mark in data:
            self.mark = None
            print(self.came, time.monotonic(), flush=True)


class _Pty(_Heard, PtyHost):
    def send(self, data: bytes) -> None:
        self.heed(data)
        super().send(data)


class _Tcp(_Heard, TcpHost):
    def send(self, data: bytes) -> None:
        self.heed(data)
        super().send(data)


async def _emulate(name: str, folder: Path) -> None:
    """Be this reader until killed: `come CARD TAG` and `go` from standard input, two times a passage to output."""
    reader = EmulatedReader(folder, name, 0, FAMILIES[name], name)
    if name == _EM4100:
        reader.emulation = EmulatedEm4100(Framing.ID20)
    host = _Tcp(reader.emulation) if isinstance(reader.host, TcpHost) else _Pty(reader.emulation, folder / name)
    reader.host = host
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with host, asyncio.TaskGroup() as group:
        running = group.create_task(reader.run())
        print(reader.config.replace(" }", _ONE_FRAME) if name == _EM4100 else reader.config, flush=True)
        staying: asyncio.Task[None] | None = None
        while words := (await lines.readline()).decode().split():
            if staying is not None:
                staying.cancel()
            if words[0] == "come":
                person = Person("h", words[1], words[2])
                host.came = time.monotonic()
                shown = person.credential(reader.family.form).partition(":")[2]
                host.mark = b"" if name in _UNASKED else bytes.fromhex(shown)
                staying = group.create_task(reader.stay(person))
        running.cancel()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--emulate"]:
        asyncio.run(_emulate(sys.argv[2], Path(sys.argv[3])))
    else:
        main(sys.argv[1:])
