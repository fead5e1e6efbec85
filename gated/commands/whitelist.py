"""`gated list`: the whitelist of this gate: load a file, show an entry, say what is in force."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from gated.commands.options import Subparsers, add_config, add_json, command, configuration
from gated.commands.output import Failure, Status, complain, count, say, say_json, say_tree, table

if TYPE_CHECKING:
    from gated.lists.listload import ListRefused
    from gated.lists.whitelist import Whitelist

IN_FORCE_S: Final = 2.0
_BAR: Final = 30
_STAGES: Final = {"read": "reading", "compare": "comparing", "write": "writing"}


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "list",
        "Load, show and describe the whitelist of a gate without a center.",
        "sudo -u gated gated list load residents.jsonl",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    loading = command(
        actions,
        "load",
        "Load a list, one JSON object a line, and put it in force whole; a bad line changes nothing.",
        'echo \'{"c":"em:0A00A1B2C3","h":"h7Qk2"}\' > list.jsonl\nsudo -u gated gated list load list.jsonl',
    )
    loading.add_argument("file", type=Path, metavar="FILE", help="the list: JSON lines")
    loading.add_argument("--shrink", action="store_true", help="yes, more than a tenth of the entries are to go")
    loading.set_defaults(run=load)
    showing = command(
        actions,
        "show",
        "Show what the list says of a credential, or of a number that is printed on a card.",
        "gated list show em:0A00A1B2C3\ngated list show 0012345678",
    )
    showing.add_argument("credential", metavar="CREDENTIAL", help="scheme:VALUE, or what is printed, in any writing")
    showing.set_defaults(run=show)
    telling = command(actions, "info", "Say which list is in force.", "gated list info --json")
    telling.set_defaults(run=info)
    for action in (loading, showing, telling):
        add_config(action)
        add_json(action)


def load(args: argparse.Namespace) -> int:
    """Load a list and wait until it is in force. Raises PermissionError where the state folder is another user's."""
    from gated.lists import listload  # noqa: PLC0415 - not for --help

    config = configuration(args)
    try:
        config.state.stat()
    except FileNotFoundError as error:
        why = f"there is no state folder {config.state}; start the daemon once, or make the folder"
        raise Failure(why) from error
    listload.step_back()
    progress = _Progress(quiet=args.json)
    now = datetime.now(config.zone).isoformat(timespec="seconds")
    try:
        with progress:
            result = listload.load(
                config.state,
                args.file,
                progress,
                now,
                shrink=args.shrink,
                known_whens=frozenset(config.schedules) | {"always"},
                known_lanes=frozenset(config.lanes),
            )
    except listload.ListRefused as refused:
        return _refused(args, refused)
    except listload.LoadError as error:
        raise Failure(str(error)) from error
    said = _in_force(config.state, result.version)
    found = {
        "version": result.version,
        "entries": result.entries,
        "previous": result.previous,
        "added": result.added,
        "removed": result.removed,
        "changed": result.changed,
        "in_force": said,
    }
    if args.json:
        say_json(found)
    else:
        counts = f"{result.added:,} added, {result.removed:,} removed, {result.changed:,} changed"
        say(f"{count(result.entries, 'entry', 'entries')}, {counts}")
        say(f"{result.version}: {said}")
    return Status.OK if said != _LATE else Status.FAILED


