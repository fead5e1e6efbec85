"""Two sides for the contract of the building process: the real one, and what the simulation puts in its place."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from gated.lists import flash_build
from gated.lists.depot import FOLDER, Depot
from gated.lists.flash_acts import Built, Checked
from gated.lists.listfile import read_pointer
from gated.lists.trust import TrustError
from protocol import topics
from protocol.credential import Credential
from protocol.topics import BlobAddress
from tests.signers import NOW, Center, line
from tests.simulation.flash_builder import Builder, TroubleError
from tests.simulation.flash_disk import Disk, Pointer
from tests.simulation.repository import Repository

SECRET: Final = b"center"
HOUR: Final = 3600.0
MANY: Final = tuple(line(number).encode() for number in range(400))
"""The lines of a list."""


class Side(Protocol):
    """A center and a gate's state folder."""

    def publish(self, lines: Iterable[bytes] | None = None, policy: bytes | None = None) -> None:
        """A list, a policy, or both."""

    def suspend(self) -> None:
        """A suspension."""

    def restore(self) -> None:
        """No suspension."""

    def renew(self) -> None:
        """Signed again, an hour later."""

    def forged(self) -> bytes:
        """A message that nobody has signed who may."""

    @property
    def retain(self) -> dict[str, bytes]:
        """What the broker holds."""

    @property
    def now(self) -> float:
        """The time (POSIX s)."""

    def put(self, topic: str, payload: bytes) -> None:
        """A message has come."""

    def check(self, validity: float, *, whole: bool) -> Checked:
        """Check."""

    def build(self, validity: float, *, whole: bool) -> Built | None:
        """Build; None where it failed."""

    def damage(self) -> None:
        """The list in force is no longer what it was."""

    @property
    def kept(self) -> set[str]:
        """Of which files there are pieces."""


class Real:
    """`center.publish`, tuf, and `gated.lists.flash_build` on a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._center = Center()
        self._depot = Depot(folder)

    def publish(self, lines: Iterable[bytes] | None = None, policy: bytes | None = None) -> None:
        """See Side."""
        self._center.publish(lines, documents={} if policy is None else {"policy.json": policy})

    def suspend(self) -> None:
        """See Side."""
        self._center.repository.suspend(Credential("em:0000000001"), self._center.now)

    def restore(self) -> None:
        """See Side."""
        self._center.repository.restore(Credential("em:0000000001"), self._center.now)

    def renew(self) -> None:
        """See Side."""
        self._center.later(hours=1)
        self._center.repository.renew(self._center.now)

    def forged(self) -> bytes:
        """See Side."""
        somebody = Center()
        somebody.publish(MANY[:40])
        return somebody.message

    @property
    def retain(self) -> dict[str, bytes]:
        """See Side."""
        return self._center.pieces

    @property
    def now(self) -> float:
        """See Side."""
        return self._center.now.timestamp()

    def put(self, topic: str, payload: bytes) -> None:
        """See Side."""
        _put(self._depot, topic, payload)

    def check(self, validity: float, *, whole: bool) -> Checked:
        """See Side."""
        return flash_build.check(self._folder, self._center.root, validity, validity, whole=whole)

    def build(self, validity: float, *, whole: bool) -> Built | None:
        """See Side."""
        try:
            return flash_build.build(self._folder, self._center.root, validity, validity, whole=whole)
        except TrustError:
            return None

    def damage(self) -> None:
        """See Side."""
        pointer = read_pointer(self._folder)
        assert pointer is not None
        path = self._folder / pointer.now.file
        data = bytearray(path.read_bytes())
        data[data.index(b"em:0000000005h") + 13] = ord("i")
        path.write_bytes(data)

    @property
    def kept(self) -> set[str]:
        """See Side."""
        return {path.name.partition(".")[0] for path in (self._folder / FOLDER).glob("[0-9a-f]*.*")}


class Simulated:
    """What the simulation puts in their place."""

    def __init__(self) -> None:
        self._now = NOW.timestamp()
        self._repository = Repository(SECRET)
        self._disk = Disk()

    def publish(self, lines: Iterable[bytes] | None = None, policy: bytes | None = None) -> None:
        """See Side."""
        self._repository.publish(self._now, lines=None if lines is None else tuple(lines), policy=policy)

    def suspend(self) -> None:
        """See Side."""
        self._repository.suspend(self._now, b'{"c":"em:0000000001"}')

    def restore(self) -> None:
        """See Side."""
        self._repository.suspend(self._now)

    def renew(self) -> None:
        """See Side."""
        self._now += HOUR
        self._repository.renew(self._now)

    def forged(self) -> bytes:
        """See Side."""
        somebody = Repository(b"nobody")
        somebody.publish(self._now, lines=MANY[:40])
        return somebody.message

    @property
    def retain(self) -> dict[str, bytes]:
        """See Side."""
        return dict(self._repository.retain)

    @property
    def now(self) -> float:
        """See Side."""
        return self._now

    def put(self, topic: str, payload: bytes) -> None:
        """See Side."""
        _put(self._disk, topic, payload)

    def check(self, validity: float, *, whole: bool) -> Checked:
        """See Side."""
        return Builder(self._disk, SECRET).check(validity, whole=whole)

    def build(self, validity: float, *, whole: bool) -> Built | None:
        """See Side."""
        try:
            return Builder(self._disk, SECRET).build(validity, whole=whole)
        except TroubleError:
            return None

    def damage(self) -> None:
        """See Side."""
        held = self._disk.pointer
        assert held is not None
        lines = tuple(text.replace(b'5","h":"h"', b'5","h":"i"') if b"00005" in text else text for text in held.lines)
        self._disk.pointer = Pointer(held.version, held.sha256, lines, held.over)

    @property
    def kept(self) -> set[str]:
        """See Side."""
        return {name for name, piece in self._disk.files if piece >= 0}


def _put(depot: Depot | Disk, topic: str, payload: bytes) -> None:
    address = topics.parse(topic)
    if isinstance(address, BlobAddress):
        depot.put(address.sha256, address.piece, payload)
    else:
        depot.put_message(payload)
