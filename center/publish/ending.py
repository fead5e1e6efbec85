"""What of a site is about to run out: the broker's certificate, the authority, the list's signatures.

Each in a sentence that is the same from day to day until something is done about it, and that says what.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from tuf.api.metadata import Snapshot, Timestamp

from center.publish.metadata import PublishError, read
from center.publish.opened import repository
from center.publish.signed import dated, overdue
from center.publish.vault import FolderVault
from center.site import authority
from center.site.files import SiteError
from center.site.folder import Site
from protocol import repository as names

CERTIFICATE_EARLY: Final = timedelta(days=60)
AUTHORITY_EARLY: Final = timedelta(days=2 * 365)
"""Every gate has to be set up anew."""
_RENEW: Final = "gatectl site renew-certificate, gatectl site broker, and reload the broker, else gates cannot connect"


def certificates(site: Site, now: datetime) -> list[str]:
    """The broker's certificate and the authority."""
    try:
        return list(_certificates(site, now))
    except SiteError as error:
        return [str(error)]
    except ValueError:
        return [f"{site.folder}/broker/server.pem or authority/ca.pem is no certificate; take it from a backup"]


def everything(site: Site, now: datetime) -> list[str]:
    """All of it; what cannot be read is told as well."""
    found = certificates(site, now)
    try:
        found += _signatures(site, now)
    except (SiteError, PublishError) as error:
        found.append(str(error))
    return found


def _certificates(site: Site, now: datetime) -> Iterator[str]:
    if not site.ca:
        return
    until = authority.ends(site.server_certificate)
    if until - now < CERTIFICATE_EARLY:
        yield f"the broker's certificate {_ends(until, now)}: {_RENEW}"
    until = authority.ends(site.authority.certificate)
    if until - now < AUTHORITY_EARLY:
        yield f"the site's certificate authority {_ends(until, now)}: plan a new site, with every gate set up anew"


def _signatures(site: Site, now: datetime) -> Iterator[str]:
    yield from repository(site).alarms(now)
    vault = FolderVault(site.repository)
    if (data := vault.get("timestamp.json")) is None:
        return  # nothing is in force yet
    timestamp = read(Timestamp, data).signed
    state = vault.get(f"{timestamp.snapshot_meta.version}.snapshot.json")
    signed = None if state is None else dated(read(Snapshot, state).signed.expires, names.SNAPSHOT_LIFE_S)
    yield from overdue(dated(timestamp.expires, names.TIMESTAMP_LIFE_S), signed, now)


def _ends(until: datetime, now: datetime) -> str:
    return f"{'ends' if until > now else 'has ended'} on {until:%Y-%m-%d}"
