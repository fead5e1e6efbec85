"""What is wrong with a configuration, and on which line.

A problem names the key's path (`lanes.walk-in.readers[0].port`), what was found and what would be right.
`lines_of` finds the line: the shortest prefix of the file that parses and holds the path, counted from where the
last shorter prefix that parses ended. A list that spans lines is closed for the trial, so that each of its elements
is found on its own line. Nothing here knows what the keys mean.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KeyPath = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_FOUND_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One error: `path` is the key, `found` what stands there, `right` what would be right; `line` counts from 1."""

    path: KeyPath
    found: str
    right: str
    line: int | None = None

    @property
    def key(self) -> str:
        """The path as a person writes it; "" for the file itself."""
        return key_path(self.path)

    def text(self, file: Path) -> str:
        """One line for a technician."""
        where = str(file) if self.line is None else f"{file}:{self.line}"
        return ": ".join(part for part in (where, self.key, f"{self.found}; {self.right}") if part)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds every reason that was found, in the order of the file."""

    def __init__(self, file: Path, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.text(file) for problem in self.problems))


class ConfigUnreadableError(ConfigError):
    """The file is not there or may not be read."""


def key_path(path: KeyPath) -> str:
    """`("lanes", "walk-in", "readers", 0)` as `lanes.walk-in.readers[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else f'"{part}"')
    return text


def shown(value: object) -> str:
    """The value as the file writes it, more or less, and never long."""
    try:
        text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    except ValueError:
        return "a number of thousands of digits"
    if len(text) > _FOUND_MAX:
        text = text[:_FOUND_MAX] + "…" + text[-1]
    return '"' + text[1:-1] + '"' if isinstance(value, str) else text


def holds(document: object, path: KeyPath) -> bool:
    """Whether the document has something at `path`."""
    for part in path:
        if isinstance(part, int):
            if not isinstance(document, Sequence) or isinstance(document, str) or part >= len(document):
                return False
            document = document[part]
        else:
            if not isinstance(document, Mapping) or part not in document:
                return False
            document = document[part]
    return True


def existing(document: object, path: KeyPath) -> KeyPath:
    """The longest beginning of `path` that the document has."""
    while not holds(document, path):
        path = path[:-1]
    return path


def lines_of(text: str, paths: Iterable[KeyPath]) -> dict[KeyPath, int]:
    """The line of each path, or of the nearest thing above it; paths that the file has nothing of are left out.

    `text` must be valid TOML. Costs one parse a line, so only errors pay for it.
    """
    document = tomllib.loads(text)
    wanted = {path: existing(document, path) for path in paths}
    open_paths = {found for found in wanted.values() if found}
    lines: dict[KeyPath, int] = {}
    for start, prefix in _prefixes(text):
        for path in [path for path in open_paths if holds(prefix, path)]:
            lines[path] = start
            open_paths.remove(path)
        if not open_paths:
            break
    return {path: lines[found] for path, found in wanted.items() if found in lines}


def located(text: str, problems: Sequence[Problem]) -> list[Problem]:
    """The same problems with their lines, in the order of the file."""
    lines = lines_of(text, [problem.path for problem in problems])
    placed = [Problem(p.path, p.found, p.right, lines.get(p.path)) for p in problems]
    return sorted(placed, key=lambda problem: problem.line or 0)


def _prefixes(text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Each prefix that parses, shortest first, with the line on which its last statement starts."""
    lines = text.split("\n")
    start = 1
    for count in range(1, len(lines) + 1):
        prefix = "\n".join(lines[:count])
        for closed in (prefix, prefix + "\n]"):
            try:
                document = tomllib.loads(closed)
            except ValueError:
                continue
            yield start, document
            start = count + 1
            break
