"""Whom a gate believes, and whether it is known: by the signers' list of gates, as a flash brings it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tuf.api.metadata import Metadata, Targets

from center.publish.proposal import Changes
from gated import logs
from gated.commands import doctor_center
from gated.commands.finding import Grade
from gated.config import load
from gated.lists import trust_folder
from gated.talking import enrol, keys
from gated.talking.keys import Keys
from gated.talking.listed import ListedKeys, read
from protocol import gates
from protocol.enrolment import VOUCHER_TIME, Enrolment
from protocol.gates import GateEntry, GatesDocument
from protocol.message import MessageError
from protocol.signature import public_bytes, signed, verified
from tests.flashbox import Box
from tests.signers import Center, line

FIRST, SECOND, STRANGER = (Ed25519PrivateKey.generate() for _ in range(3))
TOPIC = "gated/1/shenhang/gates/north/ack"


@dataclass
class Gate:
    """A gate that was set up with FIRST as the center's key, and has the center's list."""

    box: Box
    center: Center
    own: Keys

    def flash(self, *center: Ed25519PrivateKey, mine: bool | None = None, as_of: datetime | None = None) -> None:
        """A list of gates with these keys of the center; `mine`: with the gate's own keys, or another box's."""
        other = public_bytes(Ed25519PrivateKey.generate())
        key = self.own.sign_public if mine else other
        entry = GateEntry(name="north", key=key.hex(), seal=self.own.seal_public.hex())
        document = GatesDocument(
            version=1,
            as_of=as_of or self.center.now,
            center=tuple(public_bytes(one).hex() for one in center),
            gates=() if mine is None else (entry,),
        )
        self.flash_raw(gates.encode(document))

    def flash_raw(self, data: bytes) -> None:
        """The same with any bytes."""
        self.center.publish(documents={gates.DOCUMENT: data})
        self.box.take(self.center)

    def believes(self, *of: Ed25519PrivateKey) -> bool:
        """Whether these keys are believed and no others, by a gate that starts now."""
        center = read(self.box.folder, self.own).center
        found = [
            key
            for key in (FIRST, SECOND, STRANGER)
            if verified(TOPIC, signed(TOPIC, b'{"seq":1}', key), center) is not None
        ]
        return found == list(of)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate with a list, and none of gates yet."""
    center = Center()
    center.publish([line(number) for number in range(20)])
    box = Box(tmp_path, center.root, center.now)
    content = Enrolment(
        site="shenhang",
        gate="north",
        broker="mqtts://mqtt.center.example",
        username="north",
        password="of-the-broker",  # noqa: S106 - of nobody
        ca="",
        center=(public_bytes(FIRST).hex(),),
        root=center.root,
        pepper="cd" * 32,
        voucher=Ed25519PrivateKey.generate().private_bytes_raw().hex(),
        until=center.now - timedelta(hours=1) + VOUCHER_TIME,
    )
    enrol.install(tmp_path, content)
    box.take(center)
    return Gate(box, center, keys.load(tmp_path, site="shenhang", gate="north"))


def test_before_there_is_a_list(gate: Gate) -> None:
    """The key of the enrolment file counts, and the gate says who it is."""
    assert gate.believes(FIRST)
    assert not read(gate.box.folder, gate.own).known


def test_a_rotation(gate: Gate) -> None:
    """Both keys, then the new one alone: what is no longer listed is no longer believed, also after a restart."""
    gate.flash(FIRST, SECOND, mine=True)
    assert gate.believes(FIRST, SECOND)
    gate.flash(SECOND, mine=True)
    assert gate.believes(SECOND)
    assert read(gate.box.folder, gate.own).known


def test_a_gate_that_is_listed_with_another_key(gate: Gate) -> None:
    """It is told once, with what to do; whom the gate believes is another matter."""
    held = ListedKeys(gate.box.folder, gate.own, logs.configure())
    assert held.refresh() == ""
    gate.flash(SECOND, mine=False)
    assert "gatectl gate replace north" in held.refresh()
    assert held.refresh() == ""
    assert not held.held.known
    assert gate.believes(SECOND)
    gate.flash(SECOND, mine=True)
    assert held.refresh() == ""
    assert (held.held.known, held.held.trouble) == (True, "")


