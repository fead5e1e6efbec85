"""`gated version`: what is installed."""

import argparse

from gated.commands.options import Subparsers, add_json, command
from gated.commands.output import Status, say, say_json


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(subparsers, "version", "Print the versions of gated, Python and SQLite.", "gated version --json")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the versions."""
    found = versions()
    if args.json:
        say_json(found)
    else:
        say(" · ".join(f"{name} {version}" for name, version in found.items()))
    return Status.OK


def versions() -> dict[str, str]:
    """What runs here, by name."""
    import platform  # noqa: PLC0415 - not for --help
    import sqlite3  # noqa: PLC0415 - not for --help
    from importlib import metadata  # noqa: PLC0415 - not for --help

    return {
        "gated": metadata.version("gated"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
