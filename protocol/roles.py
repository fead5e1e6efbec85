"""The lines of the delegated roles, and how much power each has. Gates enforce it, the center keeps to it.

    {"c":"eid:…","h":"h7Qk2","until":…,"added":"2026-11-24"}             enrolments: a line of a list and the day
    {"c":"em:0A00A1B2C3","since":"2026-…","signed":"2026-…"}             suspensions

- `enrolments` can only add: no `since`, no `gone`. At most `ADDED_A_DAY` lines of one `added` date; each lapses
  `ENROLMENT_S` after the beginning of that day, unless the list takes it up.
- `suspensions` can only take out of force: `signed` is not before `since` and at most `SUSPENSION_S` after it, and the
  line lapses `SUSPENSION_S` after `signed`. More than `suspensions_max` of them need the signers.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from protocol.credential import Credential, CredentialError, canonical
from protocol.whitelist import SUSPENSION_S, Entry, LineError, encode, parse, read_object, read_time, write_time

ENROLMENT_S: Final = 14 * 86400.0
ADDED_A_DAY: Final = 100
SUSPENSIONS_LEAST: Final = 50
SUSPENSIONS_SHARE: Final = 0.01
SUSPENSION_ALARM_S: Final = 48 * 3600.0
REMEMBER_S: Final = 30 * 86400.0
THRESHOLDS: Final = {"enrolments": 2, "suspensions": 1, "expected": 1}
"""The fewest keys by which a gate takes a delegation for one."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An entry that two registrars vouch for until the list does. `added` is a day in UTC."""

    entry: Entry
    added: date

    @property
    def lapses(self) -> float:
        """From when on it no longer counts (POSIX s)."""
        return datetime(self.added.year, self.added.month, self.added.day, tzinfo=UTC).timestamp() + ENROLMENT_S


@dataclass(frozen=True, slots=True)
class Suspension:
    """A credential taken out of force; POSIX seconds."""

    credential: Credential
    since: float
    signed: float

    @property
    def lapses(self) -> float:
        """From when on it no longer counts (POSIX s)."""
        return self.signed + SUSPENSION_S


def suspensions_max(entries: int) -> int:
    """How many credentials of a list with so many entries may be suspended without the signers."""
    return max(SUSPENSIONS_LEAST, int(entries * SUSPENSIONS_SHARE))


def parse_enrolment(line: bytes) -> Enrolment:
    """The enrolment that a line writes. Raises LineError."""
    values = read_object(line)
    text = values.pop("added", None)
    try:
        added = date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        added = None
    if added is None or not isinstance(text, str) or added.isoformat() != text:
        raise LineError(f"added is {str(text)[:40]!r}; it is a day, like 2026-11-24")
    entry = parse(json.dumps(values, ensure_ascii=False))
    if entry.gone or entry.since is not None:
        raise LineError("an enrolment can only add; it has neither gone nor since")
    return Enrolment(entry, added)


def write_enrolment(enrolment: Enrolment) -> bytes:
    """The enrolment's line, without newline."""
    return b'%s,"added":"%s"}' % (encode(enrolment.entry)[:-1], enrolment.added.isoformat().encode())


def parse_suspension(line: bytes) -> Suspension:
    """The suspension that a line writes. Raises LineError."""
    values = read_object(line)
    if set(values) != {"c", "since", "signed"}:
        raise LineError("a suspension has c, since and signed, and nothing else")
    if not isinstance(values["c"], str):
        raise LineError("c is no credential")
    try:
        credential = canonical(values["c"])
    except CredentialError as error:
        raise LineError(f"c: {error}") from error
    since, signed = read_time("since", values["since"]), read_time("signed", values["signed"])
    if not since <= signed <= since + SUSPENSION_S:
        raise LineError("signed is not within 72 h of since; longer than that, a suspension is the signers' business")
    return Suspension(credential, since, signed)


def write_suspension(suspension: Suspension) -> bytes:
    """The suspension's line, without newline."""
    values = {
        "c": suspension.credential,
        "since": write_time(suspension.since),
        "signed": write_time(suspension.signed),
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def remembered(since: float, as_of: float, now: float) -> bool:
    """Whether a credential's first `since` still stands for each later suspension of it.

    It does for `REMEMBER_S`, or until the signers publish a list of a later date: they have then had their say. Else
    whoever holds the online key could suspend one card for ever, 72 hours at a time.
    """
    return as_of <= since and now < since + REMEMBER_S
