"""The daemon's control socket: what commands on the same box ask of it.

A Unix socket in the state folder, open to the daemon's own user alone. One request a connection: one line of JSON,
`{"op": …}`; one line of JSON comes back, `{"error": "…"}` where the request cannot be met.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

SOCKET: Final = "control.sock"
LINE_MAX_BYTES: Final = 1024 * 1024
ASK_S: Final = 5.0

Answer = Mapping[str, object]
Handler = Callable[[Mapping[str, Any]], Awaitable[Answer]]


class NotRunning(Exception):  # noqa: N818 - it is an answer as much as an error
    """No daemon listens at this state folder; the message says so and what to do."""


async def serve(folder: Path, handler: Handler) -> None:
    """Answer requests until cancelled."""
    with _Near(folder) as path:
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - one call at start, before anything is served
        old = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(_answering(handler), path, limit=LINE_MAX_BYTES)
        finally:
            os.umask(old)
        async with server:
            await server.serve_forever()


def ask(folder: Path, request: Mapping[str, object]) -> dict[str, Any]:
    """The running daemon's answer. Raises NotRunning where there is none, PermissionError where we may not ask."""
    with socket.socket(socket.AF_UNIX) as link, _Near(folder) as path:
        link.settimeout(ASK_S)
        try:
            link.connect(path)
            link.sendall(json.dumps(dict(request)).encode() + b"\n")
            with link.makefile("rb") as lines:
                answer = json.loads(lines.readline(LINE_MAX_BYTES))
        except (FileNotFoundError, ConnectionError) as error:
            raise NotRunning(f"no daemon runs on {folder}; start it with: systemctl start gated") from error
        except (TimeoutError, ValueError) as error:
            raise NotRunning(f"the daemon on {folder} does not answer; look at: journalctl -u gated") from error
    if not isinstance(answer, dict):
        raise NotRunning(f"something else than the daemon answers on {folder / SOCKET}")
    return answer


def _answering(handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ASK_S):
                writer.write(json.dumps(await _reply(await reader.readline(), handler)).encode() + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # who asked has gone, or asked with a line without end
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    return answer


async def _reply(line: bytes, handler: Handler) -> Answer:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {"error": "a request is one line of JSON"}
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        return {"error": 'a request is an object with an "op"'}
    return await handler(request)


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
