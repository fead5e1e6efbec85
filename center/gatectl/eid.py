"""`gatectl eid`: the signed cards of residents: whose keys issue them, a card's record to be written, one that is read.

Issuing and showing need the site's folder only where `--for` does not name the site: a desk has a registrar's key, the
registry's key, and no network.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from center.gatectl import list_work, passphrases
from center.gatectl.keys import given_public
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, complain, say, say_json, say_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from center.site.operators import Proposed
    from protocol.eid import Card, Holder

_PUBLIC = re.compile(r"[0-9a-f]{64}")


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers, "eid", "Issue and show signed cards, and say whose count.", "gatectl eid show card.ndef"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for adding in (_add_keys, _add_trust, _add_distrust, _add_issue, _add_show):
        add_json(adding(actions))


def _add_keys(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(actions, "keys", "Print whose cards are meant to count, signed or not yet.", "gatectl eid keys")
    parser.set_defaults(run=keys)
    return parser


def _add_trust(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "trust",
        "Propose to the signers that cards by a registrar's key count.",
        "gatectl keys new desk-1.pem    # on the desk's machine: prints the public half\n"
        "gatectl eid trust desk-1 --public 7d0c…\n"
        "# the signers sign the bundle",
    )
    parser.add_argument("name", metavar="NAME", help="the desk: small letters, digits and -")
    parser.add_argument("--public", required=True, metavar="HEX", help="its key's public half, as `keys new` prints it")
    _add_bundle(parser)
    parser.set_defaults(run=trust)
    return parser


def _add_distrust(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "distrust",
        "Propose that cards by a registrar's key count no more, or only those that a list has.",
        "gatectl eid distrust desk-1 --retire",
    )
    parser.add_argument("name", metavar="NAME", help="the desk")
    parser.add_argument("--retire", action="store_true", help="cards that a list has go on to count")
    _add_bundle(parser)
    parser.set_defaults(run=distrust)
    return parser


def _add_issue(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "issue",
        "Make a card's record, to be written on the chip by a desk reader or a phone.",
        "gatectl eid issue card.ndef --key desk-1.pem --uid 04A2B3C4D5E680 --until 2027-11-30 --data - <<END\n"
        '{"name": "王小明", "origin": "安徽省阜阳市", "address": "12号楼301室"}\n'
        "END",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the NDEF message; FILE.hex has the same as text")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the registrar's private key")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its passphrase (default: it is asked)")
    parser.add_argument("--uid", required=True, metavar="HEX", help="the chip's UID, as the reader shows it")
    parser.add_argument(
        "--data", required=True, metavar="FILE", help="JSON with name, origin and address of the holder; - reads them"
    )
    parser.add_argument(
        "--until", type=list_work.until, required=True, metavar="TIME", help="valid until then; a day to its end"
    )
    parser.add_argument("--from", type=list_work.moment, dest="begins", metavar="TIME", help="valid from then (now)")
    parser.add_argument("--holder", metavar="NAME", help="the holder's random name on the list (default: a new one)")
    _add_for(parser)
    parser.add_argument("--registry", metavar="HEX", help="with --for: the registry's public key, as `eid keys` prints")
    parser.set_defaults(run=issue)
    return parser


def _add_show(actions: Subparsers) -> argparse.ArgumentParser:
    parser = command(
        actions,
        "show",
        "Print what a card's record says; with the registry's key, whose it is.",
        "gatectl eid show card.ndef --registry-key registry.pem",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the NDEF message, as bytes or as hex digits")
    parser.add_argument("--registry-key", type=Path, metavar="FILE", help="the registry's private key")
    parser.add_argument("--uid", metavar="HEX", help="the UID of the chip that it was read from")
    _add_for(parser)
    parser.add_argument(
        "--public", action="append", default=[], metavar="HEX", help="with --for: a registrar's public key; repeated"
    )
    parser.set_defaults(run=show)
    return parser


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the bundle to be signed (default: in the site's folder)"
    )


def _add_for(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--for", dest="site", metavar="SITE", help="the site's name, where its folder is not at hand")


def keys(args: argparse.Namespace) -> int:
    """Print whose cards count."""
    from center.site import operators  # noqa: PLC0415 - not for --help
    from center.site.keys import REGISTRY  # noqa: PLC0415 - the same

    site = opened(args)
    found = operators.meant(site).registrars
    registry = _registry(site.folder / REGISTRY)
    public = registry.public_key().public_bytes_raw().hex()
    if args.json:
        say_json({"registry": public, "registrars": [one.model_dump(mode="json") for one in found]})
        return Status.OK
    if found:
        say_table([{"registrar": one.name, "retired": "yes" if one.retired else "", "key": one.key} for one in found])
    else:
        say("No cards count yet; make a key with gatectl keys new, then: gatectl eid trust NAME --public HEX")
    say(f"registry: {public}")
    return Status.OK


def trust(args: argparse.Namespace) -> int:
    """Propose a registrar's key."""
    from center.site import operators  # noqa: PLC0415 - not for --help

    site = opened(args)
    public = given_public(args) or ""
    try:
        made = operators.trust(site, args.name, public, operators.proposing(site), now(), bundle=args.output)
    except operators.PublishError as error:
        raise Failure(str(error)) from error
    return _proposed(args, made)


