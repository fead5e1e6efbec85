"""The daemon's control socket: what commands on the same box ask of it.

A Unix socket in the state folder, open to the daemon's own user (and root) alone. One request a connection: one line of
JSON, `{"op": …}`; one line of JSON comes back, `{"error": "…"}` where the request cannot be met. What takes its time is
answered by a line for each step, until the daemon hangs up; whoever asked and hangs up first no longer wants it.
"""

import asyncio
import json
import os
import pwd
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

SOCKET: Final = "control.sock"
LINE_MAX_BYTES: Final = 1024 * 1024
ASK_S: Final = 5.0

Answer = Mapping[str, object]
Answers = AsyncGenerator[Answer, None]
Handler = Callable[[Mapping[str, Any], str], Awaitable[Answer | Answers]]
"""Gets the request and the name of the user whose process sent it, as the kernel says. It is asked for the answer; the
answers of what takes its time are closed when nobody wants them any more."""

_PEER: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


class NotRunning(Exception):  # noqa: N818 - it is an answer as much as an error
    """No daemon listens at this state folder; the message says so and what to do."""


async def serve(folder: Path, handler: Handler) -> None:
    """Answer requests until cancelled."""
    with _Near(folder) as path:
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - one call at start, before anything is served
        old = os.umask(0o177)
        links: set[asyncio.Task[None]] = set()
        try:
            server = await asyncio.start_unix_server(_answering(handler, links), path, limit=LINE_MAX_BYTES)
        finally:
            os.umask(old)
        async with server:
            try:
                await asyncio.get_running_loop().create_future()  # serve_forever would wait for the links, from 3.12 on
            finally:
                for link in links:  # from 3.12 on a server that is closed waits for them
                    link.cancel()


def ask(folder: Path, request: Mapping[str, object]) -> dict[str, Any]:
    """The running daemon's answer. Raises NotRunning where there is none, PermissionError where we may not ask."""
    with _asking(folder, request) as lines:
        return _answer(folder, next(lines, b""))


def follow(folder: Path, request: Mapping[str, object]) -> Generator[dict[str, Any], None, None]:
    """The running daemon's answers, as they come; closed early, it is told that nobody wants more. Raises as `ask`.

    Where the daemon has ended meanwhile there are simply no more.
    """
    with _asking(folder, request) as lines:
        for line in lines:
            yield _answer(folder, line)


@contextmanager
def _asking(folder: Path, request: Mapping[str, object]) -> Iterator[Iterator[bytes]]:
    """The lines of the answer."""
    with socket.socket(socket.AF_UNIX) as link, _Near(folder) as path:
        link.settimeout(ASK_S)
        try:
            link.connect(path)
            link.sendall(json.dumps(dict(request)).encode() + b"\n")
            with link.makefile("rb") as lines:
                yield iter(partial(lines.readline, LINE_MAX_BYTES), b"")
        except (FileNotFoundError, ConnectionError) as error:
            raise NotRunning(f"no daemon runs on {folder}; start it with: systemctl start gated") from error
        except TimeoutError as error:
            raise _silent(folder) from error


def _answer(folder: Path, line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise _silent(folder) from error
    if not isinstance(answer, dict):
        raise NotRunning(f"something else than the daemon answers on {folder / SOCKET}")
    return answer


def _silent(folder: Path) -> NotRunning:
    return NotRunning(f"the daemon on {folder} does not answer; look at: journalctl -u gated")


def _answering(
    handler: Handler, links: set[asyncio.Task[None]]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection has its task"  # noqa: S101 - for the type checker
        links.add(task)
        try:
            async with asyncio.timeout(ASK_S):
                reply = await _reply(await reader.readline(), handler, _user(writer))
                if isinstance(reply, Mapping):
                    await _send(writer, reply)
                    return
            await _send_all(reader, writer, reply)
        except (OSError, TimeoutError, ValueError):
            pass  # who asked has gone, or asked with a line without end
        finally:
            links.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    return answer


async def _send_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Answers) -> None:
    """Give each answer as it comes, until there are no more or who asked hangs up."""

    async def give() -> None:
        async with aclosing(answers):
            async for answer in answers:
                async with asyncio.timeout(ASK_S):
                    await _send(writer, answer)

    # No TaskGroup: its failing would leave this task half cancelled before Python 3.11.4.
    giving, hung_up = asyncio.create_task(give(), name="control.answers"), asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait({giving, hung_up}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        giving.cancel()
        hung_up.cancel()
        await asyncio.gather(giving, hung_up, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
    await writer.drain()


def _user(writer: asyncio.StreamWriter) -> str:
    """Whose process is at the other end."""
    link = writer.get_extra_info("socket")
    _, uid, _ = _PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


async def _reply(line: bytes, handler: Handler, user: str) -> Answer | Answers:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {"error": "a request is one line of JSON"}
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        return {"error": 'a request is an object with an "op"'}
    return await handler(request, user)


class _Near:
    """A path to the socket that fits into the 108 bytes of a socket's address, however deep the folder lies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
        try:
            self._fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotRunning(f"there is no folder {self._folder}; no daemon has run there") from error
        return f"/proc/self/fd/{self._fd}/{SOCKET}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
