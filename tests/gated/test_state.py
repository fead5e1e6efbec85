"""What the daemon says of itself is said at once, also where the disk says nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from drivers.port import About, Condition, Reader
from gated import state
from gated.clock import Remembered, Timekeeper
from gated.config import load
from gated.lanes.decide import Policy
from gated.lanes.post import Post
from gated.lists.whitelist import Whitelist
from gated.machine_clock import MachineClock
from gated.recording import pace
from gated.recording.journal import Journal
from gated.recording.pace import Pace
from gated.state import Describer

CONFIG = """
site = "s"
gate = "g"
state = "{folder}"
timezone = "Asia/Shanghai"
[lanes.a]
kind = "person"
direction = "in"
readers = [ {{ driver = "uhf18", port = "/dev/gate/a", firmware_least = "5.10" }} ]
"""


class Gate:
    """A daemon's parts as far as they are described; the clocks are real."""

    def __init__(self, folder: Path) -> None:
        path = folder / "gated.toml"
        path.write_text(CONFIG.format(folder=folder))
        config = load(path)
        self.keeper = Timekeeper(MachineClock("none"), config.zone, Remembered())
        self.reader = SimpleNamespace(last_heard=None)
        self.readers: dict[str, Reader] = {}
        facts = {"ok": True, "why": "", "seq": 9, "epoch": "e", "acked": 0, "oldest": 1, "bytes": 4096, "unwritten": 0}
        journal = cast("Journal", SimpleNamespace(state=SimpleNamespace(**facts), note=lambda *_: None))
        whitelist = Whitelist(folder)
        log = structlog.get_logger(processors=[structlog.processors.JSONRenderer()])
        post = Post(journal=journal, keeper=self.keeper, whitelist=whitelist, policy=Policy({}), log=log)
        self.describe = Describer(
            config, post=post, journal=journal, keeper=self.keeper, whitelist=whitelist, readers=self.readers
        )
        for name, what in (("a/0", "reader"), ("a/barrier", "output")):
            post.condition(name, what, Condition(True))
        self.readers["a/0"] = cast("Reader", self.reader)
        self.post = post


async def part(gate: Gate, key: str) -> dict[str, Any]:
    """One part of what it says."""
    found = (await gate.describe())[key]
    assert isinstance(found, dict)
    return found


async def test_when_a_reader_was_last_heard(tmp_path: Path) -> None:
    """Seconds since its last frame, nothing before the first; no other device has such a thing."""
    gate = Gate(tmp_path)
    assert (await part(gate, "devices"))["a/0"]["heard_s_ago"] is None
    gate.reader.last_heard = gate.keeper.now().mono - 90
    devices = await part(gate, "devices")
    assert 90 <= devices["a/0"]["heard_s_ago"] < 120
    assert "heard_s_ago" not in devices["a/barrier"]


async def test_what_a_device_is_and_where(tmp_path: Path) -> None:
    """Its port, and what a reader says of itself as far as it does; of one that says nothing, nothing."""
    gate = Gate(tmp_path)
    device = (await part(gate, "devices"))["a/0"]
    assert device["port"] == "/dev/gate/a"
    assert "about" not in device
    gate.reader.about = About()
    assert "about" not in (await part(gate, "devices"))["a/0"]
    gate.reader.about = About("UHFReader18", power_dbm=0.0)
    devices = await part(gate, "devices")
    assert devices["a/0"]["about"] == {"model": "UHFReader18", "power_dbm": 0.0}
    assert "port" not in devices["a/barrier"]


async def test_the_firmware_that_is_wanted(tmp_path: Path) -> None:
    """Stands there while a reader that is online tells an older one, or none."""
    gate = Gate(tmp_path)
    assert (await part(gate, "devices"))["a/0"]["firmware_wanted"] == "5.10"
    gate.reader.about = About("UHFReader18", "5.9")
    assert (await part(gate, "devices"))["a/0"]["firmware_wanted"] == "5.10"
    gate.reader.about = About("UHFReader18", "5.11")
    assert "firmware_wanted" not in (await part(gate, "devices"))["a/0"]
    gate.reader.about = About()
    gate.post.condition("a/0", "reader", Condition(False, "gone"))
    assert "firmware_wanted" not in (await part(gate, "devices"))["a/0"]


async def test_the_pace_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for in the gate's own zone; hours without end are none."""
    asked: list[datetime] = []

    def look(_: Path, now: datetime) -> Pace | None:
        asked.append(now)
        return (None, Pace(0.0, 345.0, float("inf")), Pace(12.34, 400.4, 99.6))[len(asked) - 1]

    monkeypatch.setattr(pace, "look", look)
    monkeypatch.setattr(state, "PACE_KEPT_S", 0.0)
    gate = Gate(tmp_path)
    journals = [await part(gate, "journal") for _ in range(3)]
    keys = ("events_per_hour", "bytes_per_event", "hours_left")
    told = [tuple(journal[key] for key in keys) for journal in journals]
    assert told == [(None, None, None), (0.0, 345, None), (12.3, 400, 100)]
    assert {str(now.tzinfo) for now in asked} == {"Asia/Shanghai"}


async def test_an_answer_does_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks again soon is told the same, and the disk is left alone."""
    answers = iter([Pace(1.0, 345.0, 7.0)])
    monkeypatch.setattr(pace, "look", lambda _path, _now: next(answers))
    gate = Gate(tmp_path)
    assert [(await part(gate, "journal"))["hours_left"] for _ in range(2)] == [7, 7]


@asynccontextmanager
async def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Path]]:
    """A disk that does not answer; yields who asks it."""
    asked: list[Path] = []
    goes_on = threading.Event()

    def look(path: Path, _: datetime) -> None:
        asked.append(path)
        goes_on.wait(30)

    monkeypatch.setattr(pace, "look", look)
    monkeypatch.setattr(state, "PACE_S", 0.01)
    try:
        yield asked
    finally:
        goes_on.set()


async def test_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All else is told, the loop turns, and however often it is asked, one thread waits."""
    async with hanging_disk(monkeypatch) as asked:
        gate = Gate(tmp_path)
        async with asyncio.timeout(10):
            told = [await part(gate, "journal") for _ in range(20)]
            told += await asyncio.gather(*(part(gate, "journal") for _ in range(5)))
        assert {(journal["seq"], journal["hours_left"]) for journal in told} == {(9, None)}
        assert len(asked) == 1
