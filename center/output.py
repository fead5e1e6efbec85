"""What the center's commands say, and how they end: as `gated` on the box has it.

Results go to standard output, all else to standard error. A command ends with a `Status`, or raises `Failure` with
the words and the status that `main` then gives.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final
from unicodedata import east_asian_width


class Status(IntEnum):
    """How a command ended; `gatectl --help` and `gated-center --help` explain them."""

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
    Status.UNREACHABLE: "something could not be read or reached: no permission, no broker, no database, or it "
    "is on another machine",
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
    text = json.dumps(result, ensure_ascii=False, indent=2, default=str)
    # A half of a surrogate pair, which a gate may have written, becomes its escape again.
    say(text.encode("utf-8", "backslashreplace").decode())


def say_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Rows with the same keys, in columns."""
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    lines = [columns, *([_plain(row.get(column)) for column in columns] for row in rows)]
    widths = [max(_width(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        say("  ".join(cells).rstrip())


def _plain(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def _width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
