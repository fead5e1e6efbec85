"""What a signer's own machine remembers beside the key, so that no center can tell it what is in force.

`N.seen.json` holds the roots that this key has signed under or signed itself. A bundle that starts from another root
of the same version is refused; one that starts from a later root that this signer has not seen is a warning.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from tuf.api.metadata import Root

from center.publish.bundle import Bundle, checked
from center.publish.metadata import PublishError, read
from center.site import files


@dataclass
class Memory:
    """The roots that are known, by version; empty at the first signature."""

    path: Path
    site: str | None = None
    roots: dict[int, str] = field(default_factory=dict)

    @classmethod
    def beside(cls, key: Path) -> "Memory":
        """The memory of this key. Raises PublishError where its file is damaged."""
        path = key.with_suffix(".seen.json")
        if not path.exists():
            return cls(path)
        try:
            value = json.loads(path.read_bytes())
            return cls(path, str(value["site"]), {int(number): str(root) for number, root in value["roots"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PublishError(
                f"{path} is damaged; without it nobody can tell whether this bundle is honest"
            ) from error

    def judge(self, bundle: Bundle) -> str:
        """What is to be said before signing, "" where all is as it was. Raises PublishError."""
        root = bundle.trusted[Root.type]
        if self.site is not None and bundle.site != self.site:
            raise PublishError(f"the key is of the site {self.site}, the bundle of {bundle.site}")
        checked(bundle, root)
        said = read(Root, root).signed
        known = self.roots.get(said.version)
        if known is not None and known.encode() != root:
            raise PublishError("it says that another root is in force than the one that you have signed under")
        if self.roots and said.version < max(self.roots) - 1:
            raise PublishError("it starts from a root of long ago")
        if known is not None:
            return ""
        when = "You have not signed under this root yet" if self.roots else "This key signs for the first time here"
        return (
            f"{when}: compare its fingerprint with another signer's: {hashlib.sha256(root).hexdigest()[:16]}\n"
            f"(whoever can sign: {len(said.roles[Root.type].keyids)} keys, {said.roles[Root.type].threshold} needed)"
        )

    def remember(self, bundle: Bundle) -> None:
        """Keep the roots of a bundle that was signed. A stick that cannot be written is no error."""
        self.site = bundle.site
        root = bundle.trusted[Root.type]
        self.roots[read(Root, root).signed.version] = root.decode()
        value = {"site": self.site, "roots": {str(number): text for number, text in sorted(self.roots.items())}}
        try:
            files.write(self.path, json.dumps(value).encode())
        except OSError:
            return
