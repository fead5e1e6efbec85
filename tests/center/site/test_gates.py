"""Gates and technicians: what a box is given, what the broker learns, and what goes wrong."""

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.site import broker, files, gates, passwords, technicians
from center.site.files import SiteError
from center.site.folder import Site
from protocol.enrolment import unseal, voucher_public
from protocol.sealed import WrongPassphraseError
from protocol.signature import public_bytes
from tests.center.site.conftest import NOW, ROOT, FakeRegistry, new_site, opened, profile


def rules(site: Site) -> str:
    """The broker's rules as they are."""
    return (site.folder / "broker" / "mosquitto.acl").read_text()


def let_in(site: Site, name: str, password: str) -> bool:
    """Whether the broker's password file has this."""
    lines = dict(line.split(":", 1) for line in (site.folder / "broker" / "passwords").read_text().splitlines())
    return name in lines and passwords.fits(password, lines[name])


def test_add(site: Site, registry: FakeRegistry) -> None:
    """A new gate's file holds all that its box needs; broker and database know of it."""
    issued = gates.add(site, "north", registry, NOW)
    content = opened(issued)
    assert (content.site, content.gate, content.username) == ("shenhang", "north", "north")
    assert content.broker == site.facts.broker
    assert content.center == site.keys.center
    assert content.root == ROOT
    assert content.pepper == site.pepper
    assert content.ca.encode() == site.authority.certificate
    assert content.until == issued.until
    assert timedelta(days=7) - timedelta(seconds=1) <= content.until - NOW <= timedelta(days=7)
    one_time = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(content.voucher))
    assert registry.known == {"north": (public_bytes(one_time), content.until)}
    assert voucher_public(content) == public_bytes(one_time)
    assert let_in(site, "north", content.password)
    assert "user north\n" in rules(site)
    assert stat.S_IMODE(issued.file.stat().st_mode) == 0o600


def test_the_passphrase_is_kept_nowhere(site: Site, registry: FakeRegistry) -> None:
    """Neither the passphrase nor the gate's password nor its one-time key stays with the site."""
    issued = gates.add(site, "north", registry, NOW)
    content = opened(issued)
    for path in site.folder.rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        for secret in (issued.passphrase, issued.passphrase.replace("-", ""), content.password, content.voucher):
            assert secret.encode() not in text
    with pytest.raises(WrongPassphraseError):
        unseal(issued.file.read_bytes(), "2222-2222-2222-2222-2222")


@pytest.mark.parametrize("name", ["north", broker.CENTER, "li-wei"])
def test_a_name_that_is_taken(site: Site, registry: FakeRegistry, name: str) -> None:
    """A gate is never added over another account, nor a technician."""
    gates.add(site, "north", registry, NOW)
    technicians.add(site, "li-wei", {}, NOW)
    before = site.accounts
    with pytest.raises(SiteError, match="is there already"):
        gates.add(site, name, registry, NOW)
    with pytest.raises(SiteError, match="is there already"):
        technicians.add(site, name, {}, NOW)
    assert site.accounts == before


@pytest.mark.parametrize("name", ["", "North", "a/b", "a+b", "#", "../x", "a b", "a\nuser b", "x" * 41])
def test_no_name(site: Site, registry: FakeRegistry, name: str) -> None:
    """A name that would be another in a topic, a file or the broker's rules is none."""
    with pytest.raises(SiteError, match="is no name"):
        gates.add(site, name, registry, NOW)
    with pytest.raises(SiteError, match="is no name"):
        technicians.add(site, name, {}, NOW)


def test_replace(site: Site, registry: FakeRegistry) -> None:
    """A new box gets a new file, password and one-time key; the old ones count no more."""
    old = opened(gates.add(site, "north", registry, NOW))
    new = opened(gates.replace(site, "north", registry, NOW + timedelta(days=1)))
    assert old.voucher != new.voucher
    assert registry.known["north"][0] == voucher_public(new)
    assert let_in(site, "north", new.password)
    assert not let_in(site, "north", old.password)


def test_remove(site: Site, registry: FakeRegistry) -> None:
    """A gate that is removed is gone from the broker's files, and its enrolment file with it."""
    issued = gates.add(site, "north", registry, NOW)
    gates.remove(site, "north", registry)
    assert not issued.file.exists()
    assert registry.known == {}
    assert "north" not in rules(site)
    assert "north" not in (site.folder / "broker" / "passwords").read_text()
    for act in (lambda: gates.remove(site, "north", registry), lambda: gates.replace(site, "north", registry, NOW)):
        with pytest.raises(SiteError, match="there is no gate north; there are: none"):
            act()


def test_technician(site: Site, registry: FakeRegistry) -> None:
    """A technician comes and goes."""
    content = profile(technicians.add(site, "li-wei", {}, NOW))
    assert let_in(site, "li-wei", content.password)
    with pytest.raises(SiteError, match="no gate li-wei"):
        gates.remove(site, "li-wei", registry)
    technicians.remove(site, "li-wei")
    assert "li-wei" not in rules(site)


def test_a_database_that_is_away_changes_nothing(site: Site) -> None:
    """Where the database cannot be told, there is no new gate, and the command can be given again."""

    class Away:
        def add_gate(self, name: str, voucher_key: bytes, voucher_until: datetime) -> None:
            raise ConnectionError(name, voucher_key, voucher_until)

        def shut_out(self, name: str) -> None:
            raise ConnectionError(name)

    before = {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()}
    with pytest.raises(ConnectionError):
        gates.add(site, "north", Away(), NOW)
    assert {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()} == before


def test_half_done_can_be_done_again(site: Site, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the broker's files could not be written, the next change writes them."""
    monkeypatch.setattr(Site, "write_rules", _full)
    with pytest.raises(OSError, match="full"):
        gates.add(site, "north", registry, NOW)
    monkeypatch.undo()
    content = opened(gates.replace(site, "north", registry, NOW))
    assert let_in(site, "north", content.password)


def test_without_a_root_no_box_is_set_up(tmp_path: Path, registry: FakeRegistry) -> None:
    """A box would have nothing to check lists against; so there is no file for it yet."""
    site = new_site(tmp_path / "site")
    files.remove(site.repository / "1.root.json")
    with pytest.raises(SiteError, match="have not signed a first one"):
        gates.add(site, "north", registry, NOW)
    assert registry.known == {}


def test_a_new_box_starts_from_the_newest_root(site: Site, registry: FakeRegistry) -> None:
    """After the signers have changed, a new box trusts the new ones from the start."""
    for version in (2, 10):
        files.write(site.repository / f"{version}.root.json", b"root %d" % version)
    files.write(site.repository / "11.targets.json", b"none")
    assert opened(gates.add(site, "north", registry, NOW)).root == b"root 10"


def _full(*_: object) -> None:
    raise OSError(28, "full")
