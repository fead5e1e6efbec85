"""`gated doctor`: everything that is wrong with this box, each with what to do."""

import argparse
from dataclasses import asdict

from gated.commands.options import Subparsers, add_config, add_json, command
from gated.commands.output import Status, padded, say, say_json


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "doctor",
        "Look for everything that is wrong with this box, and say what to do.",
        "sudo -u gated gated doctor\nsudo -u gated gated doctor --json | jq '.[] | select(.level == \"wrong\")'",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine; status 1 where something is wrong."""
    from gated.diagnosis import Level, examine  # noqa: PLC0415 - not for --help

    findings = examine(args.config)
    wrong = any(finding.level is Level.WRONG for finding in findings)
    if args.json:
        say_json([asdict(finding) for finding in findings])
        return Status.FAILED if wrong else Status.OK
    for finding in findings:
        say(f"{padded(finding.level, 6)} {padded(finding.what, 10)} {finding.found}")
        if finding.do:
            say(f"{'':17} → {finding.do}")
    return Status.FAILED if wrong else Status.OK
