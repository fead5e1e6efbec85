"""`gated check`, `gated version`, and what all commands share: statuses, help, broken pipes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gated.__main__ import main
from gated.commands.output import STATUSES

GATE = 'site = "s"\ngate = "g"\n[lanes.a]\nkind = "person"\ndirection = "in"\n'
GATE += 'readers = [ { driver = "em4100", port = "/dev/gate/a" } ]\n'
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that is right."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    path = tmp_path / "gated.toml"
    path.write_text(GATE)
    return path


def test_right(config: Path, capsys: Captured) -> None:
    """A right configuration: status 0, warnings on standard error, nothing made."""
    assert main(["check", "-c", str(config)]) == 0
    out, err = capsys.readouterr()
    assert "right; gate g of s, 1 lanes, 1 devices" in out
    assert "warning: lanes.a.readers[0].port" in err
    assert [path.name for path in config.parent.iterdir()] == ["gated.toml"]


def test_wrong(config: Path, capsys: Captured) -> None:
    """A wrong one: status 2, every error with file and line."""
    config.write_text(GATE + "gon = 3\nhold = 0\n")
    assert main(["check", "-c", str(config)]) == 2
    err = capsys.readouterr().err
    assert f"{config}:7: lanes.a.gon: there is no such key" in err
    assert f"{config}:8: lanes.a.hold: found 0; more than 0 would be right" in err
    assert "2 errors" in err


def test_json(config: Path, capsys: Captured) -> None:
    """The same for another program."""
    assert main(["check", "--json", "-c", str(config)]) == 0
    right = json.loads(capsys.readouterr().out)
    assert right["ok"]
    assert len(right["warnings"]) == 1
    config.write_text(GATE + "gon = 3\n")
    assert main(["check", "--json", "-c", str(config)]) == 2
    wrong = json.loads(capsys.readouterr().out)
    assert not wrong["ok"]
    assert wrong["errors"][0]["line"] == 7
    assert wrong["errors"][0]["key"] == "lanes.a.gon"


def test_no_file(tmp_path: Path, capsys: Captured) -> None:
    """A file that is not there: status 3, and what to do."""
    assert main(["check", "-c", str(tmp_path / "none.toml")]) == 3
    assert "-c FILE" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["journal", "list"], ["list", "info"], ["status"], ["clock", "accept"], ["run"]])
def test_wrong_configuration_anywhere(config: Path, capsys: Captured, command: list[str]) -> None:
    """Every command that needs the configuration says what is wrong with it: status 2."""
    config.write_text(GATE + "gon = 3\n")
    assert main([*command, "-c", str(config)]) == 2
    assert "lanes.a.gon" in capsys.readouterr().err


def test_version(capsys: Captured) -> None:
    """The versions of ourselves, Python and SQLite."""
    assert main(["version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"gated", "python", "sqlite"}
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith("gated ")


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["journal", "list", "-h"], ["list", "load", "-h"]])
def test_help(words: list[str], capsys: Captured) -> None:
    """Help ends with an example, or with what the statuses mean."""
    with pytest.raises(SystemExit, match="0"):
        main(words)
    out = capsys.readouterr().out
    assert "example:" in out or all(meaning in out for meaning in STATUSES.values())


@pytest.mark.parametrize("words", [[], ["chek"], ["check", "--jsn"], ["list"]])
def test_usage(words: list[str], capsys: Captured) -> None:
    """A wrong command line: status 2."""
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage: gated" in capsys.readouterr().err


def test_broken_pipe() -> None:
    """Whoever reads us may stop: no traceback, a status of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "gated", "version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, b"")


def test_starting_is_cheap() -> None:
    """Help imports neither pydantic, asyncio nor sqlite3."""
    program = (
        "import sys, gated.__main__ as g\n"
        "try: g.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join({'pydantic', 'asyncio', 'sqlite3', 'structlog'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    assert done.stderr == b""
