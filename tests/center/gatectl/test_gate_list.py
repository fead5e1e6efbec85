"""`gatectl gate propose` and `keys rotate center`: whose keys are whose, as the signers sign it."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from center.gatectl import center_key
from center.publish import gate_list
from center.publish.opened import changing, repository
from center.records.store import Store
from center.records.tables import gate
from center.site import keys, rotation
from center.site.folder import Site
from protocol.gates import GatesDocument
from tests.broker import Mosquitto
from tests.center.gatectl.gates import Gates, refused, taken
from tests.center.gatectl.workplace import Workplace
from tests.chain import FakeGate
from tests.signers import line

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, broker: Mosquitto, capsys: Captured) -> Workplace:
    """A site with a list, and the gates north, south and east, none of them set up yet."""
    place = Workplace(tmp_path, broker=broker.url)
    place.put_in_force([line(number) for number in range(20)])
    assert place.run("gate", "add", "north", "south", "east") == 0
    capsys.readouterr()
    return place


def set_up(place: Workplace, *fakes: FakeGate) -> None:
    """Their boxes were set up, and heard by the center."""
    with closing(Store.open(place.site.database, place.site.name)) as store, store.database.transaction() as connection:
        for fake in fakes:
            known = update(gate).where(gate.c.name == fake.name)
            values = {"key": fake.public, "seal": fake.seal, "enrolled": datetime.now(UTC).timestamp()}
            connection.execute(known.values(values))


def keys_known(place: Workplace) -> dict[str, bytes]:
    """The gates' keys, as the database has them."""
    with closing(Store.open(place.site.database, place.site.name)) as store:
        return {name: known.key for name, known in store.known_gates().items()}


def listed(place: Workplace) -> GatesDocument:
    """The list of gates in force."""
    found = repository(place.site).gate_list
    assert found is not None
    return found


def signed(place: Workplace, bundle: Path) -> None:
    """Signed by two, and in force."""
    for signer in (1, 2):
        assert place.sign(bundle, signer, "--yes") == 0
    assert place.run("flash", bundle, "--no-wait") == 0
    place.site = Site.open(place.site.folder)


def flashed(place: Workplace, capsys: Captured, *words: object) -> str:
    """What this command proposes, signed and in force; what it said."""
    bundle = place.folder / "gates.bundle"
    assert place.run(*words, "-o", bundle) == 0
    said = capsys.readouterr()
    signed(place, bundle)
    capsys.readouterr()
    return said.out + said.err


def test_gates_come_and_go(place: Workplace, capsys: Captured) -> None:
    """All that are set up are proposed, in words; then the one that is removed, and the one with a new box."""
    north, south = FakeGate("north"), FakeGate("south")
    set_up(place, north, south)
    said = flashed(place, capsys, "gate", "propose")
    assert f"north: added, with the key {north.public.hex()[:16]}" in said
    assert "not on it: east" in said
    assert listed(place).by_name.keys() == {"north", "south"}
    assert listed(place).center == place.site.keys.center
    assert place.run("gate", "propose") == 0
    assert "says all of it already" in capsys.readouterr().out
    for words in (("gate", "remove", "north"), ("gate", "replace", "south")):
        assert place.run(*words) == 0
        assert "gatectl gate propose" in capsys.readouterr().err
    assert keys_known(place) == {}
    other = FakeGate("south")
    set_up(place, other)
    said = flashed(place, capsys, "gate", "propose")
    assert "north: taken out" in said
    assert f"south: another box, with the key {other.public.hex()[:16]}" in said
    assert {one.name: one.key for one in listed(place).gates} == {"south": other.public.hex()}
    assert place.run("gate", "propose", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"bundle": None, "not_set_up": ["east"]}


def test_a_database_from_a_backup(place: Workplace, capsys: Captured) -> None:
    """One that knows no gate learns them from what was signed, but for those that were given another box since."""
    north, south, east = FakeGate("north"), FakeGate("south"), FakeGate("east")
    set_up(place, north, south, east)
    flashed(place, capsys, "gate", "propose")
    assert place.run("gate", "replace", "south") == 0
    assert place.run("gate", "remove", "east") == 0
    (place.site.folder / "center.db").unlink()
    with closing(Store.open(place.site.database, place.site.name)) as store:
        now = datetime.now(UTC)
        assert gate_list.learn(store, place.site, now) == ["north"]
        assert gate_list.learn(store, place.site, now) == []
    assert keys_known(place) == {"north": north.public}


