"""A gate's connection for tests of the center: it publishes what a fake gate sends, and hears the center's answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from center.broker import Account, BrokerAwayError, Link, connected
from protocol import topics
from protocol.message import Ack
from protocol.signature import verified
from tests.broker import Mosquitto
from tests.chain import SITE, FakeGate

WAIT_S = 30.0
"""How long a condition may take on a machine that has other things to do; no measure of anything."""


class Ear:
    """A gate's connection: publishes what it sends, and hears the center's answers as that gate would."""

    def __init__(self, link: Link, fake: FakeGate, center: Ed25519PublicKey) -> None:
        self.link = link
        self.fake = fake
        self.center = center
        self.heard: list[Ack] = []
        self.times: list[float] = []
        self.news = asyncio.Event()

    async def listen(self) -> None:
        """Take answers, which must be the center's."""
        async for message in self.link.messages():
            bare = verified(message.topic, message.payload, [self.center])
            assert bare is not None
            self.heard.append(Ack.from_bytes(bare))
            self.times.append(time.monotonic())
            self.link.done(message)
            self.news.set()

    async def send(self, *payloads: bytes) -> None:
        """Publish batches, by default all that the gate has."""
        for payload in payloads or (self.fake.batch(),):
            await self.link.publish(self.fake.topic, payload)

    async def say(self, payload: bytes) -> None:
        """Publish a status."""
        await self.link.publish(topics.status(SITE, self.fake.name), payload, retain=True)

    async def answer(self, seq: int, *, want: bool = False) -> Ack:
        """Wait for the answer with this head."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for ack in self.heard:
                    if (ack.seq, ack.want) == (seq, want):
                        return ack
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def ear(broker: Mosquitto, fake: FakeGate, center: Ed25519PublicKey) -> AsyncIterator[Ear]:
    """A gate at the broker."""
    async with connected(Account(broker.url), [topics.ack(SITE, fake.name)]) as link:
        mine = Ear(link, fake, center)
        listening = asyncio.create_task(mine.listen())
        try:
            yield mine
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError, BrokerAwayError):
                await listening
