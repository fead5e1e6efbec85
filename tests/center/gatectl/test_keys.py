"""`gatectl keys`, `events`, `verify`: who may sign from now on, and what gates have recorded."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets

from center.gatectl.__main__ import main
from center.publish.bundle import Bundle
from center.publish.metadata import PublishError
from center.publish.opened import repository
from center.records.store import Store
from center.site import keys
from center.site.folder import Site
from protocol import repository as names
from protocol.credential import Credential
from tests.broker import Mosquitto
from tests.center.gatectl.workplace import Workplace
from tests.chain import FakeGate
from tests.desk import Desk
from tests.flashbox import Box
from tests.signers import line

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, broker: Mosquitto, capsys: Captured) -> Workplace:
    """A site with 2 of 3 signers and a list of 20."""
    place = Workplace(tmp_path, broker=broker.url)
    place.put_in_force([line(number, f"h{number}") for number in range(20)])
    capsys.readouterr()
    return place


@pytest.fixture
def box(tmp_path: Path, place: Workplace) -> Box:
    """A gate that started from the first root and has the list."""
    (tmp_path / "box").mkdir()
    box = Box(tmp_path / "box", place.site.root, datetime.now(UTC))
    takes(box, place)
    return box


def takes(box: Box, place: Workplace) -> None:
    """The gate takes what is published; nothing of it is refused."""
    box.time(datetime.now(UTC))
    box.flash_from(dict(repository(place.site).publications().retain))
    assert box.idle


def in_force(place: Workplace, bundle: Path, *signers: int) -> None:
    """Sign and flash."""
    for signer in signers:
        assert place.sign(bundle, signer, "--yes") == 0
    assert place.run("flash", bundle, "--no-wait") == 0
    place.site = Site.open(place.site.folder)


def test_a_signer_is_exchanged(place: Workplace, box: Box, capsys: Captured) -> None:
    """A new signer makes a key at home; two of the old and two of the new ones sign; then the old key signs nothing."""
    file = place.folder / "home-signers-3" / "new.pem"
    assert main(["keys", "new", str(file), "--passphrase-file", str(place.passphrases), "--json"]) == 0
    public = json.loads(capsys.readouterr().out)["public"]
    other = place.folder / "other.pem"
    assert main(["keys", "new", str(other), "--passphrase-file", str(place.passphrases)]) == 0
    assert re.fullmatch(r"[0-9a-f]{64}\n", capsys.readouterr().out)  # as `--public "$(cat FILE)"` takes it
    bundle = place.folder / "keys.bundle"
    assert place.run("keys", "rotate", "signer", "3", "--public", public, "-o", bundle) == 0
    assert "a new signer signs, too" in capsys.readouterr().err
    assert place.run("list", "diff", bundle) == 0
    assert "may no longer sign" in capsys.readouterr().out
    old, place.signers[2] = place.signers[2], file
    in_force(place, bundle, 1, 2)
    takes(box, place)
    assert place.site.keys.signers[2] == public
    assert place.run("list", "revoke", "em:0000000001", "-o", bundle) == 0
    place.signers[1] = old
    assert place.sign(bundle, 2, "--yes") == 1
    capsys.readouterr()
    in_force(place, bundle, 3, 1)
    assert "compare its fingerprint" in capsys.readouterr().err  # the new key has signed nothing yet
    takes(box, place)
    assert box.entries == 19


def test_a_signer_who_signed_the_root_is_not_warned(place: Workplace, capsys: Captured) -> None:
    """A root that one has signed oneself needs no comparing."""
    bundle = place.folder / "keys.bundle"
    assert place.run("keys", "revoke", "signer", "3", "-o", bundle) == 0
    in_force(place, bundle, 1, 2)
    assert place.run("list", "revoke", "em:0000000001", "-o", bundle) == 0
    capsys.readouterr()
    assert place.sign(bundle, 1, "--yes") == 0
    assert "fingerprint" not in capsys.readouterr().err
    assert place.run("keys", "list") == 0
    assert "2 of 2 signers must sign" in capsys.readouterr().out


def test_what_cannot_be(place: Workplace, capsys: Captured) -> None:
    """Too few signers, too few registrars, a number that is not, a key that is one already: in words."""
    assert place.run("keys", "revoke", "signer", "4") == 2
    assert "there is no signer 4" in capsys.readouterr().err
    assert place.run("keys", "revoke", "signer", "1", "--threshold", "3") == 2
    assert "3 must sign and 2 would be left" in capsys.readouterr().err
    assert place.run("keys", "rotate", "signer") == 2
    assert place.run("keys", "add", "signer", "--public", place.site.keys.signers[0]) == 2
    assert place.run("keys", "add", "signer", "--threshold", "9", "--public", "0" * 63 + "1") == 1
    bundle = place.folder / "keys.bundle"
    assert place.run("keys", "revoke", "registrar", "1", "-o", bundle) == 0
    in_force(place, bundle, 1, 2)
    assert place.run("keys", "revoke", "registrar", "1") == 1
    assert "at least two registrars" in capsys.readouterr().err


def test_the_threshold_grows(place: Workplace, capsys: Captured) -> None:
    """One signer more, one signature more: the site's folder says so, too."""
    bundle = place.folder / "keys.bundle"
    words = ("--threshold", "3", "--passphrase-file", place.passphrases, "-o", bundle)
    assert place.run("keys", "add", "signer", *words) == 0
    place.signers.append(place.folder / "home-signers-1" / "4.pem")
    (place.site.folder / "signers" / "4.pem").rename(place.signers[3])
    in_force(place, bundle, 1, 2, 4)
    assert place.site.facts.threshold == 3
    capsys.readouterr()
    assert place.run("keys", "list", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["threshold"], len([one for one in said["keys"] if one["role"] == "signer"])) == (3, 4)


