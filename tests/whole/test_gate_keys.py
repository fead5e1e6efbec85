"""Whose keys are whose, with real gates over TLS: the center's key exchanged, a gate shut out, a database put back."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import pytest

from center.gatectl import center_key
from center.gatectl.__main__ import main
from center.records import reading
from center.records.store import Store
from tests.community import SITE, journal_hashes
from tests.gatepost import Gatepost, tags
from tests.secured import SecuredCommunity

SOMEBODY = iter(tags("0A"))


@asynccontextmanager
async def serving(folder: Path, *names: str) -> AsyncIterator[SecuredCommunity]:
    """A whole community at work, every gate set up and heard."""
    async with SecuredCommunity(folder, names) as community:
        await community.start_center("serve")
        await community.start_gates()
        await community.agreed()
        yield community


async def gatectl(community: SecuredCommunity, *words: object) -> tuple[int, str]:
    """A command at the center; its exit status and what it printed."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = await asyncio.to_thread(main, ["-s", str(community.site.folder), *map(str, words)])
    return status, out.getvalue() + err.getvalue()


async def flashed(community: SecuredCommunity, *words: object) -> None:
    """What this command proposes, signed and at the broker."""
    bundle = community.folder / "a.bundle"
    status, said = await gatectl(community, *words, "--output", bundle)
    assert status == 0, said
    assert await asyncio.to_thread(community.place.sign, bundle, 1, "--yes") == 0
    status, said = await gatectl(community, "flash", bundle, "--no-wait")
    assert status == 0, said


async def told(community: SecuredCommunity, *posts: Gatepost) -> None:
    """Return when somebody has passed at these gates, and each has it from the center that it is held."""

    async def all_told() -> bool:
        return all([(await post.status())["center"]["backlog"] == 0 for post in posts])

    before = [len(journal_hashes(post.journal)) for post in posts]
    for post in posts:
        post.walk_in(next(SOMEBODY))
    await community.until(
        lambda: all(len(journal_hashes(post.journal)) > was for post, was in zip(posts, before, strict=True)),
        "recorded",
    )
    await community.until(all_told, "every gate believes the center's answer")


def believes(post: Gatepost, number: int) -> bool:
    """Whether the gate has said that it believes so many keys of the center from now on."""
    return bool(post.said("center.keys")[-1]["listed"] == number)


def introduced(community: SecuredCommunity) -> dict[str, bool]:
    """Whether each gate brings its keys in what it said last."""
    with closing(Store.open(community.database, SITE, read_only=True)) as store, store.reading() as connection:
        return {row.name: "voucher" in json.loads(row.message) for row in reading.gates(connection) if row.message}


async def test_the_centers_key_is_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that is away holds the switch up, and is named; with it back all goes on, and no answer is missed."""
    monkeypatch.setattr(center_key, "WAIT_S", 0.5)
    async with serving(tmp_path, "north", "south") as community:
        north, south = community.posts["north"], community.posts["south"]
        await community.until(lambda: introduced(community) == {"north": True, "south": True}, "both say who they are")
        await south.kill()
        await flashed(community, "keys", "rotate", "center")
        await north.until(lambda: believes(north, 2), "north believes both keys")
        status, said = await gatectl(community, "keys", "rotate", "center", "--json")
        assert (status, list(json.loads(said)["waiting"])) == (1, ["south"])
        await told(community, north)
        await south.start()
        await south.until(lambda: believes(south, 2), "south believes both keys")
        await flashed(community, "keys", "rotate", "center")
        await community.until(lambda: community.center_said("ingest.key"), "the worker signs with the new key")
        await told(community, north, south)
        for post in (north, south):
            await post.until(partial(believes, post, 1), "it believes the new key alone")
        await told(community, north, south)
        await community.agreed()
        await community.until(lambda: introduced(community) == {"north": False, "south": False}, "both are known")
        for post in (north, south):
            await post.kill()
            await post.start()
        await told(community, north, south)


async def test_a_gate_is_removed(tmp_path: Path) -> None:
    """Its connection still stands, and nothing that it says is taken; what it had sent is whole, others go on."""
    async with serving(tmp_path, "north", "south") as community:
        north, south = community.posts["north"], community.posts["south"]
        await flashed(community, "gate", "propose")
        await community.until(lambda: introduced(community) == {"north": False, "south": False}, "both are known")
        await told(community, north, south)
        status, said = await gatectl(community, "gate", "remove", "north")
        assert status == 0, said
        held = community.held("north")
        north.walk_in(next(SOMEBODY))
        await north.until(lambda: len(journal_hashes(north.journal)) > len(held), "north goes on recording")
        await community.until(lambda: community.center_said("ingest.refused"), "what it sends is refused")
        await told(community, south)
        assert community.held("north") == held
        status, said = await gatectl(community, "verify", "north")
        assert status == 0, said
        await flashed(community, "gate", "propose")
        await told(community, south)
        assert community.held("north") == held


async def test_a_database_from_before_a_gate_was_added(tmp_path: Path) -> None:
    """The gate is known by the signers' list, though it no longer says who it is: all that it has comes again."""
    async with serving(tmp_path, "north") as community:
        assert await community.stop_center() == 0
        community.copy_database(tmp_path / "backup.db")
        await community.start_center("serve")
        south = await community.add("south")
        await south.start()
        await community.agreed()
        await flashed(community, "gate", "propose")
        await community.until(lambda: introduced(community) == {"north": False, "south": False}, "both are known")
        assert await community.stop_center() == 0
        for left in community.database_file.parent.glob("center.db*"):
            left.unlink()
        (tmp_path / "backup.db").rename(community.database_file)
        await community.start_center("serve")
        await told(community, *community.posts.values())
        await community.agreed()
