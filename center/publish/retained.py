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
    _otherwise: set[str] = field(default_factory=set)
    """Topics of which the broker last said something else than it was told."""

    def due(self, wanted: Publications) -> Due:
        """What is to be said so that the broker holds this."""
        named = {topic for topic, _ in wanted.retain}
        for topic in list(self._held):
            if topic not in named:
                self._held.pop(topic, None)  # cleared: here, or by another process
        missing = [(topic, payload) for topic, payload in wanted.retain if self._held.get(topic) != _mark(payload)]
        repository = topics.repository(self.site)
        return Due(
            [one for one in missing if one[0] != repository],
            [one for one in missing if one[0] == repository],
            [(topic, b"") for topic in wanted.clear],
        )

    def saying(self, topic: str, payload: bytes) -> None:
        """Take word that the broker is told this. If it does not come to that, neither does this connection go on."""
        self._otherwise.discard(topic)
        if payload:
            self._held[topic] = _mark(payload)
        else:
            self._held.pop(topic, None)

    def heard(self, topic: str, payload: bytes) -> None:
        """Take what the broker says that it holds; an empty payload says that it has been cleared."""
        if self._held.get(topic) in {None, _mark(payload)}:
            self._otherwise.discard(topic)
        else:
            self._otherwise.add(topic)

    @property
    def contradicted(self) -> int:
        """Of how many topics the broker last said something else than it was told."""
        return len(self._otherwise & self._held.keys())

    def forget(self) -> None:
        """What the broker holds otherwise is to be said again."""
        for topic in self._otherwise:
            self._held.pop(topic, None)
        self._otherwise.clear()


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
