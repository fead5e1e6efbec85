"""Opening what blocks while it opens, without holding up the loop."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> None: ...


Device = TypeVar("Device", bound=_Closable)


async def in_thread(work: Callable[[], Device]) -> Device:
    """What `work` opens, in a thread. Cancelled meanwhile, it is closed as soon as it is open."""
    opening = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[Device]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
