"""A task that is told to end while the broker answers ends, at a gate and at the center: else no SIGTERM would do."""

import asyncio

import aiomqtt
import pytest

from center import broker
from gated import mqtt


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
