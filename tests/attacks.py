"""What somebody makes who holds the broker, and perhaps a key or two: messages that a gate must not believe."""

from tuf.api.metadata import Metadata, Targets

from center.publish.metadata import make_snapshot, make_timestamp, signer
from protocol.repository import decode, encode
from tests.signers import Center, Committee


def forged(center: Center, committee: Committee, version: int = 99) -> bytes:
    """A repository that others have signed: same names, their keys, a higher version."""
    files = decode(center.message)
    name = next(name for name in files if name.endswith(".targets.json"))
    targets: Metadata[Targets] = Metadata.from_bytes(files.pop(name))
    targets.signed.version = version
    targets.signatures.clear()
    for key in committee.signers[: committee.threshold]:
        targets.sign(signer(key), append=True)
    suspensions = next(name for name in files if name.endswith(".suspensions.json"))
    held = {"targets": targets.to_bytes(), "suspensions": files[suspensions]}
    snapshot = make_snapshot(held, version, center.now)
    snapshot.sign(signer(committee.repository))
    timestamp = make_timestamp(snapshot.to_bytes(), version, center.now)
    timestamp.sign(signer(committee.repository))
    files |= {
        f"{version}.targets.json": held["targets"],
        f"{version}.snapshot.json": snapshot.to_bytes(),
        "timestamp.json": timestamp.to_bytes(),
    }
    return encode(files)


def driven_up(center: Center, version: int) -> bytes:
    """What the thief of the center's own key signs to lock the center out: the same list, at a version far ahead."""
    files = decode(center.message)
    held = {"targets": files["1.targets.json"], "suspensions": files["1.suspensions.json"]}
    snapshot = make_snapshot(held, version, center.now)
    snapshot.sign(signer(center.committee.repository))
    timestamp = make_timestamp(snapshot.to_bytes(), version, center.now)
    timestamp.sign(signer(center.committee.repository))
    return encode(files | {f"{version}.snapshot.json": snapshot.to_bytes(), "timestamp.json": timestamp.to_bytes()})
