"""Five gates, a broker and a center under everything that can happen to them, for hours: `make soak HOURS=8`.

People come to every post all the time. Every few seconds the seed chooses what happens next: links cut, stalled or half
dead; kill -9 of a gate, the center, the broker, with or without its memory; the center's disk full; its database put
back to a backup; a gate's state folder put back to an image. Every few minutes all is left alone until the center holds
every journal, hash for hash; that is checked, and said. With `--postgres` (`make soak ARGS=--postgres`) the center has
two workers on PostgreSQL, and kill -9 of PostgreSQL takes the place of the full disk.
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
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from gated import control
from tests.community import Community, journal_hashes
from tests.gatepost import Gatepost
from tests.postgres import Postgres
from tests.proxy import Proxy

GATES: Final = ("north", "south", "east", "west", "market")
PAUSE_S: Final = (0.5, 6.0)
ROUND_FAULTS: Final = 25
ROUNDS_MIN: Final = 2
HALVED_TIMES: Final = 3
"""Half dead long enough for gates to notice by themselves, most times."""
COME_S: Final = 0.05
SHOW_S: Final = 1.0
_HOUR_S: Final = 3600.0
_BACKUP: Final = "backup"

Say = Callable[[str], None]


class Soak:
    """One run on a community whose center and gates are running. `told` counts what has happened.

    `pause_s` is how long nothing happens between two faults, and at most how long one lasts.
    """

    def __init__(
        self,
        community: Community,
        proxy: Proxy,
        seed: int,
        say: Say,
        *,
        cluster: Postgres | None = None,
        pause_s: tuple[float, float] = PAUSE_S,
    ) -> None:
        self.told: Counter[str] = Counter()
        self.last = "nothing yet"
        self._community = community
        self._proxy = proxy
        self._rand = random.Random(seed)
        self._say = say
        self._cluster = cluster
        self._pause_s = pause_s
        self._backed_up = False
        self._images: dict[str, Path] = {}

    async def run(self, seconds: float, faults: int = ROUND_FAULTS) -> None:
        """Go on for that long, two rounds at least; raises AssertionError where something is lost, doubled or altered.

        A round has that many faults.
        """
        end = time.monotonic() + seconds
        for number in count(1):
            if number > ROUNDS_MIN and time.monotonic() > end:
                return
            await self._round(faults)
            held = sum(len(self._community.held(name)) for name in GATES)
            happened = ", ".join(f"{what} {times}" for what, times in sorted(self.told.items()))
            self._say(f"round {number}: {held:,} events at the center, every journal among them; so far {happened}")

    async def _round(self, faults: int) -> None:
        async with self._community.traffic(COME_S):
            for _ in range(faults):
                await asyncio.sleep(self._rand.uniform(*self._pause_s))
                self.last, do = self._rand.choice(self._faults())
                self.told[self.last] += 1
                ended = [worker.returncode for worker in self._community.centers if worker.returncode is not None]
                assert not ended, f"a worker of the center has ended by itself\n{self._community.last_words()}"
                await do()
        self.last = "left alone until all is told"
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
            ("disk full", self._fill) if self._cluster is None else ("database killed", self._kill_database),
        ]

    async def show(self, live: Say) -> None:
        """Say each moment how things are, until cancelled."""
        for second in count():
            untold = ", ".join([f"{name} {await _untold(post)}" for name, post in self._community.posts.items()])
            live(f"{second // 60}:{second % 60:02} {self.told.total()} faults, now: {self.last}. Untold: {untold}")
            await asyncio.sleep(SHOW_S)

    async def _a_while(self) -> None:
        await asyncio.sleep(self._rand.uniform(0, self._pause_s[1]))

    async def _cut(self) -> None:
        self._proxy.close()
        await self._a_while()
        self._proxy.reopen()

    async def _stall(self) -> None:
        self._proxy.stall()
        await self._a_while()
        self._proxy.reopen()

    async def _halve(self) -> None:
        self._proxy.halve()
        await asyncio.sleep(self._rand.uniform(0, HALVED_TIMES * self._pause_s[1]))
        self._proxy.reopen()

    async def _fill(self) -> None:
        self._community.limit_files()
        await self._a_while()
        self._community.unlimit_files()

    async def _kill_database(self) -> None:
        assert self._cluster is not None
        await asyncio.to_thread(self._cluster.kill)
        await self._a_while()
        await asyncio.to_thread(self._cluster.start)

    def _any(self) -> tuple[str, Gatepost]:
        return self._rand.choice(sorted(self._community.posts.items()))

    async def _kill_gate(self) -> None:
        _, post = self._any()
        await post.kill()
        await post.start(ready=False)

    async def _kill_center(self) -> None:
        """One of its workers, which may be its only one."""
        await self._community.kill_worker()
        await self._a_while()
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
        workers = len(self._community.centers)
        await self._community.kill_center()
        back = self._backed_up and self._rand.random() < 0.5
        self._backed_up = True
        await asyncio.to_thread(self._copy_file if self._cluster is None else self._copy_in_cluster, back=back)
        for _ in range(workers):
            await self._community.start_center()

    def _copy_file(self, *, back: bool) -> None:
        database, backup = self._community.database_file, self._community.folder / _BACKUP
        if not back:
            self._community.copy_database(backup)
            return
        for left in database.parent.glob(database.name + "*"):
            left.unlink()
        shutil.copy(backup, database)

    def _copy_in_cluster(self, *, back: bool) -> None:
        name = make_url(self._community.database).database
        assert self._cluster is not None
        assert name is not None
        self._cluster.copy_database(*((_BACKUP, name) if back else (name, _BACKUP)))

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


async def _untold(post: Gatepost) -> str:
    try:
        return str((await post.status())["center"]["backlog"])
    except control.NotRunning:
        return "down"


async def soak(
    folder: Path,
    seconds: float,
    seed: int,
    say: Say,
    *,
    cluster: Postgres | None = None,
    live: Say | None = None,
    faults: int = ROUND_FAULTS,
    pause_s: tuple[float, float] = PAUSE_S,
) -> Counter[str]:
    """What has happened in that time. Raises AssertionError where something does not fit."""
    database = None if cluster is None else cluster.new_database()
    async with (
        Community(folder, (), database, workers=cluster is not None) as community,
        Proxy(community.broker.port, random.Random(seed)) as proxy,
    ):
        community.port_for_gates = proxy.port
        for name in GATES:
            await community.add(name)
        for _ in range(1 if cluster is None else 2):
            await community.start_center()
        await community.start_gates()
        await community.agreed()
        run = Soak(community, proxy, seed, say, cluster=cluster, pause_s=pause_s)
        showing = asyncio.create_task(run.show(live)) if live is not None else None
        try:
            await run.run(seconds, faults)
        finally:
            if showing is not None:
                showing.cancel()
                with suppress(asyncio.CancelledError):
                    await showing
        return run.told


def main() -> int:
    """The exit status: 1 if something did not fit."""
    parser = argparse.ArgumentParser(description="A whole community under faults for hours; nothing may be lost.")
    parser.add_argument("--hours", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (default: a new one)")
    parser.add_argument("--postgres", action="store_true", help="with the center on a PostgreSQL of its own")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if args.seed is None else args.seed

    on_terminal = sys.stdout.isatty()

    def write(text: str) -> None:
        sys.stdout.write(f"\r\x1b[K{text}" if on_terminal else text)
        sys.stdout.flush()

    def say(text: str) -> None:
        write(f"{time.strftime('%H:%M:%S')} {text}\n")

    def live(text: str) -> None:
        write(text[: shutil.get_terminal_size().columns - 1])

    say(f"seed {seed}, {args.hours:g} h")
    with tempfile.TemporaryDirectory(prefix="gated-soak-") as folder, ExitStack() as stack:
        cluster = stack.enter_context(Postgres()) if args.postgres else None
        seconds, shown = args.hours * _HOUR_S, live if on_terminal else None
        try:
            asyncio.run(soak(Path(folder), seconds, seed, say, cluster=cluster, live=shown))
        except AssertionError as error:
            say(f"does not fit: {error}")
            return 1
    say("nothing lost, nothing doubled, nothing altered")
    return 0


if __name__ == "__main__":
    sys.exit(main())
