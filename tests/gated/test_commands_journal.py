"""`gated journal`: listed, followed, verified, exported, by a person or a program."""

import csv
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gated.__main__ import main
from gated.commands.moments import moment
from gated.recording.store import FILE_NAME, Store
from protocol.event import ClockQuality, Kind, Stamp, body

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 11, 24, 8, 0, tzinfo=ZONE)
Captured = pytest.CaptureFixture[str]


def rest(number: int) -> bytes:
    """A passage, `number` minutes after the start."""
    stamp = Stamp((START + timedelta(minutes=number)).isoformat(), ClockQuality.SYNCED, "9f2c", 1.0)
    lane = ("walk-in", "走出")[number % 2]
    fields = {"lane": lane, "credential": f"em:{number:010X}", "verdict": "admit", "reason": "listed", "holder": "h1"}
    return body(Kind.PASSAGE, stamp, fields)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder whose journal has 20 passages and a stop."""
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(Store(folder / FILE_NAME)) as store:
        store.begin_epoch(board="serial:a", began="", why="a new journal")
        store.commit([rest(number) for number in range(1, 21)])
        store.commit([body(Kind.SYSTEM, Stamp(START.isoformat(), ClockQuality.UNSET, "9f2c", 1.0), {"what": "stop"})])
    return folder


@pytest.fixture
def config(tmp_path: Path, state: Path) -> Path:
    """The configuration of that gate."""
    path = tmp_path / "gated.toml"
    path.write_text(
        f'site = "s"\ngate = "g"\nstate = "{state}"\ntimezone = "Asia/Shanghai"\n[lanes.walk-in]\nkind = "person"\n'
        'direction = "in"\nreaders = [ { driver = "em4100", port = "/dev/gate/a" } ]\n'
    )
    return path


def test_list(config: Path, capsys: Captured) -> None:
    """One line an event, in the gate's own time, oldest first."""
    assert main(["journal", "list", "-c", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert lines[0].split() == [
        "1",
        "2026-11-24",
        "08:01:00",
        "走出",
        "passage",
        "admit",
        "listed",
        "em:0000000001",
        "holder=h1",
    ]
    assert lines[-1].split() == ["21", "2026-11-24", "08:00:00", "(unset)", "-", "system", "what=stop"]


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        (["--last", "2"], [20, 21]),
        (["--last", "0"], []),
        (["--lane", "walk-in", "--last", "2"], [18, 20]),
        (["--credential", "em:0000000003"], [3]),
        (["--kind", "system"], [21]),
        (["--since", "2026-11-24T08:19:00"], [19, 20]),
        (["--since", "2026-11-24T00:18:00Z", "--until", "2026-11-24T08:20:00+08:00"], [18, 19]),
    ],
)
def test_filters(config: Path, capfd: Captured, words: list[str], seqs: list[int]) -> None:
    """Only what is asked for; --json prints the lines themselves."""
    assert main(["journal", "list", "--json", *words, "-c", str(config)]) == 0
    assert [json.loads(line)["seq"] for line in capfd.readouterr().out.splitlines()] == seqs


def test_json_is_byte_for_byte(config: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What --json prints is what was hashed."""
    assert main(["journal", "list", "--json", "--last", "2", "-c", str(config)]) == 0
    assert capfdbinary.readouterr().out.splitlines()[0] == b'{"seq":20,' + rest(20)[1:]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "pasage"], "kinds are passage"),
        (["--since", "yesterday"], "is no time; right would be"),
        (["--follow", "--until", "08:00"], "has no end"),
    ],
)
def test_wrong_usage(config: Path, capsys: Captured, words: list[str], said: str) -> None:
    """A filter that means nothing is refused: status 2."""
    assert main(["journal", "list", *words, "-c", str(config)]) == 2
    assert said in capsys.readouterr().err


def test_verify(config: Path, state: Path, capsys: Captured) -> None:
    """A whole journal: status 0. One altered byte: status 1, and which event."""
    assert main(["journal", "verify", "-c", str(config)]) == 0
    assert "21 events, 1 to 21, 1 epochs\nthe chain holds; head " in capsys.readouterr().out
    with closing(sqlite3.connect(state / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE event SET line = replace(line, 'admit', 'armit') WHERE seq = 7")
    assert main(["journal", "verify", "-c", str(config)]) == 1
    assert "event 7: its line was altered" in capsys.readouterr().err
    assert main(["journal", "verify", "--json", "-c", str(config)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert found["problems"] == [{"seq": 7, "what": "its line was altered"}]


def test_export(config: Path, tmp_path: Path, capfd: Captured) -> None:
    """JSON lines as they are, or a table that a spreadsheet reads."""
    lines, table = tmp_path / "e.jsonl", tmp_path / "e.csv"
    assert main(["journal", "export", "-o", str(lines), "-c", str(config)]) == 0
    assert lines.stat().st_mode & 0o777 == 0o600
    assert lines.read_bytes().splitlines()[19] == b'{"seq":20,' + rest(20)[1:]
    assert main(["journal", "export", "--format", "csv", "--kind", "passage", "-o", str(table), "-c", str(config)]) == 0
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), rows[0]["lane"], rows[0]["credential"]) == (20, "走出", "em:0000000001")
    capfd.readouterr()
    assert main(["journal", "export", "--kind", "system", "-c", str(config)]) == 0
    assert json.loads(capfd.readouterr().out)["what"] == "stop"
    assert main(["journal", "export", "-o", str(tmp_path), "-c", str(config)]) == 3


def test_no_journal(config: Path, state: Path, capsys: Captured) -> None:
    """A daemon that never ran left no journal: status 3."""
    (state / FILE_NAME).unlink()
    assert main(["journal", "list", "-c", str(config)]) == 3
    assert "has not run" in capsys.readouterr().err


def test_follow(config: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last events first, then each new one as it is written, also into a pipe; Ctrl-C ends it."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    command = [sys.executable, "-m", "gated", "journal", "list", "--follow", "--last", "1", "--json", "-c", str(config)]
    with closing(Store(state / FILE_NAME)) as store, subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline())["seq"] == 21
            store.commit([rest(22)])
            assert json.loads(process.stdout.readline())["seq"] == 22
            store.commit([rest(23), rest(24)])
            assert [json.loads(process.stdout.readline())["seq"] for _ in range(2)] == [23, 24]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2h", "2026-11-25T06:00:00+00:00"),
        ("30m ago", "2026-11-25T07:30:00+00:00"),
        ("3d", "2026-11-22T08:00:00+00:00"),
        ("08:15", "2026-11-25T00:15:00+00:00"),
        ("2026-11-24", "2026-11-23T16:00:00+00:00"),
        ("2026-11-24T08:15:00Z", "2026-11-24T08:15:00+00:00"),
        ("2026-11-24 08:15", "2026-11-24T00:15:00+00:00"),
    ],
)
def test_moments(text: str, right: str) -> None:
    """Times as people type them, local to the gate."""
    now = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
    assert moment(text, now, ZONE).astimezone(UTC).isoformat() == right


@pytest.mark.parametrize("text", ["", "25:00", "08:61", "tomorrow", "2h 3m", "999999d"])
def test_no_moment(text: str) -> None:
    """What is no time is refused with what would be right."""
    with pytest.raises(ValueError, match="right would be"):
        moment(text, datetime(2026, 11, 25, 8, 0, tzinfo=UTC), ZONE)
