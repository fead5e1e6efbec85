"""`gated journal`: read, check and export what the gate wrote down. It only ever reads."""

import argparse
import json
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from gated.commands.moments import RIGHT, moment
from gated.commands.options import Subparsers, add_config, add_json, command, configuration
from gated.commands.output import Failure, Status, complain, padded, plain, say, say_json, say_line, say_now

if TYPE_CHECKING:
    from gated.recording.journal_read import Filter, Verified

FOLLOW_LAST: Final = 10
_SHOWN: Final = frozenset({"seq", "at", "clock", "boot", "mono", "kind", "lane", "verdict", "reason", "credential"})


@dataclass(frozen=True, slots=True)
class _Source:
    """Which journal, whose local time, and which events of it."""

    path: Path
    zone: ZoneInfo
    wanted: "Filter"


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "journal",
        "Read, check and export what the gate wrote down.",
        "sudo -u gated gated journal list --last 20\n"
        "sudo -u gated gated journal verify\n"
        "sudo -u gated gated journal export --since 2026-11-01 --format csv -o november.csv",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_list(actions)
    verify = command(
        actions,
        "verify",
        "Check every event against the chain: nothing altered, missing or added.",
        "sudo -u gated gated journal verify    # status 1 if anything does not fit",
    )
    add_config(verify)
    add_json(verify)
    verify.set_defaults(run=run_verify)
    _add_export(actions)


def _add_list(actions: Subparsers) -> None:
    parser = command(
        actions,
        "list",
        "Print events, oldest first, one a line.",
        "sudo -u gated gated journal list --since 2h --lane walk-in\n"
        "sudo -u gated gated journal list --credential em:0A00A1B2C3 --json\n"
        "sudo -u gated gated journal list --follow",
    )
    _add_filters(parser)
    parser.add_argument("--last", type=_count, metavar="N", help="only the last N of them")
    parser.add_argument("--follow", action="store_true", help=f"the last {FOLLOW_LAST}, then new ones as they come")
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the event lines themselves, byte for byte")
    parser.set_defaults(run=run_list)


def _add_export(actions: Subparsers) -> None:
    parser = command(
        actions,
        "export",
        "Write events to a file: JSON lines as they are, or a table.",
        "sudo -u gated gated journal export --format csv -o /tmp/passages.csv --kind passage",
    )
    _add_filters(parser)
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: jsonl")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to (default: standard output)")
    add_config(parser)
    parser.set_defaults(run=run_export)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="TIME", help=f"from this time on: {RIGHT}")
    parser.add_argument("--until", metavar="TIME", help="before this time; written in the same ways")
    parser.add_argument("--lane", metavar="NAME", help="only this lane")
    parser.add_argument("--credential", metavar="CREDENTIAL", help="only this credential, such as em:0A00A1B2C3")
    parser.add_argument("--kind", metavar="KIND", help="only this kind: passage, passed, opened, alarm, system, …")


def run_list(args: argparse.Namespace) -> int:
    """Print the events that are meant."""
    source = _source(args)
    if args.follow and args.until:
        raise Failure("--follow has no end: leave --until out", Status.USAGE)
    with _Reading():
        end = _head(source.path) if args.follow else None
        for line in _meant(args, source, end):
            _print(line, source, as_json=args.json)
        if end is not None:
            import asyncio  # noqa: PLC0415 - not for --help

            sys.stdout.flush()  # into a pipe it would stand in the buffer until the next event
            asyncio.run(_follow(source, end, as_json=args.json))
    sys.stdout.buffer.flush()
    return Status.OK


def run_verify(args: argparse.Namespace) -> int:
    """Check the chain; status 1 if anything does not fit."""
    from gated.recording import journal_read  # noqa: PLC0415 - not for --help

    path = _path(args)
    with _Reading():
        found = journal_read.verify(path, None if args.json else _progress)
    if args.json:
        say_json(_verified(found))
    else:
        for problem in found.problems:
            complain(f"event {problem.seq}: {problem.what}" if problem.seq else problem.what)
        count = max(0, found.last - found.first + 1)
        say(f"{count:,} events, {found.first:,} to {found.last:,}, {len(found.epochs)} epochs")
        say("the chain does not hold" if found.problems else f"the chain holds; head {found.head.hex()}")
    return Status.FAILED if found.problems else Status.OK


def run_export(args: argparse.Namespace) -> int:
    """Write the events that are meant."""
    from gated.recording import journal_read  # noqa: PLC0415 - not for --help

    source = _source(args)
    lines = _lines(source)
    with _Reading():
        if args.output is None:
            if args.format == "csv":
                journal_read.export_csv(lines, sys.stdout)
            else:
                journal_read.export_jsonl(lines, sys.stdout.buffer)
            return Status.OK
        try:
            count = _export(args, lines)
        except OSError as error:
            raise Failure(f"{args.output} cannot be written: {error.strerror}", Status.UNREACHABLE) from error
    complain(f"{count:,} events in {args.output}")
    return Status.OK


