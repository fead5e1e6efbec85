"""Giving a gate a command: reads its latest status, signs, sends, and waits for the answer.

- A command names the session of the gate's status and runs out by the gate's own clock (`until`), so it needs a status
  that the gate has signed. A status that somebody on the way holds back makes a command that the gate refuses.
- The answer counts if the gate has signed it. Without one nobody knows whether the command was carried out: it may
  still be until it runs out, `LIFE_S` after it was given at the latest.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from center.broker import Account, Link, Message, connected
from protocol import dsse, topics
from protocol.message import Command, MessageError, Offline, Reply, Status, gate_says
from protocol.signature import verified

LIFE_S: Final = 120.0
"""Counted from the gate's latest status, which is up to a minute old: at least half of it is left."""
_ID_BYTES: Final = 12

Action = Literal["open", "hold", "release", "resend", "diagnostics", "restart"]


class GateSilentError(Exception):
    """The gate has not answered, or is not there; the message says which."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Whom a command is for; what it says is signed by one of its keys."""

    site: str
    name: str
    keys: Sequence[Ed25519PublicKey]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the gate is to do."""

    action: Action
    lane: str | None = None
    seconds: float | None = None
    after: int | None = None
    reason: str = ""


async def give(
    account: Account, gate: Gate, wish: Wish, key: Ed25519PrivateKey, *, wait_s: float, now: Callable[[], datetime]
) -> Reply:
    """What the gate has answered. Raises GateSilentError, BrokerAwayError."""
    status_topic = topics.status(gate.site, gate.name)
    replies = topics.reply(gate.site, gate.name, "+")
    async with connected(account, [status_topic, replies]) as link:
        try:
            async with asyncio.timeout(wait_s):
                status = await _status(link, gate)
        except TimeoutError as error:
            raise GateSilentError(f"{gate.name} has said nothing that its key has signed") from error
        command = made(gate, wish, status, now())
        await link.publish(
            topics.command(gate.site, gate.name), dsse.sign(dsse.COMMAND_TYPE, command.to_bytes(), [key])
        )
        try:
            async with asyncio.timeout(wait_s):
                return await _reply(link, gate, command.id)
        except TimeoutError as error:
            raise GateSilentError(
                f"{gate.name} has not answered within {wait_s:g} s; until {command.expires} it may still do it. "
                "To a key that is none of its operators' it answers nothing"
            ) from error


def made(gate: Gate, wish: Wish, status: Status, now: datetime) -> Command:
    """The command, after a status that has just arrived."""
    return Command(
        site=gate.site,
        gate=gate.name,
        session=status.session,
        id=secrets.token_urlsafe(_ID_BYTES),
        action=wish.action,
        lane=wish.lane,
        seconds=wish.seconds,
        after=wish.after,
        reason=wish.reason,
        issued=now.isoformat(timespec="milliseconds"),
        expires=(now + timedelta(seconds=LIFE_S)).isoformat(timespec="milliseconds"),
        until=round(status.sent.mono + LIFE_S, 3),
    )


def heard(message: Message, topic: str, gate: Gate) -> bytes | None:
    """What the gate has said on this topic; None if it is not from there, or not signed by the gate."""
    return verified(topic, message.payload, gate.keys) if message.topic == topic else None


async def _status(link: Link, gate: Gate) -> Status:
    topic = topics.status(gate.site, gate.name)
    async for message in link.messages():
        link.done(message)
        bare = heard(message, topic, gate)
        try:
            said = gate_says(bare) if bare is not None else None
        except MessageError:
            continue
        if isinstance(said, Offline):
            raise GateSilentError(f"{gate.name} is offline")
        if said is not None:
            return said
    raise AssertionError("messages end only by an exception")


async def _reply(link: Link, gate: Gate, id_: str) -> Reply:
    topic = topics.reply(gate.site, gate.name, id_)
    async for message in link.messages():
        link.done(message)
        bare = heard(message, topic, gate)
        try:
            reply = Reply.from_bytes(bare) if bare is not None else None
        except MessageError:
            continue
        if reply is not None and reply.id == id_:
            return reply
    raise AssertionError("messages end only by an exception")
