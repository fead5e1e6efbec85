"""The control socket: one line in, one line out, however deep the folder, whatever is sent."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gated import control


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[None]:
    """A daemon's socket that answers with what it is asked."""

    async def echo(request: Mapping[str, Any]) -> Mapping[str, object]:
        return {"asked": request}

    task = asyncio.create_task(control.serve(folder, echo))
    async with asyncio.timeout(10):
        while not (folder / control.SOCKET).exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0)
    yield
    task.cancel()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others, timeout=10)


async def test_a_question_is_answered(tmp_path: Path) -> None:
    """Also where the folder's path is longer than a socket's address may be."""
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    folder.mkdir(parents=True)
    async with serving(folder):
        assert await asyncio.to_thread(control.ask, folder, {"op": "status"}) == {"asked": {"op": "status"}}


async def test_only_the_owner_may_ask(tmp_path: Path) -> None:
    """Nobody else can connect."""
    async with serving(tmp_path):
        await asyncio.to_thread(control.ask, tmp_path, {"op": "status"})
        assert (tmp_path / control.SOCKET).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"[]\n", b'{"op": 1}\n', b"\xff\xfe\n"])
async def test_nonsense_is_refused(tmp_path: Path, line: bytes) -> None:
    """It says what a request is, and serves the next one."""

    def send() -> bytes:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(tmp_path / control.SOCKET))
            link.sendall(line)
            return link.recv(1000)

    async with serving(tmp_path):
        assert b'"error"' in await asyncio.to_thread(send)
        assert "asked" in await asyncio.to_thread(control.ask, tmp_path, {"op": "status"})


def test_nobody_there(tmp_path: Path) -> None:
    """No folder, no socket, a socket that nobody serves: each is NotRunning with what to do."""
    with pytest.raises(control.NotRunning, match="no daemon has run there"):
        control.ask(tmp_path / "none", {"op": "status"})
    with pytest.raises(control.NotRunning, match="systemctl start gated"):
        control.ask(tmp_path, {"op": "status"})
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / control.SOCKET))
    with pytest.raises(control.NotRunning, match="systemctl start gated"):
        control.ask(tmp_path, {"op": "status"})
