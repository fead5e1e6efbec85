"""The connection to the MQTT broker: the only module that knows which library speaks MQTT.

- One client for each connection, with a clean session: no broker holds batches back, and no library sends again by
  itself what is no longer meant.
- A message is acknowledged to the broker when `done` says so, in the order of arrival. Until then the broker counts it
  as under way; that is all the acknowledgement is good for, since gates wait for the center's own word.
- Every trouble is a `BrokerAwayError`.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import aiomqtt

CONNECT_S: Final = 10.0
KEEPALIVE_S: Final = 30
_QOS: Final = 1
_REFUSED: Final = 0x80
_T = TypeVar("_T")
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class BrokerAwayError(Exception):
    """The broker cannot be reached, refuses us, or the connection has ended."""


@dataclass(frozen=True, slots=True)
class Account:
    """Which broker, and who we are there. `url` is mqtt(s)://host:port, `ca` a file for the latter."""

    url: str
    username: str | None = None
    password: str | None = None
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it arrived; `mid` and `qos` are for acknowledging it."""

    topic: str
    payload: bytes
    retained: bool
    mid: int
    qos: int


def raise_if_cancelled() -> None:
    """To be called before another connection is tried: an error of the one before may have hidden a cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Link:
    """One connection, for as long as it lasts."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def messages(self) -> AsyncIterator[Message]:
        """What arrives. Ends only by BrokerAwayError."""
        try:
            async for message in self._client.messages:
                yield Message(message.topic.value, bytes(message.payload), message.retain, message.mid, message.qos)
        except aiomqtt.MqttError as error:
            raise BrokerAwayError("the connection to the broker has ended") from error

    def done(self, message: Message) -> None:
        """Acknowledge a message to the broker; of a connection that has ended it means nothing."""
        if message.qos:
            self._client._client.ack(message.mid, message.qos)  # noqa: SLF001 - aiomqtt has no manual acknowledgement

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish a message; returns when the broker has it. Raises BrokerAwayError."""
        try:
            await self._client.publish(topic, payload, qos=_QOS, retain=retain)
        except aiomqtt.MqttError as error:
            raise BrokerAwayError(_said(error)) from error


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
async def connected(account: Account, subscriptions: Sequence[str]) -> AsyncIterator[Link]:
    """A new connection with these subscriptions. Raises BrokerAwayError."""
    parts = urlsplit(account.url)
    client = _Client(
        parts.hostname or "",
        parts.port or _PORTS[parts.scheme],
        username=account.username,
        password=account.password,
        clean_session=True,
        keepalive=KEEPALIVE_S,
        timeout=CONNECT_S,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # else each message waits up to 40 ms
        tls_context=await asyncio.to_thread(_tls, account) if parts.scheme == "mqtts" else None,
        logger=_quiet(),
    )
    client._client.manual_ack_set(True)  # noqa: SLF001 - aiomqtt has no manual acknowledgement
    try:
        async with client:
            for topic in subscriptions:
                granted = await client.subscribe(topic, qos=_QOS)
                if any(code == _REFUSED for code in granted):
                    raise BrokerAwayError(f"the broker refuses a subscription to {topic}")
            yield Link(client)
    except aiomqtt.MqttError as error:
        raise BrokerAwayError(_said(error)) from error


def _tls(account: Account) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=account.ca)
    except OSError as error:
        raise BrokerAwayError(f"{account.ca}: {error.strerror or error}") from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _quiet() -> logging.Logger:
    """The library's own remarks: what matters of them comes as exceptions."""
    logger = logging.getLogger("center.broker")
    logger.setLevel(logging.CRITICAL)
    return logger
