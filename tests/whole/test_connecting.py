"""A connection to the broker that ends while it is being made is tried again at once, not after a timeout."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import pytest

from center import broker
from gated.talking import mqtt
from protocol.broker_url import BrokerUrl
from tests.gatepost import WAIT_S

CONNACK: Final = b"\x20\x02\x00\x00"
SUBACK: Final = b"\x90\x03%b\x01"
SHORT_S: Final = 0.2


def _gate(port: int) -> AbstractAsyncContextManager[mqtt.Connection]:
    account = mqtt.Account(BrokerUrl("127.0.0.1", port, tls=False), "north", "unused")
    return mqtt.connected(account, client_id="north", will=mqtt.Will("gone", b""), subscriptions=("a",))


def _center(port: int) -> AbstractAsyncContextManager[object]:
    return broker.connected(broker.Account(f"mqtt://127.0.0.1:{port}"), ("a",))


@asynccontextmanager
async def answering(answers: int, *, hangs_up: bool) -> AsyncIterator[int]:
    """The port of a broker that answers that much of CONNECT and SUBSCRIBE, then hangs up, or is told and says no more.

    Leaving waits until its one guest is gone.
    """
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            asked = await reader.read(4096)
            if number == answers:
                break
            writer.write(CONNACK if number == 0 else SUBACK % asked[2:4])
        while not hangs_up and await reader.read(4096):
            pass
        writer.close()
        gone.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await gone.wait()


@pytest.mark.parametrize("answers", [0, 1])
@pytest.mark.parametrize(("connecting", "away"), [(_gate, mqtt.BrokerAway), (_center, broker.BrokerAwayError)])
async def test_the_broker_hangs_up(
    connecting: Callable[[int], AbstractAsyncContextManager[object]],
    away: type[Exception],
    answers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gate and center notice it without waiting for a limit of time."""
    for module in (mqtt, broker):
        monkeypatch.setattr(module, "CONNECT_S", WAIT_S * 10)
    async with asyncio.timeout(WAIT_S), answering(answers, hangs_up=True) as port:
        with pytest.raises(away, match="ended while it was being made"):
            async with connecting(port):
                pass


@pytest.mark.parametrize("answers", [0, 1])
@pytest.mark.parametrize(("connecting", "away"), [(_gate, mqtt.BrokerAway), (_center, broker.BrokerAwayError)])
async def test_the_broker_never_answers(
    connecting: Callable[[int], AbstractAsyncContextManager[object]],
    away: type[Exception],
    answers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gate and center give the connection up, and leave no socket behind that could still become one."""
    for module in (mqtt, broker):
        monkeypatch.setattr(module, "CONNECT_S", SHORT_S)
        monkeypatch.setattr(module, "KEEPALIVE_S", 1000)
    async with asyncio.timeout(WAIT_S), answering(answers, hangs_up=False) as port:
        with pytest.raises(away, match="timed out"):
            async with connecting(port):
                pass


async def test_the_broker_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that is told nothing any more, not even that its message is there, gives the connection up."""
    monkeypatch.setattr(mqtt, "CONNECT_S", SHORT_S)
    async with asyncio.timeout(WAIT_S), answering(2, hangs_up=False) as port:
        with pytest.raises(mqtt.BrokerAway, match="timed out"):
            async with _gate(port) as connection:
                await connection.publish("gates", b"here")
