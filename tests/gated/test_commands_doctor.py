"""`gated doctor` finds what is wrong with a box, says what to do, and changes nothing."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gated.__main__ import main
from gated.commands.doctor_box import has_reset_bug
from gated.commands.doctor_gate import HEARD_S, filesystem
from gated.lists import listload
from gated.recording.store import FILE_NAME, Store
from protocol.event import ClockQuality, Kind, Stamp, body
from tests.gated.answering import daemon

CONFIG = """
site = "shenhang"
gate = "north"
state = "{state}"
timezone = "Asia/Shanghai"
[lanes.walk-in]
kind = "person"
direction = "in"
readers = [ {{ driver = "em4100", port = "{port}" }} ]
"""


def _doctor(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    port: str = "/dev/null",
    grade: str = "wrong",
    more: str = "",
) -> tuple[int, dict[str, list[str]]]:
    """The exit status, and what has that grade, by what it is about. The configuration ends with `more`."""
    config = tmp_path / "gated.toml"
    config.write_text(CONFIG.format(state=tmp_path / "state", port=port) + more)
    status = main(["doctor", "-c", str(config), "--json"])
    found: dict[str, list[str]] = {}
    for finding in json.loads(capsys.readouterr().out)["findings"]:
        if finding["grade"] == grade:
            found.setdefault(finding["about"], []).append(finding["said"] + " → " + finding["do"])
    return status, found


def _loaded(state: Path) -> Path:
    """The file of a list in force."""
    state.mkdir()
    source = state.parent / "list.jsonl"
    source.write_text("".join(f'{{"c":"em:{number:010X}","h":"h{number:02}"}}\n' for number in range(50)))
    listload.load(state, source, lambda *_: None, datetime.now(UTC).isoformat(timespec="seconds"))
    (file,) = state.glob("list-*.db")
    return file


def test_an_insecure_reader_is_wrong_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For as long as it is written."""
    config = tmp_path / "gated.toml"
    text = CONFIG.format(state=tmp_path / "state", port="/dev/null")
    config.write_text(text.replace('driver = "em4100"', 'driver = "osdp", insecure = true'))
    assert main(["doctor", "-c", str(config), "--json"]) == 1
    found = [one for one in json.loads(capsys.readouterr().out)["findings"] if "insecure = true" in one["said"]]
    assert [(one["grade"], one["do"]) for one in found] == [
        ("wrong", "give the reader a key, and say key = … in its place")
    ]


def test_a_box_on_which_nothing_ran_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No state folder, no daemon, no device: each is said with what to do, and none of it is made."""
    status, wrong = _doctor(tmp_path, capsys, "/dev/serial/by-id/none")
    assert status == 1
    assert "sudo install -d" in wrong["state"][0]
    assert "systemctl start gated" in wrong["daemon"][0]
    assert "lanes.walk-in.readers[0]: /dev/serial/by-id/none is not there" in wrong["port"][0]
    assert not (tmp_path / "state").exists()


def test_a_port_that_is_no_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plain file where a device should be is named."""
    (tmp_path / "plain").touch()
    _, wrong = _doctor(tmp_path, capsys, str(tmp_path / "plain"))
    assert "is no device" in wrong["port"][0]


def test_a_damaged_journal_that_was_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wreck in the state folder is named, and no list at all is wrong."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal-damaged-2026-11-24T081502.db").touch()
    _, wrong = _doctor(tmp_path, capsys, "/dev/null")
    assert "journal-damaged-2026-11-24T081502.db" in wrong["journal"][0]
    assert "gated list load FILE" in wrong["list"][0]
    assert "port" not in wrong


def test_a_list_that_was_altered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole list is checked against what was loaded: one letter of one entry is found, and what to do is said."""
    file = _loaded(tmp_path / "state")
    assert "list" not in _doctor(tmp_path, capsys)[1]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE entry SET h = 'h99' WHERE c = 'em:0000000007'")
    (said,) = _doctor(tmp_path, capsys)[1]["list"]
    assert "does not hold what was loaded" in said
    assert "sudo -u gated gated list load FILE" in said


def test_a_list_whose_pages_are_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that no lookup has met yet is found as well."""
    file = _loaded(tmp_path / "state")
    whole = file.read_bytes()
    at = whole.rindex(b"h07")
    file.write_bytes(whole[:at] + b"\xff\xff\xff" + whole[at + 3 :])
    assert "it is damaged" in _doctor(tmp_path, capsys)[1]["list"][0]


