"""`gated doctor` finds what is wrong with a box, says what to do, and changes nothing."""

import json
from pathlib import Path

import pytest

from gated.__main__ import main
from gated.commands.doctor_box import has_reset_bug
from gated.commands.doctor_gate import filesystem

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


def _doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str], port: str) -> tuple[int, dict[str, list[str]]]:
    """The exit status, and what is wrong, by what it is about."""
    config = tmp_path / "gated.toml"
    config.write_text(CONFIG.format(state=tmp_path / "state", port=port))
    status = main(["doctor", "-c", str(config), "--json"])
    wrong: dict[str, list[str]] = {}
    for finding in json.loads(capsys.readouterr().out)["findings"]:
        if finding["grade"] == "wrong":
            wrong.setdefault(finding["about"], []).append(finding["said"] + " → " + finding["do"])
    return status, wrong


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
