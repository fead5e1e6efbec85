"""`gatectl eid`: from a desk's key to a card that a gate reads, and what is shown of it to whom."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.gatectl.__main__ import main
from center.publish import bundle as bundles
from center.publish.bundle import Bundle
from center.site import keys, operators
from center.site.keys import REGISTRY
from protocol import eid
from protocol.operators import Registrars, registrars
from tests.center.gatectl.workplace import PASSPHRASE, Workplace

Captured = pytest.CaptureFixture[str]
HOLDER = {"name": "王小明", "origin": "安徽省阜阳市", "address": "12号楼301室"}
UID = "04A2B3C4D5E680"


class Desk:
    """A registrar's desk: a key of its own in a folder of its own."""

    def __init__(self, place: Workplace, capsys: Captured, name: str = "desk-1") -> None:
        self.place = place
        self.capsys = capsys
        self.folder = place.folder / name
        self.folder.mkdir()
        self.key = self.folder / "desk.pem"
        said = self.json("keys", "new", self.key, "--passphrase-file", place.passphrases)
        self.public = str(said["public"])
        (self.folder / "holder.json").write_text(json.dumps(HOLDER), encoding="utf-8")

    def json(self, *words: object) -> Any:
        """What a command at the center says."""
        self.capsys.readouterr()
        assert self.place.run(*words, "--json") == 0
        return json.loads(self.capsys.readouterr().out)

    def issue(self, file: Path, *words: object) -> int:
        """A card for the holder, on a machine without the site's folder where the words name the site."""
        where = ["-s", str(self.folder / "none" if "--for" in words else self.place.site.folder)]
        given = ["--key", self.key, "--passphrase-file", self.place.passphrases, "--uid", UID, "--until", "2030-12-31"]
        if "--data" not in words:
            given += ["--data", self.folder / "holder.json"]
        return main([*where, *map(str, ["eid", "issue", file, *given, *words])])

    def trusted(self) -> Registrars:
        """The gates take cards of this desk, once the signers have signed."""
        bundle = Path(self.json("eid", "trust", "desk-1", "--public", self.public)["bundle"])
        return signed(self.place, bundle)


def signed(place: Workplace, path: Path) -> Registrars:
    """What a bundle says of registrars, once the signers have signed it."""
    bundle = Bundle.from_bytes(path.read_bytes())
    for signer in place.signers[:2]:
        bundle = bundles.sign(bundle, keys.read(signer, PASSPHRASE))
    (data,) = bundle.blobs.values()
    return registrars(data)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A site."""
    return Workplace(tmp_path / "work")


@pytest.fixture
def desk(place: Workplace, capsys: Captured) -> Desk:
    """Its desk."""
    return Desk(place, capsys)


def test_from_a_key_to_a_card(place: Workplace, desk: Desk) -> None:
    """What the signers sign lets gates read the desk's card, and no more of it than they need."""
    known = desk.trusted()
    assert known.issuing == {desk.public}
    card = desk.folder / "card.ndef"
    said = desk.json(
        *(
            "eid",
            "issue",
            card,
            "--key",
            desk.key,
            "--passphrase-file",
            place.passphrases,
            "--uid",
            "04:a2:b3:c4:d5:e6:80",
        ),
        *("--until", "2030-12-31", "--data", desk.folder / "holder.json", "--holder", "h7Qk2"),
    )
    message = card.read_bytes()
    assert bytes.fromhex(Path(said["hex"]).read_text()) == message
    assert len(message) == said["bytes"] <= eid.CARD_MAX_BYTES
    read = eid.read(message, "shenhang", known.keys)
    assert (read.credential, read.holder, read.uid.hex().upper()) == (said["credential"], "h7Qk2", UID)
    assert eid.open_(read, keys.read_registry(place.site.folder / REGISTRY)).name == HOLDER["name"]
    for path in (card, Path(said["hex"]), place.site.folder / REGISTRY):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_desk_without_the_sites_folder(place: Workplace, desk: Desk) -> None:
    """Issues and shows with nothing but keys: the site's name and public halves come on paper."""
    desk.trusted()
    public = desk.json("eid", "keys")
    card = desk.folder / "card.ndef"
    assert desk.issue(card, "--for", "shenhang", "--registry", public["registry"]) == 0
    desk.capsys.readouterr()
    words = ["-s", str(desk.folder / "none"), "eid", "show", str(card), "--for", "shenhang", "--json"]
    words += ["--public", public["registrars"][0]["key"]]
    assert main(words) == 0
    plain = json.loads(desk.capsys.readouterr().out)
    assert plain["uid"] == UID
    assert not plain.keys() & HOLDER.keys()
    assert main([*words, "--registry-key", str(place.site.folder / REGISTRY)]) == 0
    assert json.loads(desk.capsys.readouterr().out) == {**plain, **HOLDER}


