"""`gatectl expected`: who is announced to the guards at the gates."""

import argparse
import getpass
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from center.gatectl import asking, flash, list_work
from center.gatectl.options import Subparsers, add_json, command, now, opened
from center.output import Failure, Status, say, say_json, say_table

if TYPE_CHECKING:
    from center.records.database import AnyRow
    from center.records.store import Store
    from center.site.folder import Site

_AT_ONCE: Final = "at once"
_BY_PUBLISHER: Final = "by the center's publisher"


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    parser = command(
        subparsers,
        "expected",
        "Announce visitors to the guards at the gates. It helps to register them; nothing opens for it.",
        "gatectl expected add 王明 --visits 12-501",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    adding = command(
        actions,
        "add",
        "Announce a visitor, at most 30 days ahead.",
        "gatectl expected add 王明 --visits 12-501 --until 2026-11-24T18:00\n"
        "gatectl expected add 王明 --people 3 --plate 沪A·12345 --from 2026-11-25 --until 2026-11-26",
    )
    adding.add_argument("name", metavar="NAME", help="who comes")
    adding.add_argument("--people", type=int, default=1, metavar="N", help="how many come together (default: 1)")
    adding.add_argument("--plate", metavar="PLATE", help="the plate of their vehicle")
    adding.add_argument("--visits", default="", metavar="WHOM", help="whom they visit: a dwelling, a name, a token")
    adding.add_argument("--note", default="", metavar="TEXT", help="what else the guard should know")
    adding.add_argument("--from", dest="begins", type=list_work.moment, metavar="TIME", help="from when (default: now)")
    adding.add_argument(
        "--until",
        type=list_work.until,
        metavar="TIME",
        help="until when; a day to its end (default: to the end of the day on which it begins)",
    )
    adding.add_argument("--by", metavar="NAME", help="who announces it (default: the user who runs the command)")
    adding.set_defaults(run=add_visitor)
    listing = command(
        actions,
        "list",
        "Print who is announced, and who announced it.",
        "gatectl expected list\ngatectl expected list --json",
    )
    listing.set_defaults(run=list_)
    withdrawing = command(
        actions, "withdraw", "Take announcements back; they are erased.", "gatectl expected withdraw h3k9m2rt"
    )
    withdrawing.add_argument("ids", nargs="+", metavar="ID", help="the announcement, as `add` and `list` print it")
    withdrawing.set_defaults(run=withdraw)
    for action in (adding, withdrawing):
        action.add_argument("--no-publish", action="store_true", help="leave it to the center's publisher")
    for action in (adding, listing, withdrawing):
        add_json(action)


def add_visitor(args: argparse.Namespace) -> int:
    """Announce a visitor, and say when the gates have it."""
    from center.gatectl.registry import stored  # noqa: PLC0415 - the same
    from center.records import expected  # noqa: PLC0415 - not for --help
    from protocol.expected import ExpectedError  # noqa: PLC0415 - the same

    site, moment = opened(args), now()
    begins = moment.replace(microsecond=0).timestamp() if args.begins is None else args.begins
    with stored(site) as store:
        try:
            made = expected.made(
                args.name,
                people=args.people,
                plate=_plate(args.plate),
                visits=args.visits,
                note=args.note,
                begins=begins,
                until=_end_of_day(begins) if args.until is None else args.until,
                now=moment.timestamp(),
            )
            with store.database.transaction() as connection:
                expected.add(connection, made, args.by or _user(), moment.timestamp())
        except ExpectedError as error:
            raise Failure(str(error), Status.USAGE) from error
        told = _published(site, store, args)
    if args.json:
        say_json({"id": made.id, **told})
    else:
        say(f"{made.id}  {made.name}: announced from {_local(made.begins_s)} until {_local(made.until_s)}")
        say(_when(told))
    return Status.OK


def list_(args: argparse.Namespace) -> int:
    """Print who is announced."""
    from center.gatectl.registry import stored  # noqa: PLC0415 - the same
    from center.records import expected  # noqa: PLC0415 - not for --help

    with stored(opened(args), read_only=True) as store, store.reading() as connection:
        found = [_row(row) for row in expected.rows(connection, now().timestamp())]
    if args.json:
        say_json(found)
    elif not found:
        say("nobody is announced")
    else:
        say_table([{key: asking.plain(str(value or "")) for key, value in row.items()} for row in found])
    return Status.OK


def withdraw(args: argparse.Namespace) -> int:
    """Take announcements back."""
    from center.gatectl.registry import stored  # noqa: PLC0415 - the same
    from center.records import expected  # noqa: PLC0415 - not for --help
    from protocol.expected import ExpectedError  # noqa: PLC0415 - the same

    site = opened(args)
    with stored(site) as store:
        try:
            with store.database.transaction() as connection:
                expected.withdraw(connection, args.ids)
        except ExpectedError as error:
            raise Failure(str(error), Status.USAGE) from error
        told = _published(site, store, args)
    if args.json:
        say_json({"withdrawn": args.ids, **told})
    else:
        for one in args.ids:
            say(f"{one}: withdrawn")
        say(_when(told))
    return Status.OK


def _published(site: "Site", store: "Store", args: argparse.Namespace) -> dict[str, Any]:
    """Seal it for the gates and let the broker have it; which gates, and when they have it. Raises Failure."""
    from center.publish.expected import publish  # noqa: PLC0415 - the same
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.records import expected  # noqa: PLC0415 - not for --help
    from protocol.expected import ExpectedError  # noqa: PLC0415 - the same

    try:
        publish(store, site, now())
    except (PublishError, ExpectedError) as error:
        raise Failure(f"it is written down, and not published: {error}") from error
    if not args.no_publish:
        flash.tell_broker(site)
    let_in, set_up = site.accounts.of("gate"), expected.current(store, now().timestamp()).seals
    return {
        "at_gates": _BY_PUBLISHER if args.no_publish else _AT_ONCE,
        "gates": sorted(set(let_in) & set(set_up)),
        "not_set_up": sorted(set(let_in) - set(set_up)),
    }


def _when(told: dict[str, Any]) -> str:
    gates, missing = ", ".join(told["gates"]), ", ".join(told["not_set_up"])
    said = "Within seconds at " if told["at_gates"] == _AT_ONCE else "When the center's publisher has said it, at "
    said = f"{said}{gates}; a gate that is offline has it when it is back." if gates else "No gate is set up yet."
    return f"{said} Once their boxes are set up: {missing}." if missing else said


def _row(row: "AnyRow") -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "people": row.people,
        "plate": row.plate,
        "visits": row.visits,
        "from": _local(row.begins),
        "until": _local(row.until),
        "note": row.note,
        "by": row.operator,
        "announced": _local(row.announced),
    }


def _plate(text: str | None) -> str | None:
    from protocol.spelling import SpellingError, new  # noqa: PLC0415 - not for --help

    if text is None:
        return None
    try:
        found = new(text)
    except SpellingError as error:
        raise Failure(f"plate: {error}", Status.USAGE) from error
    if not found.startswith("plate:"):
        raise Failure(f"plate: {text!r} is no plate", Status.USAGE)
    return found


def _user() -> str:
    """Who runs the command, as themselves also behind sudo."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _end_of_day(begins: float) -> float:
    return list_work.until(f"{datetime.fromtimestamp(begins, UTC).astimezone():%Y-%m-%d}")


def _local(seconds: float) -> str:
    """A moment as people here read it, with its offset."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(timespec="seconds")
