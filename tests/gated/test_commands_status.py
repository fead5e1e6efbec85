"""`gated status`: everything at a glance for a person, the daemon's own word for a program."""

import json
from pathlib import Path
from typing import Any

import pytest

from gated.__main__ import main
from gated.commands import status_text
from tests.gated.answering import daemon
from tests.gatepost import Gatepost

CARD = "em:0A00A1B2C3"
READER: dict[str, Any] = {"what": "reader", "online": True, "why": "", "since": "", "heard_s_ago": 7500.0}
DEVICES: dict[str, dict[str, Any]] = {
    "car-in/0": {
        "what": "reader",
        "online": False,
        "why": "the reader is silent",
        "since": "2026-11-24T08:15:02.1+08:00",
    },
    "walk-in/0": READER,
    "walk-in/1": {"what": "reader", "online": True, "why": "", "since": "", "heard_s_ago": None},
    "walk-in/barrier": {"what": "output", "online": True, "why": "", "since": ""},
}
LANES: dict[str, dict[str, Any]] = {
    "walk-in": {
        "kind": "person",
        "direction": "in",
        "arm": "down",
        "turn": None,
        "waiting": 0,
        "held": [{"credential": CARD, "reason": "expired", "for_s": 12.0, "seen_s_ago": 3.0, "count": 4}],
    },
    "car-in": {
        "kind": "vehicle", "direction": "in", "arm": "none", "turn": "epc:E2801170", "waiting": 2, "held": []
    },
}  # fmt: skip
JOURNAL: dict[str, Any] = {
    "ok": True,
    "why": "",
    "seq": 1042,
    "bytes": 3 * 1024**2,
    "unwritten": 0,
    "events_per_hour": 12.3,
    "free_bytes": 4 * 1024**3,
    "hours_left": 20_000,
}
STATE: dict[str, Any] = {
    "site": "shenhang",
    "gate": "north",
    "version": "0.1.0",
    "pid": 4711,
    "since": "2026-11-22T08:15:02.113+08:00",
    "up_s": 172_800,
    "mode": "automatic",
    "lanes": LANES,
    "devices": DEVICES,
    "journal": JOURNAL,
    "center": {"online": True, "why": "", "backlog": 0, "confirmed_s_ago": 3.2, "rivals": [], "supply": ""},
    "list": {"version": "local:5f0c", "entries": 41_000, "loaded_at": "2026-11-21T08:00:00+08:00", "trouble": ""},
    "clock": {"at": "2026-11-24T08:15:02.113+08:00", "quality": "synced", "timezone": "Asia/Shanghai"},
    "figures": {"passages": 1, "admitted": 1, "flagged": 0, "latency_ms": {"p50": 4.2, "p99": 9.0}},
}
TEXT = """\
shenhang / north: automatic
gated 0.1.0, pid 4711, since 2026-11-22 08:15:02 (2 days)

lanes
  walk-in  person in   arm down
  car-in   vehicle in  no arm    turn of epc:E2801170  2 waiting

held for the guard
  walk-in  em:0A00A1B2C3  expired  for 12 seconds  seen 4x, last 3 seconds ago

devices
  walk-in/0        reader  online   heard 2 hours ago
  walk-in/1        reader  online   not heard yet
  walk-in/barrier  output  online
  car-in/0         reader  OFFLINE  since 2026-11-24 08:15:02: the reader is silent

journal  1,042 events, 3 MiB; 12.3 an hour today; 4.0 GiB free, enough for 2 years
center   connected; 0 events to tell; it answered 3 seconds ago
list     41,000 entries; loaded 2026-11-21 08:00:00, 3 days ago; local:5f0c
clock    synced; 2026-11-24 08:15:02, Asia/Shanghai
figures  1 passage since the start, 1 admitted, 0 flagged; seen to open in 4.2 ms, 1 of 100 in more than 9.0 ms
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a gate with an empty state folder."""
    (tmp_path / "state").mkdir()
    path = tmp_path / "gated.toml"
    path.write_text(
        f'site = "s"\ngate = "g"\nstate = "{tmp_path / "state"}"\n[lanes.a]\nkind = "person"\n'
        'direction = "in"\nreaders = [ { driver = "em4100", port = "/dev/gate/a" } ]\n'
    )
    return path


def shown(**other: object) -> str:
    """The text for that state, but for `other`."""
    return "\n".join(status_text.lines({**STATE, **other})) + "\n"


