"""Making a site's folder: all its keys, its authority, its broker's files. The whole of it or nothing."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.site import authority, broker, files, keys
from center.site.files import SiteError
from center.site.folder import REPOSITORY, STATE, Accounts, Facts, Site, save_accounts, save_facts
from protocol import broker_url

FirstRoot = Callable[[Facts, Mapping[str, Sequence[Ed25519PrivateKey]]], bytes]
"""Makes the whitelist repository's first root, while all keys are in one place: the site's facts, and the private
keys by role (`signers`, `registrars`, `center`, `repository`, `suspensions`), to the signed metadata's bytes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. One passphrase a signer and one a registrar: that many there are."""

    site: str
    broker: str
    threshold: int
    signers: tuple[str, ...]
    registrars: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    """Further names and addresses of the broker, for its certificate."""
    database: str | None = None
    """The database's URL, if it is not to be in the site's folder."""

    def facts(self) -> Facts:
        """What site.json will say. Raises SiteError."""
        try:
            address = broker_url.parse(self.broker)
        except ValueError as error:
            raise SiteError(f"the broker's address {self.broker!r} cannot be used: {error}") from error
        if not 1 <= self.threshold <= len(self.signers):
            raise SiteError(f"{self.threshold} of {len(self.signers)} signers cannot be: from 1 to all would be right")
        if not address.tls and not address.local:
            raise SiteError("without TLS (mqtt://) only a broker on this machine will do: mqtt://127.0.0.1")
        hosts = dict.fromkeys((address.host, *self.hosts, "localhost", "127.0.0.1"))
        return Facts(
            site=self.site,
            broker=self.broker,
            hosts=tuple(hosts),
            threshold=self.threshold,
            database=self.database,
        )


def make(folder: Path, plan: Plan, now: datetime, first_root: FirstRoot | None = None) -> Site:
    """The new site. Raises SiteError, and then there is nothing of it; an existing folder is not touched."""
    facts = plan.facts()
    made = {
        "signers": [keys.generate() for _ in plan.signers],
        "registrars": [keys.generate() for _ in plan.registrars],
        **{role: [keys.generate()] for role in keys.ONLINE},
    }
    offline = {"signers": _numbered(plan.signers), "registrars": _numbered(plan.registrars)}
    final = folder.absolute()
    with files.building(final) as beside:
        save_facts(beside, facts)
        keys.write_all(beside, offline, made)
        keys.make_registry(beside)
        files.write(beside / "pepper", secrets.token_hex(32).encode() + b"\n")
        if first_root is not None:
            (beside / REPOSITORY).mkdir(mode=files.SECRET_FOLDER)
            files.write(beside / REPOSITORY / "1.root.json", first_root(facts, made))
        _broker(Site(beside, facts), final, now)
        files.write(beside / "center.toml", _configuration(Site(final, facts)).encode())
    return Site(final, facts)


def _broker(site: Site, final: Path, now: datetime) -> None:
    for name in ("authority", "broker", f"broker/{STATE}", "gates"):
        (site.folder / name).mkdir(mode=files.SECRET_FOLDER)
    pair = authority.make_authority(site.name, now)
    files.write(site.folder / "authority" / "ca.pem", pair.certificate)
    files.write(site.folder / "authority" / "ca.key", pair.key)
    site.renew_certificate(now)
    save_accounts(site.folder, Accounts(accounts={}))
    site.renew_password(now)
    site.write_configuration(site.folder / "broker", as_folder=final / "broker", state=final / "broker" / STATE)


def _configuration(site: Site) -> str:
    """center.toml. A basic string of TOML takes JSON's escapes."""
    values = {
        "site": site.name,
        "broker": site.facts.broker,
        "username": broker.CENTER,
        "password": f"file:{site.folder / 'online' / 'password'}",
        "key": f"file:{site.folder / 'online' / 'center.pem'}",
        "state": str(site.folder),
        "database": site.database,
        "site_folder": str(site.folder),
    }
    if broker_url.parse(site.facts.broker).tls:
        values["ca"] = str(site.folder / "authority" / "ca.pem")
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(
        ("# The center of this site, as gatectl site init made it: gated-center serve -c FILE", *lines, "")
    )


def _numbered(passphrases: Sequence[str]) -> dict[str, str]:
    return {str(number): passphrase for number, passphrase in enumerate(passphrases, start=1)}
