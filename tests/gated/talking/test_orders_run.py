"""What operators order is done, once it is written down, and answered; what holds a barrier lets it go again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
import structlog

from drivers.port import DriverError
from gated.lanes import barrier as barriers
from gated.lanes.barrier import FIRE, Barrier
from gated.lanes.lane import LATE_S
from gated.lists import listload
from gated.lists.whitelist import Whitelist
from gated.talking.line import Line
from gated.talking.mqtt import Connection, Incoming
from gated.talking.orders_run import Commands, Hands
from gated.talking.uplink import ResendError
from protocol import topics
from tests.gated.lanes.test_barrier import PULSE_S
from tests.gated.lanes.test_barrier import Contact as Moving
from tests.gated.lanes.test_recorded_before_opened import TAG, FakeJournal, Rig, settled
from tests.operatorkeys import Holder, operators, wish

TOPIC: Final = topics.command("demo", "north")
LI: Final = Holder()


class Box:
    """A post that takes commands; what it replies is in `replies`, by id."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.replies: dict[str, dict[str, Any]] = {}
        self.restarted = 0
        self.resent: list[int] = []
        line = cast("Line", self)
        hands = Hands(rig.post, rig.post._keeper, line, self.diagnose, self.restart, structlog.get_logger())
        self.commands = Commands("demo", "north", lambda: operators(LI), hands)

    session = "s1"

    def sign(self, _: str, message: bytes) -> bytes:
        """See Line."""
        return message

    def resend(self, after: int) -> int:
        """See Line."""
        if after > 9:
            raise ResendError("the gate has events 1 to 9 of this epoch")
        self.resent.append(after)
        return 9

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """See Connection."""
        reply = json.loads(payload)
        assert topic == topics.reply("demo", "north", reply["id"])
        assert not retain
        assert reply["id"] not in self.replies
        self.replies[reply["id"]] = reply

    async def diagnose(self) -> dict[str, object]:
        """Something to tell."""
        return {"versions": {"gated": "1"}}

    def restart(self) -> None:
        """End in order."""
        self.restarted += 1

    async def give(self, action: str, **changed: Any) -> None:
        """A command arrives."""
        now = datetime.fromisoformat(self.rig.stamp.at)
        times = {
            "until": self.rig.clocks.seconds + 60,
            "issued": now.isoformat(),
            "expires": (now + timedelta(seconds=60)).isoformat(),
        }
        payload = LI.envelope(wish(action, **{**times, **changed}))
        assert self.commands.hear(Incoming(TOPIC, payload, retained=False))
        await settled()

    async def written(self) -> None:
        """The disk has all of it."""
        self.rig.journal.settle()
        await settled()

    @property
    def noted(self) -> list[dict[str, Any]]:
        """What was written down that opens nothing."""
        return self.rig.journal.noted

    def contact(self, lane: str = "walk-in") -> list[bool]:
        """What that lane's contact was told."""
        return self.rig.contacts[lane].told


@asynccontextmanager
async def talking(tmp_path: Path, journal: FakeJournal | None = None) -> AsyncIterator[Box]:
    """A box that is connected."""
    source = tmp_path / "list.jsonl"
    source.write_text(json.dumps({"c": TAG, "h": "h1"}) + "\n")
    listload.load(tmp_path, source, lambda *_: None, "2026-11-25T00:00:00+08:00")
    with closing(Whitelist(tmp_path)) as held:
        box = Box(Rig(held, journal or FakeJournal()))
        async with asyncio.TaskGroup() as group:
            working = group.create_task(box.commands.work())
            answering = group.create_task(box.commands.run(cast("Connection", box)))
            try:
                yield box
            finally:
                working.cancel()
                answering.cancel()
                box.rig.post.stop()


async def test_open(tmp_path: Path) -> None:
    """The command and the opening are written down, with who and why; then the barrier gets one pulse; then a reply."""
    async with talking(tmp_path) as box:
        await box.give("open", reason="ambulance")
        (command,) = box.noted
        (opened,) = box.rig.journal.events
        assert box.contact() == []
        assert box.replies == {}
        await box.written()
        assert box.contact() == [True]
        assert box.replies["c1"] == {"id": "c1", "ok": True, "refused": "", "why": "", "details": {"seq": 1}}
        assert command["kind"] == "command"
        who = {"operator": "li-wei", "command": "c1", "reason": "ambulance", "lane": "walk-in"}
        assert {**command, **who, "action": "open"} == command
        assert {**opened, **who, "kind": "opened", "by": "command", "direction": "in"} == opened
        assert box.commands.accepted == 1


