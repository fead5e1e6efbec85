"""The command line: `gated COMMAND …`.

Errors that a command did not turn into words itself are turned into words here, each with the exit status that
`gated --help` gives for it. A traceback means a bug.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from gated.commands import (
    check,
    clock,
    demo,
    detect,
    doctor,
    emulate,
    expected,
    journal,
    run,
    setup,
    status,
    test_card,
    version,
    whitelist,
)
from gated.commands.output import STATUSES, Failure, Status, complain


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    epilog = "exit status:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in STATUSES.items())
    top = argparse.ArgumentParser(
        prog="gated",
        description="Runs one gate: reads cards and tags, decides, records, opens.",
        epilog=epilog + "\n\nEach command explains itself with an example: gated COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = top.add_subparsers(metavar="COMMAND", required=True)
    looking = (status, expected, detect, doctor, test_card, clock)
    for module in (run, check, setup, whitelist, journal, *looking, emulate, demo, version):
        module.add(subparsers)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parser().parse_args(words)
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except BrokenPipeError:
        # What is still buffered has nowhere to go: without this the interpreter's exit would complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.BROKEN_PIPE
    except Failure as failure:
        complain(f"gated: {failure}")
        return failure.status
    except PermissionError as error:
        complain(f"gated: {error.filename or 'this'} may not be used by this user: {error.strerror or error}")
        complain(f"Run the command as the daemon's user: sudo -u gated gated {shlex.join(words)}")
        return Status.UNREACHABLE
    return code


if __name__ == "__main__":
    sys.exit(main())
