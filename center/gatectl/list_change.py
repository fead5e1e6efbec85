"""`gatectl list add|suspend|restore|revoke`: one credential after the other."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import asking, flash, list_work, passphrases
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from center.site.folder import Site
    from protocol.credential import Credential
    from protocol.roles import Enrolment

_REGISTRARS: Final = 2
_ADD: Final = "add"


def add(actions: Subparsers) -> None:
    """The actions' own part of the command line."""
    _add_adding(actions)
    for name, run, summary in (
        (
            "suspend",
            suspend,
            "Take credentials out of force at once, for 72 hours and more; the signers can make it last.",
        ),
        ("restore", restore, "Take a suspension back, at once."),
    ):
        parser = command(actions, name, summary, f"gatectl list {name} em:0A00A1B2C3\ngatectl list {name} 沪A·12345")
        parser.set_defaults(run=run)
        _credentials(parser)
        parser.add_argument("--no-publish", action="store_true", help="leave it to the center's publisher")
        add_json(parser)
    revoking = command(
        actions,
        "revoke",
        "Propose to take credentials off the list for good. Until it is signed, suspend them.",
        "gatectl list revoke em:0A00A1B2C3",
    )
    _credentials(revoking)
    revoking.add_argument(
        "--until", type=list_work.until, metavar="DAY", help="when an e-ID itself expires, if the list does not say it"
    )
    list_work.add_proposing(revoking)
    add_json(revoking)
    revoking.set_defaults(run=revoke)


def _credentials(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("credential", nargs="+", metavar="CREDENTIAL", help="in any writing that is clear")


def _add_adding(actions: Subparsers) -> None:
    parser = command(
        actions,
        "add",
        "Let credentials in by two registrars, for 14 days or until the signers take them up; at most 100 a day.",
        "gatectl list add em:0A00A1B2C3 --until 2027-06-30 --key 1.pem --key 2.pem\n"
        "gatectl list add 沪A12345 -o add.bundle     # without keys: a bundle that two registrars sign",
    )
    _credentials(parser)
    parser.add_argument("--holder", metavar="NAME", help="the holder's random name (default: a new one)")
    parser.add_argument("--from", dest="begins", type=list_work.moment, metavar="TIME", help="in force from then on")
    parser.add_argument("--until", type=list_work.until, metavar="TIME", help="in force until then; a day to its end")
    parser.add_argument("--when", default="always", metavar="HOURS", help="the name of hours (default: always)")
    parser.add_argument("--lanes", default="*", metavar="LANE,…", help="at which lanes (default: all)")
    parser.add_argument("--with", dest="partner", metavar="CREDENTIAL", help="only together with this second one")
    parser.add_argument(
        "--key", action="append", type=Path, default=[], metavar="FILE", help="a registrar's key; two of them"
    )
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="the keys' passphrases, one a line; or one for all (default: asked)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask whether it is meant")
    parser.add_argument("--no-publish", action="store_true", help="leave it to the center's publisher")
    list_work.add_output(parser)
    add_json(parser)
    parser.set_defaults(run=add_entries)


def add_entries(args: argparse.Namespace) -> int:
    """Add entries, or make the bundle that adds them."""
    from center.publish import bundle as bundles  # noqa: PLC0415 - not for --help
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.opened import changing, repository  # noqa: PLC0415 - the same
    from center.site import keys  # noqa: PLC0415 - the same
    from protocol.roles import write_enrolment  # noqa: PLC0415 - the same

    if args.key and len(args.key) != _REGISTRARS:
        raise Failure(f"two registrars' keys would be right, or none; {len(args.key)} are named", Status.USAGE)
    site, added = opened(args), _enrolments(args)
    for one in added:
        complain(write_enrolment(one).decode())
    if args.key:
        asking.agreed("Is that meant?", _ADD, [_ADD] if args.yes else [], "--yes")
    opened_by = passphrases.known_all([str(file) for file in args.key], args.passphrase_file) if args.key else []
    signers = [keys.read(file, passphrase) for file, passphrase in zip(args.key, opened_by, strict=True)]
    try:
        with changing(site):
            held = repository(site)
            bundle = held.propose_enrolments(added, now())
            for key in signers:
                bundle = bundles.sign(bundle, key)
            if signers:
                held.accept(bundle, now())
    except PublishError as error:
        raise Failure(str(error)) from error
    if signers:
        return _published(site, args, [one.entry.credential for one in added], "may pass")
    path = list_work.keep(site, args, bundle.to_bytes(), "add")
    if args.json:
        say_json({"bundle": path})
    else:
        list_work.next_steps(path)
    return Status.OK


