"""The two simulations, and how seeds of them are run: by tests, and by `make simulate`."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from tests.simulation import bugs, flash_bugs, flashing, world
from tests.simulation.timeline import Broken

_CHUNK: Final = 25


World = world.World | flashing.World


@dataclass(frozen=True)
class Kind:
    """A world, the same with bugs planted, and how many seeds of it the tests run."""

    world: type[World]
    bugs: Sequence[type[World]]
    seeds: int


KINDS: Final = {
    "sync": Kind(world.World, bugs.ALL, 2000),
    "flash": Kind(flashing.World, flash_bugs.ALL, 1200),
}


def trouble(kind: str, seed: int) -> str:
    """What is wrong in that run, with the command that shows it again; "" if nothing is."""
    try:
        KINDS[kind].world(seed).run()
    except Broken as broken:
        return f"{broken}\n    make simulate KIND={kind} SEED={seed}"
    return ""


def troubles(kind: str, seeds: range) -> Iterator[str]:
    """The same of each of these seeds, in as many processes as there are cores."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(trouble, [kind] * len(seeds), seeds, chunksize=_CHUNK)
