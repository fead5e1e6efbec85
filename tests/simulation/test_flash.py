"""Every order of faults between gates, broker and publishing center while lists are flashed, a seed a run."""

from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice

import pytest

from tests.simulation import flash_bugs
from tests.simulation.__main__ import FLASH, trouble
from tests.simulation.flashing import World
from tests.simulation.timeline import Broken

SEEDS = 1200
BITES_WITHIN = 200


def test_whole_never_older_and_in_the_end_the_newest() -> None:
    """Whatever fails, what is in force is whole and as published, and when nothing fails any more, it is the newest."""
    with ProcessPoolExecutor() as pool:
        found = [text for text in pool.map(trouble, [FLASH] * SEEDS, range(SEEDS), chunksize=25) if text]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("planted", flash_bugs.ALL, ids=lambda planted: planted.__name__)
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
    first, second = World(7), World(7)
    first.run()
    second.run()
    assert [gate.disk for gate in first.gates] == [gate.disk for gate in second.gates]
    assert (first.now, first.broker.delivered) == (second.now, second.broker.delivered)
