"""Operators' commands: from `gatectl` over a real broker to a real relay, and what a stranger makes of them."""

import asyncio
import json
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from center.broker import Account
from center.gatectl.site import first_root
from center.orders import Gate, GateSilentError, Wish, give
from center.site import keys as keyfiles
from center.site.make import Plan, make
from gated.app import RESTART_STATUS
from gated.demo.post import CHANNELS
from gated.lists import trust_folder
from gated.talking import keys
from protocol import topics
from protocol.message import MESSAGE_MAX_BYTES, Reply
from protocol.operators import DOCUMENT
from tests.community import SITE, WAIT_S, Community
from tests.faults.test_fire import Contact
from tests.gatepost import Event
from tests.operatorkeys import Holder, document
from tests.taught import taught
from tests.whole.test_hostile import intruding

LI: Final = Holder()
WANG: Final = Holder("wang-fang", ("open",), ("walk-in",))
CARD: Final = "0A00A1B2C3"
COMMAND: Final = topics.command(SITE, "north")
ANSWER_S: Final = 0.3


class Desk:
    """An operator's desk."""

    def __init__(self, community: Community) -> None:
        self.community = community
        self.post = community.posts["north"]

    @property
    def gate(self) -> Gate:
        """The gate, with the key that it has."""
        held = keys.load(self.post.state, site=SITE, gate="north")
        return Gate(SITE, "north", [held.sign.public_key()])

    async def give(self, wish: Wish, by: Holder = LI, wait_s: float = 20.0) -> Reply:
        """Give a command."""
        account = Account(self.community.broker.url)
        return await give(account, self.gate, wish, by.key, wait_s=wait_s, now=lambda: datetime.now(UTC))

    def closed(self, lane: str = "walk-in") -> bool:
        """Whether the lane's contact is closed now."""
        changes = [on for _, channel, on in tuple(self.post.board.changes) if channel == CHANNELS[lane]]
        return bool(changes) and changes[-1]

    def events(self, kind: str) -> list[Event]:
        """The gate's events of a kind."""
        return [event for event in self.post.events() if event["kind"] == kind]

    async def online(self) -> bool:
        """Whether the gate has its subscriptions at the broker."""
        return bool((await self.post.status())["center"]["online"])

    async def until(self, predicate: Callable[[], object], what: str) -> None:
        """Return when it holds."""
        await self.post.until(predicate, what)


@asynccontextmanager
async def desk(
    folder: Path, *, center: bool = False, configure: Callable[[str], str] | None = None
) -> AsyncIterator[Desk]:
    """A community whose gate takes commands of two operators; its configuration may be changed, by one device more."""
    async with Community(folder) as community:
        post = community.posts["north"]
        if configure is not None:
            post.devices.config.write_text(configure(post.devices.config.read_text()))
            post.further = 1
        with trust_folder.changing(post.state) as changing:
            trust_folder.put_document(changing, DOCUMENT, document(LI, WANG))
        if center:
            await community.start_center()
        await post.start()
        yield Desk(community)


async def test_open(tmp_path: Path) -> None:
    """Recorded, opened, answered, and known to the center: who, why, and by which command."""
    async with desk(tmp_path, center=True) as at:
        reply = await at.give(Wish("open", "walk-in", reason="救护车"), WANG)
        assert reply.ok
        await at.post.pulses("walk-in", 1)
        (command,), (opened,) = at.events("command"), at.events("opened")
        assert opened["seq"] == reply.details["seq"] == command["seq"] + 1
        who = {"operator": "wang-fang", "command": reply.id, "reason": "救护车"}
        assert {**opened, **who, "by": "command", "lane": "walk-in"} == opened
        assert {**command, **who, "action": "open", "lane": "walk-in"} == command
        refused = await at.give(Wish("open", "car-in"), WANG)
        assert (refused.ok, refused.refused) == (False, "not-allowed")
        state = (await at.post.status())["center"]["commands"]
        assert state == {"accepted": 1, "refused": {"not-allowed": 1}}
        await at.community.agreed()


