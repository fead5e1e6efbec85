"""What has arrived and waits to be judged, within a bound: a queue for each gate, and each gate in its turn. No I/O.

- Beyond the bound the newest message of whoever has most of it waiting is dropped unread. So one gate that floods, or
  somebody with its account, costs itself messages and the others a turn each.
- A gate's own messages stay in their order. What was dropped the gate sends again: nobody has answered it.
"""

from collections import Counter, deque
from typing import Final

from center.broker import Message

COST_BYTES: Final = 1024
"""What a message costs beside its payload: small ones are bounded as well."""


class Inbox:
    """The messages of one worker; strangers' under the name "" wait in one line."""

    def __init__(self, most_bytes: int) -> None:
        self.dropped: Counter[str] = Counter()
        """How many messages were dropped, by gate, since somebody took them off this account."""
        self._most = most_bytes
        self._queues: dict[str, deque[Message]] = {}
        """In the order of their turns."""
        self._bytes: Counter[str] = Counter()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def put(self, gate: str, message: Message) -> None:
        """Take a message; that or others may be dropped for it."""
        self._queues.setdefault(gate, deque()).append(message)
        self._count(gate, message, 1)
        while self._size > self._most:
            fullest = max(self._bytes, key=self._bytes.__getitem__)
            self._count(fullest, self._queues[fullest].pop(), -1)
            self.dropped[fullest] += 1
            if not self._queues[fullest]:
                del self._queues[fullest]

    def take(self) -> Message | None:
        """The next message, of the gate whose turn it is; None where none waits."""
        gate = next(iter(self._queues), None)
        if gate is None:
            return None
        queue = self._queues.pop(gate)
        message = queue.popleft()
        if queue:
            self._queues[gate] = queue
        self._count(gate, message, -1)
        return message

    def _count(self, gate: str, message: Message, sign: int) -> None:
        size = sign * (len(message.payload) + COST_BYTES)
        self._size += size
        self._bytes[gate] += size
        if not self._bytes[gate]:
            del self._bytes[gate]
