"""Whose card a chip's record proves: what a reader asks that reads more than a number, without knowing any key.

A driver takes `Records.of(ports).prove` when it is made, and calls it with a chip's NDEF message and its UID, from a
thread of its own: the answer may wait for the disk. Proved, a sighting has that credential and card, and the UID as
`also`; else it is the UID's, as if there were no record.

A chip's record is read once each time that it comes into the field: some count their reads, and the same one again
would be a copy. One that could not be read to its end is read again before the UID alone counts.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final, TypeAlias

from drivers.registry import Ports
from protocol.sighting import Proved

SHARED: Final = "records"
Prove: TypeAlias = Callable[[bytes, bytes], Proved | None]


def _nothing(_message: bytes, _uid: bytes) -> Proved | None:
    return None


class Records:
    """The daemon's answer, for all of its readers. `make` is called when the first reader is made that asks."""

    def __init__(self, make: Callable[[], Prove] = lambda: _nothing) -> None:
        self._make: Final = make

    @classmethod
    def of(cls, ports: Ports) -> "Records":
        """Those of a daemon; where it has given none (`gated detect`), no record proves anything."""
        return ports.shared(SHARED, cls, cls)

    @cached_property
    def prove(self) -> Prove:
        """Whose card the chip of this UID is, by its NDEF message; None where that proves nothing."""
        return self._make()
