"""The line to the center: one connection to the broker at a time, and everything that is said over it.

The thin shell around the uplink, and the way in for all else that talks with the center (`Talk`): flash and commands.
What is read of the journal is read in a thread, what is asked of it goes to its writer: the loop waits for no disk.

Said at each connect, on each change and each minute: how the gate is (`status`). The broker says the rest when we are
gone, by a last will that was signed at connect and can say nothing but that; who leaves in order says it in person.
What is said there is heard as well: another box under our name says how it is on the same topic.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from drivers.link import backoff
from gated.clock import Timekeeper
from gated.logs import FilteringBoundLogger
from gated.recording.journal import Journal, JournalTrouble
from gated.recording.journal_read import Following, JournalUnreadable
from gated.talking.keys import Keys
from gated.talking.mqtt import Account, BrokerAway, Connection, Incoming, Will, connected, raise_if_cancelled
from gated.talking.rivals import Rivals
from gated.talking.uplink import Acknowledge, Act, BeginEpoch, Head, Publish, Read, Rewind, Uplink, Us
from protocol import topics
from protocol.batch import BATCH_MAX_BYTES
from protocol.message import Message, MessageError, Offline, Sent, Status, gate_says
from protocol.signature import signed, verified

TICK_S: Final = 0.5
STATUS_S: Final = 60.0
SESSION_BYTES: Final = 9
LAST_WORD_S: Final = 1.0

Describe = Callable[["Line"], Awaitable[Status]]


class Talk(Protocol):
    """Something else that talks with the center over this line."""

    subscriptions: Sequence[str]
    """Topics that are asked for at each connect."""

    async def run(self, connection: Connection) -> None:
        """Talk for as long as this connection lasts; cancelled at its end."""
        ...

    def hear(self, message: Incoming) -> bool:
        """Take a message; False if it is none of ours."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """Who we are and whom we talk to."""

    site: str
    gate: str
    board: str
    account: Account
    journal: Path


class Line:
    """The gate's end. `run` it once; `session` is new at each start.

    `believed` gives the center's keys that count now, `rival` hears of another box under our name, `confirmed` that the
    center has taken something of ours: the keys work.
    """

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        *,
        believed: Callable[[], Iterable[Ed25519PublicKey]],
        journal: Journal,
        keeper: Timekeeper,
        describe: Describe,
        rival: Callable[[str], None],
        confirmed: Callable[[], None],
        log: FilteringBoundLogger,
        talks: Sequence[Talk] = (),
    ) -> None:
        self.session = secrets.token_urlsafe(SESSION_BYTES)
        self.rivals = Rivals(self.session)
        # Nobody else may know it: who connects under another's id throws them out, whatever their account.
        self._client_id = f"{settings.site}-{settings.gate}-{secrets.token_urlsafe(SESSION_BYTES)}"
        self.connection_number = 0
        self.status_number = 0
        self.away = "not connected yet"
        self._settings = settings
        self._keys = keys
        self._believed = believed
        self._journal = journal
        self._keeper = keeper
        self._describe = describe
        self._rival = rival
        self._when_confirmed = confirmed
        self._log = log
        self._talks = list(talks)
        self._connection: Connection | None = None
        self._said: Status | None = None
        us = Us(settings.site, settings.gate, settings.board)
        self.uplink = Uplink(us, sign=self.sign, verify=self._verify)
        self._following = Following(settings.journal)
        self._reader: Executor | None = None
        self._grown = asyncio.Event()
        self._acts: asyncio.Queue[Act] = asyncio.Queue()
        self._asks: asyncio.Queue[Act] = asyncio.Queue()

    def add(self, talk: Talk) -> None:
        """Let something else talk over this line, from the next connection on."""
        self._talks.append(talk)

    def resend(self, after: int) -> int:
        """Send all after this event again; up to which there is something now. Raises ResendError."""
        until, acts = self.uplink.resend(after, self._mono())
        self._do(acts)
        return until

    def sign(self, topic: str, message: bytes) -> bytes:
        """The message with the gate's signature."""
        return signed(topic, message, self._keys.sign)

    @property
    def online(self) -> bool:
        """Whether there is a connection to the broker now."""
        return self._connection is not None

    @property
    def confirmed(self) -> bool:
        """Whether the center has confirmed within a day what counts as acknowledged: only then is it pruned."""
        return self.uplink.confirmed(self._mono())

    def sent(self) -> Sent:
        """The time, as messages bear it."""
        stamp = self._keeper.stamp()
        return Sent(at=stamp.at, mono=max(stamp.mono, 0.0), boot=stamp.boot, clock=stamp.clock)

    async def say(self, topic: str, message: Message, *, retain: bool = False) -> None:
        """Sign and publish a message, if there is a connection. Raises BrokerAway."""
        if self._connection is not None:
            await self._connection.publish(topic, self.sign(topic, message.to_bytes()), retain=retain)

    async def run(self) -> None:
        """Talk with the center until cancelled."""
        self._journal.on_grown = self._grown.set
        self._reader = reader = ThreadPoolExecutor(1, "line.read")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="line.follow")
                group.create_task(self._ask(), name="line.ask")
                group.create_task(self._tick(), name="line.tick")
                await self._connect()
        finally:
            reader.submit(self._following.close)
            reader.shutdown(wait=False)

    # The connection

    async def _connect(self) -> None:
        attempt, told = 0, ""
        while True:
            began = self._mono()
            try:
                await self._hold()
            except* BrokerAway as group:
                self.away = "; ".join(dict.fromkeys(str(error) for error in _leaves(group)))
            raise_if_cancelled()
            if self.away != told:
                told = self.away
                self._log.warning("center.away", why=told)
            attempt = 0 if self._mono() - began > STATUS_S else attempt + 1
            await asyncio.sleep(backoff(attempt, random.random))

    async def _hold(self) -> None:
        """One connection, until it is lost."""
        site, gate = self._settings.site, self._settings.gate
        self.connection_number += 1
        status = topics.status(site, gate)
        gone = Offline(session=self.session, connection=self.connection_number)
        wanted = [topics.ack(site, gate), status, *(topic for talk in self._talks for topic in talk.subscriptions)]
        async with connected(
            self._settings.account,
            client_id=self._client_id,
            will=Will(status, self.sign(status, gone.to_bytes())),
            subscriptions=wanted,
        ) as connection:
            self._connection = connection
            while not self._acts.empty():
                self._acts.get_nowait()  # of the connection before
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._tell(), name="line.status")
                    group.create_task(self._send(connection, group), name="line.send")
                    for talk in self._talks:
                        group.create_task(talk.run(connection), name=f"line.{type(talk).__name__.lower()}")
                    self._log.info("center.connected", broker=self._settings.account.broker.host)
                    self.away = ""
                    # Here, not in a task: before Python 3.11.4 a group that fails after its body has ended leaves the
                    # task around it half cancelled, and the next timeout in that ends it. So it is wherever a group may
                    # fail and its task goes on.
                    await self._hear(connection)
            except asyncio.CancelledError:
                # Whoever leaves in order has no will at the broker: it is said here.
                with suppress(BrokerAway, TimeoutError):
                    async with asyncio.timeout(LAST_WORD_S):
                        await connection.publish(status, self.sign(status, gone.to_bytes()), retain=True)
                raise
            finally:
                self._connection = None
                self.uplink.disconnected()

    async def _hear(self, connection: Connection) -> None:
        site, gate = self._settings.site, self._settings.gate
        ack, status = topics.ack(site, gate), topics.status(site, gate)
        async for message in connection.messages():
            if message.topic == status:
                self._hear_status(message)
            elif message.topic == ack:
                refused = self.uplink.refused
                self._do(self.uplink.answered(message.payload, self._mono()))
                if self.uplink.refused > refused == 0:
                    self._log.warning("center.answer-refused", why="it is not signed by the center's key")
            elif not any(talk.hear(message) for talk in self._talks):
                self._log.debug("center.passed-over", topic=message.topic)

    def _hear_status(self, message: Incoming) -> None:
        """Our own come back as well, and what the broker retains is of a life before this one."""
        bare = None if message.retained else verified(message.topic, message.payload, [self._keys.sign.public_key()])
        if bare is None:
            return
        with suppress(MessageError):  # of a newer program, or our own will
            said = gate_says(bare)
            if isinstance(said, Status) and (epoch := self.rivals.hear(said)) is not None:
                self._rival(epoch)

    async def _send(self, connection: Connection, group: asyncio.TaskGroup) -> None:
        """Read and publish, in the order in which the uplink says so; never wait for the broker in between."""
        while True:
            match await self._acts.get():
                case Publish(payload):
                    topic = topics.events(self._settings.site, self._settings.gate)
                    group.create_task(connection.publish(topic, payload), name="line.publish")
                case Read(after):
                    self._do(await self._read(after))
                case _:
                    raise AssertionError("only what is read and sent is queued here")

    # How the gate is

    async def _tell(self) -> None:
        """Say how the gate is: now, then on each change and each minute.

        It comes before all else: it may bring the keys by which the center knows the rest to be ours.
        """
        await self._say_status(await self._describe(self))
        self._do(self.uplink.connected(self._mono()))
        said_at = self._mono()
        while True:
            status = await self._describe(self)
            now = self._mono()
            if now - said_at >= STATUS_S or self._changed(status):
                said_at = now
                await self._say_status(status)
            await asyncio.sleep(TICK_S * 2)

    async def _say_status(self, status: Status) -> None:
        self._said = status
        await self.say(topics.status(self._settings.site, self._settings.gate), status, retain=True)

    def _changed(self, status: Status) -> bool:
        before = self._said
        # That all is told is news; that something waits is not, or each passage would make us talk.
        told = before is not None and before.backlog > 0 and status.backlog == 0
        return before is None or told or _lasting(before) != _lasting(status)

    # The uplink's wishes

    def _do(self, acts: list[Act]) -> None:
        for act in acts:
            match act:
                case Publish() | Read():
                    self._acts.put_nowait(act)
                case _:
                    self._asks.put_nowait(act)

    async def _read(self, after: int) -> list[Act]:
        try:
            prev, lines = await asyncio.get_running_loop().run_in_executor(
                self._reader, self._following.read, after, BATCH_MAX_BYTES
            )
        except JournalUnreadable:
            return self.uplink.unread(self._mono())
        return self.uplink.read(after, prev, lines, self._keeper.stamp(), self._mono())

    async def _ask(self) -> None:
        """What the uplink asks of the journal, one after the other."""
        while True:
            act = await self._asks.get()
            try:
                match act:
                    case Acknowledge(seq, event_hash, keep):
                        fits = await self._journal.acknowledge(seq, event_hash, keep=keep)
                        self._do(self.uplink.checked(seq, self._mono(), fits=fits))
                        continue
                    case Rewind(seq, anew):
                        await (self._journal.begin_epoch(anew, after=seq) if anew else self._journal.rewind(seq))
                    case BeginEpoch(why):
                        self._log.error("journal.went-back", why=why)
                        await self._journal.begin_epoch(why)
                self._do(self.uplink.changed(self._head(), self._mono()))
            except JournalTrouble:
                self.uplink.unchecked()  # the journal tells its trouble itself; the center's next word comes soon

    async def _follow(self) -> None:
        while True:
            self._grown.clear()
            head = self._head()
            if head.epoch:
                self._do(self.uplink.journal(head, self._mono()))
            await self._grown.wait()

    async def _tick(self) -> None:
        told = False
        while True:
            await asyncio.sleep(TICK_S)
            self._do(self.uplink.tick(self._mono()))
            if self.uplink.confirmed_at is not None and not told:
                told = True
                self._when_confirmed()

    def _head(self) -> Head:
        state = self._journal.state
        return Head(state.epoch, state.first, state.root, state.seq, state.acked, state.oldest)

    def _verify(self, topic: str, message: bytes) -> bytes | None:
        return verified(topic, message, self._believed())

    def _mono(self) -> float:
        return self._keeper.now().mono


def _lasting(status: Status) -> tuple[object, ...]:
    """What of a status is news when it changes."""
    devices = {name: (device.online, device.why) for name, device in status.devices.items()}
    return (
        status.connection,
        status.mode,
        status.fire,
        status.epoch,
        status.list.version,
        status.list.trouble,
        status.key,
        status.rivals,
        status.heard,
        # That there is a reason at all is news; how often, is told each minute: strangers must not make us talk.
        frozenset(status.refused),
        devices,
    )


def _leaves(group: BaseExceptionGroup[BrokerAway]) -> list[BrokerAway]:
    found: list[BrokerAway] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
