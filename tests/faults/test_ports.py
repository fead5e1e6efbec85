"""Ports that tear, come back, and babble: what the gate makes of it, on real ptys and sockets."""

import asyncio
import os
import random
import signal
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from drivers.emulated.host import PtyHost, TcpHost
from tests.gatepost import Event, Gatepost, tags

A, B, C = islice(tags("0A"), 3)
SOAK_S: Final = 1.5
"""A fault lasts this long, so that several attempts to open the port fail meanwhile."""
FLOOD_BYTES: Final = 2_000_000
FLOOD_CHUNK_BYTES: Final = 4000
FLOOD_PAUSE_S: Final = 0.004


def one_frame_is_enough(text: str) -> str:
    """The configuration with a walk-in reader that wants no second frame: whatever is whole, counts."""
    return text.replace('driver = "em4100",', 'driver = "em4100", confirm = 1,')


def seen(post: Gatepost, lane: str) -> list[str]:
    """Whose passages that lane has."""
    return [event["credential"] for event in post.passages(lane)]


def changes(post: Gatepost, device: str) -> list[Event]:
    """The system events about that device."""
    return [event for event in post.events() if event["kind"] == "system" and event.get("device") == device]


async def test_half_a_frame_before_and_half_after(tmp_path: Path) -> None:
    """A pty that is torn in mid-frame and comes back with the other half gives no passage; good frames then do."""
    listed = [f"em:{tag}" for tag in (A, B, C)]
    async with Gatepost(tmp_path, listed, one_frame_is_enough) as post:
        await post.start()
        host, frame = post.devices.em4100_host, post.devices.em4100.frame
        host.send(frame(A) + frame(B)[:7])
        await post.ordered("walk-in", 1)
        host.unplug()
        await post.device("walk-in/0", online=False)
        await host.plug()
        await post.device("walk-in/0", online=True)
        host.send(frame(B)[7:] + frame(C))
        await post.ordered("walk-in", 2)
        host.send(frame(B))
        await post.ordered("walk-in", 3)
        assert seen(post, "walk-in") == [f"em:{A}", f"em:{C}", f"em:{B}"]


async def test_half_a_frame_over_tcp(tmp_path: Path) -> None:
    """A TCP reader whose connection breaks in mid-frame is not heard with two halves of two connections."""
    a, b, c = islice(tags("E280A0", 24), 3)
    async with Gatepost(tmp_path) as post:
        await post.start()
        host, push = post.devices.walk_out_host, post.devices.walk_out.push
        host.send(push(a) + push(b)[:10])
        await post.ordered("walk-out", 1)
        host.unplug()
        await post.device("walk-out/0", online=False)
        await host.plug()
        await post.device("walk-out/0", online=True)
        host.send(push(b)[10:] + push(c))
        await post.ordered("walk-out", 2)
        assert seen(post, "walk-out") == [f"epc:{a}", f"epc:{c}"]


async def test_bytes_from_before_a_reconnect(tmp_path: Path) -> None:
    """Frames that lie in the port before the daemon has opened it again never count."""
    async with Gatepost(tmp_path, [f"em:{tag}" for tag in (A, B)], one_frame_is_enough) as post:
        await post.start()
        host, frame = post.devices.em4100_host, post.devices.em4100.frame
        host.unplug()
        await post.device("walk-in/0", online=False)
        post.signal(signal.SIGSTOP)
        await host.plug()
        host.send(frame(A) * 3)
        post.signal(signal.SIGCONT)
        await post.device("walk-in/0", online=True)
        host.send(frame(B))
        await post.pulses("walk-in", 1)
        assert seen(post, "walk-in") == [f"em:{B}"]


@pytest.mark.parametrize(
    ("host_name", "devices"),
    [
        ("em4100_host", ["walk-in/0"]),
        ("walk_out_host", ["walk-out/0"]),
        ("relay_host", ["walk-in/barrier", "walk-out/barrier", "car-in/barrier", "car-out/barrier"]),
    ],
)
async def test_unplugged_and_back(tmp_path: Path, host_name: str, devices: list[str]) -> None:
    """A device that goes and comes back is one log line and one event each time, however long it is away."""
    async with Gatepost(tmp_path) as post:
        await post.start()
        host: PtyHost | TcpHost = getattr(post.devices, host_name)
        host.unplug()
        for device in devices:
            await post.device(device, online=False)
        await asyncio.sleep(SOAK_S)
        await host.plug()
        for device in devices:
            await post.device(device, online=True)
        assert await post.stop() == 0
        for device in devices:
            assert [event["online"] for event in changes(post, device)] == [True, False, True], changes(post, device)
            assert sum(line["device"] == device for line in post.said("device.offline")) == 1
            assert sum(line["device"] == device for line in post.said("device.online")) == 2


async def test_a_megabyte_a_second_of_garbage(tmp_path: Path) -> None:
    """While one reader's line babbles without end, which is said once, everybody at another lane is let through.

    Nobody is made up, and the next tag is read as if nothing had been.
    """
    rand = random.Random(20261125)
    async with Gatepost(tmp_path, [f"em:{A}"]) as post:
        await post.start()
        flood = asyncio.create_task(_babble(post.devices.em4100_host, rand))
        people = list(islice(tags("E280A0", 24), 60))
        for number, tag in enumerate(people, 1):
            post.devices.walk_out.enter(tag)
            await post.ordered("walk-out", number)
            post.devices.walk_out.leave(tag)
        assert await flood >= FLOOD_BYTES
        post.walk_in(A)
        await post.pulses("walk-in", 1)
        assert seen(post, "walk-out") == [f"epc:{tag}" for tag in people]
        assert seen(post, "walk-in") == [f"em:{A}"]
        assert [event["online"] for event in changes(post, "walk-in/0")] == [True, False, True]


async def _babble(host: PtyHost, rand: random.Random) -> int:
    """How many bytes the line has taken, at about 1 MB/s, up to FLOOD_BYTES."""
    taken = 0
    assert host._fds is not None
    while taken < FLOOD_BYTES:
        with suppress(BlockingIOError):
            taken += os.write(host._fds[0], rand.randbytes(FLOOD_CHUNK_BYTES))
        await asyncio.sleep(FLOOD_PAUSE_S)
    return taken
