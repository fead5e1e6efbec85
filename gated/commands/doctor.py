"""`gated doctor`: everything that is wrong with this box, each with what to do.

`doctor_box` looks at the machine, `doctor_gate` at the gate's own things. Each check gives findings and raises
nothing for what it finds; one that is not allowed to look says so.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from gated.commands.finding import Finding, Grade, note, wrong
from gated.commands.options import Subparsers, add_config, add_json, command
from gated.commands.output import Status, say, say_json

if TYPE_CHECKING:
    from gated.config import Config

_MARKS: Final = {Grade.OK: "ok", Grade.NOTE: "note", Grade.WRONG: "WRONG"}
_BY_HAND: Final = (
    "exits and an exit's button still open; an entry opens by the barrier's own push-button or key switch, or by "
    "unlocking the arm. Write down who passed, and put the disk right: the gate goes on by itself"
)


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "doctor",
        "Look for everything that is wrong with this box, and say what to do.",
        "sudo -u gated gated doctor    # status 1 if anything is wrong",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print all findings; status 1 if one is wrong."""
    found = list(examine(args))
    bad = sum(finding.grade is Grade.WRONG for finding in found)
    if args.json:
        say_json({"ok": not bad, "findings": [asdict(finding) for finding in found]})
    else:
        _print(found)
        say(f"{bad} wrong" if bad else "nothing is wrong")
    return Status.FAILED if bad else Status.OK


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Every check, one after the other."""
    from gated.commands import doctor_box, doctor_center, doctor_gate  # noqa: PLC0415 - not for --help
    from gated.config import ConfigError, ConfigUnreadableError, load  # noqa: PLC0415 - the same

    config: Config | None = None
    try:
        config = load(args.config, check_state=False)
    except ConfigUnreadableError as error:
        yield wrong("configuration", str(error), "the rest that needs it is left out")
    except ConfigError as error:
        for problem in error.problems:
            yield wrong(
                "configuration", problem.text(error.file), "correct the line; gated check tells when it is right"
            )
    if config is not None:
        try:
            load(args.config)
        except ConfigError as error:
            for problem in error.problems:
                yield note(
                    "configuration", f"{problem.key}: {problem.found}", "look as the daemon: sudo -u gated gated doctor"
                )
        yield from doctor_gate.examine(config)
        yield from doctor_center.examine(config)
        yield from doctor_box.ports(config)
    yield from doctor_box.examine()
    yield note("by hand", "there is no guard's page; while the journal cannot be written nothing is admitted", _BY_HAND)


def _print(found: Iterable[Finding]) -> None:
    for finding in found:
        say(f"{_MARKS[finding.grade]:<6} {finding.about}: {finding.said}")
        if finding.do:
            say(f"       → {finding.do}")
