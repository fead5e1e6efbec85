"""`gatectl technician`: who may look after the gates through the broker."""

import argparse

from center.gatectl.gate import broker_next
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.gatectl.output import Status, complain, say, say_json, say_table


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers, "technician", "Set up the technicians' accounts at the broker.", "gatectl technician add li-wei"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    adding = command(
        actions,
        "add",
        "Make an account that reads how gates are and gives commands; prints its password, once.",
        "gatectl technician add li-wei",
    )
    adding.set_defaults(run=add_technician)
    removing = command(actions, "remove", "Let a technician in no more.", "gatectl technician remove li-wei")
    removing.set_defaults(run=remove)
    for action in (adding, removing):
        action.add_argument("name", metavar="NAME", help="the technician: small letters, digits and -")
    listing = command(actions, "list", "Print the technicians' accounts.", "gatectl technician list --json")
    listing.set_defaults(run=list_)
    for action in (adding, removing, listing):
        add_json(action)


def add_technician(args: argparse.Namespace) -> int:
    """Make an account."""
    from center.site import gates  # noqa: PLC0415 - not for --help

    password = gates.add_technician(opened(args), args.name, now())
    if args.json:
        say_json({"technician": args.name, "password": password})
        return Status.OK
    say(f"password: {password}")
    complain("")
    complain("It is shown this once and kept nowhere. Commands are taken only with a key in operators.json besides.")
    broker_next(args.site)
    return Status.OK


def remove(args: argparse.Namespace) -> int:
    """Let a technician in no more."""
    from center.site import gates  # noqa: PLC0415 - not for --help

    gates.remove_technician(opened(args), args.name)
    if args.json:
        say_json({"technician": args.name})
    else:
        say(f"The technician {args.name} is removed.")
        broker_next(args.site)
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
