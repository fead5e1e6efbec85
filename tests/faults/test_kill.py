"""Kill -9 at any moment: nothing opens without its event, nothing is lost, nothing doubled."""

import random
from pathlib import Path

from tests.gatepost import Order
from tests.torture import opens, torture, twice, unexplained

ROUNDS = 20


async def test_killed_20_times(tmp_path: Path) -> None:
    """A busy daemon is killed 20 times: each opening has its event, each person one passage, the chain is whole."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}: python -m tests.torture --rounds {ROUNDS} --seed {seed}")  # noqa: T201 - shown on failure
    assert await torture(tmp_path, ROUNDS, seed) == []


def _start(mono: float) -> dict[str, object]:
    return {"kind": "system", "what": "start", "mono": mono}


def _passage(mono: float, verdict: str = "admit") -> dict[str, object]:
    return {"kind": "passage", "lane": "walk-in", "verdict": verdict, "credential": "em:1", "mono": mono}


def test_the_check_sees_an_opening_without_event() -> None:
    """An order is unexplained with no event, or a flagged, a younger, another lane's or an earlier life's."""
    order = [Order(5.0, "walk-in")]
    assert unexplained(order, [_start(1.0), _passage(5.0)]) == []
    assert not opens(_passage(5.0, "flag"))
    for events in (
        [],
        [_passage(5.0, "flag")],
        [_passage(5.1)],
        [{**_passage(5.0), "lane": "walk-out"}],
        [_passage(3.0), _start(4.0)],
    ):
        assert len(unexplained(order, [_start(1.0), *events])) == 1


def test_the_check_sees_an_event_that_opens_twice() -> None:
    """Two orders need two events, and one event told twice is found."""
    orders = [Order(5.0, "walk-in"), Order(6.0, "walk-in")]
    assert len(unexplained(orders, [_start(1.0), _passage(5.0)])) == 1
    assert unexplained(orders, [_start(1.0), _passage(5.0), _passage(5.9)]) == []
    assert len(twice([_passage(5.0), _passage(5.0), _passage(5.9)])) == 1
