"""The ports: what the daemon asks of a piece of hardware, and no more.

Rules that every implementation and every emulation keeps (`tests/drivers/` holds one contract suite a port):

- `reports()` runs the device. It is iterated once, by one task; leaving the iteration closes the device.
- It never ends by itself and raises nothing for what a cable, a device or its bytes do: that is a `Condition`.
- It yields something at least every `QUIET_S` seconds, `Quiet` if there is nothing else to say: whoever iterates
  knows that the loop behind it turns.
- It yields a `Condition` first of all and then only when the condition has changed.
- It reconnects by itself (`drivers.link.backoff`). Nothing that was received before a reconnect counts after it.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from protocol.sighting import Sighting

QUIET_S: Final = 5.0


class DriverError(Exception):
    """The hardware cannot do what was asked of it now; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether a device is there. `why` says why not, and what to do, in words for a technician; "" when online."""

    online: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing happened; the loop turns."""


@dataclass(frozen=True, slots=True)
class Level:
    """An input's contact: `active` is what the installer calls on (vehicle on the loop, button pressed)."""

    active: bool


class Reader(Protocol):
    """Reads credentials. `last_heard` is the monotonic time of the last valid frame, None before the first."""

    last_heard: float | None

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """What the reader sees and how it fares; see the rules above."""
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What a device has said of itself; "" and None are what it does not tell.

    `region` is the band that it transmits in, by the names of `drivers.bands`, or in its own words. `clock_off_s` is
    how far its clock was ahead of the box's. `complaint` is what is wrong by its own word. `outdated` is what is known
    not to work with firmware as old as its.
    """

    model: str = ""
    firmware: str = ""
    region: str = ""
    power_dbm: float | None = None
    clock_off_s: float | None = None
    complaint: str = ""
    outdated: str = ""


@runtime_checkable
class Telling(Protocol):
    """What a reader has besides that asks its device at connect what it is. It says what was so then."""

    about: About


class Colour(StrEnum):
    """What a lamp can show."""

    OFF = "off"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Signal:
    """What people at a reader see and hear: a lamp for `seconds`, then its own idle light again, and `beeps`."""

    colour: Colour
    blink: bool = False
    beeps: int = 0
    seconds: float = 2.0


@runtime_checkable
class Indicator(Protocol):
    """What a reader with a lamp or a beeper has besides: the post shows each outcome on it."""

    def show(self, signal: Signal) -> None:
        """Show it now, as far as the device can; one after another replaces it. Blocks nothing, raises nothing.

        A device that is not there shows nothing, now or later: an outcome is news for the moment only.
        """
        ...


class Output(Protocol):
    """Drives one contact: a barrier's OPEN, or a lamp."""

    def leave(self) -> None:
        """Leave the contact as it is, at each connect too, until it is `set`; said before `reports` is iterated."""
        ...

    def reports(self) -> AsyncGenerator[Condition | Quiet, None]:
        """How the contact fares; see the rules above. On each connect it is put as last asked for: off at first."""
        ...

    def set(self, *, on: bool, owed: bool = False) -> None:
        """Close (`on`) or open the contact, at once: the bytes are handed to the port before this returns.

        On a bus where a request is under way they go next, before all else, when that one is answered or its short time
        is up: two at once would garble each other.

        Raises DriverError where the device is not there; then nothing closes, now or later. Off is made up for as
        soon as the device takes it, and so is an on that is `owed`: one that stands until it is taken back.
        """
        ...


class Input(Protocol):
    """Watches one contact."""

    def reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        """Each change of the contact, the level at connect first; see the rules above."""
        ...
