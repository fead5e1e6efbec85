"""A site's gates: which are let in at the broker, and what a gate's box is given to begin with."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from center.site import files, keys, passwords
from center.site.folder import Account, Site
from protocol.enrolment import VOUCHER_TIME, Enrolment, seal
from protocol.sealed import new_passphrase
from protocol.signature import public_bytes


class Registry(Protocol):
    """Where the center keeps which one-time key speaks for which gate."""

    def add_gate(self, name: str, voucher_key: bytes, voucher_until: datetime) -> None:
        """From now on this key vouches for the gate's keys, once; a gate that is known already gets it anew."""

    def shut_out(self, name: str) -> None:
        """From now on nothing that this gate says counts."""


@dataclass(frozen=True, slots=True)
class Issued:
    """An enrolment file, and the passphrase that opens it, which is kept nowhere."""

    file: Path
    passphrase: str
    until: datetime


def add(site: Site, name: str, registry: Registry, now: datetime, *, output: Path | None = None) -> Issued:
    """A new gate. Raises SiteError where the name is taken."""
    with site.changing():
        site.accounts.refuse_taken(name)
        return _issue(site, name, registry, now, output)


def replace(site: Site, name: str, registry: Registry, now: datetime, *, output: Path | None = None) -> Issued:
    """A new box for a gate that there is. The old box's password ends when the broker reads its files again."""
    with site.changing():
        site.accounts.known(name, "gate")
        return _issue(site, name, registry, now, output)


def remove(site: Site, name: str, registry: Registry) -> None:
    """The gate is let in no more, and nothing is taken of it. Raises SiteError where there is none of this name."""
    with site.changing():
        site.accounts.known(name, "gate")
        registry.shut_out(name)
        files.remove(site.folder / "gates" / f"{name}.enrolment")
        site.save_accounts(site.accounts.without(name))


def _issue(site: Site, name: str, registry: Registry, now: datetime, output: Path | None) -> Issued:
    """The database first, then the file, then the account: what fails on the way can be done again."""
    voucher, password, passphrase = keys.generate(), passwords.new_password(), new_passphrase()
    until = (now + VOUCHER_TIME).replace(microsecond=0)
    content = Enrolment(
        site=site.name,
        gate=name,
        broker=site.facts.broker,
        username=name,
        password=password,
        ca=site.ca,
        center=site.keys.center,
        root=site.root,
        pepper=site.pepper,
        voucher=voucher.private_bytes_raw().hex(),
        until=until,
    )
    sealed = seal(content, passphrase)
    registry.add_gate(name, public_bytes(voucher), until)
    file = output or site.folder / "gates" / f"{name}.enrolment"
    files.write(file, sealed)
    account = Account(
        kind="gate",
        password=passwords.hashed(password),
        since=now,
        voucher=keys.public_hex(voucher),
        until=until,
    )
    site.save_accounts(site.accounts.with_(name, account))
    return Issued(file, passphrase, until)
