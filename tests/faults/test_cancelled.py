"""A task that is told to end while the broker answers ends, at a gate and at the center: else no SIGTERM would do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import MagicMock

import aiomqtt
import pytest

from center import broker
from center.intake.worker import Worker
from gated.talking import mqtt
from gated.talking.line import Line


@pytest.mark.parametrize("kind", [mqtt._Client, broker._Client], ids=["gate", "center"])
async def test_a_cancellation_outlives_an_answer_in_the_same_moment(kind: type[aiomqtt.Client]) -> None:
    """Whatever it waits for next, it does not begin to wait."""
    client, answered = kind("127.0.0.1"), asyncio.Event()

    async def work() -> None:
        await client._wait_for(answered.wait(), 10.0)
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    answered.set()
    asyncio.get_running_loop().call_soon(task.cancel)
    done, _ = await asyncio.wait({task}, timeout=1.0)
    task.cancel()
    assert done


@pytest.mark.parametrize("kind", [mqtt._Client, broker._Client], ids=["gate", "center"])
async def test_a_broker_that_does_not_answer(kind: type[aiomqtt.Client]) -> None:
    """Is the library's own error, as before."""
    with pytest.raises(aiomqtt.MqttError, match="timed out"):
        await kind("127.0.0.1")._wait_for(asyncio.Event().wait(), 0.01)


Loop = Callable[[Callable[[], Coroutine[Any, Any, None]], pytest.MonkeyPatch], Coroutine[Any, Any, None]]


def _gate(lost: Callable[[], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch) -> Coroutine[Any, Any, None]:
    """The gate's loop of connections, each of which is lost so."""

    async def hold() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(lost())
            await asyncio.Event().wait()

    parts: dict[str, Any] = dict.fromkeys(("believed", "journal", "describe", "rival", "confirmed", "log"), MagicMock())
    keeper = MagicMock()
    keeper.now.return_value.mono = 0.0
    line = Line(MagicMock(), MagicMock(), keeper=keeper, **parts)
    monkeypatch.setattr(line, "_hold", hold)
    return line._connect()


def _center(
    lost: Callable[[], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch
) -> Coroutine[Any, Any, None]:
    """The worker's."""

    async def silence() -> AsyncIterator[broker.Message]:
        await asyncio.Event().wait()
        yield MagicMock()

    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[MagicMock]:
        yield MagicMock(messages=silence)

    monkeypatch.setattr("center.intake.worker.connected", connected)
    settings = MagicMock(site="demo", shared=False)
    worker = Worker(settings, MagicMock(), MagicMock())
    monkeypatch.setattr(worker, "_say", lambda _: lost())
    return worker._listen()


@pytest.mark.parametrize(("loop", "away"), [(_gate, mqtt.BrokerAway), (_center, broker.BrokerAwayError)])
async def test_a_cancellation_outlives_a_connection_that_is_lost_in_the_same_moment(
    loop: Loop, away: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where broker and daemon are stopped together: no other connection is tried."""
    gone, there = asyncio.Event(), asyncio.Event()

    async def lost() -> None:
        there.set()
        await gone.wait()
        raise away("gone")

    task = asyncio.create_task(loop(lost, monkeypatch))
    await there.wait()
    there.clear()
    gone.set()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=1.0)
    task.cancel()
    assert done
