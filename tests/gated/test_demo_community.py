"""`gated demo`: the whole community run, a loss planted in it and found, a view that fits, the parts by themselves."""

import asyncio
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from gated.commands import demo as command
from gated.demo import show as one_post
from gated.demo.check import Mark
from gated.demo.community import GATES, audit, day, desk
from gated.demo.community.audit import Held
from gated.demo.community.day import Act
from gated.demo.community.deeds import Outcome
from gated.demo.community.link import Link
from gated.demo.community.summary import Compared, GateRun, Run, summary
from gated.demo.community.view import KEYS, GateRow, Picture, render
from gated.demo.day import Form
from gated.recording import journal_read
from tests.terminal import on_a_terminal

COMMAND = (sys.executable, "-m", "gated", "demo", "--seed", "7")
FORMS = {"walk-in": [Form.EM], "walk-out": [Form.EPC], "car-in": [Form.EPC], "car-out": [Form.EPC]}
LIMIT_S = 180
"""A run that hangs is ended; no measure of anything."""
LINES = [b'{"seq":%d,"kind":"shift"}' % seq for seq in range(1, 6)]


def export(gate: str, lines: list[bytes]) -> list[bytes]:
    """These lines as the center writes them out."""
    hashes = audit.chained(lines)
    said = [{"id": seq, "gate": gate, "hash": one.hex()} for seq, one in enumerate(hashes, start=1)]
    return [json.dumps(one).encode()[:-1] + b', "event": ' + line + b"}" for one, line in zip(said, lines, strict=True)]


def status(held: int = 0, suspensions: int = 0) -> dict[str, Any]:
    """What a daemon says that has much to say."""
    lane = {"arm": "up", "waiting": 12, "held": [{}] * held}
    return {
        "list": {"version": "123456789", "suspensions": suspensions},
        "journal": {"seq": 123_456_789, "acked": 1},
        "lanes": dict.fromkeys(("walk-in", "walk-out", "car-in", "car-out"), lane),
        "devices": {"walk-in/0": {"online": True}},
    }


def test_a_day_is_its_seeds() -> None:
    """The same seed gives the same visits; every gate is come to; whose card is to be suspended stays away."""
    town = day.town(7)
    first, again = (list(islice(day.visits(day.town(7), 7), 3000)) for _ in range(2))
    assert first == again
    assert {gate for gate, _ in first} == set(GATES)
    assert not {person.card for person in town.tenants} & {visit.person.card for _, visit in first}
    assert [visit.at for _, visit in first] == sorted(visit.at for _, visit in first)


def test_the_office_has_a_table() -> None:
    """Each card and tag once; strangers and those whose cards are lost are not in it."""
    town = day.town(7)
    rows = [line.split(",") for line in day.table(town, FORMS).splitlines()]
    assert rows[0] == ["Name", "Card No", "EPC", "Valid from"]
    assert len(rows) - 1 == day.RESIDENTS + day.CARS + len(town.tenants) + len(town.expired)
    assert not {person.card for person in town.suspended} & {row[1] for row in rows}


def test_everything_is_done_once() -> None:
    """Without a terminal each deed is done, in time for its end to be seen; what is cut is mended."""
    acts = day.acts(100.0)
    counted = {act: sum(one is act for _, one, _ in acts) for act in Act}
    assert counted == {**dict.fromkeys(Act, 1), Act.LINK: 2, Act.READER: 2}
    assert [at for at, _, _ in acts] == sorted(at for at, _, _ in acts)
    assert acts[-1][0] < 80.0
    assert set(KEYS.values()) == set(Act)


def test_what_fits() -> None:
    """What was written while the center was asked may be there or not; all before must be."""
    for count in (3, 4, 5):
        assert audit.compare("north", LINES[:3], LINES, audit.exported(export("north", LINES[:count]))["north"]) == []
    assert audit.compare_all({"north": []}, {"north": []}, {}) == []


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([*LINES[:1], *LINES[2:]], "not in the gate's journal"),
        (LINES[:2], "1 events are not at the center, the first of them is 3"),
        ([*LINES[:2], b'{"seq":3,"kind":"other"}'], "1 events are not at the center, the first of them is 3"),
        ([], "3 events are not at the center, the first of them is 1"),
    ],
)
def test_what_does_not(held: list[bytes], said: str) -> None:
    """An event that is missing, altered or new at the center is found."""
    found = audit.compare("north", LINES[:3], LINES, audit.exported(export("north", held)).get("north", Held()))
    assert any(said in problem for problem in found), found


def test_what_the_center_says_of_itself_is_not_believed() -> None:
    """Hashes that are right over lines that are not; an event twice; another order; a gate that there is not."""
    right = audit.exported(export("north", LINES))["north"]
    other = Held(right.hashes, [*right.lines[:-1], b"{}"])
    assert "not the lines" in audit.compare("north", LINES, LINES, other)[0]
    twice = Held([*right.hashes, right.hashes[0]], [*right.lines, right.lines[0]])
    assert "twice" in audit.compare("north", LINES, LINES, twice)[0]
    turned = Held(right.hashes[::-1], right.lines[::-1])
    assert "another order" in audit.compare("north", LINES, LINES, turned)[0]
    assert "a gate market" in audit.compare_all({}, {}, {"market": right})[0]


