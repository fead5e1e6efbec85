"""What a command says, and how it ends.

Results go to standard output, errors to standard error; nothing else in the commands writes to either. A command
ends with a `Status`, or raises `Failure` with the words and the status that `main` then gives.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final
from unicodedata import east_asian_width


class Status(IntEnum):
    """How a command ended; `gated --help` explains them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130
    BROKEN_PIPE = 141


STATUSES: Final = {
    Status.OK: "what was asked is done, and nothing is wrong",
    Status.FAILED: "what was asked failed, or something wrong was found",
    Status.USAGE: "the command line or the configuration is wrong",
    Status.UNREACHABLE: "something could not be read or reached: no permission, the daemon is not running",
    Status.INTERRUPTED: "interrupted (Ctrl-C)",
    Status.BROKEN_PIPE: "whoever read the output went away",
}


class Failure(Exception):  # noqa: N818 - the end of a command, said to a person
    """The command ends with `status`; the message says why and what to do."""

    def __init__(self, message: str, status: Status = Status.FAILED) -> None:
        self.status = status
        super().__init__(message)


def say(text: str = "") -> None:
    """One line of the result."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """One line for the person, not for the next program."""
    sys.stderr.write(text + "\n")


def say_json(result: object) -> None:
    """The result for the next program: one JSON document."""
    say(json.dumps(result, ensure_ascii=False, indent=2, default=str))


def say_line(line: bytes) -> None:
    """One event line, byte for byte."""
    sys.stdout.buffer.write(line + b"\n")


def say_now(text: str) -> None:
    """One line of the result, for someone who waits for it."""
    say(text)
    sys.stdout.flush()


def say_tree(result: Mapping[str, object]) -> None:
    """A result as lines: `key: value`."""
    for key, value in result.items():
        say(f"{str(key).replace('_', ' ')}: {plain(value)}")


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, their cells in columns."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def plain(value: object) -> str:
    """A value in words: nothing is -, a list has commas."""
    if value is None or value in ([], {}, ""):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return str(value)


def padded(text: str, width: int) -> str:
    """The text with spaces up to `width` columns; a Chinese character takes two."""
    return text + " " * (width - _width(text))


def count(number: int, one: str, many: str = "") -> str:
    """So many of something."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(count: float) -> str:
    """A number of bytes in words."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004 - the unit's step
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


_LONG_S: Final = 100 * 365 * 86_400.0


def duration(seconds: float) -> str:
    """A length of time in words."""
    if seconds >= _LONG_S:
        return "over 100 years"
    for unit, length in (("years", 365 * 86_400), ("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
