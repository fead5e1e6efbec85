"""Logs: JSON for the journal of systemd, readable on a terminal, and nothing personal in either."""

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any, cast

import pytest
import structlog

from drivers.port import Condition
from gated import logs
from gated.clock import ClockFact, Remembered, Timekeeper
from gated.lanes.decide import Direction, LaneKind, LaneRule, Policy
from gated.lanes.post import Post
from gated.lists.whitelist import Whitelist, WhitelistError
from gated.recording.journal import Journal, JournalTrouble
from protocol.credential import Credential, masked
from protocol.event import Kind, Stamp
from protocol.sighting import Sighting
from protocol.whitelist import Entry

LISTED = Credential("epc:E2801170000002A5B6C7D8E9")
STRANGER = Credential("em:0A00A1B2C3")
BROKEN = Credential("plate:沪A12345")
LANES = (
    LaneRule("walk-in", LaneKind.PERSON, Direction.IN),
    LaneRule("walk-out", LaneKind.PERSON, Direction.OUT),
    LaneRule("car-in", LaneKind.VEHICLE, Direction.IN),
)


class Stderr(io.StringIO):
    """Standard error, on a terminal or not."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """See IOBase."""
        return self._terminal

    def lines(self) -> list[dict[str, Any]]:
        """What was said, each line by itself JSON."""
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _plain_again() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def configured(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool = False, level: str = ""
) -> tuple[logs.FilteringBoundLogger, Stderr]:
    """The daemon's logger and where it writes."""
    stderr = Stderr(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("GATED_LOG", level)
    return logs.configure(), stderr


def test_json_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line an event, with time, level, name and fields; Chinese stays readable, a traceback stays in its line."""
    log, stderr = configured(monkeypatch)
    log.warning("device.offline", device="人行", why="two\nlines")
    log.error("failed", exc_info=ValueError("broken"))
    first, second = stderr.lines()
    assert first.pop("timestamp")
    assert first == {"event": "device.offline", "level": "warning", "device": "人行", "why": "two\nlines"}
    assert "人行" in stderr.getvalue()
    assert "ValueError: broken" in second["exception"]


def test_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the technician who starts it by hand."""
    log, stderr = configured(monkeypatch, terminal=True)
    log.info("device.online", device="walk-in/0")
    said = stderr.getvalue()
    assert "device.online" in said
    assert "walk-in/0" in said
    assert not said.startswith("{")


@pytest.mark.parametrize("level", ["", "debug"])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_traceback_shows_no_values(terminal: bool, level: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter
    """Where it happened, and what; not what the variables held, credentials among them."""
    log, stderr = configured(monkeypatch, terminal=terminal, level=level)

    def fail(credential: str) -> None:
        kept = [credential]
        raise LookupError(len(kept))

    try:
        fail(str(LISTED))
    except LookupError:
        log.exception("failed")
    said = stderr.getvalue()
    assert "LookupError: 1" in said
    assert "in fail" in said
    assert LISTED.partition(":")[2] not in said


@pytest.mark.parametrize(("level", "said"), [("", 0), ("info", 0), ("debug", 1), ("DEBUG", 1)])
def test_debug_only_when_asked(level: str, said: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`GATED_LOG=debug`, in any case; nothing else."""
    log, stderr = configured(monkeypatch, level=level)
    log.debug("passage")
    assert len(stderr.lines()) == said


class Clocks:
    """Clocks that stand still."""

    boot = "b1"

    def wall(self) -> float:
        """See Source."""
        return 1_795_564_800.0

    def mono(self) -> float:
        """See Source."""
        return 1000.0

    def synced(self) -> bool:
        """See Source."""
        return True


class Disk:
    """A journal that takes everything, or nothing."""

    def __init__(self, *, works: bool) -> None:
        self._works = works
        self._seq = 0

    def write(self, _kind: Kind, _stamp: Stamp, _fields: object, told: Callable[[int | JournalTrouble], None]) -> None:
        """See Journal."""
        self._seq += 1
        asyncio.get_running_loop().call_soon(told, self._seq if self._works else JournalTrouble("disk full"))

    def note(self, *_: object) -> None:
        """See Journal."""

    def keep(self, *_: object) -> None:
        """See Journal."""


class Listed:
    """A whitelist of one, with one entry that cannot be read."""

    info = None
    trouble = ""

    def entry(self, credential: Credential) -> Entry | None:
        """See Whitelist."""
        if credential == BROKEN:
            raise WhitelistError("the list cannot be read")
        return Entry(credential, "h7Qk2") if credential == LISTED else None

    def refresh(self) -> bool:
        """See Whitelist."""
        return False

    def lapse(self, _: float) -> list[tuple[str, Credential]]:
        """See Whitelist."""
        return []


async def _a_day_at_the_gate(log: logs.FilteringBoundLogger, *, works: bool) -> None:
    keeper = Timekeeper(Clocks(), UTC, Remembered())
    disk, listed = cast("Journal", Disk(works=works)), cast("Whitelist", Listed())
    post = Post(journal=disk, keeper=keeper, whitelist=listed, policy=Policy({}), log=log)
    for rule in LANES:
        post.add(rule, None, None)
    post.condition("walk-in/0", "reader", Condition(True))
    post.condition("walk-in/0", "reader", Condition(False, "unplugged"))
    post.journal_changed(works, "" if works else "disk full")
    post.clock([ClockFact(Kind.SYSTEM, {"what": "clock-step", "before": "a", "after": "b"})])
    for lane in LANES:
        for credential in (LISTED, STRANGER, BROKEN):
            post.see(lane.name, Sighting(f"{lane.name}/0", credential, 1000.0, (BROKEN,), tid="E2003412ABCD"))
        post.pressed(lane.name)
        post.passed(lane.name)
    post.tick()
    for _ in range(5):  # what the disk has answered is handled in the loop's next turns
        await asyncio.sleep(0)
    post.stop()


@pytest.mark.parametrize("works", [True, False])
@pytest.mark.parametrize("level", ["", "debug"])
async def test_no_credential_in_full(level: str, works: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter
    """Whatever happens at the gate, logs show at most the end of a credential, and of its holder nothing."""
    log, stderr = configured(monkeypatch, level=level)
    await _a_day_at_the_gate(log, works=works)
    said = stderr.getvalue()
    assert {"device.online", "device.offline", "list.trouble"} <= {line["event"] for line in stderr.lines()}
    for credential in (LISTED, STRANGER, BROKEN):
        assert credential.partition(":")[2] not in said
        assert (masked(credential) in said) is (level == "debug")
    assert "h7Qk2" not in said
    assert "E2003412ABCD" not in said
