"""`gatectl events export` and `verify`: what `gated-center` does, on the database of the site's folder."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from center.gatectl.options import Subparsers, command, opened

if TYPE_CHECKING:
    from center.records.store import Store


def add(subparsers: Subparsers) -> None:
    """The commands' own part of the command line."""
    from center.options_read import add_export, add_verify  # noqa: PLC0415 - beside what it describes

    parser = command(subparsers, "events", "Take out what gates have recorded.", "gatectl events export --gate north")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    exporting = command(
        actions, "export", "Write events as JSON lines.", "gatectl events export --gate north > north.jsonl"
    )
    add_export(exporting)
    exporting.set_defaults(run=run_export)
    verifying = command(
        subparsers,
        "verify",
        "Prove every event of GATE (of all gates) by the chain of hashes: nothing altered, missing or added.",
        "gatectl verify north",
    )
    add_verify(verifying)
    verifying.set_defaults(run=run_verify)


def run_export(args: argparse.Namespace) -> int:
    """Events as JSON lines."""
    from center import commands_read  # noqa: PLC0415 - not for --help

    with _store(args) as store:
        return commands_read.export(store, args)


def run_verify(args: argparse.Namespace) -> int:
    """All chains, hash by hash."""
    from center import commands_read  # noqa: PLC0415 - not for --help
    from protocol.signature import public_key  # noqa: PLC0415 - the same

    site = opened(args)
    with _store(args) as store:
        return commands_read.verify(store, args, lambda: map(public_key, map(bytes.fromhex, site.keys.of_center)))


@contextmanager
def _store(args: argparse.Namespace) -> "Iterator[Store]":
    from center.gatectl.registry import stored  # noqa: PLC0415 - not for --help

    with stored(opened(args), read_only=True) as store:
        yield store
