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
from typing import Final, Protocol

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


class Output(Protocol):
    """Drives one contact: a barrier's OPEN, or a lamp."""

    def reports(self) -> AsyncGenerator[Condition | Quiet, None]:
        """How the contact fares; see the rules above. On each connect it is put as last asked for: off at first."""
        ...

    def set(self, *, on: bool) -> None:
        """Close (`on`) or open the contact, at once: the bytes are handed to the port before this returns.

        On a bus where a request is under way they go next, before all else, when that one is answered or its short time
        is up: two at once would garble each other.

        Raises DriverError where the device is not there; then nothing closes, now or later. Off is made up for as
        soon as the device takes it.
        """
        ...


class Input(Protocol):
    """Watches one contact."""

    def reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        """Each change of the contact, the level at connect first; see the rules above."""
        ...
