"""Making the next list out of the one in force. Pure.

- A credential that is on the list keeps its holder's random name, and what a file cannot say: the chip's number, the
  second credential that is demanded, a suspension by the signers.
- One that was revoked and is kept as `gone` until it expires comes back by nobody's file: it is named instead.
- What is taken out goes; an e-ID is kept as `gone` until its own expiry, so that it is not mistaken for a new one.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from center.imports import Row
from protocol.credential import Credential
from protocol.whitelist import Entry, LineError, encode, parse

_TOKEN_BYTES = 9


class ListingError(ValueError):
    """What was asked cannot be made; the message says why and what to do."""


@dataclass
class Next:
    """The lines of the next list; how many of those in force it takes out; what came back and may not."""

    lines: list[bytes] = field(default_factory=list)
    before: int = 0
    out: int = 0
    revoked: list[Credential] = field(default_factory=list)


def token() -> str:
    """A random name for a holder."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def by_credential(lines: Iterable[bytes]) -> dict[Credential, Entry]:
    """The entries of a list."""
    return {entry.credential: entry for entry in map(parse, lines)}


def holders(current: Mapping[Credential, Entry]) -> Callable[[Row], str]:
    """The holder's name for a row of a file: that of any of its credentials which is listed, else a new one.

    Rows that the file's own number for the person puts together have one holder.
    """
    of_person: dict[str, str] = {}

    def holder(row: Row) -> str:
        known = (current[one].holder for one in row.credentials if one in current)
        found = next((name for name in known if name), None)
        if row.person:
            return of_person.setdefault(row.person, found or token())
        return found or token()

    return holder


@dataclass
class Own:
    """A file of our own lines: its entries, and what is wrong with other lines, by their number."""

    entries: list[Entry] = field(default_factory=list)
    wrong: dict[int, str] = field(default_factory=dict)


def own(lines: Iterable[bytes]) -> Own | None:
    """The entries of a file that is written as `gatectl list show` writes it; None for another file.

    It is one if its first line is an entry.
    """
    found = Own()
    seen: dict[Credential, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = parse(line.strip())
        except LineError as error:
            if not found.entries:
                return None
            found.wrong[number] = str(error)
            continue
        if entry.credential in seen:
            found.wrong[number] = f"{entry.credential} is in line {seen[entry.credential]} already"
            continue
        seen[entry.credential] = number
        found.entries.append(entry)
    return found if found.entries else None


def imported(
    current: Mapping[Credential, Entry],
    entries: Iterable[Entry],
    now: datetime,
    *,
    keep_others: bool = False,
    whole: bool = False,
) -> Next:
    """The list that a file makes: the file's entries alone, or over those in force.

    `whole`: the file's lines say all that a line can say, so that nothing of the lines in force is kept in them.
    """
    made = Next(before=sum(not entry.gone for entry in current.values()))
    found: dict[Credential, Entry] = {}
    for entry in entries:
        old = current.get(entry.credential)
        if old is not None and old.gone and not entry.gone:
            made.revoked.append(entry.credential)
        else:
            found[entry.credential] = entry if whole else _over(old, entry)
    for credential, old in current.items():
        over = old.ends is not None and old.ends <= now.timestamp()
        if credential not in found and ((keep_others and not old.gone) or (old.gone and not over)):
            found[credential] = old
    return _finish(made, current, found)


def revoked(current: Mapping[Credential, Entry], out: Iterable[Credential], until: float | None) -> Next:
    """The list without these. `until` is the expiry of an e-ID that the list does not know. Raises ListingError."""
    made = Next(before=sum(not entry.gone for entry in current.values()))
    found = dict(current)
    for credential in out:
        entry = found.pop(credential, None)
        if entry is None or entry.gone:
            raise ListingError(f"{credential} is not on the list")
        if credential.startswith("eid:"):
            ends = entry.ends if entry.ends is not None else until
            if ends is None:
                raise ListingError(f"{credential} is kept as gone until the card itself expires: say when with --until")
            found[credential] = Entry(credential, "", ends=ends, gone=True)
    return _finish(made, current, found)


def _over(old: Entry | None, new: Entry) -> Entry:
    if old is None:
        return new
    return replace(
        new, holder=old.holder or new.holder, tid=old.tid, partner=old.partner, since=old.since, signed=old.signed
    )


def _finish(made: Next, current: Mapping[Credential, Entry], found: Mapping[Credential, Entry]) -> Next:
    made.lines = [encode(found[credential]) for credential in sorted(found)]
    made.out = sum(not old.gone and (c not in found or found[c].gone) for c, old in current.items())
    return made
