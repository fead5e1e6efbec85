"""`gatectl site`, `gate`, `technician`: what they print, where, and how they end."""

import json
import os
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tuf.api.metadata import Metadata, Root

from center import config
from center.gatectl import passphrases
from center.gatectl.__main__ import main
from center.output import STATUSES, Failure
from center.publish.repository import Online, Repository
from center.publish.vault import FolderVault
from center.records.store import Store
from center.site import keys
from center.site.folder import Site
from protocol import sealed
from protocol.enrolment import unseal, vouch
from protocol.profile import KIND

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Path:
    """A site made by the command, in the folder that $GATED_SITE names."""
    (tmp_path / "passphrases").write_text("correct horse\n")
    folder = tmp_path / "site"
    words = ["site", "init", str(folder), "--name", "shenhang", "--signers", "3", "--broker", "mqtts://10.0.0.1"]
    assert main([*words, "--also", "mqtt.example", "--passphrase-file", str(tmp_path / "passphrases")]) == 0
    monkeypatch.setenv("GATED_SITE", str(folder))
    capsys.readouterr()
    return folder


def test_init(folder: Path) -> None:
    """The majority signs unless told otherwise; further names of the broker are in its certificate."""
    site = Site.open(folder)
    assert site.facts.threshold == 2
    assert site.facts.hosts == ("10.0.0.1", "mqtt.example", "localhost", "127.0.0.1")
    assert site.database == f"sqlite:///{folder}/center.db"


def test_the_first_root(folder: Path) -> None:
    """The whitelist repository begins with a root that the signers have signed and that names the center's key."""
    site = Site.open(folder)
    root = Metadata[Root].from_bytes(site.root)
    root.verify_delegate("root", root)
    assert root.signed.version == 1
    assert root.signed.roles["root"].threshold == 2
    assert len(root.signatures) == 3
    online = root.signed.keys[root.signed.roles["timestamp"].keyids[0]]
    assert online.keyval["public"] == site.keys.repository[0]
    repository = Repository(site.name, FolderVault(site.repository), Online(*(keys.generate() for _ in range(2))))
    assert repository.roots == [site.root]


def test_the_center_runs_with_it(folder: Path) -> None:
    """The configuration for gated-center is right, with the key, the account and the database of this site."""
    path = folder / "center.toml"
    found = config.load(path)
    site = Site.open(folder)
    assert found.database_url == site.database
    assert keys.public_hex(config.online_key(found, path)) == site.keys.center[0]
    account = config.account(found, path)
    assert (account.username, account.password) == ("center", site.center_password)
    assert Path(account.ca or "").read_bytes() == site.authority.certificate


def test_init_again(folder: Path, capsys: Captured) -> None:
    """An existing folder is refused before anybody types a passphrase: status 1."""
    assert main(["site", "init", str(folder), "--name", "x"]) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--name", "S H"], ["--name", "s", "--signers", "0"], ["--name", "s", "--signers", "3", "--threshold", "4"]],
)
def test_init_wrong(tmp_path: Path, capsys: Captured, words: list[str]) -> None:
    """What cannot be is said before anybody types a passphrase: status 2."""
    assert main(["site", "init", str(tmp_path / "s"), *words]) == 2
    assert "would be right" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_gate(folder: Path, capsys: Captured, tmp_path: Path) -> None:
    """`gate add` prints the passphrase that opens the file, and the center's database knows the voucher."""
    output = tmp_path / "north.enrolment"
    assert main(["gate", "add", "north", "-o", str(output)]) == 0
    out, err = capsys.readouterr()
    printed = dict(line.split(":", 1) for line in out.splitlines())
    content = unseal(output.read_bytes(), printed["passphrase"])
    assert "kept nowhere" in err
    site = Site.open(folder)
    store = Store.open(site.database, site.name)
    assert store.all_keys() == {"north": None}
    key, seal = b"k" * 32, b"s" * 32
    one_time = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(content.voucher))
    voucher = vouch(one_time, site="shenhang", gate="north", key=key, seal=seal)
    assert store.vouch("north", key, seal, voucher, time.time())
    assert store.all_keys() == {"north": key}
    store.close()


