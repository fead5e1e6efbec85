"""`gated expected`: who is announced to this gate, as the daemon holds it."""

import argparse
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gated.commands.options import Subparsers, add_config, add_json, command, configuration
from gated.commands.output import Status, complain, count, say, say_json, table


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "expected",
        "Print who is announced to this gate: whoever guards it registers them, nothing opens for them.",
        "sudo -u gated gated expected\nsudo -u gated gated expected 沪A12345",
    )
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="only where this stands: a name, a plate")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask the daemon; status 1 where it could not take what is announced."""
    from gated.commands.daemon import ask  # noqa: PLC0415 - not for --help

    answer = ask(configuration(args).state, {"op": "expected", "text": args.text})
    if args.json:
        say_json(answer)
    else:
        for line in table([_row(one) for one in answer["visitors"]]) if answer["visitors"] else ["nobody is announced"]:
            say(line)
        if answer["more"]:
            say(f"and {count(answer['more'], 'visitor')} more; say what to look for")
    if answer["trouble"]:
        complain(f"gated: {answer['trouble']}")
    return Status.FAILED if answer["trouble"] else Status.OK


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    plate = str(one.get("plate") or "").removeprefix("plate:")
    people = count(one["people"], "person", "people")
    return f"{_local(one['from'])} to {_local(one['until'])}", one["name"], people, plate, one["visits"], one["note"]


def _local(text: str) -> str:
    """A moment by the box's own time."""
    return f"{datetime.fromisoformat(text).astimezone():%m-%d %H:%M}"
