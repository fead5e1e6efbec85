"""Waiting for something to be seen."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

LIMIT_S: Final = 60.0
"""Far longer than anything here takes, also on a machine that is busy."""
_POLL_S: Final = 0.05


class LateError(Exception):
    """It has not been seen in time; the message says what."""


async def until(seen: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> float:
    """Return when it is seen, with the seconds that took. Raises LateError."""
    began = time.monotonic()
    while not seen():
        if time.monotonic() - began > limit_s:
            raise LateError(what)
        await asyncio.sleep(_POLL_S)
    return time.monotonic() - began
