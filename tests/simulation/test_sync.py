"""Every order of faults between gates, broker and center, a seed a run."""

from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice

import pytest

from tests.simulation import bugs
from tests.simulation.__main__ import SYNC, trouble
from tests.simulation.timeline import Broken
from tests.simulation.world import World

SEEDS = 2000
BITES_WITHIN = 200


def test_nothing_lost_doubled_or_invented() -> None:
    """Whatever fails, the center holds prefixes of what was durable, once each, and in the end all of it."""
    with ProcessPoolExecutor() as pool:
        found = [text for text in pool.map(trouble, [SYNC] * SEEDS, range(SEEDS), chunksize=25) if text]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("planted", bugs.ALL, ids=lambda planted: planted.__name__)
def test_it_bites(planted: type[World]) -> None:
    """A bug that is planted is found, and soon."""
    for seed in islice(count(), BITES_WITHIN):
        try:
            planted(seed).run()
        except Broken:
            return
    pytest.fail(f"not found in {BITES_WITHIN} seeds")


def test_a_seed_is_a_run() -> None:
    """The same seed, the same run: a failure can be looked at again."""
    first, second = World(3), World(3)
    first.run()
    second.run()
    assert [gate.disk for gate in first.gates] == [gate.disk for gate in second.gates]
    assert (first.now, first.messages) == (second.now, second.messages)