async def test_refused(tmp_path: Path) -> None:
    """Who is an operator is told why not, nobody else hears anything; all are counted, and nothing is written down."""
    async with talking(tmp_path) as box:
        await box.give("open", lane="attic")
        box.commands.hear(Incoming(TOPIC, b"{}", retained=False))
        box.commands.hear(Incoming(TOPIC, Holder().envelope(wish("open")), retained=False))
        await settled()
        assert box.replies["c1"]["refused"] == "lane"
        assert not box.replies["c1"]["ok"]
        assert len(box.replies) == 1
        assert box.commands.refused == {"lane": 1, "envelope": 1, "unknown-key": 1}
        assert box.noted == box.rig.journal.events == []
        assert not box.commands.hear(Incoming(topics.ack("demo", "north"), b"{}", retained=False))


@pytest.mark.parametrize("action", ["open", "hold"])
async def test_while_nothing_can_be_written(tmp_path: Path, action: str) -> None:
    """An entrance stays shut and the reply says why; an exit opens, and is written down later as unwritten."""
    async with talking(tmp_path, FakeJournal(broken=True)) as box:
        await box.give(action)
        assert box.contact() == []
        assert "disk is full" in box.replies["c1"]["why"]
        assert box.rig.journal.kept == []
        await box.give(action, lane="walk-out", id="c2")
        assert box.contact("walk-out") == [True]
        assert box.replies["c2"]["ok"]
        (kept,) = box.rig.journal.kept
        assert (kept["kind"], kept["lane"], kept["unwritten"]) == ("opened", "walk-out", True)


async def test_a_disk_that_takes_too_long(tmp_path: Path) -> None:
    """Whoever has ordered it has gone on: nothing opens any more, and that is written down."""
    async with talking(tmp_path) as box:
        await box.give("open")
        box.rig.clocks.seconds += LATE_S + 0.1
        await box.written()
        assert box.contact() == []
        assert not box.replies["c1"]["ok"]
        assert box.noted[-1]["what"] == "not-opened"
        assert box.noted[-1]["of"] == 1


