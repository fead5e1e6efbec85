"""`gatectl technician`: who may look after the gates through the broker, and the file for their laptop."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from center.gatectl import passphrases
from center.gatectl.gate import broker_next
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Status, complain, say, say_json, say_table

if TYPE_CHECKING:
    from center.site.folder import Site
    from center.site.technicians import Issued


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers, "technician", "Set up the technicians' accounts and laptops.", "gatectl technician add li-wei"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    adding = command(
        actions,
        "add",
        "Make an account that reads how gates are and gives commands, and a profile file for a laptop; prints the "
        "passphrase that opens it, once.",
        "gatectl technician add li-wei -o /media/stick/li-wei.profile\n"
        "# on the laptop:  gatectl profile install /media/stick/li-wei.profile",
    )
    adding.set_defaults(run=add_technician)
    replacing = command(
        actions,
        "replace",
        "Give a technician a new profile file, with the gates that there are now; the old one is let in no more.",
        "gatectl technician replace li-wei",
    )
    replacing.set_defaults(run=replace)
    removing = command(actions, "remove", "Let a technician in no more.", "gatectl technician remove li-wei")
    removing.set_defaults(run=remove)
    for action in (adding, replacing, removing):
        action.add_argument("name", metavar="NAME", help="the technician: small letters, digits and -")
    for action in (adding, replacing):
        action.add_argument(
            "-o", "--output", type=Path, metavar="FILE", help="the profile file (default: in the site's folder)"
        )
    listing = command(actions, "list", "Print the technicians' accounts.", "gatectl technician list --json")
    listing.set_defaults(run=list_)
    for action in (adding, replacing, removing, listing):
        add_json(action)


def add_technician(args: argparse.Namespace) -> int:
    """Make an account."""
    from center.site import technicians  # noqa: PLC0415 - not for --help

    site = opened(args)
    return _issued(args, site, technicians.add(site, args.name, _keys(site), now(), output=args.output))


def replace(args: argparse.Namespace) -> int:
    """Give a new file."""
    from center.site import technicians  # noqa: PLC0415 - not for --help

    site = opened(args)
    return _issued(args, site, technicians.replace(site, args.name, _keys(site), now(), output=args.output))


def remove(args: argparse.Namespace) -> int:
    """Let a technician in no more."""
    from center.site import operators, technicians  # noqa: PLC0415 - not for --help

    site = opened(args)
    technicians.remove(site, args.name)
    if args.json:
        say_json({"technician": args.name})
        return Status.OK
    say(f"The technician {args.name} is removed; the profile opens nothing once the broker knows.")
    if any(one.name == args.name for one in operators.meant(site).operators):
        complain(f"Gates still take commands that this key has signed: gatectl operator remove {args.name}")
    broker_next(site)
    return Status.OK


def list_(args: argparse.Namespace) -> int:
    """Print the accounts."""
    found = [
        {"technician": name, "since": account.since.isoformat(timespec="minutes")}
        for name, account in opened(args).accounts.of("technician").items()
    ]
    if args.json:
        say_json(found)
    elif found:
        say_table(found)
    else:
        say("There is no technician yet; make an account with: gatectl technician add NAME")
    return Status.OK


def _keys(site: "Site") -> dict[str, bytes]:
    """The gates' keys; a site without gates may have no database yet. Raises Failure."""
    from center.gatectl.registry import keys  # noqa: PLC0415 - not for --help

    return keys(site) if site.accounts.of("gate") else {}


def _issued(args: argparse.Namespace, site: "Site", issued: "Issued") -> int:
    if args.json:
        say_json({"technician": args.name, "file": issued.file, "passphrase": issued.passphrase})
        return Status.OK
    say(f"profile file: {issued.file}")
    say(f"passphrase:   {issued.passphrase}")
    passphrases.shown_once()
    complain("On the laptop:  gatectl profile install FILE")
    complain("Gates take commands only with the key of an operator besides: gatectl operator add")
    broker_next(site)
    return Status.OK