def test_shown(desk: Desk) -> None:
    """By its hex file too; on another chip it is said to be a copy, and a stranger's card is none."""
    desk.trusted()
    card = desk.folder / "card.ndef"
    assert desk.issue(card) == 0
    assert desk.place.run("eid", "show", f"{card}.hex", "--uid", UID) == 0
    assert HOLDER["name"] not in desk.capsys.readouterr().out
    assert desk.place.run("eid", "show", card, "--uid", "04000000000000") == 1
    assert "a copy" in desk.capsys.readouterr().err
    card.write_bytes(card.read_bytes()[:-1] + b"\0")
    assert desk.place.run("eid", "show", card) == 1
    assert "signature" in desk.capsys.readouterr().err


def test_retired_and_distrusted(place: Workplace, desk: Desk) -> None:
    """Retired, a key issues no more and its cards are read; distrusted, it is gone. Operators stay as they are."""
    other = Ed25519PrivateKey.generate()
    words = ("--may", "open", "--public", keys.public_hex(other))
    desk.json("operator", "add", "li-wei", *words)
    assert desk.trusted().issuing
    retired = signed(place, Path(desk.json("eid", "distrust", "desk-1", "--retire")["bundle"]))
    assert len(retired.keys) == 1
    assert not retired.issuing
    assert desk.json("eid", "keys")["registrars"][0]["retired"] is True
    desk.json("operator", "remove", "li-wei", "-o", place.folder / "operators.bundle")
    assert signed(place, place.folder / "operators.bundle").keys
    assert signed(place, Path(desk.json("eid", "distrust", "desk-1")["bundle"])) == Registrars()
    assert operators.meant(place.site).operators == ()


def test_a_site_from_before(place: Workplace, desk: Desk) -> None:
    """A site without a registry's key is told so, and is given one; one that is there stays."""
    path = place.site.folder / REGISTRY
    before = path.read_bytes()
    desk.trusted()
    assert path.read_bytes() == before
    path.unlink()
    assert place.run("eid", "keys") == 1
    assert "eid trust" in desk.capsys.readouterr().err
    desk.json("eid", "trust", "desk-2", "--public", keys.public_hex(Ed25519PrivateKey.generate()))
    assert len(desk.json("eid", "keys")["registrars"]) == 2


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["--data", "nobody.json"], 3, "nobody.json"),
        (["--uid", "04A2"], 2, "UID"),
        (["--uid", "xyz"], 2, "hex digits"),
        (["--until", "2020-01-01"], 2, "never be valid"),
        (["--holder", "王"], 2, "random name"),
        (["--for", "shenhang"], 2, "go together"),
        (["--for", "A site", "--registry", "00" * 32], 2, "no name"),
        (["--for", "shenhang", "--registry", "00"], 2, "64 small hex"),
        (["--for", "shenhang", "--registry", "00" * 32], 2, "key"),
        (["--key", "nobody.pem"], 1, "cannot be read"),
    ],
)
def test_mistakes(desk: Desk, words: list[str], status: int, why: str) -> None:
    """What is wrong is said, and no file is made."""
    card = desk.folder / "card.ndef"
    desk.capsys.readouterr()
    assert desk.issue(card, *words) == status
    assert why in desk.capsys.readouterr().err
    assert not card.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"origin": "x"}', '{"name": 1}', '{"name": "x", "phone": "1"}', "[" * 9999]
)
def test_data_that_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What is no holder's data is said, and not repeated; it may come by a pipe."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert desk.issue(desk.folder / "card.ndef", "--data", "-") == 2
    assert "at least the name" in desk.capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO('{"name": "x"}'))
    assert desk.issue(desk.folder / "card.ndef", "--data", "-") == 0


def test_nothing_is_overwritten(desk: Desk) -> None:
    """A card's file that is there stays."""
    card = desk.folder / "card.ndef"
    assert desk.issue(card) == 0
    before = card.read_bytes()
    assert desk.issue(card) == 1
    assert card.read_bytes() == before


def test_each_once(desk: Desk) -> None:
    """Neither a name nor a key is taken twice; a name that is none, or that is not there, is said."""
    desk.trusted()
    other = keys.public_hex(Ed25519PrivateKey.generate())
    for words, why in (
        (("trust", "desk-1", "--public", other), "already"),
        (("trust", "desk-2", "--public", desk.public), "already"),
        (("trust", "Desk", "--public", other), "no name"),
        (("distrust", "desk-9"), "desk-1"),
    ):
        assert desk.place.run("eid", *words) == 1
        assert why in desk.capsys.readouterr().err