def distrust(args: argparse.Namespace) -> int:
    """Propose that a registrar's key counts no more."""
    from center.site import operators  # noqa: PLC0415 - not for --help

    site = opened(args)
    try:
        made = operators.distrust(
            site, args.name, operators.proposing(site), now(), retire=args.retire, bundle=args.output
        )
    except operators.PublishError as error:
        raise Failure(str(error)) from error
    return _proposed(args, made)


def issue(args: argparse.Namespace) -> int:
    """Make a card's record."""
    from center.publish.listing import token  # noqa: PLC0415 - not for --help
    from center.site import files  # noqa: PLC0415 - the same
    from center.site import keys as site_keys  # noqa: PLC0415 - the same
    from protocol import eid  # noqa: PLC0415 - the same

    site, registry = _where(args)
    text = args.file.with_name(f"{args.file.name}.hex")
    for path in (args.file, text):
        files.refuse_existing(path)
    moment = int(now().timestamp())
    begins = moment if args.begins is None else int(args.begins)
    credential, holder = eid.new_number(), args.holder or token()
    card = eid.Card(site, credential, holder, _hex("--uid", args.uid), moment, begins, int(args.until))
    data = _holder(args.data)
    key = site_keys.read(args.key, passphrases.known(str(args.key), args.passphrase_file))
    try:
        message = eid.make(card, data, registry, key)
    except eid.EidError as error:
        raise Failure(str(error), Status.USAGE) from error
    files.write(args.file, message)
    files.write(text, message.hex().upper().encode() + b"\n")
    said = {"credential": credential, "holder": holder, "bytes": len(message), "file": args.file, "hex": text}
    if args.json:
        say_json(said)
        return Status.OK
    say(f"{credential}, holder {holder}: {len(message)} bytes of {eid.CARD_MAX_BYTES}")
    say(f"{args.file}: the NDEF message, one external record {eid.RECORD_TYPE.decode()}; {text}: the same in hex")
    complain("Write it on that chip, lock the chip against writing, and put credential and holder on the next list.")
    return Status.OK


def show(args: argparse.Namespace) -> int:
    """Print a card."""
    from protocol import eid  # noqa: PLC0415 - not for --help

    site, known = _known(args)
    uid = None if args.uid is None else _hex("--uid", args.uid)
    registry = None if args.registry_key is None else _registry(args.registry_key)
    try:
        card = eid.read(_message(args.file), site, known)
        holder = None if registry is None else eid.open_(card, registry)
    except eid.EidError as error:
        raise Failure(f"{args.file}: {error}") from error
    copied = uid is not None and card.seen_on(uid).copied
    rows = _rows(card, holder)
    if args.json:
        say_json(rows | ({} if uid is None else {"copied": copied}))
    else:
        for name, value in rows.items():
            say(f"{name + ':':<11} {value}")
    if copied:
        complain(f"It was made for the chip {card.uid.hex().upper()}: this one is a copy.")
        return Status.FAILED
    return Status.OK


