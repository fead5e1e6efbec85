"""`gated run`: the daemon."""

import argparse

from gated.commands.options import Subparsers, add_config, command, configuration
from gated.commands.output import Status


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "run",
        "Run the gate until SIGTERM or Ctrl-C.",
        "sudo systemctl start gated    # the usual way\nsudo -u gated gated run -c /etc/gated/gated.toml",
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    # A disk that cannot be written is no reason to stay down: people must be able to leave.
    config = configuration(args)
    import asyncio  # noqa: PLC0415 - not for --help, nor for a wrong configuration

    from gated import app  # noqa: PLC0415 - the same

    return asyncio.run(app.run(config)) or Status.OK
