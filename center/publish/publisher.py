"""The publisher: keeps the broker's retained topics equal to the site's whitelist repository, and its signatures young.

- At each connect everything is said; after that what has changed, within `LOOK_S` of the change. A broker that forgets,
  or that says something else than it was told, is told again: it is heard on all of it, pieces too. That costs the echo
  of what is said, and nothing as long as nobody says anything.
- One process at a time does it: another one waits, and takes over when the first has ended.
- Each hour, and at the start, the online key signs again; what people must do something about becomes an alarm.
- It is looked every few seconds whether other visitors are to be announced, or to other gates: `gatectl expected` has
  published what it changed by itself, but not that somebody's time is over, or that a gate was set up.
- A connection of its own: no gate's answer waits behind a list.

Nothing that goes wrong here ends it: gates keep the list that they have, and it is tried again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from center.broker import Account, BrokerAwayError, Link, connected, raise_if_cancelled
from center.publish.delivery import deliver
from center.publish.ending import certificates
from center.publish.metadata import PublishError
from center.publish.opened import alone, changing, repository
from center.publish.recovery import catch_up
from center.publish.retained import Retained
from center.records.alarms import ENDING, LAPSED, SIGNERS, UNSIGNED
from center.records.database import DatabaseAwayError
from center.site.files import SiteError
from center.site.folder import Site
from protocol import topics
from protocol.credential import masked
from protocol.expected import ExpectedError

LOOK_S: Final = 0.3
"""How often it is looked whether the repository has changed: one `stat`."""
RENEW_S: Final = 3600.0
AGAIN_S: Final = 60.0
"""After a renewal that failed; there are 24 hours."""
RECONNECT_FIRST_S: Final = 0.2
RECONNECT_MAX_S: Final = 10.0
FIRST_S: Final = 30.0
"""How long the first renewal waits for the broker."""
CONTRADICTED_S: Final = 5.0
"""How long to wait before a broker that says something else is told again: there may be two centers."""
ANNOUNCE_S: Final = 5.0
"""How often it is looked who is announced: a query."""
LEADER: Final = ".publisher"
_STAND_BY_S: Final = 1.0

Note = Callable[[str, Sequence[str]], Awaitable[None]]
"""Takes alarms of the site: their kind, and the texts of all that there are now. Raises DatabaseAwayError."""
Announce = Callable[[], Awaitable[bool]]
"""Puts into force what visitors are announced, whether that was due (`center.publish.expected`)."""
_TROUBLE: Final = (PublishError, SiteError, OSError)


class Publisher:
    """The publisher of one site. `run` it once."""

    def __init__(self, site: Site, account: Account, note: Note, announce: Announce, log: FilteringBoundLogger) -> None:
        self._site = site
        self._account = account
        self._note = note
        self._announcing = announce
        self._log = log
        self._retained = Retained(site.name)
        self._look = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._doubting = False
        self._why = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`; what is being said is broken off then, and said again at the next start."""
        async with asyncio.TaskGroup() as tasks:
            leading = tasks.create_task(self._lead(), name="publisher")
            await stop.wait()
            leading.cancel()

    async def _lead(self) -> None:
        told = False
        while True:
            with alone(self._site.repository / LEADER) as mine:
                if mine:
                    self._log.info("publisher.started")
                    await self._work()
            if not told:
                self._log.info("publisher.standing-by")
            told = True
            await asyncio.sleep(_STAND_BY_S)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew(), name="publisher.renew")
            tasks.create_task(self._announce(), name="publisher.announce")
            tasks.create_task(self._watch(), name="publisher.watch")
            tasks.create_task(self._connect(), name="publisher.connect")

    # Signatures

    async def _settled(self) -> None:
        """Return when the online key may sign.

        A folder from a backup first takes back what was signed since: else it would sign the same numbers again.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await self._caught_up.wait()

    async def _renew(self) -> None:
        await self._settled()
        while True:
            pause_s = RENEW_S
            try:
                for kind, texts in (await asyncio.to_thread(self._renewed)).items():
                    await self._alarm(kind, texts)
            except _TROUBLE as error:
                pause_s = AGAIN_S
                self._log.error("publisher.not-renewed", why=str(error))
                await self._alarm(UNSIGNED, [f"the center cannot sign the list's date of today: {error}"])
            await asyncio.sleep(pause_s)

    def _renewed(self) -> dict[str, list[str]]:
        """Sign again; the alarms by kind."""
        now = datetime.now(UTC)
        with changing(self._site):
            held = repository(self._site)
            before = held.suspensions
            held.renew(now)
            kept = {one.credential for one in held.suspensions}
        lapsed = [
            f"the suspension of {masked(one.credential)} has lapsed: it is in force again"
            for one in before
            if one.credential not in kept
        ]
        return {SIGNERS: held.alarms(now), LAPSED: lapsed, ENDING: certificates(self._site, now)}

    async def _announce(self) -> None:
        await self._settled()
        why = ""
        while True:
            try:
                if await self._announcing():
                    self._log.info("publisher.announced")
                why = ""
            except DatabaseAwayError:
                pass  # whoever asks it tells; what is announced stays
            except (*_TROUBLE, ExpectedError) as error:
                if str(error) != why:
                    self._log.error("publisher.not-announced", why=str(error))
                why = str(error)
            await asyncio.sleep(ANNOUNCE_S)

    async def _alarm(self, kind: str, texts: Sequence[str]) -> None:
        for text in texts:
            self._log.warning(f"alarm.{kind}", text=text)
        if texts:
            with suppress(DatabaseAwayError):  # they are in the log, and there again in an hour
                await self._note(kind, texts)

    # From the repository to the broker

    async def _watch(self) -> None:
        """Wake the connection when the repository has changed; the timestamp is always written last."""
        path = self._site.repository / "timestamp.json"
        seen: tuple[int, int] | None = None
        while True:
            now = await asyncio.to_thread(_mark, path)
            if now != seen:
                seen = now
                self._look.set()
            await asyncio.sleep(LOOK_S)

    async def _connect(self) -> None:
        pause_s, told = RECONNECT_FIRST_S, False
        said = [f"{topics.ROOT}/{self._site.name}/whitelist/#"]
        while True:
            try:
                await self._catch_up()
                async with connected(self._account, said) as link:
                    self._log.info("publisher.connected")
                    pause_s, told = RECONNECT_FIRST_S, False
                    self._retained = Retained(self._site.name)
                    self._look.set()
                    await self._while(link)
            except BrokerAwayError as error:
                raise_if_cancelled()
                if not told:
                    self._log.error("publisher.broker-away", why=str(error))
                told = True
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RECONNECT_MAX_S)

    async def _catch_up(self) -> None:
        """Before anything is said: what the broker has of ours and we have not, after a restore from a backup."""
        try:
            taken = await catch_up(self._site, self._account)
            self._caught_up.set()
            if taken:
                self._log.warning("publisher.caught-up", effect="the broker held newer signatures; they are taken back")
        except _TROUBLE as error:
            self._log.error("publisher.not-caught-up", why=str(error))
            await self._alarm(UNSIGNED, [str(error)])
            raise BrokerAwayError(str(error)) from error

    async def _while(self, link: Link) -> None:
        """Say and hear as long as the connection lasts. Ends by BrokerAwayError."""
        hearing = asyncio.create_task(self._hear(link), name="publisher.hear")
        saying = asyncio.create_task(self._say(link), name="publisher.say")
        try:
            done, _ = await asyncio.wait((hearing, saying), return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in (hearing, saying):
                task.cancel()
            await asyncio.gather(hearing, saying, return_exceptions=True)

    async def _say(self, link: Link) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            started = time.monotonic()
            try:
                held = await asyncio.to_thread(repository, self._site)
                length = await deliver(link, held, self._retained, self._site.repository)
            except _TROUBLE as error:
                self._tell(str(error))
                continue
            self._why = ""
            if length:
                self._log.info("publisher.published", bytes=length, seconds=round(time.monotonic() - started, 2))

    def _tell(self, why: str) -> None:
        if why != self._why:
            self._log.info("publisher.nothing-to-say", why=why)
        self._why = why

    async def _hear(self, link: Link) -> None:
        async for message in link.messages():
            link.done(message)
            self._retained.heard(message.topic, message.payload)
            if self._retained.contradicted and not self._doubting:
                self._doubting = True
                asyncio.get_running_loop().call_later(CONTRADICTED_S, self._contradict)

    def _contradict(self) -> None:
        """Say again what the broker still holds otherwise; what we said ourselves a moment ago has arrived by now."""
        self._doubting = False
        if count := self._retained.contradicted:
            effect = "the broker holds another state; it is told again"
            self._log.warning("publisher.contradicted", topics=count, effect=effect)
            self._retained.forget()
            self._look.set()


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
