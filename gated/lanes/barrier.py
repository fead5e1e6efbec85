"""A barrier's OPEN contact: closed for the length of a pulse.

A pulse asked for during a pulse extends it; a turnstile, which turns once a pulse, gets one after the other. Whoever
asks for one that must wait for its turn hears why, if it is not given after all (`lost`).

A barrier may be held open, by several at a time (`COMMAND`, `FIRE`): the contact stays closed until the last of them
lets go, so that no release by hand ends what fire holds. While it is held, an opening is given already, if the
contact is there. A turnstile may count pulses all the same, and nobody may be shut in because it is held: there, an
opening opens the contact for `TURNSTILE_PAUSE_S` and closes it again, which is a new pulse. Under fire the contact
never opens.

What fire holds need not be there: its contact closes as soon as it is. And where there is a fire input, a contact is
left as the last life has left it until that has said fire or clear: a restart in the middle of a fire shuts nobody in.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from drivers.port import DriverError, Output

TURNSTILE_PAUSE_S: Final = 0.3  # long enough for a turnstile's relay input to see the contact open
COMMAND: Final = "command"
FIRE: Final = "fire"

Lost = Callable[[DriverError], None]


def _unheard(_: DriverError) -> None:
    """Nobody has asked to hear."""


class Barrier:
    """Pulses one output; `pulsing` while the contact is closed for a pulse, `holders` who else keeps it closed."""

    def __init__(self, output: Output, pulse: float, *, turnstile: bool = False) -> None:
        self._output = output
        self._pulse = pulse
        self._turnstile = turnstile
        self._queued: deque[Lost] = deque()  # who waits for a pulse, at a turnstile
        self._timer: asyncio.TimerHandle | None = None  # the end of a pulse, or of the pause before the next
        self._left = False  # as the last life has left it
        self.pulsing = False
        self.holders: set[str] = set()

    def leave(self) -> None:
        """Leave the contact as it is, but for openings, until fire holds it or lets go; said before the output runs."""
        self._left = True
        self._output.leave()

    def open(self, lost: Lost = _unheard) -> None:
        """Give one pulse, now if the contact is there. Raises DriverError where it is not.

        One that must wait, at a turnstile, may still be lost when its turn comes: `lost` hears it.
        """
        if self.holders:
            self._open_held(lost)
            return
        if self._turnstile and self._timer is not None:
            self._queued.append(lost)
            return
        self._output.set(on=True)
        self.pulsing = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._pulse, self._release)

    def hold(self, holder: str) -> None:
        """Keep the contact closed until this holder lets go. Raises DriverError where the contact is not there.

        Pulses that wait are given with it. Fire holds it all the same, and closes it as soon as it is there.
        """
        if holder == FIRE:
            self._left = False
            self._held_by(holder)
        self._close()
        self._held_by(holder)

    def keep(self) -> None:
        """Say again that the contact is closed, where it is held: a relay that had lost its power has forgotten it."""
        if self.holders and self._timer is None:
            with suppress(DriverError):  # the driver puts it as last asked for when its port is back
                self._close()

    def let_go(self, holder: str) -> None:
        """Let this holder hold it no more; the contact opens with the last.

        Fire lets go also of what it has not held: of a contact that was left as it was.
        """
        if holder == FIRE and self._left:
            self._left = False
            if not self.holders and not self.pulsing:
                self._release()
        if holder not in self.holders:
            return
        self.holders.discard(holder)
        if not self.holders:
            self._queued.clear()
            self._cancel()
            self._release()

    def stop(self) -> None:
        """Let go of the contact, at the end. Under fire it stays closed: no end of a program is an all-clear."""
        if FIRE in self.holders:
            self.holders = {FIRE}
            return
        for holder in tuple(self.holders):
            self.let_go(holder)
        self._queued.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._release()

    def _close(self) -> None:
        self._output.set(on=True, owed=FIRE in self.holders)

    def _held_by(self, holder: str) -> None:
        self.holders.add(holder)
        self._queued.clear()
        self.pulsing = False
        self._cancel()

    def _open_held(self, lost: Lost) -> None:
        """Held, it is open; a turnstile is given a new pulse all the same, unless fire holds it."""
        if not self._turnstile or FIRE in self.holders:
            self._close()
            return
        if self._timer is not None:
            self._queued.append(lost)
            return
        self._output.set(on=False)
        self._timer = asyncio.get_running_loop().call_later(TURNSTILE_PAUSE_S, self._close_held)

    def _close_held(self) -> None:
        self._timer = None
        self.keep()
        if self._queued:
            self._timer = asyncio.get_running_loop().call_later(self._pulse, self._next_held)

    def _next_held(self) -> None:
        self._give_next(self._open_held)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        self._timer = None
        self.pulsing = False
        try:
            if not self._left:
                self._output.set(on=False)
        except DriverError as error:
            # The driver puts the contact off by itself when the port is back.
            self._lose(error)
        if self._queued:
            self._timer = asyncio.get_running_loop().call_later(TURNSTILE_PAUSE_S, self._next)

    def _next(self) -> None:
        self._give_next(self.open)

    def _give_next(self, give: Callable[[Lost], None]) -> None:
        """Give the pulse that has waited longest. Where that fails, all that wait are lost."""
        self._timer = None
        lost = self._queued.popleft()
        try:
            give(lost)
        except DriverError as error:
            self._queued.appendleft(lost)
            self._lose(error)

    def _lose(self, error: DriverError) -> None:
        waited, self._queued = self._queued, deque()
        for lost in waited:
            lost(error)
