"""How the gates of a site are reached: the broker's address, an account there, and the gates' keys."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from center.gatectl.output import Failure, Status

if TYPE_CHECKING:
    from center.broker import Account
    from center.orders import Gate
    from center.site.folder import Site


def add_account(parser: argparse.ArgumentParser) -> None:
    """As whom the broker is spoken to."""
    parser.add_argument(
        "--as", dest="account", metavar="NAME", help="a technician's account at the broker (default: the center's own)"
    )
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="its password (default: it is asked)")


def account(args: argparse.Namespace, site: "Site") -> "Account":
    """The account at the site's broker."""
    from center.broker import Account  # noqa: PLC0415 - not for --help
    from center.site.broker import CENTER  # noqa: PLC0415 - the same
    from protocol import broker_url  # noqa: PLC0415 - the same

    tls = broker_url.parse(site.facts.broker).tls
    name = args.account or CENTER
    password = site.center_password if args.account is None else _password(args)
    return Account(site.facts.broker, name, password, str(site.folder / "authority" / "ca.pem") if tls else None)


def gates(site: "Site") -> "dict[str, Gate]":
    """The site's gates by name, as far as the center knows their keys. Raises Failure."""
    from center.gatectl.registry import keys  # noqa: PLC0415 - not for --help
    from center.orders import Gate  # noqa: PLC0415 - the same
    from protocol.signature import public_key  # noqa: PLC0415 - the same

    return {name: Gate(site.name, name, [public_key(key)]) for name, key in keys(site).items()}


def gate(site: "Site", name: str) -> "Gate":
    """One gate. Raises Failure."""
    known = gates(site)
    if name not in known:
        there = ", ".join(known) or "none"
        raise Failure(f"the center knows no key of a gate {name}; gates that it has heard: {there}")
    return known[name]


def _password(args: argparse.Namespace) -> str:
    file: Path | None = args.password_file
    if file is not None:
        return file.read_text(encoding="utf-8").strip()
    if not sys.stdin.isatty():
        raise Failure("the password is asked on a terminal; elsewhere name a --password-file", Status.USAGE)
    return getpass.getpass(f"Password of {args.account} at the broker: ")
