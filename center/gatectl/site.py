"""`gatectl site`: a site's folder: make it, give the broker its files, renew the broker's certificate."""

import argparse
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import passphrases
from center.gatectl.gate import broker_next
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from center.site.folder import Facts

BROKER_STATE: Final = Path("/var/lib/mosquitto")
SIGNERS_MAX: Final = 100


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(subparsers, "site", "Set up a site.", "gatectl site init shenhang --name shenhang")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for adding in (_add_init, _add_broker, _add_renew, _add_password):
        add_json(adding(actions))


def _add_init(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "init",
        "Make a site's folder: all keys, the certificate authority, the broker's configuration and rules.",
        "gatectl site init shenhang --name shenhang --signers 11 --threshold 6 --broker mqtts://mqtt.center.example\n"
        "# each signer types a passphrase and carries signers/N.pem away",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the new folder; it must not be there yet")
    parser.add_argument("--name", required=True, metavar="SITE", help="the site: small letters, digits and -")
    parser.add_argument("--signers", type=int, default=1, metavar="N", help="how many sign (default: 1, for a trial)")
    parser.add_argument("--threshold", type=int, metavar="K", help="how many must sign (default: more than half)")
    parser.add_argument(
        "--broker", metavar="URL", help="the broker as gates reach it: mqtts://HOST[:PORT] (default: this machine)"
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="HOST",
        help="another name or address of the broker, for its certificate; may be repeated",
    )
    parser.add_argument(
        "--database", metavar="URL", help="postgresql://… (default: center.db in the site's folder, SQLite)"
    )
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="passphrases, one a line: each signer's, then three registrars'; or one for all. Default: they are asked",
    )
    parser.set_defaults(run=init)
    return parser


