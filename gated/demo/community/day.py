"""The community's day: more people than at one post, and each of them comes to any of the gates.

Nothing here does I/O or reads a clock. The same seed gives the same people and the same visits.
"""

import random
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from gated.demo import day
from gated.demo.community import GATES
from gated.demo.day import Town, Visit

RESIDENTS: Final = 600
CARS: Final = 200
LATER: Final = "2099-01-01"
"""When those move in who have cards already."""
BUSIER: Final = 3.0
"""How many times as many visits there are as at one post alone."""


class Act(StrEnum):
    """What may be done to the community; each is a key, too."""

    LINK = "link"
    READER = "reader"
    KILL = "kill"
    CENTER = "center"
    SUSPEND = "suspend"
    ATTACK = "attack"


def town(seed: int) -> Town:
    """Everybody there is."""
    return Town(seed, RESIDENTS, CARS)


def table(people: Town) -> str:
    """The list as an office has it: who may pass with which card and tag, and from which day on."""
    rows = [(person, "") for person in (*people.residents, *people.tenants)]
    rows += [(person, LATER) for person in people.expired]
    lines = [f"{person.who},{person.card},{person.tag},{begins}" for person, begins in rows]
    lines += [f"{car.who},,{car.tag}," for car in people.cars]
    return "\n".join(("Name,Card No,EPC,Valid from", *lines, ""))


def visits(people: Town, seed: int) -> Iterator[tuple[str, Visit]]:
    """Who comes to which gate, in a day that does not end."""
    rand = random.Random(f"gates {seed}")  # noqa: S311 - a day that can be had again, no secret
    for visit in day.visits(people, seed):
        yield rand.choice(GATES), visit


def acts(seconds: float) -> list[tuple[float, Act, str]]:
    """What is done where nobody presses a key, in a run of that length: at which second, what, to which gate.

    Link and reader come twice: cut and mended, unplugged and plugged in.
    """
    north, east, south, west, river = GATES
    plan = [
        (0.05, Act.READER, east),
        (0.08, Act.LINK, north),
        (0.15, Act.KILL, south),
        (0.25, Act.SUSPEND, west),
        (0.4, Act.READER, east),
        (0.45, Act.LINK, north),
        (0.5, Act.ATTACK, river),
        (0.7, Act.CENTER, north),
    ]
    return [(part * seconds, act, gate) for part, act, gate in plan]
