"""`gatectl list import`: a list that the community already has becomes a proposal. What is ambiguous is asked."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import asking, list_work
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, complain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from center.imports import Answers, Entries, Imported, Question
    from protocol.credential import Credential
    from protocol.whitelist import Entry

_PROBLEMS_MAX: Final = 100
_ROWS_MAX: Final = 10
_COLUMNS_MAX: Final = 1000
"""Characters of the titles."""
_OTHER_ROW: Final = re.compile(r"_row_\d+$")
_GO_ON: Final = "yes"


def add(actions: Subparsers) -> None:
    """The action's own part of the command line."""
    parser = command(
        actions,
        "import",
        "Propose the list in a file: CSV, xlsx, one value a line, a device's own, or ours. It asks what is ambiguous.",
        "gatectl list import residents.xlsx --dry-run\n"
        "gatectl list import residents.csv --answer cards=em-dec10 --answer version_byte=0A --door 'North=walk-in'",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the list")
    parser.add_argument(
        "--answer", action="append", default=[], metavar="KEY=VALUE", help="an answer to a question; may be repeated"
    )
    parser.add_argument(
        "--card",
        action="append",
        default=[],
        metavar="ROW=CREDENTIAL",
        help="what a reader reads from that row's very card: that settles how cards are written",
    )
    parser.add_argument(
        "--door", action="append", default=[], metavar="DOOR=LANE,…", help="the lanes of a door of the file"
    )
    parser.add_argument(
        "--hours", action="append", default=[], metavar="PROFILE=HOURS", help='the hours of a time profile: "profile 2"'
    )
    parser.add_argument(
        "--lanes", default="*", metavar="LANE,…", help="the lanes for a file that knows no doors (default: all)"
    )
    parser.add_argument(
        "--keep-others", action="store_true", help="keep who is on the list and not in the file (else they go)"
    )
    parser.add_argument("--yes", action="store_true", help="leave out the rows that cannot be read, without asking")
    list_work.add_proposing(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, ask, report, propose."""
    from center.publish import listing  # noqa: PLC0415 - not for --help

    site = opened(args)
    current = list_work.entries(list_work.held(site))
    with args.file.open("rb") as file:
        own = listing.own(file)
    if own is not None:
        for number, why in list(own.wrong.items())[:_PROBLEMS_MAX]:
            complain(asking.plain(f"line {number}: {why}"))
        made = listing.imported(current, own.entries, now(), keep_others=args.keep_others, whole=True)
        left_out = len(own.wrong)
    else:
        found, left_out = _foreign(args, current)
        made = listing.imported(current, found.entries, now(), keep_others=args.keep_others)
    left_out += len(made.revoked)
    for credential in made.revoked:
        complain(f"{credential} was revoked and stays so; a card that is found again gets in as a new one only")
    if left_out and not args.dry_run:
        asking.agreed(
            f"{left_out} value{'s are' if left_out > 1 else ' is'} left out.",
            _GO_ON,
            [_GO_ON] if args.yes else [],
            "--yes",
        )
    return list_work.propose(site, args, made, "list")


def _foreign(args: argparse.Namespace, current: "Mapping[Credential, Entry]") -> "tuple[Entries, int]":
    """The entries of a list of the community's own, and how much of it is left out. Raises Failure."""
    from center import imports  # noqa: PLC0415 - not for --help
    from center.publish import listing  # noqa: PLC0415 - not for --help

    zone = now().tzinfo
    assert zone is not None  # noqa: S101 - for mypy: this moment has one
    try:
        report = imports.read(args.file, answers=_answers(args), today=now().date(), zone=zone)
    except imports.ImportsError as error:
        raise Failure(f"{args.file}: {error}") from error
    found = imports.entries(
        report,
        lanes={door: tuple(lanes.split(",")) for door, lanes in _pairs(args.door, "--door").items()},
        holder=listing.holders(current),
        hours=_pairs(args.hours, "--hours"),
        others=tuple(args.lanes.split(",")),
    )
    return found, _report(report, found)


def _answers(args: argparse.Namespace) -> "Answers":
    """Answers to all that must be asked of the file. Raises ImportsError, Failure."""
    from center import imports  # noqa: PLC0415 - not for --help

    values = _pairs(args.answer, "--answer") | _proved(args)
    while questions := imports.questions(args.file, imports.answers_from(values)):
        if not asking.interactive():
            for question in questions:
                _show(question)
            keys = " ".join(f"--answer {question.key}=…" for question in questions)
            raise Failure(f"the file does not say it; answer: {keys}", Status.USAGE)
        _show(questions[0])
        values[questions[0].key] = _ask(questions[0])
    return imports.answers_from(values)


def _proved(args: argparse.Namespace) -> dict[str, str]:
    """How cards are written, by cards that were held to a reader."""
    from center import imports  # noqa: PLC0415 - not for --help
    from protocol.credential import CredentialError, canonical  # noqa: PLC0415 - the same

    if not args.card:
        return {}
    try:
        read = {int(row): canonical(text) for row, text in _pairs(args.card, "--card").items()}
    except (CredentialError, ValueError) as error:
        raise Failure(f"--card: {error}", Status.USAGE) from error
    found = imports.fitting(args.file, read)
    if len(found) != 1:
        many = ", ".join(one.writing for one in found)
        raise Failure(f"these cards fit {many}; hold one more to the reader" if found else "these cards fit no writing")
    version = found[0].version_byte
    return {"cards": found[0].writing.value} | ({} if version is None else {"version_byte": version})


def _show(question: "Question") -> None:
    where = "" if question.column is None else f" (column {question.column})"
    complain(asking.plain(f"{_WORDS.get(question.key, question.key)}{where}"))
    for choice in question.choices:
        example = f"  row {choice.row}: {choice.written} becomes {choice.becomes}" if choice.becomes else ""
        reads = "" if choice.reads is None else f"  reads {choice.reads}"
        complain(asking.plain(f"  {question.key}={choice.value}{reads}{example}"))


def _ask(question: "Question") -> str:
    values = [choice.value for choice in question.choices]
    if not values:
        return asking.typed("two hex digits: ")
    if question.several:
        return asking.typed(f"one or more of {', '.join(values)}, parted by commas: ")
    return asking.chosen("which? ", values)


_WORDS: Final = {
    "cards": "How are the cards written? Hold one to a reader and compare.",
    "technology": "What are the cards?",
    "version_byte": "What is the first byte of these cards? A reader that reads all five shows it.",
    "epc": "How are the tags written?",
    "readers": "Which readers wrote into this list?",
    "take": "Which of the columns are to be taken?",
    "end_date": "Is the end date the last day, or the day after it?",
    "midnight": "Does a right that ends at 0:00 end then, or with that day?",
    "name_order": "In which order do the names stand?",
}


def _report(report: "Imported", found: "Entries") -> int:
    """Say what is not taken, by row and column; how much that is."""
    if report.about.unread:
        complain(asking.plain(f"columns of which nothing is taken: {', '.join(report.about.unread)[:_COLUMNS_MAX]}"))
    lines = [_problem_line(problem.row, problem.column, problem.value, problem.reason, problem.candidates)
             for problem in report.errors]  # fmt: skip
    lines += [f"row {gap.row}, door {gap.door}: {gap.why}" for gap in found.gaps]
    for line in lines[:_PROBLEMS_MAX]:
        complain(asking.plain(line))
    if len(lines) > _PROBLEMS_MAX:
        complain(f"… and {len(lines) - _PROBLEMS_MAX} more")
    notes = [(str(row.skipped), row.number) for row in report.skipped]
    notes += [(_OTHER_ROW.sub("_row_N", warning), row) for row, warning in report.warnings]
    for note in dict.fromkeys(note for note, _ in notes):
        complain(f"{_rows([row for told, row in notes if told == note])}: {note}")
    if any(row.begins or row.until for row in report.rows):
        offset = now().isoformat()[-len("+08:00") :]
        complain(f"its dates and times are read as this machine's clock has them: UTC{offset}")
    sys.stderr.flush()
    return len(lines)


def _rows(numbers: list[int]) -> str:
    """Which rows, the first of many."""
    shown = ", ".join(map(str, numbers[:_ROWS_MAX]))
    more = f" and {len(numbers) - _ROWS_MAX} more" if len(numbers) > _ROWS_MAX else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _problem_line(row: int, column: object, value: object, reason: str, candidates: tuple[str, ...]) -> str:
    where = f"row {row}" if column is None else f"row {row}, column {column}"
    may = f"; may be {', '.join(candidates)}" if candidates else ""
    return f"{where}: {reason}{may}" if value is None else f"{where}: {value!r}: {reason}{may}"


def _pairs(given: list[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise Failure(f"{option} {text!r} would be right as KEY=VALUE", Status.USAGE)
        found[key] = value
    return found
