"""`gated demo --post`: a seeded day, a view that fits, a check that finds what does not, and the whole thing run."""

import errno
import json
import os
import re
import subprocess
import sys
import time
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import pytest

from gated.__main__ import main
from gated.demo import check, families, words
from gated.demo.check import Mark
from gated.demo.day import CARS, LANES, RESIDENTS, Form, Town, What, incidents, visits
from gated.demo.families import FAMILIES
from gated.demo.life import Pulse
from gated.demo.summary import Run, summary
from gated.demo.view import KEYS, Picture, render
from gated.recording import journal_read
from gated.recording.store import FILE_NAME
from protocol.whitelist import parse
from tests.terminal import on_a_terminal

COMMAND = (sys.executable, "-m", "gated", "demo", "--post", "--seed", "7")
FORMS = {"walk-in": [Form.EM], "walk-out": [Form.EPC], "car-in": [Form.EPC], "car-out": [Form.EPC]}
EVERY_FORM = {lane: list(Form) for lane in LANES}
LIMIT_S = 120
"""A run that hangs is ended; no measure of anything."""


def passage(mono: float, seq: int = 2, **fields: object) -> dict[str, Any]:
    """An admitted passage at walk-in."""
    return {
        "seq": seq,
        "at": "2026-11-25T08:00:00.000+08:00",
        "mono": mono,
        "kind": "passage",
        "lane": "walk-in",
        "credential": "em:0A00A1B2C3",
        "verdict": "admit",
        "reason": "listed",
        "holder": "resident-1",
        **fields,
    }


def start(mono: float) -> dict[str, Any]:
    """A life of the daemon begins."""
    return {"seq": 1, "at": "2026-11-25T07:59:00.000+08:00", "mono": mono, "kind": "system", "what": "start"}


def status(held: int = 0) -> dict[str, Any]:
    """What a daemon says that has much to say."""
    waiting = [{"credential": f"epc:E28011700000020F1234{n:04X}", "reason": "wrong-lane"} for n in range(held)]
    lane = {"arm": "up", "turn": "epc:E28011700000020F12340001", "waiting": 12, "held": waiting}
    return {
        "site": "a-community-with-a-long-name",
        "gate": "north-gate-at-the-river",
        "mode": "guard-only",
        "since": "2026-11-25T08:00:00.000+08:00",
        "list": {"version": "local:0123456789abcdef", "entries": 100_000},
        "figures": {"latency_ms": {"p50": 1234.56, "p99": None}, "admitted": 123_456, "flagged": 12_345},
        "lanes": dict.fromkeys(("walk-in", "walk-out", "car-in", "car-out"), lane),
        "devices": {"walk-in/0": {"online": True}},
    }


def test_a_day_is_its_seeds() -> None:
    """The same seed gives the same people and visits, another one others; time never goes back."""
    first, again, other = (list(islice(visits(Town(seed), seed), 2000)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert [visit.at for visit in first] == sorted(visit.at for visit in first)
    assert Town(7).whitelist(FORMS) == Town(7).whitelist(FORMS)


def test_who_comes_in_a_day() -> None:
    """All lanes are used, some cars turn back, and whoever is to be flagged is not simply on the list."""
    town = Town(7)
    plain = {entry["c"] for entry in town.whitelist(FORMS) if entry.keys() == {"c", "h"}}
    day = list(islice(visits(town, 7), 2000))
    assert {visit.lane for visit in day} == {"walk-in", "walk-out", "car-in", "car-out"}
    assert any(visit.turns_back for visit in day)
    assert {visit.lane[:3] for visit in day if visit.turns_back} == {"car"}
    for visit in day:
        (form,) = FORMS[visit.lane]
        assert (visit.person.credential(form) in plain) is not visit.flagged


def test_the_list_is_one() -> None:
    """Every line of the invented list is a good one, and no credential is there twice."""
    entries = [parse(journal_line(entry)) for entry in Town(7).whitelist(EVERY_FORM)]
    assert len({entry.credential for entry in entries}) == len(entries) > RESIDENTS + CARS


def journal_line(entry: dict[str, str]) -> str:
    """A line of the list."""
    return "{" + ",".join(f'"{key}":"{value}"' for key, value in entry.items()) + "}"


def test_a_run_without_terminal_has_incidents() -> None:
    """A reader is away for a while, and the kill is at half time."""
    assert [what for _, what in incidents(60)] == [What.UNPLUG, What.PLUG, What.KILL]
    assert (30, What.KILL) in incidents(60)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60), (40, 12), (10, 3)])
