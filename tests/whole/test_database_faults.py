"""The center's database fails while gates record: killed together with a worker, or its disk full."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from os import statvfs
from pathlib import Path
from typing import Final

import pytest

from center.records import reading
from center.records.alarms import DATABASE
from center.records.store import Store
from tests.community import SITE, Community
from tests.postgres import Postgres

DISK: Final = "256m"
MORE: Final = 20

Fill = Callable[[Community], None]
"""Makes the center's disk full."""


async def test_postgresql_and_a_worker_are_killed(tmp_path: Path) -> None:
    """Kill -9 of PostgreSQL, then of one of two workers, while gates record: nothing is lost, nothing there twice."""
    with Postgres() as cluster:
        async with Community(tmp_path, ("north", "south"), cluster.new_database(), workers=True) as community:
            await community.start_center()
            await community.start_center()
            await community.start_gates()
            async with community.traffic():
                await community.recorded(MORE)
                cluster.kill()
                await community.recorded(MORE)
                cluster.start()
                await community.until(lambda: community.center_said("database.back"), "a worker has found it again")
                await community.kill_worker()
                await community.recorded(MORE)
            await community.same()
            assert [process.returncode for process in community.centers] == [None]
            assert alarmed(community)


@pytest.fixture(params=["tmpfs", "limit"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Fill, Fill]]:
    """Two ways to a full disk under the center's state, each with its way back: a real one, one without mounting."""
    if request.param == "limit":
        yield Community.limit_files, Community.unlimit_files
        return
    state = tmp_path / "center"
    state.mkdir()
    done = _mount(state, f"size={DISK}")
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted here; a limit stands for it: {done.stderr.strip()}")

    def remount(size: str) -> bool:
        return _mount(state, f"remount,size={size}").returncode == 0

    def full() -> bool:
        now = statvfs(state)
        return remount(f"{(now.f_blocks - now.f_bfree) * now.f_frsize}")

    def fill(_: Community) -> None:
        assert any(full() for _ in range(100)), "it cannot be made smaller than what a worker has written meanwhile"

    def free(_: Community) -> None:
        assert remount(DISK)

    yield fill, free
    subprocess.run(["umount", "--lazy", str(state)], check=True)


def _mount(where: Path, options: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_the_centers_disk_is_full(tmp_path: Path, disk: tuple[Fill, Fill]) -> None:
    """Nothing is answered, nothing is lost; with room again it goes on by itself, and an alarm says what was."""
    fill, free = disk
    async with Community(tmp_path, ("north", "south")) as community:
        await community.start_center()
        await community.start_gates()
        async with community.traffic():
            await community.recorded(MORE)
            fill(community)
            await community.until(lambda: community.center_said("database.away"), "the disk is full")
            await community.recorded(MORE)
            untold = [(await post.status())["center"]["backlog"] for post in community.posts.values()]
            assert min(untold) >= MORE
            free(community)
        await community.same()
        assert [process.returncode for process in community.centers] == [None]
        assert alarmed(community)


def alarmed(community: Community) -> bool:
    """Whether somebody is told that the database was away."""
    with closing(Store.open(community.database, SITE, read_only=True)) as store, store.reading() as connection:
        return DATABASE in [alarm.kind for alarm in reading.alarms(connection)]
