"""Announced visitors the whole way: from a command at the center to the guard's side of a gate, and no further."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gated import control
from gated.__main__ import main
from tests.signers import line
from tests.whole.test_commands import town

NAME, PLATE, CARD = "Zaphod-Visitor", "plate:沪A12345", "0A00A1B2C3"
READS_PLATES = f"from drivers import em4100; em4100.credential = lambda tag: {PLATE!r}"
Captured = pytest.CaptureFixture[str]


async def test_announced_told_and_withdrawn(tmp_path: Path, capsys: Captured) -> None:
    """Within seconds, and after a restart; an announced plate is flagged as any other; no file says who comes."""
    async with town(tmp_path, capsys, serve=True) as made:
        place, post = made.place, made.post

        async def told() -> list[str]:
            answer: dict[str, Any] = await asyncio.to_thread(
                control.ask, post.state, {"op": "expected", "text": "12345"}
            )
            return [one["name"] for one in answer["visitors"]]

        async def announced() -> bool:
            return await told() == [NAME]

        async def withdrawn() -> bool:
            return await told() == []

        await asyncio.to_thread(place.put_in_force, [line(1)])
        capsys.readouterr()
        assert await made.run("expected", "add", NAME, "--plate", "沪A·12345", "--json") == 0
        added = json.loads(capsys.readouterr().out)
        assert (added["gates"], added["at_gates"]) == (["north"], "at once")
        await post.until(announced, "the gate tells of the visitor")
        await post.stop()
        post.program = ["-c", f"{READS_PLATES}; from gated import __main__; raise SystemExit(__main__.main())"]
        await post.start()
        await post.until(announced, "the gate tells of the visitor after a restart")
        assert (await asyncio.to_thread(control.ask, post.state, {"op": "status"}))["expected"] == 1
        config = str(post.devices.config)
        assert await asyncio.to_thread(main, ["expected", "zaphod", "-c", config]) == 0
        assert NAME in capsys.readouterr().out
        assert await made.verdict(CARD) == "flag"
        assert (made.passages()[-1]["credential"], made.passages()[-1]["reason"]) == (PLATE, "unknown")
        assert await made.run("expected", "withdraw", added["id"]) == 0
        await post.until(withdrawn, "the gate tells of nobody")
        assert await asyncio.to_thread(main, ["expected", "-c", config]) == 0
        assert "nobody is announced" in capsys.readouterr().out
        assert await asyncio.to_thread(_telling, tmp_path) == []


def _telling(folder: Path) -> list[Path]:
    """Files that have the visitor's name, of gate, broker and center; the center's WAL lives as long as its process."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "center.db-wal"]
    return [path for path in files if NAME.encode() in path.read_bytes()]
