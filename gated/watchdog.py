"""Feeding systemd's watchdog: only when every loop that reads and decides has turned since the last time.

A reading loop turns at least every `drivers.port.QUIET_S`, whether its device is there or not; one that is stuck
keeps the whole daemon from being fed, and the service manager starts it anew.
"""

from collections.abc import Iterable

from gated.notify import Notifier


class Watchdog:
    """Counts the loops in. The last one of a round feeds the watchdog."""

    def __init__(self, notifier: Notifier, loops: Iterable[str]) -> None:
        self._notifier = notifier
        self._loops = frozenset(loops)
        self._missing = set(self._loops)
        self._due = 0.0

    def turned(self, loop: str, mono: float) -> None:
        """This loop has turned."""
        self._missing.discard(loop)
        interval = self._notifier.watchdog_s
        if self._missing or interval is None or mono < self._due:
            return
        self._notifier("WATCHDOG=1")
        self._due = mono + interval / 10
        self._missing = set(self._loops)
