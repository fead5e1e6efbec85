"""A community whose gates are taught their list by a real repository, over a real broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt

from tests.community import SITE, Community
from tests.signers import Center, line

LI = 0x0A00000001
WANG = 0x0A00000002
CHEN = 0x0A00000003


class Publisher:
    """Publishes whatever, as the center or as somebody with its rights."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def publish(self, center: Center) -> None:
        """What the broker is to hold of this repository."""
        publications = center.repository.publications()
        for topic, payload in publications.retain:
            await self.retain(topic, payload)
        for topic in publications.clear:
            await self.retain(topic, b"")
        center.repository.published(publications)

    async def retain(self, topic: str, payload: bytes) -> None:
        """One retained message."""
        await self._client.publish(topic, payload, qos=1, retain=True)


@asynccontextmanager
async def publishing(community: Community) -> AsyncIterator[Publisher]:
    """A connection to the community's broker."""
    async with aiomqtt.Client("127.0.0.1", community.broker.port) as client:
        yield Publisher(client)


@asynccontextmanager
async def taught(folder: Path, *names: str) -> AsyncIterator[tuple[Community, Center, Publisher]]:
    """A community whose gates hold a first list with LI on it."""
    center = Center(now=datetime.now(UTC), site=SITE)
    community = Community(folder, names=())
    community.root = center.root
    async with community, publishing(community) as publisher:
        for name in names:
            await community.add(name)
        center.publish([line(LI)])
        await publisher.publish(center)
        for post in community.posts.values():
            await post.start()
        await in_force(community, "1")
        yield community, center, publisher


async def in_force(community: Community, version: str) -> None:
    """Return when that list is in force at every gate."""

    async def everywhere() -> bool:
        lists = [(await post.status())["list"] for post in community.posts.values()]
        return all(held and held["version"] == version for held in lists)

    await community.until(everywhere, f"list {version} is in force everywhere")
