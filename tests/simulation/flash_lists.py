"""Lists to publish: families of versions that follow each other, the same in every run, so that they are made once."""

import base64
import random
from functools import cache
from typing import Final

from tests.simulation.repository import Lines

FAMILIES: Final = ((30, 24), (60, 2000), (260, 3300))
"""How many lines, and how long each is: one piece, two, and ten: more than are asked for at a time."""
_REWRITTEN: Final = 4
"""Each so many versions a list has no line of the one before: its delta would be as long as itself."""


@cache
def lines(family: int, version: int) -> Lines:
    """That version of that family."""
    count, length = FAMILIES[family]
    rand = random.Random(f"{family}/{version}")
    if version % _REWRITTEN == 1:
        return tuple(_line(number * 16, rand, length) for number in range(count))
    held = list(lines(family, version - 1))
    del held[rand.randrange(len(held))]
    for _ in range(2):
        place = rand.randrange(len(held))
        held[place] = _line(int(held[place][9:17], 16), rand, length)
    return tuple(sorted([*held, _line(rand.randrange(count) * 16 + 1 + version % 15, rand, length)]))


def _line(number: int, rand: random.Random, length: int) -> bytes:
    return b'{"c":"em:%08X","h":"%s"}' % (number, base64.b64encode(rand.randbytes(length * 3 // 4)))
