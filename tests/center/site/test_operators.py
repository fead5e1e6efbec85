"""`gatectl operator` and the commands that need an operator's key: from a key to what the gates are told."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from center.gatectl import order
from center.gatectl.__main__ import main
from center.publish import bundle as bundles
from center.publish.bundle import Bundle
from center.publish.repository import Online, Repository
from center.publish.vault import FolderVault
from center.site import keys, operators
from center.site.folder import Site
from protocol import repository as names
from protocol.operators import DOCUMENT, at_gate

Captured = pytest.CaptureFixture[str]
SECRET = "correct horse"  # noqa: S105 - of keys that live as long as a test


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Path:
    """A site, in the folder that $GATED_SITE names."""
    (tmp_path / "passphrase").write_text(SECRET + "\n")
    folder = tmp_path / "site"
    words = ["site", "init", str(folder), "--name", "shenhang", "--signers", "3", "--broker", "mqtts://10.0.0.1"]
    assert main([*words, "--passphrase-file", str(tmp_path / "passphrase")]) == 0
    monkeypatch.setenv("GATED_SITE", str(folder))
    capsys.readouterr()
    return folder


def add(folder: Path, name: str, *words: str) -> int:
    """Make an operator."""
    file = folder.parent / "passphrase"
    return main(["operator", "add", name, "--passphrase-file", str(file), *words])


def accepted(folder: Path, bundle: Path) -> bytes:
    """The document that gates get once two of three signers have signed."""
    site = Site.open(folder)
    online = Online(*(keys.read(folder / "online" / f"{name}.pem") for name in ("repository", "suspensions")))
    repository = Repository(site.name, FolderVault(site.repository), online)
    proposed = Bundle.from_bytes(bundle.read_bytes())
    for number in (1, 2):
        proposed = bundles.sign(proposed, keys.read(folder / "signers" / f"{number}.pem", SECRET))
    repository.accept(proposed, datetime.now(UTC))
    (data,) = proposed.blobs.values()
    assert DOCUMENT in names.DOCUMENTS
    return data


def test_from_a_key_to_the_gates(folder: Path, capsys: Captured) -> None:
    """The key opens with its passphrase, and what the signers sign lets it do what was said, where it was said."""
    assert add(folder, "li-wei", "--may", "open,hold", "--gates", "north", "--lanes", "walk-in", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    key = keys.read(Path(told["key"]), SECRET)
    assert Path(told["key"]).stat().st_mode & 0o777 == 0o600
    data = accepted(folder, Path(told["bundle"]))
    (operator,) = at_gate(data, "north").values()
    assert operator.name == "li-wei"
    assert set(operator.may) == {"open", "hold"}
    assert set(operator.lanes) == {"walk-in"}
    assert list(at_gate(data, "north")) == [keys.public_hex(key)]
    assert at_gate(data, "south") == {}


def test_one_proposal_has_the_others(folder: Path, capsys: Captured, tmp_path: Path) -> None:
    """Two operators made before anybody has signed are both in the newest bundle; one removed is not."""
    assert add(folder, "li-wei", "--may", "open") == 0
    assert add(folder, "wang-fang", "--may", "open", "--key", str(tmp_path / "wang.pem")) == 0
    assert (tmp_path / "wang.pem").exists()
    bundle = tmp_path / "b"
    assert main(["operator", "remove", "li-wei", "-o", str(bundle)]) == 0
    assert [one.name for one in at_gate(accepted(folder, bundle), "north").values()] == ["wang-fang"]
    capsys.readouterr()
    assert main(["operator", "list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["wang-fang"]
    assert add(folder, "li-na", "--may", "restart", "-o", str(tmp_path / "b2")) == 0
    assert len(at_gate(accepted(folder, tmp_path / "b2"), "north")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Li Wei", "--may", "open"], "no name"),
        (["li-wei", "--may", "fly"], "'fly'"),
        (["wang-fang", "--may", "open"], "there already"),
    ],
)
def test_wrong(folder: Path, capsys: Captured, words: list[str], said: str) -> None:
    """What cannot be is said, and nothing is made."""
    assert add(folder, "wang-fang", "--may", "open") == 0
    assert add(folder, words[0], *words[1:]) == 1
    assert said in capsys.readouterr().err
    assert [one.name for one in operators.meant(Site.open(folder)).operators] == ["wang-fang"]
    assert sorted(path.name for path in (folder / "operators").iterdir()) == ["wang-fang.pem"]


@pytest.mark.usefixtures("folder")
def test_remove_nobody(capsys: Captured) -> None:
    """There are none."""
    assert main(["operator", "remove", "li-wei"]) == 1
    assert main(["operator", "list"]) == 0
    assert "no operator" in capsys.readouterr().out


def test_a_key_that_its_holder_has_made(folder: Path, capsys: Captured) -> None:
    """Made elsewhere, with no site: the public half alone comes to the center, and it is what the gates are told."""
    secret, key = str(folder.parent / "passphrase"), folder.parent / "li-wei.pem"
    assert main(["keys", "new", str(key), "--passphrase-file", secret, "--json"]) == 0
    public = json.loads(capsys.readouterr().out)["public"]
    assert main(["operator", "add", "li-wei", "--may", "open", "--public", public, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["key"] is None
    assert not (folder / "operators").exists()
    assert at_gate(accepted(folder, Path(told["bundle"])), "north").keys() == {public}
    assert main(["operator", "add", "wang", "--may", "open", "--public", "7d0c"]) == 2


@pytest.mark.usefixtures("folder")
def test_no_key_and_no_gate(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that the center has never heard; a key that was not named."""
    monkeypatch.delenv(order.VARIABLE, raising=False)
    assert main(["gate", "add", "north"]) == 0
    assert main(["open", "north", "walk-in"]) == 1
    assert "no key of a gate north" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["hold", "north", "walk-in", "--minutes", "-1"])
    with pytest.raises(SystemExit):
        main(["resend", "north", "--after", "-1"])
