"""`gated list`, `gated status`, `gated clock`, `gated doctor`, with and without a daemon."""

import json
from pathlib import Path

import pytest

from gated.__main__ import main
from tests.gated.answering import daemon

Captured = pytest.CaptureFixture[str]
LINES = ('{"c":"em:0A00A1B2C3","h":"h1"}', '{"c":"epc:E28011700000020F12345678","h":"h2","when":"workdays"}')


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """An empty state folder."""
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def config(tmp_path: Path, state: Path) -> Path:
    """The configuration of that gate."""
    path = tmp_path / "gated.toml"
    path.write_text(
        f'site = "s"\ngate = "g"\nstate = "{state}"\ntimezone = "Asia/Shanghai"\n'
        '[schedules]\nworkdays = ["Mon-Fri 06:00-22:00"]\n[lanes.walk-in]\nkind = "person"\n'
        'direction = "in"\nreaders = [ { driver = "em4100", port = "/dev/gate/a" } ]\n'
    )
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A list that is right."""
    path = tmp_path / "list.jsonl"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_load_without_a_daemon(config: Path, source: Path, capsys: Captured) -> None:
    """A list is in force when the daemon starts; show and info find it; lines instead of a bar off a terminal."""
    assert main(["list", "load", str(source), "-c", str(config)]) == 0
    out, err = capsys.readouterr()
    assert "2 entries" in out
    assert "in force when the daemon starts" in out
    assert "reading …" in err.splitlines()
    assert main(["list", "show", "em:0A00A1B2C3", "-c", str(config)]) == 0
    assert '"h":"h1"' in capsys.readouterr().out
    assert main(["list", "show", "em:0A00A1B2C3", "--json", "-c", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == [json.loads(LINES[0])]
    assert main(["list", "info", "--json", "-c", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 2


def test_load_with_a_daemon(config: Path, state: Path, source: Path, capsys: Captured) -> None:
    """The command ends when the daemon says that it has the version in force."""

    def in_force() -> dict[str, object]:
        return {"version": json.loads((state / "list.json").read_bytes())["version"]}

    with daemon(state, {"list": in_force}) as asked:
        assert main(["list", "load", "--json", str(source), "-c", str(config)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["entries"], found["added"], found["in_force"]) == (2, 2, "in force")
    assert asked == [{"op": "list"}]


def test_bad_lines(config: Path, source: Path, capsys: Captured) -> None:
    """Every bad line is printed with its number and reason, and nothing changes: status 1."""
    bad = ['{"c":"em:0a"}', "", "no json", '{"c":"em:0A00A1B2C4","h":"h","when":"nights"}', LINES[0]]
    source.write_text("\n".join([*LINES, *bad]) + "\n")
    assert main(["list", "load", str(source), "-c", str(config)]) == 1
    err = capsys.readouterr().err
    assert [f"{source}:{number}: " in err for number in range(1, 8)] == [False, False, True, False, True, True, True]
    assert "nights" in err
    assert main(["list", "info", "-c", str(config)]) == 1
    assert main(["list", "load", "--json", str(source), "-c", str(config)]) == 1
    assert "workdays" in capsys.readouterr().out


def test_shrink(config: Path, source: Path, capsys: Captured) -> None:
    """A list that takes out more than a tenth is asked for twice."""
    source.write_text("".join(f'{{"c":"em:{number:010X}","h":"h"}}\n' for number in range(10)))
    assert main(["list", "load", str(source), "-c", str(config)]) == 0
    source.write_text("".join(f'{{"c":"em:{number:010X}","h":"h"}}\n' for number in range(8)))
    assert main(["list", "load", str(source), "-c", str(config)]) == 1
    assert "--shrink" in capsys.readouterr().err
    assert main(["list", "load", "--shrink", str(source), "-c", str(config)]) == 0


def test_show_in_any_writing(config: Path, source: Path, capsys: Captured) -> None:
    """What is printed on a card: every reading, which of it is on the list, and its entry; status 1 where none is."""
    assert main(["list", "load", str(source), "-c", str(config)]) == 0
    capsys.readouterr()
    assert main(["list", "show", "0010597059", "-c", str(config)]) == 0
    told = capsys.readouterr().out.splitlines()
    (hit,) = [row for row in told if "on the list: " in row]
    assert hit.split()[0] == "em:??00A1B2C3"
    assert hit.endswith("on the list: em:0A00A1B2C3")
    assert any(row.startswith("wiegand:26:161:45763 ") and row.endswith("not on the list") for row in told)
    assert told[-2] == LINES[0]
    assert main(["list", "show", "e280 1170 0000 020f 1234 5678", "--json", "-c", str(config)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["listed"] for one in found["readings"]] == [["epc:E28011700000020F12345678"]]
    assert found["entries"] == [json.loads(LINES[1])]
    assert main(["list", "show", "161,45764", "-c", str(config)]) == 1
    assert "in all 3 readings, is not on the list in force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["list", "show", "em:0A00A1B2C9"], 1, "is not on the list in force"),
        (["list", "show", "em:1G"], 2, "in any writing that is known"),
        (["list", "info"], 1, "gated list load FILE"),
        (["list", "load", "/nowhere/list.jsonl"], 1, "list.jsonl"),
        (["status"], 3, "no daemon runs"),
        (["clock", "accept"], 3, "no daemon runs"),
    ],
)
def test_what_cannot_be_done(config: Path, capsys: Captured, words: list[str], status: int, said: str) -> None:
    """What cannot be done says why, and the status tells whose turn it is."""
    assert main([*words, "-c", str(config)]) == status
    assert said in capsys.readouterr().err


def test_clock_accept(config: Path, state: Path, capsys: Captured) -> None:
    """The daemon is asked, and what it did is said; its refusal is status 1."""
    with daemon(state, {"clock-accept": {"ok": True, "before": "a", "after": "b"}}) as asked:
        assert main(["clock", "accept", "-c", str(config)]) == 0
    assert asked == [{"op": "clock-accept"}]
    assert "accepted: before a, after b" in capsys.readouterr().out
    with daemon(state, {"clock-accept": {"error": "not now"}}):
        assert main(["clock", "accept", "-c", str(config)]) == 1
    assert "not now" in capsys.readouterr().err


def test_doctor(config: Path, capsys: Captured) -> None:
    """Everything that is wrong, each with what to do: here no daemon, no list and an absent reader."""
    assert main(["doctor", "-c", str(config)]) == 1
    text = capsys.readouterr().out
    assert "no daemon runs" in text
    assert "gated list load FILE" in text
    assert "/dev/gate/a" in text
    assert main(["doctor", "--json", "-c", str(config)]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {"daemon", "sqlite", "list", "memory"} <= {finding["about"] for finding in found}
    config.write_text("site = 1\n")
    assert main(["doctor", "-c", str(config)]) == 1
    assert "gated.toml:1: site" in capsys.readouterr().out
