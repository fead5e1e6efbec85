"""How the gates are, as they say themselves over the broker: verified, and in their order.

A will of a connection that has long been followed by another, and a status that was said before the last one, are no
news. What is not signed by the gate's key is passed over.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from center.broker import Account, Message, connected
from center.intake.hearing import hear
from center.orders import Gate, heard
from protocol import topics
from protocol.enrolment import vouched
from protocol.message import MessageError, Offline, Status, gate_says

Said = Status | Offline


@dataclass(frozen=True, slots=True)
class News:
    """A gate has said this."""

    gate: str
    said: Said


class Listener:
    """Tells news from what is old."""

    def __init__(self, gates: Mapping[str, Gate]) -> None:
        self.known: dict[str, Said] = {}
        """What each gate said last."""
        self._gates = gates

    def take(self, message: Message) -> News | None:
        """The news in a message, if there are any."""
        address = topics.parse(message.topic)
        gate = self._gates.get(address.gate) if isinstance(address, topics.GateAddress) else None
        bare = heard(message, topics.status(gate.site, gate.name), gate) if gate is not None else None
        if gate is None or bare is None:
            return None
        try:
            said = gate_says(bare)
        except MessageError:
            return None
        before = self.known.get(gate.name)
        if before is not None and before.session == said.session and _older(said, before):
            return None
        self.known[gate.name] = said
        return News(gate.name, said)


async def follow(account: Account, site: str, gates: Mapping[str, Gate]) -> AsyncGenerator[News, None]:
    """What the gates say, retained first. Ends only by BrokerAwayError."""
    listener = Listener(gates)
    async with connected(account, [topics.status(site, "+")]) as link:
        async for message in link.messages():
            link.done(message)
            news = listener.take(message)
            if news is not None:
                yield news


async def latest(account: Account, site: str, gates: Mapping[str, Gate], wait_s: float) -> dict[str, Said]:
    """What each gate said last; those that have said nothing within this time are left out. Raises BrokerAwayError."""
    listener = Listener(gates)
    async with connected(account, [topics.status(site, "+")]) as link:
        try:
            async with asyncio.timeout(wait_s):
                async for message in link.messages():
                    link.done(message)
                    listener.take(message)
                    if len(listener.known) == len(gates):
                        break
        except TimeoutError:
            pass  # who has said nothing is silent
    return dict(listener.known)


async def introduced(account: Account, site: str, vouchers: Mapping[str, bytes], wait_s: float) -> dict[str, bytes]:
    """The keys of the gates whose one-time keys (`vouchers`) have vouched for them, as far as they say so in this time.

    Raises BrokerAwayError.
    """
    found: dict[str, bytes] = {}
    async with connected(account, [topics.status(site, gate) for gate in vouchers]) as link:
        with suppress(TimeoutError):  # who has said nothing is not set up yet
            async with asyncio.timeout(wait_s):
                async for message in link.messages():
                    link.done(message)
                    found |= introduction(site, message, vouchers)
                    if len(found) == len(vouchers):
                        break
    return found


def introduction(site: str, message: Message, vouchers: Mapping[str, bytes]) -> dict[str, bytes]:
    """The key that a gate's status brings, if the gate's one-time key has vouched for it; else nothing."""
    said = hear(site, message.topic, message.payload, dict.fromkeys(vouchers), 0.0)
    if said is None or said.new is None:
        return {}
    by, new = vouchers[said.gate], said.new
    vouches = vouched(by, new.voucher, site=site, gate=said.gate, key=new.key, seal=new.seal)
    return {said.gate: new.key} if vouches else {}


def _older(said: Said, before: Said) -> bool:
    """Whether it was said before the other, in the same session."""
    if isinstance(said, Status) and isinstance(before, Status):
        return said.number <= before.number
    if isinstance(said, Offline):
        return said.connection < before.connection
    return said.connection <= before.connection
