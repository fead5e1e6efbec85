"""A gate's line to the broker, which can be cut and mended: a TCP proxy on a port of its own."""

import asyncio
from contextlib import suppress
from typing import Final, Self

from gated.demo.broker import HOST

_CHUNK_BYTES: Final = 65536
_WAIT_S: Final = 10.0
_AGAIN_S: Final = 0.05


class Link:
    """Stands between one gate and the broker at `to`. Enter it to have its `port`."""

    def __init__(self, to: int) -> None:
        self.port = 0
        self._to = to
        self._ends: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    @property
    def open(self) -> bool:
        """Whether it is not cut."""
        return self._server is not None

    def cut(self) -> None:
        """End all connections, and take no new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in tuple(self._ends):
            end.transport.abort()

    async def mend(self) -> None:
        """Take connections, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="link")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            far_reader, far_writer = await self._reach()
            self._ends.add(far_writer)
            try:
                await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
            finally:
                self._ends.discard(far_writer)
                far_writer.transport.abort()
        except OSError:
            pass  # the broker is away: so is then the gate's connection
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The far end. One that does not listen yet is waited for, as long as a gate waits. Raises OSError."""
        async with asyncio.timeout(_WAIT_S):
            while True:
                with suppress(OSError):
                    return await asyncio.open_connection(HOST, self._to)
                await asyncio.sleep(_AGAIN_S)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