def picture(rows: list[GateRow]) -> Picture:
    """Much to show."""
    return Picture(
        rows,
        chosen="north",
        center=4_194_304,
        center_kills=123,
        held=123_456_789,
        rate=12_345.6,
        passages=["north  08:00:00 walk-in  admit  listed " + "x" * 200] * 100,
        news=["12:00:00 north: " + "why " * 50] * 100,
        elapsed_s=1e6,
    )


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60), (40, 12), (10, 3)])
@pytest.mark.parametrize("there", [True, False])
def test_the_view_fits(columns: int, rows: int, there: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """However much there is to show, no line is too long and none too many; the keys are always there."""
    said = status(held=50, suspensions=1000) if there else None
    gates = [GateRow(name, said, 4_194_304, linked=there, unplugged="walk-out", seq=10**9) for name in GATES]
    lines = render(picture(gates), columns, rows)
    assert len(lines) <= rows
    assert max(map(len, lines)) <= columns
    assert "c kill the center"[: columns - 1] in "\n".join(lines[-2:])


def test_what_the_view_shows() -> None:
    """Each gate's line, daemon, list, backlog and lanes; the center's totals; what the keys now do."""
    gates = [
        GateRow("north", status(held=2), 4711, linked=False, unplugged="walk-in", up=frozenset({"walk-in"}), seq=7),
        GateRow("east", None, None, seq=42),
    ]
    shown = "\n".join(render(Picture(gates, chosen="north", center=None, held=40, rate=1.5), 100, 30))
    for word in ("> north", "CUT", "4711", "123456", "up !2", "OFF", "mend its line", "plug walk-in in", "dead", "#42"):
        assert word.replace("#", "event ") in shown
    assert "40 of 49 events held · 1.5/s" in shown


class Echo(asyncio.Protocol):
    """Says again what it hears."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.transport.write(data)


async def test_a_line_is_cut_and_mended() -> None:
    """While it is cut nobody gets through, and what was through is torn; mended, it is on the same port."""

    async def ask(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        return reader, writer

    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    async with server, Link(server.sockets[0].getsockname()[1]) as link:
        port = link.port
        reader, writer = await ask(port)
        link.cut()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        await link.mend()
        reader, writer = await ask(port)
        writer.close()
        await writer.wait_closed()


def test_a_box_shows_one_post(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the center's libraries are not installed it says so, and shows one post."""
    monkeypatch.setattr(command, "_NEEDED", ("json", "no_such_library"))
    assert command._show(post=False) is one_post.show
    assert "not installed here (no_such_library)" in capsys.readouterr().out
    assert command._show(post=True) is one_post.show
    assert capsys.readouterr().out == ""


def test_a_deed_that_failed_does_not_fit(tmp_path: Path) -> None:
    """What came of a deed is in the summary, and counts."""
    outcome = Outcome(Act.SUSPEND, "not within 60 s: it is in force at every gate", fits=False)
    run = Run(seed=7, elapsed_s=1.0, gates={}, compared=Compared({}, {}, []), outcomes=[outcome])
    lines, fits = summary(run, 100)
    assert not fits
    assert lines[-1] == "does not fit: 1"
    assert any(line.startswith("  suspend") for line in lines)
    missing = GateRun(tmp_path / "journal.db", [], Mark(), 1, 1, 0)
    assert not summary(Run(7, 1.0, {"north": missing}, Compared({}, {}, []), []), 100)[1]


def test_the_whole(tmp_path: Path) -> None:
    """Everything is done once, everything fits; then one event is taken from the center, and that is found."""
    out = _run(tmp_path)
    for said in (
        "hash for hash those of the journals",
        "cut off for",
        "said lost, back after",
        "the last one read, is there",
        "back after",
        "is suspended at",
        "false answers refused",
        "a forged list refused by",
        "its card unknown",
    ):
        assert said in out
    assert "everything fits" in out.splitlines()
    (folder,) = tmp_path.iterdir()
    journals = {gate: list(journal_read.lines(folder / gate / "state" / "journal.db")) for gate in GATES}
    held = asyncio.run(desk.Desk(folder).events())
    before = {gate: lines[: len(audit.exported(held)[gate].hashes)] for gate, lines in journals.items()}
    assert audit.compare_all(before, journals, audit.exported(held)) == []
    gates = {
        gate: GateRun(folder / gate / "state" / "journal.db", [], Mark(), lives, lives, 0)
        for gate, lines in journals.items()
        if (lives := sum(json.loads(line).get("what") == "start" for line in lines))
    }
    planted = Run(7, 5.0, gates, Compared(before, journals, [*held[:20], *held[21:]]), [])
    lines, fits = summary(planted, 100)
    lost = json.loads(held[20])
    assert not fits
    assert f"  {lost['gate']}: 1 events are not at the center, the first of them is {lost['seq']}" in lines
    assert summary(Run(7, 5.0, gates, Compared(before, journals, held), []), 100)[1]


def test_on_a_terminal(tmp_path: Path) -> None:
    """The view is shown, keys are taken, q ends it with the comparison; the folder has gone."""
    keys = [(b"the day begins", b"3"), (b"> south", b"k"), (b"south back after", b"q")]
    status, said = on_a_terminal(COMMAND, {"TMPDIR": str(tmp_path)}, keys, LIMIT_S)
    assert status == 0, said
    progress, _, screen = said.partition("\x1b[?1049h")
    screen, _, after = screen.partition("\x1b[?1049l")
    assert "gatectl flash" in progress
    assert "last passages" in screen
    assert "everything fits" in after
    assert re.search(r"kill +south back after", after)
    assert list(tmp_path.iterdir()) == []


def _run(folder: Path) -> str:
    with subprocess.Popen(
        [*COMMAND, "--seconds", "6", "--keep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.terminate()  # it then ends its processes; a kill would leave them behind
    assert process.returncode == 0, out + err
    assert err == ""
    return out
