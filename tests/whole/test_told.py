"""The center is told: real gates, a real broker, a real center."""

from pathlib import Path

from tests.community import Community


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
        await community.until(lambda: _backlog(post), "nothing is left to tell")


async def _backlog(post: object) -> bool:
    status = await post.status()  # type: ignore[attr-defined]
    return bool(status["center"]["backlog"] == 0)
