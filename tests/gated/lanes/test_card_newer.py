"""A card that was issued since the list was made, at a gate: from the registrar's desk to the barrier."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from drivers.records import Records
from gated.app import _Gate
from gated.clock import Remembered, Timekeeper
from gated.config import load
from gated.lanes.cards import Cards
from gated.lanes.counters import Counters
from gated.lanes.decide import Direction, LaneKind, LaneRule, Policy
from gated.lanes.post import Post
from gated.lists.whitelist import Whitelist, WhitelistError
from gated.recording.journal import Journal
from gated.talking import enrol
from gated.talking.operators import SignedOperators
from protocol import eid
from protocol.credential import Credential
from protocol.eid import Card, Holder
from protocol.enrolment import Enrolment
from protocol.operators import OperatorsDocument, RegistrarEntry, encode
from protocol.sighting import Sighting
from protocol.signature import public_bytes
from tests.flashbox import Box
from tests.gated.lanes.test_recorded_before_opened import FakeJournal
from tests.signers import NOW, Center, line

DESK = Ed25519PrivateKey.generate()
REGISTRY = X25519PrivateKey.generate().public_key().public_bytes_raw()
UID = bytes.fromhex("04a2b3c4d5e680")
NUMBER = Credential("eid:0123456789ABCDEF")
T = NOW.timestamp()
DAEMON = """\
site = "shenhang"
gate = "north"
state = "{state}"

[lanes.walk-in]
kind = "person"
direction = "in"
readers = [ {{ driver = "em4100", port = "/dev/none" }} ]

[center]
broker = "mqtts://mqtt.center.example"
username = "north"
password = "file:{state}/password"
"""


@dataclass
class Clocks:
    """An hour after the list, and right."""

    boot: str = "9f2c"

    def wall(self) -> float:
        """See Source."""
        return T + 3600

    def mono(self) -> float:
        """See Source."""
        return 1000.0

    def synced(self) -> bool:
        """See Source."""
        return True


class Gate:
    """One gate with the list and the registrars in force that the center has published."""

    def __init__(self, box: Box, whitelist: Whitelist) -> None:
        self.journal = FakeJournal()
        self.operators = SignedOperators(box.folder, "north", structlog.get_logger())
        self.cards = Cards(
            "shenhang",
            lambda: self.operators.registrars,
            None,
            Counters(box.folder),
            structlog.get_logger(),
        )
        self.post = Post(
            journal=cast("Journal", self.journal),
            keeper=Timekeeper(Clocks(), UTC, Remembered()),
            whitelist=whitelist,
            policy=Policy({}),
            log=structlog.get_logger(),
        )
        self.post.add(LaneRule("walk-in", LaneKind.PERSON, Direction.IN), None, None)
        self.refresh()

    def refresh(self) -> None:
        """Other documents are in force."""
        self.operators.refresh()
        self.post.rule_by(Policy({}, registrars=self.operators.registrars.issuing))
        self.post.refresh_list()

    def show(self, message: bytes, uid: bytes = UID) -> dict[str, Any]:
        """Somebody shows a card; what is written down of it."""
        proved = self.cards.prove(message, uid)
        plain = Sighting("walk-in/0", Credential(f"uid:{uid.hex().upper()}"), 1000.0)
        if proved is None:
            self.post.see("walk-in", plain)
        else:
            sighting = replace(plain, credential=proved.credential, also=(plain.credential,), card=proved.card)
            self.post.see("walk-in", sighting)
        return self.journal.events[-1]


def document(*, retired: bool = False) -> bytes:
    """operators.json with the desk's key."""
    entry = RegistrarEntry(name="desk-1", key=DESK.public_key().public_bytes_raw().hex(), retired=retired)
    return encode(OperatorsDocument(registrars=(entry,)))


def card(issued: float, **more: Any) -> bytes:
    """A card that the desk has written then, valid for a year."""
    made = Card("shenhang", NUMBER, "h7Qk2", UID, issued, issued, issued + 365 * 24 * 3600.0)
    return eid.make(replace(made, **more), Holder("王小明"), REGISTRY, DESK)


@pytest.fixture
def center() -> Center:
    """A site with a list, and a desk whose cards count."""
    made = Center()
    made.publish([line(1)], documents={"operators.json": document()})
    return made


@pytest.fixture
async def gate(center: Center, tmp_path: Path) -> AsyncIterator[tuple[Gate, Box]]:
    """A gate that has taken it."""
    box = Box(tmp_path, center.root, center.now)
    box.take(center)
    with closing(Whitelist(tmp_path)) as whitelist:
        yield Gate(box, whitelist), box


