"""Events: one line of JSON each, encoded once when written and never again.

The bytes of the line, without its newline, are what is hashed, stored, sent and kept. An event's identity is its
chain hash: SHA-256(hash of the event before, 32 raw bytes ‖ line); before the first event stand 32 zero bytes.
`body` makes all of a line but its `seq`, which the journal's writer puts in front when the event's turn has come.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GENESIS: Final = bytes(32)
LINE_MAX_BYTES: Final = 16 * 1024
SALVAGED_MAX_BYTES: Final = 40 * 1024
_SEQ_MAX_BYTES: Final = len('"seq":') + 19 + len(",")  # 2**63 - 1 has 19 digits
_ENVELOPE: Final = frozenset({"seq", "at", "clock", "boot", "mono", "kind"})


class Kind(StrEnum):
    """What happened."""

    PASSAGE = "passage"
    PASSED = "passed"
    REGISTRATION = "registration"
    REFUSED = "refused"
    OPENED = "opened"
    COMMAND = "command"
    SHIFT = "shift"
    TEST = "test"
    ALARM = "alarm"
    SALVAGED = "salvaged"
    SYSTEM = "system"


class Verdict(StrEnum):
    """What the gate does with a passage."""

    ADMIT = "admit"
    FLAG = "flag"


class Reason(StrEnum):
    """Why it does so."""

    LISTED = "listed"
    CARD = "card"
    PASS = "pass"  # noqa: S105 - a visitor's pass, no secret
    EXIT = "exit"
    UNKNOWN = "unknown"
    SUSPENDED = "suspended"
    NOT_YET = "not-yet"
    EXPIRED = "expired"
    SCHEDULE = "schedule"
    WRONG_LANE = "wrong-lane"
    REPEAT = "repeat"
    STALE = "stale"
    CLONE = "clone"
    CLOCK = "clock"


class ClockQuality(StrEnum):
    """Whether the wall clock is known to be right: now, earlier in this boot, or not yet in this boot."""

    SYNCED = "synced"
    HOLDOVER = "holdover"
    UNSET = "unset"


class EventError(ValueError):
    """The event cannot be written: not JSON, a key twice, or larger than an event may be."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When an event happened: wall time (RFC 3339 with offset, milliseconds), its quality, boot id, monotonic s."""

    at: str
    clock: ClockQuality
    boot: str
    mono: float


def body(kind: Kind, stamp: Stamp, fields: Mapping[str, object]) -> bytes:
    """A whole line but its seq. Fields that are None are left out.

    Raises EventError where the line would not be JSON, would say one of its first six keys twice, or exceeds its bound.
    """
    if not _ENVELOPE.isdisjoint(fields):
        raise EventError(
            f"event {kind} has fields that every event has: {', '.join(sorted(_ENVELOPE & fields.keys()))}"
        )
    event: dict[str, object] = {
        "at": stamp.at,
        "clock": stamp.clock,
        "boot": stamp.boot,
        "mono": round(stamp.mono, 3),
        "kind": kind,
    }
    event.update((key, value) for key, value in fields.items() if value is not None)
    try:
        text = _ENCODER.encode(event).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EventError(f"event {kind} is not JSON: {error}") from error
    bound = SALVAGED_MAX_BYTES if kind is Kind.SALVAGED else LINE_MAX_BYTES
    size = len(text) + _SEQ_MAX_BYTES
    if size > bound:
        raise EventError(f"event {kind} takes {size} bytes, at most {bound} fit")
    return text


def line(seq: int, rest: bytes) -> bytes:
    """The event's line: `rest` as `body` made it, with `seq` in front."""
    return b'{"seq":%d,' % seq + rest[1:]


def link(previous: bytes, event_line: bytes) -> bytes:
    """The event's identity: its chain hash, 32 bytes."""
    return hashlib.sha256(previous + event_line).digest()


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
