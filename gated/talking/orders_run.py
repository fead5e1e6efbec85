"""Carrying out what an operator of the center orders: the thin shell around `gated.talking.orders`.

Every accepted command is an event of kind `command` that bears the name of the operator's key, written before anything
else happens; what it opens is a further event, and opens only when that is on disk (exits excepted, rule 4). Each
command is answered once, when it is known what became of it. What is refused is counted, and logged once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from gated.clock import Timekeeper
from gated.lanes.barrier import COMMAND, FIRE, Barrier, Lost
from gated.lanes.holds import Hold
from gated.lanes.openings import Order, Outcome
from gated.lanes.post import Post
from gated.logs import FilteringBoundLogger
from gated.talking.line import Line
from gated.talking.mqtt import Connection, Incoming
from gated.talking.operators import Operators
from gated.talking.orders import Accepted, Orders, Refused
from gated.talking.uplink import ResendError
from protocol import topics
from protocol.event import Kind
from protocol.message import Reply

REPLIES_MAX: Final = 100
"""Replies that wait for a connection; the oldest is left out first, since nobody waits that long."""
LAST_WORD_S: Final = 2.0
"""How long a restart waits for its reply to be sent."""
_WHY_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Hands:
    """What commands have in their reach. `diagnose` makes the support bundle, `restart` ends the daemon in order."""

    post: Post
    keeper: Timekeeper
    line: Line
    diagnose: Callable[[], Awaitable[dict[str, object]]]
    restart: Callable[[], None]
    log: FilteringBoundLogger


class Commands:
    """The commands of one session; a `Talk` of the line."""

    def __init__(self, site: str, gate: str, operators: Operators, hands: Hands) -> None:
        self.subscriptions: Sequence[str] = (topics.command(site, gate),)
        self._site = site
        self._gate = gate
        self._operators = operators
        self._hands = hands
        self._orders = Orders(site, gate, hands.line.session, hands.post.stations)
        self._replies: deque[Reply] = deque(maxlen=REPLIES_MAX)
        self._news = asyncio.Event()
        self._said = asyncio.Event()
        self._slow: asyncio.Queue[Callable[[], Coroutine[None, None, None]]] = asyncio.Queue()

    @property
    def accepted(self) -> int:
        """How many commands were taken in this session."""
        return self._orders.accepted

    @property
    def refused(self) -> Mapping[str, int]:
        """How many were not, by reason."""
        return dict(self._orders.refused)

    async def work(self) -> None:
        """Carry out what takes its time, whether there is a connection or not, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task((await self._slow.get())())

    async def run(self, connection: Connection) -> None:
        """See `Talk`: give the answers."""
        while True:
            self._news.clear()
            while self._replies:
                reply = self._replies[0]
                topic = topics.reply(self._site, self._gate, reply.id)
                await connection.publish(topic, self._hands.line.sign(topic, reply.to_bytes()))
                with suppress(IndexError, ValueError):
                    self._replies.remove(reply)
            self._said.set()
            await self._news.wait()

    def hear(self, message: Incoming) -> bool:
        """See `Talk`: judge a command, and begin to carry it out."""
        if message.topic not in self.subscriptions:
            return False
        found = self._orders.judge(
            message.topic,
            message.payload,
            self._operators(),
            self._hands.keeper.stamp(),
            retained=message.retained,
        )
        if isinstance(found, Refused):
            self._refuse(found)
        else:
            self._carry_out(found)
        return True

    def _refuse(self, found: Refused) -> None:
        if found.news:
            self._hands.log.warning(
                "command.refused", reason=found.reason, why=found.why, operator=found.operator or None
            )
        if found.id:
            self._reply(Reply(id=found.id, ok=False, refused=found.reason, why=found.why[:_WHY_MAX]))

    def _carry_out(self, order: Accepted) -> None:
        command = order.command
        self._hands.log.info("command.accepted", action=command.action, lane=command.lane, operator=order.operator)
        self._hands.post.note(Kind.COMMAND, self._event(order))
        match command.action:
            case "open":
                self._open(order)
            case "hold":
                self._hold(order)
            case "release":
                self._release(order)
            case "resend":
                self._resend(order)
            case "diagnostics":
                self._slow.put_nowait(partial(self._diagnose, order))
            case "restart":
                self._slow.put_nowait(partial(self._restart, order))

    # At the lanes

    def _open(self, order: Accepted) -> None:
        self._at_barrier(order, "command", Barrier.open, lambda _: None)

    def _hold(self, order: Accepted) -> None:
        until = self._hands.keeper.now().mono + (order.command.seconds or 0.0)
        self._at_barrier(order, "held", lambda barrier, _: barrier.hold(COMMAND), partial(self._held, order, until))

    def _at_barrier(
        self, order: Accepted, by: str, how: Callable[[Barrier, Lost], None], then: Callable[[Outcome], None]
    ) -> None:
        command, lane = order.command, order.command.lane or ""
        if self._hands.post.stations[lane].barrier is None:
            self._failed(order, f"lane {lane} has no barrier")
            return

        def told(outcome: Outcome) -> None:
            if outcome.opened:
                then(outcome)
            why = outcome.why or ("" if outcome.opened else "the journal cannot be written")
            self._done(order, why, seq=outcome.seq)

        fields = {"seconds": command.seconds, **self._who(order)}
        self._hands.post.order(lane, by, fields, Order(told, how))

    def _held(self, order: Accepted, until: float, outcome: Outcome) -> None:
        lane = order.command.lane or ""
        barrier = self._hands.post.stations[lane].barrier
        if barrier is not None:
            hold = Hold(lane, barrier, until, order.operator, order.command.id, outcome.seq)
            self._hands.post.holds.begun(hold)

    def _release(self, order: Accepted) -> None:
        lane = order.command.lane or ""
        if not self._hands.post.holds.release(lane, self._who(order)):
            self._failed(order, f"lane {lane} is not held by a command")
            return
        barrier = self._hands.post.stations[lane].barrier
        by_fire = barrier is not None and FIRE in barrier.holders
        self._done(order, "the fire alarm still holds it open" if by_fire else "")

    # The others

    def _resend(self, order: Accepted) -> None:
        after = order.command.after or 0
        try:
            until = self._hands.line.resend(after)
        except ResendError as error:
            self._failed(order, str(error))
        else:
            self._done(order, "", first=after + 1, last=until)

    async def _diagnose(self, order: Accepted) -> None:
        try:
            found = await self._hands.diagnose()
        except Exception as error:  # noqa: BLE001 - a bundle is for when something is wrong; what fails is told
            self._failed(order, f"{type(error).__name__}: {error}")
        else:
            self._done(order, "", **found)

    async def _restart(self, order: Accepted) -> None:
        """End in order, once this is said or cannot be. What is to be written still is, when the journal closes."""
        self._said.clear()
        self._done(order, "")
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await self._said.wait()
        self._hands.restart()

    # Events and answers

    def _event(self, order: Accepted) -> dict[str, object]:
        command = order.command
        return {
            "action": command.action,
            "lane": command.lane,
            "seconds": command.seconds,
            "after": command.after,
            **self._who(order),
            "key": order.keyid,
        }

    def _who(self, order: Accepted) -> dict[str, object]:
        command = order.command
        return {"operator": order.operator, "command": command.id, "reason": command.reason or None}

    def _failed(self, order: Accepted, why: str) -> None:
        self._reply(Reply(id=order.command.id, ok=False, why=why[:_WHY_MAX]))

    def _done(self, order: Accepted, why: str, **details: object) -> None:
        told = {key: value for key, value in details.items() if value is not None}
        self._reply(Reply(id=order.command.id, ok=not why, why=why[:_WHY_MAX], details=told))

    def _reply(self, reply: Reply) -> None:
        if not reply.ok and not reply.refused:
            self._hands.log.warning("command.failed", why=reply.why)
        self._replies.append(reply)
        self._news.set()
