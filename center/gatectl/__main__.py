"""The command line: `gatectl COMMAND …`, for a site's technicians and committee.

One module a family of commands; each adds its own part. Errors that a command did not turn into words itself are
turned into words here, each with the exit status that `gatectl --help` gives for it. A traceback means a bug.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from center.gatectl import (
    eid,
    events,
    expected,
    flash,
    gate,
    keys,
    list_,
    operator,
    order,
    profile,
    sign,
    site,
    technician,
    watch,
)
from center.gatectl.options import add_site
from center.output import STATUSES, Failure, Status, complain


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    epilog = "exit status:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in STATUSES.items())
    top = argparse.ArgumentParser(
        prog="gatectl",
        description="Sets up a site and its gates, and looks after them.",
        epilog=epilog + "\n\nEach command explains itself with an example: gatectl COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_site(top)
    subparsers = top.add_subparsers(metavar="COMMAND", required=True)
    families = (
        site,
        gate,
        list_,
        sign,
        flash,
        expected,
        keys,
        events,
        technician,
        profile,
        operator,
        order,
        watch,
        eid,
    )
    for module in families:
        module.add(subparsers)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    try:
        args = parser().parse_args(argv)
        code: int = _run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except BrokenPipeError:
        # What is still buffered has nowhere to go: without this the interpreter's exit would complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.BROKEN_PIPE
    except Failure as failure:
        complain(f"gatectl: {failure}")
        return failure.status
    except OSError as error:
        complain(f"gatectl: {error.filename or 'a file'}: {error.strerror or error}")
        return Status.UNREACHABLE
    return code


def _run(args: argparse.Namespace) -> int:
    from center.site.files import SiteError  # noqa: PLC0415 - not for --help

    try:
        code: int = args.run(args)
    except SiteError as error:
        raise Failure(str(error)) from error
    return code


if __name__ == "__main__":
    sys.exit(main())
