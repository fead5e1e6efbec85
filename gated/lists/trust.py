"""What the gate may believe: the repository's metadata, verified as TUF's client workflow says (specification 5.3).

`tuf.ngclient` does the work; what is here is where it reads from, what time it is, and what it may not do:

- It reads the files of one received message. A file that is not in it is the server's 404.
- It starts from the root that the gate was enrolled with, and works on a copy of the metadata folder. Whatever of it
  was verified is kept, even where a later step fails: a new root that revokes keys counts although the attacker keeps
  the list from us; and nothing is ever rolled back (5.3.9).
- Expiry is judged by the time it is given: the gate's validity time, not the machine's clock.
- The list and the documents are those of `targets` itself. A delegated role has its one file, at least the signatures
  that `protocol.roles` demands, and no say in anything else; where one fails, the others stand.

This module is imported by the process that builds lists only: tuf costs 25 MB and a tenth of a second.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from tuf.api.exceptions import DownloadError, DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import DelegatedRole, Key, TargetFile, Targets

from gated.lists import trust_folder
from gated.lists.tuf_client import FetcherInterface, Updater, UpdaterConfig
from protocol import repository as names
from protocol.roles import THRESHOLDS

_URL: Final = "repo:/"
_CONFIG: Final = UpdaterConfig(
    max_root_rotations=256,
    root_max_length=names.ROOT_MAX_BYTES,
    timestamp_max_length=names.TIMESTAMP_MAX_BYTES,
    snapshot_max_length=names.SNAPSHOT_MAX_BYTES,
    targets_max_length=names.TARGETS_MAX_BYTES,
)


class TrustError(Exception):
    """The metadata cannot be believed; what was believed before still is. `expired`: it only has run out."""

    def __init__(self, why: str, *, expired: bool = False) -> None:
        super().__init__(why)
        self.expired = expired


@dataclass(frozen=True)
class Trusted:
    """What verified metadata says.

    `vouched` is when the center last signed (POSIX s), `expires` when the first of the signatures runs out. `roles`
    has each delegated role that could be verified, with its version and its file, if it has one.
    """

    snapshot: int
    vouched: float
    expires: float
    targets: Mapping[str, TargetFile]
    roles: Mapping[str, tuple[int, TargetFile | None]]
    troubles: tuple[str, ...]


def refresh(
    state: Path, enrolled: bytes, message: bytes, validity: float, believed: Callable[[], None] = lambda: None
) -> Trusted:
    """Take up what the message says, at this validity time (POSIX s). Raises TrustError, OSError.

    `believed` is told that all of it was verified, before anything older than it is refused.
    """
    try:
        files = names.decode(message)
    except names.MalformedError as error:
        raise TrustError(str(error)) from error
    failure: Exception | None = None
    found: Trusted | None = None
    with trust_folder.changing(state) as folder:
        try:
            found = _Updater(folder / trust_folder.METADATA, enrolled, files, validity).all()
            believed()
        except (RepositoryError, DownloadError) as error:
            failure = error
    if found is None:
        raise _error(failure) from failure
    return found


class _Fetcher(FetcherInterface):
    """Serves the files of a message."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(_URL)
        if name not in self._files:
            raise DownloadHTTPError(f"{name} is not in the repository's message", 404)
        return iter((self._files[name],))


class _Updater(Updater):
    """ngclient's updater at a time of ours."""

    def __init__(self, folder: Path, enrolled: bytes, files: Mapping[str, bytes], validity: float) -> None:
        super().__init__(str(folder), _URL, fetcher=_Fetcher(files), config=_CONFIG, bootstrap=enrolled)
        # The set takes the machine's time when it is made, and judges nothing by it before this line: a root that it
        # starts from may have expired.
        self._trusted_set.reference_time = datetime.fromtimestamp(validity, UTC)

    def all(self) -> Trusted:
        """Everything that can be verified. Raises RepositoryError, DownloadError where the top level cannot."""
        self.refresh()
        held = self._trusted_set
        top = held.targets
        roles: dict[str, tuple[int, TargetFile | None]] = {}
        troubles = []
        for name in THRESHOLDS:
            try:
                found = self._delegated(top, name)
            except (RepositoryError, DownloadError) as error:
                troubles.append(f"{name}: {error}")
            else:
                if found is not None:
                    roles[name] = found
        timestamp = held.timestamp.expires.timestamp()
        expiries = (held.root.expires, held.snapshot.expires, top.expires)
        return Trusted(
            held.snapshot.version,
            timestamp - names.TIMESTAMP_LIFE_S,
            min(timestamp, *(moment.timestamp() for moment in expiries)),
            dict(top.targets),
            roles,
            tuple(troubles),
        )

    def _delegated(self, top: Targets, name: str) -> tuple[int, TargetFile | None] | None:
        """A role's version and file; None where the repository has no such role yet."""
        held = self._trusted_set
        role = top.delegations.roles.get(name) if top.delegations and top.delegations.roles else None
        if role is None or f"{name}.json" not in held.snapshot.meta:
            return None
        file = names.FILE_OF[name]
        _check(role, top.delegations.keys if top.delegations else {}, file)
        if file in top.targets:
            raise RepositoryError(f"{file} is named by targets itself")
        target = self.get_targetinfo(file)
        if not held.contains(name, Targets.type):
            raise RepositoryError(f"another role answers for {file}")
        metadata = cast("Targets", held[name])
        if metadata.targets.get(file) is not target:
            raise RepositoryError(f"another role answers for {file}")
        return metadata.version, target


def _check(role: DelegatedRole, keys: Mapping[str, Key], file: str) -> None:
    """A delegation is taken only as narrow as it is meant to be."""
    if role.paths != [file]:
        raise RepositoryError(f"{role.name} may sign more than {file}")
    different = {str(keys[keyid].keyval.get("public")) for keyid in role.keyids}
    if role.threshold < THRESHOLDS[role.name] or len(different) != len(role.keyids):
        raise RepositoryError(f"{role.name} takes {THRESHOLDS[role.name]} signatures of different keys")


def _error(failure: Exception | None) -> TrustError:
    if isinstance(failure, ExpiredMetadataError):
        return TrustError(f"the signatures have run out: {failure}", expired=True)
    return TrustError(f"not to be believed: {failure}")
