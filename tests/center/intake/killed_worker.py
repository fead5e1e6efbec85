"""A worker that is killed after its commit and before its answer. Arguments: the broker's and the database's URL."""

import asyncio
import os
import signal
import sys

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.broker import Account, Link
from center.intake.batches import Answer
from center.intake.worker import Settings, Worker
from center.records.store import Store
from tests.chain import SITE


class Killed(Worker):
    """See above."""

    async def _answer(self, _link: Link, _answer: Answer) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(broker: str, url: str) -> None:
    """Work until killed."""
    settings = Settings(SITE, Account(broker), Ed25519PrivateKey.generate())
    await Killed(settings, lambda: Store.open(url, SITE), structlog.get_logger()).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
