"""The signers' list of gates (`protocol.gates`) at the center: what it is to say, and what the center learns from it.

It is proposed from what the center's database knows. The other way, what the signers have signed counts for a database
that does not know it: one that was restored from a backup (`center.intake.enrolment` says when). Which gates there are
at all is said by the site's accounts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from center.intake import enrolment
from center.publish.metadata import PublishError
from center.publish.opened import changing, repository
from center.publish.repository import Repository
from center.records.store import Store
from center.site.folder import Site
from protocol.gates import GateEntry, GatesDocument

_WAIT_S: Final = 1.0
"""How long for a command that is changing the site; it is looked again soon."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What the list is to say, whether that is news, and the gates that are let in and not set up yet."""

    document: GatesDocument
    news: bool
    lacking: tuple[str, ...]


def proposed(held: Repository, store: Store, site: Site, center: Iterable[str], now: datetime) -> Proposed:
    """The list of all gates that are let in and set up, with these keys of the center, hex. Raises PublishError."""
    before, known, let_in = held.gate_list, store.known_gates(), site.accounts.of("gate")
    entries = tuple(
        GateEntry(name=name, key=known[name].key.hex(), seal=known[name].seal.hex()) for name in let_in if name in known
    )
    number = before.version + 1 if before is not None else 1
    try:
        document = GatesDocument(version=number, as_of=now, center=tuple(center), gates=entries)
    except ValidationError as error:
        why = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise PublishError(f"{len(entries):,} gates make no list that gates would take: {why}") from error
    news = before is None or (set(before.center), before.by_name) != (set(document.center), document.by_name)
    return Proposed(document, news, tuple(name for name in let_in if name not in known))


def learn(store: Store, site: Site, now: datetime) -> list[str]:
    """Let the database have what the list in force says and it does not know; the gates that this was about.

    Raises PublishError, SiteError, DatabaseAwayError, OSError.
    """
    document = repository(site).gate_list
    if document is None or not enrolment.differing(document, _let_in(site), store.known_gates()):
        return []
    with changing(site, _WAIT_S):
        # While no command gives a gate another box, or shuts one out: that is written here and there.
        return store.take_listed(document, _let_in(site), now.timestamp())


def _let_in(site: Site) -> dict[str, datetime]:
    return {name: account.since for name, account in site.accounts.of("gate").items()}
