"""What one connection to the broker has been told to retain, and what is still to be said. Pure.

Files first, then the message that names them, then what nobody names any more is cleared: a gate never hears of a file
that is not there.
"""

import hashlib
from dataclasses import dataclass, field, replace

from center.publish.publications import Publications
from protocol import topics


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be said: each step whole before the next. An empty payload clears a topic."""

    files: list[tuple[str, bytes]]
    message: list[tuple[str, bytes]]
    clear: list[tuple[str, bytes]]

    @property
    def steps(self) -> tuple[list[tuple[str, bytes]], ...]:
        """In their order."""
        return self.files, self.message, self.clear

    @property
    def length(self) -> int:
        """How many bytes that is."""
        return sum(len(payload) for step in self.steps for _, payload in step)


@dataclass
class Retained:
    """What the broker retains, as far as this connection has seen to it. A new connection knows nothing."""

    site: str
    _held: dict[str, bytes] = field(default_factory=dict)
    _heard: dict[str, bytes] = field(default_factory=dict)

    def due(self, wanted: Publications) -> Due:
        """What is to be said so that the broker holds this."""
        missing = [(topic, payload) for topic, payload in wanted.retain if self._held.get(topic) != _mark(payload)]
        repository = topics.repository(self.site)
        return Due(
            [one for one in missing if one[0] != repository],
            [one for one in missing if one[0] == repository],
            [(topic, b"") for topic in wanted.clear],
        )

    def saying(self, topic: str, payload: bytes) -> None:
        """Take word that the broker is told this. If it does not come to that, neither does this connection go on."""
        if payload:
            self._held[topic] = _mark(payload)
        else:
            self._held.pop(topic, None)

    def heard(self, topic: str, payload: bytes) -> None:
        """Take what the broker says that it holds."""
        self._heard[topic] = _mark(payload)

    @property
    def contradicted(self) -> bool:
        """Whether the broker last said something else of a topic than it was told."""
        return any(self._held.get(topic, mark) != mark for topic, mark in self._heard.items())

    def forget(self) -> None:
        """What the broker holds otherwise is to be said again."""
        for topic, mark in self._heard.items():
            if self._held.get(topic, mark) != mark:
                del self._held[topic]


def meaning(wanted: Publications) -> Publications:
    """What the repository is to remember before any of it is said: what may be at the broker, old and new.

    If saying it breaks off, all of that is looked at again, and nothing stays there that nobody names.
    """
    counts = dict(wanted.blobs)
    for topic in wanted.clear:
        address = topics.parse(topic)
        if isinstance(address, topics.BlobAddress):
            counts[address.sha256] = max(counts.get(address.sha256, 0), address.piece + 1)
    return replace(wanted, blobs=counts)


def _mark(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
