"""The other side of `drivers.contact`."""

from drivers.contact import ASK, CLOSED, OPEN


class EmulatedContact:
    """A contact that says what it is at each change, and when asked."""

    def __init__(self) -> None:
        self._level = OPEN

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        return self._level if ASK in data else b""

    def level(self, active: bool) -> bytes:  # noqa: FBT001 - level(True) reads well
        """Close or open the contact; the bytes that it reports."""
        self._level = CLOSED if active else OPEN
        return self._level
