"""`gated demo`: the whole thing with emulated devices; `gated.demo` is what it does."""

import argparse
from importlib import import_module

from gated.commands.options import Subparsers, command
from gated.commands.output import Status


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line; the words after `--` are the demo's own."""
    parser = command(subparsers, "demo", "Show a gate at work, with emulated devices.", "gated demo")
    parser.add_argument("words", nargs="*", metavar="WORD", help="what the demo takes; put -- in front of options")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Hand over to the demo."""
    code: int | None = import_module("gated.demo").main(args.words)
    return code or Status.OK
