"""The state folder is the daemon's: whoever may not use it hears which command may."""

import os
import pwd
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gated import rights
from gated.__main__ import main
from gated.lists import listload
from gated.recording.store import FILE_NAME, Store
from gated.rights import Account

CARD = "em:0A00A1B2C3"
COMMANDS = (
    ["list", "load", "{list}"],
    ["list", "show", CARD],
    ["list", "info"],
    ["journal", "list"],
    ["journal", "verify"],
    ["journal", "export"],
    ["status"],
    ["clock", "accept"],
)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A gate's folder, which everybody may enter and read: configuration, a list, and a state folder that is ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        state = folder / "state"
        state.mkdir()
        (folder / "gated.toml").write_text(
            f'site = "s"\ngate = "g"\nstate = "{state}"\n[lanes.a]\nkind = "person"\n'
            'direction = "in"\nreaders = [ { driver = "em4100", port = "/dev/gate/a" } ]\n'
        )
        source = folder / "list.jsonl"
        source.write_text(f'{{"c":"{CARD}","h":"h1"}}\n')
        listload.load(state, source, lambda *_: None, "2026-11-24T08:00:00+08:00")
        Store(state / FILE_NAME).close()
        for path in (folder / "gated.toml", source):
            path.chmod(0o644)
        yield folder


def words(folder: Path, command: list[str]) -> list[str]:
    """The whole command line."""
    return [word.format(list=folder / "list.jsonl") for word in command] + ["-c", str(folder / "gated.toml")]


def as_nobody(line: list[str], said: Path) -> int:
    """Run a command as another user, in a fork: that user may have no right to this interpreter's files."""
    main(line)  # whatever is imported late is there by now
    nobody = pwd.getpwnam("nobody")
    with said.open("w") as out:
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            sys.stderr = sys.stdout = out
            code = main(line)
            out.flush()
            os._exit(code)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended)


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_folder_that_is_not_ours(folder: Path, tmp_path: Path, command: list[str], mode: int) -> None:
    """Status 3, what may not be used, and the same command as the daemon's user; also where only files are closed."""
    (folder / "state").chmod(mode)
    for file in (folder / "state").iterdir():
        file.chmod(0o600)
    line = words(folder, command)
    status = as_nobody(line, tmp_path / "said")
    said = (tmp_path / "said").read_text()
    if mode == 0o755 and command[0] in {"status", "clock"}:
        assert "no daemon runs" in said  # there is no socket to be refused by
        return
    assert f"sudo -u gated gated {shlex.join(line)}" in said
    assert f"{folder}/state" in said
    assert status == 3


@needs_root
def test_a_socket_that_is_not_ours(folder: Path, tmp_path: Path) -> None:
    """The daemon's control socket is named."""
    (folder / "state").chmod(0o711)
    (folder / "state" / "control.sock").touch(0o600)
    assert as_nobody(words(folder, ["status"]), tmp_path / "said") == 3
    assert "control.sock may not be used by this user" in (tmp_path / "said").read_text()


@needs_root
def test_a_list_that_this_user_may_not_read(folder: Path, tmp_path: Path) -> None:
    """The file itself, not the state folder: being the daemon's user is no help, another place is."""
    (folder / "list.jsonl").chmod(0o600)
    (folder / "state").chmod(0o777)
    for file in (folder / "state").iterdir():
        file.chmod(0o666)
    assert as_nobody(words(folder, ["list", "load", "{list}"]), tmp_path / "said") == 1
    said = (tmp_path / "said").read_text()
    assert "list.jsonl may not be read by this user; copy it" in said
    assert "sudo" not in said


@needs_root
def test_the_doctor_says_so_as_well(folder: Path, tmp_path: Path) -> None:
    """What it may not read is no damage."""
    (folder / "state").chmod(0o755)
    for file in (folder / "state").iterdir():
        file.chmod(0o600)
    as_nobody([*words(folder, ["doctor"]), "--json"], tmp_path / "said")
    said = (tmp_path / "said").read_text()
    assert said.count("sudo -u gated gated doctor") >= 2
    assert "damage" not in said
    assert "load the list again" not in said


@pytest.mark.parametrize(("mode", "right"), [(0o755, False), (0o777, True)])
@pytest.mark.parametrize("below", ["", "not/yet/made"])
def test_check_as_root(
    folder: Path,
    below: str,
    mode: int,
    right: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The folder is judged for the daemon's user, whom root asks for, and nothing is made."""
    config = folder / "gated.toml"
    config.write_text(config.read_text().replace(f'"{folder}/state"', f'"{folder / "state" / below}"'))
    (folder / "state").chmod(mode)
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Account, "of_daemon", lambda: Account("gated", 54_321, frozenset({54_321})))
    assert main(["check", "-c", str(config)]) == (0 if right else 2)
    assert (f"{folder}/state may not be written by gated" in capsys.readouterr().err) is not right
    assert sorted(folder.rglob("*")) == before


def test_check_as_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is not root is asked about as such, and so is root where there is no such user."""
    config = str(folder / "gated.toml")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(Account, "of_daemon", lambda: Account("gated", 54_321, frozenset()))
    assert main(["check", "-c", config]) == 0
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(rights, "USER", "no-such-user")
    assert main(["check", "-c", config]) == 0