def test_at_a_glance() -> None:
    """Lanes, who is held there, devices by lane with the reason, journal, center, list with its age, clock."""
    assert shown() == TEXT
    assert "center " not in shown(center=None)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"mode": "guard-only"}, "north: GUARD-ONLY: nothing but exits opens"),
        (
            {"journal": {**JOURNAL, "ok": False, "why": "the disk is full", "unwritten": 3}},
            "journal  CANNOT BE WRITTEN: the disk is full; 1,042 events, 3 MiB; 3 more in memory only",
        ),
        ({"journal": {**JOURNAL, "hours_left": 2e8}}, "4.0 GiB free, enough for over 100 years\n"),
        ({"journal": {**JOURNAL, "events_per_hour": None, "hours_left": None}}, "3 MiB; 4.0 GiB free\n"),
        (
            {"devices": {"walk-in/0": {**READER, "about": {"firmware": "5.2"}, "firmware_wanted": "5.10"}}},
            "walk-in/0  reader  online  heard 2 hours ago; firmware 5.2; FIRMWARE 5.10 IS WANTED",
        ),
        (
            {"devices": {"walk-in/0": {**READER, "about": {"firmware": "2.03", "outdated": "long records fail"}}}},
            "firmware 2.03; OLD FIRMWARE: long records fail",
        ),
        (
            {"center": {"online": False, "why": "refused", "backlog": 1204, "confirmed_s_ago": 7500.0}},
            "center   AWAY: refused; 1,204 events to tell; it answered 2 hours ago\n",
        ),
        (
            {"center": {"online": True, "rivals": ["E"], "supply": "damaged", "commands": {"refused": {"lane": 1}}}},
            "connected; ANOTHER BOX runs under this gate's name; TROUBLE: damaged; 0 events to tell; it has answered",
        ),
        ({"center": {"commands": {"refused": {"lane": 1}}}}, "nothing yet; 1 command refused\n"),
        ({"list": None}, "list     NONE was ever loaded: every credential is unknown"),
        ({"list": {"trouble": "list.json is damaged"}}, "list     TROUBLE: list.json is damaged\n"),
        ({"clock": {"at": "2026-11-24T08:15:02+08:00", "quality": "holdover"}}, "clock    HOLDOVER; "),
        ({"figures": {"passages": 0, "latency_ms": {"p50": None, "p99": None}}}, "0 passages since the start"),
    ],
)
def test_what_is_wrong_stands_out(other: dict[str, Any], said: str) -> None:
    """In capitals, with the reason; what cannot be told is left out."""
    assert said in shown(**other)


def test_an_older_daemon() -> None:
    """What it does not say is left out, and nothing fails."""
    assert "None" not in shown(devices={"a/0": {"what": "reader", "online": True}})
    assert "automatic" in "\n".join(status_text.lines({"mode": "automatic"}))


def test_for_a_person_or_a_program(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text, or the daemon's word as it is."""
    with daemon(config.parent / "state", {"status": STATE}):
        assert main(["status", "-c", str(config)]) == 0
        assert capsys.readouterr().out == TEXT
        assert main(["status", "--json", "-c", str(config)]) == 0
        assert json.loads(capsys.readouterr().out) == STATE


async def test_what_the_daemon_says(tmp_path: Path) -> None:
    """When each reader was last heard: a polled one all the time, one that just talks not before the first card."""
    async with Gatepost(tmp_path, [CARD]) as post:
        await post.start()
        devices = (await post.status())["devices"]
        assert devices["walk-in/0"]["heard_s_ago"] is None
        assert 0 <= devices["walk-out/0"]["heard_s_ago"] < 30
        assert "heard_s_ago" not in devices["walk-in/barrier"]
        post.walk_in(CARD.removeprefix("em:"))
        await post.pulses("walk-in", 1)
        said = await post.status()
        assert 0 <= said["devices"]["walk-in/0"]["heard_s_ago"] < 30
        assert said["up_s"] >= 0
        assert said["journal"]["events_per_hour"] > 0
        assert said["journal"]["hours_left"] > 0
        assert await post.stop() == 0


def test_a_lane_that_is_held_open() -> None:
    """By whom, and for how long still."""
    lanes = {"walk-in": {**LANES["walk-in"], "arm": "up", "hold": {"by": "li-wei", "left_s": 600.0}}}
    text = "\n".join(status_text.lines({**STATE, "lanes": lanes}))
    assert "HELD OPEN by li-wei, 10 minutes left" in text


@pytest.mark.parametrize(("state", "held"), [("clear", False), ("unread", False), ("open", True), ("lost", True)])
def test_fire(state: str, *, held: bool) -> None:
    """Right below the gate's name, with since when and why; nothing while all is well."""
    lines = shown(fire={"state": state, "why": "its cable is out", "since": "2026-11-24T08:15:02.1+08:00"}).splitlines()
    said = "FIRE: every barrier is held open since 2026-11-24 08:15:02: its cable is out"
    assert (lines[1] == said, "FIRE" in "".join(lines)) == (held, held)
