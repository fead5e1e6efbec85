"""What a chip's message proves to a gate: whose card, whether it is its own chip, and nothing by what does not hold."""

import json
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from drivers.records import Records
from drivers.registry import Ports
from gated.app import _Gate
from gated.config import Config, load
from gated.lanes.cards import CardKeysError, Cards, read_sun_keys
from gated.lanes.counters import FILE_NAME, Counters
from protocol import eid, ndef, sun
from protocol.credential import Credential
from protocol.eid import Card, Holder
from protocol.ndef import WELL_KNOWN, Record
from protocol.operators import OperatorsDocument, RegistrarEntry, Registrars, encode, registrars
from protocol.sighting import Proved, SignedCard

DESK, RETIRED, STRANGER = (Ed25519PrivateKey.generate() for _ in range(3))
UID = bytes.fromhex("04a2b3c4d5e680")
CHIP = bytes.fromhex("04DE5F1EACC040")
KEYS = sun.Keys(bytes(16), bytes(16))
TAP = ndef.encode(
    [Record(WELL_KNOWN, b"U", b"\x04a.b/?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086")]
)
DOCUMENT = encode(
    OperatorsDocument(
        registrars=(
            RegistrarEntry(name="desk-1", key=DESK.public_key().public_bytes_raw().hex()),
            RegistrarEntry(name="desk-0", key=RETIRED.public_key().public_bytes_raw().hex(), retired=True),
        )
    )
)


def message(key: Ed25519PrivateKey, site: str = "shenhang") -> bytes:
    """A card by this key."""
    card = Card(site, Credential("eid:0123456789ABCDEF"), "h7Qk2", UID, 1000, 1000, 2000)
    return eid.make(card, Holder("王小明"), X25519PrivateKey.generate().public_key().public_bytes_raw(), key)


def cards(state: Path, known: Registrars | None = None, keys: sun.Keys | None = KEYS) -> Cards:
    """A gate's."""
    found = registrars(DOCUMENT) if known is None else known
    return Cards("shenhang", lambda: found, keys, Counters(state), structlog.get_logger())


def test_an_e_id(tmp_path: Path) -> None:
    """By a registrar's key, retired or not, it is that card; on another chip it is a copy."""
    for key in (DESK, RETIRED):
        proof = SignedCard(key.public_key().public_bytes_raw().hex(), 1000, 1000, 2000, "h7Qk2")
        found = cards(tmp_path).prove(message(key), UID)
        assert found == Proved(Credential("eid:0123456789ABCDEF"), proof)
    copy = cards(tmp_path).prove(message(DESK), bytes(7))
    assert copy is not None
    assert copy.card.copied


def test_who_issues(tmp_path: Path) -> None:
    """A retired key stands for no entry; without a document nobody's does."""
    assert registrars(DOCUMENT).issuing == {DESK.public_key().public_bytes_raw().hex()}
    assert registrars(b"{}") == Registrars()
    assert cards(tmp_path, Registrars()).prove(message(DESK), UID) is None


@pytest.mark.parametrize(
    "shown", [message(STRANGER), message(DESK, "another"), message(DESK)[:-1], b"", ndef.encode([Record(0, b"", b"")])]
)
def test_what_proves_nothing(tmp_path: Path, shown: bytes) -> None:
    """A stranger's signature, another site's card, a piece, an empty tag: the chip's UID is all there is."""
    assert cards(tmp_path).prove(shown, UID) is None


def test_a_tap_counts_once(tmp_path: Path) -> None:
    """The first time it is that chip's, from then on a copy: at once, and after a restart."""
    first, again, later = (cards(tmp_path).prove(TAP, CHIP) for _ in range(3))
    assert first == Proved(Credential("eid:04DE5F1EACC040"), SignedCard("ntag424", 0.0))
    for found in (again, later):
        assert found is not None
        assert found.card.copied


@pytest.mark.parametrize(("uid", "copied"), [("04DE5F1EACC041", True), ("08112233", False), ("04112233", True)])
def test_a_tap_on_another_chip(tmp_path: Path, uid: str, copied: bool) -> None:  # noqa: FBT001 - a case's
    """A link that was copied to another chip is a copy; a chip that hides its UID is taken by its MAC."""
    found = cards(tmp_path).prove(TAP, bytes.fromhex(uid))
    assert found is not None
    assert found.card.copied is copied


def test_taps_that_prove_nothing(tmp_path: Path) -> None:
    """Without keys, with others, or while the counters cannot be kept."""
    assert cards(tmp_path, keys=None).prove(TAP, CHIP) is None
    assert cards(tmp_path, keys=sun.Keys(bytes(16), bytes(15) + b"\1")).prove(TAP, CHIP) is None
    (tmp_path / FILE_NAME).mkdir()
    assert cards(tmp_path).prove(TAP, CHIP) is None


def test_the_keys_file(tmp_path: Path) -> None:
    """Two lines; anything else is said, and never shown."""
    path = tmp_path / "keys"
    path.write_text("00" * 16 + "\n" + "0f" * 16 + "\n")
    assert read_sun_keys(path) == sun.Keys(bytes(16), b"\x0f" * 16)
    for text in ("", "00" * 16, "00" * 15 + "\n" + "00" * 16, "5e" * 16 + "\nxyz", "\xff" * 9, "0\n" * 5):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(CardKeysError, match="two lines") as caught:
            read_sun_keys(path)
        assert "5e5e" not in str(caught.value)
    with pytest.raises(CardKeysError, match="cannot be read"):
        read_sun_keys(tmp_path / "none")


CONFIG = """\
site = "shenhang"
gate = "north"
state = "{state}"

[cards]
ntag424 = "file:{keys}"

[lanes.walk-in]
kind = "person"
direction = "in"
readers = [ {{ driver = "em4100", port = "/dev/none" }} ]
"""


def gate(folder: Path) -> Config:
    """A gate that is to have such keys, in `keys`."""
    path = folder / "gated.toml"
    path.write_text(CONFIG.format(state=folder, keys=folder / "keys"))
    return load(path)


def test_a_reader_asks_the_daemon(tmp_path: Path) -> None:
    """What a reader's driver is handed proves by the keys of the configuration; the keys themselves it has not."""
    (tmp_path / "keys").write_text("00" * 16 + "\n" + "00" * 16)
    prove = Records.of(_Gate(gate(tmp_path), structlog.get_logger())._ports).prove
    found = prove(TAP, CHIP)
    assert found is not None
    assert (found.credential, found.card.copied) == ("eid:04DE5F1EACC040", False)
    assert prove(message(DESK), UID) is None


def test_a_daemon_without_keys(tmp_path: Path) -> None:
    """Keys that are not there stop no gate: it is said, and such chips prove nothing; nor does any for `detect`."""
    with structlog.testing.capture_logs() as said:
        assert Records.of(_Gate(gate(tmp_path), structlog.get_logger())._ports).prove(TAP, CHIP) is None
    assert [one["event"] for one in said] == ["cards.no-keys"]
    assert Records.of(Ports()).prove(TAP, CHIP) is None


def test_operators_document_names_each_once() -> None:
    """A key that is there twice makes the document wrong: nobody could say whether it is retired."""
    entry = json.loads(DOCUMENT)["registrars"][0]
    with pytest.raises(ValueError, match="twice"):
        registrars(json.dumps({"registrars": [entry, {**entry, "name": "desk-2", "retired": True}]}).encode())
