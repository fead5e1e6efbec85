"""The command line of the center: `gated-center COMMAND …`.

Errors that a command did not turn into words itself are turned into words here, each with the exit status that
`gated-center --help` gives for it. A traceback means a bug.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from center import commands, commands_read
from center.config_problem import ConfigError, ConfigUnreadableError
from center.output import STATUSES, Failure, Status, complain
from center.records.database import DatabaseAwayError, DatabaseVersionError


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    epilog = "exit status:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in STATUSES.items())
    top = argparse.ArgumentParser(
        prog="gated-center",
        description="The monitoring center: takes in what gates record, keeps it, and shows it.",
        epilog=epilog + "\n\nEach command explains itself with an example: gated-center COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = top.add_subparsers(metavar="COMMAND", required=True)
    for module in (commands, commands_read):
        module.add(subparsers)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    try:
        args = parser().parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except BrokenPipeError:
        # What is still buffered has nowhere to go: without this the interpreter's exit would complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.BROKEN_PIPE
    except (Failure, ConfigError, DatabaseAwayError, DatabaseVersionError, PermissionError) as error:
        return _told(error)
    except ExceptionGroup as group:  # what a worker's tasks ended with
        told, rest = group.split(DatabaseVersionError)
        if told is None or rest is not None:
            raise
        first: Exception = told
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        return _told(first)
    return code


def _told(error: Exception) -> Status:
    """Say what was wrong; the exit status that goes with it."""
    complain(f"gated-center: {error}")
    match error:
        case Failure(status=status):
            return status
        case ConfigUnreadableError() | DatabaseAwayError():
            return Status.UNREACHABLE
        case ConfigError():
            return Status.USAGE
        case PermissionError():
            complain("Run the command as the center's user: sudo -u gated-center gated-center …")
            return Status.UNREACHABLE
    return Status.FAILED


if __name__ == "__main__":
    sys.exit(main())
