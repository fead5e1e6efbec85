"""What a gate with a center has beyond one that runs alone: keys, the line, and what is said over it.

Put together here and imported only where the configuration has `[center]`: cryptography and MQTT weigh 15 MB, and a
gate alone needs neither.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gated import board
from gated.clock import Timekeeper
from gated.config import CenterConfig, Config
from gated.lanes.post import Post
from gated.lists import flash_run
from gated.lists.flash_run import Flashes
from gated.lists.whitelist import Whitelist
from gated.logs import FilteringBoundLogger
from gated.recording.journal import Journal
from gated.recording.store import FILE_NAME
from gated.state import Describer
from gated.talking import keys, status_message
from gated.talking.expected import ExpectedVisitors
from gated.talking.keys import KeysError
from gated.talking.line import Line, Settings
from gated.talking.listed import ListedKeys
from gated.talking.mqtt import Account
from gated.talking.operators import SignedOperators
from gated.talking.orders_run import Commands, Hands
from gated.talking.policy import SignedPolicy
from protocol import broker_url
from protocol.event import Kind
from protocol.message import Status
from protocol.operators import Registrars

__all__ = ["Center", "KeysError", "Parts"]

FORGET_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the gate that have to do with the center."""

    config: Config
    journal: Journal
    post: Post
    keeper: Timekeeper
    whitelist: Whitelist
    describe: Describer
    restart: Callable[[], None]
    log: FilteringBoundLogger


class Center:
    """The center, as the gate knows it. Making it raises KeysError where the gate is not set up."""

    def __init__(self, parts: Parts, config: CenterConfig) -> None:
        self._parts = parts
        site, gate, state = parts.config.site, parts.config.gate, parts.config.state
        self._keys = keys.load(state, site=site, gate=gate)
        self._listed = ListedKeys(state, self._keys, parts.log)
        self._board = board.identity()
        account = Account(
            broker_url.parse(config.broker),
            config.username,
            keys.broker_password(config.password),
            config.ca,
            config.certificate,
            config.key,
        )
        self._line = Line(
            Settings(site, gate, self._board, account, state / FILE_NAME),
            self._keys,
            believed=lambda: self._listed.held.center,
            journal=parts.journal,
            keeper=parts.keeper,
            describe=self._status,
            rival=self._rival,
            confirmed=lambda: keys.settle(state),
            log=parts.log,
        )
        self._operators = SignedOperators(state, gate, parts.log)
        self._policy = SignedPolicy(parts.config, state, parts.log)
        hands = Hands(parts.post, parts.keeper, self._line, self._diagnose, parts.restart, parts.log)
        self._commands = Commands(site, gate, self._operators, hands)
        self._line.add(self._commands)
        flashing = flash_run.Hands(
            line=self._line,
            keeper=parts.keeper,
            whitelist=parts.whitelist,
            switched=parts.post.refresh_list,
            documents=self._documents_changed,
            trouble=self._supply,
            log=parts.log,
        )
        self._flashes = Flashes(site, gate, state, flashing)
        self._line.add(self._flashes)
        self.expected = ExpectedVisitors(state, self._keys, parts.keeper, lambda: self._flashes.vouched, parts.log)
        """Who is announced; for whoever asks on the control socket, and for nothing else."""
        self._documents_changed()

    async def run(self) -> None:
        """Talk with it until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._flashes.work(), name="flashes")
            group.create_task(self._commands.work(), name="commands")
            group.create_task(self._forget(), name="expected")
            await self._line.run()

    @property
    def confirmed(self) -> bool:
        """Whether it has confirmed within a day what counts as acknowledged: only then is that pruned."""
        return self._line.confirmed

    @property
    def registrars(self) -> Registrars:
        """Whose e-IDs count now; any thread may ask."""
        return self._operators.registrars

    def state(self) -> Mapping[str, object]:
        """How the line fares, for `gated status`."""
        uplink = self._line.uplink
        told = uplink.confirmed_at
        return {
            "online": self._line.online,
            "why": self._line.away,
            "session": self._line.session,
            "backlog": uplink.backlog,
            "confirmed_s_ago": None if told is None else round(self._parts.keeper.now().mono - told, 1),
            "rivals": list(self._line.rivals.epochs),
            "commands": {"accepted": self._commands.accepted, "refused": self._commands.refused},
            "supply": self._supply_trouble(),
            "list_age_s": self._list_age(),
        }

    def _documents_changed(self) -> None:
        """Take up other verified documents: whose keys, commands and cards count, policy, who is announced."""
        if trouble := self._listed.refresh():
            self._parts.post.note(Kind.ALARM, {"what": "keys-trouble", "why": trouble[:1000]})
        self._operators.refresh()
        registrars = self._operators.registrars.issuing
        self._parts.post.rule_by(replace(self._policy.refresh(), registrars=registrars))
        self.expected.refresh()

    async def _forget(self) -> None:
        """Hold nobody in memory much longer than they are announced for."""
        while True:
            await asyncio.sleep(FORGET_S)
            self.expected.forget()

    def _supply(self, why: str) -> None:
        """Tell of a trouble with what the center sends, once."""
        if why:
            self._parts.log.error("flash.trouble", why=why)
            self._parts.post.note(Kind.ALARM, {"what": "flash-trouble", "why": why[:1000]})
        else:
            self._parts.log.info("flash.well")

    async def _status(self, line: Line) -> Status:
        state = await self._parts.describe()
        supply = status_message.Supply(self._list_age(), self._supply_trouble())
        introduced = None if self._listed.held.known else self._keys
        return status_message.status(state, line, introduced, self._board, supply, self._commands.refused)

    async def _diagnose(self) -> dict[str, object]:
        from gated import diagnostics  # noqa: PLC0415 - for the day when it is asked for

        return await diagnostics.collect(self._parts.config, self._parts.describe)

    def _list_age(self) -> float | None:
        """How long ago the center vouched for what is in force; None if it never has."""
        vouched = self._flashes.vouched
        return None if vouched is None else round(max(self._parts.keeper.now().validity - vouched, 0.0), 1)

    def _supply_trouble(self) -> str:
        told = (self._flashes.trouble, self._policy.trouble, self._listed.held.trouble, self.expected.trouble)
        return "; ".join(part for part in told if part)

    def _rival(self, epoch: str) -> None:
        self._parts.log.error("center.rival", epoch=epoch, effect="another box speaks under this gate's name")
        self._parts.post.note(Kind.ALARM, {"what": "rival", "epoch": epoch})
