"""Simulated time: what is to happen, in the order of its time; what happens beside it comes from one seed."""

import heapq
import random
from collections.abc import Callable
from itertools import count


class Broken(AssertionError):  # noqa: N818 - what happened
    """Something is so that must never be."""


class Timeline:
    """The time of one run. While `faults` is set, `chance` and `again` bring them about."""

    def __init__(self, seed: str) -> None:
        self.rand = random.Random(seed)
        self.now = 0.0
        self.faults = True
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._ids = count(1)

    def next_id(self) -> int:
        """A number never used before in this run."""
        return next(self._ids)

    def after(self, delay: float, do: Callable[[], None]) -> None:
        """Do it that much later."""
        heapq.heappush(self._heap, (self.now + delay, next(self._order), do))

    def soon(self, do: Callable[[], None]) -> None:
        """Do it a moment later: something else may come in between."""
        self.after(self.rand.uniform(0.0001, 0.01), do)

    def chance(self, probability: float) -> bool:
        """Whether a fault happens now."""
        return self.faults and probability > 0 and self.rand.random() < probability

    def again(self, every_s: float, do: Callable[[], None]) -> None:
        """Do it again and again, that many seconds apart in the mean, until faults stop; never, where that is 0."""

        def happen() -> None:
            if self.faults:
                do()
                self.again(every_s, do)

        if every_s:
            self.after(self.rand.expovariate(1 / every_s), happen)

    def until(self, when: float) -> None:
        """Let all happen that happens until then."""
        while self._heap and self._heap[0][0] <= when:
            self.now, _, do = heapq.heappop(self._heap)
            do()
        self.now = when
