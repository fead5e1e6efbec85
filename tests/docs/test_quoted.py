"""Commands that the pages quote are commands that there are, with options that they have."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from center import __main__ as gated_center
from center.gatectl import __main__ as gatectl
from center.intake.cries import OTHER, WORDS
from center.records.alarms import DATABASE, ENDING, FLOODING, LAPSED, OVERDUE, REMOVED, SIGNERS, SILENT, UNSIGNED
from gated import __main__ as gated
from tests.docs.test_docs import ROOT, rows, section, text

PARSERS = {parser.prog: parser for parser in (gated.parser(), gatectl.parser(), gated_center.parser())}
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
WORKED = ("operations", "install", "center-commands", "commands", "flash")
_ENDS = {"&&", "||", "|", ">", ">>", ";", "&"}


def quoted(page: str) -> Iterator[list[str]]:
    """Every command of ours that a page quotes, whether in a block or in a line."""
    yield from in_blocks(page)
    prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    for inline in re.findall(r"`((?:[^`\n]|\n(?!\n))+)`", prose):
        yield from _ours(inline.replace("\n", " "))


def in_blocks(page: str) -> Iterator[list[str]]:
    """Those in blocks: to be typed as they stand."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
    for block in blocks:
        lines = [line.strip() for line in block.replace("\\\n", " ").splitlines()]
        typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in typed or lines:  # beside a prompt, the rest is what is printed
            yield from _ours(line)


def _ours(line: str) -> Iterator[list[str]]:
    try:
        reader = shlex.shlex(re.sub(r"\$\([^)]*\)", "X", line), posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        words = list(reader)
    except ValueError:  # prose with an apostrophe
        return
    part: list[str] = []
    for word in [*words, ";"]:
        if word not in _ENDS:
            part.append(word)
            continue
        while part and part[0] in {"sudo", "-u", "gated-center", "gated"} and part[1:2] and _goes_on(part):
            del part[0]
        if part and part[0] in PARSERS:
            yield part
        part = []


def _goes_on(part: list[str]) -> bool:
    """Whether the first word only says as whom a command of ours is run."""
    return part[0] in {"sudo", "-u"} or part[1] in PARSERS


def unknown(words: list[str]) -> str:
    """What of a command there is not; "" if all of it is there. A word in capitals stands for any."""
    parser, rest = PARSERS[words[0]], words[1:]
    while rest:
        word = rest.pop(0)
        named = next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)
        if word.startswith("-") and word != "-":
            known = [action for action in parser._actions if word.partition("=")[0] in action.option_strings]
            if not known:
                return f"{parser.prog} has no {word}"
            if known[0].nargs != 0 and "=" not in word:
                rest = rest[1:]
        elif named is not None:
            if word.isupper() or word in {"…", "..."}:
                return ""
            if word not in named.choices:
                return f"{parser.prog} has no {word}"
            parser = named.choices[word]
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_quoted_commands(page: Path) -> None:
    """Every command that a page quotes is there, with the options that it quotes."""
    assert [found for words in quoted(page.read_text(encoding="utf-8")) if (found := unknown(words))] == []


@pytest.mark.parametrize("name", WORKED)
def test_commands_in_blocks(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is to be typed as it stands is a whole command: nothing is missing, nothing is of another type."""
    commands = list(in_blocks(text(name)))
    assert commands
    for words in commands:
        try:
            PARSERS[words[0]].parse_args(words[1:])
        except SystemExit:
            pytest.fail(f"{shlex.join(words)}: {capsys.readouterr().err}")


def test_it_bites() -> None:
    """A command that is not, an option that is not, and one behind sudo are all found."""
    page = "`gatectl gate ad north` `sudo -u gated gated list load\n--all x`\n\n    cd x && sudo gated-center servr\n"
    assert [unknown(words) for words in quoted(page)] == [
        "gated-center has no servr",
        "gatectl gate has no ad",
        "gated list load has no --all",
    ]


def test_alarms_are_explained() -> None:
    """Every alarm of the center, its own and a gate's, is in the page for who runs it, and no other."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "center").rglob("*.py"))
    raised = set(re.findall(r'Alarm\(\s*"([a-z-]+)"', source))
    raised |= {SILENT, SIGNERS, LAPSED, UNSIGNED, DATABASE, ENDING, FLOODING, OVERDUE, REMOVED, OTHER, *WORDS}
    assert set(rows(section(text("operations"), "Alarms"))) == raised
