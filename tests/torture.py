"""Kills a busy daemon again and again, and looks for what must never be: `python -m tests.torture --rounds 1000`.

All four lanes have traffic the whole time: somebody stands before the antenna until the barrier has been told to open,
then the next one comes; a restart does not make them go away. A round ends with kill -9, by the seed's choice

- in the very moment in which an order to open reaches the relay board: what opened must be on disk already,
- a little later, whenever that is,
- or while the daemon is still starting.

What must hold after each kill, and at the end, when everybody still waiting has been let through:

- Each order to close a contact has an event of its own, of the same lane and the same life of the daemon, that is not
  younger: an admitted passage or an `opened`. No event opens twice.
- Who stood before an antenna has exactly one passage.
- The chain verifies: no gap, nothing altered, one epoch.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from gated.demo.post import CHANNELS
from gated.recording.journal_read import JournalUnreadable
from tests.gatepost import WAIT_S, Event, Gatepost, Order, tags

ROUNDS: Final = 1000
LISTED_A_ROUND: Final = 50
"""More people than come to one lane in one round."""
ROUNDING_S: Final = 0.001
"""An event's `mono` has three digits: it may be half of the last one younger than the event was."""
_AGAIN_S: Final = 0.065  # an EM4100 reader repeats itself that often
_LATER_S: Final = 0.3
_STARTING_S: Final = 0.25
_PREFIXES: Final = {"walk-in": "0A", "walk-out": "E280A0", "car-in": "E280B0", "car-out": "E280C0"}
_GROUP_MAX: Final = 5
_TOLD_ONCE: Final = frozenset({"passage", "opened"})

Progress = Callable[[int, int], None]


def tags_of(lane: str) -> Iterator[str]:
    """The tags that come to this lane, all different."""
    return iter(tags(_PREFIXES[lane], 10 if lane == "walk-in" else 24))


def credential(lane: str, tag: str) -> str:
    """The tag as events and the list name it."""
    return f"em:{tag}" if lane == "walk-in" else f"epc:{tag}"


def listed(rounds: int) -> list[str]:
    """Everybody who will come; walk-out needs no list."""
    lanes = ("walk-in", "car-in", "car-out")
    return [credential(lane, tag) for lane in lanes for tag in islice(tags_of(lane), LISTED_A_ROUND * (rounds + 10))]


def unexplained(orders: list[Order], events: list[Event]) -> list[str]:
    """Orders to open without an event of their own, of that lane and that life, that is not younger."""
    starts = [event["mono"] for event in events if event["kind"] == "system" and event.get("what") == "start"]
    return [
        f"{order.lane} opened at {order.at:.4f} without an event of its own before it"
        for lane in CHANNELS
        for order in _unexplained_at(
            [order for order in orders if order.lane == lane],
            [event["mono"] for event in events if opens(event) and event["lane"] == lane],
            starts,
        )
    ]


def _unexplained_at(orders: list[Order], openings: list[float], starts: list[float]) -> Iterator[Order]:
    waiting = deque((bisect_right(starts, mono), mono) for mono in openings)
    for order in orders:
        at = order.at + ROUNDING_S
        life = bisect_right(starts, at)
        while waiting and waiting[0][0] < life:
            waiting.popleft()
        if waiting and waiting[0][0] == life and waiting[0][1] <= at:
            waiting.popleft()
        else:
            yield order


def opens(event: Event) -> bool:
    """Whether this event opens a barrier."""
    return bool(event["kind"] == "opened" or (event["kind"] == "passage" and event["verdict"] == "admit"))


def twice(events: list[Event]) -> list[str]:
    """What is told more than once: a passage or an opening of the same lane, credential and moment."""
    keys = ("kind", "lane", "credential", "mono")
    told = Counter(" ".join(str(event.get(key)) for key in keys) for event in events if event["kind"] in _TOLD_ONCE)
    return [f"{what} is there {count} times" for what, count in told.items() if count > 1]


