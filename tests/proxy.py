"""A TCP proxy that does what bad lines do: tears connections, stalls them, cuts off one direction, refuses new ones."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Proxy:
    """Stands between gates and broker on a port of its own. `torn` counts the connections it has cut."""

    def __init__(self, port: int, rand: random.Random | None = None) -> None:
        self.port = 0
        self.torn = 0
        self.open = True
        self._to = port
        self._rand = rand or random.Random()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._half = False
        self._links: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        self.tear()

    def tear(self) -> None:
        """Cut all connections."""
        for writer in list(self._links):
            self.torn += 1
            writer.transport.abort()

    def close(self) -> None:
        """Cut all connections, and take no new ones until `reopen`."""
        self.open = False
        self.tear()

    def reopen(self) -> None:
        """Take connections again, and let everything flow; cut those that have lost bytes, as no line heals them."""
        if self._half:
            self.tear()
        self.open, self._half = True, False
        self._flowing.set()

    def stall(self) -> None:
        """Keep all connections, and pass nothing on until `reopen`."""
        self._flowing.clear()

    def halve(self) -> None:
        """Pass on what gates say, and nothing of what they are told, until `reopen`."""
        self._half = True

    async def trouble(self, keep_on: Callable[[], bool], most_s: float = 0.4) -> None:
        """One trouble after the other, for as long as `keep_on` says; all is well in the end."""
        while keep_on():
            await asyncio.sleep(self._rand.uniform(0.05, most_s))
            self._rand.choice((self.tear, self.tear, self.close, self.stall, self.halve))()
            await asyncio.sleep(self._rand.uniform(0.05, most_s))
            self.reopen()
        self.reopen()
        self.tear()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._links |= {writer, far_writer}
        try:
            await asyncio.gather(self._pass(reader, far_writer, told=False), self._pass(far_reader, writer, told=True))
        finally:
            self._links -= {writer, far_writer}
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, told: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                if told and self._half:
                    continue
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
