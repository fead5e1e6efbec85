"""Every order of faults between gates, broker and center, a seed a run.

`sync`: whatever fails, the center holds prefixes of what was durable, once each, and in the end all of it.
`flash`: what is in force is whole and as published, and when nothing fails any more, it is the newest.
"""

from typing import Final

import pytest

from tests.simulation.kinds import KINDS, World, troubles
from tests.simulation.timeline import Broken

BITES_WITHIN: Final = 500
PLANTED: Final = [pytest.param(planted, id=planted.__name__) for kind in KINDS.values() for planted in kind.bugs]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_broken(kind: str) -> None:
    """See above."""
    found = [text for text in troubles(kind, range(KINDS[kind].seeds)) if text]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("planted", PLANTED)
def test_it_bites(planted: type[World]) -> None:
    """A bug that is planted is found, and soon."""
    for seed in range(BITES_WITHIN):
        try:
            planted(seed).run()
        except Broken:
            return
    pytest.fail(f"not found in {BITES_WITHIN} seeds")


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_run(kind: str) -> None:
    """The same seed, the same run: a failure can be looked at again."""
    first, second = (KINDS[kind].world(3) for _ in range(2))
    first.run()
    second.run()
    assert [gate.disk for gate in first.gates] == [gate.disk for gate in second.gates]
    assert (first.now, first.rand.getstate()) == (second.now, second.rand.getstate())
