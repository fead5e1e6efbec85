"""A bundle: one file with all that signers need to see what they sign, and their signatures.

It is carried between them by any means. Each signs alone (`sign`), one after the other or each a copy of their own
(`merge`). Nothing in it is trusted because it is in it: a signature covers the metadata, the metadata names its files
by hash, and what is said to be in force now has the signatures of the root that the signer holds (`checked`).
"""

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from center.publish.metadata import PublishError, read, signer, tuf_key
from protocol import repository as names
from protocol.blob import sha256
from protocol.signature import public_bytes

FORMAT: Final = "gated-bundle/1"
_KEYS: Final = {"format", "site", "trusted", "proposed", "blobs", "categories"}
SIGNABLE: Final = (Root.type, Targets.type, names.ENROLMENTS)


@dataclass(frozen=True)
class Bundle:
    """What is proposed. `trusted` is what is in force (root, targets), `proposed` what is to be, by role.

    `blobs` has the new files and, of the list in force, the old one; `categories` says of holders, by their random
    names, what kind they are. That is for the diff only, and is signed by nobody.
    """

    site: str
    trusted: dict[str, bytes]
    proposed: dict[str, bytes]
    blobs: dict[str, bytes] = field(default_factory=dict, repr=False)
    categories: dict[str, str] = field(default_factory=dict, repr=False)

    def to_bytes(self) -> bytes:
        """The file."""
        return json.dumps(
            {
                "format": FORMAT,
                "site": self.site,
                "trusted": {role: data.decode() for role, data in self.trusted.items()},
                "proposed": {role: data.decode() for role, data in self.proposed.items()},
                "blobs": {name: base64.b64encode(data).decode() for name, data in self.blobs.items()},
                "categories": self.categories,
            },
            ensure_ascii=False,
            indent=1,
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        """The bundle in a file. Raises PublishError for whatever is none."""
        try:
            value: dict[str, Any] = json.loads(data)
            if value["format"] != FORMAT or set(value) != _KEYS:
                raise PublishError(f"a bundle of format {value['format']!r} is of another version of this program")
            bundle = cls(
                str(value["site"]),
                {role: text.encode() for role, text in value["trusted"].items()},
                {role: text.encode() for role, text in value["proposed"].items()},
                {name: base64.b64decode(text, validate=True) for name, text in value["blobs"].items()},
                {str(holder): str(category) for holder, category in value["categories"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PublishError("the file is no bundle, or a damaged one") from error
        if set(bundle.proposed) - set(SIGNABLE) or not bundle.proposed or Root.type not in bundle.trusted:
            raise PublishError("the bundle proposes something that is not signed this way")
        for name, blob in bundle.blobs.items():
            if sha256(blob) != name:
                raise PublishError("a file in the bundle is damaged")
        return bundle

    @property
    def root(self) -> Root:
        """The root that is to be in force."""
        return read(Root, self.proposed.get(Root.type) or self.trusted[Root.type]).signed

    @property
    def targets(self) -> Targets | None:
        """The targets that are to be in force."""
        data = self.proposed.get(Targets.type) or self.trusted.get(Targets.type)
        return read(Targets, data).signed if data is not None else None


def sign(bundle: Bundle, key: Ed25519PrivateKey) -> Bundle:
    """The bundle with this key's signature wherever it counts. Raises PublishError where it counts nowhere."""
    keyid = tuf_key(public_bytes(key).hex()).keyid
    proposed = dict(bundle.proposed)
    for role, data in bundle.proposed.items():
        if keyid in _entitled(bundle, role):
            metadata: Metadata[Any] = Metadata.from_bytes(data)
            metadata.sign(signer(key), append=True)
            proposed[role] = metadata.to_bytes()
    if proposed == bundle.proposed:
        raise PublishError("this key may sign nothing in this bundle, or has signed it already")
    return replace(bundle, proposed=proposed)


def merge(one: Bundle, other: Bundle) -> Bundle:
    """The bundle with the signatures of both copies. Raises PublishError where they are not of the same proposal."""
    proposed = {}
    for role, data in one.proposed.items():
        ours: Metadata[Any] = Metadata.from_bytes(data)
        theirs: Metadata[Any] = Metadata.from_bytes(other.proposed.get(role, data))
        if ours.signed_bytes != theirs.signed_bytes or set(one.proposed) != set(other.proposed):
            raise PublishError("the two files are of different proposals")
        ours.signatures.update(theirs.signatures)
        proposed[role] = ours.to_bytes()
    return replace(one, proposed=proposed)


def missing(bundle: Bundle) -> dict[str, int]:
    """How many signatures each proposed role still lacks; those that have enough are left out."""
    lacking = {}
    for role, data in bundle.proposed.items():
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        found = [
            delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures).missing
            for delegator in _delegators(bundle, role)
        ]
        if max(found) > 0:
            lacking[role] = max(found)
    return lacking


def signatures(bundle: Bundle) -> dict[str, tuple[int, int]]:
    """Of each proposed role, how many signatures that count are there, and how many it takes."""
    found = {}
    for role, data in bundle.proposed.items():
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        results = [
            delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
            for delegator in _delegators(bundle, role)
        ]
        least = max(results, key=lambda result: result.missing)
        found[role] = (len(least.signed), least.threshold)
    return found


def check(bundle: Bundle) -> None:
    """Raises PublishError where a signature is lacking, or what is proposed cannot follow what is in force."""
    if lacking := missing(bundle):
        words = ", ".join(f"{count} more for {role}" for role, count in lacking.items())
        raise PublishError(f"signatures are missing: {words}")
    for role, data in bundle.proposed.items():
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        if role == Root.type:
            trusted = read(Root, bundle.trusted[Root.type]).signed
            if metadata.signed.version != trusted.version + 1:
                raise PublishError(f"root {metadata.signed.version} does not follow root {trusted.version}")


def checked(bundle: Bundle, root: bytes) -> None:
    """Whether what the bundle says is in force is so, for a signer who holds `root`. Raises PublishError."""
    held, said = read(Root, root).signed, read(Root, bundle.trusted[Root.type])
    if held.version == said.signed.version and bundle.trusted[Root.type] != root:
        raise PublishError("the bundle says that another root is in force than the one you hold")
    if Targets.type in bundle.trusted:
        targets = read(Targets, bundle.trusted[Targets.type])
        try:
            said.signed.verify_delegate(Targets.type, targets.signed_bytes, targets.signatures)
        except RepositoryError as error:
            raise PublishError(f"what the bundle says is in force is not signed: {error}") from error


def _delegators(bundle: Bundle, role: str) -> list[Root | Targets]:
    """Who must be satisfied with a role's signatures: a new root satisfies the old one and itself (TUF 5.3.4)."""
    if role == Root.type:
        return [read(Root, bundle.trusted[Root.type]).signed, bundle.root]
    if role == Targets.type:
        return [bundle.root]
    if bundle.targets is None:
        raise PublishError("there is no targets metadata that could delegate to anybody")
    return [bundle.targets]


def _entitled(bundle: Bundle, role: str) -> set[str]:
    return {keyid for delegator in _delegators(bundle, role) for keyid in delegator.get_delegated_role(role).keyids}
