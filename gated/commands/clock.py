"""`gated clock`: what a person says about the clock."""

import argparse

from gated.commands.options import Subparsers, add_config, add_json, command, configuration
from gated.commands.output import Status, plain, say, say_json


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "clock",
        "Vouch for the clock of a box that has no time server.",
        "date                  # is it right?\nsudo -u gated gated clock accept",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    accept = command(
        actions,
        "accept",
        "Take the wall clock for right: the daemon then judges dates and hours by it. Look at `date` first.",
        "sudo date -s '2026-11-25 08:15'\nsudo -u gated gated clock accept",
    )
    add_config(accept)
    add_json(accept)
    accept.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask the daemon to accept the clock."""
    from gated.commands.daemon import ask  # noqa: PLC0415 - not for --help

    answer = ask(configuration(args).state, {"op": "clock-accept"})
    if args.json:
        say_json(answer)
    else:
        said = ", ".join(f"{key} {plain(value)}" for key, value in answer.items() if key not in {"ok", "what"})
        say(f"accepted{': ' + said if said else ''}")
    return Status.OK
