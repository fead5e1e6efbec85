"""Publishing at once, over the center's own account, and watching the gates take it.

The center's publisher does the same within a second where it runs; this does not wait for it, and works without it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from center.broker import Account, Link, connected
from center.publish.delivery import Progress, deliver
from center.publish.opened import repository
from center.publish.recovery import catch_up
from center.publish.retained import Retained
from center.site.folder import Site
from center.taking import Taking

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
    async with connected(account, taking.subscriptions) as link:
        begun = asyncio.Event()
        listening = asyncio.create_task(_listen(link, taking, begun, screen), name="flash.listen")
        try:
            begun.set()
            await _publish(site, link, screen)
            screen.gates(taking, tuple(taking.gates))
            await _settled(taking, listening, timeout_s)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _publish(site: Site, link: Link, screen: Screen) -> int:
    held = await asyncio.to_thread(repository, site)
    return await deliver(link, held, Retained(site.name), site.repository, screen.broker)


async def _listen(link: Link, taking: Taking, begun: asyncio.Event, screen: Screen) -> None:
    clock = asyncio.get_running_loop().time
    async for message in link.messages():
        link.done(message)
        fresh = begun.is_set() and not message.retained
        name = taking.hear(message.topic, message.payload, clock(), fresh=fresh)
        if name is not None:
            screen.gates(taking, (name,))


async def _settled(taking: Taking, listening: asyncio.Task[None], timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    while not taking.done(loop.time()) and loop.time() < until:
        await asyncio.wait((listening,), timeout=_TICK_S)
        if listening.done():
            listening.result()
