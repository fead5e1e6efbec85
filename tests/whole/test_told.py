"""The center is told: real gates, a real broker, a real center, and everything that can happen to them."""

import asyncio
import json
import random
import shutil
from contextlib import closing
from pathlib import Path

from center.records import reading
from center.records.store import Store
from gated.talking.line import STATUS_S
from tests.community import SITE, Community, journal_hashes
from tests.gatepost import Gatepost
from tests.proxy import Proxy
from tests.soak import soak


async def _untold(post: Gatepost) -> int:
    status = await post.status()
    return int(status["center"]["backlog"])


async def _nothing_untold(post: Gatepost) -> bool:
    return await _untold(post) == 0


async def test_every_event_arrives(tmp_path: Path) -> None:
    """A gate is enrolled by its voucher, and what it records is at the center, once, as it was recorded."""
    async with Community(tmp_path) as community:
        post = community.posts["north"]
        await community.start_center()
        await post.start()
        post.walk_in("0A00A1B2C3")
        await community.agreed()
        state = await post.status()
        assert state["center"]["online"]
        await community.until(lambda: _nothing_untold(post), "nothing is left to tell")


async def test_that_all_is_told_is_said(tmp_path: Path) -> None:
    """Who looks at the center sees the backlog gone when it is, and not with the next minute's status."""
    async with Community(tmp_path) as community:
        post = community.posts["north"]
        await post.start()

        async def settled() -> bool:
            return all(device["online"] for device in (await post.status())["devices"].values())

        await community.until(settled, "all devices are there: no news of them comes later")
        await community.start_center()
        with closing(Store.open(community.database, SITE, read_only=True)) as store:

            def backlog() -> int | None:
                with store.reading() as connection:
                    (row,) = reading.gates(connection)
                return None if row.message is None else int(json.loads(row.message)["backlog"])

            async with asyncio.timeout(STATUS_S / 2):
                await community.until(lambda: backlog() == 0, "the status says that all is told")


async def test_a_line_that_tears(tmp_path: Path) -> None:
    """Connections cut, stalled, half dead: in the end the center holds every journal."""
    async with Community(tmp_path, names=()) as community, Proxy(community.broker.port, random.Random(5)) as proxy:
        community.port_for_gates = proxy.port
        for name in ("north", "south", "east"):
            await community.add(name)
        await community.start_center()
        await community.start_gates()
        until = asyncio.get_running_loop().time() + 4
        async with community.traffic():
            await proxy.trouble(lambda: asyncio.get_running_loop().time() < until)
        assert proxy.torn > 2
        await community.agreed()


async def test_a_broker_that_says_nothing(tmp_path: Path) -> None:
    """After a cut it takes connections and says nothing for longer than one may take: the gate tries on."""
    async with Community(tmp_path, names=()) as community, Proxy(community.broker.port) as proxy:
        community.port_for_gates = proxy.port
        post = await community.add("north")
        impatient = "from gated import __main__; from gated.talking import mqtt; mqtt.CONNECT_S = 0.2"
        post.program = ["-c", f"{impatient}; raise SystemExit(__main__.main())"]
        await post.start()
        await community.until(lambda: bool(post.said("center.connected")), "it is connected")
        proxy.stall()
        proxy.tear()
        await community.until(lambda: "timed out" in post.log.read_text(), "a connection takes too long")
        proxy.reopen()
        await community.until(lambda: len(post.said("center.connected")) > 1, "it is connected again")


async def test_everybody_is_killed(tmp_path: Path) -> None:
    """Kill -9 of gate, center and broker, the broker's memory deleted too: nothing is lost, nothing is there twice."""
    async with Community(tmp_path, names=("north", "south")) as community:
        await community.start_center()
        await community.start_gates()
        rand = random.Random(7)
        async with community.traffic():
            for _ in range(6):
                await asyncio.sleep(rand.uniform(0.2, 0.8))
                match rand.choice(("gate", "center", "broker", "forget")):
                    case "gate":
                        post = rand.choice(list(community.posts.values()))
                        await post.kill()
                        await post.start(ready=False)
                    case "center":
                        await community.kill_center()
                        await asyncio.sleep(rand.uniform(0, 0.5))
                        await community.start_center()
                    case "broker":
                        community.broker.kill()
                        community.broker.start()
                    case _:
                        community.broker.kill()
                        community.broker.forget()
                        community.broker.start()
        await community.agreed()


async def test_weeks_without_the_center(tmp_path: Path) -> None:
    """What was recorded while there was no center and no broker arrives when they are back."""
    async with Community(tmp_path) as community:
        post = community.posts["north"]
        community.broker.kill()
        await post.start()
        async with community.traffic():
            await community.until(lambda: _many(post), "a hundred events are recorded")
        assert await _untold(post) >= 100
        await post.kill()
        await post.start()
        community.broker.start()
        await community.start_center()
        await community.agreed()
        await community.until(lambda: _nothing_untold(post), "nothing is left to tell")


async def _many(post: Gatepost) -> bool:
    return len(post.events()) >= 100


async def test_yesterdays_backup(tmp_path: Path) -> None:
    """The center's database is put back to a backup: it asks for what it lacks, and gets it."""
    async with Community(tmp_path, names=("north", "south")) as community:
        await community.start_center()
        await community.start_gates()
        await community.agreed()
        await community.stop_center()
        database = community.database_file
        community.copy_database(tmp_path / "backup.db")
        await community.start_center()
        async with community.traffic():
            await asyncio.sleep(1)
        await community.agreed()
        await community.kill_center()
        for left in database.parent.glob("center.db*"):
            left.unlink()
        shutil.copy(tmp_path / "backup.db", database)
        await community.start_center()
        for post in community.posts.values():
            post.walk_in("0AFFFFFFFF")
        await community.agreed()


async def test_two_boxes_under_one_name(tmp_path: Path) -> None:
    """One image on two boards: both go on, neither throws the other out, and both gates and the center say it."""
    async with Community(tmp_path) as community:
        first = community.posts["north"]
        await community.start_center()
        await first.start()
        await community.agreed()
        await first.stop()
        second = await community.clone("north", "serial:second")
        for post in (first, second):
            await post.start()
        await community.until(
            lambda: all("rival" in _alarms(post) for post in (first, second)), "each gate notices the other"
        )
        second.walk_in("0A00000099")
        await community.agreed()
        await community.until(lambda: community.center_said("alarm.rivals"), "the center notices both")
        await community.until(
            lambda: set(journal_hashes(second.journal)) <= set(community.held("north")), "the other's are there as well"
        )
        assert len(first.said("center.connected")) == 2
        assert len(second.said("center.connected")) == 1
        with closing(Store.open(community.database, SITE, read_only=True)) as store, store.reading() as connection:
            told = {alarm.kind: alarm.text for alarm in reading.alarms(connection)}
        assert "serial:second" in told["rivals"]


def _alarms(post: Gatepost) -> list[str]:
    return [event["what"] for event in post.events() if event["kind"] == "alarm"]


async def test_a_minute_of_everything(tmp_path: Path) -> None:
    """What `make soak` does for hours, for a moment: five gates, every kind of fault by the seed, two rounds."""
    said: list[str] = []
    told = await soak(tmp_path, 0, 11, said.append, faults=5, pause_s=(0.1, 0.6))
    assert told.total() == 10
    assert len(said) == 2
