"""What the commands' parsers share: `-s DIR`, `--json`, help that ends with an example."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from center.gatectl.output import Failure, Status

if TYPE_CHECKING:
    from center.site.folder import Site

DEFAULT: Final = Path("site")
VARIABLE: Final = "GATED_SITE"
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


def add_json(parser: argparse.ArgumentParser) -> None:
    """The result as JSON."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for another program")


def default_site() -> Path:
    """The folder that $GATED_SITE names, else `site` here."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


def opened(args: argparse.Namespace) -> "Site":
    """The site that `-s` names; raises Failure where it is none."""
    from center.site.files import SiteError  # noqa: PLC0415 - not for --help
    from center.site.folder import Site  # noqa: PLC0415 - the same

    try:
        return Site.open(args.site)
    except SiteError as error:
        raise Failure(str(error), Status.USAGE) from error


def now() -> datetime:
    """This moment, in the local time zone."""
    return datetime.now(UTC).astimezone()
