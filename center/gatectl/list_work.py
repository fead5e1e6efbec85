"""What the list's commands share: the list in force, proposals and where they are kept, times as people write them."""

import argparse
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import asking
from center.gatectl.options import now
from center.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from center.publish.listing import Next
    from center.publish.repository import Repository
    from center.site.folder import Site
    from protocol.credential import Credential
    from protocol.whitelist import Entry

PROPOSALS: Final = "proposals"
SHRINKS: Final = "shrinks"
_DAY: Final = len("2026-11-25")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where a proposal goes."""
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the bundle to be signed (default: in the site's folder)"
    )


def add_proposing(parser: argparse.ArgumentParser) -> None:
    """What goes with another list: a look at it first, the word where much goes, where the proposal goes."""
    parser.add_argument("--dry-run", action="store_true", help="show what would change; write nothing")
    parser.add_argument(
        "--word", action="append", default=[], choices=[SHRINKS], help="a loss of more than a tenth is meant"
    )
    add_output(parser)


def held(site: "Site") -> "Repository":
    """The site's repository. Raises Failure."""
    from center.publish.metadata import PublishError  # noqa: PLC0415 - not for --help
    from center.publish.opened import repository  # noqa: PLC0415 - the same

    try:
        return repository(site)
    except PublishError as error:
        raise Failure(str(error)) from error


def entries(repository: "Repository") -> "dict[Credential, Entry]":
    """The list in force, without what registrars have added."""
    from center.publish.listing import by_credential  # noqa: PLC0415 - not for --help

    found = repository.whitelist
    return by_credential(found.lines()) if found is not None else {}


def credentials(repository: "Repository") -> "dict[str, bytes]":
    """Each credential that is listed, or that registrars have added, with its line; revoked ones too."""
    from protocol import delta  # noqa: PLC0415 - not for --help
    from protocol.whitelist import encode  # noqa: PLC0415 - the same

    published = repository.whitelist
    found = {delta.key(line).decode(): line for line in published.lines()} if published is not None else {}
    for one in repository.enrolments:
        found.setdefault(one.entry.credential, encode(one.entry))
    return found


def known(text: str, among: "Iterable[str]") -> "Credential":
    """The credential that a person means. Raises Failure."""
    from protocol.spelling import SpellingError, listed  # noqa: PLC0415 - not for --help

    try:
        return listed(text, among)
    except SpellingError as error:
        raise Failure(str(error), Status.USAGE) from error


def propose(site: "Site", args: argparse.Namespace, made: "Next", kind: str) -> int:
    """Propose the list, show what it changes, keep the bundle (or not: `--dry-run`)."""
    from center.publish.lists import LOSS_MAX  # noqa: PLC0415 - not for --help
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.opened import first_keyring  # noqa: PLC0415 - the same
    from center.publish.proposal import Changes  # noqa: PLC0415 - the same
    from center.publish.shown import show  # noqa: PLC0415 - the same

    shrinks = made.before > 0 and made.out / made.before > LOSS_MAX
    if shrinks and not args.dry_run:
        share = made.out / made.before
        question = f"That takes {made.out:,} of {made.before:,} entries ({share:.0%}) off the list."
        asking.agreed(question, SHRINKS, args.word, f"--word {SHRINKS}")
    repository = held(site)
    try:
        keyring = first_keyring(site) if repository.keyring is None else None
        bundle = repository.propose(Changes(lines=made.lines, keyring=keyring, shrinks=shrinks), now())
        shown = show(bundle)
    except PublishError as error:
        raise Failure(str(error)) from error
    found = shown.diff
    same = not (found.added or found.removed or found.changed)
    path = None if args.dry_run or same else keep(site, args, bundle.to_bytes(), kind)
    if args.json:
        counts = {"added": len(found.added), "removed": len(found.removed), "changed": len(found.changed)}
        say_json({"bundle": path, "before": found.before, "after": found.after, **counts})
        return Status.OK
    for line in shown.text.splitlines():
        say(asking.plain(line))
    if path is not None:
        next_steps(path)
    return Status.OK


def keep(site: "Site", args: argparse.Namespace, data: bytes, kind: str) -> Path:
    """Write a bundle where it was asked for, or among the site's proposals."""
    from center.site import files  # noqa: PLC0415 - not for --help

    path: Path | None = args.output
    if path is None:
        folder = site.folder / PROPOSALS
        folder.mkdir(mode=files.SECRET_FOLDER, exist_ok=True)
        path = folder / f"{kind}-{now():%Y%m%d-%H%M%S}.bundle"
    files.write(path, data)
    return path


def next_steps(path: Path) -> None:
    """What is to be done with a bundle."""
    say(f"bundle: {path}")
    complain("")
    complain("Nothing has changed yet. Each signer, on a machine of their own:  gatectl sign BUNDLE --key N.pem")
    complain(f"Then here:  gatectl flash {path}")


def moment(text: str) -> float:
    """POSIX seconds: a day (its beginning, local time), or a moment. Raises argparse.ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone().timestamp() if found.tzinfo is None else found.timestamp()
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day and no time, like 2026-12-31T18:00") from error


def until(text: str) -> float:
    """As `moment`; but a day counts to its end."""
    seconds = moment(text)
    if len(text) != _DAY:
        return seconds
    return (datetime.fromisoformat(text) + timedelta(days=1)).astimezone().timestamp()
