"""Batches: consecutive events of one epoch, as they travel from a gate to the center.

A header line and the event lines themselves, each ended by one newline, signed together (`protocol.signature`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.event import link
from protocol.message import Header, MessageError

BATCH_MAX_BYTES: Final = 128 * 1024
"""What a gate puts into one batch, at most; one event alone is always taken."""
PAYLOAD_MAX_BYTES: Final = 256 * 1024
"""What the center reads; a larger message is none of ours."""
_HEADER_MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Batch:
    """A header and its event lines, without newlines."""

    header: Header
    lines: tuple[bytes, ...]

    @property
    def last(self) -> int:
        """The last event's seq; the one before `first` where there is none."""
        return self.header.first + self.header.count - 1


def encode(header: Header, lines: Sequence[bytes]) -> bytes:
    """The batch, unsigned."""
    return b"\n".join((header.to_bytes(), *lines, b""))


def decode(data: bytes) -> Batch:
    """The batch that these bytes (verified, without signature) are. Raises MessageError."""
    if len(data) > PAYLOAD_MAX_BYTES:
        raise MessageError(f"a batch of {len(data)} bytes; at most {PAYLOAD_MAX_BYTES} are read")
    head, _, rest = data.partition(b"\n")
    if len(head) > _HEADER_MAX_BYTES:
        raise MessageError(f"a batch header of {len(head)} bytes; at most {_HEADER_MAX_BYTES} are read")
    header = Header.from_bytes(head)
    lines = tuple(rest.split(b"\n"))
    if lines[-1] != b"":
        raise MessageError("the last event line has no newline: the batch was cut")
    if len(lines) - 1 != header.count:
        raise MessageError(f"{header.count} events are announced, {len(lines) - 1} are there")
    return Batch(header, lines[:-1])


def hashes(batch: Batch) -> list[bytes]:
    """Each event's hash, 32 bytes. Raises MessageError where a line does not say the seq of its place."""
    previous = bytes.fromhex(batch.header.prev)
    found: list[bytes] = []
    for seq, line in enumerate(batch.lines, batch.header.first):
        if not line.startswith(b'{"seq":%d,' % seq):
            raise MessageError(f"the line in the place of event {seq} is another")
        previous = link(previous, line)
        found.append(previous)
    return found
