"""How soon a flash is in force: one entry more at 5 gates and at 200, a list of a million, and one entry more of that.

    python -m benchmarks.flashing [gates|many|million]

Gates are the real daemons, the broker is mosquitto. The 200 are simulated clients in one process: the real machine
that takes flashes, over real connections, with a building process that believes everything, since 200 real ones would
measure only how long two cores take to start them.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiomqtt

from benchmarks.idle import resident
from gated.lanes.decide import Now
from gated.lists.flash import Flash
from gated.lists.flash_acts import Act, Build, Built, Check, Checked, KeepMessage, Need, Publish, Subscribe, Unsubscribe
from protocol import topics
from protocol.event import ClockQuality
from protocol.repository import WHITELIST, decode, delta_name
from protocol.topics import BlobAddress
from tests.broker import Mosquitto
from tests.community import SITE, Community
from tests.signers import Center, line
from tests.taught import LI, Publisher, taught

GATES: Final = ("north", "south", "east", "west", "market")
ENTRIES: Final = 20_000
MANY: Final = 200
MILLION: Final = 1_000_000
_WAIT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Million:
    """Seconds from publishing to being in force, and the highest memory of daemon and building process, bytes.

    `one_more_s` is for one entry more, once the list is in force.
    """

    seconds: float
    memory: int
    one_more_s: float


def main(words: list[str]) -> None:
    """Measure and print."""
    which = words or ["gates", "many", "million"]
    if "gates" in which:
        print(f"one entry, {len(GATES)} gates: {asyncio.run(gates()):.2f} s")
    if "many" in which:
        print(f"one entry, {MANY} simulated gates: {asyncio.run(many()):.2f} s")
    if "million" in which:
        found = asyncio.run(million())
        print(
            f"{MILLION:,} entries: {found.seconds:.1f} s, {found.memory / 1e6:.0f} MB for daemon and building process; "
            f"one more: {found.one_more_s:.2f} s"
        )


async def gates(folder: Path | None = None, entries: int = ENTRIES) -> float:
    """Seconds until one entry more is in force at every gate, once all hold the list before it."""
    with tempfile.TemporaryDirectory(prefix="flashing-", dir=folder) as name:
        async with taught(Path(name), *GATES) as (community, center, publisher):
            lines = [line(LI + number) for number in range(entries)]
            await _flash(community, center, publisher, lines)
            return await _flash(community, center, publisher, [*lines, line(LI + entries)])


async def million(folder: Path | None = None, entries: int = MILLION) -> Million:
    """A whole list of that many, at one gate, and one entry more."""
    with tempfile.TemporaryDirectory(prefix="flashing-", dir=folder) as name:
        async with taught(Path(name), "north") as (community, center, publisher):
            pid = (await community.posts["north"].status())["pid"]
            highest = [0]
            watching = asyncio.create_task(_watch(pid, highest))
            lines = [line(LI + number) for number in range(entries)]
            took = await _flash(community, center, publisher, lines)
            one_more = await _flash(community, center, publisher, [*lines, line(LI + entries)])
            watching.cancel()
            return Million(took, highest[0], one_more)


async def _flash(community: Community, center: Center, publisher: Publisher, lines: list[str]) -> float:
    center.later(seconds=1)
    await asyncio.to_thread(center.publish, lines)
    assert center.repository.whitelist is not None  # noqa: S101 - just published
    version = str(center.repository.whitelist.target.version)
    async with _versions(community.broker.port) as held:
        began = time.monotonic()
        await publisher.publish(center)
        async with asyncio.timeout(_WAIT_S):
            while [held.get(name) for name in community.posts] != [version] * len(community.posts):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        return time.monotonic() - began


@asynccontextmanager
async def _versions(port: int) -> AsyncIterator[dict[str, str]]:
    """Which list each gate says is in force, as it says so."""
    held: dict[str, str] = {}

    async def listen() -> None:
        async for message in client.messages:
            said = json.loads(bytes(message.payload))
            held[message.topic.value.split("/")[4]] = said.get("in_force", "")

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(topics.whitelist(SITE, "+"))
        task = asyncio.create_task(listen())
        try:
            yield held
        finally:
            task.cancel()


async def _watch(pid: int, highest: list[int]) -> None:
    while True:
        highest[0] = max(highest[0], _with_children(pid))
        await asyncio.sleep(0.05)


def _with_children(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(resident(int(each)) for each in (str(pid), *children))


async def many(folder: Path | None = None, count: int = MANY, entries: int = ENTRIES) -> float:
    """Seconds until that many simulated gates have taken one entry more."""
    center = Center(now=datetime.now(UTC), site=SITE)
    lines = [line(LI + number) for number in range(entries)]
    center.publish(lines)
    with tempfile.TemporaryDirectory(prefix="flashing-", dir=folder) as name, Mosquitto(Path(name) / "b") as broker:
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            publisher = Publisher(client)
            await publisher.publish(center)
            pretenders = [Pretender(f"gate-{number}", "1") for number in range(count)]
            tasks = [asyncio.create_task(each.run(broker.port)) for each in pretenders]
            await _all(pretenders, "1")
            center.later(seconds=1)
            center.publish([*lines, line(LI + entries)])
            began = time.monotonic()
            await publisher.publish(center)
            await _all(pretenders, "2")
            took = time.monotonic() - began
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=5)  # some libraries' ends wait for a broker that has better things to do
            return took


async def _all(pretenders: list["Pretender"], version: str) -> None:
    async with asyncio.timeout(_WAIT_S):
        for each in pretenders:
            while each.version != version or not each.connected:  # noqa: ASYNC110 - other tasks of the same loop
                await asyncio.sleep(0.002)


@dataclass
class Pretender:
    """A simulated gate: the real machine on a connection of its own, and a building process that believes all."""

    name: str
    version: str
    connected: bool = False
    _message: bytes = b""
    _acts: asyncio.Queue[Act] = field(default_factory=asyncio.Queue)

    async def run(self, port: int) -> None:
        """Take flashes until cancelled."""
        flash = Flash(SITE, self.name, "s", sign=lambda _, message: message, kept=None)
        async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.TaskGroup() as group:
            client.pending_calls_threshold = 1000
            group.create_task(self._work(flash, client))
            self._do(flash.connected(_now()))
            self.connected = True
            async for message in client.messages:
                address = topics.parse(message.topic.value)
                payload = bytes(message.payload)
                if isinstance(address, BlobAddress):
                    self._do(flash.piece(address.sha256, address.piece, payload, _now()))
                else:
                    self._do(flash.message(payload, _now()))

    async def _work(self, flash: Flash, client: aiomqtt.Client) -> None:
        while True:
            match await self._acts.get():
                case KeepMessage(message):
                    self._message = message
                case Check():
                    self._do(flash.checked(self._check(), _now()))
                case Build():
                    self.version = self._wanted()[0]
                    self._do(flash.built(Built(version=self.version, entries=1, switched=True), _now()))
                case Subscribe(topic):
                    await client.subscribe(topic, qos=1)
                case Unsubscribe(topic):
                    await client.unsubscribe(topic)
                case Publish(topic, payload):
                    await client.publish(topic, payload, qos=1, retain=True)
                case _:
                    pass

    def _check(self) -> Checked:
        version, targets = self._wanted()
        if version == self.version:
            return Checked(snapshot=1, vouched=time.time(), expires=time.time() + 9999, version=version)
        target = targets[delta_name(int(self.version), int(version))]
        need = Need("delta", target["hashes"]["sha256"], target["length"])
        return Checked(
            snapshot=2, vouched=time.time(), expires=time.time() + 9999, version=version, needs=(need,), build=True
        )

    def _wanted(self) -> tuple[str, dict[str, Any]]:
        files = decode(self._message)
        name = max((name for name in files if name.endswith(".targets.json")), key=lambda name: int(name.split(".")[0]))
        targets = json.loads(files[name])["signed"]["targets"]
        return str(targets[WHITELIST]["custom"]["version"]), targets

    def _do(self, acts: list[Act]) -> None:
        for act in acts:
            self._acts.put_nowait(act)


def _now() -> Now:
    wall = time.time()
    return Now(time.monotonic(), wall, wall, datetime.now(UTC), ClockQuality.SYNCED)


if __name__ == "__main__":
    main(sys.argv[1:])