def readable(line: bytes, zone: ZoneInfo) -> str:
    """One event for a person: seq, local time, lane, kind, and what it says."""
    try:
        event: dict[str, Any] = json.loads(line)
        at = datetime.fromisoformat(event["at"]).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        said = [str(event[key]) for key in ("verdict", "reason", "credential") if key in event]
        said += [f"{key}={plain(value)}" for key, value in event.items() if key not in _SHOWN]
        doubt = "" if event["clock"] == "synced" else f" ({event['clock']})"
        lane, kind = padded(str(event.get("lane", "-")), 10), padded(str(event["kind"]), 9)
        return f"{event['seq']:>8}  {at}{doubt}  {lane}  {kind}  {' '.join(said)}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return line.decode("utf-8", "backslashreplace")  # safe: a damaged line is shown as it is


class _Reading:
    """The journal's own errors as the end of the command."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from gated.recording.journal_read import JournalUnreadable  # noqa: PLC0415 - not for --help

        if isinstance(error, JournalUnreadable):
            raise Failure(str(error), Status.UNREACHABLE) from error


def _path(args: argparse.Namespace) -> Path:
    return _journal_in(configuration(args).state)


def _journal_in(state: Path) -> Path:
    """The journal's file; raises Failure where there is none, PermissionError where it may not be read."""
    from gated.recording.store import FILE_NAME  # noqa: PLC0415 - not for --help

    path = state / FILE_NAME
    try:
        path.stat()
    except FileNotFoundError as error:
        why = f"there is no journal at {path}: the daemon has not run with this configuration yet"
        raise Failure(why, Status.UNREACHABLE) from error
    path.open("rb").close()
    return path


def _source(args: argparse.Namespace) -> _Source:
    from gated.recording.journal_read import Filter  # noqa: PLC0415 - not for --help
    from protocol.event import Kind  # noqa: PLC0415 - the same

    if args.kind is not None and args.kind not in list(Kind):
        raise Failure(f"there is no kind {args.kind!r}; kinds are {', '.join(Kind)}", Status.USAGE)
    config = configuration(args)
    now = datetime.now(UTC)
    try:
        start = moment(args.since, now, config.zone) if args.since else None
        end = moment(args.until, now, config.zone) if args.until else None
    except ValueError as error:
        raise Failure(str(error), Status.USAGE) from error
    wanted = Filter(start=start, end=end, lane=args.lane, credential=args.credential, kind=args.kind)
    return _Source(_journal_in(config.state), config.zone, wanted)


def _lines(source: _Source) -> Iterator[bytes]:
    from gated.recording import journal_read  # noqa: PLC0415 - not for --help

    wanted = source.wanted
    return journal_read.lines(
        source.path,
        start=wanted.start,
        end=wanted.end,
        lane=wanted.lane,
        credential=wanted.credential,
        kind=wanted.kind,
    )


def _meant(args: argparse.Namespace, source: _Source, end: int | None) -> Iterable[bytes]:
    """The lines to print, up to seq `end` where more is to follow."""
    last = args.last if args.last is not None else FOLLOW_LAST if end is not None else None
    lines = _lines(source)
    if end is not None:
        lines = (line for line in lines if _seq(line) <= end)
    if last is None:
        return lines
    return deque(lines, maxlen=last) if last else islice(lines, 0)


def _seq(line: bytes) -> int:
    return int(line[len(b'{"seq":') : line.index(b",")])


def _head(path: Path) -> int:
    from gated.recording import journal_read  # noqa: PLC0415 - not for --help

    return journal_read.head(path)


async def _follow(source: _Source, after: int, *, as_json: bool) -> None:
    from gated.recording import journal_read  # noqa: PLC0415 - not for --help

    async for line in journal_read.follow(source.path, source.wanted, after=after):
        _print(line, source, as_json=as_json, now=True)


def _print(line: bytes, source: _Source, *, as_json: bool, now: bool = False) -> None:
    if as_json:
        say_line(line)
        if now:
            sys.stdout.buffer.flush()
    elif now:
        say_now(readable(line, source.zone))
    else:
        say(readable(line, source.zone))


def _private(path: str, flags: int) -> int:
    """Who passed when is nobody else's business: a new file is the user's alone."""
    return os.open(path, flags, 0o600)


def _export(args: argparse.Namespace, lines: Iterable[bytes]) -> int:
    from gated.recording import journal_read  # noqa: PLC0415 - not for --help

    if args.format == "jsonl":
        with open(args.output, "wb", opener=_private) as file:
            return journal_read.export_jsonl(lines, file)
    # The mark tells spreadsheets: UTF-8.
    with open(args.output, "w", encoding="utf-8-sig", newline="", opener=_private) as table:
        return journal_read.export_csv(lines, table)


def _verified(found: "Verified") -> dict[str, object]:
    return {
        "ok": not found.problems,
        "first": found.first,
        "last": found.last,
        "head": found.head.hex(),
        "epochs": [{"id": e.id, "first": e.first, "began": e.began, "why": e.why} for e in found.epochs],
        "problems": [{"seq": problem.seq, "what": problem.what} for problem in found.problems],
    }


def _progress(done: int, last: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done:,} of {last:,}" + ("\n" if done >= last else ""))
        sys.stderr.flush()


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("0 or more would be right")
    return number
