"""The connection to the broker: the only module of the gate that knows which library speaks MQTT.

One client for each connection, with a clean session and a client id that nobody else has: no broker holds anything
back for us, no library sends again by itself what is no longer meant, and two boxes under one name do not throw each
other out. Every trouble is a `BrokerAway`.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import aiomqtt

from protocol.broker_url import BrokerUrl

CONNECT_S: Final = 10.0
KEEPALIVE_S: Final = 30
_QOS: Final = 1
_REFUSED: Final = 0x80
_T = TypeVar("_T")
_CLOCK: Final = ("certificate is not yet valid", "certificate has expired")
_PENDING_MAX: Final = 100  # from here on the library warns; our window is far smaller


class BrokerAway(Exception):  # noqa: N818 - what happened
    """The broker cannot be reached, refuses us, or the connection has ended; the message says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """Which broker, and who we are there."""

    broker: BrokerUrl
    username: str
    password: str = field(repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it arrived."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when we are gone."""

    topic: str
    payload: bytes


def raise_if_cancelled() -> None:
    """To be called before another connection is tried: an error of the one before may have hidden a cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Connection:
    """One connection, for as long as it lasts."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def messages(self) -> AsyncIterator[Incoming]:
        """What arrives. Ends only by BrokerAway. Must be iterated, or nothing that is published is ever confirmed."""
        try:
            async for message in self._client.messages:
                yield Incoming(message.topic.value, bytes(message.payload), message.retain)
        except aiomqtt.MqttError as error:
            raise BrokerAway("the connection to the broker has ended") from error

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish a message; returns when the broker has it. Raises BrokerAway."""
        try:
            await self._client.publish(topic, payload, qos=_QOS, retain=retain)
        except aiomqtt.MqttError as error:
            raise BrokerAway(_said(error)) from error

    async def subscribe(self, topic: str) -> None:
        """Ask for a topic. Raises BrokerAway, also where the broker refuses it."""
        try:
            granted = await self._client.subscribe(topic, qos=_QOS)
        except aiomqtt.MqttError as error:
            raise BrokerAway(_said(error)) from error
        if any(code == _REFUSED for code in granted):
            raise BrokerAway(f"the broker refuses a subscription to {topic}")

    async def unsubscribe(self, topic: str) -> None:
        """Ask for it no more. Raises BrokerAway."""
        try:
            await self._client.unsubscribe(topic)
        except aiomqtt.MqttError as error:
            raise BrokerAway(_said(error)) from error


class _Client(aiomqtt.Client):
    """Notices at once a connection that ends while it is being made: the library would wait for its timeout."""

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            # The library leaves the socket open, and a late answer would make it a second connection.
            self._client._sock_close()  # noqa: SLF001 - its own way to close would wait for a broker that is silent
            raise

    def _on_disconnect(self, *args: Any, **kwargs: Any) -> None:
        futures: list[asyncio.Future[Any]] = [self._connected, *self._pending_subscribes.values()]
        for waiting in futures:
            if not waiting.done():
                waiting.set_exception(aiomqtt.MqttError("the connection ended while it was being made"))
        super()._on_disconnect(*args, **kwargs)
        if self._disconnected.done():
            self._disconnected.exception()  # asyncio complains about one that nobody has asked for

    async def _wait_for(self, fut: Awaitable[_T], timeout: float | None) -> _T:  # noqa: ASYNC109 - the library's own
        # As the library has it, but without asyncio.wait_for: before Python 3.12 that forgets that a task was cancelled
        # where the broker answers in the same moment, and then the task never ends.
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None


@asynccontextmanager
async def connected(
    account: Account, *, client_id: str, will: Will, subscriptions: Sequence[str]
) -> AsyncIterator[Connection]:
    """A new connection with these subscriptions. Raises BrokerAway."""
    broker = account.broker
    client = _Client(
        broker.host,
        broker.port,
        identifier=client_id,
        username=account.username,
        password=account.password,
        clean_session=True,
        keepalive=KEEPALIVE_S,
        timeout=CONNECT_S,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # else each message waits up to 40 ms
        will=aiomqtt.Will(will.topic, will.payload, qos=_QOS, retain=True),
        tls_context=await asyncio.to_thread(_tls, account) if broker.tls else None,
        logger=_quiet(),
    )
    client.pending_calls_threshold = _PENDING_MAX
    try:
        async with client:
            connection = Connection(client)
            for topic in subscriptions:
                await connection.subscribe(topic)
            yield connection
    except (aiomqtt.MqttError, OSError) as error:
        raise BrokerAway(_said(error)) from error


def _tls(account: Account) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=account.ca)
        if account.certificate is not None:
            context.load_cert_chain(account.certificate, account.key)
    except (OSError, ssl.SSLError) as error:
        raise BrokerAway(f"the certificates for the broker cannot be used: {error}") from error
    return context


def _said(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if any(words in text for words in _CLOCK):
        return f"{text}: look at this box's clock first (gated status), then at the broker's certificate"
    return text


def _quiet() -> logging.Logger:
    """The library's own remarks: what matters of them comes as exceptions."""
    logger = logging.getLogger("gated.talking.mqtt")
    logger.setLevel(logging.CRITICAL)
    return logger
