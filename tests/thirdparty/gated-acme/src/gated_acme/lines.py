"""What an Acme ProxLine reader says: a line for each card, `@04A2247B613E80*2F`, ended by CR LF.

The digits are the chip's UID, 4, 7 or 10 bytes in hex; behind the `*` stands the XOR of all of them (ProxLine manual,
section 4).
"""

import re
from functools import reduce
from operator import xor
from typing import Final

LINE_MAX: Final = 32
_LINE: Final = re.compile(rb"@([0-9A-F]{8}|[0-9A-F]{14}|[0-9A-F]{20})\*([0-9A-F]{2})\r\Z")


def line(uid: bytes) -> bytes:
    """The line that a reader sends for this card."""
    return b"@%b*%02X\r\n" % (uid.hex().upper().encode(), reduce(xor, uid))


class LineCodec:
    """Finds the cards in a stream of bytes; whatever else there is is counted in `dropped`."""

    def __init__(self) -> None:
        self.dropped = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The UIDs of all lines that are complete now. Raises nothing, whatever the bytes are."""
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        found = [uid for one in lines if (uid := self._uid(bytes(one))) is not None]
        if len(rest) > LINE_MAX:  # no line is that long; the beginning of one may be its end
            self.dropped += len(rest) - LINE_MAX
            rest = rest[-LINE_MAX:]
        self._buffer = rest
        return found

    def _uid(self, text: bytes) -> bytes | None:
        """The card in a line, behind whatever garbage came before it."""
        found = _LINE.search(text)
        uid = bytes.fromhex(found[1].decode()) if found else b""
        if found and reduce(xor, uid) == int(found[2], 16):
            return uid
        self.dropped += len(text) + 1
        return None
