"""What somebody makes who has every right at the broker and no key: answers, batches and lists of their own.

They are as good as can be made without one: true epochs, true hashes, the true repository's own form, every version
one higher than the true one. Only the signatures are made by another key.
"""

import json
import secrets
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp

from protocol import blob, repository, topics
from protocol.credential import Credential
from protocol.message import Ack
from protocol.signature import signed

_FAR: Final = 1000
_Role = TypeVar("_Role", Targets, Snapshot, Timestamp)


def acks(site: str, gate: str, epoch: str, seq: int) -> list[bytes]:
    """Answers that say of this gate's events, and of more than there are, that the center holds them."""
    topic, key = topics.ack(site, gate), Ed25519PrivateKey.generate()
    bare = [
        Ack(epoch=epoch, seq=number, hash=secrets.token_hex(32), want=want).to_bytes()
        for number, want in ((seq, False), (seq + _FAR, False), (0, True))
    ]
    return [*bare, *(signed(topic, message, key) for message in bare)]


def lists(site: str, message: bytes, card: Credential) -> list[tuple[str, bytes]]:
    """A list with this card alone, in the true repository's form: topics, and what to retain there."""
    data = blob.compress([json.dumps({"c": card, "h": "intruder"}, separators=(",", ":")).encode() + b"\n"])
    files = dict(repository.decode(message))
    targets, snapshot, timestamp = _next(files, Targets), _next(files, Snapshot), _next(files, Timestamp)
    targets.targets[repository.WHITELIST] = TargetFile.from_data(repository.WHITELIST, data, ["sha256"])
    files[f"{targets.version}.targets.json"] = _resigned(targets)
    snapshot.meta["targets.json"] = MetaFile(targets.version)
    files[f"{snapshot.version}.snapshot.json"] = _resigned(snapshot)
    timestamp.snapshot_meta = MetaFile(snapshot.version)
    files["timestamp.json"] = _resigned(timestamp)
    pieces = [(topics.blob(site, blob.sha256(data), number), piece) for number, piece in enumerate(blob.pieces(data))]
    return [*pieces, (topics.repository(site), repository.encode(files))]


def _next(files: dict[str, bytes], kind: type[_Role]) -> _Role:
    """The newest metadata of this kind, taken out of the files, with the version after its own."""
    names = [name for name in files if name.removesuffix(".json").split(".")[-1] == kind.type]
    newest = max(names, key=lambda name: int(name.partition(".")[0]) if name[0].isdigit() else 0)
    found = Metadata.from_bytes(files.pop(newest)).signed
    if not isinstance(found, kind):
        raise TypeError(f"{newest} is something else")
    found.version += 1
    return found


def _resigned(content: _Role) -> bytes:
    made = Metadata(content)
    made.sign(CryptoSigner.generate_ed25519())
    return made.to_bytes()
