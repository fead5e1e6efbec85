"""Daily work that needs no quorum: suspensions by the online key, enrolments by two registrars. Pure.

The limits are those that gates enforce (`protocol.roles`): what would be refused there is refused here, in words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from tuf.api.metadata import Root, Snapshot, Targets

from center.publish.metadata import Keyring, PublishError
from protocol import delta
from protocol import repository as names
from protocol.credential import Credential, masked
from protocol.repository import ListTarget
from protocol.roles import (
    ADDED_A_DAY,
    SUSPENSION_ALARM_S,
    Enrolment,
    Suspension,
    parse_enrolment,
    parse_suspension,
    remembered,
    suspensions_max,
    write_enrolment,
    write_suspension,
)
from protocol.whitelist import SUSPENSION_S, read_time

_SIGN_AGAIN_S = 24 * 3600.0


def read_suspensions(lines: Iterable[bytes]) -> list[Suspension]:
    """The suspensions in a role's file."""
    return [parse_suspension(line) for line in lines]


def write_suspensions(suspensions: Iterable[Suspension]) -> bytes:
    """The role's file."""
    ordered = sorted(suspensions, key=lambda one: one.credential)
    return b"".join(write_suspension(one) + b"\n" for one in ordered)


def suspend(
    current: list[Suspension], credential: Credential, target: ListTarget, since: Mapping[str, float], now: datetime
) -> list[Suspension]:
    """The suspensions with one more. `since` has the first moment of earlier ones. Raises PublishError."""
    moment = now.timestamp()
    others = [one for one in current if one.credential != credential]
    first = since.get(credential)
    if first is None or not remembered(first, read_time("as_of", target.as_of), moment):
        first = moment
    if moment > first + SUSPENSION_S:
        raise PublishError(f"{masked(credential)} was suspended more than 72 h ago; from here on it takes the signers")
    if len(others) >= suspensions_max(target.entries):
        raise PublishError(f"{len(others)} are suspended already; more than that takes the signers")
    return [*others, Suspension(credential, first, moment)]


def renewed(current: list[Suspension], now: datetime) -> list[Suspension]:
    """The same, signed again as far as the first 72 hours go; without those that have lapsed."""
    moment = now.timestamp()
    kept = [one for one in current if moment < one.lapses]
    return [
        replace(one, signed=moment) if one.signed + _SIGN_AGAIN_S <= moment <= one.since + SUSPENSION_S else one
        for one in kept
    ]


def overdue(one: Suspension, now: datetime) -> str:
    """What is to be said of a suspension that will lapse unless the signers take it up; "" while there is time."""
    if now.timestamp() < one.since + SUSPENSION_ALARM_S:
        return ""
    lapses = datetime.fromtimestamp(one.since + 2 * SUSPENSION_S, UTC)
    return (
        f"{masked(one.credential)} is suspended until {lapses:%Y-%m-%d %H:%M} UTC at most; the signers must take it up"
    )


def read_enrolments(lines: Iterable[bytes]) -> list[Enrolment]:
    """The enrolments in a role's file."""
    return [parse_enrolment(line) for line in lines]


def enrolments(current: Iterable[bytes], added: Iterable[Enrolment], listed: Iterable[bytes], now: datetime) -> bytes:
    """The role's file with more entries: without what has lapsed or the list says itself. Raises PublishError."""
    on_list = {delta.key(line) for line in listed}
    found = {
        one.entry.credential: one
        for one in read_enrolments(current)
        if now.timestamp() < one.lapses and one.entry.credential.encode() not in on_list
    }
    for one in added:
        if one.entry.credential.encode() in on_list:
            raise PublishError(f"{masked(one.entry.credential)} is on the list; only the signers can change it")
        found[one.entry.credential] = one
        parse_enrolment(write_enrolment(one))
    for day in {one.added for one in found.values()}:
        if sum(one.added == day for one in found.values()) > ADDED_A_DAY:
            raise PublishError(f"more than {ADDED_A_DAY} entries of {day}; the rest takes the signers, or another day")
    return b"".join(write_enrolment(found[credential]) + b"\n" for credential in sorted(found))


def keyring(root: Root, targets: Targets) -> Keyring:
    """Whose signatures count, by the metadata in force."""
    if targets.delegations is None or targets.delegations.roles is None:
        raise PublishError("the repository is damaged: its targets delegate to nobody")
    keys, roles = targets.delegations.keys, targets.delegations.roles
    return Keyring(
        signers=tuple(root.keys[keyid].keyval["public"] for keyid in root.roles[Root.type].keyids),
        threshold=root.roles[Root.type].threshold,
        repository=tuple(root.keys[keyid].keyval["public"] for keyid in root.roles[Snapshot.type].keyids),
        registrars=tuple(keys[keyid].keyval["public"] for keyid in roles[names.ENROLMENTS].keyids),
        suspensions=tuple(keys[keyid].keyval["public"] for keyid in roles[names.SUSPENSIONS].keyids),
    )


def changes_root(root: Root, wanted: Keyring) -> bool:
    """Whether this keyring needs a new root."""
    signers = {root.keys[keyid].keyval["public"] for keyid in root.roles[Root.type].keyids}
    online = {root.keys[keyid].keyval["public"] for keyid in root.roles[Snapshot.type].keyids}
    return (signers, online, root.roles[Root.type].threshold) != (
        set(wanted.signers),
        set(wanted.repository),
        wanted.threshold,
    )
