"""Announced visitors on their way into the repository: sealed to the gates that are set up and let in.

Published anew where anything differs: who is announced, or which gates there are with which keys. What was published is
known again by its mark, a hash that stays with the center; what is sealed is different each time. Once visitors have
been announced, an empty announcement is published as well: that there are none does not show either.
"""

import hashlib
from dataclasses import replace
from datetime import datetime

from center.publish.opened import changing, repository
from center.publish.repository import Repository
from center.records.expected import Announced, current
from center.records.store import Store
from center.site.folder import Site
from protocol import repository as names
from protocol.expected import encode, seal


def publish(store: Store, site: Site, now: datetime) -> bool:
    """Put into force what is announced; whether that was due.

    Raises PublishError before the first list, SiteError, DatabaseAwayError, OSError.
    """
    if not _due(repository(site), _wanted(store, site, now)):
        return False
    with changing(site):
        # Read again: somebody may have withdrawn, and published that, before it was our turn.
        held, wanted = repository(site), _wanted(store, site, now)
        if not _due(held, wanted):
            return False
        held.announce(seal(wanted.visitors, site.name, wanted.seals), _mark(wanted), now)
    return True


def _wanted(store: Store, site: Site, now: datetime) -> Announced:
    found, let_in = current(store, now.timestamp()), site.accounts.of("gate")
    return replace(found, seals={name: key for name, key in found.seals.items() if name in let_in})


def _due(held: Repository, wanted: Announced) -> bool:
    return held.announced != _mark(wanted) and (bool(wanted.visitors) or names.EXPECTED in held.held)


def _mark(announced: Announced) -> str:
    keys = "".join(f"\n{name} {key.hex()}" for name, key in sorted(announced.seals.items()))
    return hashlib.sha256(encode(announced.visitors) + keys.encode()).hexdigest()
