"""The gate is taught: signed lists over a real broker, in force between two decisions, or refused whole."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from protocol import topics
from protocol.credential import Credential
from tests.community import SITE
from tests.gatepost import Event, Gatepost
from tests.signers import Center, line
from tests.taught import CHEN, LI, WANG, in_force, taught


async def passage(post: Gatepost, tag: int) -> Event:
    """Somebody comes to walk-in; what the gate makes of them."""
    before = len(post.passages("walk-in"))
    post.walk_in(f"{tag:010X}")
    await post.until(lambda: len(post.passages("walk-in")) > before, "the passage is recorded")
    return post.passages("walk-in")[-1]


async def test_a_list_is_flashed(tmp_path: Path) -> None:
    """Signed, published, in force at each gate: who is on it is admitted; a delta follows; a suspension takes out."""
    async with taught(tmp_path, "north", "south") as (community, center, publisher):
        for post in community.posts.values():
            assert (await passage(post, LI))["verdict"] == "admit"
            assert (await passage(post, CHEN))["reason"] == "unknown"
        center.publish([line(LI), line(WANG)])
        await publisher.publish(center)
        await in_force(community, "2")
        center.repository.suspend(Credential(f"em:{WANG:010X}"), center.now)
        await publisher.publish(center)
        for post in community.posts.values():
            await community.until(partial(_suspended, post), "the suspension is in force")
            assert (await passage(post, WANG))["reason"] == "suspended"


async def test_after_a_restart_and_without_a_broker(tmp_path: Path) -> None:
    """The list in force outlives both."""
    async with taught(tmp_path, "north") as (community, _, _):
        (post,) = community.posts.values()
        community.broker.kill()
        await post.kill()
        await post.start()
        assert (await post.status())["list"]["version"] == "1"
        assert (await passage(post, LI))["verdict"] == "admit"
        community.broker.start()


async def test_what_is_not_signed_changes_nothing(tmp_path: Path) -> None:
    """Garbage, somebody else's repository, an older message, blobs that are others: refused, named, the list stays."""
    async with taught(tmp_path, "north") as (community, center, publisher):
        (post,) = community.posts.values()
        older = center.message
        center.publish([line(LI), line(WANG)])
        await publisher.publish(center)
        await in_force(community, "2")
        somebody = Center(now=datetime.now(UTC), site=SITE)
        somebody.publish([line(0x0A000000FF)])
        repository = topics.repository(SITE)
        for message in (b"", b"{}", b"\xff" * 1000, older, somebody.message):
            await publisher.retain(repository, message)
        await publisher.publish(somebody)
        await community.until(lambda: bool(post.said("flash.trouble")), "the trouble is named in the log")
        assert (await post.status())["list"]["version"] == "2"
        assert (await passage(post, 0x0A000000FF))["reason"] == "unknown"
        assert (await passage(post, LI))["verdict"] == "admit"
        assert [event["what"] for event in post.events() if event["kind"] == "alarm"].count("flash-trouble") >= 1
        center.publish([line(LI)], shrinks=True)
        await publisher.publish(center)
        await in_force(community, "3")


async def test_pieces_that_are_others(tmp_path: Path) -> None:
    """A piece of the right length and other content is found out; the right one then counts."""
    async with taught(tmp_path, "north") as (community, center, publisher):
        (post,) = community.posts.values()
        center.publish([line(LI), line(WANG)])
        publications = center.repository.publications()
        for topic, payload in publications.retain:
            await publisher.retain(topic, bytes(len(payload)) if "/blob/" in topic else payload)
        await community.until(lambda: bool(post.said("flash.trouble")), "the trouble is named in the log")
        assert (await post.status())["list"]["version"] == "1"
        await publisher.publish(center)
        await in_force(community, "2")


async def _suspended(post: Gatepost) -> bool:
    return bool((await post.status())["list"]["suspensions"])