def _rows(card: "Card", holder: "Holder | None") -> dict[str, str]:
    from datetime import datetime  # noqa: PLC0415 - not for --help

    def day(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, now().tzinfo).isoformat()

    rows = {
        "credential": str(card.credential),
        "site": card.site,
        "holder": card.holder,
        "uid": card.uid.hex().upper(),
        "issued": day(card.issued),
        "from": day(card.begins),
        "until": day(card.ends),
        "key": card.key,
    }
    if holder is not None:
        rows |= {"name": holder.name, "origin": holder.origin, "address": holder.address}
    return rows


def _where(args: argparse.Namespace) -> tuple[str, bytes]:
    """For which site a card is made, and the registry's public key. Raises Failure."""
    from center.site.keys import REGISTRY  # noqa: PLC0415 - not for --help

    if (args.site is None) != (args.registry is None):
        raise Failure("--for and --registry go together: name both, or none at the site's folder", Status.USAGE)
    if args.site is not None:
        if not _PUBLIC.fullmatch(args.registry):
            raise Failure("--registry: 64 small hex digits would be right, as `eid keys` prints them", Status.USAGE)
        return _site(args.site), bytes.fromhex(args.registry)
    site = opened(args)
    return site.name, _registry(site.folder / REGISTRY).public_key().public_bytes_raw()


def _known(args: argparse.Namespace) -> "tuple[str, Sequence[Ed25519PublicKey]]":
    """The site of a card, and the registrars' keys. Raises Failure."""
    from center.site import operators  # noqa: PLC0415 - not for --help
    from protocol.operators import encode, registrars  # noqa: PLC0415 - the same
    from protocol.signature import public_key  # noqa: PLC0415 - the same

    if (args.site is None) != (not args.public):
        raise Failure("--for and --public go together: name both, or none at the site's folder", Status.USAGE)
    if args.site is not None:
        for public in args.public:
            if not _PUBLIC.fullmatch(public):
                raise Failure("--public: 64 small hex digits would be right, as `eid keys` prints them", Status.USAGE)
        return _site(args.site), [public_key(bytes.fromhex(public)) for public in args.public]
    site = opened(args)
    return site.name, registrars(encode(operators.meant(site))).keys


def _site(name: str) -> str:
    from protocol.topics import NAME_PATTERN  # noqa: PLC0415 - not for --help

    if not re.fullmatch(NAME_PATTERN, name):
        raise Failure(f"--for {name!r} is no name; 1 to 40 small letters, digits and - would be right", Status.USAGE)
    return name


def _registry(path: Path) -> "X25519PrivateKey":
    from center.site import keys as site_keys  # noqa: PLC0415 - not for --help

    if not path.exists():
        raise Failure(f"there is no {path}; a site that has none yet is given one by the next gatectl eid trust")
    return site_keys.read_registry(path)


def _holder(source: str) -> "Holder":
    """The holder's data. It comes by a file or a pipe: what stands on a command line others can see. Raises Failure."""
    from protocol.eid import Holder  # noqa: PLC0415 - not for --help

    try:
        found = json.loads(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    known = isinstance(found, dict) and "name" in found and found.keys() <= {"name", "origin", "address"}
    if not known or not all(isinstance(value, str) for value in found.values()):
        raise Failure(
            '--data: {"name": "…", "origin": "…", "address": "…"} would be right, at least the name', Status.USAGE
        )
    return Holder(**found)


def _message(path: Path) -> bytes:
    from protocol.ndef import MESSAGE_MAX_BYTES  # noqa: PLC0415 - not for --help

    with path.open("rb") as file:
        data = file.read(4 * MESSAGE_MAX_BYTES)
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        return data


def _hex(option: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", ""))
    except ValueError as error:
        raise Failure(f"{option} {text!r}: hex digits would be right, like 04A2B3C4D5E680", Status.USAGE) from error


def _proposed(args: argparse.Namespace, made: "Proposed") -> int:
    if args.json:
        say_json({"registrar": args.name, "bundle": made.bundle})
    else:
        list_work.next_steps(made.bundle)
    return Status.OK
