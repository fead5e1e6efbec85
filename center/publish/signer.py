"""What a signer's own machine remembers beside the key, so that no center can tell it what is in force.

`N.seen.json` has the fingerprints of the roots that this key has signed under, and of those that it has signed itself.
A bundle that starts from another root of a version that was seen is refused; one that starts from a root that this
signer has neither seen nor signed is a warning, with a fingerprint to compare.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from center.publish.bundle import Bundle, checked
from center.publish.metadata import PublishError, read
from center.site import files


def fingerprint(root: bytes) -> str:
    """Of what a root says, whoever has signed it by now: 16 hex digits to read over the telephone."""
    return hashlib.sha256(Metadata[Root].from_bytes(root).signed_bytes).hexdigest()[:16]


@dataclass
class Memory:
    """The roots that are known; none at the first signature."""

    path: Path
    site: str | None = None
    roots: dict[int, str] = field(default_factory=dict)
    signed: list[str] = field(default_factory=list)

    @classmethod
    def beside(cls, key: Path) -> "Memory":
        """The memory of this key. Raises PublishError where its file is damaged."""
        path = key.with_suffix(".seen.json")
        if not path.exists():
            return cls(path)
        try:
            value = json.loads(path.read_bytes())
            roots = {int(number): str(seen) for number, seen in value["roots"].items()}
            return cls(path, str(value["site"]), roots, [str(one) for one in value["signed"]])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PublishError(f"{path} is damaged; it tells whether a bundle is honest") from error

    def judge(self, bundle: Bundle) -> str:
        """What is to be said before signing, "" where all is as it was. Raises PublishError."""
        root = bundle.trusted[Root.type]
        if self.site is not None and bundle.site != self.site:
            raise PublishError(f"the key is of the site {self.site}, the bundle of {bundle.site}")
        checked(bundle, root)
        said, mark = read(Root, root).signed, fingerprint(root)
        known = self.roots.get(said.version)
        if known is not None and known != mark:
            raise PublishError("it says that another root is in force than the one that you have signed under")
        if self.roots and said.version < max(self.roots):
            raise PublishError("it starts from a root that is no longer in force")
        if mark in {known, *self.signed}:
            return ""
        when = "You have not signed this root" if self.roots else "This key signs for the first time here"
        role = said.roles[Root.type]
        return (
            f"{when}: compare its fingerprint with another signer's: {mark}\n"
            f"(root {said.version}: {role.threshold} of {len(role.keyids)} signers)"
        )

    def remember(self, bundle: Bundle) -> None:
        """Keep what was signed and under which root. A stick that cannot be written is no error."""
        root, proposed = bundle.trusted[Root.type], bundle.proposed.get(Root.type)
        self.site = bundle.site
        self.roots[read(Root, root).signed.version] = fingerprint(root)
        if proposed is not None and (mark := fingerprint(proposed)) not in self.signed:
            self.signed.append(mark)
        value = {"site": self.site, "roots": self.roots, "signed": self.signed}
        try:
            files.write(self.path, json.dumps(value).encode())
        except OSError:
            return
