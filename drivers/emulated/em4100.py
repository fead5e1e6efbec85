"""The other side of `drivers.em4100`."""

import asyncio

from drivers.emulated.host import Host
from protocol.em4100 import Frame, Framing


class EmulatedEm4100:
    """A reader that repeats the tag in its field, as RDM6300s do."""

    def __init__(self, framing: Framing = Framing.RDM6300) -> None:
        self._framing = framing

    def receive(self, data: bytes) -> bytes:  # noqa: ARG002 - the reader has no receive line
        """See Device."""
        return b""

    def frame(self, tag_hex10: str) -> bytes:
        """One frame of a tag, given as 10 hex digits."""
        return Frame(bytes.fromhex(tag_hex10), self._framing).to_bytes()

    async def present(self, host: Host, tag: str, seconds: float, every: float = 0.065) -> None:
        """Hold a tag into the field for this long."""
        for _ in range(max(1, round(seconds / every))):
            host.send(self.frame(tag))
            await asyncio.sleep(every)
