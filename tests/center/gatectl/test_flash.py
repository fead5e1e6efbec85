"""`gatectl sign` and `flash`: from a proposal over its signers to gates that take it, or do not."""

import json
import os
import pty
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from center.gatectl import asking
from center.gatectl.__main__ import main
from center.publish import taking
from center.publish.bundle import Bundle
from center.publish.opened import first_keyring, repository
from center.publish.proposal import Changes
from tests.broker import Mosquitto
from tests.center.gatectl.gates import Gates, refused, taken
from tests.center.gatectl.workplace import PASSPHRASE, Workplace
from tests.signers import line

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody in."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, broker: Mosquitto, capsys: Captured) -> Workplace:
    """A site with 2 of 3 signers and three gates."""
    place = Workplace(tmp_path, broker=broker.url)
    for name in ("north", "south", "west"):
        assert place.run("gate", "add", name) == 0
    capsys.readouterr()
    return place


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "SETTLED_S", 0.5)


def proposed(place: Workplace, *numbers: int, **more: Any) -> Path:
    """A bundle with a list of these."""
    held = repository(place.site)
    keyring = None if held.keyring else first_keyring(place.site)
    lines = [line(number) for number in numbers]
    bundle = held.propose(Changes(lines=lines, keyring=keyring, **more), datetime.now(UTC))
    path = place.folder / "list.bundle"
    path.write_bytes(bundle.to_bytes())
    return path


