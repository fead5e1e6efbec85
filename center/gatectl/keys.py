"""`gatectl keys`: exchanges, adds and revokes keys. Whose signatures count is itself signed by the signers."""

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import center_key, list_work, passphrases
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, complain, say, say_json, say_table

if TYPE_CHECKING:
    from center.publish.metadata import Keyring
    from center.site.folder import Site

_PEOPLE: Final = ("signer", "registrar")
_ONLINE: Final = ("repository", "suspensions")
_CENTER: Final = "center"


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers, "keys", "Exchange, add and revoke keys; the signers sign that.", "gatectl keys rotate signer 3"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = command(actions, "list", "Print whose keys count, numbered.", "gatectl keys list")
    listing.set_defaults(run=list_)
    making = command(
        actions,
        "new",
        "Make a key on a machine of one's own; prints its public half for rotate, add, or operator add.",
        "gatectl keys new /media/stick/3.pem",
    )
    making.add_argument("file", type=Path, metavar="FILE", help="the new key's file; it must not be there yet")
    making.set_defaults(run=new)
    rotating = command(
        actions,
        "rotate",
        "Propose another key in the place of one; `center` in steps, and each time it says what comes next.",
        "gatectl keys rotate signer 3 --public 7d0c…    # as `keys new` has printed it\n"
        "gatectl keys rotate repository\n"
        "gatectl keys rotate center    # 1: proposes both keys, to be signed and flashed\n"
        "gatectl keys rotate center    # 2: when all gates have both: switches, proposes the new one alone",
    )
    rotating.add_argument("role", choices=[*_PEOPLE, *_ONLINE, _CENTER], help="whose key")
    rotating.add_argument("number", nargs="?", type=int, metavar="N", help="which signer or registrar")
    rotating.add_argument(
        "--anyway", action="store_true", help="of center: switch although some gates have not got both keys yet"
    )
    rotating.set_defaults(run=rotate)
    adding = command(actions, "add", "Propose one key more.", "gatectl keys add signer --public 7d0c… --threshold 7")
    adding.add_argument("role", choices=_PEOPLE, help="whose key")
    adding.set_defaults(run=add_key)
    revoking = command(
        actions, "revoke", "Propose that a key counts no more.", "gatectl keys revoke signer 3 --threshold 5"
    )
    revoking.add_argument("role", choices=_PEOPLE, help="whose key")
    revoking.add_argument("number", type=int, metavar="N", help="which signer or registrar")
    revoking.set_defaults(run=revoke)
    for action in (rotating, adding, revoking):
        action.add_argument("--threshold", type=int, metavar="K", help="how many signers must sign from then on")
        list_work.add_output(action)
    for action in (rotating, adding):
        add_public(action)
    for action in (making, rotating, adding):
        action.add_argument(
            "--passphrase-file", type=Path, metavar="FILE", help="the new key's passphrase (default: it is asked)"
        )
    for action in (listing, making, rotating, adding, revoking):
        add_json(action)


def add_public(parser: argparse.ArgumentParser) -> None:
    """A key that was made elsewhere."""
    parser.add_argument("--public", metavar="HEX", help="the new key's public half (default: the key is made here)")


def given_public(args: argparse.Namespace) -> str | None:
    """The public half that was given, if one was. Raises Failure."""
    public: str | None = args.public
    if public is not None and not re.fullmatch(r"[0-9a-f]{64}", public):
        raise Failure("--public: 64 small hex digits would be right, as `keys new` prints them", Status.USAGE)
    return public


def list_(args: argparse.Namespace) -> int:
    """Print the keys."""
    from center.publish.signer import fingerprint  # noqa: PLC0415 - the same
    from center.site import keyrings  # noqa: PLC0415 - not for --help

    site = opened(args)
    keyring = _keyring(site)
    rows = [
        {"role": role, "number": number, "key": public}
        for role in keyrings.FIELD
        for number, public in enumerate(keyrings.keys(keyring, role), start=1)
    ]
    rows += [{"role": _CENTER, "number": n, "key": public} for n, public in enumerate(site.keys.center, start=1)]
    mark = fingerprint(site.root)
    if args.json:
        say_json({"threshold": keyring.threshold, "root": mark, "keys": rows})
    else:
        say_table(rows)
        say(f"fingerprint of the root: {mark}")
        say(f"{keyring.threshold} of {len(keyring.signers)} signers must sign")
    return Status.OK


