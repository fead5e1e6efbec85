"""What a gate with a center has beyond one that runs alone: keys, the line, and what is said over it.

Put together here and imported only where the configuration has `[center]`: cryptography and MQTT weigh 15 MB, and a
gate alone needs neither.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gated import board, keys, status_message
from gated.clock import Timekeeper
from gated.config import CenterConfig, Config
from gated.journal import Journal
from gated.keys import KeysError
from gated.line import Line, Settings
from gated.logs import FilteringBoundLogger
from gated.mqtt import Account
from gated.operators import SignedOperators
from gated.orders_run import Commands, Hands
from gated.post import Post
from gated.state import Describer
from gated.store import FILE_NAME
from gated.whitelist import Whitelist
from protocol import broker_url
from protocol.event import Kind
from protocol.message import Status

__all__ = ["Center", "KeysError", "Parts"]


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
            journal=parts.journal,
            keeper=parts.keeper,
            describe=self._status,
            rival=self._rival,
            confirmed=lambda: keys.settle(state),
            log=parts.log,
        )
        self._operators = SignedOperators(state, gate, parts.log)
        self._operators.refresh()
        hands = Hands(parts.post, parts.keeper, self._line, self._diagnose, parts.restart, parts.log)
        self._commands = Commands(site, gate, self._operators, hands)
        self._line.add(self._commands)

    async def run(self) -> None:
        """Talk with it until cancelled."""
        await self._line.run()

    @property
    def confirmed(self) -> bool:
        """Whether it has confirmed within a day what counts as acknowledged: only then is that pruned."""
        return self._line.confirmed

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
            "rivals": sorted(uplink.rivals),
            "commands": {"accepted": self._commands.accepted, "refused": self._commands.refused},
        }

    def documents_changed(self) -> None:
        """Take up other verified documents: who may give commands."""
        self._operators.refresh()

    async def _status(self, line: Line) -> Status:
        state = await self._parts.describe()
        age = self._list_age()
        return status_message.status(state, line, self._keys, self._board, age, self._commands.refused)

    async def _diagnose(self) -> dict[str, object]:
        from gated import diagnostics  # noqa: PLC0415 - for the day when it is asked for

        return await diagnostics.collect(self._parts.config, self._parts.describe)

    def _list_age(self) -> float | None:
        info = self._parts.whitelist.info
        return None if info is None or info.as_of is None else max(self._parts.keeper.now().validity - info.as_of, 0.0)

    def _rival(self, epoch: str) -> None:
        self._parts.log.error("center.rival", epoch=epoch, effect="another box speaks under this gate's name")
        self._parts.post.note(Kind.ALARM, {"what": "rival", "epoch": epoch})
