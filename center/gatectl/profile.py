"""`gatectl profile`: what a technician's laptop needs to look after the gates: nothing of the site's folder."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import passphrases
from center.gatectl.options import Subparsers, add_json, command
from center.output import Failure, Status, complain, say, say_json, say_table

if TYPE_CHECKING:
    from protocol.profile import Profile

TRIES: Final = 3


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers,
        "profile",
        "Set up this laptop for a technician: which sites it reaches, and as whom.",
        "gatectl profile install li-wei.profile",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    installing = command(
        actions,
        "install",
        "Unseal a profile for this user; one of the same site that is there is replaced.",
        "gatectl profile install /media/stick/li-wei.profile    # asks for the passphrase that came another way\n"
        "gatectl status",
    )
    installing.add_argument("file", type=Path, metavar="FILE", help="the file that `technician add` has made")
    installing.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="the passphrase that opens it (default: it is asked)"
    )
    installing.set_defaults(run=install)
    listing = command(actions, "list", "Print the sites whose profiles are here.", "gatectl profile list --json")
    listing.set_defaults(run=list_)
    removing = command(actions, "remove", "Delete a site's profile here.", "gatectl profile remove shenhang")
    removing.add_argument("name", metavar="NAME", help="the site")
    removing.set_defaults(run=remove)
    for action in (installing, listing, removing):
        add_json(action)


def install(args: argparse.Namespace) -> int:
    """Unseal, and put in its place."""
    from center.gatectl import profiles  # noqa: PLC0415 - not for --help

    found = _content(args)
    if found.site in profiles.names() and profiles.load(found.site).profile.made > found.made:
        raise Failure(f"{args.file} is older than the profile of {found.site} that is installed; take the newest one")
    at = profiles.save(found)
    if args.json:
        say_json({"site": found.site, "technician": found.technician, "folder": at.folder})
        return Status.OK
    say(f"{found.site}: {found.technician} at {found.broker}; gates: {', '.join(_gates(found)) or 'none yet'}")
    complain(f"It is in {at.folder}, for you alone. {args.file} is no longer needed; delete it.")
    complain("Commands to gates are signed with your own key: gatectl keys new FILE makes it, here.")
    return Status.OK


def list_(args: argparse.Namespace) -> int:
    """Print the profiles."""
    from center.gatectl import profiles  # noqa: PLC0415 - not for --help

    held = [profiles.load(name).profile for name in profiles.names()]
    found = [
        {
            "site": one.site,
            "technician": one.technician,
            "broker": one.broker,
            "made": one.made.isoformat(timespec="minutes"),
            "gates": _gates(one),
        }
        for one in held
    ]
    if args.json:
        say_json(found)
    elif found:
        say_table([{**row, "gates": ", ".join(row["gates"])} for row in found])
    else:
        say("No profile is installed here; gatectl technician add makes one, at the center.")
    return Status.OK


def remove(args: argparse.Namespace) -> int:
    """Delete a profile."""
    from center.gatectl import profiles  # noqa: PLC0415 - not for --help

    at = profiles.load(args.name).profile
    profiles.remove(args.name)
    if args.json:
        say_json({"site": args.name})
        return Status.OK
    say(f"The profile of {args.name} is deleted here.")
    complain(f"The account is still let in; on {at.machine}: gatectl technician remove {at.technician}")
    return Status.OK


def _content(args: argparse.Namespace) -> "Profile":
    """What is in the file. Raises Failure."""
    from protocol import profile, sealed  # noqa: PLC0415 - not for --help

    with args.file.open("rb") as file:
        data = file.read(sealed.FILE_MAX_BYTES + 1)
    tries = 1 if args.passphrase_file is not None else TRIES
    try:
        site, technician, _ = sealed.label(profile.KIND, data)
        for left in reversed(range(tries)):
            typed = passphrases.known(f"the profile of {technician} for {site}", args.passphrase_file)
            try:
                return sealed.unseal(profile.KIND, data, typed)
            except sealed.WrongPassphraseError as error:
                if not left:
                    raise
                complain(str(error))
    except sealed.SealedError as error:
        raise Failure(f"{args.file}: {error}") from error
    raise AssertionError("the last try returns or raises")


def _gates(found: "Profile") -> list[str]:
    return sorted({*found.gates, *found.vouchers})
