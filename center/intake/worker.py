"""An ingest worker: the thin shell between broker, intake and store.

What arrives is acknowledged to the broker at once, and waits in a bounded inbox where each gate has its turn: behind a
broker that is made to wait, all gates wait in one line for the one that floods. One round takes what is there, judges
and writes it in one transaction in the writer's thread, and hands the answers to whoever says them. Nothing is said
before its commit. While the database is away the round stands still. If the worker dies with what waits, gates send it
again, as they do with all that they have no answer to.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from structlog.typing import FilteringBoundLogger

from center import clock
from center.broker import Account, BrokerAwayError, Link, Message, connected, raise_if_cancelled
from center.intake.batches import GROUP_MAX_BATCHES, Answer, Arrival, Intake
from center.intake.hearing import Said, hear
from center.intake.inbox import Inbox
from center.intake.ingest import Outcome
from center.publish.signed import overdue, signed_last
from center.records.database import DatabaseAwayError, said
from center.records.store import Judged, Store
from center.records.writer import StoppingError, Writer
from protocol import topics
from protocol.message import Offline
from protocol.repository import MalformedError
from protocol.signature import public_bytes, public_key, signed

INBOX_MAX_BYTES: Final = 32 * 1024 * 1024
"""What waits to be judged. Beyond it messages are dropped unread: gates send again what has no answer."""
RECONNECT_FIRST_S: Final = 0.2
RECONNECT_MAX_S: Final = 10.0
KEYS_S: Final = 5.0
OWN_KEY_S: Final = 1.0
WATCH_S: Final = 10.0
STOP_S: Final = 5.0
REFUSED_S: Final = 60.0
_UNKNOWN_S: Final = 1.0
_SAY_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """Whose worker this is. `shared`: several workers share the batches.

    `reread` gives the key as it is now: another one may have taken its place. None where it cannot be read just now.
    """

    site: str
    account: Account
    key: Ed25519PrivateKey
    shared: bool = False
    reread: Callable[[], Ed25519PrivateKey | None] = lambda: None


class Worker:
    """One worker. `run` it once."""

    def __init__(self, settings: Settings, opened: Callable[[], Store], log: FilteringBoundLogger) -> None:
        self._settings = settings
        self._key = settings.key
        self._log = log
        self._writer = Writer(opened, log)
        self._intake = Intake(settings.site, self._keys_of)
        self._keys: dict[str, bytes | None] = {}
        self._public: dict[str, tuple[Ed25519PublicKey, ...]] = {}
        self._keys_wanted = asyncio.Event()
        self._inbox = Inbox(INBOX_MAX_BYTES)
        self._dropped_told: Counter[str] = Counter()
        self._arrived = asyncio.Event()
        self._answers: dict[tuple[str, str], Answer] = {}
        self._to_say = asyncio.Event()
        self._all_said = asyncio.Event()
        self._link: Link | None = None
        self._since: float | None = None
        self._refused: Counter[str] = Counter()
        self._refused_at: dict[str, float] = {}
        self._list_signed: tuple[datetime, datetime | None] | None = None
        self._overdue: str | None = None
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish what is under way and end."""
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(self._listen(), name="worker.listen"),
                tasks.create_task(self._know_keys(), name="worker.keys"),
                tasks.create_task(self._know_own_key(), name="worker.own-key"),
                tasks.create_task(self._watch(), name="worker.watch"),
            ]
            judging = tasks.create_task(self._judge(), name="worker.judge")
            await stop.wait()
            self._stopping = True
            self._writer.stop()
            self._arrived.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await asyncio.wait([judging])
                    if self._answers and self._link is not None:
                        await self._all_said.wait()
            for task in (judging, *others):
                task.cancel()
        await self._writer.close()
        self._log.info("ingest.stopped", unsaid=len(self._answers))

    # From the broker to the inbox

    async def _listen(self) -> None:
        group = "$share/ingest/" if self._settings.shared else ""
        site = self._settings.site
        subscriptions = (group + topics.events(site, "+"), topics.status(site, "+"), topics.repository(site))
        pause_s, told, why = RECONNECT_FIRST_S, False, ""
        while True:
            try:
                async with connected(self._settings.account, subscriptions) as link, asyncio.TaskGroup() as tasks:
                    self._link, self._since = link, time.time()
                    pause_s, told = RECONNECT_FIRST_S, False
                    self._log.info("broker.connected")
                    tasks.create_task(self._say(link), name="worker.say")
                    async for message in link.messages():
                        link.done(message)
                        self._put(message)
            except (BrokerAwayError, BaseExceptionGroup) as error:
                why = _broker_trouble(error)
            finally:
                self._link = self._since = None
            raise_if_cancelled()
            if not told:
                self._log.error("broker.away", why=why)
            told = True
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RECONNECT_MAX_S)

    def _put(self, message: Message) -> None:
        address = topics.parse(message.topic)
        if message.topic == topics.repository(self._settings.site) and message.payload:
            self._hear_list(message.payload)
        if not isinstance(address, topics.GateAddress):
            return
        whole = not self._inbox.dropped
        self._inbox.put("" if self._keys and address.gate not in self._keys else address.gate, message)
        if whole and self._inbox.dropped:
            self._log.warning("ingest.inbox-full", gate=next(iter(self._inbox.dropped)) or None)
        self._arrived.set()

    # From the inbox to the database

    async def _judge(self) -> None:
        with suppress(StoppingError):
            await self._read_keys()
            while not self._stopping:
                await self._something()
                await self._round()

    async def _something(self) -> None:
        """Wait until there is something to judge."""
        if self._inbox or self._stopping:
            return
        self._arrived.clear()
        wait_s = None if self._intake.idle else self._intake.due(time.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._arrived.wait()

    async def _round(self) -> None:
        said: list[Said] = []
        for _ in range(GROUP_MAX_BATCHES):
            message = self._inbox.take()
            one = None if message is None else self._take(message)
            if one is not None:
                said.append(one)
            if message is None or (one is not None and one.new is not None):
                break  # what comes behind new keys may be signed with them
        arrivals = self._intake.group(time.monotonic())
        if arrivals or said:
            judged = await self._written(arrivals, said)
            self._take_outcomes(arrivals, judged)
            for one, counted in zip(said, judged.counted, strict=True):
                self._tell(one, counted=counted)
            for name, key in judged.enrolled.items():
                self._log.info("gate.enrolled", gate=name)
                self._take_keys({**self._keys, name: key})

    def _take(self, message: Message) -> Said | None:
        """Take a message: a batch into the intake; a status is given back."""
        address = topics.parse(message.topic)
        if not isinstance(address, topics.GateAddress) or not message.payload:
            return None
        if self._keys.get(address.gate) is None:
            self._keys_wanted.set()
        now = time.time()
        if address.leaf == "status":
            return hear(self._settings.site, message.topic, message.payload, self._keys, now)
        refused = self._intake.refused.signature
        if not message.retained:
            self._intake.take(message.topic, message.payload, received=now, at=time.monotonic())
        if self._intake.refused.signature > refused:
            self._tell_refused(address.gate if address.gate in self._keys else "", time.monotonic())
        return None

    def _tell_refused(self, gate: str, now: float) -> None:
        """Log a message that was not the gate's own; not each of them, and strangers all as one.

        Of gates without a key they are counted: one of these that was removed is told of (`_tell_removed`).
        """
        if gate and self._keys[gate] is None:
            self._refused[gate] += 1
        if now - self._refused_at.get(gate, -REFUSED_S) >= REFUSED_S:
            self._refused_at[gate] = now
            self._log.warning("ingest.refused", gate=gate or None, so_far=self._intake.refused.signature)

    async def _written(self, arrivals: list[Arrival], said_: list[Said]) -> Judged:
        """Write a round. What cannot be written although the database is there is found and set apart."""
        try:
            return await self._writer.until_done(
                Store.ingest, arrivals, said_, keys=self._keys, center_synced=clock.synced()
            )
        except StoppingError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad batch must not stop all gates: it is set apart below
            self._log.error("ingest.round-failed", why=said(error))
        outcomes = [await self._written_alone(arrival) for arrival in arrivals]
        counted: list[bool] = []
        enrolled: dict[str, bytes] = {}
        for one in said_:
            try:
                judged = await self._writer.until_done(Store.ingest, [], [one], keys=self._keys)
            except StoppingError:
                raise
            except Exception as error:  # noqa: BLE001 - the gate says the next one within a minute
                self._log.error("ingest.status-failed", gate=one.gate, why=said(error))
                counted.append(False)
            else:
                counted += judged.counted
                enrolled |= judged.enrolled
        return Judged(outcomes, counted, enrolled)

    async def _written_alone(self, arrival: Arrival) -> Outcome | None:
        try:
            judged = await self._writer.until_done(
                Store.ingest, [arrival], keys=self._keys, center_synced=clock.synced()
            )
            return judged.outcomes[0]
        except StoppingError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch is kept and somebody is told
            self._log.error("ingest.batch-failed", gate=arrival.gate, why=said(error))
            await self._writer.until_done(Store.set_apart, arrival, f"it cannot be stored: {said(error)}")
            return None

    def _take_outcomes(self, arrivals: list[Arrival], judged: Judged) -> None:
        for arrival, outcome in zip(arrivals, judged.outcomes, strict=True):
            if outcome is None:
                self._keys_wanted.set()  # it was verified with keys that are no longer the gate's
            elif self._intake.judged(arrival, outcome, time.monotonic()):
                for alarm in [one for one in outcome.alarms if not one.over]:
                    self._log.warning(f"alarm.{alarm.kind}", gate=arrival.gate, text=alarm.text)
        for answer in self._intake.answers():
            self._answers[answer.gate, answer.ack.epoch] = answer
            self._all_said.clear()
            self._to_say.set()

    def _tell(self, one: Said, *, counted: bool) -> None:
        if counted and isinstance(one.message, Offline):
            self._log.warning("gate.offline", gate=one.gate)
        elif not counted:
            self._log.debug("gate.status-passed-over", gate=one.gate)

    # From the database to the gates

    async def _say(self, link: Link) -> None:
        """Publish the answers that are due, also those that the connection before this one did not take."""
        while True:
            while self._answers:
                due = list(self._answers.items())[:_SAY_AT_ONCE]
                async with asyncio.TaskGroup() as tasks:
                    for _, answer in due:
                        tasks.create_task(self._answer(link, answer))
                for place, answer in due:
                    if self._answers.get(place) is answer:
                        del self._answers[place]
            self._all_said.set()
            self._to_say.clear()
            await self._to_say.wait()

    async def _answer(self, link: Link, answer: Answer) -> None:
        topic = topics.ack(self._settings.site, answer.gate)
        await link.publish(topic, signed(topic, answer.ack.to_bytes(), self._key), retain=True)

    # What else it looks after

    def _keys_of(self, gate: str) -> tuple[Ed25519PublicKey, ...]:
        return self._public.get(gate, ())

    async def _know_keys(self) -> None:
        """Keep up with the gates' keys; soon after a message that they do not fit, else now and then."""
        while True:
            await asyncio.sleep(_UNKNOWN_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(KEYS_S):
                    await self._keys_wanted.wait()
            with suppress(DatabaseAwayError):
                self._take_keys(await self._writer.once(Store.all_keys))

    async def _know_own_key(self) -> None:
        """Keep up with the key that answers are signed with."""
        while True:
            await asyncio.sleep(OWN_KEY_S)
            own = await asyncio.to_thread(self._settings.reread)
            if own is not None and public_bytes(own) != public_bytes(self._key):
                self._key = own
                self._log.info("ingest.key", key=public_bytes(own).hex()[:16])

    async def _read_keys(self) -> None:
        self._take_keys(await self._writer.until_done(Store.all_keys))
        self._log.info("ingest.started", gates=len(self._keys))

    def _take_keys(self, keys: dict[str, bytes | None]) -> None:
        self._keys_wanted.clear()
        if keys != self._keys:
            self._keys = keys
            self._public = {name: (public_key(key),) for name, key in keys.items() if key is not None}

    async def _watch(self) -> None:
        """Look for gates that have fallen silent; only what we would have heard counts."""
        while True:
            await asyncio.sleep(WATCH_S)
            with suppress(DatabaseAwayError):
                await self._tell_dropped()
                await self._tell_removed()
            if self._since is None:
                continue
            with suppress(DatabaseAwayError):
                await self._tell_overdue()
                # While the database was away nothing was heard either.
                since = max(self._since, self._writer.back_at)
                for name in await self._writer.once(Store.look_for_silent, time.time(), since=since):
                    self._log.warning("alarm.silent", gate=name)

    def _hear_list(self, message: bytes) -> None:
        """Note when what the broker holds of the list was signed."""
        try:
            self._list_signed = signed_last(message)
        except MalformedError as error:
            self._log.error("ingest.list-unreadable", why=str(error))

    async def _tell_overdue(self) -> None:
        """Raise an alarm when the list at the broker is not signed again in time, and end it when it is."""
        if self._list_signed is None:
            return
        why = "; ".join(overdue(*self._list_signed, datetime.now(UTC)))
        if why != self._overdue and await self._writer.once(Store.note_overdue, why, time.time()):
            self._log.warning("alarm.overdue", text=why)
        self._overdue = why

    async def _tell_dropped(self) -> None:
        """Raise an alarm for whose messages were dropped; the count begins anew when all that waited is judged."""
        dropped, over = Counter(self._inbox.dropped), not self._inbox
        if not dropped or (dropped == self._dropped_told and not over):
            return
        await self._writer.once(Store.note_dropped, dropped, time.time())
        self._dropped_told = Counter() if over else dropped
        if over:
            self._log.warning("ingest.dropped", messages=dict(dropped))
            self._inbox.dropped -= dropped

    async def _tell_removed(self) -> None:
        """Raise an alarm for each removed gate whose batches still come: all that came since the last look at once."""
        if not self._refused:
            return
        refused = self._refused.copy()
        await self._writer.once(Store.note_removed, refused, time.time())
        self._refused -= refused


def _broker_trouble(error: BaseException) -> str:
    """Why the connection ended; anything but the broker's own trouble goes on."""
    if isinstance(error, BaseExceptionGroup):
        trouble, rest = error.split(BrokerAwayError)
        if rest is not None or trouble is None:
            raise error
        return _broker_trouble(trouble.exceptions[0])
    return str(error)
