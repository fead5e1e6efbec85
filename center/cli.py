"""What the commands of `gated-center` share: the configuration, the store, how times are printed."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from center import config
from center.config import Config
from center.output import Failure, Status
from center.records.store import Store

Subparsers = Any  # argparse does not name the type of what add_subparsers gives


def command(subparsers: Subparsers, name: str, what: str, example: str, run: Any) -> argparse.ArgumentParser:
    """A command that says what it does, and shows it."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=what,
        description=what,
        epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=config.DEFAULT_PATH,
        metavar="FILE",
        help=f"the configuration (default {config.DEFAULT_PATH})",
    )
    parser.set_defaults(run=run)
    return parser


def configuration(args: argparse.Namespace) -> Config:
    """The configuration that the command line names. Raises ConfigError."""
    return config.load(args.config)


@contextmanager
def opened(args: argparse.Namespace, *, read_only: bool = True) -> Iterator[Store]:
    """The store, for the length of a command."""
    settings = configuration(args)
    if settings.database is None and read_only and not (settings.state / "center.db").exists():
        where = settings.state / "center.db"
        raise Failure(f"{where} is not there: gated-center migrate makes it", Status.UNREACHABLE)
    store = Store.open(settings.database_url, settings.site, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


def when(at: float | None) -> str:
    """A moment in local time."""
    return "never" if at is None else datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")


def iso(at: float | None) -> str | None:
    """A moment for another program."""
    return None if at is None else datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")
