"""The community's day: more people than at one post, and each of them comes to any of the gates.

Nothing here does I/O or reads a clock. The same seed gives the same people and the same visits.
"""

import random
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import Final

from gated.demo import day
from gated.demo.community import GATES
from gated.demo.day import CAR_LANES, Form, Town, Visit

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


def table(people: Town, forms: Mapping[str, Collection[Form]]) -> str:
    """The list as an office has it: who may pass with which card and tag, and from which day on.

    `forms` is what each lane reads. What is neither card nor tag stands beside the card, written as gates write it.
    """
    rows = [(person, person.card, "") for person in (*people.residents, *people.tenants)]
    rows += [(person, person.card, LATER) for person in people.expired]
    rows += [(car, "", "") for car in people.cars]
    lines = []
    for person, card, begins in rows:
        lanes = [lane for lane in forms if (lane in CAR_LANES) is not bool(card)]
        further = {form for lane in lanes for form in forms[lane]} - {Form.EM, Form.EPC}
        cards = ";".join(filter(None, (card, *map(person.credential, sorted(further)))))
        lines.append(f"{person.who},{cards},{person.tag},{begins}")
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