def test_a_box_that_is_newer_than_the_list(gate: Gate) -> None:
    """A list from before its enrolment file says nothing of it: no alarm, and the file's keys hold."""
    gate.flash(SECOND, mine=False, as_of=gate.own.issued - timedelta(seconds=1))
    found = read(gate.box.folder, gate.own)
    assert (found.known, found.trouble) == (False, "")
    assert gate.believes(FIRST)
    gate.flash(SECOND, mine=False, as_of=gate.own.issued)
    assert gate.believes(SECOND)


@pytest.mark.parametrize("change", [lambda data: data.replace(b'"center":["', b'"center":[],"x":["'), lambda _: b"{}"])
def test_a_list_that_is_none(gate: Gate, change: Callable[[bytes], bytes]) -> None:
    """Refused whole, with the reason; what held before goes on, and so does all else that came with it."""
    gate.flash(FIRST, SECOND, mine=True)
    before = trust_folder.documents(gate.box.folder)
    gate.center.publish([line(number) for number in range(21)])
    gate.flash_raw(change(before[gates.DOCUMENT]))
    assert "gates.json: no gatesdocument: " in gate.box.flash.trouble
    assert gate.box.version == "2"
    assert trust_folder.documents(gate.box.folder) == before
    assert gate.believes(FIRST, SECOND)
    gate.flash(SECOND, mine=True)
    assert gate.believes(SECOND)
    assert gate.box.idle


def test_a_list_that_is_taken_away(gate: Gate) -> None:
    """The key that it took out does not come back by that."""
    gate.flash(SECOND, mine=True)
    center = gate.center
    bundle = center.repository.propose(Changes(documents={"policy.json": b"{}"}), center.now)
    metadata = Metadata[Targets].from_bytes(bundle.proposed["targets"])
    del metadata.signed.targets[gates.DOCUMENT]
    bundle.proposed["targets"] = metadata.to_bytes()
    center.repository.accept(center.signed(bundle), center.now)
    gate.box.take(center)
    assert gate.believes(SECOND)
    assert gate.box.idle


def test_a_damaged_list_on_disk(gate: Gate) -> None:
    """A gate that starts with it believes nobody, says so, and fetches it again; one that runs goes on."""
    gate.flash(FIRST, mine=True)
    running = ListedKeys(gate.box.folder, gate.own, logs.configure())
    running.refresh()
    folder = trust_folder.current(gate.box.folder)
    assert folder is not None
    (folder / "documents" / gates.DOCUMENT).write_bytes(b"\0")
    assert "cannot be read" in running.refresh()
    assert (len(running.held.center), running.held.known) == (1, True)
    started = ListedKeys(gate.box.folder, gate.own, logs.configure())
    assert "cannot be read" in started.refresh()
    assert started.held.center == ()
    with pytest.raises(MessageError):
        read(gate.box.folder, gate.own)
    gate.center.later(hours=1)
    gate.center.repository.renew(gate.center.now)
    gate.box.take(gate.center)
    assert started.refresh() == ""
    assert (len(started.held.center), started.held.trouble) == (1, "")


def test_what_the_doctor_says(gate: Gate, tmp_path: Path) -> None:
    """Not listed yet, listed with another key, listed as it should be."""
    password = tmp_path / "password"
    password.write_text("of-the-broker\n")
    file = tmp_path / "gated.toml"
    file.write_text(
        f'site = "shenhang"\ngate = "north"\nstate = "{gate.box.folder}"\n[lanes.a]\nkind = "person"\n'
        'direction = "in"\nreaders = [ { driver = "em4100", port = "/dev/gate/a" } ]\n'
        f'[center]\nbroker = "mqtts://mqtt.center.example"\nusername = "north"\npassword = "file:{password}"\n'
    )

    def said() -> list[tuple[Grade, str]]:
        """What is said of the list of gates; the rest is of the broker."""
        found = doctor_center.examine(load(file))
        return [(finding.grade, finding.do) for finding in found if "list of gates" in finding.said]

    assert said() == [(Grade.NOTE, "at the center, when the box is heard there: gatectl gate propose")]
    gate.flash(FIRST, mine=False)
    assert said() == [(Grade.WRONG, "sudo gated setup FILE, with a file from gatectl gate replace")]
    gate.flash(FIRST, mine=True)
    assert said() == []