async def test_soon(tmp_path: Path) -> None:
    """On an idle link an operator hears within 300 ms, connection and status included."""
    async with desk(tmp_path) as at:
        await at.give(Wish("open", "walk-in"))
        took = []
        for _ in range(7):
            began = time.monotonic()
            assert (await at.give(Wish("open", "walk-in"))).ok
            took.append(time.monotonic() - began)
        assert statistics.median(took) < ANSWER_S, took


async def test_hold_and_restart(tmp_path: Path) -> None:
    """A hold ends with the daemon, which a restart ends in order; the next life knows nothing of it."""
    async with desk(tmp_path) as at:
        assert (await at.give(Wish("hold", "walk-in", seconds=600))).ok
        await at.until(at.closed, "the barrier is held")
        lane = (await at.post.status())["lanes"]["walk-in"]
        assert lane["arm"] == "up"
        assert lane["hold"]["by"] == "li-wei"
        at.post.walk_in(CARD)
        await at.until(lambda: at.post.passages("walk-in"), "the lane goes on recording")
        process = at.post.process
        assert process is not None
        assert (await at.give(Wish("restart", reason="update"))).ok
        assert await process.wait() == RESTART_STATUS
        at.post.process = None
        await at.until(lambda: not at.closed(), "the barrier is let go")
        ends = [event for event in at.events("system") if event["what"] in {"hold-ended", "stop"}]
        assert [(event["what"], event.get("why")) for event in ends] == [("hold-ended", "stop"), ("stop", None)]
        assert at.events("command")[-1]["action"] == "restart"
        await at.post.start()
        assert (await at.post.status())["lanes"]["walk-in"]["hold"] is None
        assert not at.closed()


async def test_hold_ends_by_itself_without_the_center(tmp_path: Path) -> None:
    """The broker is gone before its time is over; the barrier closes all the same."""
    async with desk(tmp_path) as at:
        assert (await at.give(Wish("hold", "walk-in", seconds=2))).ok
        await at.until(at.closed, "the barrier is held")
        at.community.broker.kill()
        await at.until(lambda: not at.closed(), "the barrier closes")
        await at.until(lambda: at.events("system")[-1]["what"] == "hold-ended", "its end is recorded")


async def test_killed_while_holding(tmp_path: Path) -> None:
    """Kill -9 leaves the contact closed; the next start opens it first of all."""
    async with desk(tmp_path) as at:
        assert (await at.give(Wish("hold", "walk-in", seconds=600))).ok
        await at.post.kill()
        await at.until(at.closed, "the barrier is held")
        await at.post.start()
        await at.until(lambda: not at.closed(), "the barrier closes")


async def test_release(tmp_path: Path) -> None:
    """Released before its time; a second release has nothing to do."""
    async with desk(tmp_path) as at:
        await at.give(Wish("hold", "walk-in", seconds=600))
        assert (await at.give(Wish("release", "walk-in"))).ok
        await at.until(lambda: not at.closed(), "the barrier is let go")
        assert not (await at.give(Wish("release", "walk-in"))).ok


async def test_fire_while_a_lane_is_held(tmp_path: Path) -> None:
    """No release ends what fire holds; a hold that fire came over is still there after it. The center is told of it."""
    contact = Contact(tmp_path)
    async with contact.host, desk(tmp_path, configure=contact.configured) as at, intruding(at.community) as intruder:
        assert (await at.give(Wish("hold", "walk-in", seconds=600))).ok
        assert (await at.give(Wish("hold", "car-in", seconds=600))).ok
        contact.open()
        await at.until(lambda: all(map(at.closed, CHANNELS)), "all barriers are open")
        await at.until(lambda: b'"fire":"open"' in b"".join(said for _, said in intruder.heard), "the center is told")
        reply = await at.give(Wish("release", "car-in"))
        assert (reply.ok, reply.why) == (False, "the fire alarm still holds it open")
        assert all(map(at.closed, CHANNELS))
        contact.close()
        await at.until(lambda: not any(map(at.closed, ("walk-out", "car-in", "car-out"))), "the others are let go")
        assert at.closed("walk-in")
        assert (await at.give(Wish("release", "walk-in"))).ok
        await at.until(lambda: not at.closed(), "it is let go")
        assert at.post.pulsed("walk-in") == 1


