"""`gated-center`: what runs, and what keeps the database."""

import argparse
import asyncio
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center import clock, config, logs
from center.cli import Subparsers, command, configuration, opened
from center.config_problem import ConfigError, Problem
from center.intake.worker import Settings, Worker
from center.output import Failure, Status, complain, say, say_json
from center.records import migrations, prune
from center.records.database import Database, readable
from center.records.store import Store

Running = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""What runs until the event is set."""


def add(subparsers: Subparsers) -> None:
    """These commands' part of the command line."""
    command(
        subparsers,
        "serve",
        "Run the center in one process: takes in what gates send, publishes the whitelist; until SIGTERM or Ctrl-C.",
        "sudo -u gated-center gated-center serve -c /etc/gated/center.toml",
        run_serve,
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
        "publish",
        "Keep the site's whitelist at the broker, and its signatures young. `serve` does it by itself.",
        "sudo -u gated-center gated-center publish -c /etc/gated/center.toml",
        run_publish,
    )
    command(
        subparsers,
        "migrate",
        "Make the database's tables, or bring them to this program's version. Workers do it by themselves.",
        "sudo -u gated-center gated-center migrate",
        run_migrate,
    )
    pruning = command(
        subparsers,
        "prune",
        "Remove what is older than `keep` in the configuration says, in small steps beside all that runs.",
        "sudo -u gated-center gated-center prune --dry-run    # only say what would go",
        run_prune,
    )
    pruning.add_argument("--dry-run", action="store_true", help="only say what would go")
    pruning.add_argument("--json", action="store_true", help="print it for another program")
    backup = command(
        subparsers,
        "backup",
        "Copy the database to FILE while all goes on (SQLite; for PostgreSQL it says what to run).",
        "sudo -u gated-center gated-center backup /srv/backup/center-$(date +%F).db",
        run_backup,
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="where to; it must not be there yet")


def run_ingest(args: argparse.Namespace) -> int:
    """Take in what gates send until told to stop."""
    return _run(args, ingest=True, publish=False)


def run_serve(args: argparse.Namespace) -> int:
    """All of it until told to stop."""
    return _run(args, ingest=True, publish=configuration(args).site_folder is not None)


def run_publish(args: argparse.Namespace) -> int:
    """Publish until told to stop."""
    if configuration(args).site_folder is None:
        raise ConfigError(args.config, [Problem("site_folder", "is missing", "name the site's folder")])
    return _run(args, ingest=False, publish=True)


def _run(args: argparse.Namespace, *, ingest: bool, publish: bool) -> int:
    settings = configuration(args)
    account, key = config.account(settings, args.config), config.online_key(settings, args.config)
    if settings.database is None:
        settings.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    store, log = partial(Store.open, settings.database_url, settings.site), logs.configure()
    running: list[Running] = []
    if ingest:
        reread = partial(_key_now, settings, args.config)
        worker = Settings(settings.site, account, key, shared=settings.workers, reread=reread)
        running.append(lambda stop: Worker(worker, store, log).run(stop))
    if publish and settings.site_folder is not None:
        from center.publish import publishing  # noqa: PLC0415 - tuf is for those who publish

        site = publishing.site(settings, args.config)
        running.append(lambda stop: publishing.run(site, account, store, log, stop))
    asyncio.run(_until_stopped(running))
    return Status.OK


def _key_now(settings: config.Config, path: Path) -> Ed25519PrivateKey | None:
    """The online key as its file has it at this moment; None where it cannot be read: the one before goes on."""
    try:
        return config.online_key(settings, path)
    except ConfigError:
        return None


def run_migrate(args: argparse.Namespace) -> int:
    """Bring the database to the newest version."""
    settings = configuration(args)
    if settings.database is None:
        settings.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    with closing(Database(settings.database_url)) as database:
        before, after = migrations.migrate(database)
    say(f"the database is at version {after}" + ("" if before == after else f", before it was at {before or 'none'}"))
    return Status.OK


def run_prune(args: argparse.Namespace) -> int:
    """Remove what is too old, or say what is."""
    settings, now = configuration(args), time.time()
    with opened(args) as store:
        plan = prune.planned(store, settings.keep, now)
    if not args.dry_run:
        if not clock.synced():
            raise Failure("this machine's clock is not kept right (timedatectl): nothing is removed by it")
        key = config.online_key(settings, args.config)
        with opened(args, read_only=False) as store:
            prune.carry_out(store, plan, settings.keep, now, key)
    return _tell_pruned(args, plan)


def _tell_pruned(args: argparse.Namespace, plan: prune.Plan) -> int:
    chains = [
        {
            "gate": chain.head.name,
            "epoch": chain.head.epoch,
            "events": chain.events,
            "up_to": chain.up_to,
            "broken": chain.broken,
        }
        for chain in plan.chains
        if chain.events or chain.broken is not None
    ]
    broken = [chain for chain in chains if chain["broken"] is not None]
    if args.json:
        say_json({"chains": chains, "quarantine": plan.quarantine, "alarms": plan.alarms, "dry_run": args.dry_run})
        return Status.FAILED if broken else Status.OK
    done = "would go" if args.dry_run else "are gone"
    for chain in chains:
        say("{gate}  epoch {epoch}: {events:,} events up to {up_to:,} {done}".format_map(chain | {"done": done}))
    say(f"{plan.quarantine:,} batches in quarantine and {plan.alarms:,} alarms {done}")
    for chain in broken:
        complain(
            "gated-center: {gate}, epoch {epoch}: what is held from event {broken:,} on makes no chain; it stays. "
            "gated-center verify {gate}".format_map(chain)
        )
    return Status.FAILED if broken else Status.OK


def run_backup(args: argparse.Namespace) -> int:
    """Copy the database."""
    settings = configuration(args)
    database = Database(settings.database_url, read_only=True)
    if database.path is None:
        raise Failure(_dump(args.file, args.config))
    if not database.path.exists():
        raise Failure(f"{database.path} is not there", Status.UNREACHABLE)
    if args.file.exists():
        raise Failure(f"{args.file} is there already; name another file")
    part = args.file.with_name(f".{args.file.name}.part")
    part.unlink(missing_ok=True)
    part.touch(0o600)
    try:
        with closing(readable(database.path)) as source, closing(sqlite3.connect(part)) as copy:
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


def _dump(file: Path, configured: Path) -> str:
    """How PostgreSQL is copied. The database's address is not said: there may be a password in it."""
    if shutil.which("pg_dump") is None:
        return "the database is PostgreSQL, and pg_dump is not on this machine: sudo apt-get install postgresql-client"
    return (
        f"the database is PostgreSQL, which has a program for it: pg_dump --format=custom --file={file} DATABASE; "
        f"with --host and --username where `database` in {configured} names them, and a password from ~/.pgpass"
    )


async def _until_stopped(running: list[Running]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        for one in running:
            tasks.create_task(one(stop))
