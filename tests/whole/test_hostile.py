"""Somebody with full rights on the broker: can delay and drop what passes between gate and center, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiomqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.records import reading
from center.records.store import Store
from gated.talking.keys import load
from protocol import topics
from protocol.message import Ack
from protocol.signature import signed
from tests.community import SITE, Community, journal_hashes, on_board
from tests.gatepost import Gatepost

ACK = topics.ack(SITE, "north")


class Intruder:
    """Hears and says everything on the broker."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.heard: list[tuple[str, bytes]] = []

    async def listen(self) -> None:
        """Keep what passes."""
        async for message in self._client.messages:
            self.heard.append((message.topic.value, bytes(message.payload)))

    async def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish whatever."""
        await self._client.publish(topic, payload, qos=1, retain=retain)


@asynccontextmanager
async def intruding(community: Community) -> AsyncIterator[Intruder]:
    """An intruder on the community's broker."""
    async with aiomqtt.Client("127.0.0.1", community.broker.port) as client:
        await client.subscribe("#", qos=1)
        intruder = Intruder(client)
        listening = asyncio.create_task(intruder.listen())
        try:
            yield intruder
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


async def passed(community: Community, post: Gatepost, tag: str) -> None:
    """Somebody passes, and the center has it."""
    before = len(post.events())
    post.walk_in(tag)
    await community.until(lambda: len(post.events()) > before, "the passage is recorded")
    await community.agreed()


async def test_false_answers(tmp_path: Path) -> None:
    """Acknowledgements and wishes that the center has not signed for this gate change nothing at the gate."""
    async with Community(tmp_path) as community, intruding(community) as intruder:
        post = community.posts["north"]
        await community.start_center()
        await post.start()
        await passed(community, post, "0A00000001")
        epoch = str((await post.status())["journal"]["epoch"])
        await community.kill_center()
        post.walk_in("0A00000002")
        await community.until(lambda: _untold(post, 1), "there is something to tell")
        head = len(journal_hashes(post.journal))
        own, seq = journal_hashes(post.journal)[-1].hex(), head
        someone = Ed25519PrivateKey.generate()
        sister = topics.ack("sister", "north")
        false = [
            Ack(epoch=epoch, seq=seq, hash=own, want=False),
            Ack(epoch=epoch, seq=0, hash="00" * 32, want=True),
            Ack(epoch=epoch, seq=seq + 9, hash="ab" * 32, want=False),
        ]
        for ack in false:
            for payload in (
                ack.to_bytes(),
                signed(ACK, ack.to_bytes(), someone),
                signed(sister, ack.to_bytes(), community.key),
                signed(topics.ack(SITE, "south"), ack.to_bytes(), community.key),
                signed(ACK, ack.to_bytes(), community.key)[:-9] + b'AAAAAA=="',
            ):
                await intruder.say(ACK, payload, retain=True)
        post.walk_in("0A00000003")
        await community.until(lambda: len(journal_hashes(post.journal)) > head, "the gate goes on")
        state = await post.status()
        assert state["journal"]["epoch"] == epoch
        assert state["journal"]["acked"] < seq
        await community.start_center()
        await community.agreed()


async def test_replayed_batches_and_answers(tmp_path: Path) -> None:
    """Everything that was ever said, said again in any order: nothing is there twice, nothing is forgotten."""
    async with Community(tmp_path) as community, intruding(community) as intruder:
        post = community.posts["north"]
        await community.start_center()
        await post.start()
        for number in range(3):
            await passed(community, post, f"0A0000000{number}")
        before = list(intruder.heard)
        for topic, payload in [*reversed(before), *before]:
            if topic.endswith(("/events", "/ack")):
                await intruder.say(topic, payload)
        await passed(community, post, "0A000000FF")
        state = await post.status()
        assert len({event["seq"] for event in post.events()}) == len(post.events())
        assert state["center"]["rivals"] == []
        await community.until(lambda: _untold(post, 0), "nothing is left to tell")


