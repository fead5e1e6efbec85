"""The signers' list of gates: what a signer is shown of it, and what of it counts for the center's database."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from center.intake.enrolment import Known, differing
from center.publish.bundle import Bundle
from center.publish.metadata import PublishError
from center.publish.proposal import Changes
from center.publish.shown import show
from protocol import blob, gates
from protocol.gates import GateEntry, GatesDocument
from tests.signers import NOW, Center, line

FIRST, SECOND = "c1" * 32, "c2" * 32
HOUR = timedelta(hours=1)


def entry(name: str, number: int) -> GateEntry:
    """A gate with keys of that number."""
    return GateEntry(name=name, key=f"{number:08x}" * 8, seal=f"{number:08x}" * 7 + "5ea15ea1")


def document(number: int, *entries: GateEntry, center: tuple[str, ...] = (FIRST,)) -> GatesDocument:
    """A list of gates."""
    return GatesDocument(version=number, as_of=NOW, center=center, gates=entries)


@pytest.fixture
def center() -> Center:
    """A site with a list, and a list of the gates north and south."""
    made = Center()
    made.publish([line(number) for number in range(20)])
    made.publish(documents={gates.DOCUMENT: gates.encode(document(1, entry("north", 1), entry("south", 2)))})
    return made


def proposed(center: Center, data: bytes) -> Bundle:
    """The bundle that would make this the list of gates."""
    return center.repository.propose(Changes(documents={gates.DOCUMENT: data}), center.now)


def test_what_a_signer_reads(center: Center) -> None:
    """Which gates come, go, and have another box; which of the center's keys counts from now on, and which no more."""
    new = document(2, entry("north", 1), entry("south", 3), entry("east", 4), center=(SECOND,))
    text = show(proposed(center, gates.encode(new))).text
    for said in (
        f"the center's key {SECOND[:16]}…: gates believe it from now on",
        f"the center's key {FIRST[:16]}…: gates believe it no more",
        f"east: added, with the key {entry('east', 4).key[:16]}…",
        "south: another box, with the key 0000000300000003… in place of 0000000200000002…",
        "gates.json, number 2 of 2026-11-24 08:00: 3 gates",
    ):
        assert said in text
    assert "north" not in text
    gone = show(proposed(center, gates.encode(document(2, entry("north", 1))))).text
    assert "south: taken out, and its key" in gone
    sealed = entry("north", 1).model_copy(update={"seal": "5e" * 32})
    other = show(proposed(center, gates.encode(document(2, sealed, entry("south", 2))))).text
    assert "north: another key for what is sealed to it" in other


def test_a_list_that_many_gates_are_on(center: Center) -> None:
    """Of three thousand the first fifty are shown, and how many there are; a signer may look at all."""
    many = [entry(f"g{number}", number) for number in range(1, gates.GATES_MAX + 1)]
    bundle = proposed(center, gates.encode(document(2, *many)))
    assert "… and 2,952 more" in show(bundle, 50).text
    assert show(bundle).text.count("added, with the key") == gates.GATES_MAX


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{}", "no gatesdocument"),
        (gates.encode(document(2)).replace(b'"version":2', b'"version":2,"more":1'), "fields that are not shown"),
        (gates.encode(document(2)) + b" ", "not written as it should be"),
        (gates.encode(document(3)), "does not follow"),
        (gates.encode(document(2)).replace(FIRST.encode(), b""), "center"),
    ],
)
def test_what_no_signer_signs(center: Center, data: bytes, why: str) -> None:
    """What is not shown whole."""
    with pytest.raises(PublishError, match=why):
        show(proposed(center, data))


def test_nor_one_that_takes_it_away(center: Center) -> None:
    """Gates would keep the one before; nor one whose old list is not in the bundle."""
    bundle = proposed(center, gates.encode(document(2)))
    metadata = Metadata[Targets].from_bytes(bundle.proposed["targets"])
    del metadata.signed.targets[gates.DOCUMENT]
    without = replace(bundle, proposed={"targets": metadata.to_bytes()})
    with pytest.raises(PublishError, match="takes the list of gates away"):
        show(without)
    before = center.repository.document(gates.DOCUMENT)
    assert before is not None
    less = {name: data for name, data in bundle.blobs.items() if name != blob.sha256(before)}
    with pytest.raises(PublishError, match="lacks one of the two lists of gates"):
        show(replace(bundle, blobs=less))


def known(one: GateEntry, since: datetime = NOW - HOUR) -> Known:
    """A gate as the database has it."""
    return Known(bytes.fromhex(one.key), bytes.fromhex(one.seal), since.timestamp())


NORTH, OTHER = entry("north", 1), entry("north", 9)
KEYS = (bytes.fromhex(NORTH.key), bytes.fromhex(NORTH.seal))


@pytest.mark.parametrize(
    ("let_in", "held", "found"),
    [
        ({"north": NOW - HOUR}, {"north": known(NORTH)}, {}),
        ({"north": NOW - HOUR}, {}, {"north": KEYS}),
        ({"north": NOW - HOUR}, {"north": known(OTHER)}, {"north": KEYS}),
        ({"north": NOW + HOUR}, {}, {}),
        ({"north": NOW + HOUR}, {"north": known(OTHER)}, {}),
        ({}, {}, {}),
        ({}, {"north": known(NORTH)}, {}),
        ({}, {"west": known(entry("west", 7))}, {"west": None}),
        ({}, {"west": known(entry("west", 7), NOW + HOUR)}, {}),
        ({"west": NOW - HOUR}, {"west": known(entry("west", 7))}, {}),
    ],
    ids=[
        "known",
        "a database without it",
        "a database from before its new box",
        "given another box since",
        "which is set up",
        "shut out since",
        "shut out since, and the database is older",
        "shut out before, and the database is older",
        "added since",
        "let in and not listed",
    ],
)
def test_what_the_database_learns(let_in: Any, held: Any, found: Any) -> None:
    """What the signers have signed, unless a gate was given another box or shut out since."""
    assert differing(document(1, NORTH), let_in, held) == found
