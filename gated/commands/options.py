"""What the commands' parsers share: `-c FILE`, `--json`, help that ends with an example."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gated.commands.output import Failure, Status

if TYPE_CHECKING:
    from gated.config import Config

CONFIG: Final = Path("/etc/gated/gated.toml")
Subparsers = Any  # argparse names the type of add_subparsers() only privately


def command(subparsers: Subparsers, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    """A parser for one command; `example` closes its help."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=summary,
        epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    """The configuration's file."""
    parser.add_argument(
        "-c", "--config", type=Path, default=CONFIG, metavar="FILE", help=f"the configuration (default: {CONFIG})"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The result as JSON."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for another program")


def configuration(args: argparse.Namespace) -> "Config":
    """The configuration that `-c` names; raises Failure with all that is wrong with it, but for the state folder."""
    from gated.config import ConfigError, ConfigUnreadableError, load  # noqa: PLC0415 - not for --help

    try:
        return load(args.config, check_state=False)
    except ConfigError as error:
        status = Status.UNREACHABLE if isinstance(error, ConfigUnreadableError) else Status.USAGE
        raise Failure(f"the configuration cannot be used:\n{error}", status) from error
