"""What a proposal changes, and the targets metadata that says so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tuf.api.metadata import Metadata, TargetFile, Targets

from center.publish import lists
from center.publish.diff import treatments, unequal
from center.publish.lists import Published
from center.publish.metadata import Keyring, PublishError, delegations, until
from protocol import blob
from protocol import repository as names


@dataclass(frozen=True)
class Changes:
    """What is to be different. None leaves something as it is.

    `lines` are all lines of the new list, which writes down the state of affairs at `as_of`. `shrinks` and `unequal`
    are the explicit word that a loss of more than a tenth, or a different treatment of categories, is meant.
    """

    lines: Iterable[bytes | str] | None = None
    as_of: datetime | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)
    keyring: Keyring | None = None
    categories: Mapping[str, str] = field(default_factory=dict)
    shrinks: bool = False
    unequal: bool = False


def make_targets(
    changes: Changes, old: Targets | None, keyring: Keyring, earlier: list[Published], now: datetime
) -> tuple[Metadata[Targets], dict[str, bytes]]:
    """The unsigned targets that make these changes, and the new files. Raises PublishError.

    `earlier` are the lists that gates may still have, newest first; the newest one's file is among the files too, so
    that signers can be shown the difference.
    """
    if unknown := set(changes.documents) - set(names.DOCUMENTS):
        raise PublishError(f"no gate knows a document {min(unknown)}")
    files: dict[str, TargetFile] = dict(old.targets) if old is not None else {}
    blobs: dict[str, bytes] = {}
    if changes.lines is not None:
        files = {name: file for name, file in files.items() if name in names.DOCUMENTS}
        made, blobs = _list(changes, earlier, now)
        files |= made
    for name, content in changes.documents.items():
        if not 0 < len(content) <= names.DOCUMENT_MAX_BYTES:
            raise PublishError(f"{name} has {len(content)} bytes; gates take 1 to {names.DOCUMENT_MAX_BYTES}")
        files[name] = lists.target_file(name, content)
        blobs[blob.sha256(content)] = content
    targets = Targets(
        version=old.version + 1 if old is not None else 1,
        expires=until(now, names.TARGETS_LIFE_S),
        targets=files,
        delegations=delegations(keyring),
    )
    return Metadata(targets), blobs


def _list(changes: Changes, earlier: list[Published], now: datetime) -> tuple[dict[str, TargetFile], dict[str, bytes]]:
    lines = lists.canonical(changes.lines or ())
    if unequal(treatments(lines, changes.categories)) and not changes.unequal:
        raise PublishError("categories of holders are treated differently; if that is meant, say that it is unequal")
    as_of = changes.as_of or now
    made, blobs = lists.make(lines, earlier, as_of=as_of, shrinks=changes.shrinks, unequal=changes.unequal)
    for old in earlier[:1]:
        blobs[blob.sha256(old.data)] = old.data
    return made, blobs
