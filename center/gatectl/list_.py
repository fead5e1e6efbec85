"""`gatectl list`: what is on the whitelist, and what is proposed for it."""

import argparse
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from center.gatectl import asking, list_change, list_import, list_work, sign
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, say, say_json, say_table

if TYPE_CHECKING:
    from center.publish.repository import Repository
    from protocol.credential import Credential
    from protocol.spelling import Possible
    from protocol.whitelist import Entry


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers, "list", "See and change who may pass: the signed whitelist.", "gatectl list import residents.xlsx"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    list_import.add(actions)
    list_change.add(actions)
    showing = command(
        actions,
        "show",
        "Print the list in force, or what is in force for one credential.",
        "gatectl list show 'em:0a 00 a1 b2 c3'\ngatectl list show --json > list.jsonl",
    )
    showing.add_argument("credential", nargs="?", metavar="CREDENTIAL", help="only this one, in any writing")
    showing.set_defaults(run=show)
    diffing = command(
        actions, "diff", "Print what a bundle would change, and who has signed.", "gatectl list diff list.bundle"
    )
    diffing.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle")
    diffing.add_argument("--all", action="store_true", help="every line, not the first 50 of each kind")
    diffing.set_defaults(run=diff)
    info = command(actions, "info", "Print which list is in force, who signs, what runs out when.", "gatectl list info")
    info.set_defaults(run=run_info)
    for action in (showing, diffing, info):
        add_json(action)


def show(args: argparse.Namespace) -> int:
    """Print entries; status 1 where the one that was asked for is not in force now."""
    repository = list_work.held(opened(args))
    found = list_work.credentials(repository)
    if args.credential is None:
        for credential in sorted(found):
            say(found[credential].decode())
        return Status.OK
    shown = _readings(args.credential, found)
    entries = [_entry(repository, found[credential]) for _, on in shown for credential in on]
    if args.json:
        told = [{"credential": one.credential, "how": one.how, "listed": on} for one, on in shown]
        say_json({"text": args.credential, "readings": told, "entries": entries})
    else:
        if len(shown) > 1 or shown[0][0].credential != args.credential:
            say_table([{"may be": one.credential, "as": one.how, "on the list": ", ".join(on)} for one, on in shown])
        for entry in entries:
            _say_entry(entry)
    if not entries:
        what = shown[0][0].credential if len(shown) == 1 else f"{args.credential}, in all {len(shown)} readings,"
        raise Failure(f"{what} is not on the list", Status.USAGE)
    return Status.OK if all(entry["in_force"] for entry in entries) else Status.FAILED


def _readings(text: str, found: "Container[str]") -> "list[tuple[Possible, list[Credential]]]":
    """What the text may mean, each with those of the list. Raises Failure where it means nothing."""
    from protocol.spelling import SpellingError, looked_up  # noqa: PLC0415 - not for --help

    try:
        return looked_up(text, found.__contains__)
    except SpellingError as error:
        raise Failure(str(error), Status.USAGE) from error


def _entry(repository: "Repository", line: bytes) -> dict[str, Any]:
    from protocol.whitelist import parse  # noqa: PLC0415 - not for --help

    entry = parse(line)
    suspended = any(one.credential == entry.credential for one in repository.suspensions)
    added = {one.entry.credential: one.added.isoformat() for one in repository.enrolments}.get(entry.credential)
    why = _why_not(entry, suspended=suspended)
    said = {"line": line.decode(), "in_force": not why, "why": why}
    return {**said, "added_by_registrars": added, "suspended": suspended}


def _say_entry(entry: Mapping[str, Any]) -> None:
    say(entry["line"])
    if (added := entry["added_by_registrars"]) is not None:
        say(f"added by registrars on {added}; it lapses after 14 days unless the signers take it up")
    say(entry["why"] or "in force")


def _why_not(entry: "Entry", *, suspended: bool) -> str:
    moment = now().timestamp()
    if entry.gone:
        return "revoked"
    if suspended or (entry.since is not None and entry.since <= moment):
        return "suspended"
    if entry.begins is not None and moment < entry.begins:
        return "not in force yet"
    return "no longer in force" if entry.ends is not None and entry.ends <= moment else ""


def diff(args: argparse.Namespace) -> int:
    """Print what a bundle changes; nothing is signed."""
    from center.publish import bundle as bundles  # noqa: PLC0415 - not for --help
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.shown import show as shown  # noqa: PLC0415 - the same

    bundle = sign.load(args.bundle)
    try:
        found = shown(bundle, None if args.all else 50)
        signatures = bundles.signatures(bundle)
    except PublishError as error:
        raise Failure(str(error)) from error
    if args.json:
        changes = found.diff
        say_json(
            {
                "before": changes.before,
                "after": changes.after,
                "added": [line.decode() for line in changes.added],
                "removed": [line.decode() for line in changes.removed],
                "changed": [[was.decode(), new.decode()] for was, new in changes.changed],
                "documents": changes.documents,
                "keys": changes.keys,
                "signatures": {role: {"there": have, "needed": need} for role, (have, need) in signatures.items()},
            }
        )
        return Status.OK
    for line in found.text.splitlines():
        say(asking.plain(line))
    say(sign.counted(signatures))
    return Status.OK


def run_info(args: argparse.Namespace) -> int:
    """Print what is in force; status 1 while somebody must do something about it."""
    found = _info(list_work.held(opened(args)))
    alarms: list[str] = found["alarms"]
    if args.json:
        say_json(found)
        return Status.FAILED if alarms else Status.OK
    if found["version"] is None:
        say("no list is in force yet")
    else:
        say(f"list {found['version']}, as of {found['as_of']}: {found['entries']:,} entries")
    say(f"added by registrars: {found['enrolments']}; suspended: {found['suspensions']}")
    if found["signers"]:
        say(f"signatures: {found['threshold']} of {found['signers']} signers; state {found['snapshot']}")
    for role, when in found["expires"].items():
        say(f"{role}: valid until {when}")
    for text in alarms:
        say(f"ALARM  {text}")
    return Status.FAILED if alarms else Status.OK


def _info(repository: "Repository") -> dict[str, Any]:
    published, keyring = repository.whitelist, repository.keyring
    return {
        "version": published.target.version if published else None,
        "as_of": published.target.as_of if published else None,
        "entries": published.target.entries if published else None,
        "snapshot": repository.snapshot,
        "enrolments": len(repository.enrolments),
        "suspensions": len(repository.suspensions),
        "signers": len(keyring.signers) if keyring else None,
        "threshold": keyring.threshold if keyring else None,
        "expires": {role: f"{when:%Y-%m-%d}" for role, when in repository.expiries().items()},
        "alarms": repository.alarms(now()),
    }
