"""Fake gates at a real broker, in a thread of their own: commands of `gatectl` bring their own loop."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from types import TracebackType
from typing import Self

from sqlalchemy import update

from center.broker import Account, BrokerAwayError, Link, connected
from center.records.store import Store
from center.records.tables import gate
from center.site.folder import Site
from protocol import repository as names
from protocol import topics
from protocol.message import WhitelistStatus
from tests.chain import SITE, FakeGate

Say = Callable[[str, int], list[WhitelistStatus]]
"""What a gate says when it hears of a state of the repository: its session, the state's number."""
WAIT_S = 20.0


def taken(session: str, snapshot: int) -> list[WhitelistStatus]:
    """A gate that fetches and takes it."""
    states = (("fetching", 500), ("building", 1000), ("idle", None))
    return [
        WhitelistStatus(
            session=session,
            number=snapshot * 10 + number,
            in_force="2" if state == "idle" else "1",
            entries=3,
            state=state,
            version="2",
            snapshot=snapshot,
            done=done,
            total=1000 if done else None,
        )
        for number, (state, done) in enumerate(states)
    ]


def refused(session: str, snapshot: int) -> list[WhitelistStatus]:
    """A gate that refuses it."""
    why = "whitelist.jsonl.zst: line 3: unknown key 'x'\x1b[2J"
    return [
        WhitelistStatus(
            session=session,
            number=snapshot * 10,
            in_force="1",
            entries=9,
            state="refused",
            snapshot=snapshot,
            why=why,
        )
    ]


class Gates:
    """Gates with their keys in the site's database; `say` is what each of them says, None if it is offline."""

    def __init__(self, site: Site, url: str, say: Mapping[str, Say | None]) -> None:
        self.fakes = {name: FakeGate(name, session=f"{name}1") for name in say}
        self._url = url
        self._say = say
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        with closing(Store.open(site.database, site.name)) as store, store.database.transaction() as connection:
            for name, fake in self.fakes.items():
                known = update(gate).where(gate.c.name == name)
                connection.execute(known.values(key=fake.public, seal=fake.seal, enrolled=0.0))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with connected(Account(self._url), [topics.repository(SITE)]) as link:
            for name, fake in self.fakes.items():
                payload = fake.status(1) if self._say[name] is not None else fake.offline()
                await link.publish(topics.status(SITE, name), payload, retain=True)
            hearing = asyncio.create_task(self._hear(link))
            self._ready.set()
            await self._stop.wait()
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self, link: Link) -> None:
        try:
            async for message in link.messages():
                link.done(message)
                files = names.decode(message.payload)
                (snapshot,) = (int(name.partition(".")[0]) for name in files if name.endswith(".snapshot.json"))
                for name, say in self._say.items():
                    for said in say(self.fakes[name].session, snapshot) if say is not None else ():
                        topic = topics.whitelist(SITE, name)
                        await link.publish(topic, self.fakes[name].sign(topic, said.to_bytes()), retain=True)
        except BrokerAwayError:
            return