def test_several_gates(folder: Path, capsys: Captured) -> None:
    """Several gates at once: a line each, told as it is done; one that is there already ends it, and names no file."""
    assert main(["gate", "add", "north", "south", "--json"]) == 0
    issued = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["gate"] for one in issued] == ["north", "south"]
    for one in issued:
        assert unseal(Path(one["file"]).read_bytes(), one["passphrase"]).gate == one["gate"]
    assert main(["gate", "add", "east", "south", "west"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"east  {folder}")
    assert "south is there already" in err
    assert main(["gate", "add", "east", "west", "-o", str(folder / "x")]) == 2
    assert "for one gate" in capsys.readouterr().err


def test_replace_and_remove(folder: Path, capsys: Captured) -> None:
    """A gate with a new box has no keys until that box says them; one that was removed can come again."""
    for words in (["add", "north"], ["replace", "north"], ["remove", "north"], ["add", "north"]):
        assert main(["gate", *words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["gate"] == "north"
    assert main(["gate", "list", "--json"]) == 0
    assert [row["gate"] for row in json.loads(capsys.readouterr().out)] == ["north"]
    assert main(["gate", "list"]) == 0
    assert "north  20" in capsys.readouterr().out
    assert main(["gate", "remove", "south"]) == 1
    assert "there is no gate south; there are: north" in capsys.readouterr().err
    assert (folder / "gates" / "north.enrolment").exists()


def test_technician(folder: Path, capsys: Captured) -> None:
    """A technician's file opens with the passphrase that is printed once; a new file has another password."""
    found = []
    for action in ("add", "replace"):
        assert main(["-s", str(folder), "technician", action, "li-wei", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        found.append(sealed.unseal(KIND, Path(said["file"]).read_bytes(), said["passphrase"]))
    assert found[0].password != found[1].password
    assert found[1].folder == str(folder)
    assert found[1].ca.encode() == Site.open(folder).authority.certificate
    assert main(["technician", "list"]) == 0
    assert "li-wei" in capsys.readouterr().out
    assert main(["technician", "remove", "li-wei"]) == 0
    assert main(["technician", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n")[2]) == []


def test_renew(folder: Path, capsys: Captured) -> None:
    """The broker's certificate is renewed, and it is said what the broker must be told."""
    before = (folder / "broker" / "server.pem").read_bytes()
    assert main(["site", "renew-certificate"]) == 0
    assert (folder / "broker" / "server.pem").read_bytes() != before
    assert "site broker" in capsys.readouterr().err


def test_no_site(tmp_path: Path, capsys: Captured) -> None:
    """A folder that is no site: status 2, and how to name one."""
    assert main(["-s", str(tmp_path), "gate", "list"]) == 2
    assert "-s DIR" in capsys.readouterr().err


def test_a_database_that_is_away(folder: Path, capsys: Captured) -> None:
    """Where the database cannot be opened: status 3, and no new gate."""
    (folder / "center.db").mkdir()
    assert main(["gate", "add", "north"]) == 3
    assert "database" in capsys.readouterr().err
    assert not (folder / "gates" / "north.enrolment").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_not_as_root(folder: Path, capsys: Captured) -> None:
    """On a site of the center's user root makes no database that the center then cannot write."""
    os.chown(folder, 65534, 65534)
    assert main(["gate", "add", "north"]) == 1
    assert "sudo -u nobody gatectl" in capsys.readouterr().err
    assert not (folder / "center.db").exists()


def test_passphrases_on_a_terminal(capsys: Captured) -> None:
    """Asked twice; too short or two that differ are asked again."""
    answers = iter(["short", "long enough", "long enouhg", "long enough", "long enough", "another one", "another one"])
    assert passphrases.new(["signer 1", "signer 2"], None, lambda _: next(answers)) == ["long enough", "another one"]
    err = capsys.readouterr().err
    assert "at least 8" in err
    assert "differ" in err


@pytest.mark.parametrize(
    ("text", "said"), [("a passphrase\n" * 2, "has 2 lines; 3"), ("short", "too short"), ("", "has 0 lines")]
)
def test_passphrase_files(tmp_path: Path, text: str, said: str) -> None:
    """A file has one a line or one for all, long enough."""
    path = tmp_path / "p"
    path.write_text(text)
    with pytest.raises(Failure, match=said):
        passphrases.new(["a", "b", "c"], path)
    path.write_text("first one\nsecond one\nthird one\n")
    assert passphrases.new(["a", "b", "c"], path) == ["first one", "second one", "third one"]


def test_help(capsys: Captured) -> None:
    """--help tells all exit statuses."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    for code, meaning in STATUSES.items():
        assert f"{code:<4} {meaning}" in out
