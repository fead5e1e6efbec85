"""Each fuzz target, some hundred times with fixed seeds: so that none of them rots, and without a fuzzer."""

from random import Random
from typing import Final

import pytest

from tests.fuzz.targets import TARGETS

_TIMES: Final = 120
_CHANGES: Final = 4


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_wrong(name: str) -> None:
    """Its seeds, and what becomes of them when bytes are changed, lost, doubled and put together."""
    target, rand = TARGETS[name], Random(name)
    seeds = list(target.seeds())
    assert seeds
    for data in (b"", *seeds):
        target.check(data)
    for _ in range(_TIMES):
        data = _changed(rand, rand.choice(seeds), rand.choice(seeds))[: target.max_bytes]
        try:
            target.check(data)
        except Exception as error:
            error.add_note(f"the bytes: {data.hex()}")
            raise


def _changed(rand: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rand.randint(1, _CHANGES)):
        at = rand.randint(0, len(changed))
        some = rand.choice((b"", rand.randbytes(1), rand.randbytes(3), bytes(2), b"\xff", other[at : at + 20]))
        changed[at : at + rand.choice((0, 0, 1, len(some)))] = some
    return bytes(changed)
