"""What the broker is to hold of a repository."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tuf.api.metadata import Targets

from center.publish.metadata import PublishError
from protocol import blob, topics


@dataclass(frozen=True)
class Publications:
    """What the broker is to hold: `retain` in this order, then `clear` with empty messages."""

    retain: list[tuple[str, bytes]]
    clear: list[str]
    blobs: dict[str, int]
    """What `published` needs to know: each blob with its number of pieces."""


def publications(
    site: str,
    metadata: Iterable[Targets],
    fetch: Callable[[str], bytes | None],
    message: bytes,
    before: Mapping[str, int],
) -> Publications:
    """Every file that this metadata names, then the message. `before` are the blobs that the broker holds now."""
    retain: list[tuple[str, bytes]] = []
    blobs: dict[str, int] = {}
    for target in (target for signed in metadata for target in signed.targets.values()):
        name = target.hashes["sha256"]
        content = fetch(name)
        if content is None:
            raise PublishError(f"the repository is damaged: the file of {target.path} is lost")
        if name not in blobs:
            blobs[name] = blob.piece_count(len(content))
            parts = enumerate(blob.pieces(content))
            retain.extend((topics.blob(site, name, number), part) for number, part in parts)
    retain.append((topics.repository(site), message))
    clear = [
        topics.blob(site, name, number)
        for name, count in before.items()
        if name not in blobs
        for number in range(count)
    ]
    return Publications(retain, clear, blobs)
