"""`gatectl expected`: who is announced, who announced it, and when the gates have it."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import update
from tuf.api.metadata import Targets

from center.gatectl import flash
from center.publish.metadata import read
from center.publish.opened import repository
from center.records import tables
from center.records.store import Store
from protocol import repository as names
from protocol.expected import ExpectedError, Visitor, unseal
from tests.center.gatectl.workplace import Workplace
from tests.signers import line

SITE = "shenhang"
Captured = pytest.CaptureFixture[str]


class Desk:
    """A site whose gate north is set up, and whose gate south is not; what is told to the broker is counted."""

    def __init__(self, place: Workplace, captured: Captured, told: list[object]) -> None:
        self.place = place
        self.captured = captured
        self.told = told
        self.seal = X25519PrivateKey.generate()
        assert place.run("gate", "add", "north", "south") == 0
        public = self.seal.public_key().public_bytes_raw()
        with closing(Store.open(place.site.database, SITE)) as store, store.database.transaction() as connection:
            connection.execute(update(tables.gate).where(tables.gate.c.name == "north").values(seal=public))

    def run(self, *words: object, status: int = 0) -> tuple[str, str]:
        """A command under `gatectl expected`: what it prints, and what it says beside."""
        self.captured.readouterr()
        assert self.place.run("expected", *words) == status
        said = self.captured.readouterr()
        return said.out, said.err

    def json(self, *words: object) -> Any:
        """The same with --json."""
        return json.loads(self.run(*words, "--json")[0])

    @property
    def at_north(self) -> tuple[Visitor, ...]:
        """What is sealed to the gate that is set up."""
        role = read(Targets, repository(self.place.site).held[names.EXPECTED]).signed
        name = role.targets[names.FILE_OF[names.EXPECTED]].hashes["sha256"]
        return unseal((self.place.site.repository / f"blob-{name}").read_bytes(), SITE, "north", self.seal)


@pytest.fixture
def desk(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A list is in force."""
    told: list[object] = []
    monkeypatch.setattr(flash, "tell_broker", told.append)
    place = Workplace(tmp_path, signers=1)
    place.put_in_force([line(1)])
    return Desk(place, capsys, told)


def test_announced_listed_withdrawn(desk: Desk) -> None:
    """The gates have all of it but who announced it; the list has that; withdrawn, it is in neither."""
    made = desk.json(
        *("add", "王明", "--people", 2, "--plate", "沪a·12345", "--visits", "12-501", "--note", "带工具"),
        *("--until", (datetime.now(UTC) + timedelta(days=3)).isoformat(), "--by", "li-wei"),
    )
    assert (made["at_gates"], made["gates"], made["not_set_up"]) == ("at once", ["north"], ["south"])
    assert len(desk.told) == 1
    (visitor,) = desk.at_north
    assert (visitor.id, visitor.name, visitor.people) == (made["id"], "王明", 2)
    assert (visitor.plate, visitor.visits, visitor.note) == ("plate:沪A12345", "12-501", "带工具")
    assert b"li-wei" not in visitor.to_bytes()
    (row,) = desk.json("list")
    assert (row["id"], row["by"], row["plate"]) == (made["id"], "li-wei", "plate:沪A12345")
    assert "王明" in desk.run("list")[0]
    desk.run("withdraw", made["id"])
    assert desk.json("list") == []
    assert desk.at_north == ()


def test_it_says_when_the_gates_have_it(desk: Desk, tmp_path: Path) -> None:
    """At once, by the publisher, once a box is set up, or with the first signed list: then with status 1."""
    out, _ = desk.run("add", "王明")
    assert "Within seconds at north;" in out
    assert "Once their boxes are set up: south." in out
    out, _ = desk.run("add", "李红", "--no-publish")
    assert "When the center's publisher has said it, at north" in out
    assert len(desk.told) == 1
    new = Workplace(tmp_path / "new", signers=1)
    assert new.run("expected", "add", "王明") == 1
    assert "written down, and not published: there is no signed list yet" in desk.captured.readouterr().err


def test_a_gate_whose_key_is_none(desk: Desk) -> None:
    """It is named: as long as it is let in, nobody can be told of anybody."""
    with closing(Store.open(desk.place.site.database, SITE)) as store, store.database.transaction() as connection:
        connection.execute(update(tables.gate).where(tables.gate.c.name == "south").values(seal=bytes(32)))
    assert "not published: the key of south is no X25519 key" in desk.run("add", "王明", status=1)[1]


def test_a_gate_that_is_let_in_no_more(desk: Desk) -> None:
    """Is told of nobody from the next publication on."""
    desk.run("add", "王明")
    assert desk.place.run("gate", "remove", "north") == 0
    desk.run("add", "李红")
    with pytest.raises(ExpectedError, match="not sealed to this gate's key"):
        assert desk.at_north


def test_by_default_until_the_end_of_the_day(desk: Desk) -> None:
    """Of the day on which it begins; and it is announced by who runs the command."""
    tomorrow = (datetime.now(UTC).astimezone() + timedelta(days=1)).date()
    desk.run("add", "王明", "--from", tomorrow)
    (row,) = desk.json("list")
    assert row["from"].startswith(f"{tomorrow}T00:00:00")
    assert row["until"].startswith(f"{tomorrow + timedelta(days=1)}T00:00:00")
    assert row["by"]


def test_what_cannot_be_announced(desk: Desk) -> None:
    """The field is named, and nothing is written down."""
    for words, why in (
        (("",), "name:"),
        (("王" * 61,), "name:"),
        (("王\x1b[2J",), "name:"),
        (("王明", "--people", "0"), "people:"),
        (("王明", "--plate", "12345"), "plate:"),
        (("王明", "--plate", "em:0A00A1B2C3"), "plate:"),
        (("王明", "--visits", "x" * 101), "visits:"),
        (("王明", "--note", "x" * 201), "note:"),
        (("王明", "--until", "2020-01-01"), "until is over"),
        (("王明", "--until", "2999-01-01"), "until is more than 30 days ahead"),
        (("王明", "--from", "2999-01-01", "--until", "2999-01-02"), "until is more than 30 days ahead"),
        (("王明", "--by", "x" * 61), "by:"),
    ):
        assert why in desk.run("add", *words, status=2)[1]
    assert desk.json("list") == []


def test_a_withdrawal_that_names_one_that_is_not_there(desk: Desk) -> None:
    """Takes none back."""
    made = desk.json("add", "王明")
    assert "there is no announcement nobody" in desk.run("withdraw", made["id"], "nobody", status=2)[1]
    assert [row["id"] for row in desk.json("list")] == [made["id"]]


def test_what_is_erased_is_in_no_file(desk: Desk) -> None:
    """Neither in the database's file nor in the repository's folder, where it never was in clear."""
    made = desk.json("add", "Zaphod-Visitor")
    folder = desk.place.site.folder
    assert b"Zaphod-Visitor" in (folder / "center.db").read_bytes()
    sealed = {path.name for path in (folder / "repository").glob("blob-*")}
    desk.run("withdraw", made["id"])
    assert b"Zaphod-Visitor" not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert len(sealed & {path.name for path in (folder / "repository").glob("blob-*")}) == 1  # the list
