"""What lies over the list: enrolments and suspensions, as far as the gate lets the delegated roles go. Pure.

- Enrolments can only add: where the list speaks of a credential, `gone` included, it is the list that counts. More
  than `ADDED_A_DAY` of one `added` date, and none of the file is taken. A date that has not come yet counts for
  nothing; what day it is, the later of validity time and the center's own last signature says.
- Suspensions can only take out of force. More than `suspensions_max`, and none of the file is taken. The first `since`
  of a credential is remembered (`protocol.roles.remembered`): naming another does not prolong a suspension.
- A file that is refused leaves the overlay as it was; its lines go on to lapse. A single line that is not right is
  left out.
- Lapses are judged by the floor, never by a wall clock ahead of it. At a floor of 0 nothing lapses.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gated.lists.listfile import pack, unpack
from protocol.credential import Credential, masked
from protocol.roles import (
    ADDED_A_DAY,
    SUSPENSION_ALARM_S,
    parse_enrolment,
    parse_suspension,
    remembered,
    suspensions_max,
)
from protocol.whitelist import SUSPENSION_S, Entry, LineError

_REMEMBERED_FACTOR: Final = 10
"""So many times `suspensions_max` credentials are remembered; a center that suspends more was not in its right mind."""
_TROUBLES_MAX: Final = 5


class OverlayRefused(Exception):  # noqa: N818 - says what became of the file
    """A delegated role went further than it may; the overlay is as it was."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An entry, and from when on it no longer counts (POSIX s)."""

    entry: Entry
    lapses: float


@dataclass(frozen=True, slots=True)
class Held:
    """Since when a credential is suspended and when that was last signed (POSIX s)."""

    since: float
    signed: float

    @property
    def lapses(self) -> float:
        """From when on it no longer counts."""
        return self.signed + SUSPENSION_S

    @property
    def alarm(self) -> float:
        """From when on people must be told that it will lapse."""
        return self.since + SUSPENSION_ALARM_S


@dataclass(frozen=True)
class Overlay:
    """Both, with the versions of the roles that they are from; 0 for none."""

    enrolments_version: int = 0
    enrolments: Mapping[Credential, Enrolled] = field(default_factory=dict)
    suspensions_version: int = 0
    suspensions: Mapping[Credential, Held] = field(default_factory=dict)
    remembered: Mapping[Credential, float] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The file."""
        value = {
            "enrolments_version": self.enrolments_version,
            "enrolments": [[*pack(one.entry), one.lapses] for one in self.enrolments.values()],
            "suspensions_version": self.suspensions_version,
            "suspensions": [[c, held.since, held.signed] for c, held in self.suspensions.items()],
            "remembered": self.remembered,
        }
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> "Overlay":
        """The overlay in a file. Raises ValueError, TypeError or KeyError for what is none."""
        value: dict[str, Any] = json.loads(data)
        return cls(
            value["enrolments_version"],
            {c: Enrolled(unpack(c, h, rest), lapses) for c, h, rest, lapses in value["enrolments"]},
            value["suspensions_version"],
            {c: Held(since, signed) for c, since, signed in value["suspensions"]},
            value["remembered"],
        )


def take_enrolments(
    overlay: Overlay, version: int, lines: Iterable[bytes], *, today: float, floor: float
) -> tuple[Overlay, list[str]]:
    """The overlay with the lines of this enrolments file, and what is wrong with some. Raises OverlayRefused.

    `today` is the best that is known of the present, POSIX seconds.
    """
    latest = (datetime.fromtimestamp(today, UTC) + timedelta(days=1)).date()
    found: dict[Credential, Enrolled] = {}
    days: Counter[str] = Counter()
    troubles: list[str] = []
    for one in _readable(parse_enrolment, lines, troubles):
        if one.added > latest:
            troubles.append(f"{masked(one.entry.credential)} is added on {one.added}, a day that has not come")
        elif floor < one.lapses:
            days[one.added.isoformat()] += 1
            found[one.entry.credential] = Enrolled(one.entry, one.lapses)
    if days and (worst := days.most_common(1)[0])[1] > ADDED_A_DAY:
        raise OverlayRefused(f"{worst[1]} enrolments of {worst[0]}; at most {ADDED_A_DAY} a day are taken")
    return replace(overlay, enrolments_version=version, enrolments=found), troubles[:_TROUBLES_MAX]


def take_suspensions(
    overlay: Overlay, version: int, lines: Iterable[bytes], *, entries: int, as_of: float, floor: float
) -> tuple[Overlay, list[str]]:
    """The overlay with the lines of this suspensions file, and what is wrong with some. Raises OverlayRefused.

    `entries` and `as_of` are those of the list in force.
    """
    troubles: list[str] = []
    asked = {one.credential: one for one in _readable(parse_suspension, lines, troubles) if floor < one.lapses}
    most = suspensions_max(entries)
    if len(asked) > most:
        raise OverlayRefused(f"{len(asked)} suspensions; more than {most} take the signers")
    first = {c: since for c, since in overlay.remembered.items() if remembered(since, as_of, floor)}
    found: dict[Credential, Held] = {}
    for credential, one in asked.items():
        since = min(first.get(credential, one.since), one.since)
        if one.signed > since + SUSPENSION_S:
            troubles.append(f"{masked(credential)} was first suspended more than 72 h before this was signed")
            continue
        found[credential] = Held(since, one.signed)
        first[credential] = since
    if len(first) > most * _REMEMBERED_FACTOR:
        raise OverlayRefused(f"{len(first)} suspensions one after the other; that many take the signers")
    taken = replace(overlay, suspensions_version=version, suspensions=found, remembered=first)
    return taken, troubles[:_TROUBLES_MAX]


def lapse(overlay: Overlay, floor: float) -> tuple[Overlay, list[tuple[str, Credential]]]:
    """The overlay without what has lapsed at this floor, and what that is: ("enrolment" or "suspension", which)."""
    enrolled = [c for c, one in overlay.enrolments.items() if floor >= one.lapses]
    held = [c for c, one in overlay.suspensions.items() if floor >= one.lapses]
    if not enrolled and not held:
        return overlay, []
    left = replace(
        overlay,
        enrolments={c: one for c, one in overlay.enrolments.items() if floor < one.lapses},
        suspensions={c: one for c, one in overlay.suspensions.items() if floor < one.lapses},
    )
    return left, [("enrolment", c) for c in enrolled] + [("suspension", c) for c in held]


def next_lapse(overlay: Overlay) -> float:
    """The floor at which something lapses next; infinite where nothing will."""
    enrolled = (one.lapses for one in overlay.enrolments.values())
    held = (one.lapses for one in overlay.suspensions.values())
    return min((*enrolled, *held), default=float("inf"))


def over(overlay: Overlay, credential: Credential, entry: Entry | None) -> Entry | None:
    """What counts for a credential of which the list says `entry`."""
    if entry is None and (enrolled := overlay.enrolments.get(credential)) is not None:
        entry = enrolled.entry
    held = overlay.suspensions.get(credential)
    if held is None:
        return entry
    if entry is None:
        # Not on the list, and suspended: it must not pass for a card newer than the list either.
        return Entry(credential, "", since=held.since, signed=held.signed, gone=True)
    if entry.since is not None and (entry.signed is None or entry.signed >= held.signed):
        return entry  # the signers' own suspension reaches further
    since = held.since if entry.since is None else min(entry.since, held.since)
    return replace(entry, since=since, signed=held.signed)


def _readable(parse: Any, lines: Iterable[bytes], troubles: list[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, start=1):
        try:
            yield parse(line)
        except LineError as error:
            troubles.append(f"line {number}: {error}")
