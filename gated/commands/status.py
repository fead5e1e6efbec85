"""`gated status`: how the running gate fares, as it says itself."""

import argparse

from gated.commands.options import Subparsers, add_config, add_json, command, configuration
from gated.commands.output import Status, say, say_json


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "status",
        "Print how the running gate fares: lanes, devices, list, journal, center, clock.",
        "sudo -u gated gated status\nsudo -u gated gated status --json | jq .lanes",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask the daemon and print what it says."""
    from gated.commands import status_text  # noqa: PLC0415 - not for --help
    from gated.commands.daemon import ask  # noqa: PLC0415 - the same

    state = ask(configuration(args).state, {"op": "status"})
    if args.json:
        say_json(state)
    else:
        for line in status_text.lines(state):
            say(line)
    return Status.OK