def test_the_journal_of_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many events, how many an hour today, and for how long there is room."""
    (tmp_path / "state").mkdir()
    now = datetime.now(UTC)
    with closing(Store(tmp_path / "state" / FILE_NAME)) as store:
        store.begin_epoch(board="serial:a", began="", why="a new journal")
        for at in (now - timedelta(days=2), now):
            store.commit([body(Kind.TEST, Stamp(at.isoformat(), ClockQuality.SYNCED, "9f2c", 1.0), {})])
    (said,) = _doctor(tmp_path, capsys, grade="ok")[1]["journal"]
    assert said.startswith("2 events, ")
    assert "an hour today, room for " in said


@pytest.mark.parametrize(
    ("device", "noted"),
    [
        ({"online": True, "heard_s_ago": HEARD_S - 1}, ""),
        ({"online": True, "heard_s_ago": 31 * 3600.0}, "nothing for 31 hours → prove it: gated test-card walk-in;"),
        ({"online": True, "heard_s_ago": None}, "nothing for 3 days → prove it: gated test-card walk-in;"),
        ({"online": True}, ""),
        ({"online": False, "why": "unplugged", "heard_s_ago": 31 * 3600.0}, ""),
    ],
)
def test_a_reader_that_reads_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], device: dict[str, Any], noted: str
) -> None:
    """A port that is open says little of a reader that only talks: after a day it is worth a try, and not wrong."""
    (tmp_path / "state").mkdir()
    said = {"up_s": 3 * 86_400, "devices": {"walk-in/0": {"what": "reader", **device}}}
    with daemon(tmp_path / "state", {"status": said}):
        _, notes = _doctor(tmp_path, capsys, grade="note")
        _, wrong = _doctor(tmp_path, capsys)
    assert (
        ("walk-in/0 is online, and has read " + noted in "".join(notes.get("device", [])))
        if noted
        else "device" not in notes
    )
    assert ("device" in wrong) is not device["online"]


def test_a_daemon_that_does_not_say_how_long_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that is older than this command is no reader's fault."""
    (tmp_path / "state").mkdir()
    with daemon(tmp_path / "state", {"status": {"devices": {"walk-in/0": {"online": True, "heard_s_ago": None}}}}):
        assert "device" not in _doctor(tmp_path, capsys, grade="note")[1]


def test_barriers_without_a_fire_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A note that says what is wanted; none for a gate without barriers, or with the input."""
    barrier = 'barrier = { driver = "lcus", port = "/dev/null" }\n'
    fire = '[fire]\ndriver = "contact"\nport = "/dev/gate/fire"\n'
    for more, noted in (("", False), (barrier, True), (barrier + fire, False)):
        found = _doctor(tmp_path, capsys, "/dev/zero", "note", more)[1].get("fire", [])
        assert bool(found) is noted
        assert not found or ("walk-in" in found[0] and "each barrier's own OPEN" in found[0])
    assert "fire: /dev/gate/fire is not there" in "".join(
        _doctor(tmp_path, capsys, "/dev/zero", more=barrier + fire)[1]["port"]
    )


@pytest.mark.parametrize(("state", "held"), [("clear", False), ("open", True), ("lost", True)])
def test_fire(tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str, *, held: bool) -> None:
    """Barriers that are held open are wrong, with the reason and what to see to."""
    (tmp_path / "state").mkdir()
    said = {"fire": {"state": state, "why": "its cable is out", "since": "2026-11-24T08:15:02.1+08:00"}}
    with daemon(tmp_path / "state", {"status": said}):
        wrong = _doctor(tmp_path, capsys)[1].get("fire", [])
    assert bool(wrong) is held
    assert not wrong or ("its cable is out" in wrong[0] and "if nothing burns" in wrong[0])


def test_a_broken_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor goes on where the configuration is wrong, and says each error."""
    _, wrong = _doctor(tmp_path, capsys, "ttyUSB0")
    assert "lanes.walk-in.readers[0].port" in wrong["configuration"][0]


@pytest.mark.parametrize(
    ("version", "buggy"),
    [("3.6.23", False), ("3.40.1", True), ("3.44.6", False), ("3.50.7", False), ("3.51.2", True), ("3.51.3", False)],
)
def test_which_sqlite_loses_pages(version: str, *, buggy: bool) -> None:
    """The WAL-reset bug: in 3.7.0 to 3.51.2 but for the releases that mended it."""
    assert has_reset_bug(version) is buggy


def test_the_file_system_of_a_folder() -> None:
    """The innermost mount that holds the folder counts."""
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nserver:/x /srv/state nfs4 rw 0 0\n"
    assert filesystem(Path("/srv/state/gated"), mounts) == "nfs4"
    assert filesystem(Path("/srv/statement"), mounts) == "ext4"