@pytest.mark.parametrize(
    ("shown", "uid", "verdict", "reason"),
    [
        (card(T + 60), UID, "admit", "card"),
        (card(T - 60), UID, "flag", "unknown"),
        (card(T + 7200), UID, "flag", "unknown"),
        (card(T + 60, begins=T + 7200), UID, "flag", "not-yet"),
        (card(T + 60, begins=T, ends=T + 3600), UID, "flag", "expired"),
        (card(T + 60), UID[::-1], "flag", "clone"),
        (card(T + 60, site="another"), UID, "flag", "unknown"),
    ],
)
async def test_a_card_that_no_list_mentions(
    gate: tuple[Gate, Box], shown: bytes, uid: bytes, verdict: str, reason: str
) -> None:
    """Issued since the list, for this site, on its own chip, in its own time it is admitted; else the guard looks."""
    event = gate[0].show(shown, uid)
    assert (event["verdict"], event["reason"]) == (verdict, reason)
    assert event.get("holder") == ("h7Qk2" if verdict == "admit" else None)
    assert "王" not in str(event)


async def test_the_daemon_takes_it_from_the_signed_documents(center: Center, tmp_path: Path) -> None:
    """A daemon with a center goes by operators.json, for what a record proves and for what then counts."""
    box = Box(tmp_path, center.root, center.now)
    enrol.install(
        tmp_path,
        Enrolment(
            site="shenhang",
            gate="north",
            broker="mqtts://mqtt.center.example",
            username="north",
            password="of-the-broker",  # noqa: S106 - of nobody
            ca="",
            center=(public_bytes(DESK).hex(),),
            root=center.root,
            pepper="cd" * 32,
            voucher="01" * 32,
            until=center.now + timedelta(days=1),
        ),
    )
    box.take(center)
    (tmp_path / "password").write_text("of-the-broker")
    (tmp_path / "gated.toml").write_text(DAEMON.format(state=tmp_path))
    daemon = _Gate(load(tmp_path / "gated.toml"), structlog.get_logger())
    prove = Records.of(daemon._ports).prove
    assert prove(card(T + 60), UID) is None
    daemon._center = daemon._make_center()
    proved = prove(card(T + 60), UID)
    assert proved is not None
    assert proved.credential == NUMBER
    assert daemon._post._policy.registrars == {proved.card.key}
    daemon._whitelist.close()


async def test_what_the_center_says_next(gate: tuple[Gate, Box], center: Center) -> None:
    """A suspension, a retired key, a newer list without the card: each ends it."""
    post, box = gate
    assert post.show(card(T + 60))["reason"] == "card"
    center.later(minutes=10)
    center.repository.suspend(NUMBER, center.now)
    take(box, center, post)
    assert seen_anew(post, card(T + 60)) == "unknown"
    center.repository.restore(NUMBER, center.now)
    take(box, center, post)
    assert seen_anew(post, card(T + 60)) == "card"
    center.publish(documents={"operators.json": document(retired=True)})
    take(box, center, post)
    assert seen_anew(post, card(T + 60)) == "unknown"
    center.publish([line(1), line(2)], documents={"operators.json": document()})
    take(box, center, post)
    assert seen_anew(post, card(T + 60)) == "unknown"
    assert seen_anew(post, card(T + 1200)) == "card"
    center.publish([line(1), line(2), f'{{"c":"{NUMBER}","until":"2028-01-01T00:00:00Z","gone":true}}'])
    take(box, center, post)
    assert seen_anew(post, card(T + 3000)) == "unknown"


def take(box: Box, center: Center, gate: Gate) -> None:
    """The gate takes what the center has now."""
    box.time(center.now)
    box.take(center)
    gate.refresh()


def seen_anew(gate: Gate, message: bytes) -> str:
    """The reason, for one who has not been here before."""
    gate.post._presences._by_credential.clear()
    gate.post._presences._last.clear()
    return str(gate.show(message)["reason"])


async def test_a_list_that_cannot_be_read_leaves_no_card_to_speak_for_itself(
    gate: tuple[Gate, Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have taken that very card off: an error is never a yes."""

    def entry(_: Credential) -> None:
        raise WhitelistError("the disk is dying")

    monkeypatch.setattr(gate[0].post._whitelist, "entry", entry)
    event = gate[0].show(card(T + 60))
    assert (event["verdict"], event["reason"], event.get("holder")) == ("flag", "unknown", None)
