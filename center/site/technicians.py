"""A site's technicians: who is let in at the broker to look after the gates, and what their laptop is given."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from center.site import files, passwords
from center.site.folder import Account, Site
from protocol import sealed
from protocol.profile import KIND, Profile, Voucher

FOLDER: Final = "technicians"


@dataclass(frozen=True, slots=True)
class Issued:
    """A profile file, and the passphrase that opens it, which is kept nowhere."""

    file: Path
    passphrase: str


def add(site: Site, name: str, keys: Mapping[str, bytes], now: datetime, *, output: Path | None = None) -> Issued:
    """A new technician. `keys` are the gates', as far as the center knows them. Raises SiteError, OSError."""
    with site.changing():
        site.accounts.refuse_taken(name)
        return _issue(site, name, keys, now, output)


def replace(site: Site, name: str, keys: Mapping[str, bytes], now: datetime, *, output: Path | None = None) -> Issued:
    """A new file for a technician that there is. The old one ends when the broker reads its files again."""
    with site.changing():
        site.accounts.known(name, "technician")
        return _issue(site, name, keys, now, output)


def remove(site: Site, name: str) -> None:
    """The technician is let in no more. Raises SiteError where there is none of this name."""
    with site.changing():
        site.accounts.known(name, "technician")
        files.remove(_file(site, name))
        site.save_accounts(site.accounts.without(name))


def _issue(site: Site, name: str, keys: Mapping[str, bytes], now: datetime, output: Path | None) -> Issued:
    """The file first, then the account: what fails on the way can be done again."""
    password, passphrase = passwords.new_password(), sealed.new_passphrase()
    gates = site.accounts.of("gate")
    vouchers = {
        gate: Voucher(key=account.voucher, until=account.until)
        for gate, account in gates.items()
        if gate not in keys and account.voucher is not None and account.until is not None
    }
    content = Profile(
        site=site.name,
        technician=name,
        made=now,
        broker=site.facts.broker,
        password=password,
        ca=site.ca,
        root=site.root,
        machine=_machine(),
        folder=str(site.folder.absolute()),
        gates={gate: key.hex() for gate, key in keys.items() if gate in gates},
        vouchers=vouchers,
    )
    if output is None:
        (site.folder / FOLDER).mkdir(mode=files.SECRET_FOLDER, exist_ok=True)
    file = output or _file(site, name)
    files.write(file, sealed.seal(KIND, content, passphrase))
    account = Account(kind="technician", password=passwords.hashed(password), since=now)
    site.save_accounts(site.accounts.with_(name, account))
    return Issued(file, passphrase)


def _machine() -> str:
    """This machine's name, as others may know it."""
    full = socket.getfqdn()
    return socket.gethostname() if full.startswith("localhost") else full


def _file(site: Site, name: str) -> Path:
    return site.folder / FOLDER / f"{name}.profile"