def test_nothing_is_learned_in_the_midst_of_a_command(
    place: Workplace, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gate replace` has told the database and not the folder yet: the box before is not known again."""
    set_up(place, FakeGate("north"))
    flashed(place, capsys, "gate", "propose")
    monkeypatch.setattr(gate_list, "_WAIT_S", 0.1)
    with closing(Store.open(place.site.database, place.site.name)) as store, changing(place.site):
        store.replace_gate("north", bytes(32), 2e9, 1.0)
        with pytest.raises(Exception, match="another command is changing"):
            gate_list.learn(store, place.site, datetime.now(UTC))
    assert keys_known(place) == {}


def test_the_centers_key_is_exchanged(
    place: Workplace, broker: Mosquitto, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are listed, then it is switched when every gate has that, then the new one alone is."""
    monkeypatch.setattr(center_key, "WAIT_S", 0.5)
    site = place.site
    (old,) = site.keys.center
    with Gates(site, broker.url, {"north": taken, "south": refused}):
        said = flashed(place, capsys, "keys", "rotate", "center")
        (_, new) = rotation.meant(site)
        assert f"the center's key {new[:16]}…: gates believe it from now on" in said
        assert set(listed(place).center) == {old, new} == set(place.site.keys.center)
        assert place.run("keys", "rotate", "center") == 1
        out = capsys.readouterr().out
        assert "\n  south  whitelist.jsonl.zst: line 3" in out
        assert "\n  north  " not in out
        assert "\n  east  " not in out  # not set up yet: it will be given both
        assert rotation.meant(site) == (old, new)
        assert place.run("keys", "rotate", "center", "--json") == 1
        assert json.loads(capsys.readouterr().out)["waiting"].keys() == {"south"}
        said = flashed(place, capsys, "keys", "rotate", "center", "--anyway")
    assert f"the center's key {old[:16]}…: gates believe it no more" in said
    assert "ingest.key" in said
    assert keys.public_hex(keys.read(site.folder / "online" / "center.pem")) == new
    assert listed(place).center == (new,) == place.site.keys.center
    assert place.site.keys.former == (old,)
    assert not rotation.under_way(place.site)


def test_a_rotation_that_breaks_off_anywhere(place: Workplace, capsys: Captured) -> None:
    """Whatever was not done is done by the same command; new boxes are given all keys that count meanwhile."""
    site = place.site
    (old,) = site.keys.center
    keys.write(site.folder / "online" / "center-new.pem", keys.generate())  # broken off after the key was made
    assert place.run("keys", "rotate", "center", "--json") == 0  # proposed, and the bundle lost
    assert json.loads(capsys.readouterr().out)["step"] == "both"
    both = rotation.meant(site)
    assert site.keys.center == both
    flashed(place, capsys, "keys", "rotate", "center")
    with changing(site):
        rotation.switch(site)  # and broken off before the new one was proposed
    assert set(site.keys.center) == set(both)
    assert place.run("keys", "rotate", "center", "--json") == 0  # the bundle is lost again
    assert json.loads(capsys.readouterr().out)["step"] == "alone"
    before = site.keys
    flashed(place, capsys, "keys", "rotate", "center")
    assert site.keys.center == (both[1],)
    site.save_keys(before)  # it was broken off before keys.json was written
    assert place.run("keys", "rotate", "center", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"step": "done"}
    assert (site.keys.center, site.keys.former) == ((both[1],), (old,))


def test_a_gate_proposed_in_the_midst_of_a_rotation(place: Workplace, capsys: Captured) -> None:
    """Its list has the keys that are meant then."""
    flashed(place, capsys, "keys", "rotate", "center")
    set_up(place, FakeGate("north"))
    flashed(place, capsys, "gate", "propose")
    assert listed(place).center == rotation.meant(place.site)
    assert len(listed(place).center) == 2
