"""A site's folder that was restored from a backup catches up with what the broker still holds of its own.

Gates refuse whatever is older than what they have: a repository that went back would be believed no more. What it had
published since lies at the broker, signed by its own keys, and is taken back: metadata that verifies from the root that
the folder has, and the files that it names.

Where both have gone on, nothing is taken: that needs a person.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from center.broker import Account, Message, connected
from center.publish.metadata import PublishError, read
from center.publish.opened import changing, repository, settle
from center.publish.repository import Repository
from center.publish.vault import FolderVault
from center.site.folder import Site
from protocol import blob, topics
from protocol import repository as names

WAIT_S: Final = 0.5
"""How long a broker may take to say what it holds; one that holds nothing says nothing."""
_PIECES_S: Final = 60.0


async def catch_up(site: Site, account: Account) -> bool:
    """Take back what the broker holds and the folder lacks; whether there was any.

    Raises BrokerAwayError, PublishError, SiteError, OSError.
    """
    message = await held(account, topics.repository(site.name))
    if message is None:
        return False
    mine = await asyncio.to_thread(repository, site)
    files = await asyncio.to_thread(newer, mine, message)
    if not files:
        return False
    vault = FolderVault(site.repository)
    lacking = {name: length for name, length in _blobs(files) if vault.get(f"blob-{name}") is None}
    blobs = await _fetched(account, site.name, lacking)

    def take() -> None:
        with changing(site):
            last = files.pop("timestamp.json")
            vault.put({f"blob-{name}": data for name, data in blobs.items()} | files | {"timestamp.json": last})
            settle(site, repository(site))

    await asyncio.to_thread(take)
    return True


def newer(mine: Repository, message: bytes) -> dict[str, bytes]:
    """The files of the message, if they are this repository's own and newer; else none.

    Raises PublishError where each of the two has something that the other has not.
    """
    try:
        files = names.decode(message)
        theirs, versions = verified(mine.roots, files)
    except (names.MalformedError, RepositoryError, PublishError, KeyError):
        return {}  # whatever it is, it was not signed by us: it is overwritten
    ours = mine.versions
    ahead = {role for role, version in versions.items() if version > ours.get(role, 0)}
    behind = {role for role, version in ours.items() if version > versions.get(role, 0)}
    # A timestamp alone is no history: the folder signs one each hour, also where it does not know better.
    if not ahead - {Timestamp.type} and not (ahead and not behind):
        return {}
    if behind - {Timestamp.type}:
        raise PublishError(
            "the broker holds a newer list than this folder, and this folder has gone on from an older one: "
            "was it restored from a backup? Restore it again, and start the center before anything is changed"
        )
    return theirs


def verified(roots: list[bytes], files: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, int]]:
    """The files that verify from these roots, oldest first, and each role's version.

    Whether they are still valid is not asked. Raises RepositoryError, PublishError, KeyError.
    """
    found: dict[str, bytes] = {}
    root = read(Root, roots[0])
    number = first = root.signed.version
    while (data := files.get(f"{number}.root.json")) is not None:
        new = read(Root, data)
        if number - first < len(roots) and data != roots[number - first]:
            raise PublishError("another root")
        for by in (root.signed, new.signed):
            by.verify_delegate(Root.type, new.signed_bytes, new.signatures)
        found[f"{number}.root.json"], root, number = data, new, number + 1
    if number - first < len(roots):
        raise PublishError("a root of ours is missing")
    timestamp = _of(Timestamp, files["timestamp.json"], root.signed)
    version = timestamp.snapshot_meta.version
    data = files[f"{version}.snapshot.json"]
    timestamp.snapshot_meta.verify_length_and_hashes(data)
    snapshot = _of(Snapshot, data, root.signed)
    found |= {"timestamp.json": files["timestamp.json"], f"{version}.snapshot.json": data}
    versions = {Root.type: number - 1, Timestamp.type: timestamp.version, Snapshot.type: snapshot.version}
    for name, meta in snapshot.meta.items():
        data = files[f"{meta.version}.{name}"]
        meta.verify_length_and_hashes(data)
        found[f"{meta.version}.{name}"] = data
        versions[name.removesuffix(".json")] = meta.version
    targets = found[f"{versions[Targets.type]}.targets.json"]
    _of(Targets, targets, root.signed)
    return found, versions


def _of(kind: type[Any], data: bytes, root: Root) -> Any:
    metadata = read(kind, data)
    root.verify_delegate(kind.type, metadata.signed_bytes, metadata.signatures)
    return metadata.signed


def _blobs(files: Mapping[str, bytes]) -> Iterable[tuple[str, int]]:
    """The files that this metadata names, with their lengths."""
    for data in files.values():
        signed: Any = Metadata.from_bytes(data).signed
        if isinstance(signed, Targets):
            yield from ((target.hashes["sha256"], target.length) for target in signed.targets.values())


async def held(account: Account, topic: str) -> bytes | None:
    """What the broker retains there, if it says so in time. Raises BrokerAwayError."""
    async with connected(account, [topic]) as link:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                async for message in link.messages():
                    link.done(message)
                    return message.payload or None
    return None


async def _fetched(account: Account, site: str, wanted: Mapping[str, int]) -> dict[str, bytes]:
    """These blobs. Raises PublishError where the broker does not hold all of one."""
    pieces = {
        topics.blob(site, name, number): (name, number)
        for name, length in wanted.items()
        for number in range(blob.piece_count(length))
    }
    held: dict[tuple[str, int], bytes] = {}
    if pieces:
        try:
            async with asyncio.timeout(_PIECES_S), connected(account, list(pieces)) as link:
                async for message in link.messages():
                    link.done(message)
                    _take(message, pieces, held)
                    if len(held) == len(pieces):
                        break
        except TimeoutError as error:
            raise PublishError("the broker holds a newer list than this folder, and not all of its pieces") from error
    found = {
        name: b"".join(held[name, number] for number in range(blob.piece_count(length)))
        for name, length in wanted.items()
    }
    if any(blob.sha256(data) != name for name, data in found.items()):
        raise PublishError("the broker holds a newer list than this folder, with other pieces than were signed")
    return found


def _take(message: Message, pieces: Mapping[str, tuple[str, int]], held: dict[tuple[str, int], bytes]) -> None:
    place = pieces.get(message.topic)
    if place is not None and message.payload:
        held[place] = message.payload