def _add_broker(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "broker",
        "Give the broker its files, in a folder that it may read; again after each change of gates or technicians.",
        "sudo gatectl -s /srv/gated/shenhang site broker /etc/mosquitto/gated\nsudo systemctl reload mosquitto",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the broker's folder; made where it is not there")
    parser.add_argument("--user", default="mosquitto", metavar="USER", help="whose it is to be (default: mosquitto)")
    parser.add_argument(
        "--state",
        type=Path,
        default=BROKER_STATE,
        metavar="FOLDER",
        help=f"where the broker keeps what outlives a restart (default: {BROKER_STATE})",
    )
    parser.set_defaults(run=broker)
    return parser


def _add_renew(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "renew-certificate",
        "Make a new certificate for the broker; it lasts two years, and gates need not know.",
        "gatectl site renew-certificate",
    )
    parser.set_defaults(run=renew)
    return parser


def _add_password(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "broker-password",
        "Make another password for the center's own account at the broker; says who must read it.",
        "gatectl site broker-password",
    )
    parser.set_defaults(run=password)
    return parser


def init(args: argparse.Namespace) -> int:
    """Make a site."""
    from center.site import keys, make  # noqa: PLC0415 - not for --help
    from center.site.files import refuse_existing  # noqa: PLC0415 - the same

    refuse_existing(args.folder)
    _right(args)
    signers = [f"signer {number}" for number in range(1, args.signers + 1)]
    registrars = [f"registrar {number}" for number in range(1, keys.REGISTRARS + 1)]
    given = passphrases.new(signers + registrars, args.passphrase_file)
    plan = make.Plan(
        site=args.name,
        broker=args.broker or f"mqtts://{socket.getfqdn()}",
        threshold=args.threshold or args.signers // 2 + 1,
        signers=tuple(given[: len(signers)]),
        registrars=tuple(given[len(signers) :]),
        hosts=tuple(args.also),
        database=args.database,
    )
    site = make.make(args.folder, plan, now(), first_root)
    facts = site.facts
    if args.json:
        say_json(
            {
                "folder": site.folder,
                **facts.model_dump(mode="json", exclude={"database"}),
                "keys": site.keys.model_dump(mode="json"),
            }
        )
        return Status.OK
    say(f"{site.folder}: the site {facts.site}, {facts.threshold} of {len(signers)} signers, broker {facts.broker}")
    _next(args.folder)
    return Status.OK


def first_root(facts: "Facts", made: "Mapping[str, Sequence[Ed25519PrivateKey]]") -> bytes:
    """The whitelist repository's first root, signed by all signers while their keys are in one place."""
    from center.publish.metadata import Keyring  # noqa: PLC0415 - not for --help
    from center.publish.metadata import first_root as signed  # noqa: PLC0415 - the same
    from center.site.keys import public_hex  # noqa: PLC0415 - the same

    public = {role: tuple(map(public_hex, keys)) for role, keys in made.items()}
    keyring = Keyring(
        signers=public["signers"],
        threshold=facts.threshold,
        repository=public["repository"],
        registrars=public["registrars"],
        suspensions=public["suspensions"],
    )
    return signed(keyring, made["signers"], now())


def broker(args: argparse.Namespace) -> int:
    """Give the broker its files."""
    from center.site.export import export  # noqa: PLC0415 - not for --help

    folder = args.folder.absolute()
    export(opened(args), folder, user=args.user, state=args.state.absolute())
    if args.json:
        say_json({"folder": folder})
        return Status.OK
    say(f"{folder}: mosquitto.conf, mosquitto.acl, passwords, server.pem")
    complain(f"The first time: sudo cp {folder}/mosquitto.conf /etc/mosquitto/ && sudo systemctl restart mosquitto")
    complain("After that: sudo systemctl reload mosquitto")
    return Status.OK


def renew(args: argparse.Namespace) -> int:
    """Make a new certificate for the broker."""
    site = opened(args)
    with site.changing():
        until = site.renew_certificate(now())
    if args.json:
        say_json({"until": until.isoformat()})
        return Status.OK
    say(f"The broker's new certificate lasts until {until:%Y-%m-%d}.")
    broker_next(site)
    return Status.OK


def password(args: argparse.Namespace) -> int:
    """Make another password for the center's account."""
    site = opened(args)
    with site.changing():
        site.renew_password(now())
    path = site.folder / "online" / "password"
    if args.json:
        say_json({"password_file": path})
        return Status.OK
    say(f"{path}: the center's new password at the broker. The old one ends when the broker reads its files:")
    broker_next(site)
    complain("Then, so that the center reads it as well (until then gates have no answers, and keep what they have):")
    complain("  sudo systemctl restart gated-center")
    complain(f"  on other machines with workers: copy {path} there first, to where their center.toml names it, then")
    complain("  sudo systemctl restart 'gated-center-ingest@*' gated-center-publish")
    return Status.OK


def _right(args: argparse.Namespace) -> None:
    import re  # noqa: PLC0415 - not for --help

    from protocol.topics import NAME_PATTERN  # noqa: PLC0415 - the same

    if not re.fullmatch(NAME_PATTERN, args.name):
        raise Failure(
            f"--name {args.name!r} is no name; 1 to 40 small letters, digits and - would be right", Status.USAGE
        )
    if not 1 <= args.signers <= SIGNERS_MAX:
        raise Failure(f"--signers {args.signers} cannot be; 1 to {SIGNERS_MAX} would be right", Status.USAGE)
    if args.threshold is not None and not 1 <= args.threshold <= args.signers:
        raise Failure(f"--threshold {args.threshold} cannot be; 1 to {args.signers} would be right", Status.USAGE)


def _next(folder: Path) -> None:
    for line in (
        "",
        "What to do next:",
        f"  1. Each signer carries {folder}/signers/N.pem away on a stick of their own; then it is deleted here.",
        f"     Each registrar likewise {folder}/registrars/N.pem. A lost passphrase cannot be brought back.",
        f"  2. sudo gatectl -s {folder} site broker /etc/mosquitto/gated",
        f"  3. gatectl -s {folder} gate add NAME   for each gate",
        f"  4. Back up {folder}: without authority/ and online/ every gate must be set up anew.",
    ):
        complain(line)
