"""More than a gate ever sees at once, an end in the middle of it, and a second daemon beside the first."""

import asyncio
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Final

from gated.recording.journal_read import head
from tests.gatepost import Gatepost, tags
from tests.torture import unexplained

CROWD: Final = 10_000
PUSHES_AT_ONCE: Final = 100


async def burst(post: Gatepost, people: list[str]) -> None:
    """Let the walk-out reader report all of them, as fast as the line takes it."""
    reader, host = post.devices.walk_out, post.devices.walk_out_host
    for at in range(0, len(people), PUSHES_AT_ONCE):
        host.send(b"".join(reader.push(tag) for tag in people[at : at + PUSHES_AT_ONCE]))
        await asyncio.sleep(0)


async def test_ten_thousand_at_once(tmp_path: Path) -> None:
    """10,000 different tags at a person's exit have exactly one passage each, admitted, and the barrier is told."""
    people = list(islice(tags("E280A0", 24), CROWD))
    async with Gatepost(tmp_path) as post:
        await post.start()
        await burst(post, people)
        await post.until(lambda: head(post.journal) >= CROWD, "all are written down")
        assert await post.stop() == 0
        passages = post.passages("walk-out")
        assert Counter(event["credential"] for event in passages) == {f"epc:{tag}": 1 for tag in people}
        assert {(event["verdict"], event["reason"]) for event in passages} == {("admit", "exit")}
        assert post.verify().problems == ()
        assert unexplained(post.board.orders, post.events()) == []
        assert [event for event in post.events() if event["kind"] == "alarm"] == []


async def test_sigterm_under_load(tmp_path: Path) -> None:
    """Told to end in mid-burst, it ends with 0: what was let through is written down, every contact is let go."""
    people = list(islice(tags("E280A0", 24), CROWD))
    async with Gatepost(tmp_path) as post:
        await post.start()
        await burst(post, people)
        await post.ordered("walk-out", 200)
        assert await post.stop() == 0
        events = post.events()
        assert 200 <= len(post.passages("walk-out")) <= CROWD
        assert [event for event in events if event["kind"] == "system" and event["what"] == "stop"]
        assert post.verify().problems == ()
        assert unexplained(post.board.orders, events) == []
        assert [event for event in events if event["kind"] == "alarm"] == []
        await post.until(lambda: not any(post.board.channels.values()), "every contact is open")


async def test_two_daemons_on_one_folder(tmp_path: Path) -> None:
    """The second refuses with status 1 and names the first by its pid; the first goes on."""
    async with Gatepost(tmp_path) as post:
        await post.start()
        assert post.process is not None
        second = await post.spawn()
        async with asyncio.timeout(20):
            assert await second.wait() == 1
        assert f"in use by gated run, pid {post.process.pid}" in post.log.read_text()
        post.devices.walk_out.enter("E280A0000000000000000001")
        await post.pulses("walk-out", 1)
        assert await post.stop() == 0