@pytest.mark.parametrize("full", [True, False])
def test_the_view_fits(columns: int, rows: int, full: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """However much there is to show, no line is too long and none too many; the keys are always there."""
    said = words.passage(passage(1.0, seq=123_456_789, holder="h" * 64))
    assert said is not None
    picture = Picture(
        status(held=50) if full else None,
        pid=4_194_304,
        passages=[said] * 100,
        news=["12:00:00 reader walk-in/0 lost: " + "why " * 50] * 100,
        elapsed_s=1e6,
        rate=12_345.6,
        seq=123_456_789,
        kills=123,
        unplugged="walk-out",
    )
    lines = render(picture, columns, rows)
    assert len(lines) <= rows
    assert max(map(len, lines)) <= columns
    assert lines[-1][:9] == KEYS[:9]


def test_what_the_view_shows() -> None:
    """Lanes with arm and reader, the last passages with verdict and reason, latency and the daemon's pid."""
    said = words.passage(passage(1.0, verdict="flag", reason="expired"))
    assert said is not None
    shown = "\n".join(render(Picture(status(), pid=4711, passages=[said], seq=42), 80, 24))
    for word in (
        "walk-in  online",
        "walk-out offline",
        "up",
        "flag   expired",
        "resident-1",
        "4711",
        "#42",
        "p50 1234.6",
    ):
        assert word in shown


def test_events_in_words() -> None:
    """Passages, openings and cars that turn back are told; what simply went through is not."""
    assert "admit  exit (unknown)" in str(words.passage(passage(1.0, reason="exit", would="unknown")))
    assert "opened button" in str(words.passage({**passage(1.0), "kind": "opened", "by": "button"}))
    assert "turned back" in str(words.passage({**passage(1.0), "kind": "passed", "result": "turned-back", "of": 2}))
    assert words.passage({**passage(1.0), "kind": "passed", "result": "through"}) is None
    assert "TAILGATER" in str(words.passage({**start(1.0), "kind": "alarm", "what": "tailgater", "lane": "car-in"}))
    lost = {**start(1.0), "what": "reader", "device": "walk-in/0", "online": False, "why": "unplugged"}
    assert words.news(lost) == "07:59:00 reader walk-in/0 lost: unplugged"


def test_the_check_finds_a_pulse_without_event() -> None:
    """A pulse needs an opening event of its own: of its lane, its life, before it, and not long before it."""
    pulse = [Pulse(5.0, "walk-in")]
    assert check.unexplained([start(1.0), passage(4.99)], pulse) == []
    assert check.unexplained([start(1.0), {**passage(4.99), "kind": "opened", "by": "again"}], pulse) == []
    for events in (
        [start(1.0)],
        [start(1.0), passage(4.99, verdict="flag")],
        [start(1.0), passage(5.1)],
        [start(1.0), passage(4.99, lane="walk-out")],
        [start(1.0), passage(3.0), start(4.0)],
        [start(-90.0), passage(-60.0)],
    ):
        assert len(check.unexplained(events, pulse)) == 1
    planted = [Pulse(5.0, "walk-in"), Pulse(5.5, "walk-in"), Pulse(6.0, "walk-in")]
    (problem,) = check.unexplained([start(1.0), passage(4.99), passage(5.99)], planted)
    assert "5.500" in problem


def test_the_check_finds_what_is_lost() -> None:
    """A journal that ends before what was read from it, or says something else, is found."""
    lines = [b"one", b"two", b"three"]
    mark = Mark().after(1, b"one").after(2, b"two")
    assert check.lost(lines, Mark()) == check.lost(lines, mark) == check.lost(lines[:2], mark) == []
    assert check.lost(lines[:1], mark) == ["event 2 had been written, and the journal ends at 1"]
    assert len(check.lost([b"one", b"other", b"three"], mark)) == 1


def test_the_check_counts_lives() -> None:
    """Each life that answered has written its start, and no start is there that nobody began."""
    events = [start(1.0), passage(2.0), start(3.0)]
    assert check.started(events, answered=2, lives=2) == check.started(events, answered=1, lives=3) == []
    assert check.started(events, answered=3, lives=3)
    assert check.started(events, answered=1, lives=1)
    assert check.in_words(check.counts(events)) == ["  admit     1: 1 listed"]


@pytest.mark.parametrize("words", [["--seconds", "0"], ["--seconds", "x"], ["--speed", "0"], ["--speed", "nan"]])
def test_wrong_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option is named, with what would be right."""
    with pytest.raises(SystemExit) as caught:
        main(["demo", *words])
    assert caught.value.code == 2
    assert "would be right" in capsys.readouterr().err


def test_a_run_without_terminal(tmp_path: Path) -> None:
    """Lines for what happens, one kill -9 that loses nothing, a summary in which everything fits, a journal to keep."""
    with subprocess.Popen(
        [*COMMAND, "--seconds", "6", "--speed", "2", "--keep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.terminate()  # it then ends its daemon; a kill would leave that behind
    assert process.returncode == 0, out + err
    for said in ("admit", "unplugged: the reader of walk-in", "walk-in/0 lost", "kill -9", "nothing lost", "seed 7"):
        assert said in out
    assert "everything fits" in out.splitlines()
    assert err == ""
    (folder,) = tmp_path.iterdir()
    journal = folder / "state" / FILE_NAME
    assert journal_read.verify(journal).problems == ()
    planted = Run(
        seed=7,
        elapsed_s=6.0,
        journal=journal,
        pulses=[Pulse(time.monotonic() + 60, "walk-in")],
        mark=Mark(),
        kills=1,
        lives=2,
        answered=2,
        back_s=2.0,
        exit_status=0,
    )
    lines, fits = summary(planted)
    assert not fits
    assert lines[-1] == "does not fit: 1"


def test_families_are_dealt_to_the_lanes_they_read_at() -> None:
    """Each has a place, however many there are and in whatever order; a lane that gets none keeps its own."""
    dealt = families.deal(("llrp", "rsu", "nfc"))
    assert dealt == {"walk-in": ("nfc",), "walk-out": ("uhf18",), "car-in": ("rsu",), "car-out": ("llrp",)}
    assert families.deal(()) == {lane: (name,) for lane, name in families.DEFAULT.items()}
    assert families.deal(("uhf18", "llrp", "rsu", "m100"))["walk-in"] == ("llrp",)
    for chosen in permutations(FAMILIES, 3):
        dealt = families.deal(chosen)
        there = [name for names in dealt.values() for name in names]
        assert set(chosen) <= set(there)
        assert all(FAMILIES[name].reads(lane) for lane, names in dealt.items() for name in names)
    assert [len(names) for names in families.deal(FAMILIES).values()] == [2, 2, 2, 2]


def test_families_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name has those that are known beside it; a missing extra is named; the help knows every family."""
    assert main(["demo", "--readers", "rsu,rfid"]) == 2
    assert f"'rfid'; there are {', '.join(FAMILIES)}" in capsys.readouterr().err
    monkeypatch.setattr(families, "find_spec", lambda _: None)
    assert main(["demo", "--readers", "rsu,nfc"]) == 2
    assert 'pip install "gated[nfc]"' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    said = re.findall(r"\w+", capsys.readouterr().out)
    assert set(FAMILIES) <= {*said}


def test_no_pseudo_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a container without /dev/pts: it says so at once."""

    def gone() -> tuple[int, int]:
        raise FileNotFoundError(errno.ENOENT, "out of pty devices")

    monkeypatch.setattr(os, "openpty", gone)
    assert main(["demo", "--seconds", "1"]) == 3
    assert "is /dev/pts mounted here?" in capsys.readouterr().err


def test_other_families_at_the_lanes(tmp_path: Path) -> None:
    """They read who comes; each is unplugged by its key, said lost, plugged in and back; everything fits."""
    words = (*COMMAND, "--readers", "llrp,rsu,nfc", "--speed", "10", "--keep")
    replug = [(f"{lane}/0 {what}".encode(), b"r") for lane in LANES for what in ("lost", "back")]
    keys = [(b"admit  listed", b"r"), *replug[:-1], (b"car-out/0 back", b"q")]
    status, said = on_a_terminal(words, {"TMPDIR": str(tmp_path)}, keys, LIMIT_S)
    assert status == 0, said
    assert "readers: walk-in nfc, walk-out uhf18, car-in rsu, car-out llrp" in said
    assert "plug walk-in nfc in" in said
    assert "everything fits" in said.partition("\x1b[?1049l")[2]
    (folder,) = tmp_path.iterdir()
    events = [json.loads(line) for line in journal_read.lines(folder / "state" / FILE_NAME)]
    read = {(event["lane"], event["credential"].partition(":")[0]) for event in events if event["kind"] == "passage"}
    assert read == {("walk-in", "uid"), ("walk-out", "epc"), ("car-in", "obu"), ("car-out", "epc")}
    lost = {event["device"] for event in events if event.get("what") == "reader" and not event["online"]}
    assert lost == {"walk-in/0", "walk-out/0", "car-in/0", "car-out/0"}


def test_a_run_on_a_terminal(tmp_path: Path) -> None:
    """The view is shown, q ends it, the terminal is as it was, the folder has gone."""
    status, said = on_a_terminal(COMMAND, {"TMPDIR": str(tmp_path)}, [(b"car-out", b"q")], LIMIT_S)
    assert status == 0
    screen, _, after = said.partition("\x1b[?1049l")
    assert screen.startswith("\x1b[?1049h")
    assert "last passages" in screen
    assert "everything fits" in after
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    """Ctrl-C ends it as q does, with the daemon ended in order."""
    status, said = on_a_terminal(COMMAND, {"TMPDIR": str(tmp_path)}, [(b"automatic", b"\x03")], LIMIT_S)
    assert status == 0
    assert "everything fits" in said.partition("\x1b[?1049l")[2]
