"""Somebody with every right at the broker: hears all that is said there, and may say anything.

What the view shows of the center comes from here, from the center's own signed word to each gate; so does what an
intruder needs. The gates' and the center's own accounts are not used.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, TypeVar

import aiomqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gated.demo.broker import HOST
from protocol import topics
from protocol.message import Ack, Message, MessageError, WhitelistStatus
from protocol.signature import verified
from protocol.topics import GateAddress

NAME: Final = "intruder"
RATE_S: Final = 10.0
_AGAIN_S: Final = 0.2
_Said = TypeVar("_Said", bound=Message)


class Ear:
    """One listener. `center` are the keys whose word counts as the center's."""

    def __init__(self, site: str, port: int, password: str) -> None:
        self.center: Sequence[Ed25519PublicKey] = ()
        self.acks: dict[str, Ack] = {}
        """The center's latest word to each gate."""
        self.acked_at: dict[str, float] = {}
        """When that came, in monotonic seconds."""
        self.batches: dict[str, bytes] = {}
        """The first batch with events that each gate has sent."""
        self.flashes: dict[str, WhitelistStatus] = {}
        """What each gate last said of its list; not looked at whether it is signed."""
        self.refusals: dict[str, str] = {}
        """Why each gate last refused one."""
        self.repository = b""
        """The latest message of the whitelist repository, whoever said it."""
        self._site = site
        self._port = port
        self.password = password
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._totals: deque[tuple[float, int]] = deque()

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(HOST, self._port, username=NAME, password=self.password) as client:
                    await client.subscribe("#", qos=1)
                    self._client = client
                    self._connected.set()
                    async for message in client.messages:
                        self._hear(message.topic.value, bytes(message.payload))
            self._connected.clear()
            await asyncio.sleep(_AGAIN_S)

    async def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say something; returns when the broker has it."""
        await self._connected.wait()
        if self._client is not None:
            await self._client.publish(topic, payload, qos=1, retain=retain)

    @property
    def held(self) -> int:
        """How many events the center says that it holds; each gate's first event is number 1 here."""
        return sum(ack.seq for ack in self.acks.values())

    @property
    def rate(self) -> float:
        """How many of them came each second, over the last ten."""
        now, held = time.monotonic(), self.held
        self._totals.append((now, held))
        while self._totals[0][0] < now - RATE_S:
            self._totals.popleft()
        since, before = self._totals[0]
        return max(0.0, (held - before) / max(now - since, 1.0))

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic == topics.repository(self._site):
            self.repository = payload
        address = topics.parse(topic)
        if not isinstance(address, GateAddress):
            return
        gate = address.gate
        match address.leaf:
            case "ack" if (word := verified(topic, payload, self.center)) is not None:
                if (ack := _read(Ack, word)) is not None:
                    self.acks[gate] = ack
                    self.acked_at[gate] = time.monotonic()
            case "events" if payload.count(b"\n") > 1:
                self.batches.setdefault(gate, payload)
            case "whitelist" if (status := _read(WhitelistStatus, payload)) is not None:
                self.flashes[gate] = status
                if status.state == "refused":
                    self.refusals[gate] = status.why


def _read(kind: type[_Said], payload: bytes) -> _Said | None:
    try:
        return kind.from_bytes(payload)
    except MessageError:
        return None  # anybody may say anything here
