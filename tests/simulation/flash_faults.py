"""How often which faults happen while lists are flashed."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """How often faults happen: chances a message or an order, and mean seconds between the others (0: never)."""

    lost: float
    doubled: float
    slow: float
    trouble: float
    long_build: float
    crash_s: float
    unlink_s: float
    disk_s: float
    clock_s: float
    wipe_s: float
    forget_s: float
    center_s: float
    hostile_s: float


def rates(rand: random.Random) -> Rates:
    """A seed's own mix: half of all kinds do not occur in a run, so that each is seen with and without the others."""

    def some(value: float) -> float:
        return value * rand.uniform(0.3, 1.5) if rand.random() < 0.5 else 0.0

    return Rates(
        lost=some(0.15),
        doubled=some(0.15),
        slow=some(0.2),
        trouble=some(0.12),
        long_build=some(0.3),
        crash_s=some(20),
        unlink_s=some(15),
        disk_s=some(50),
        clock_s=some(60),
        wipe_s=some(50),
        forget_s=some(60),
        center_s=some(40),
        hostile_s=some(15),
    )
