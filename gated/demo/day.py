"""A day at the gate, invented from a seed: who lives here, what the list says of them, who comes when to which lane.

Nothing here does I/O or reads a clock. The same seed gives the same people, the same list and the same visits.

- Residents and cars take turns: who has waited longest outside comes in, who has been inside longest goes out.
- One car in ten turns back before the arm.
- One visit in eight is by somebody who is to be flagged: not on the list, expired, suspended, outside their hours.
"""

import random
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle
from typing import Final

from protocol.credential import Credential

RESIDENTS: Final = 120
CARS: Final = 40
OF_EACH: Final = 6
"""How many there are of each kind that is flagged: the same one again within a minute would be no news."""
HOURS: Final = "cleaning"
BETWEEN_S: Final = 0.7
"""The mean time between two visits."""
TURN_BACK: Final = 0.1
LANES: Final = {"walk-in": 30, "walk-out": 30, "car-in": 14, "car-out": 14}
CAR_LANES: Final = ("car-in", "car-out")
FLAGGED: Final = 12
"""How often they come, beside the weights of the lanes."""
_HOURS_AWAY: Final = 6
_PAST: Final = "2020-01-01T00:00:00+08:00"


class Form(StrEnum):
    """What somebody may have to show: the scheme of its credential."""

    EM = "em"
    EPC = "epc"
    UID = "uid"
    WIEGAND = "wiegand"
    OBU = "obu"


class What(StrEnum):
    """Something that goes wrong on purpose."""

    UNPLUG = "unplug"
    PLUG = "plug"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a card and a tag, ten and 24 hex digits. `limits` are the further keys of their entry.

    What else they have to show for other readers is made of the two.
    """

    who: str
    card: str
    tag: str
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def plate(self) -> str:
        """The plate of their car, as its on-board unit says it."""
        return f"沪A{self.tag[-5:]}"

    def credential(self, form: Form) -> Credential:
        """What they have to show where this is read."""
        number = int(self.card, 16) & 0xFFFF_FFFF
        values = {
            Form.EM: self.card,
            Form.EPC: self.tag,
            Form.UID: f"04{self.card}80",
            Form.WIEGAND: f"34:{number >> 16}:{number & 0xFFFF}",
            Form.OBU: self.tag[-8:],
        }
        return Credential(f"{form}:{values[form]}")


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody comes to a lane, `at` seconds after the day's beginning. Only cars turn back."""

    at: float
    lane: str
    person: Person
    flagged: bool = False
    turns_back: bool = False


class Town:
    """Everybody there is."""

    def __init__(self, seed: int, residents: int = RESIDENTS, cars: int = CARS) -> None:
        rand = _random("town", seed)
        count = residents + cars + 5 * OF_EACH
        numbers = zip(rand.sample(range(2**32), count), rand.sample(range(2**32), count), strict=True)

        def people(kind: str, many: int, **limits: str) -> list[Person]:
            return [
                Person(f"{kind}-{number}", f"0A{card:08X}", f"E28011700000{tag:012X}", limits)
                for number, (card, tag) in zip(range(1, many + 1), numbers, strict=False)
            ]

        # The range stands first in each zip, so that its end takes nobody from the next kind.
        self.residents = people("resident", residents)
        self.cars = people("car", cars)
        self.expired = people("moved-out", OF_EACH, until=_PAST)
        self.suspended = people("lost-card", OF_EACH, since=_PAST)
        self.suspended_cars = people("lost-tag", OF_EACH, since=_PAST)
        self.cleaners = people("cleaner", OF_EACH, when=HOURS)

        self.tenants = people("tenant", OF_EACH)

    def whitelist(self, forms: Mapping[str, Collection[Form]]) -> list[dict[str, str]]:
        """The lines of the list, where each lane reads these forms."""
        walkers = [*self.residents, *self.expired, *self.suspended, *self.cleaners, *self.tenants]
        drivers = [*self.cars, *self.suspended_cars]
        walked = {form for lane, read in forms.items() if lane not in CAR_LANES for form in read}
        driven = {form for lane in CAR_LANES for form in forms[lane]}
        shown = [(person, form) for person in walkers for form in sorted(walked)]
        shown += [(person, form) for person in drivers for form in sorted(driven)]
        return [{"c": person.credential(form), "h": person.who, **person.limits} for person, form in shown]


def visits(town: Town, seed: int) -> Iterator[Visit]:
    """The visits of a day that does not end."""
    rand = _random("visits", seed)
    outside, inside = _halves(town.residents, rand)
    cars_outside, cars_inside = _halves(town.cars, rand)
    sides = {
        "walk-in": (outside, inside),
        "walk-out": (inside, outside),
        "car-in": (cars_outside, cars_inside),
        "car-out": (cars_inside, cars_outside),
    }
    strangers = _strangers(town, rand)
    at = 0.0
    while True:
        at += rand.expovariate(1 / BETWEEN_S)
        (lane,) = rand.choices([*LANES, ""], [*LANES.values(), FLAGGED])
        if not lane:
            yield next(strangers)(at)
            continue
        here, there = sides[lane]
        if not here:
            continue
        person = here.popleft()
        turns_back = lane.startswith("car") and rand.random() < TURN_BACK
        (here if turns_back else there).append(person)
        yield Visit(at, lane, person, turns_back=turns_back)


def incidents(seconds: float) -> list[tuple[float, What]]:
    """What goes wrong on purpose in a run of that length: at which second, and what."""
    return [(seconds / 6, What.UNPLUG), (seconds / 3, What.PLUG), (seconds / 2, What.KILL)]


def hours_away(hour: int) -> str:
    """The cleaners' hour, which is never now."""
    begins = (hour + _HOURS_AWAY) % 24
    return f"daily {begins:02}:00-{(begins + 1) % 24:02}:00"


def unknown(rand: random.Random) -> Person:
    """Somebody whom no list knows."""
    return Person("nobody", f"0B{rand.getrandbits(32):08X}", f"E2801170FF{rand.getrandbits(56):014X}")


@dataclass(frozen=True, slots=True)
class _Stranger:
    lane: str
    person: Person

    def __call__(self, at: float) -> Visit:
        return Visit(at, self.lane, self.person, flagged=True)


def _strangers(town: Town, rand: random.Random) -> Iterator[_Stranger]:
    """Those who are flagged, in rounds of all kinds, each round in another order."""
    groups = [
        (lane, cycle(group))
        for lane, group in (
            ("walk-in", town.expired),
            ("walk-in", town.suspended),
            ("walk-in", town.cleaners),
            ("car-in", town.suspended_cars),
        )
    ]
    while True:
        found = [_Stranger(lane, next(group)) for lane, group in groups]
        found += [_Stranger(lane, unknown(rand)) for lane in ("walk-in", "car-in", "walk-out")]
        rand.shuffle(found)
        yield from found


def _halves(people: list[Person], rand: random.Random) -> tuple[deque[Person], deque[Person]]:
    mixed = rand.sample(people, len(people))
    middle = len(mixed) // 2
    return deque(mixed[:middle]), deque(mixed[middle:])


def _random(what: str, seed: int) -> random.Random:
    return random.Random(f"{what} {seed}")  # noqa: S311 - a day that can be had again, no secret
