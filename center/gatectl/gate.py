"""`gatectl gate`: the site's gates: let one in, give it a new box, shut one out."""

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from center.gatectl import asking, gate_list, list_work, passphrases
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, complain, say, say_json, say_table

if TYPE_CHECKING:
    from center.site.folder import Site
    from center.site.gates import Issued


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(subparsers, "gate", "Set up the site's gates.", "gatectl gate add north")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    adding = command(
        actions,
        "add",
        "Let new gates in: writes an enrolment file each, and prints the passphrase that opens it, once.",
        "gatectl gate add north -o /media/stick/north.enrolment\n"
        "# at the gate's box:  sudo gated setup /media/stick/north.enrolment",
    )
    adding.set_defaults(run=add_gate)
    replacing = command(
        actions,
        "replace",
        "Give a gate a new box: a new enrolment file and password; the old box is let in no more.",
        "gatectl gate replace north",
    )
    replacing.set_defaults(run=replace)
    removing = command(
        actions,
        "remove",
        "Let a gate in no more: from now on the center takes nothing of it. What it has sent stays.",
        "gatectl gate remove north\ngatectl gate propose    # the signers' list of gates says it, too",
    )
    removing.set_defaults(run=remove)
    adding.add_argument("names", nargs="+", metavar="NAME", help="the gate: small letters, digits and -")
    for action in (replacing, removing):
        action.add_argument("name", metavar="NAME", help="the gate")
    for action in (adding, replacing):
        action.add_argument(
            "-o", "--output", type=Path, metavar="FILE", help="the enrolment file (default: in the site's folder)"
        )
    listing = command(actions, "list", "Print the gates that are let in.", "gatectl gate list --json")
    listing.set_defaults(run=list_)
    proposing = command(
        actions,
        "propose",
        "Propose to the signers whose keys are whose: of all gates that are set up, and the center's own.",
        "gatectl gate propose -o /media/stick/gates.bundle    # after gates were set up, replaced or removed\n"
        "gatectl sign /media/stick/gates.bundle --key 3.pem   # each signer: shows which gates and keys change\n"
        "gatectl flash /media/stick/gates.bundle",
    )
    proposing.set_defaults(run=propose)
    list_work.add_output(proposing)
    for action in (adding, replacing, removing, listing, proposing):
        add_json(action)


def add_gate(args: argparse.Namespace) -> int:
    """Let new gates in, one after the other: what is done when one fails has been told."""
    from center.gatectl.registry import registry  # noqa: PLC0415 - not for --help
    from center.site import gates  # noqa: PLC0415 - the same

    if args.output is not None and len(args.names) > 1:
        raise Failure("--output is for one gate; without it the files are in the site's folder", Status.USAGE)
    site = opened(args)
    with registry(site) as known:
        if len(args.names) == 1:
            _issued(args, site, args.names[0], gates.add(site, args.names[0], known, now(), output=args.output))
            return Status.OK
        until = now()
        for name in args.names:
            issued = gates.add(site, name, known, now())
            as_json = json.dumps(_as_json(name, issued), default=str)
            say(as_json if args.json else f"{name}  {issued.file}  {issued.passphrase}")
            until = issued.until
    if not args.json:
        _next(site, until)
    return Status.OK


def replace(args: argparse.Namespace) -> int:
    """Give a gate a new box."""
    from center.gatectl.registry import registry  # noqa: PLC0415 - not for --help
    from center.site import gates  # noqa: PLC0415 - the same

    site = opened(args)
    with registry(site) as known:
        issued = gates.replace(site, args.name, known, now(), output=args.output)
    _issued(args, site, args.name, issued)
    return Status.OK


def remove(args: argparse.Namespace) -> int:
    """Let a gate in no more."""
    from center.gatectl.registry import registry  # noqa: PLC0415 - not for --help
    from center.site import gates  # noqa: PLC0415 - the same

    site = opened(args)
    with registry(site) as known:
        gates.remove(site, args.name, known)
    if args.json:
        say_json({"gate": args.name})
    else:
        say(f"The gate {args.name} is removed: the center takes nothing of it any more. What it has sent stays.")
        broker_next(site)
        complain(gate_list.NEXT)
    return Status.OK


def propose(args: argparse.Namespace) -> int:
    """Propose whose keys are whose."""
    found = gate_list.propose(opened(args), args, "gates")
    lacking = found if isinstance(found, tuple) else found.lacking
    if args.json:
        say_json({"bundle": None if isinstance(found, tuple) else found.bundle, "not_set_up": lacking})
        return Status.OK
    if isinstance(found, tuple):
        say("The signers' list of gates says all of it already.")
    else:
        for line in found.text.splitlines():
            say(asking.plain(line))
    if lacking:
        complain(f"Not set up yet, or not heard by the center, and so not on it: {', '.join(lacking)}")
    if not isinstance(found, tuple):
        list_work.next_steps(found.bundle)
    return Status.OK


def list_(args: argparse.Namespace) -> int:
    """Print the gates."""
    found = [
        {"gate": name, "since": account.since, "enrolment until": account.until}
        for name, account in opened(args).accounts.of("gate").items()
    ]
    if args.json:
        say_json([{key.replace(" ", "_"): value for key, value in row.items()} for row in found])
    elif found:
        say_table(
            [
                {key: f"{value:%Y-%m-%d %H:%M}" if key != "gate" else value for key, value in row.items()}
                for row in found
            ]
        )
    else:
        say("There is no gate yet; let one in with: gatectl gate add NAME")
    return Status.OK


def broker_next(site: "Site") -> None:
    """What the broker must be told after accounts have changed."""
    complain("Let the broker know:")
    complain(f"  sudo gatectl -s {site.folder} site broker /etc/mosquitto/gated && sudo systemctl reload mosquitto")


def _issued(args: argparse.Namespace, site: "Site", name: str, issued: "Issued") -> None:
    if args.json:
        say_json(_as_json(name, issued))
        return
    say(f"enrolment file: {issued.file}")
    say(f"passphrase:     {issued.passphrase}")
    _next(site, issued.until)


def _as_json(name: str, issued: "Issued") -> dict[str, object]:
    return {"gate": name, "file": issued.file, "passphrase": issued.passphrase, "until": issued.until.isoformat()}


def _next(site: "Site", until: datetime) -> None:
    passphrases.shown_once()
    complain(f"The file serves once, until {until:%Y-%m-%d %H:%M}. At the box:  sudo gated setup FILE")
    broker_next(site)
    complain(f"When the box is set up and heard: {gate_list.NEXT[0].lower()}{gate_list.NEXT[1:]}")
