"""Publishing at once, over the center's own account, and watching the gates take it; or only the latter.

The center's publisher does the same within a second where it runs; this does not wait for it, and works without it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from center.broker import Account, Link, connected
from center.publish.delivery import Progress, deliver
from center.publish.opened import repository
from center.publish.recovery import catch_up
from center.publish.retained import Retained
from center.publish.taking import Taking
from center.site.folder import Site

_TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class Screen:
    """What is told meanwhile: how much the broker has, and which gates have said something new."""

    broker: Progress = lambda *_: None
    gates: Callable[[Taking, Sequence[str]], None] = lambda *_: None


async def publish(site: Site, account: Account, screen: Screen | None = None) -> int:
    """Let the broker hold what is in force; how many bytes. Raises BrokerAwayError, PublishError, SiteError."""
    await catch_up(site, account)
    async with connected(account, []) as link:
        return await _publish(site, link, screen or Screen())


async def flash(site: Site, account: Account, taking: Taking, timeout_s: float, screen: Screen) -> None:
    """Publish, and return when each gate has had its last word or the time is over. Raises as `publish`."""
    await catch_up(site, account)
    async with connected(account, taking.subscriptions) as link, _listening(link, taking, screen) as listening:
        await _publish(site, link, screen)
        screen.gates(taking, tuple(taking.gates))
        await _settled(taking, listening, timeout_s)


async def watch(account: Account, taking: Taking, timeout_s: float, screen: Screen) -> None:
    """Of what is published already: return when each gate has had its last word. Raises BrokerAwayError."""
    async with connected(account, taking.subscriptions) as link, _listening(link, taking, screen) as listening:
        screen.gates(taking, tuple(taking.gates))
        await _settled(taking, listening, timeout_s)


async def _publish(site: Site, link: Link, screen: Screen) -> int:
    held = await asyncio.to_thread(repository, site)
    return await deliver(link, held, Retained(site.name), site.repository, screen.broker)


@asynccontextmanager
async def _listening(link: Link, taking: Taking, screen: Screen) -> AsyncIterator[asyncio.Task[None]]:
    listening = asyncio.create_task(_listen(link, taking, screen), name="flash.listen")
    try:
        yield listening
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen(link: Link, taking: Taking, screen: Screen) -> None:
    clock = asyncio.get_running_loop().time
    async for message in link.messages():
        link.done(message)
        name = taking.hear(message.topic, message.payload, clock(), fresh=not message.retained)
        if name is not None:
            screen.gates(taking, (name,))


async def _settled(taking: Taking, listening: asyncio.Task[None], timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    while not taking.done(loop.time()) and loop.time() < until:
        await asyncio.wait((listening,), timeout=_TICK_S)
        if listening.done():
            listening.result()
