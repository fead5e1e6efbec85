"""pydantic's errors in a technician's words: what was found, and what would be right.

The models are walked along the error's path, so that an unknown key is told its nearest neighbour and a missing one
what it is for: the fields' own descriptions. Which model stands where is not said here twice.
"""

import difflib
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gated.config_problem import KeyPath, Problem, holds, shown
from protocol.topics import NAME_PATTERN

LATER: Final = ("console",)
NAME_RIGHT: Final = "1 to 40 small letters, digits and - would be right"
Fields = Mapping[str, FieldInfo]
FieldsAt = Callable[[KeyPath], Fields]
_RIGHT: Final = {
    "string_pattern_mismatch": "text of the form {pattern} would be right",
    "greater_than": "more than {gt:g} would be right",
    "greater_than_equal": "{ge:g} or more would be right",
    "less_than": "less than {lt:g} would be right",
    "less_than_equal": "{le:g} or less would be right",
    "literal_error": "{expected} would be right",
    "enum": "{expected} would be right",
    "too_short": "at least one would be right",
    "string_type": 'a text in quotes "…" would be right',
    "bool_type": "true or false would be right",
    "int_type": "a whole number would be right",
    "float_type": "a number would be right",
    "finite_number": "a plain number would be right",
    "date_type": "a date such as 2026-10-01, without quotes, would be right",
    "tuple_type": "a list [ … ] would be right",
    "dict_type": "a table would be right",
    "model_type": "a table would be right",
}
_SILENT: Final = frozenset({"default_factory_not_called", "no_driver"})


def of_pydantic(error: ValidationError, document: Mapping[str, Any], fields_at: FieldsAt) -> list[Problem]:
    """The errors as problems; `fields_at` says which keys the table at a path may have."""
    details = error.errors(include_url=False)
    return [_problem(detail, document, fields_at) for detail in details if not _follows(detail)]


def meant(word: str, known: list[str], what: str) -> str:
    """The word that was probably meant, and all that are known."""
    close = difflib.get_close_matches(word, known, n=1)
    listed = f"known {what}: {', '.join(known) or 'none'}"
    return f'did you mean "{close[0]}"? {listed}' if close else listed


def model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """The model of the table at `path` below a table of `model`, or the last one on the way."""
    annotation: Any = model
    for part in path:
        if _is_model(annotation):
            field = annotation.model_fields.get(str(part))
            annotation = None if field is None else _inner(field.annotation)
        else:  # an element of a list, or a name in a table of tables
            annotation = _inner(typing.get_args(annotation)[-1 if isinstance(part, str) else 0])
        if annotation is None or not (_is_model(annotation) or typing.get_args(annotation)):
            break
        if _is_model(annotation):
            model = annotation
    return model


def _follows(detail: ErrorDetails) -> bool:
    """Whether the error only follows from another: a list counts as too short when none of its elements is right."""
    return detail["type"] in _SILENT or (detail["type"] == "too_short" and bool(detail["input"]))


def _problem(detail: ErrorDetails, document: Mapping[str, Any], fields_at: FieldsAt) -> Problem:
    path: KeyPath = detail["loc"]
    kind = detail["type"]
    if kind == "missing":
        field = fields_at(path[:-1]).get(str(path[-1]))
        said = field.description if field else None
        return Problem(path, "is missing", f"add it: {said}" if said else f"add {path[-1]} = …")
    if kind == "extra_forbidden":
        return _unknown_key(path, sorted(fields_at(path[:-1])))
    while path and not holds(document, path):
        path = path[:-1]
    if detail.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return Problem(path, f"found {shown(detail['input'])}", NAME_RIGHT)
    right = _RIGHT[kind].format(**detail.get("ctx", {})) if kind in _RIGHT else detail["msg"]
    return Problem(path, f"found {shown(detail['input'])}", right.removeprefix("Value error, "))


def _unknown_key(path: KeyPath, known: list[str]) -> Problem:
    key = str(path[-1])
    if len(path) == 1 and key in LATER:
        return Problem(path, f"the table [{key}] is not in this version", "take it out")
    return Problem(path, "there is no such key", meant(key, known, "keys"))


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inner(annotation: Any) -> Any:
    """The annotation without Annotated and without `| None`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    arguments = typing.get_args(annotation)
    if type(None) in arguments:
        return _inner(next(argument for argument in arguments if argument is not type(None)))
    return annotation
