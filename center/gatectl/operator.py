"""`gatectl operator`: whose commands the gates take, and what each of them may do."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from center.gatectl import passphrases
from center.gatectl.keys import add_public, given_public
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, complain, say, say_json, say_table

if TYPE_CHECKING:
    from center.site.folder import Site
    from center.site.operators import Propose, Proposed


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers,
        "operator",
        "Set up the operators, whose signed commands the gates take.",
        "gatectl operator add li-wei --may open,hold,release",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    adding = _add_adding(actions)
    removing = command(
        actions,
        "remove",
        "Propose that a gate takes no command of an operator any more.",
        "gatectl operator remove li-wei",
    )
    removing.set_defaults(run=remove)
    for action in (adding, removing):
        action.add_argument("name", metavar="NAME", help="the operator: small letters, digits and -")
        action.add_argument(
            "-o", "--output", type=Path, metavar="FILE", help="the bundle to be signed (default: in the site's folder)"
        )
    listing = command(
        actions, "list", "Print the operators that are meant, signed or not yet.", "gatectl operator list --json"
    )
    listing.set_defaults(run=list_)
    for action in (adding, removing, listing):
        add_json(action)


def _add_adding(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "add",
        "Propose to the signers what an operator's key may do.",
        "gatectl keys new li-wei.pem    # on li-wei's laptop: prints the public half\n"
        "gatectl operator add li-wei --may open,hold,release --gates north,south --public 7d0c…\n"
        "# the signers sign the bundle",
    )
    parser.add_argument(
        "--may",
        type=_names,
        required=True,
        metavar="ACTION,…",
        help="open, hold, release, resend, diagnostics, restart",
    )
    parser.add_argument("--gates", type=_names, default=["*"], metavar="GATE,…", help="at which gates (default: all)")
    parser.add_argument("--lanes", type=_names, default=["*"], metavar="LANE,…", help="at which lanes (default: all)")
    add_public(parser)
    parser.add_argument("--key", type=Path, metavar="FILE", help="the new key's file (default: in the site's folder)")
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="the new key's passphrase (default: it is asked)"
    )
    parser.set_defaults(run=add_operator)
    return parser


def add_operator(args: argparse.Namespace) -> int:
    """Propose an operator's entry; without a key of their own, make one."""
    from center.site import operators  # noqa: PLC0415 - not for --help

    site = opened(args)
    public = given_public(args)
    passphrase = "" if public else passphrases.new([args.name], args.passphrase_file)[0]
    try:
        made = operators.add(
            site,
            args.name,
            _proposing(site),
            now(),
            may=args.may,
            public=public,
            passphrase=passphrase,
            gates=args.gates,
            lanes=args.lanes,
            key_file=args.key,
            bundle=args.output,
        )
    except operators.PublishError as error:
        raise Failure(str(error)) from error
    _tell(args, made)
    return Status.OK


def remove(args: argparse.Namespace) -> int:
    """Propose that somebody is an operator no more."""
    from center.site import operators  # noqa: PLC0415 - not for --help

    site = opened(args)
    try:
        made = operators.remove(site, args.name, _proposing(site), now(), bundle=args.output)
    except operators.PublishError as error:
        raise Failure(str(error)) from error
    _tell(args, made)
    return Status.OK


def list_(args: argparse.Namespace) -> int:
    """Print the operators."""
    from center.site import operators  # noqa: PLC0415 - not for --help

    found = operators.meant(opened(args)).operators
    if args.json:
        say_json([one.model_dump(mode="json") for one in found])
    elif found:
        say_table(
            [
                {
                    "operator": one.name,
                    "may": ",".join(one.may),
                    "gates": ",".join(one.gates),
                    "lanes": ",".join(one.lanes),
                    "key": one.key[:16],
                }
                for one in found
            ]
        )
    else:
        say("There is no operator yet; make one with: gatectl operator add NAME --may open,hold,release")
    return Status.OK


def _proposing(site: "Site") -> "Propose":
    from center.site import operators  # noqa: PLC0415 - not for --help

    return operators.proposing(site)


def _names(text: str) -> list[str]:
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("at least one name would be right")
    return found


def _tell(args: argparse.Namespace, made: "Proposed") -> None:
    if args.json:
        say_json({"operator": args.name, "bundle": made.bundle, "key": made.key})
        return
    if made.key is not None:
        say(f"key:    {made.key}")
    say(f"bundle: {made.bundle}")
    complain("")
    complain("It comes into force when the signers have signed the bundle and the gates have it.")
    if made.key is not None:
        complain(
            f"{args.name} carries the key away; then it is deleted here. A lost passphrase cannot be brought back."
        )
