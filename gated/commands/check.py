"""`gated check`: is the configuration right? Nothing is touched."""

import argparse
from typing import TYPE_CHECKING

from gated.commands.options import Subparsers, add_config, add_json, command
from gated.commands.output import Status, complain, say, say_json

if TYPE_CHECKING:
    from gated.config_problem import ConfigError


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "check",
        "Check the configuration without touching any device.",
        "gated check -c /etc/gated/gated.toml\n"
        "# every error names file, line, key, what was found and what would be right",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print all errors, or that there are none, with warnings."""
    from gated.config import ConfigError, ConfigUnreadableError, load, warnings  # noqa: PLC0415 - not for --help

    try:
        config = load(args.config, check_files=True)
    except ConfigError as error:
        _wrong(args, error)
        return Status.UNREACHABLE if isinstance(error, ConfigUnreadableError) else Status.USAGE
    found = warnings(config)
    if args.json:
        say_json({"file": str(args.config), "ok": True, "errors": [], "warnings": found})
        return Status.OK
    for warning in found:
        complain(f"{args.config}: warning: {warning}")
    devices = f"{len(config.lanes)} lanes, {len(config.devices)} devices"
    say(f"{args.config}: right; gate {config.gate} of {config.site}, {devices}")
    return Status.OK


def _wrong(args: argparse.Namespace, error: "ConfigError") -> None:
    problems = error.problems
    if args.json:
        errors = [{"line": p.line, "key": p.key, "found": p.found, "right": p.right} for p in problems]
        say_json({"file": str(args.config), "ok": False, "errors": errors, "warnings": []})
    else:
        complain(str(error))
        complain(f"{len(problems)} error{'s' if len(problems) != 1 else ''}; nothing was changed")