async def test_an_exit_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens, and the reply says so, before the disk has answered; the answer then changes nothing."""
    monkeypatch.setattr("gated.lanes.openings.OVERDUE_S", 0.01)
    async with talking(tmp_path) as box:
        await box.give("open", lane="walk-out")
        async with asyncio.timeout(10):
            while not box.replies:  # noqa: ASYNC110 - a reply has no event
                await asyncio.sleep(0)
        assert box.replies["c1"]["ok"]
        assert box.contact("walk-out")[0]
        await box.written()
        assert len(box.replies) == 1


async def test_a_barrier_that_is_not_there(tmp_path: Path) -> None:
    """A contact that cannot be reached, and a lane without one: the reply says so."""
    async with talking(tmp_path) as box:

        def away(*, on: bool, owed: bool = False) -> None:
            raise DriverError(f"unplugged, so not {on}, owed {owed}")

        box.rig.contacts["walk-in"].set = away  # type: ignore[method-assign]
        for action, id_ in (("open", "c1"), ("hold", "c2")):
            await box.give(action, id=id_)
            await box.written()
            assert not box.replies[id_]["ok"]
            assert "unplugged" in box.replies[id_]["why"]
        assert box.rig.post.holds.at("walk-in") is None
        box.rig.post.stations["car-in"].barrier = None
        await box.give("open", lane="car-in", id="c3")
        assert "no barrier" in box.replies["c3"]["why"]


async def test_hold_ends_by_itself(tmp_path: Path) -> None:
    """Held, the lane records and opens nothing anew; after its time it lets go. Both ends are written down."""
    async with talking(tmp_path) as box:
        await box.give("hold", seconds=60)
        assert box.contact() == []
        await box.written()
        assert box.contact() == [True]
        (opened,) = box.rig.journal.events
        assert {**opened, "by": "held", "seconds": 60, "operator": "li-wei"} == opened
        await box.rig.see("walk-in")
        await box.written()
        assert [event["kind"] for event in box.rig.journal.events] == ["opened", "passage"]
        box.rig.clocks.seconds += 59
        box.rig.post.tick()
        assert False not in box.contact()
        box.rig.clocks.seconds += 1
        box.rig.post.tick()
        assert box.contact()[-1] is False
        ended = box.noted[-1]
        assert (ended["what"], ended["lane"], ended["of"], ended["why"]) == ("hold-ended", "walk-in", 1, "time")


async def test_release(tmp_path: Path) -> None:
    """A release ends it, with who has released it; what is not held cannot be released."""
    async with talking(tmp_path) as box:
        await box.give("release")
        assert "not held" in box.replies["c1"]["why"]
        await box.give("hold", id="c2")
        await box.written()
        await box.give("release", id="c3", reason="over")
        assert box.replies["c3"]["ok"]
        assert box.contact() == [True, False]
        ended = box.noted[-1]
        assert (ended["what"], ended["command"], ended["why"]) == ("hold-ended", "c3", "released")


async def test_held_again(tmp_path: Path) -> None:
    """Another hold of the same lane says anew how long."""
    async with talking(tmp_path) as box:
        for id_, seconds in (("c1", 60), ("c2", 600)):
            await box.give("hold", id=id_, seconds=seconds)
            await box.written()
        box.rig.clocks.seconds += 61
        box.rig.post.tick()
        assert False not in box.contact()
        box.rig.clocks.seconds += 600
        box.rig.post.tick()
        assert box.contact()[-1] is False


async def test_it_ends_with_the_daemon(tmp_path: Path) -> None:
    """No hold outlives a restart, and that is written down."""
    async with talking(tmp_path) as box:
        await box.give("hold")
        await box.written()
        box.rig.post.stop()
        assert box.contact() == [True, False]
        assert box.noted[-1]["why"] == "stop"


async def test_what_fire_holds_stays_open(tmp_path: Path) -> None:
    """Neither a release nor the end of a hold, nor the end of the daemon, lets go of it; the reply says so."""
    async with talking(tmp_path) as box:
        barrier = box.rig.post.stations["walk-in"].barrier
        assert barrier is not None
        await box.give("hold")
        await box.written()
        barrier.hold(FIRE)
        await box.give("release", id="c2")
        assert "fire" in box.replies["c2"]["why"]
        await box.give("hold", id="c3", seconds=1)
        await box.written()
        box.rig.clocks.seconds += 2
        box.rig.post.tick()
        await box.give("open", id="c4")
        await box.written()
        box.rig.post.stop()
        assert False not in box.contact()


async def test_resend(tmp_path: Path) -> None:
    """The uplink is asked; what it cannot do is told."""
    async with talking(tmp_path) as box:
        await box.give("resend", after=3)
        assert box.replies["c1"]["details"] == {"first": 4, "last": 9}
        assert box.resent == [3]
        await box.give("resend", after=10, id="c2")
        assert not box.replies["c2"]["ok"]


async def test_diagnostics_and_restart(tmp_path: Path) -> None:
    """A bundle in the reply; a restart once its reply is out."""
    async with talking(tmp_path) as box:
        await box.give("diagnostics")
        await settled()
        assert box.replies["c1"]["details"] == {"versions": {"gated": "1"}}
        await box.give("restart", id="c2")
        await settled()
        assert box.replies["c2"]["ok"]
        assert box.restarted == 1
        assert [event["action"] for event in box.noted] == ["diagnostics", "restart"]


async def test_a_turnstile_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each opening is a new pulse all the same, one after the other: nobody is shut in by a hold."""
    monkeypatch.setattr(barriers, "TURNSTILE_PAUSE_S", 0.01)
    contact = Moving()
    turnstile = Barrier(contact, PULSE_S, turnstile=True)
    turnstile.hold("command")
    assert contact.moves == [True]
    turnstile.open()
    turnstile.open()
    turnstile.keep()
    await contact.until(5)
    assert contact.moves == [True, False, True, False, True]
    turnstile.hold(FIRE)
    moves = len(contact.moves)
    turnstile.open()
    assert all(contact.moves[moves:])
    turnstile.let_go(FIRE)
    assert contact.moves[-1] is True
    turnstile.let_go("command")
    assert contact.moves[-1] is False
    turnstile.let_go("command")
    assert contact.moves[-1] is False


async def test_a_hold_during_a_pulse() -> None:
    """The pulse's end does not end it, and pulses after it are pulses again."""
    contact = Moving()
    held = Barrier(contact, PULSE_S)
    held.open()
    held.hold("command")
    await asyncio.sleep(2 * PULSE_S)
    assert False not in contact.moves
    held.let_go("command")
    held.open()
    await contact.until(5)
    assert contact.moves[-3:] == [False, True, False]


async def test_a_relay_that_forgets() -> None:
    """A contact that is held is told so again, also after it was away."""
    contact = Moving()
    held = Barrier(contact, PULSE_S)
    held.hold("command")
    contact.there = False
    held.keep()
    contact.there = True
    held.keep()
    assert contact.moves == [True, True]
    held.let_go("command")
    held.keep()
    assert contact.moves == [True, True, False]
