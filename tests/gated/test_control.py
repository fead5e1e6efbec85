"""The control socket: one line in, one line out, however deep the folder, whatever is sent."""

import asyncio
import gc
import os
import pwd
import socket
import threading
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from gated import control


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[None]:
    """A daemon's socket that answers with what it is asked."""

    async def echo(request: Mapping[str, Any], _: str) -> Mapping[str, object]:
        return {"asked": request}

    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
    task = asyncio.create_task(control.serve(folder, echo))
    async with asyncio.timeout(10):
        while not (folder / control.SOCKET).exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=10)
        del others
        gc.collect()  # a task whose error nobody took says so only when it goes
    assert troubles == []


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


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"[]\n", b'{"op": 1}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
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
    (tmp_path / "file").touch()
    with pytest.raises(control.NotRunning, match="no daemon has run there"):
        control.ask(tmp_path / "file", {"op": "status"})


def _connect(folder: Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(10)
    link.connect(str(folder / control.SOCKET))
    return link


async def test_a_client_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps nobody else waiting, and is hung up on."""
    async with serving(tmp_path):
        with _connect(tmp_path):
            assert "asked" in await asyncio.to_thread(control.ask, tmp_path, {"op": "status"})
        monkeypatch.setattr(control, "ASK_S", 0.1)
        with _connect(tmp_path) as silent:
            assert await asyncio.to_thread(silent.recv, 1000) == b""


async def test_a_line_without_end(tmp_path: Path) -> None:
    """More than a request can be is not read to its end; the next one is served."""

    def send() -> bytes:
        with _connect(tmp_path) as endless:
            try:
                endless.sendall(b"x" * (4 * control.LINE_MAX_BYTES))
                return endless.recv(1000)
            except ConnectionError:
                return b""

    async with serving(tmp_path):
        assert await asyncio.to_thread(send) == b""
        assert "asked" in await asyncio.to_thread(control.ask, tmp_path, {"op": "status"})


async def test_a_client_that_has_gone(tmp_path: Path) -> None:
    """Asked and hung up before the answer: no harm."""
    async with serving(tmp_path):
        for _ in range(20):
            with _connect(tmp_path) as gone:
                gone.sendall(b'{"op": "status"}\n')
        assert "asked" in await asyncio.to_thread(control.ask, tmp_path, {"op": "status"})


async def test_a_socket_that_was_left_behind(tmp_path: Path) -> None:
    """The last life's socket, or any file of its name, is no obstacle."""
    (tmp_path / control.SOCKET).write_text("left behind")
    task = asyncio.create_task(control.serve(tmp_path, _nothing))
    async with asyncio.timeout(10):
        while not (tmp_path / control.SOCKET).is_socket():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0)
    assert await asyncio.to_thread(control.ask, tmp_path, {"op": "status"}) == {}
    task.cancel()
    await asyncio.wait([task], timeout=10)


async def _nothing(_: Mapping[str, Any], __: str) -> Mapping[str, object]:
    return {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "does not answer"),
        (b"nonsense\n", "does not answer"),
        (b"[1]\n", "something else than the daemon"),
        (None, "does not answer"),
    ],
)
def test_something_else_listens(
    tmp_path: Path, answer: bytes | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is none, or no answer in time, is NotRunning with where to look."""
    if answer is None:
        monkeypatch.setattr(control, "ASK_S", 0.1)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / control.SOCKET))
        other.listen()

        def reply() -> None:
            link, _ = other.accept()
            with link:
                link.recv(1000)
                if answer is None:
                    link.recv(1000)  # until who asked has given up
                else:
                    link.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(control.NotRunning, match=said):
            control.ask(tmp_path, {"op": "status"})
        thread.join(10)
        assert not thread.is_alive()


Heard = Generator[dict[str, Any], None, None]


class Steps:
    """What takes its time: an answer, then one for each `go`; `closed` once nobody wants more."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.closed = asyncio.Event()

    async def answers(self) -> control.Answers:
        """The answers."""
        try:
            yield {"step": 1}
            await self.go.wait()
            yield {"step": 2}
        finally:
            self.closed.set()

    async def handle(self, _: Mapping[str, Any], user: str) -> control.Answers:
        """See Handler."""
        assert user == pwd.getpwuid(os.getuid()).pw_name
        return self.answers()


@asynccontextmanager
async def stepping(folder: Path) -> AsyncIterator[tuple[Steps, asyncio.Task[None], Heard]]:
    """Somebody who has the first answer."""
    steps = Steps()
    task = asyncio.create_task(control.serve(folder, steps.handle))
    async with asyncio.timeout(10):
        while not (folder / control.SOCKET).exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0)
        with closing(control.follow(folder, {"op": "x"})) as answers:
            assert await asyncio.to_thread(next, answers) == {"step": 1}
            yield steps, task, answers
    task.cancel()
    await asyncio.wait([task], timeout=10)


async def test_answers_that_take_their_time(tmp_path: Path) -> None:
    """Each comes when it is there, and then there are no more."""
    async with stepping(tmp_path) as (steps, _, answers):
        steps.go.set()
        assert await asyncio.to_thread(list, answers) == [{"step": 2}]


async def test_who_hangs_up_wants_no_more(tmp_path: Path) -> None:
    """The daemon knows at once, though it has nothing to say."""
    async with stepping(tmp_path) as (steps, _, answers):
        answers.close()
        await steps.closed.wait()


async def test_who_listens_keeps_no_daemon_from_its_end(tmp_path: Path) -> None:
    """Served no longer, the answers end."""
    async with stepping(tmp_path) as (steps, task, answers):
        task.cancel()
        await steps.closed.wait()
        assert await asyncio.to_thread(list, answers) == []
        await asyncio.wait([task])
