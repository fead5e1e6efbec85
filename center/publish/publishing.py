"""The publisher as `gated-center` runs it: with the center's database for alarms, beside the ingest or on its own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from center.broker import Account
from center.config import Config
from center.config_problem import ConfigError, Problem
from center.publish import expected, gate_list
from center.publish.metadata import PublishError
from center.publish.publisher import Publisher
from center.records.database import DatabaseAwayError
from center.records.store import Store
from center.records.writer import Writer
from center.site.files import SiteError
from center.site.folder import Site

LEARN_S: Final = 5.0
"""How often it is looked whether the signers' list of gates says what the database does not know: a query."""
_AGAIN_S: Final = 30.0


def site(config: Config, path: Path) -> Site:
    """The site whose whitelist is to be published. Raises ConfigError."""
    folder = config.site_folder or Path()
    try:
        found = Site.open(folder)
    except SiteError as error:
        right = "the folder that gatectl site init made would be right"
        raise ConfigError(path, [Problem("site_folder", f"found {folder}: {error}", right)]) from error
    if found.name != config.site:
        problem = Problem("site_folder", f"found the site {found.name} in {folder}", f"that of {config.site} would be")
        raise ConfigError(path, [problem])
    return found


async def run(
    site_: Site, account: Account, opened: Callable[[], Store], log: FilteringBoundLogger, stop: asyncio.Event
) -> None:
    """Publish until `stop`. A fault of the publisher's own is logged, and it begins anew: ingest must go on."""
    writer = Writer(opened, log)

    async def note(kind: str, texts: Sequence[str]) -> None:
        await writer.once(Store.alarm_of_site, kind, texts, time.time())

    async def announce() -> bool:
        return await writer.once(expected.publish, site_, datetime.now(UTC))

    try:
        while not stop.is_set():
            try:
                async with asyncio.TaskGroup() as tasks:
                    learning = tasks.create_task(_learn(site_, writer, log), name="publisher.gates")
                    await Publisher(site_, account, note, announce, log).run(stop)
                    learning.cancel()
            except* Exception as group:
                log.exception("publisher.failed", exc_info=group)
                await _or_stopped(stop)
    finally:
        await writer.close()


async def _learn(site_: Site, writer: Writer, log: FilteringBoundLogger) -> None:
    """Let the database know the gates that the signers have signed for; a worker takes it from there."""
    why = ""
    while True:
        before, why = why, ""
        try:
            for name in await writer.once(gate_list.learn, site_, datetime.now(UTC)):
                log.info("gate.listed", gate=name)
        except DatabaseAwayError:
            pass  # whoever asks it tells; it is looked again soon
        except (PublishError, SiteError, OSError) as error:
            why = str(error)
        if why not in {"", before}:
            log.error("publisher.gates-not-read", why=why)
        await asyncio.sleep(LEARN_S)


async def _or_stopped(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_AGAIN_S):
            await stop.wait()
    except TimeoutError:
        return
