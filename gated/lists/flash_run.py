"""Flashes: the thin shell around `gated.lists.flash`, a `Talk` of the line.

The machine's acts are done one after the other, in their order, by a task that outlives each connection: a build goes
on while the broker is away. What is said or asked for without a connection is left out; the machine says it all again
at the next one.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gated.clock import Timekeeper
from gated.lists.depot import Depot
from gated.lists.flash import Flash
from gated.lists.flash_acts import (
    Act,
    Build,
    Check,
    KeepMessage,
    KeepPiece,
    Publish,
    Release,
    Subscribe,
    Switched,
    Unsubscribe,
)
from gated.lists.flash_child import Child, ChildFailedError
from gated.lists.whitelist import Whitelist
from gated.logs import FilteringBoundLogger
from gated.talking import keys
from gated.talking.line import Line
from gated.talking.mqtt import BrokerAway, Connection, Incoming
from protocol import topics
from protocol.topics import BlobAddress

TICK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Hands:
    """What flashes have in their reach.

    `switched` takes up another list between two decisions, `documents` other documents, `trouble` hears each new
    trouble with the list's supply once, and "" when it is over.
    """

    line: Line
    keeper: Timekeeper
    whitelist: Whitelist
    switched: Callable[[], None]
    documents: Callable[[], None]
    trouble: Callable[[str], None]
    log: FilteringBoundLogger


class Flashes:
    """The flashes of one session."""

    subscriptions: Sequence[str] = ()

    def __init__(self, site: str, gate: str, state: Path, hands: Hands) -> None:
        self._repository = topics.repository(site)
        self._site = site
        self._hands = hands
        self._depot = Depot(state)
        self._child = Child(state, keys.current(state) / "root.json")
        self._flash = Flash(site, gate, hands.line.session, sign=hands.line.sign, kept=self._depot.begin())
        self._connection: Connection | None = None
        self._acts: asyncio.Queue[Act] = asyncio.Queue()
        self._told = ""

    @property
    def trouble(self) -> str:
        """What is wrong with the list's supply; "" while all is well."""
        return self._flash.trouble

    @property
    def vouched(self) -> float | None:
        """When the center last vouched for what is in force (POSIX s)."""
        return self._flash.vouched

    async def work(self) -> None:
        """Do what is to be done until cancelled; started once, with the line."""
        self._do(self._flash.start(self._hands.keeper.now()))
        self._hold()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tick(), name="flash.tick")
                while True:
                    act = await self._acts.get()
                    with suppress(BrokerAway):  # the connection's own task tells it; all is said again at the next
                        await self._act(act)
                    self._tell()
        finally:
            self._child.kill()

    async def run(self, connection: Connection) -> None:
        """See `Talk`."""
        self._connection = connection
        self._do(self._flash.connected(self._hands.keeper.now()))
        try:
            await asyncio.Event().wait()
        finally:
            self._connection = None
            self._flash.disconnected()

    def hear(self, message: Incoming) -> bool:
        """See `Talk`."""
        now = self._hands.keeper.now()
        if message.topic == self._repository:
            self._do(self._flash.message(message.payload, now))
            return True
        address = topics.parse(message.topic)
        if not isinstance(address, BlobAddress) or address.site != self._site:
            return False
        self._do(self._flash.piece(address.sha256, address.piece, message.payload, now))
        return True

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._do(self._flash.tick(self._hands.keeper.now()))

    def _do(self, acts: list[Act]) -> None:
        for act in acts:
            self._acts.put_nowait(act)

    async def _act(self, act: Act) -> None:
        now = self._hands.keeper.now
        try:
            match act:
                case KeepMessage() | KeepPiece():
                    await self._keep(act)
                case Check():
                    self._do(self._flash.checked(await self._child.check(act), now()))
                case Build():
                    self._hands.log.info("flash.building")
                    self._do(self._flash.built(await self._child.build(act), now()))
                case Switched(of_list, of_documents):
                    self._switched(of_list=of_list, of_documents=of_documents)
                case Release():
                    await self._child.release()
                case _:
                    await self._talk(act)
        except (ChildFailedError, OSError) as error:
            self._do(self._flash.failed(str(error), now()))

    async def _keep(self, act: KeepMessage | KeepPiece) -> None:
        try:
            if isinstance(act, KeepMessage):
                await asyncio.to_thread(self._depot.put_message, act.message)
            else:
                await asyncio.to_thread(self._depot.put, act.sha256, act.piece, act.data)
        except OSError as error:
            self._do(self._flash.unkept(act, str(error), self._hands.keeper.now()))

    def _switched(self, *, of_list: bool, of_documents: bool) -> None:
        if of_documents:
            self._hands.documents()
        if of_list:
            self._hands.switched()
        self._hold()

    def _hold(self) -> None:
        """Say to the machine what is in force."""
        info, now = self._hands.whitelist.info, self._hands.keeper.now()
        version, entries = (None, None) if info is None else (info.version, info.entries)
        self._do(self._flash.holding(version, entries, now))

    async def _talk(self, act: Act) -> None:
        connection = self._connection
        if connection is None:
            return
        match act:
            case Subscribe(topic):
                await connection.subscribe(topic)
            case Unsubscribe(topic):
                await connection.unsubscribe(topic)
            case Publish(topic, payload):
                await connection.publish(topic, payload, retain=True)

    def _tell(self) -> None:
        if self._flash.trouble != self._told:
            self._told = self._flash.trouble
            self._hands.trouble(self._told)
