"""A site of the tests' own, its gates, and a real mosquitto with the configuration that was made for it."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from center.site import export, gates, technicians
from center.site.folder import Site
from center.site.make import Plan, make
from protocol import sealed
from protocol.enrolment import Enrolment, unseal
from protocol.profile import KIND, Profile
from tests.broker import Mosquitto, free_port

NOW: Final = datetime.now(UTC)
ROOT: Final = b'{"signed":{"_type":"root"}}'
PASSPHRASE: Final = "a passphrase"  # noqa: S105 - of keys that live as long as a test


@dataclass
class FakeRegistry:
    """Remembers what was registered."""

    known: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)

    def add_gate(self, name: str, voucher_key: bytes, voucher_until: datetime) -> None:
        """Remember it."""
        self.known[name] = (voucher_key, voucher_until)

    def shut_out(self, name: str) -> None:
        """Forget it."""
        del self.known[name]


def plan(*, broker: str = "mqtts://mqtt.center.example", signers: int = 3, threshold: int = 2) -> Plan:
    """What a site is asked to be."""
    return Plan("shenhang", broker, threshold, (PASSPHRASE,) * signers, (PASSPHRASE,) * 3)


def new_site(folder: Path, **options: object) -> Site:
    """A site with a first root."""
    return make(folder, plan(**options), NOW, lambda _facts, _keys: ROOT)  # type: ignore[arg-type]


def opened(issued: gates.Issued) -> Enrolment:
    """What an enrolment file holds."""
    return unseal(issued.file.read_bytes(), issued.passphrase)


def profile(issued: technicians.Issued) -> Profile:
    """What a profile file holds."""
    return sealed.unseal(KIND, issued.file.read_bytes(), issued.passphrase)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site without gates."""
    return new_site(tmp_path / "site")


@pytest.fixture
def registry() -> FakeRegistry:
    """A registry that is empty."""
    return FakeRegistry()


class SiteBroker:
    """A site with the gates north and south and a technician, and the broker as `gatectl site broker` sets it up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.site = new_site(folder / "site", broker=f"mqtts://127.0.0.1:{self.port}")
        self.registry = FakeRegistry()
        self.gates = {name: opened(gates.add(self.site, name, self.registry, NOW)) for name in ("north", "south")}
        self.passwords = {name: content.password for name, content in self.gates.items()}
        self.passwords["center"] = self.site.center_password
        self.passwords["li-wei"] = profile(technicians.add(self.site, "li-wei", {}, NOW)).password
        self.ca = folder / "ca.pem"
        self.ca.write_text(self.gates["north"].ca)
        # As root mosquitto becomes its own user, who may read nothing of the site's.
        self.user = "mosquitto" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.running: Mosquitto | None = None

    def install(self) -> None:
        """Give the broker its files, as its own user's where root may do that."""
        export.export(self.site, self.folder / "broker", user=self.user, state=self.folder / "state")

    def start(self) -> None:
        """Start the broker and wait until it listens."""
        made = self.folder / "broker" / "mosquitto.conf"
        self.running = Mosquitto(self.folder / "run", made=made, user=self.user)
        self.running.start()

    def reload(self) -> None:
        """Let it read its files again."""
        assert self.running
        self.running.reload()

    def stop(self) -> None:
        """End it."""
        if self.running is not None:
            self.running.kill()


@pytest.fixture(scope="module")
def broker() -> Iterator[SiteBroker]:
    """The broker, running."""
    # Not in pytest's own folder, which the broker's user may not enter. What is secret lies deeper.
    folder = Path(tempfile.mkdtemp(prefix="gated-broker-"))
    folder.chmod(0o755)
    started = SiteBroker(folder)
    try:
        started.install()
        started.start()
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder)