def show(args: argparse.Namespace) -> int:
    """Print what the text may mean and which of it is on the list; status 1 where none is."""
    from gated.lists.whitelist import WhitelistError  # noqa: PLC0415 - not for --help
    from protocol.spelling import SpellingError, looked_up  # noqa: PLC0415 - the same
    from protocol.whitelist import encode  # noqa: PLC0415 - the same

    held = _held(configuration(args).state)
    try:
        shown = looked_up(args.credential, lambda credential: held.entry(credential) is not None)
        lines = [encode(entry).decode() for _, on in shown for one in on if (entry := held.entry(one)) is not None]
        version = held.info.version if held.info is not None else None
    except WhitelistError as error:
        raise Failure(str(error)) from error
    except SpellingError as error:
        raise Failure(str(error), Status.USAGE) from error
    finally:
        held.close()
    if args.json:
        told = [{"credential": one.credential, "how": one.how, "listed": on} for one, on in shown]
        entries = [json.loads(line) for line in lines]
        say_json({"text": args.credential, "list": version, "readings": told, "entries": entries})
        return Status.OK if lines else Status.FAILED
    if len(shown) > 1 or shown[0][0].credential != args.credential:
        for row in table([(one.credential, one.how, _on_the_list(on)) for one, on in shown]):
            say(row)
    if not lines:
        what = shown[0][0].credential if len(shown) == 1 else f"{args.credential}, in all {len(shown)} readings,"
        raise Failure(f"{what} is not on the list in force ({version or 'there is none'})")
    for line in (*lines, f"list: {version}"):
        say(line)
    return Status.OK


def _on_the_list(on: Sequence[str]) -> str:
    return f"on the list: {', '.join(on)}" if on else "not on the list"


def info(args: argparse.Namespace) -> int:
    """Print which list is in force; status 1 where there is none or it is in trouble."""
    held = _held(configuration(args).state)
    found, trouble = held.info, held.trouble
    held.close()
    if found is None:
        raise Failure(trouble or "no list has been loaded; load one with: gated list load FILE")
    described = {
        "version": found.version,
        "entries": found.entries,
        "loaded_at": found.loaded_at,
        "file": found.file,
        "trouble": trouble,
    }
    if args.json:
        say_json(described)
    else:
        say_tree(described)
    return Status.FAILED if trouble else Status.OK


def _held(folder: Path) -> "Whitelist":
    """The list in force. Raises PermissionError where this user may not read it: that is no trouble of the list."""
    from gated.lists.whitelist import POINTER, Whitelist  # noqa: PLC0415 - not for --help

    with suppress(FileNotFoundError):
        (folder / POINTER).open("rb").close()
    return Whitelist(folder)


_LATE: Final = "not in force yet; look at: gated doctor"


def _in_force(folder: Path, version: str) -> str:
    """Wait until the daemon has it in force; what came of it, in words."""
    from gated import control  # noqa: PLC0415 - not for --help

    until = time.monotonic() + IN_FORCE_S
    while True:
        try:
            answer = control.ask(folder, {"op": "list"})
        except control.NotRunning:
            return "in force when the daemon starts"
        if answer.get("version") == version:
            return "in force"
        if time.monotonic() >= until:
            return str(answer.get("trouble") or _LATE)
        time.sleep(0.1)


def _refused(args: argparse.Namespace, refused: "ListRefused") -> int:
    if args.json:
        say_json({"refused": refused.count, "lines": [{"line": line, "why": why} for line, why in refused.lines]})
        return Status.FAILED
    for line, why in refused.lines:
        complain(f"{args.file}:{line}: {why}" if line else f"{args.file}: {why}")
    if refused.count > len(refused.lines):
        complain(f"… and {refused.count - len(refused.lines):,} more")
    complain("Nothing was changed; the list in force is as it was.")
    return Status.FAILED


class _Progress:
    """A bar on a terminal, a line a stage elsewhere, nothing where the result is for a program."""

    def __init__(self, *, quiet: bool) -> None:
        self._terminal = sys.stderr.isatty()
        self._quiet = quiet
        self._stage = ""
        self._shown = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._quiet:
            return
        percent = 100 * done // total if total else 100
        if stage != self._stage:
            self._end()
            self._stage = stage
            if not self._terminal:
                complain(f"{_STAGES.get(stage, stage)} …")
        elif percent == self._shown:
            return
        self._shown = percent
        if self._terminal:
            bar = "█" * (_BAR * percent // 100)
            sys.stderr.write(f"\r{_STAGES.get(stage, stage):10} {bar:░<{_BAR}} {percent:3} %")
            sys.stderr.flush()

    def _end(self) -> None:
        """Leave the bar's line."""
        if self._terminal and self._stage and not self._quiet:
            sys.stderr.write("\n")
        self._stage = ""