def _enrolments(args: argparse.Namespace) -> "list[Enrolment]":
    from datetime import UTC  # noqa: PLC0415 - not for --help

    from center.publish.listing import token  # noqa: PLC0415 - the same
    from protocol.roles import Enrolment, parse_enrolment, write_enrolment  # noqa: PLC0415 - the same
    from protocol.spelling import SpellingError, new  # noqa: PLC0415 - the same
    from protocol.whitelist import Entry, LineError  # noqa: PLC0415 - the same

    holder = args.holder or token()
    try:
        partner = None if args.partner is None else new(args.partner)
        made = [
            Enrolment(
                Entry(
                    new(text),
                    holder,
                    begins=args.begins,
                    ends=args.until,
                    when=args.when,
                    lanes=tuple(args.lanes.split(",")),
                    partner=partner,
                ),
                now().astimezone(UTC).date(),
            )
            for text in args.credential
        ]
        return [parse_enrolment(write_enrolment(one)) for one in made]
    except (SpellingError, LineError) as error:
        raise Failure(str(error), Status.USAGE) from error


def suspend(args: argparse.Namespace) -> int:
    """Take out of force."""
    from center.publish.metadata import PublishError  # noqa: PLC0415 - not for --help
    from center.publish.opened import changing, repository  # noqa: PLC0415 - the same

    site = opened(args)
    try:
        with changing(site):
            held = repository(site)
            on_list = list_work.credentials(held)
            meant = [list_work.known(text, on_list) for text in args.credential]
            for credential in meant:
                held.suspend(credential, now())
    except PublishError as error:
        raise Failure(str(error)) from error
    return _published(site, args, meant, "suspended")


def restore(args: argparse.Namespace) -> int:
    """Put into force again."""
    from center.publish.metadata import PublishError  # noqa: PLC0415 - not for --help
    from center.publish.opened import changing, repository  # noqa: PLC0415 - the same

    site = opened(args)
    try:
        with changing(site):
            held = repository(site)
            suspended = {one.credential for one in held.suspensions}
            try:
                meant = [list_work.known(text, suspended) for text in args.credential]
            except Failure as failure:
                raise Failure(f"among what is suspended: {failure}", Status.USAGE) from failure
            for credential in meant:
                held.restore(credential, now())
    except PublishError as error:
        raise Failure(str(error)) from error
    return _published(site, args, meant, "no longer suspended")


def revoke(args: argparse.Namespace) -> int:
    """Propose the list without them."""
    from center.publish import listing  # noqa: PLC0415 - not for --help

    site = opened(args)
    current = list_work.entries(list_work.held(site))
    meant = [list_work.known(text, current) for text in args.credential]
    try:
        made = listing.revoked(current, meant, args.until)
    except listing.ListingError as error:
        raise Failure(str(error), Status.USAGE) from error
    code = list_work.propose(site, args, made, "revoke")
    if not args.json and not args.dry_run:
        complain(f"Until then it is in force; at once:  gatectl list suspend {' '.join(meant)}")
    return code


def _published(site: "Site", args: argparse.Namespace, meant: "list[Credential]", what: str) -> int:
    """Let the broker have it now; without a broker the center's publisher does it when it can."""
    if not args.no_publish:
        flash.tell_broker(site)
    if args.json:
        say_json({"credentials": meant})
    else:
        for credential in meant:
            say(f"{credential}: {what}")
    return Status.OK
