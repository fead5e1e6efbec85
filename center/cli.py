"""What the center's commands share: exit statuses, the configuration, how things are printed."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from center import config
from center.config import Config
from center.store import Store


class Status(IntEnum):
    """Exit statuses."""

    OK = 0
    WRONG = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130
    BROKEN_PIPE = 141


STATUSES: Final = {
    Status.OK: "What was asked is done, and nothing is wrong.",
    Status.WRONG: "What was asked failed, or something wrong was found.",
    Status.USAGE: "The command line or the configuration is wrong.",
    Status.UNREACHABLE: "Something could not be read or reached: no permission, no database.",
    Status.INTERRUPTED: "Interrupted (Ctrl-C).",
    Status.BROKEN_PIPE: "Whoever read the output went away (… | head).",
}

Subparsers = Any  # argparse does not name the type of what add_subparsers gives


class Failure(Exception):  # noqa: N818 - it ends a command; nothing is raised from it
    """What a command was asked for failed; the message says why and what to do."""

    def __init__(self, message: str, status: Status = Status.WRONG) -> None:
        super().__init__(message)
        self.status = status


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


def say(text: str = "") -> None:
    """Print a line of the result."""
    sys.stdout.write(text + "\n")


def say_json(value: object) -> None:
    """Print a result for another program."""
    # A half of a surrogate pair, which a gate may have written, becomes its escape again.
    say(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())


def complain(text: str) -> None:
    """Print what is no result to standard error."""
    sys.stderr.write(text + "\n")


def when(at: float | None) -> str:
    """A moment in local time."""
    return "never" if at is None else datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")


def iso(at: float | None) -> str | None:
    """A moment for another program."""
    return None if at is None else datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")
