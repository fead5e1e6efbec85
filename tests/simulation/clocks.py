"""The clocks of a simulated box: one that runs since power on, and one on the wall that somebody may set."""

from collections.abc import Callable
from random import Random

_DAY_S = 86400.0


class Clocks:
    """See `gated.clock.Source`. `calendar` says what time it is (POSIX s)."""

    def __init__(self, calendar: Callable[[], float]) -> None:
        self._calendar = calendar
        self._began = calendar()
        self._step = 0.0
        self._synced = True
        self.boot = ""

    def power_on(self, boot: str) -> None:
        """A new boot."""
        self._began, self.boot = self._calendar(), boot

    def wall(self) -> float:
        """See Source."""
        return self._calendar() + self._step

    def mono(self) -> float:
        """See Source."""
        return self._calendar() - self._began

    def synced(self) -> bool:
        """See Source."""
        return self._synced

    @property
    def right(self) -> bool:
        """Whether it says what time it is."""
        return self._step == 0.0

    def fault(self, rand: Random) -> None:
        """The time service goes, comes back, or tells something wrong."""
        kind = rand.choice(("lost", "found", "adrift", "lie"))
        wrong = kind in {"adrift", "lie"}
        self._synced = kind in {"found", "lie"}
        self._step = rand.choice((-400 * _DAY_S, -3600.0, _DAY_S, 400 * _DAY_S)) if wrong else 0.0

    def mend(self) -> None:
        """It is right, and known to be."""
        self._synced, self._step = True, 0.0

    def days_pass(self) -> None:
        """No time service tells something wrong for a day."""
        if self._synced:
            self._step = 0.0
