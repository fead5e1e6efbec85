"""A site's folder: whole or not at all, secret, and opened with words for whatever is wrong."""

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.site import authority, files, keys
from center.site.files import SiteError
from center.site.folder import Account, Accounts, Site
from center.site.make import Plan, make
from tests.center.site.conftest import NOW, PASSPHRASE, ROOT, new_site, plan


def modes(folder: Path) -> set[int]:
    """The modes of all files and folders."""
    return {stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*"))}


class TestMade:
    """What is made."""

    def test_secret(self, site: Site) -> None:
        """Everything is for its owner's eyes only."""
        assert modes(site.folder) == {0o600, 0o700}

    def test_opens_again(self, site: Site) -> None:
        """A site that was made is opened, with all that is in it."""
        again = Site.open(site.folder)
        assert (again.name, again.facts.threshold, again.facts.broker) == ("shenhang", 2, "mqtts://mqtt.center.example")
        assert len(again.keys.signers) == 3
        assert len(again.keys.registrars) == 3
        assert len(again.pepper) == 64
        assert again.root == ROOT
        assert set(again.accounts.accounts) == {"center"}

    def test_keys(self, site: Site) -> None:
        """Each private key fits the public half that is kept of it, and no two are the same."""
        public = site.keys
        found = {
            "signers": tuple(keys.read(site.folder / "signers" / f"{n}.pem", PASSPHRASE) for n in (1, 2, 3)),
            "registrars": tuple(keys.read(site.folder / "registrars" / f"{n}.pem", PASSPHRASE) for n in (1, 2, 3)),
            **{role: (keys.read(site.folder / "online" / f"{role}.pem"),) for role in keys.ONLINE},
        }
        for role, of in found.items():
            assert getattr(public, role) == tuple(keys.public_hex(key) for key in of)
        assert len({keys.public_hex(key) for of in found.values() for key in of}) == 9

    def test_offline_keys_need_their_passphrase(self, site: Site) -> None:
        """A signer's key says whether the passphrase is missing or wrong."""
        path = site.folder / "signers" / "1.pem"
        with pytest.raises(SiteError, match="needs a passphrase"):
            keys.read(path)
        with pytest.raises(SiteError, match="passphrase is wrong"):
            keys.read(path, "another")
        with pytest.raises(SiteError, match="cannot be read"):
            keys.read(site.folder / "signers" / "9.pem", PASSPHRASE)

    def test_the_first_root_is_made_from_the_keys(self, tmp_path: Path) -> None:
        """Whoever makes the first root gets the facts and every private key, once, while all are in one place."""
        given: dict[str, list[Ed25519PrivateKey]] = {}

        def first_root(facts: object, made: object) -> bytes:
            assert getattr(facts, "threshold", None) == 2
            assert isinstance(made, dict)
            given.update(made)
            return b"root"

        site = make(tmp_path / "s", plan(), NOW, first_root)
        assert site.root == b"root"
        public = site.keys.model_dump(exclude={"former"})
        assert {role: tuple(map(keys.public_hex, of)) for role, of in given.items()} == public

    def test_certificates(self, site: Site) -> None:
        """The broker's certificate is from the site's authority, begins before today, and names what it was told."""
        root = x509.load_pem_x509_certificate(site.authority.certificate)
        server = x509.load_pem_x509_certificate((site.folder / "broker" / "server.pem").read_bytes())
        server.verify_directly_issued_by(root)
        assert server.not_valid_before_utc < NOW
        names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["mqtt.center.example", "localhost"]
        assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]

    def test_a_renewed_certificate_ends_with_its_authority_at_the_latest(self, site: Site) -> None:
        """Renewal moves the end on, never beyond the authority's own."""
        first = authority.ends((site.folder / "broker" / "server.pem").read_bytes())
        assert site.renew_certificate(NOW + timedelta(days=300)) > first
        late = NOW + authority.AUTHORITY_TIME - timedelta(days=1)
        assert site.renew_certificate(late) == authority.ends(site.authority.certificate)


class TestNotMade:
    """What is refused leaves nothing behind."""

    def test_existing(self, tmp_path: Path) -> None:
        """A folder that is there, even an empty one or a dead link, is not touched."""
        (tmp_path / "empty").mkdir()
        (tmp_path / "link").symlink_to("nowhere")
        for name in ("empty", "link"):
            with pytest.raises(SiteError, match="is there already"):
                new_site(tmp_path / name)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "link"]

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (plan(threshold=4), "4 of 3 signers"),
            (plan(threshold=0), "0 of 3 signers"),
            (plan(broker="http://x"), "mqtts://HOST"),
            (plan(broker="mqtt://10.0.0.1"), "without TLS"),
        ],
    )
    def test_what_cannot_be(self, tmp_path: Path, asked: Plan, said: str) -> None:
        """A plan that cannot be is told what would be right."""
        with pytest.raises(SiteError, match=said):
            make(tmp_path / "s", asked, NOW)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("fails_at", range(0, 30, 3))
    def test_never_half_a_site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
        """Whichever file cannot be written, there is no site afterwards, and nothing else either."""
        count = 0
        real = os.fsync

        def full(descriptor: int) -> None:
            nonlocal count
            count += 1
            if count > fails_at:
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            new_site(tmp_path / "s")
        assert list(tmp_path.iterdir()) == []

    def test_no_site(self, tmp_path: Path) -> None:
        """Another folder is no site; it says how to name one."""
        with pytest.raises(SiteError, match=r"\$GATED_SITE"):
            Site.open(tmp_path)

    def test_damaged(self, site: Site) -> None:
        """A file that was damaged is named, and no value of it is repeated."""
        path = site.folder / "accounts.json"
        path.write_text('{"accounts": {"north": {"kind": "gate", "password": 7, "since": "secret"}}}')
        with pytest.raises(SiteError, match=r"accounts\.json is damaged.*backup") as caught:
            site.accounts  # noqa: B018 - reading is the act
        assert "secret" not in str(caught.value)

    def test_one_at_a_time(self, site: Site) -> None:
        """While one command changes the site, another says so."""
        with site.changing(), pytest.raises(SiteError, match="another command"), Site.open(site.folder).changing():
            pass
        with site.changing():
            pass


def test_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the file as it was."""
    path = tmp_path / "x"
    files.write(path, b"old")
    monkeypatch.setattr(os, "fsync", _fails)
    with pytest.raises(OSError, match="nothing"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_a_local_broker_without_tls_listens_here_only(tmp_path: Path) -> None:
    """A trial on one machine may go without TLS; then nobody else reaches the broker."""
    site = new_site(tmp_path / "s", broker="mqtt://127.0.0.1:1884")
    text = (site.folder / "broker" / "mosquitto.conf").read_text()
    assert "listener 1884 127.0.0.1" in text
    assert "certfile" not in text


def test_accounts_do_not_change(site: Site) -> None:
    """Accounts are values: another set of them leaves the first as it was."""
    first = site.accounts
    account = Account(kind="gate", password="$7$…", since=NOW)  # noqa: S106 - no password
    assert "north" in first.with_("north", account).accounts
    assert "north" not in first.accounts
    assert first.with_("north", account).without("north") == first
    assert isinstance(first, Accounts)


def _fails(_descriptor: int) -> None:
    raise OSError(5, "nothing")
