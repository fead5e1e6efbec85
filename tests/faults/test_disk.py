"""A disk that is full, read-only or damaged: a small tmpfs of its own, where one may be mounted."""

import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from gated.demo.post import EmulatedPost
from tests.gatepost import Event, Gatepost, tags

DISK: Final = "48m"
"""A list is not loaded where it would leave less than 32 MB."""
CHUNK_BYTES: Final = 64 * 1024
PEOPLE: Final = [*islice(tags("0A"), 5)]
LEAVING: Final = [*islice(tags("E280A0", 24), 5)]
LISTED: Final = [f"em:{tag}" for tag in PEOPLE]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The state folder of a post in `tmp_path`, on a small disk of its own."""
    state = EmulatedPost(tmp_path).state
    state.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(state)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted here, so no disk can be filled: {done.stderr.strip()}")
    yield state
    subprocess.run(["umount", "--lazy", str(state)], check=True)


def fill(disk: Path) -> Path:
    """The file that takes all that was free."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as out:
        for size in (CHUNK_BYTES, 4096):
            try:
                while out.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return file


def remount(disk: Path, how: str) -> None:
    """Mount it anew as `ro` or `rw`; skips where that is not permitted."""
    done = subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{disk} may not be mounted {how} anew: {done.stderr.strip()}")


async def use_up(post: Gatepost) -> None:
    """Let cars roll over the sensor until what the journal had in reserve is written full."""

    async def spent() -> bool:
        for _ in range(10):
            post.devices.passed("car-in")
        return bool((await post.status())["mode"] == "guard-only")

    await post.until(spent, "the reserve is used up")


async def refused(post: Gatepost, tag: str) -> None:
    """Stand at walk-in until the daemon holds the tag for the guard; nothing may open."""
    before = post.pulsed("walk-in")

    async def held() -> bool:
        post.walk_in(tag)
        waiting = (await post.status())["lanes"]["walk-in"]["held"]
        return any(one["credential"] == f"em:{tag}" for one in waiting)

    await post.until(held, f"{tag} waits for the guard")
    assert post.pulsed("walk-in") == before


async def leave(post: Gatepost, tag: str) -> None:
    """Leave at walk-out."""
    before = post.orders("walk-out")
    post.devices.walk_out.enter(tag)
    await post.ordered("walk-out", before + 1)
    post.devices.walk_out.leave(tag)


async def enter(post: Gatepost, tag: str) -> None:
    """Come in at walk-in."""
    before = post.orders("walk-in")
    post.walk_in(tag)
    await post.ordered("walk-in", before + 1)


def of(events: list[Event], credential: str) -> list[Event]:
    """That credential's passages."""
    return [event for event in events if event["kind"] == "passage" and event["credential"] == credential]


async def troubled(post: Gatepost) -> None:
    """While nothing can be written: shut at walk-in, open at walk-out."""
    await refused(post, PEOPLE[1])
    await leave(post, LEAVING[1])
    status = await post.status()
    assert status["mode"] == "guard-only"
    assert status["journal"]["why"]
    assert status["journal"]["unwritten"] >= 2


async def healed(post: Gatepost) -> None:
    """After the trouble: all is written that was kept, the alarm says so, walk-in opens."""
    await post.mode("automatic")
    await enter(post, PEOPLE[2])
    assert await post.stop() == 0
    events = post.events()
    (refusal,) = of(events, f"em:{PEOPLE[1]}")
    assert (refusal["verdict"], refusal["guard_only"], refusal["unwritten"]) == ("flag", True, True)
    (exit_,) = of(events, f"epc:{LEAVING[1]}")
    assert (exit_["verdict"], exit_["unwritten"]) == ("admit", True)
    assert "guard_only" not in exit_
    (alarm,) = [event for event in events if event["kind"] == "alarm" and event["what"] == "journal-trouble"]
    assert alarm["kept"] >= 2
    assert alarm["why"]
    assert refusal["seq"] < alarm["seq"]
    (welcome,) = of(events, f"em:{PEOPLE[2]}")
    assert "unwritten" not in welcome
    verified = post.verify()
    assert verified.problems == ()
    assert len(verified.epochs) == 1


async def test_full_and_freed(tmp_path: Path, disk: Path) -> None:
    """A full disk makes the gate guard-only, exits open all the same; freed, it heals by itself and has it all."""
    async with Gatepost(tmp_path, LISTED) as post:
        await post.start()
        await enter(post, PEOPLE[0])
        filler = fill(disk)
        await use_up(post)
        await troubled(post)
        filler.unlink()
        await healed(post)


async def test_full_from_the_start(tmp_path: Path, disk: Path) -> None:
    """A gate that starts on a full disk lets people out, nobody in by itself, and heals the same way."""
    async with Gatepost(tmp_path, LISTED) as post:
        filler = fill(disk)
        await post.start()
        await post.mode("guard-only")
        await troubled(post)
        filler.unlink()
        await healed(post)


async def test_read_only_and_back(tmp_path: Path, disk: Path) -> None:
    """So does one whose disk has become read-only, as a failing flash card does; only the socket waits as well."""
    async with Gatepost(tmp_path, LISTED) as post:
        await post.start()
        await enter(post, PEOPLE[0])
        assert await post.stop() == 0
        remount(disk, "ro")
        await post.start(ready=False)
        await post.until(lambda: len(online(post, "walk-in/0")) == 2 and post.said("journal.trouble"), "it runs")
        post.walk_in(PEOPLE[1])
        await leave(post, LEAVING[0])
        await leave(post, LEAVING[1])
        assert post.orders("walk-in") == 1
        remount(disk, "rw")
        await healed(post)
        assert len(post.said("control.unavailable")) == 1


def online(post: Gatepost, device: str) -> list[Event]:
    """The log lines that say that this device is there."""
    return [said for said in post.said("device.online") if said["device"] == device]


@pytest.mark.parametrize("where", [0, 4096])
async def test_damaged_while_down(tmp_path: Path, where: int) -> None:
    """A journal with an overwritten header or page is set aside; a new epoch begins, the gate works."""
    async with Gatepost(tmp_path, LISTED) as post:
        await post.start()
        await enter(post, PEOPLE[0])
        assert await post.stop() == 0
        with post.journal.open("r+b") as file:
            file.seek(where)
            file.write(b"\xff" * 100)
        await post.start()
        await post.mode("automatic")
        await enter(post, PEOPLE[1])
        await leave(post, LEAVING[0])
        assert await post.stop() == 0
        verified, events = post.verify(), post.events()
        assert verified.problems == ()
        assert len(verified.epochs) >= 2
        assert list(post.state.glob("journal-damaged-*.db"))
        assert [event for event in events if event["kind"] == "alarm" and event["what"] == "journal-salvaged"]
        assert len(of(events, f"em:{PEOPLE[1]}")) == 1
        assert len(of(events, f"epc:{LEAVING[0]}")) == 1
