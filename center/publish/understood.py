"""Whether a bundle is understood whole: a signer is shown all that a signature would say, or signs nothing.

`diff` shows lists, documents and keys. Here everything is refused that it would pass over: fields and targets that
nobody knows, lines that are none, powers wider than they are meant to be, files that are lacking, a delta that would
make another list than the one that is shown.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, TypeVar

from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, Key, Metadata, Root, TargetFile, Targets

from center.publish import lists
from center.publish.bundle import Bundle
from center.publish.diff import Diff, gate_list
from center.publish.metadata import PublishError, read, tuf_key
from protocol import gates
from protocol import repository as names
from protocol.repository import DeltaTarget, ListTarget, MalformedError
from protocol.roles import THRESHOLDS, parse_enrolment
from protocol.whitelist import LineError, encode, parse

_Said = TypeVar("_Said", ListTarget, DeltaTarget)


def understand(bundle: Bundle, shown: Diff) -> None:
    """Raises PublishError, BlobError where a bundle holds anything that `shown`, its diff, does not show."""
    old = bundle.trusted.get(Targets.type)
    trusted = read(Targets, old).signed if old is not None else Targets()
    for data in bundle.proposed.values():
        _plain(Metadata.from_bytes(data))
    if Root.type in bundle.proposed:
        _root(bundle.root)
    if Targets.type in bundle.proposed and bundle.targets is not None:
        if bundle.targets.version != trusted.version + 1 and old is not None:
            raise PublishError(f"targets {bundle.targets.version} does not follow targets {trusted.version}")
        _delegations(bundle.targets)
        _targets(bundle, bundle.targets, trusted)
        _lines(chain(shown.added, (new for _, new in shown.changed)))
    if names.ENROLMENTS in bundle.proposed:
        enrolments(bundle)
    _nothing_more(bundle, trusted)


def enrolments(bundle: Bundle) -> list[bytes]:
    """The lines that registrars are to vouch for, all of them, old and new. Raises PublishError."""
    if names.ENROLMENTS not in bundle.proposed:
        return []
    signed = read(Targets, bundle.proposed[names.ENROLMENTS]).signed
    file = names.FILE_OF[names.ENROLMENTS]
    if set(signed.targets) - {file} or signed.delegations is not None:
        raise PublishError("what registrars sign has a file that is none of theirs")
    if file not in signed.targets:
        return []
    lines = _file(bundle, signed.targets[file]).splitlines()
    for line in lines:
        try:
            parse_enrolment(line)
        except LineError as error:
            raise PublishError(f"a line of the enrolments is none: {error}") from error
    return lines


def documents(bundle: Bundle) -> dict[str, bytes]:
    """The documents that the bundle changes, as they are to be."""
    if Targets.type not in bundle.proposed or bundle.targets is None:
        return {}
    old = bundle.trusted.get(Targets.type)
    before = read(Targets, old).signed.targets if old is not None else {}
    return {
        name: _file(bundle, target)
        for name, target in bundle.targets.targets.items()
        if name in names.DOCUMENTS and (name not in before or before[name].hashes != target.hashes)
    }


def _plain(metadata: Metadata[Any]) -> None:
    if metadata.unrecognized_fields or metadata.signed.unrecognized_fields:
        raise PublishError("the bundle has fields that this program does not know; sign with a newer one")


def _root(root: Root) -> None:
    if not root.consistent_snapshot or set(root.roles) != TOP_LEVEL_ROLE_NAMES:
        raise PublishError("the proposed root is not of the kind that this program makes")
    if any(role.unrecognized_fields for role in root.roles.values()):
        raise PublishError("a role of the proposed root has fields that this program does not know")
    _keys(root.keys)


def _keys(keys: Mapping[str, Key]) -> None:
    for keyid, key in keys.items():
        if key.keytype != "ed25519" or tuf_key(str(key.keyval.get("public"))).keyid != keyid:
            raise PublishError(f"the key {keyid[:16]} is not what its name says")


def _delegations(new: Targets) -> None:
    if new.delegations is None or set(new.delegations.roles or ()) - set(names.FILE_OF):
        raise PublishError("the bundle gives power to a role that this program does not know")
    _keys(new.delegations.keys)
    for name, role in (new.delegations.roles or {}).items():
        narrow = role.paths == [names.FILE_OF[name]] and role.terminating and not role.path_hash_prefixes
        if not narrow or role.unrecognized_fields or role.threshold < THRESHOLDS[name]:
            raise PublishError(f"the bundle gives {name} more power than it may have")


def _targets(bundle: Bundle, new: Targets, old: Targets) -> None:
    listed = new.targets.get(names.WHITELIST)
    deltas = set(_said(ListTarget, listed).deltas) if listed is not None else set()
    if unknown := set(new.targets) - {names.WHITELIST, *names.DOCUMENTS} - deltas:
        raise PublishError(f"no gate knows a file {min(unknown)}")
    for name in names.DOCUMENTS:
        if name in new.targets and _custom(new.targets[name]):
            raise PublishError(f"of {name} something is said that this program does not know")
    for document in documents(bundle).values():
        _json(document)
    _gates(bundle, new, old)
    before = old.targets.get(names.WHITELIST)
    if listed is not None and before != listed:
        _list(bundle, new, listed, None if before is None else lists.described(before))
    elif any(new.targets.get(name) != old.targets.get(name) for name in deltas):
        raise PublishError("the bundle has other deltas of the same list")
    if before is not None and listed is None:
        raise PublishError("the bundle takes the list away; a list without entries would be right")


def _gates(bundle: Bundle, new: Targets, old: Targets) -> None:
    if new.targets.get(gates.DOCUMENT) == old.targets.get(gates.DOCUMENT):
        return
    before, after = gate_list(bundle, old), gate_list(bundle, new)
    if after is None:
        raise PublishError("the bundle takes the list of gates away; gates would keep the one before")
    if after.version != (before.version if before else 0) + 1:
        raise PublishError(f"list of gates {after.version} does not follow the one in force")
    if gates.encode(after) != bundle.blobs[new.targets[gates.DOCUMENT].hashes["sha256"]]:
        raise PublishError("the list of gates is not written as it should be, or has fields that are not shown")


def _list(bundle: Bundle, new: Targets, target: TargetFile, before: ListTarget | None) -> None:
    said = _said(ListTarget, target)
    if said.version != (before.version if before else 0) + 1 or said.previous != (before.version if before else None):
        raise PublishError(f"list {said.version} does not follow the list in force")
    digest, count, length = hashlib.sha256(), 0, 0
    for line in lists.read(_file(bundle, target), said.bytes):
        digest.update(line + b"\n")
        count += 1
        length += len(line) + 1
    if (digest.hexdigest(), count, length) != (said.result_sha256, said.entries, said.bytes):
        raise PublishError("the list in the bundle is not the one that is to be signed")
    for name in said.deltas:
        made = _said(DeltaTarget, new.targets[name]) if name in new.targets else None
        if made is None or (made.version, made.result_sha256) != (said.version, said.result_sha256):
            raise PublishError(f"{name} would make another list than the one that is shown")
        _file(bundle, new.targets[name])


def _lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        try:
            canonical = encode(parse(line))
        except LineError as error:
            raise PublishError(f"a line of the list is none: {error}") from error
        if canonical != line:
            raise PublishError(f"a line of the list is not written as it should be: {line[:80]!r}")


def _nothing_more(bundle: Bundle, trusted: Targets) -> None:
    """Every file in the bundle is one that its metadata names."""
    proposed = [read(Targets, data).signed for role, data in bundle.proposed.items() if role != Root.type]
    named = {target.hashes.get("sha256") for signed in (trusted, *proposed) for target in signed.targets.values()}
    if set(bundle.blobs) - named:
        raise PublishError("the bundle holds a file that nothing in it names")


def _file(bundle: Bundle, target: TargetFile) -> bytes:
    data = bundle.blobs.get(target.hashes.get("sha256", ""))
    if data is None or set(target.hashes) != {"sha256"} or len(data) != target.length:
        raise PublishError(f"{target.path} is not in the bundle, or is another file")
    return data


def _custom(target: TargetFile) -> dict[str, Any]:
    fields = dict(target.unrecognized_fields)
    custom = fields.pop("custom", {})
    if fields or not isinstance(custom, dict):
        raise PublishError(f"{target.path} has fields that this program does not know")
    return custom


def _said(kind: type[_Said], target: TargetFile) -> _Said:
    custom = _custom(target)
    if unknown := set(custom) - set(kind.known()):
        raise PublishError(f"of {target.path} {min(unknown)} is said, which this program does not know")
    try:
        return kind.read(custom)
    except MalformedError as error:
        raise PublishError(f"what is said of {target.path} is not understood") from error


def _json(document: bytes) -> None:
    try:
        json.loads(document)
    except (ValueError, RecursionError) as error:
        raise PublishError("a document in the bundle is no JSON") from error
