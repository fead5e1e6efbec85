"""A barrier's OPEN contact: closed for the length of a pulse.

A pulse asked for during a pulse extends it; a turnstile, which turns once a pulse, gets one after the other.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from drivers.port import DriverError, Output

TURNSTILE_PAUSE_S: Final = 0.3  # long enough for a turnstile's relay input to see the contact open


class Barrier:
    """Pulses one output; `pulsing` while the contact is closed.

    `on_lost` hears why pulses that waited for their turn will not be given.
    """

    def __init__(self, output: Output, pulse: float, *, turnstile: bool = False) -> None:
        self._output = output
        self._pulse = pulse
        self._turnstile = turnstile
        self._queued = 0
        self._timer: asyncio.TimerHandle | None = None
        self.pulsing = False
        self.on_lost: Callable[[DriverError], None] = _unheard

    def open(self) -> None:
        """Give one pulse, now if the contact is there. Raises DriverError where it is not."""
        if self._turnstile and self._timer is not None:
            self._queued += 1
            return
        self._output.set(on=True)
        self.pulsing = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._pulse, self._release)

    def stop(self) -> None:
        """Let go of the contact, at the end."""
        self._queued = 0
        if self._timer is not None:
            self._timer.cancel()
            self._release()

    def _release(self) -> None:
        self._timer = None
        self.pulsing = False
        try:
            self._output.set(on=False)
        except DriverError as error:
            # The driver puts the contact off by itself when the port is back.
            self._lose(error)
        if self._queued:
            self._timer = asyncio.get_running_loop().call_later(TURNSTILE_PAUSE_S, self._next)

    def _next(self) -> None:
        self._timer = None
        self._queued -= 1
        try:
            self.open()
        except DriverError as error:
            self._queued += 1
            self._lose(error)

    def _lose(self, error: DriverError) -> None:
        lost, self._queued = self._queued, 0
        if lost:
            self.on_lost(error)


def _unheard(_: DriverError) -> None:
    """Nobody has asked to hear."""
