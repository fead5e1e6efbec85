"""MQTT topics: how gates and the center of one site are addressed.

    gated/1/{site}/gates/{gate}/status|events|ack|whitelist|command|reply/{id}
    gated/1/{site}/whitelist/repo
    gated/1/{site}/whitelist/blob/{sha256}/{n}

Only what MQTT 3.1.1 has: no shared subscription is needed here (several ingest workers put `$share/…/` in front).
"""

import re
from dataclasses import dataclass
from typing import Final

ROOT: Final = "gated/1"
NAME_PATTERN: Final = r"^[a-z0-9-]{1,40}$"
"""Names of sites, gates and lanes, as they stand in topics and files."""
_NAME: Final = r"[a-z0-9-]{1,40}"
_ID: Final = r"[A-Za-z0-9_-]{1,64}"
_OF_GATE: Final = re.compile(
    rf"gated/1/({_NAME})/gates/({_NAME})/(?:(status|events|ack|whitelist|command)|reply/({_ID}))"
)
_BLOB: Final = re.compile(rf"gated/1/({_NAME})/whitelist/blob/([0-9a-f]{{64}})/([0-9]{{1,6}})")


@dataclass(frozen=True, slots=True)
class GateAddress:
    """A topic of one gate; `leaf` is its last word, or "reply" with its `id`."""

    site: str
    gate: str
    leaf: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class BlobAddress:
    """One piece of a blob, counted from 0."""

    site: str
    sha256: str
    piece: int


def status(site: str, gate: str) -> str:
    """Where a gate says how it is; retained, and its last will."""
    return f"{ROOT}/{site}/gates/{gate}/status"


def events(site: str, gate: str) -> str:
    """Where a gate sends its batches."""
    return f"{ROOT}/{site}/gates/{gate}/events"


def ack(site: str, gate: str) -> str:
    """Where the center says what it holds of a gate; retained."""
    return f"{ROOT}/{site}/gates/{gate}/ack"


def whitelist(site: str, gate: str) -> str:
    """Where a gate says which list is in force, and how a flash fares; retained."""
    return f"{ROOT}/{site}/gates/{gate}/whitelist"


def command(site: str, gate: str) -> str:
    """Where a gate is told to do something."""
    return f"{ROOT}/{site}/gates/{gate}/command"


def reply(site: str, gate: str, id_: str) -> str:
    """Where a gate says what became of a command."""
    return f"{ROOT}/{site}/gates/{gate}/reply/{id_}"


def repository(site: str) -> str:
    """All signed metadata of the whitelist repository; retained."""
    return f"{ROOT}/{site}/whitelist/repo"


def blob(site: str, sha256: str, piece: int) -> str:
    """One piece of a blob; retained."""
    return f"{ROOT}/{site}/whitelist/blob/{sha256}/{piece}"


def parse(topic: str) -> GateAddress | BlobAddress | None:
    """Whose topic this is; None for any other."""
    if found := _OF_GATE.fullmatch(topic):
        site, gate, leaf, id_ = found.groups()
        return GateAddress(site, gate, leaf or "reply", id_ or "")
    if found := _BLOB.fullmatch(topic):
        return BlobAddress(found[1], found[2], int(found[3]))
    return None
