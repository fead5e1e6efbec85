"""What the doctor finds: one sentence on what is so, and one on what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a thing is."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about this box; `do` says what to do where something is to be done."""

    about: str
    grade: Grade
    said: str
    do: str = ""


def ok(about: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(about, Grade.OK, said)


def note(about: str, said: str, do: str = "") -> Finding:
    """Worth knowing, not wrong."""
    return Finding(about, Grade.NOTE, said, do)


def wrong(about: str, said: str, do: str) -> Finding:
    """Wrong, and what to do."""
    return Finding(about, Grade.WRONG, said, do)