def test_two_of_three_sign(place: Workplace, capsys: Captured) -> None:
    """Each signs alone, sees what changes, and is told how many signatures there are and how many it takes."""
    bundle = proposed(place, 1, 2, 3)
    assert place.sign(bundle, 1, "--yes") == 0
    out, err = capsys.readouterr()
    assert "0 entries before, 3 after" in err
    assert '{"c":"em:0000000001","h":"h"}' in err
    assert "compare its fingerprint" in err
    assert "targets: 1 of 2 signatures are there, 1 more needed" in out
    assert place.run("flash", bundle, "--no-wait") == 1
    assert "signatures are missing: 1 more for targets" in capsys.readouterr().err
    assert place.sign(bundle, 1, "--yes") == 1
    assert "signed it already" in capsys.readouterr().err
    assert place.sign(bundle, 3, "--yes", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["enough"]
    assert said["signatures"] == {"targets": {"there": 2, "needed": 2}}
    assert place.run("flash", bundle, "--no-wait") == 0
    assert "The broker has it" in capsys.readouterr().out
    assert len(place.list_in_force) == 3


def test_a_flash_is_taken(place: Workplace, capsys: Captured) -> None:
    """When all gates have taken it, each is named with the list that it has: status 0."""
    bundle = proposed(place, 1, 2, 3)
    for signer in (1, 2):
        assert place.sign(bundle, signer, "--yes") == 0
    capsys.readouterr()
    with Gates(place.site, place.site.facts.broker, dict.fromkeys(("north", "south", "west"), taken)):
        assert place.run("flash", bundle, "--timeout", "20") == 0
    out, err = capsys.readouterr()
    assert "north  taken: list 2, 3 entries" in out
    assert "south: fetching" in err or "south: taken" in err


def test_who_does_not_take_it_is_named(place: Workplace, capsys: Captured) -> None:
    """One refuses, one is offline: status 1, each with its reason; what they say cannot move the cursor."""
    bundle = proposed(place, 1, 2, 3)
    for signer in (1, 2):
        assert place.sign(bundle, signer, "--yes") == 0
    capsys.readouterr()
    gates = {"north": taken, "south": refused, "west": None}
    with Gates(place.site, place.site.facts.broker, gates):
        assert place.run("flash", bundle, "--timeout", "20", "--json") == 1
        said = json.loads(capsys.readouterr().out)
        found = {one["gate"]: (one["state"], one["why"]) for one in said["gates"]}
        assert not said["ok"]
        assert found["north"] == ("taken", "")
        assert found["south"][0] == "refused"
        assert "unknown key" in found["south"][1]
        assert found["west"] == ("offline", "it is offline; it takes the list when it is back")
        assert place.run("flash", "--timeout", "20") == 1
    out, _ = capsys.readouterr()
    assert "west  offline" in out
    assert "\x1b" not in out


def test_a_gate_that_says_nothing(place: Workplace, capsys: Captured) -> None:
    """After the timeout: status 1. A gate that is not set up yet is named, and holds nobody up."""
    place.put_in_force([line(1)])
    assert place.run("flash", "--timeout", "5", "--json") == 0
    assert {one["state"] for one in json.loads(capsys.readouterr().out)["gates"]} == {"not set up"}
    with Gates(place.site, place.site.facts.broker, {"north": lambda *_: []}):
        assert place.run("flash", "--timeout", "0.5", "--json") == 1
    (north, *_) = json.loads(capsys.readouterr().out)["gates"]
    assert north["state"] == "waiting"


def test_a_forged_word_counts_for_nothing(place: Workplace, capsys: Captured) -> None:
    """A broker that says that a gate has taken it is not believed."""
    place.put_in_force([line(1)])
    with Gates(place.site, place.site.facts.broker, dict.fromkeys(("north", "south", "west"), taken)) as gates:
        gates.fakes["west"].key = gates.fakes["north"].key
        assert place.run("flash", "--timeout", "1.5", "--json") == 1
    found = {one["gate"]: one["state"] for one in json.loads(capsys.readouterr().out)["gates"]}
    assert found == {"north": "taken", "south": "taken", "west": "waiting"}


def test_copies_are_put_together(place: Workplace, capsys: Captured) -> None:
    """Signers may each sign a copy of their own."""
    first = proposed(place, 1)
    second = place.folder / "copy.bundle"
    second.write_bytes(first.read_bytes())
    assert place.sign(first, 1, "--yes") == 0
    assert place.sign(second, 2, "--yes") == 0
    assert place.run("flash", first, second, "--no-wait") == 0
    capsys.readouterr()


def test_no_broker(place: Workplace, broker: Mosquitto, capsys: Captured) -> None:
    """Without a broker it is in force at the center, and that is what is said: status 3."""
    bundle = proposed(place, 1)
    for signer in (1, 2):
        assert place.sign(bundle, signer, "--yes") == 0
    broker.kill()
    assert place.run("flash", bundle) == 3
    assert "the center publishes it when it can" in capsys.readouterr().err
    assert len(place.list_in_force) == 1


def test_the_word_for_a_list_that_shrinks(place: Workplace, capsys: Captured) -> None:
    """Where more than a tenth goes, agreeing to all of it is not enough."""
    place.put_in_force([line(number) for number in range(10)])
    bundle = proposed(place, 1, 2, shrinks=True)
    assert place.sign(bundle, 1, "--yes") == 2
    assert "takes out 8 of 10 entries (80%)" in capsys.readouterr().err
    assert place.sign(bundle, 1, "--yes", "--word", "shrinks") == 0
    capsys.readouterr()


def test_on_a_terminal(place: Workplace, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The diff comes before the questions, the questions before the passphrase; anything but the word leaves it."""
    place.put_in_force([line(number) for number in range(10)])
    bundle = proposed(place, 1, 2, shrinks=True)
    before = bundle.read_bytes()
    asked: list[str] = []
    answers = iter(["no", "shrinks", "yes", "shrinks", "sign"])

    def typed(question: str) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(asking, "typed", typed)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", _Terminal())
    assert place.sign(bundle, 1) == 1
    assert place.sign(bundle, 1) == 1
    assert bundle.read_bytes() == before
    assert place.sign(bundle, 1) == 0
    assert len(asked) == 5
    assert "Is all of this meant?" in asked[-1]
    capsys.readouterr()


class _Terminal:
    def isatty(self) -> bool:
        return True


def test_a_wrong_passphrase_or_key(place: Workplace, capsys: Captured) -> None:
    """Nothing is written; the message says what was wrong."""
    bundle = proposed(place, 1)
    before = bundle.read_bytes()
    place.passphrases.write_text("another one\n")
    assert place.sign(bundle, 1, "--yes") == 1
    assert "passphrase is wrong" in capsys.readouterr().err
    place.passphrases.write_text(PASSPHRASE + "\n")
    place.signers[0] = place.registrars[0]
    assert place.sign(bundle, 1, "--yes") == 1
    assert "may sign nothing in this bundle" in capsys.readouterr().err
    assert bundle.read_bytes() == before
    assert main(["sign", str(bundle), "--key", str(place.folder / "none.pem"), "--yes"]) == 2


def test_another_root_is_refused(place: Workplace, tmp_path: Path, capsys: Captured) -> None:
    """A signer who has signed before is not led to another root; the same key is of one site only."""
    assert place.sign(proposed(place, 1), 1, "--yes") == 0
    (tmp_path / "b").mkdir()
    other = Workplace(tmp_path / "b")
    forged = proposed(other, 2)
    assert place.sign(forged, 1, "--yes") == 1
    assert "another root is in force than the one" in capsys.readouterr().err


def tampered(path: Path, role: str, change: Any) -> None:
    """Change the metadata that is proposed, as somebody on the way could."""
    bundle = Bundle.from_bytes(path.read_bytes())
    metadata = Metadata[Targets].from_bytes(bundle.proposed[role])
    change(metadata.signed, bundle.blobs)
    metadata.signatures.clear()
    path.write_bytes(replace(bundle, proposed={**bundle.proposed, role: metadata.to_bytes()}).to_bytes())


def _field(signed: Targets, _: dict[str, bytes]) -> None:
    signed.unrecognized_fields["x"] = 1


def _custom(signed: Targets, _: dict[str, bytes]) -> None:
    signed.targets["whitelist.jsonl.zst"].custom["more"] = 1


def _file(signed: Targets, _: dict[str, bytes]) -> None:
    signed.targets["other.json"] = signed.targets["whitelist.jsonl.zst"]


def _power(signed: Targets, _: dict[str, bytes]) -> None:
    assert signed.delegations
    assert signed.delegations.roles
    signed.delegations.roles["suspensions"].paths = ["*"]


def _result(signed: Targets, _: dict[str, bytes]) -> None:
    signed.targets["whitelist.jsonl.zst"].custom["result_sha256"] = "0" * 64


def _delta(signed: Targets, _: dict[str, bytes]) -> None:
    (name,) = signed.targets["whitelist.jsonl.zst"].custom["deltas"]
    signed.targets[name].custom["result_sha256"] = "0" * 64


def _threshold(signed: Targets, _: dict[str, bytes]) -> None:
    assert signed.delegations
    assert signed.delegations.roles
    signed.delegations.roles["enrolments"].threshold = 1


def _extra(_: Targets, blobs: dict[str, bytes]) -> None:
    from protocol import blob  # noqa: PLC0415

    blobs[blob.sha256(b"x")] = b"x"


@pytest.mark.parametrize("change", [_field, _custom, _file, _power, _result, _delta, _threshold, _extra])
def test_what_is_not_understood_is_not_signed(place: Workplace, capsys: Captured, change: Any) -> None:
    """A field, a file, a power, a delta that is not shown: refused before a passphrase is asked."""
    place.put_in_force([line(number, f"holder-{number * 7919 % 1000}") for number in range(400)])
    held = repository(place.site)
    lines = [line(number, f"holder-{number * 7919 % 1000}") for number in range(401)]
    path = place.folder / "list.bundle"
    path.write_bytes(held.propose(Changes(lines=lines), datetime.now(UTC)).to_bytes())
    tampered(path, "targets", change)
    place.passphrases.unlink()
    assert place.sign(path, 1, "--yes") == 1
    assert "is not to be signed" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"format":"gated-bundle/2"}'])
def test_no_bundle(place: Workplace, data: bytes, capsys: Captured) -> None:
    """Any other file: status 1, in words."""
    path = place.folder / "x"
    path.write_bytes(data)
    assert place.sign(path, 1, "--yes") == 1
    assert "bundle" in capsys.readouterr().err


def test_bars(place: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """On a terminal there is a bar for each gate."""
    place.put_in_force([line(1)])
    master, slave = pty.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while part := os.read(master, 4096):
                shown.extend(part)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with Gates(place.site, place.site.facts.broker, {"north": taken, "south": refused}):
            assert place.run("flash", "--timeout", "20") == 1
        monkeypatch.undo()
    reader.join(10)
    os.close(master)
    text = shown.decode(errors="replace")
    assert "broker" in text
    assert "has it" in text
    assert "north" in text
    assert "refused: whitelist.jsonl.zst: line 3" in text
    capsys.readouterr()
