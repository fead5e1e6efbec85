"""What `gated detect` shows while it looks: one line a port on a terminal, a line for each port and speed elsewhere."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from gated.detect import Place

_TOLD_EVERY_S: Final = 5
_UP: Final = "\x1b[{}A"
_CLEAR: Final = "\x1b[J"


class Progress:
    """Shows what is done at which port. On a terminal nothing of it stays."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._live = to.isatty()
        self._doing: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._call = ""
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._doing, self._call = {}, ""
        self._draw()

    def tell(self, place: "Place", who: str, baud: int) -> None:
        """See `gated.detect.Tell`."""
        at = f" at {baud}" if baud else ""
        if self._live:
            self._doing[place.port] = f"{place.port}: {who}{at}"
            self._draw()
            return
        doing = f"{place.port}: {'listening' if who == 'listening' else 'asking'}{at}"
        if self._said.get(place.port) != doing:
            self._said[place.port] = doing
            self._say(doing)

    @asynccontextmanager
    async def counting(self, seconds: float, ports: int) -> AsyncIterator[None]:
        """Ask for a card, and count down, for the length of the block."""
        where = "the reader" if ports == 1 else f"each reader on these {ports} ports"
        ticking = asyncio.create_task(self._count(seconds, f"hold a card to {where} now"), name="countdown")
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.wait({ticking})
            self._call = ""

    async def _count(self, seconds: float, call: str) -> None:
        loop = asyncio.get_running_loop()
        ends, every = loop.time() + seconds, 1 if self._live else _TOLD_EVERY_S
        while (left := round(ends - loop.time())) > 0:
            self._call = f"{call}: {left} s"
            if self._live:
                self._draw()
            else:
                self._say(self._call)
            await asyncio.sleep(every)

    def _draw(self) -> None:
        """The block anew, over the one before."""
        if not self._live:
            return
        width = shutil.get_terminal_size().columns - 1
        lines = [line[:width] for line in (*self._doing.values(), self._call) if line]
        self._to.write((_UP.format(self._shown) if self._shown else "") + "\r" + _CLEAR)
        self._to.write("".join(f"{line}\n" for line in lines))
        self._to.flush()
        self._shown = len(lines)

    def _say(self, line: str) -> None:
        self._to.write(line + "\n")
        self._to.flush()
