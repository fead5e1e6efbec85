"""`gated-center`: what runs, and what keeps the database."""

import argparse
import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

from center import config, logs, migrations
from center.cli import Failure, Status, Subparsers, command, configuration, say
from center.database import Database
from center.store import Store
from center.worker import Settings, Worker


def add(subparsers: Subparsers) -> None:
    """These commands' part of the command line."""
    command(
        subparsers,
        "serve",
        "Run the center in one process: takes in what gates send, until SIGTERM or Ctrl-C.",
        "sudo -u gated-center gated-center serve -c /etc/gated/center.toml",
        run_ingest,
    )
    command(
        subparsers,
        "ingest",
        "Run one ingest worker; with workers = true as many as you like, on as many machines.",
        "sudo -u gated-center gated-center ingest -c /etc/gated/center.toml",
        run_ingest,
    )
    command(
        subparsers,
        "migrate",
        "Make the database's tables, or bring them to this program's version. Workers do it by themselves.",
        "sudo -u gated-center gated-center migrate",
        run_migrate,
    )
    backup = command(
        subparsers,
        "backup",
        "Copy the database to FILE while all goes on (SQLite; for PostgreSQL it says what to run).",
        "sudo -u gated-center gated-center backup /srv/backup/center-$(date +%F).db",
        run_backup,
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="where to; it must not be there yet")


def run_ingest(args: argparse.Namespace) -> int:
    """Work until told to stop."""
    settings = configuration(args)
    account, key = config.account(settings, args.config), config.online_key(settings, args.config)
    if settings.database is None:
        settings.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    opened = partial(Store.open, settings.database_url, settings.site)
    asyncio.run(_work(Settings(settings.site, account, key, shared=settings.workers), opened))
    return Status.OK


def run_migrate(args: argparse.Namespace) -> int:
    """Bring the database to the newest version."""
    settings = configuration(args)
    if settings.database is None:
        settings.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    with closing(Database(settings.database_url)) as database:
        before, after = migrations.migrate(database)
    say(f"the database is at version {after}" + ("" if before == after else f", before it was at {before or 'none'}"))
    return Status.OK


def run_backup(args: argparse.Namespace) -> int:
    """Copy the database."""
    settings = configuration(args)
    database = Database(settings.database_url, read_only=True)
    if database.path is None:
        raise Failure(f"the database is PostgreSQL: pg_dump --format=custom --file={args.file} {database.url!s}")
    if not database.path.exists():
        raise Failure(f"{database.path} is not there", Status.UNREACHABLE)
    if args.file.exists():
        raise Failure(f"{args.file} is there already; name another file")
    part = args.file.with_name(f".{args.file.name}.part")
    part.unlink(missing_ok=True)
    part.touch(0o600)
    try:
        readable = f"file:{quote(str(database.path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(readable, uri=True)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
            [(found,)] = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if found != "ok":
            raise Failure(f"the copy is damaged: {found}")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(args.file)
    finally:
        part.unlink(missing_ok=True)
    say(f"{args.file}: {args.file.stat().st_size:,} bytes")
    return Status.OK


async def _work(settings: Settings, opened: partial[Store]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Worker(settings, opened, logs.configure()).run(stop)
