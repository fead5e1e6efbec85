"""What is wrong with a configuration, in words: file, key, what was found and what would be right."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_RIGHT: Final = {
    "string_type": 'a text in quotes "…" would be right',
    "bool_type": "true or false would be right",
    "path_type": 'a path in quotes "/…" would be right',
    "string_pattern_mismatch": "text of the form {pattern} would be right",
}
_FOUND_MAX: Final = 100
_ACCOUNT: Final = re.compile(r"//.*@")


@dataclass(frozen=True, slots=True)
class Problem:
    """One error: `key` as the file writes it, "" for the file itself; what stands there; what would be right."""

    key: str
    found: str
    right: str

    def text(self, file: Path) -> str:
        """One line for a technician."""
        return ": ".join(part for part in (str(file), self.key, f"{self.found}; {self.right}") if part)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` are all that were found."""

    def __init__(self, file: Path, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.text(file) for problem in self.problems))


class ConfigUnreadableError(ConfigError):
    """The file is not there or may not be read."""


def of_pydantic(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Pydantic's errors in a technician's words."""
    return [_problem(detail, model) for detail in error.errors(include_url=False)]


def shown(value: object) -> str:
    """The value as the file writes it, more or less, never long, and of an address neither user nor password."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else _ACCOUNT.sub("//…@", repr(value))
    if len(text) > _FOUND_MAX:
        text = text[:_FOUND_MAX] + "…" + text[-1]
    return '"' + text[1:-1] + '"' if isinstance(value, str) else text


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return Problem(key, "is missing", f"add it: {model.model_fields[key].description}")
    if detail["type"] == "extra_forbidden":
        return Problem(key, "there is no such key", _meant(*_beside(detail["loc"], model)))
    right = _RIGHT.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {}))
    return Problem(key, f"found {shown(detail['input'])}", right.removeprefix("Value error, "))


def _beside(place: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, Mapping[str, Any]]:
    """The key that is not known, without its table, and those that the table knows."""
    for part in place[:-1]:
        inner = model.model_fields[str(part)].annotation
        if not isinstance(inner, type) or not issubclass(inner, BaseModel):
            break
        model = inner
    return str(place[-1]), model.model_fields


def _meant(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    listed = f"known keys: {', '.join(sorted(known))}"
    return f'did you mean "{close[0]}"? {listed}' if close else listed
