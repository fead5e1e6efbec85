"""What the commands share: which site they are about, `--json`, help that ends with an example.

A site is at hand as its folder, on the center's machine, or as a technician's profile, on a laptop (`chosen`).
"""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from center.output import Failure, Status

if TYPE_CHECKING:
    from center.gatectl.profiles import Installed
    from center.site.folder import Site

DEFAULT: Final = Path("site")
FOLDER_VARIABLE: Final = "GATED_SITE"
NAME_VARIABLE: Final = "GATECTL_SITE"
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


def add_site(parser: argparse.ArgumentParser) -> None:
    """Which site it is about."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        *("-s", "--folder"),
        dest="site_folder",
        type=Path,
        metavar="DIR",
        help=f"the site's folder, on the center's machine (default: ${FOLDER_VARIABLE}, else ./site)",
    )
    where.add_argument(
        "--site",
        dest="site_name",
        metavar="NAME",
        help=f"a site whose profile is installed here (default: ${NAME_VARIABLE}, else the only one)",
    )


def chosen(args: argparse.Namespace) -> "Path | Installed":
    """The site's folder, or the profile that is installed; raises Failure where that leaves a choice."""
    from center.gatectl import profiles  # noqa: PLC0415 - not for --help

    folder, name = args.site_folder, args.site_name
    if folder is None and name is None:
        folder, name = os.environ.get(FOLDER_VARIABLE), os.environ.get(NAME_VARIABLE)
    if folder:
        return Path(folder)
    if name:
        return profiles.load(name)
    known = [] if (DEFAULT / "site.json").exists() else profiles.names()
    if len(known) > 1:
        raise Failure(f"which site? --site NAME, or ${NAME_VARIABLE}; there are: {', '.join(known)}", Status.USAGE)
    return profiles.load(known[0]) if known else DEFAULT


def opened(args: argparse.Namespace) -> "Site":
    """The site's folder; raises Failure where it is none, or is on another machine."""
    from center.site.files import SiteError  # noqa: PLC0415 - not for --help
    from center.site.folder import Site  # noqa: PLC0415 - the same

    where = chosen(args)
    if not isinstance(where, Path):
        there = where.profile
        raise Failure(
            f"this needs the site's folder, and here is a profile of {there.site} only; run it on {there.machine}, as "
            f"the center's user: sudo -u gated-center gatectl -s {there.folder} …",
            Status.UNREACHABLE,
        )
    try:
        return Site.open(where)
    except SiteError as error:
        raise Failure(str(error), Status.USAGE) from error


def now() -> datetime:
    """This moment, in the local time zone."""
    return datetime.now(UTC).astimezone()