def test_the_repository_key(place: Workplace, box: Box, capsys: Captured) -> None:
    """The new key signs from the flash on; until then the old one does."""
    bundle = place.folder / "keys.bundle"
    before = place.site.keys.repository
    assert place.run("keys", "rotate", "repository", "-o", bundle) == 0
    repository(place.site).renew(datetime.now(UTC))
    in_force(place, bundle, 1, 2)
    assert place.site.keys.repository != before
    assert keys.public_hex(keys.read(place.site.folder / "online" / "repository.pem")) == place.site.keys.repository[0]
    assert not (place.site.folder / "online" / "repository-new.pem").exists()
    repository(place.site).renew(datetime.now(UTC))
    takes(box, place)
    capsys.readouterr()


def test_the_suspensions_key(place: Workplace, box: Box, capsys: Captured) -> None:
    """What is suspended stays so: the new key signs it again in the same moment."""
    repository(place.site).suspend(Credential("em:0000000001"), datetime.now(UTC))
    takes(box, place)
    bundle = place.folder / "keys.bundle"
    assert place.run("keys", "rotate", "suspensions", "-o", bundle) == 0
    in_force(place, bundle, 2, 3)
    held = repository(place.site)
    targets = Metadata[Targets].from_bytes(held.held["targets"])
    role = Metadata[Targets].from_bytes(held.held[names.SUSPENSIONS])
    targets.verify_delegate(names.SUSPENSIONS, role)
    takes(box, place)
    entry = box.entry("em:0000000001")
    assert entry is not None
    assert entry.since is not None
    held.suspend(Credential("em:0000000002"), datetime.now(UTC))
    takes(box, place)
    capsys.readouterr()


def test_one_signer_alone_changes_nothing(place: Workplace, capsys: Captured) -> None:
    """A root with one signature of two is not accepted, nor by its own new signers alone."""
    bundle = place.folder / "keys.bundle"
    words = ("--passphrase-file", place.passphrases, "-o", bundle)
    assert place.run("keys", "rotate", "signer", "3", *words) == 0
    place.signers[2] = place.folder / "home-signers-3" / "3-new.pem"
    (place.site.folder / "signers" / "3-new.pem").rename(place.signers[2])
    for signer in (3, 1):
        assert place.sign(bundle, signer, "--yes") == 0
    assert place.run("flash", bundle, "--no-wait") == 1
    assert "1 more for root" in capsys.readouterr().err
    with pytest.raises(PublishError, match="1 more for root"):
        repository(place.site).accept(Bundle.from_bytes(bundle.read_bytes()), datetime.now(UTC))


def test_events(place: Workplace, capsys: Captured) -> None:
    """`events export` and `verify` say what `gated-center` says, of the site's own database."""
    site = place.site
    assert place.run("gate", "add", "north") == 0
    capsys.readouterr()
    with closing(Store.open(site.database, site.name)) as store:
        desk = Desk(store)
        south = desk.add(FakeGate("south").passages(5))
        desk.send(south)
    assert place.run("events", "export", "--gate", "south") == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert place.run("events", "export", "--gate", "west") == 1
    assert place.run("verify", "south", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    assert place.run("verify") == 0
    assert "all chains hold" in capsys.readouterr().out
