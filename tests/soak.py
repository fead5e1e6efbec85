"""Five gates, a broker and a center under everything that can happen to them, for hours: `make soak HOURS=8`.

People come to every post all the time. Every few seconds the seed chooses what happens next: links cut, stalled or half
dead; kill -9 of a gate, the center, the broker, with or without its memory; the center's database put back to a backup;
a gate's state folder put back to an image. Every few minutes all is left alone until the center holds every journal,
hash for hash; that is checked, and said.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Final

from tests.community import Community, journal_hashes
from tests.gatepost import Gatepost
from tests.proxy import Proxy

GATES: Final = ("north", "south", "east", "west", "market")
PAUSE_S: Final = (0.5, 6.0)
ROUND_S: Final = 120.0
COME_S: Final = 0.05
_HOUR_S: Final = 3600.0

Say = Callable[[str], None]


class Soak:
    """One run on a community whose center and gates are running. `told` counts what has happened."""

    def __init__(self, community: Community, proxy: Proxy, seed: int, say: Say) -> None:
        self.told: Counter[str] = Counter()
        self._community = community
        self._proxy = proxy
        self._rand = random.Random(seed)
        self._say = say
        self._backup = community.folder / "backup.db"
        self._images: dict[str, Path] = {}

    async def run(self, seconds: float, round_s: float = ROUND_S) -> None:
        """Go on for that long; raises AssertionError where something is lost, doubled or altered."""
        end = time.monotonic() + seconds
        for number in count(1):
            left = end - time.monotonic()
            if left <= 0:
                return
            await self._round(min(round_s, left))
            held = sum(len(self._community.held(name)) for name in GATES)
            happened = ", ".join(f"{what} {times}" for what, times in sorted(self.told.items()))
            self._say(f"round {number}: {held:,} events at the center, every journal among them; so far {happened}")

    async def _round(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        coming = [asyncio.create_task(self._come(post)) for post in self._community.posts.values()]
        try:
            while time.monotonic() < end:
                await asyncio.sleep(self._rand.uniform(*PAUSE_S))
                what, do = self._rand.choice(self._faults())
                self.told[what] += 1
                await do()
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
        self._proxy.reopen()
        for post in self._community.posts.values():
            # The newest answer may be from before a backup was put back: one more event and all is said.
            post.walk_in("0AFFFFFFFF")
        await self._community.agreed()
        self._verify()

    def _faults(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("link cut", self._cut),
            ("link stalled", self._stall),
            ("link half dead", self._halve),
            ("gate killed", self._kill_gate),
            ("center killed", self._kill_center),
            ("broker killed", self._kill_broker),
            ("broker emptied", self._empty_broker),
            ("backup put back", self._put_back),
            ("image put back", self._image),
        ]

    async def _come(self, post: Gatepost) -> None:
        number = self._rand.randrange(1 << 24)
        while True:
            number += 1
            post.walk_in(f"0A{number % (1 << 32):08X}")
            await asyncio.sleep(COME_S)

    async def _cut(self) -> None:
        self._proxy.close()
        await asyncio.sleep(self._rand.uniform(0, 3))
        self._proxy.reopen()

    async def _stall(self) -> None:
        self._proxy.stall()
        await asyncio.sleep(self._rand.uniform(0, 5))
        self._proxy.reopen()

    async def _halve(self) -> None:
        self._proxy.halve()
        await asyncio.sleep(self._rand.uniform(0, 5))
        self._proxy.reopen()

    def _any(self) -> tuple[str, Gatepost]:
        return self._rand.choice(sorted(self._community.posts.items()))

    async def _kill_gate(self) -> None:
        _, post = self._any()
        await post.kill()
        await post.start(ready=False)

    async def _kill_center(self) -> None:
        await self._community.kill_center()
        await asyncio.sleep(self._rand.uniform(0, 3))
        await self._community.start_center()

    async def _kill_broker(self) -> None:
        await asyncio.to_thread(self._broker_again, forget=False)

    async def _empty_broker(self) -> None:
        await asyncio.to_thread(self._broker_again, forget=True)

    def _broker_again(self, *, forget: bool) -> None:
        self._community.broker.kill()
        if forget:
            self._community.broker.forget()
        self._community.broker.start()

    async def _put_back(self) -> None:
        """A backup of the center's database, or the one taken before put in its place."""
        database = self._community.database_file
        await self._community.kill_center()
        if self._backup.exists() and self._rand.random() < 0.5:
            for left in database.parent.glob(database.name + "*"):
                left.unlink()
            shutil.copy(self._backup, database)
        else:
            self._community.copy_database(self._backup)
        await self._community.start_center()

    async def _image(self) -> None:
        """A copy of a gate's state folder, or the one taken before put in its place."""
        name, post = self._any()
        await post.kill()
        image = self._images.get(name)
        if image is not None and self._rand.random() < 0.5:
            shutil.rmtree(post.state)
            shutil.copytree(image, post.state)
        else:
            image = self._images[name] = self._community.folder / f"{name}.image"
            shutil.rmtree(image, ignore_errors=True)
            shutil.copytree(post.state, image, ignore=shutil.ignore_patterns("*.sock"))
        await post.start(ready=False)

    def _verify(self) -> None:
        for name, post in self._community.posts.items():
            problems = post.verify().problems
            assert not problems, f"{name}: {problems[0]}"
            held = self._community.held(name)
            assert len(held) == len(set(held)), f"{name}: something is there twice"
            assert set(journal_hashes(post.journal)) <= set(held), f"{name}: something is missing"


async def soak(folder: Path, seconds: float, seed: int, say: Say, round_s: float = ROUND_S) -> Counter[str]:
    """What has happened in that time. Raises AssertionError where something does not fit."""
    async with Community(folder, names=()) as community, Proxy(community.broker.port, random.Random(seed)) as proxy:
        community.port_for_gates = proxy.port
        for name in GATES:
            await community.add(name)
        await community.start_center()
        for post in community.posts.values():
            await post.start()
        await community.agreed()
        run = Soak(community, proxy, seed, say)
        await run.run(seconds, round_s)
        return run.told


def main() -> int:
    """The exit status: 1 if something did not fit."""
    parser = argparse.ArgumentParser(description="A whole community under faults for hours; nothing may be lost.")
    parser.add_argument("--hours", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (default: a new one)")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if args.seed is None else args.seed

    def say(text: str) -> None:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        sys.stdout.flush()

    say(f"seed {seed}, {args.hours:g} h")
    with tempfile.TemporaryDirectory(prefix="gated-soak-") as folder:
        try:
            asyncio.run(soak(Path(folder), args.hours * _HOUR_S, seed, say))
        except AssertionError as error:
            say(f"does not fit: {error}")
            return 1
    say("nothing lost, nothing doubled, nothing altered")
    return 0


if __name__ == "__main__":
    sys.exit(main())