async def test_what_a_replaced_disk_has_said(tmp_path: Path) -> None:
    """All of it said again, with the answers to it: neither gate nor center takes it for a second box."""
    async with Community(tmp_path) as community, intruding(community) as intruder:
        post = community.posts["north"]
        await community.start_center()
        await post.start()
        await passed(community, post, "0A00000001")
        await post.stop()
        for left in post.state.glob("journal*"):
            left.unlink()
        old = [one for one in intruder.heard if one[0].startswith(f"gated/1/{SITE}/gates/north/")]
        post.program = on_board("serial:second")
        await post.start()
        await passed(community, post, "0A00000002")
        for tag in ("0A000000FE", "0A000000FF"):
            for topic, payload in old:
                await intruder.say(topic, payload)
            await passed(community, post, tag)
        await community.until(lambda: _untold(post, 0), "nothing is left to tell")
        assert (await post.status())["center"]["rivals"] == []
        assert [event["what"] for event in post.events() if event["kind"] == "alarm"] == []
        with closing(Store.open(community.database, SITE, read_only=True)) as store:
            assert "rivals" not in _alarms(store)


async def test_forged_batches(tmp_path: Path) -> None:
    """Batches by another key, for another gate, or with a changed line: not stored, not answered."""
    async with Community(tmp_path, names=("north", "south")) as community, intruding(community) as intruder:
        post = community.posts["north"]
        await community.start_center()
        for each in community.posts.values():
            await each.start()
        await passed(community, post, "0A00000001")
        mine = [payload for topic, payload in intruder.heard if topic == topics.events(SITE, "north")]
        held = community.held("north"), community.held("south")
        south = load(community.posts["south"].state, site=SITE, gate="south").sign
        for payload in mine:
            head, _, lines = payload.partition(b"\n")
            changed = head + b"\n" + lines.replace(b'"seq":1', b'"seq":9', 1)
            bare = json.loads(head)
            del bare["sig"]
            stolen = json.dumps(bare, separators=(",", ":")).encode() + b"\n" + lines
            topic = topics.events(SITE, "north")
            for forged in (changed, signed(topic, stolen, south), stolen, b"{}", b"", b"\n\n"):
                await intruder.say(topic, forged)
            await intruder.say(topics.events(SITE, "south"), payload)
        await passed(community, post, "0A00000002")
        assert community.held("north")[: len(held[0])] == held[0]
        assert set(community.held("north")) == set(journal_hashes(post.journal))
        assert community.held("south") == held[1]
        with closing(Store.open(community.database, SITE, read_only=True)) as store:
            assert "apart" not in _alarms(store)


async def test_false_statuses(tmp_path: Path) -> None:
    """A gate is not made to look gone, nor another, by who cannot sign for it."""
    async with Community(tmp_path) as community, intruding(community) as intruder:
        post = community.posts["north"]
        await community.start_center()
        await post.start()
        await passed(community, post, "0A00000001")
        topic = topics.status(SITE, "north")
        statuses = [payload for at, payload in intruder.heard if at == topic]
        someone = Ed25519PrivateKey.generate()
        session = (await post.status())["center"]["session"]
        gone = json.dumps({"state": "offline", "session": session, "connection": 1}).encode()
        for payload in (gone, signed(topic, gone, someone), signed(topics.status("sister", "north"), gone, someone)):
            await intruder.say(topic, payload, retain=True)
        for payload in statuses:
            await intruder.say(topic, payload)
        await passed(community, post, "0A00000002")
        with closing(Store.open(community.database, SITE, read_only=True)) as store:
            assert _online(store) == [True]


async def _untold(post: Gatepost, least: int) -> bool:
    backlog = (await post.status())["center"]["backlog"]
    return bool(backlog >= least if least else backlog == 0)


def _alarms(store: Store) -> list[str]:
    with store.reading() as connection:
        return [str(alarm.kind) for alarm in reading.alarms(connection)]


def _online(store: Store) -> list[bool]:
    with store.reading() as connection:
        return [bool(gate.online) for gate in reading.gates(connection)]