async def test_what_a_stranger_makes_of_it(tmp_path: Path) -> None:
    """With all rights at the broker: the same command again, retained, after a restart, on another gate's topic."""
    async with desk(tmp_path) as at, intruding(at.community) as intruder:
        assert (await at.give(Wish("open", "walk-in"))).ok
        await at.until(lambda: any(topic == COMMAND for topic, _ in intruder.heard), "the stranger has it")
        kept = next(payload for topic, payload in intruder.heard if topic == COMMAND)
        for _ in range(50):
            await intruder.say(COMMAND, kept)
        await intruder.say(COMMAND, kept, retain=True)
        await intruder.say(COMMAND, Holder("li-wei").envelope({"action": "open"}))
        assert (await at.give(Wish("open", "walk-in"))).ok
        assert len(at.events("opened")) == 2
        refused = (await at.post.status())["center"]["commands"]["refused"]
        assert refused == {"replayed": 51, "unknown-key": 1}
        assert len(at.post.said("command.refused")) == 2
        await at.post.stop()
        await at.post.start()
        await at.until(at.online, "the gate listens")
        for _ in range(3):
            await intruder.say(COMMAND, kept)
        assert (await at.give(Wish("open", "walk-in"))).ok
        assert len(at.events("opened")) == 3
        refused = (await at.post.status())["center"]["commands"]["refused"]
        assert refused == {"retained": 1, "session": 3}


async def test_resend(tmp_path: Path) -> None:
    """The center gets all of it again, and has each once."""
    async with desk(tmp_path, center=True) as at, intruding(at.community) as intruder:
        for number in range(5):
            at.post.walk_in(f"0A{number:08X}")
            await at.until(lambda number=number: len(at.post.passages("walk-in")) > number, "it passes")  # type: ignore[misc]
        await at.community.agreed()
        intruder.heard.clear()
        reply = await at.give(Wish("resend", after=0))
        assert reply.ok
        events = topics.events(SITE, "north")

        def again() -> bool:
            batches = [payload.partition(b"\n")[0] for topic, payload in intruder.heard if topic == events]
            return any(json.loads(header)["first"] == 1 and json.loads(header)["count"] for header in batches)

        await at.until(again, "it is sent again")
        await at.community.agreed()
        assert not (await at.give(Wish("resend", after=100_000))).ok


async def test_diagnostics(tmp_path: Path) -> None:
    """What a helper needs, in one message; no credential, no secret, nobody's name."""
    async with desk(tmp_path) as at:
        at.post.walk_in(CARD)
        await at.until(lambda: at.post.passages("walk-in"), "somebody passes")
        await at.give(Wish("open", "walk-in"), WANG)
        await at.give(Wish("open", "car-in"), WANG)
        await at.give(Wish("hold", "walk-in", seconds=600))
        reply = await at.give(Wish("diagnostics"), wait_s=60)
        assert reply.ok
        bundle: dict[str, Any] = reply.details
        text = json.dumps(bundle, ensure_ascii=False)
        assert len(reply.to_bytes()) < MESSAGE_MAX_BYTES
        for secret in (CARD, "wang-fang", "li-wei", "password", "unused"):
            assert secret not in text
        assert bundle["versions"]["gated"]
        assert bundle["state"]["journal"]["ok"]
        assert bundle["state"]["devices"]["walk-in/0"]["online"]
        assert bundle["config"]["lanes"]["walk-in"]["devices"]["readers[0]"]["driver"] == "em4100"
        assert any(line["event"] == "gate.started" for line in bundle["log"])
        assert {finding["about"] for finding in bundle["findings"]} >= {"daemon", "journal", "center", "memory"}


async def test_nobody_there(tmp_path: Path) -> None:
    """A gate that is offline, one that never was, a key that is not the gate's: no answer, and soon."""
    async with desk(tmp_path) as at:
        gate = at.gate
        account = Account(at.community.broker.url)
        other = Gate(SITE, "north", [LI.key.public_key()])
        for nobody in (other, Gate(SITE, "attic", gate.keys)):
            with pytest.raises(GateSilentError):
                await give(account, nobody, Wish("open", "walk-in"), LI.key, wait_s=1, now=lambda: datetime.now(UTC))
        await at.post.kill()
        with pytest.raises(GateSilentError):
            await at.give(Wish("open", "walk-in"), wait_s=1)
        assert at.events("opened") == []


