"""One gate of the community: its emulated post, who comes there, its line to the broker, its daemon, its watch."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

from gated.demo import words
from gated.demo.community.link import Link
from gated.demo.community.until import until
from gated.demo.daemon import Daemon
from gated.demo.day import Person, Visit
from gated.demo.families import EmulatedReader
from gated.demo.life import Life
from gated.demo.post import EmulatedPost
from gated.demo.watch import Heard, Watch

WALK_IN: Final = "walk-in"
_AGAIN_S: Final = 3.0


class Gate:
    """One gate. Enter it for its devices and its line; its daemon is somebody else's to keep."""

    def __init__(
        self,
        name: str,
        folder: Path,
        broker: int,
        *,
        mix: Sequence[str],
        tell: Callable[[str], None],
        heard: Heard,
        width: int,
    ) -> None:
        folder.mkdir()
        self.name = name
        self.post = EmulatedPost(folder, name, mix)
        self.life = Life(self.post)
        self.link = Link(broker)
        log = folder / "gated.log"
        self.daemon = Daemon(("gated", "run", "-c", str(self.post.config)), log, f"the daemon of {name}")
        self.watch = Watch(
            self.post,
            self.daemon,
            tell,
            label=f"{name:<{width}} ",
            heard=heard,
            event=self._hear,
        )
        self.unplugged: str | None = None
        self._listeners: list[Callable[[words.Event], None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.post)
        await self._stack.enter_async_context(self.link)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def list(self) -> dict[str, Any]:
        """What the daemon says of the list in force; nothing while it does not answer or has none."""
        status = self.watch.status or {}
        return status.get("list") or {}

    @property
    def acked(self) -> int | None:
        """The last event that the daemon takes as held by the center; None while it does not answer."""
        status = self.watch.status
        return None if status is None else int(status["journal"]["acked"])

    @property
    def backlog(self) -> int | None:
        """How many events the center has not said that it holds; None while the daemon does not answer."""
        status = self.watch.status
        return None if status is None else int(status["journal"]["seq"]) - int(status["journal"]["acked"])

    def listen(self, listener: Callable[[words.Event], None]) -> Callable[[], None]:
        """Hear each event as it is read from the journal, until the function that comes back is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def first(self) -> EmulatedReader:
        """The reader that is come to on purpose: the first one of walk-in."""
        return self.post.at(WALK_IN)[0]

    def devices(self) -> Iterator[tuple[str, bool]]:
        """Each reader's name, and whether it is online."""
        found = {} if self.watch.status is None else self.watch.status["devices"]
        for name, reader in self.post.readers.items():
            yield name, bool(found.get(reader.device, {}).get("online"))

    def _hear(self, event: words.Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)


async def come(gate: Gate, person: Person) -> str:
    """Let somebody come to this gate's walk-in until they are seen; the reason that the gate gives.

    "" where the reader there is unplugged. Within a minute the same card is no new passage. Raises LateError.
    """
    found: list[str] = []
    credential = person.credential(gate.first.family.form)

    def hear(event: words.Event) -> None:
        if event["kind"] == "passage" and event.get("credential") == credential:
            found.append(str(event["reason"]))

    unlisten = gate.listen(hear)
    trying = asyncio.create_task(_try(gate, person), name=f"{person.who} at {gate.name}")
    try:
        await until(lambda: bool(found) or gate.unplugged == gate.first.name, f"{gate.name} has seen {person.who}")
    finally:
        trying.cancel()
        unlisten()
    return found[0] if found else ""


async def _try(gate: Gate, person: Person) -> None:
    while True:
        await gate.life.come(Visit(0.0, WALK_IN, person, flagged=True), gate.first)
        await asyncio.sleep(_AGAIN_S)
