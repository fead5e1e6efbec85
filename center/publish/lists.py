"""Lists and their deltas as targets: made, named, described in `custom`, and read back."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tuf.api.metadata import TargetFile, Targets

from center.publish.metadata import PublishError
from protocol import blob, delta
from protocol import repository as names
from protocol.repository import DeltaTarget, ListTarget
from protocol.whitelist import LINE_MAX_BYTES, LineError, encode, parse, write_time

DELTAS: Final = 6
"""How many earlier lists a delta is made from; a gate that has an older one takes the whole list."""
LOSS_MAX: Final = 0.1


@dataclass(frozen=True)
class Published:
    """A list that is, or was, published: what is said of it, and its compressed lines."""

    target: ListTarget
    data: bytes

    def lines(self) -> Iterator[bytes]:
        """Its lines."""
        return read(self.data, self.target.bytes)


def read(data: bytes, most_bytes: int) -> Iterator[bytes]:
    """The lines of a compressed list or delta. Raises BlobError."""
    return blob.lines(blob.decompress((data,), most_bytes), LINE_MAX_BYTES)


def pack(lines: Iterable[bytes]) -> tuple[bytes, str, int, int]:
    """The lines compressed; their sha256, their length together, and how many they are."""
    held = list(lines)
    return blob.compress(line + b"\n" for line in held), delta.hashed(held), sum(map(len, held)) + len(held), len(held)


def canonical(lines: Iterable[bytes | str]) -> list[bytes]:
    """Any lines of a list as they are published: canonical, sorted by credential. Raises PublishError."""
    found: dict[bytes, bytes] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = parse(line)
        except LineError as error:
            raise PublishError(f"line {number}: {error}") from error
        if entry.gone and entry.ends is None:
            raise PublishError(f"line {number}: a card is kept as gone until it expires; give it until")
        key = entry.credential.encode()
        if key in found:
            raise PublishError(f"line {number}: {entry.credential} is on the list already")
        found[key] = encode(entry)
    return [found[key] for key in sorted(found)]


def described(target: TargetFile) -> ListTarget:
    """What is said of a list."""
    return ListTarget.read(target.custom)


def make(
    lines: Iterable[bytes | str],
    earlier: list[Published],
    *,
    as_of: datetime,
    shrinks: bool,
    unequal: bool,
) -> tuple[dict[str, TargetFile], dict[str, bytes]]:
    """The targets of a new list and its deltas, and their blobs.

    `earlier` are lists still to be found at gates, newest first. Raises PublishError for a list that needs the
    signers' word and has it not.
    """
    new = canonical(lines)
    data, digest, length, entries = pack(new)
    previous = earlier[0] if earlier else None
    version = previous.target.version + 1 if previous else 1
    if previous is not None and not shrinks and (lost := _lost(previous.lines(), new)) > LOSS_MAX:
        raise PublishError(f"the list takes out {lost:.0%} of the one in force; if that is meant, say that it shrinks")
    targets: dict[str, TargetFile] = {}
    blobs = {blob.sha256(data): data}
    for old in earlier[:DELTAS]:
        made = _delta(old, new, digest, version)
        if len(made[1]) * 2 < len(data):
            targets[made[0].path] = made[0]
            blobs[blob.sha256(made[1])] = made[1]
    said = ListTarget(
        version=version,
        as_of=write_time(as_of.timestamp()),
        result_sha256=digest,
        entries=entries,
        bytes=length,
        previous=previous.target.version if previous else None,
        shrinks=shrinks,
        unequal=unequal,
        deltas=tuple(targets),
    )
    targets[names.WHITELIST] = target_file(names.WHITELIST, data, said.custom())
    return targets, blobs


def target_file(name: str, data: bytes, custom: dict[str, object] | None = None) -> TargetFile:
    """A target, with what is said of it."""
    made = TargetFile.from_data(name, data, ["sha256"])
    if custom is not None:
        made.unrecognized_fields["custom"] = custom
    return made


def of(targets: Targets, fetch: Callable[[str], bytes | None]) -> Published | None:
    """The list of this metadata; None where it has none, or its blob is no longer kept."""
    target = targets.targets.get(names.WHITELIST)
    if target is None:
        return None
    data = fetch(target.hashes["sha256"])
    return Published(described(target), data) if data is not None else None


def _delta(old: Published, new: list[bytes], digest: str, version: int) -> tuple[TargetFile, bytes]:
    data, _, length, _ = pack(delta.make(old.lines(), new))
    said = DeltaTarget(
        version=version,
        base=old.target.version,
        base_sha256=old.target.result_sha256,
        result_sha256=digest,
        bytes=length,
    )
    name = names.delta_name(old.target.version, version)
    return target_file(name, data, said.custom()), data


def _lost(old: Iterable[bytes], new: Iterable[bytes]) -> float:
    """The share of the credentials in force that the new list takes out."""
    kept = {delta.key(line) for line in new if not parse(line).gone}
    before = [delta.key(line) for line in old if not parse(line).gone]
    return sum(key not in kept for key in before) / len(before) if before else 0.0