class Torture:
    """One post under traffic, killed again and again. `problems` holds what did not fit."""

    def __init__(self, post: Gatepost, seed: int) -> None:
        self.problems: list[str] = []
        self.seen: dict[str, str] = {}
        """Who has stood before an antenna until its barrier was told to open: credential to lane."""
        self._post = post
        self._rand = random.Random(seed)
        self._life = dict.fromkeys(CHANNELS, 0)
        self._ending = False
        self._events: list[Event] = []
        self._passed: set[str] = set()

    async def run(self, rounds: int, progress: Progress = lambda *_: None) -> None:
        """Kill that many times, then let all who wait through and stop."""
        async with self._traffic() as traffic:
            for done in range(rounds):
                await self._start()
                await self._until_killed()
                await self._check()
                progress(done + 1, rounds)
                if self.problems:
                    return
            await self._start()
            self._ending = True
            await self._all_through(traffic)
            if status := await self._post.stop():
                self.problems.append(f"exit status {status} at the end")
        await self._check(finished=True)

    async def _all_through(self, traffic: list[asyncio.Task[None]]) -> None:
        """Return when nobody waits any more and the daemon listens to signals."""
        await self._post.online()
        _, waiting = await asyncio.wait(traffic, timeout=WAIT_S)
        if waiting:
            lanes = (await self._post.status())["lanes"]
            self.problems += [f"{task.get_name()} lets nobody through: {lanes[task.get_name()]}" for task in waiting]
        else:
            await asyncio.gather(*traffic)

    @asynccontextmanager
    async def _traffic(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        tasks = [asyncio.create_task(self._lane(lane), name=lane) for lane in CHANNELS]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self) -> None:
        # Before the process begins: what it orders while we are kept from looking must count as this life's.
        self._life = {lane: self._post.orders(lane) for lane in CHANNELS}
        await self._post.start(ready=False)

    async def _until_killed(self) -> None:
        board, chance = self._post.board, self._rand.random()
        if chance < 0.2:
            await asyncio.sleep(self._rand.uniform(0, _STARTING_S))
        else:
            left = self._rand.randint(1, 12)
            killed = asyncio.Event()

            def count() -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    if chance < 0.7:
                        self._post.signal(signal.SIGKILL)
                    killed.set()

            board.on_order = count
            await self._post.until(killed.is_set, "somebody is let through")
            board.on_order = None
            if chance >= 0.7:
                await asyncio.sleep(self._rand.uniform(0, _LATER_S))
        await self._post.kill()

    async def _check(self, *, finished: bool = False) -> None:
        post = self._post
        try:
            verified = await asyncio.to_thread(post.verify)
        except JournalUnreadable as error:
            if self._events:  # else it was killed while it made its first one
                self.problems.append(str(error))
            return
        self.problems += [f"event {problem.seq}: {problem.what}" for problem in verified.problems]
        self.problems += [f"a second epoch: {epoch.why}" for epoch in verified.epochs[1:]]
        self._written()
        self.problems += unexplained(post.board.orders, self._events)
        passages = Counter((event["lane"], event["credential"]) for event in self._events if event["kind"] == "passage")
        self.problems += [f"{name} has {n} passages at {lane}" for (lane, name), n in passages.items() if n > 1]
        self.problems += twice(self._events)
        if finished:
            if self._events != post.events():
                self.problems.append("what was once in the journal has changed")
            missing = [name for name, lane in self.seen.items() if (lane, name) not in passages]
            self.problems += [f"{name} was let through and has no passage" for name in missing]

    def _written(self) -> set[str]:
        """Whose passages are in the journal by now."""
        new = self._post.events(self._events[-1]["seq"] if self._events else 0)
        self._events += new
        self._passed.update(event["credential"] for event in new if event["kind"] == "passage")
        return self._passed

    async def _lane(self, lane: str) -> None:
        mine = tags_of(lane)
        while not self._ending:
            group = list(islice(mine, self._rand.randint(1, _GROUP_MAX) if lane == "walk-out" else 1))
            before = self._post.orders(lane)
            await self._stand(lane, group, before)
            self.seen.update((credential(lane, tag), lane) for tag in group)
            if lane.startswith("car"):
                self._post.devices.passed(lane)
            await asyncio.sleep(self._rand.uniform(0, 0.1))

    async def _stand(self, lane: str, group: list[str], before: int) -> None:
        """Hold the group before the antenna until all are written down, and this life of the daemon has opened."""
        reader, names = self._post.uhf.get(lane), {credential(lane, tag) for tag in group}
        for tag in group:
            if reader is not None:
                reader.enter(tag)
        while self._post.orders(lane) <= max(before, self._life[lane]) or not names <= self._written():
            if reader is None:
                self._post.walk_in(group[0])
            await asyncio.sleep(_AGAIN_S if reader is None else 0.01)
        for tag in group:
            if reader is not None:
                reader.leave(tag)


async def torture(folder: Path, rounds: int, seed: int, progress: Progress = lambda *_: None) -> list[str]:
    """What did not fit in that many rounds."""
    async with Gatepost(folder, listed(rounds)) as post:
        run = Torture(post, seed)
        await run.run(rounds, progress)
        return run.problems


def _bar(done: int, rounds: int) -> None:
    if sys.stderr.isatty():
        filled = 40 * done // rounds
        sys.stderr.write(f"\r[{'#' * filled}{'.' * (40 - filled)}] {done}/{rounds} killed" + "\n" * (done == rounds))
    elif done % 10 == 0 or done == rounds:
        sys.stderr.write(f"{done}/{rounds} killed\n")
    sys.stderr.flush()


def main() -> int:
    """The exit status: 1 if something did not fit."""
    parser = argparse.ArgumentParser(description="Kill the daemon again and again; look for lost or doubled events.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often (default: {ROUNDS})")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (default: a new one)")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if args.seed is None else args.seed
    sys.stderr.write(f"seed {seed}\n")
    with tempfile.TemporaryDirectory(prefix="gated-torture-") as folder:
        problems = asyncio.run(torture(Path(folder), args.rounds, seed, _bar))
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{len(problems)} things do not fit\n" if problems else "nothing lost, nothing doubled\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
