"""What the database's columns say of an event, read from its line. Never raises, whatever the line is.

The line itself is the record; these are for looking things up. A field that is missing, of another shape, or of a kind
that a newer gate invented is None, and the event is stored all the same.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, Final

TEXT_MAX_CHARACTERS: Final = 200
"""A longer field is no name of anything; it stays in the line."""

_SAYING: Final = frozenset({"alarm", "system"})
"""Kinds of which `what` says more."""


@dataclass(frozen=True, slots=True)
class Original:
    """What a `salvaged` event says of the event it came from; `cut` is the original's length if it is not whole."""

    text: str
    seq: int
    epoch: str | None
    cut: int | None

    def is_of(self, line: bytes) -> bool:
        """Whether this is the original."""
        whole = line.decode("utf-8", "backslashreplace")
        if self.cut is None:
            return whole == self.text
        return len(whole) == self.cut and whole.startswith(self.text)


@dataclass(frozen=True, slots=True)
class Facts:
    """The fields of an event that have columns, and what an alarm is raised by; `at` is POSIX s."""

    at: float | None = None
    clock: str | None = None
    boot: str | None = None
    mono: float | None = None
    kind: str | None = None
    lane: str | None = None
    direction: str | None = None
    credential: str | None = None
    verdict: str | None = None
    reason: str | None = None
    holder: str | None = None
    what: str | None = None
    state: str | None = None
    original: Original | None = None


_DECODER: Final = json.JSONDecoder()  # loads() looks for the text's encoding first, in each line
UNREADABLE: Final = Facts()


def facts(line: bytes) -> Facts:
    """What this line says."""
    try:
        event, end = _DECODER.raw_decode(text := line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return UNREADABLE
    if text[end:].strip(" \t\n\r") or not isinstance(event, dict):
        return UNREADABLE
    get = event.get
    kind = _text(get("kind"))
    return Facts(
        at=moment(get("at")),
        clock=_text(get("clock")),
        boot=_text(get("boot")),
        mono=_number(get("mono")),
        kind=kind,
        lane=_text(get("lane")),
        direction=_text(get("direction")),
        credential=_text(get("credential")),
        verdict=_text(get("verdict")),
        reason=_text(get("reason")),
        holder=_text(get("holder")),
        what=_text(get("what")) if kind in _SAYING else None,
        state=_text(get("state")) if kind in _SAYING else None,
        original=_original(event) if kind == "salvaged" else None,
    )


def moment(at: object) -> float | None:
    """An RFC 3339 time with offset as POSIX seconds; None for anything else."""
    if not isinstance(at, str):
        return None
    try:
        time = datetime.fromisoformat(at)
        return time.timestamp() if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def clean(text: str) -> str:
    """The text without what a database refuses: NUL, and halves of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _text(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > TEXT_MAX_CHARACTERS:
        return None
    return value if value.isprintable() else clean(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _original(event: dict[str, Any]) -> Original | None:
    text, seq, epoch, cut = (event.get(key) for key in ("original", "seq_was", "epoch", "cut"))
    if not isinstance(text, str) or type(seq) is not int or not 0 < seq < 2**63:
        return None
    return Original(text, seq, epoch if isinstance(epoch, str) else None, cut if type(cut) is int else None)
