"""What gatectl can do, docs/commands.md says, and its help teaches."""

import argparse

import pytest

from center.gatectl.__main__ import parser
from center.gatectl.output import STATUSES
from gated.commands import output
from tests.docs.test_docs import commands, section, text


@pytest.mark.parametrize("command", list(commands(parser())), ids=lambda command: command.prog)
def test_commands(command: argparse.ArgumentParser) -> None:
    """Every command has a section with its options, and its own help ends with an example."""
    part = section(text("commands"), f"`{command.prog}`")
    for action in command._actions:
        if action.option_strings and action.option_strings[-1] not in {"--help", "--json"}:
            assert action.option_strings[-1] in part
    assert command.epilog
    assert command.epilog.startswith("example:\n  ")


def test_statuses() -> None:
    """The exit statuses are those of the gate's commands."""
    assert {int(status): status.name for status in STATUSES} == {int(status): status.name for status in output.STATUSES}
