"""A connection to the broker that ends while it is being made is tried again at once, not after a timeout."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import pytest

from center import broker
from gated import mqtt
from protocol.broker_url import BrokerUrl
from tests.gatepost import WAIT_S

CONNECT: Final = 0x10
CONNACK: Final = b"\x20\x02\x00\x00"


def _gate(port: int) -> AbstractAsyncContextManager[object]:
    account = mqtt.Account(BrokerUrl("127.0.0.1", port, tls=False), "north", "unused")
    return mqtt.connected(account, client_id="north", will=mqtt.Will("gone", b""), subscriptions=("a",))


def _center(port: int) -> AbstractAsyncContextManager[object]:
    return broker.connected(broker.Account(f"mqtt://127.0.0.1:{port}"), ("a",))


@asynccontextmanager
async def hanging_up(*, greets: bool) -> AsyncIterator[int]:
    """The port of a broker that hangs up when it is greeted, or after its own greeting at the first subscription."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        assert first[0] == CONNECT
        if greets:
            writer.write(CONNACK)
            await reader.read(4096)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("greets", [False, True])
@pytest.mark.parametrize(("connecting", "away"), [(_gate, mqtt.BrokerAway), (_center, broker.BrokerAwayError)])
async def test_the_broker_hangs_up(
    connecting: Callable[[int], AbstractAsyncContextManager[object]],
    away: type[Exception],
    greets: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gate and center notice it without waiting for a limit of time."""
    for module in (mqtt, broker):
        monkeypatch.setattr(module, "CONNECT_S", WAIT_S * 10)
    async with hanging_up(greets=greets) as port, asyncio.timeout(WAIT_S):
        with pytest.raises(away, match="ended while it was being made"):
            async with connecting(port):
                pass