def new(args: argparse.Namespace) -> int:
    """Make a key; needs no site."""
    from center.site import files, keys  # noqa: PLC0415 - not for --help

    files.refuse_existing(args.file)
    (passphrase,) = passphrases.new([str(args.file)], args.passphrase_file)
    key = keys.generate()
    keys.write(args.file, key, passphrase)
    if args.json:
        say_json({"file": args.file, "public": keys.public_hex(key)})
    else:
        complain(f"{args.file} is made, and is to be kept. Its public half, for the center:")
        say(keys.public_hex(key))
    return Status.OK


def rotate(args: argparse.Namespace) -> int:
    """Exchange a key."""
    from center.site import keyrings  # noqa: PLC0415 - not for --help

    site = opened(args)
    if (args.role in _PEOPLE) != (args.number is not None):
        raise Failure(
            "which one? a signer or registrar has a number, as `keys list` shows; others have none", Status.USAGE
        )
    if args.role == _CENTER:
        return center_key.rotate(site, args)
    keyring = _keyring(site)
    try:
        if args.role in _ONLINE:
            return _propose(site, args, keyrings.exchanged(keyring, args.role, 1, _online(site, args.role)))
        keyrings.exchanged(keyring, args.role, args.number, "")
        public = _new(site, args, f"{args.number}-new")
        return _propose(site, args, keyrings.exchanged(keyring, args.role, args.number, public))
    except keyrings.KeyringError as error:
        raise Failure(str(error), Status.USAGE) from error


def add_key(args: argparse.Namespace) -> int:
    """Add a key."""
    from center.site import keyrings  # noqa: PLC0415 - not for --help

    site = opened(args)
    keyring = _keyring(site)
    number = len(keyrings.keys(keyring, args.role)) + 1
    try:
        return _propose(site, args, keyrings.added(keyring, args.role, _new(site, args, str(number))))
    except keyrings.KeyringError as error:
        raise Failure(str(error), Status.USAGE) from error


def revoke(args: argparse.Namespace) -> int:
    """Take a key out."""
    from center.site import keyrings  # noqa: PLC0415 - not for --help

    site = opened(args)
    keyring = _keyring(site)
    if args.threshold is not None:
        keyring = replace(keyring, threshold=args.threshold)
    try:
        return _propose(site, args, keyrings.revoked(keyring, args.role, args.number))
    except keyrings.KeyringError as error:
        raise Failure(str(error), Status.USAGE) from error


def _keyring(site: "Site") -> "Keyring":
    from center.publish.opened import first_keyring  # noqa: PLC0415 - not for --help

    return list_work.held(site).keyring or first_keyring(site)


def _propose(site: "Site", args: argparse.Namespace, keyring: "Keyring") -> int:
    from center.publish.metadata import PublishError  # noqa: PLC0415 - not for --help
    from center.publish.proposal import Changes  # noqa: PLC0415 - the same

    if args.threshold is not None:
        keyring = replace(keyring, threshold=args.threshold)
    repository = list_work.held(site)
    try:
        keyring.check()
        bundle = repository.propose(Changes(keyring=keyring), now())
    except PublishError as error:
        raise Failure(str(error)) from error
    path = list_work.keep(site, args, bundle.to_bytes(), "keys")
    if args.json:
        say_json({"bundle": path})
        return Status.OK
    list_work.next_steps(path)
    if args.role == "signer":
        complain("It takes the signatures of the signers before it and of those after it: a new signer signs, too.")
    if args.role == "registrar" and repository.enrolments:
        complain("What registrars have added counts at new gates only when two who remain add something again.")
    return Status.OK


def _made(site: "Site", args: argparse.Namespace, name: str) -> str:
    """A new key in the site's folder, to be carried away; its public half."""
    from center.site import files, keys  # noqa: PLC0415 - not for --help

    path = site.folder / f"{args.role}s" / f"{name}.pem"
    files.refuse_existing(path)
    (passphrase,) = passphrases.new([f"the new {args.role}"], args.passphrase_file)
    key = keys.generate()
    path.parent.mkdir(mode=files.SECRET_FOLDER, exist_ok=True)
    keys.write(path, key, passphrase)
    complain(f"key: {path} (to be carried away; then it is deleted here)")
    return keys.public_hex(key)


def _online(site: "Site", role: str) -> str:
    """The public half of the key that is to follow; made the first time."""
    from center.publish.opened import NEW, changing  # noqa: PLC0415 - not for --help
    from center.site import keys  # noqa: PLC0415 - the same

    path = site.folder / "online" / f"{role}{NEW}.pem"
    with changing(site):
        if not path.exists():
            keys.write(path, keys.generate())
    return keys.public_hex(keys.read(path))


def _new(site: "Site", args: argparse.Namespace, name: str) -> str:
    """The public half of the new key: as it was given, else of one that is made here. Raises Failure."""
    return given_public(args) or _made(site, args, name)
