"""What gatectl and gated-center can do, docs/center-commands.md says, and their help teaches."""

import argparse
import re

import pytest

from center import __main__ as gated_center
from center import output as center_output
from center.gatectl import __main__ as gatectl
from gated.commands import output
from tests.docs.test_docs import commands, section, text

PARSERS = (gatectl.parser(), gated_center.parser())


@pytest.mark.parametrize(
    "command", [one for parser in PARSERS for one in commands(parser)], ids=lambda command: command.prog
)
def test_commands(command: argparse.ArgumentParser) -> None:
    """Every command has a section with its options, and its own help ends with an example."""
    part = section(text("center-commands"), f"`{command.prog}`")
    for action in command._actions:
        if action.option_strings and action.option_strings[-1] not in {"--help", "--config", "--json"}:
            assert action.option_strings[-1] in part
        for choice in action.choices or () if not action.option_strings and isinstance(action.choices, list) else ():
            assert choice in part
    assert command.epilog
    assert command.epilog.startswith("example:\n  ")


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_options_of_all(parser: argparse.ArgumentParser) -> None:
    """What stands before the command, or is common to all, is told under the program's own heading."""
    part = section(text("center-commands"), f"`{parser.prog}`")
    common = {"gatectl": {"--folder", "--site", "--json"}, "gated-center": {"--config"}}[parser.prog]
    assert all(f"`{option}" in part or f"{option} " in part for option in common)


def test_statuses() -> None:
    """The exit statuses are those of the gate's commands, and the page has them."""
    expected = {int(status) for status in output.STATUSES}
    told = set(re.findall(r"^\| (\d+) \|", text("center-commands"), re.MULTILINE))
    assert told == {str(status) for status in expected}
    assert {int(status) for status in center_output.STATUSES} == expected
    assert {status.name for status in center_output.STATUSES} == {status.name for status in output.STATUSES}
