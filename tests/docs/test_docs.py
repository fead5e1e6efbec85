"""The docs cannot lie: what the code has, they have, and what they say of it is so."""

import argparse
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from drivers.registry import Role, driver, names
from gated.__main__ import parser
from gated.commands.output import STATUSES
from gated.config import BarrierConfig, Config, DeviceConfig
from protocol.event import ClockQuality, Kind, Reason, Verdict

ROOT = Path(__file__).parents[2]
COMMON = {"port"}


def text(name: str) -> str:
    """A page of the docs."""
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert match, f"there is no section {heading}"
    return match[1]


def rows(page: str) -> dict[str, str]:
    """The tables' rows: the key in the first column, the second column."""
    return {match[1]: match[2] for match in re.finditer(r"^\| `([^`]+)` \| ([^|]+?) \|", page, re.MULTILINE)}


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of the configuration, but those of devices' drivers."""
    for name, field in model.model_fields.items():
        yield prefix + name, field
        for inner, is_named in models_in(field.annotation):
            if not issubclass(inner, DeviceConfig):
                yield from keys(inner, f"{prefix}{name}." + ("NAME." if is_named else ""))
            elif inner is BarrierConfig:
                yield f"{prefix}{name}.pulse", inner.model_fields["pulse"]


def models_in(annotation: Any, *, named: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models within an annotation, and whether they stand under a name of the user's choice."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, named
    for argument in typing.get_args(annotation):
        yield from models_in(argument, named=named or typing.get_origin(annotation) is dict)


def default(field: FieldInfo) -> str:
    """The default as the tables write it."""
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "computed"
    match field.default:
        case None:
            said = "none"
        case BaseModel():
            said = "see below"
        case bool() as value:
            said = f"`{str(value).lower()}`"
        case tuple():
            said = "`[]`"
        case dict():
            said = "`{}`"
        case str() as value:
            said = f'`"{value}"`'
        case value:
            said = f"`{value:g}`"
    return said


@pytest.mark.parametrize(("key", "field"), list(keys(Config)))
def test_configuration_keys(key: str, field: FieldInfo) -> None:
    """Every key is in the tables, with its default."""
    assert rows(text("configuration")).get(key) == default(field)


@pytest.mark.parametrize("name", [(role, name) for role in Role for name in names(role)])
def test_driver_options(name: tuple[Role, str]) -> None:
    """Every driver has a section, one for each role, with every option and its default, and an example."""
    several = sum(name[1] in names(role) for role in Role) > 1
    part = section(text("configuration"), f"`{name[1]}` as {name[0]}" if several else f"`{name[1]}`")
    fields = driver(name[1], name[0]).options.model_fields
    assert rows(part) == {key: default(field) for key, field in fields.items() if key not in COMMON}
    assert f'driver = "{name[1]}"' in part


@pytest.mark.parametrize("name", names(Role.READER))
def test_what_readers_give(name: str) -> None:
    """What each reader gives for a card that has this or that printed on it stands beside the others'."""
    page = (ROOT / "docs" / "hardware" / "README.md").read_text(encoding="utf-8")
    table = section(page, "What is printed on a card, and what a reader says")
    assert any(f"`{name}`" in row for row in table.splitlines() if row.startswith("| printed"))


def test_no_key_that_is_not() -> None:
    """The tables have no key that the code has not."""
    known = {key for key, _ in keys(Config)} | {"driver"}
    for role in Role:
        for name in names(role):
            known |= set(driver(name, role).options.model_fields)
    assert set(rows(text("configuration"))) <= known


@pytest.mark.parametrize("kind", list(Kind))
def test_kinds(kind: Kind) -> None:
    """Every kind of event has a section."""
    assert section(text("events"), f"`{kind}`").strip()


@pytest.mark.parametrize("reason", list(Reason))
def test_reasons(reason: Reason) -> None:
    """Every reason is explained."""
    assert reason in rows(section(text("events"), "`passage`"))


@pytest.mark.parametrize("word", [*Verdict, *ClockQuality])
def test_words(word: str) -> None:
    """So are verdicts and qualities of the clock."""
    assert f"`{word}`" in text("events")


@pytest.mark.parametrize("kind", [Kind.SYSTEM, Kind.ALARM])
def test_what_happened(kind: Kind) -> None:
    """Every `what` that the daemon writes is explained, and no other."""
    source = "".join(path.read_text() for path in (ROOT / "gated").rglob("*.py"))
    written = set(re.findall(r'"what": "([a-z-]+)"', source)) | {"reader", "output", "input"}
    page = text("events")
    told = {name for part in Kind for name in _first_column(section(page, f"`{part}`")) if part in {"system", "alarm"}}
    assert told == written
    assert _first_column(section(page, f"`{kind}`"))


def _first_column(part: str) -> set[str]:
    cells = re.findall(r"^\| (`[^|]+`) \|", part, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)} - {"what"}


def commands(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command and every action of a command."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield command
                yield from commands(command)


@pytest.mark.parametrize("command", list(commands(parser())), ids=lambda command: command.prog)
def test_commands(command: argparse.ArgumentParser) -> None:
    """Every command has a section with its options, and its own help ends with an example."""
    page = text("commands")
    part = section(page, f"`{command.prog}`")
    for action in command._actions:
        for option in action.option_strings:
            if option not in {"-h", "--help"}:
                assert re.search(rf"(?<![\w-]){option}\b", page)
        if action.option_strings and action.option_strings[-1] not in {"--help", "--config", "--json"}:
            assert action.option_strings[-1] in part
    assert command.epilog
    assert command.epilog.startswith("example:\n  ")


def test_statuses() -> None:
    """Every exit status is in the page and in --help, with the same meaning."""
    told = dict(re.findall(r"^\| (\d+) \| (.+?)\.? (?:\(`.*`\)\. )?\|$", text("commands"), re.MULTILINE))
    assert set(told) == {str(int(status)) for status in STATUSES}
    for status, meaning in STATUSES.items():
        assert told[str(int(status))].lower().startswith(meaning.lower()[:20])


@pytest.mark.parametrize("page", ["configuration", "events", "commands"])
def test_toml_examples(page: str) -> None:
    """Examples in TOML parse."""
    import tomllib  # noqa: PLC0415 - here only

    for example in re.findall(r"```toml\n(.*?)```", text(page), re.DOTALL):
        tomllib.loads(example)