async def test_operators_are_those_that_were_signed_for(tmp_path: Path) -> None:
    """Flashed like a list: from then on their commands are taken, and no more when they are taken out; no restart."""
    async with taught(tmp_path, "north") as (community, center, publisher):
        at = Desk(community)

        async def taken(by: Holder) -> bool:
            try:
                return (await at.give(Wish("open", "walk-in"), by, wait_s=1)).ok
            except GateSilentError:
                return False

        assert not await taken(LI)
        center.publish(None, documents={DOCUMENT: document(LI)})
        await publisher.publish(center)
        await community.until(lambda: taken(LI), "the gate takes commands")
        center.publish(None, documents={DOCUMENT: document(WANG)})
        await publisher.publish(center)
        await community.until(lambda: taken(WANG), "the gate takes another's commands")
        assert not await taken(LI)
        assert {event["operator"] for event in at.events("opened")} == {"li-wei", "wang-fang"}


async def gatectl(folder: Path, *words: str) -> tuple[int, str]:
    """The real command; its exit status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "center.gatectl", "-s", str(folder), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_gatectl(tmp_path: Path) -> None:
    """Status 0 when it is done, 1 with the reason when it is not, 3 without an answer."""
    async with desk(tmp_path, center=True) as at:
        said = ("a passphrase",)
        plan = Plan(SITE, at.community.broker.url, 1, said, said * 3, database=at.community.database)
        site = make(tmp_path / "site", plan, datetime.now(UTC), first_root)
        key, file = tmp_path / "li.pem", tmp_path / "passphrase"
        file.write_text("a passphrase\n")
        keyfiles.write(key, LI.key, "a passphrase")
        await at.community.agreed()
        common = ("--key", str(key), "--passphrase-file", str(file), "--json")
        status, printed = await gatectl(site.folder, "open", "north", "walk-in", "--reason", "test", *common)
        assert (status, json.loads(printed)["ok"]) == (0, True), printed
        assert at.events("opened")[-1]["reason"] == "test"
        status, printed = await gatectl(site.folder, "open", "north", "attic", *common)
        assert (status, json.loads(printed)["refused"]) == (1, "lane"), printed
        status, printed = await gatectl(site.folder, "hold", "north", "walk-in", "--minutes", "121", *common[:-1])
        assert status == 1
        assert "7200 s" in printed
        status, printed = await gatectl(site.folder, "open", "attic", "walk-in", *common)
        assert status == 1
        assert "north" in printed
        async with asyncio.timeout(WAIT_S):
            while True:
                status, printed = await gatectl(site.folder, "status", "--json")
                (told,) = json.loads(printed)
                assert (status, told["state"], told["mode"], told["offline"]) == (0, "online", "automatic", []), printed
                if told["refused"] == {"lane": 1, "too-long": 1}:
                    break
        await at.post.stop()
        status, printed = await gatectl(site.folder, "open", "north", "walk-in", "--wait", "1", *common)
        assert status == 3, printed
        status, printed = await gatectl(site.folder, "status")
        assert (status, "offline" in printed) == (1, True), printed


async def test_watch(tmp_path: Path) -> None:
    """A line when a gate comes, and one when it goes, as soon as it does; also through a broker's restart."""
    async with desk(tmp_path, center=True) as at:
        said = ("a passphrase",)
        plan = Plan(SITE, at.community.broker.url, 1, said, said * 3, database=at.community.database)
        site = make(tmp_path / "site", plan, datetime.now(UTC), first_root)
        await at.community.agreed()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "center.gatectl", "-s", str(site.folder), "watch", "--json"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(WAIT_S):
                assert json.loads(await process.stdout.readline())["state"] == "online"
                await at.post.kill()
                assert json.loads(await process.stdout.readline())["state"] == "offline"
                at.community.broker.kill()
                at.community.broker.start()
                await at.post.start()
                assert json.loads(await process.stdout.readline())["state"] == "online"
        finally:
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
