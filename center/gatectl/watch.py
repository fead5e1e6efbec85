"""`gatectl status` and `watch`: how the gates are, as they say themselves."""

import argparse
import json
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl.asking import plain
from center.gatectl.options import Subparsers, add_json, chosen, command, now, opened
from center.gatectl.reach import Reach, reached
from center.output import Failure, Status, complain, say, say_json, say_table

if TYPE_CHECKING:
    from center.statuses import Said

WAIT_S: Final = 3.0
_RETRY_S: Final = 1.0
_LASTING: Final = ("state", "mode", "fire", "list", "trouble", "offline", "rivals", "refused", "version", "clock")


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    status = command(
        subparsers,
        "status",
        "Print how the gates are, as they say themselves; status 1 if one is not as it should be.",
        "gatectl status --json",
    )
    status.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="SECONDS", help=f"for a gate that is silent (default: {WAIT_S:g})"
    )
    status.set_defaults(run=run_status)
    watching = command(
        subparsers,
        "watch",
        "Print a line each time that a gate is otherwise than before, until Ctrl-C.",
        "gatectl watch",
    )
    watching.set_defaults(run=run_watch)
    for parser in (status, watching):
        add_json(parser)


def run_status(args: argparse.Namespace) -> int:
    """Print how all are."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same
    from center.statuses import latest  # noqa: PLC0415 - the same

    ending = _ending(args)
    for text in ending:
        complain(f"gatectl: {text}")
    reach = _reached(args)
    try:
        found = asyncio.run(latest(reach.account, reach.site, reach.gates, args.wait))
    except BrokerAwayError as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    moment = now()
    rows = {name: row(found.get(name), moment) for name in reach.gates}
    well = all(map(_well, rows.values()))
    rows |= {name: {"state": "not set up"} for name in reach.awaited}
    if args.json:
        say_json([{"gate": name, **told} for name, told in sorted(rows.items())])
    else:
        say_table([{"gate": name, **_plain(told)} for name, told in sorted(rows.items())])
        if reach.aging and len(found) < len(reach.gates):
            complain(f"gatectl: {reach.missing}")
    return Status.OK if well and not ending else Status.FAILED


def run_watch(args: argparse.Namespace) -> int:
    """Print what changes."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same

    reach = _reached(args)
    try:
        asyncio.run(_watch(reach, as_json=args.json))
    except BrokerAwayError as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    return Status.OK


def row(said: "Said | None", moment: datetime) -> dict[str, object]:
    """How a gate is, in words that a table has."""
    from protocol.message import Offline  # noqa: PLC0415 - not for --help

    if said is None:
        return {"state": "silent"}
    if isinstance(said, Offline):
        return {"state": "offline"}
    ago = (moment - datetime.fromisoformat(said.sent.at)).total_seconds() if said.sent.clock == "synced" else None
    return {
        "state": said.state,
        "mode": said.mode,
        "fire": said.fire,
        "backlog": said.backlog,
        "list": said.list.version,
        "list_age_s": said.list.age_s and round(said.list.age_s),
        "trouble": said.list.trouble,
        "offline": sorted(name for name, device in said.devices.items() if not device.online),
        "clock": said.sent.clock,
        "rivals": [rival.epoch for rival in said.rivals],
        "refused": said.refused,
        "version": said.version,
        "said_s_ago": ago and round(ago, 1),
    }


def changed(before: Mapping[str, object] | None, told: Mapping[str, object]) -> bool:
    """Whether a gate is otherwise than it was; a backlog and an age always are, but that a backlog is gone is news."""
    gone = before is not None and before.get("backlog") and told.get("backlog") == 0
    return before is None or bool(gone) or any(before.get(key) != told.get(key) for key in _LASTING)


async def _watch(reach: Reach, *, as_json: bool) -> None:
    """Also through a broker's restart; one that was never reached is the end. Raises BrokerAwayError."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same

    held: dict[str, dict[str, object]] = {}
    told = ""
    while True:
        try:
            await _listen(reach, held, as_json=as_json)
        except BrokerAwayError as error:
            if not held:
                raise
            if str(error) != told:
                told = str(error)
                complain(f"gatectl: {now():%H:%M:%S}  the broker is away, and tried again: {told}")
        await asyncio.sleep(_RETRY_S)


async def _listen(reach: Reach, held: dict[str, dict[str, object]], *, as_json: bool) -> None:
    import sys  # noqa: PLC0415 - not for --help

    from center.statuses import follow  # noqa: PLC0415 - the same

    async with aclosing(follow(reach.account, reach.site, reach.gates)) as followed:
        async for news in followed:
            moment = now()
            told = row(news.said, moment)
            if not changed(held.get(news.gate), told):
                continue
            held[news.gate] = told
            if as_json:
                say(json.dumps({"at": moment.isoformat(timespec="seconds"), "gate": news.gate, **told}))
            else:
                words = "  ".join(f"{key} {value}" for key, value in _plain(told).items() if key != "state" and value)
                say(f"{moment:%H:%M:%S}  {news.gate}  {told['state']}  {words}".rstrip())
            sys.stdout.flush()


def _reached(args: argparse.Namespace) -> Reach:
    found = reached(args)
    if not found.gates:
        raise Failure(f"no gate's key is known yet. {found.missing}")
    return found


def _ending(args: argparse.Namespace) -> list[str]:
    """What of the site runs out, where its folder is."""
    if not isinstance(chosen(args), Path):
        return []
    from center.publish.ending import everything  # noqa: PLC0415 - not for --help

    return everything(opened(args), now())


def _well(told: Mapping[str, object]) -> bool:
    there = told["state"] == "online" and told["mode"] == "automatic" and told["fire"] in {None, "clear"}
    return there and not told["offline"] and not told["rivals"]


def _plain(told: Mapping[str, object]) -> dict[str, object]:
    """What a person looks for."""
    said: dict[str, object] = {"state": told["state"]}
    rival = "another box runs under its name" if told.get("rivals") else ""
    refused = told.get("refused")
    words = {
        "trouble": "; ".join(text for text in (rival, str(told.get("trouble") or "")) if text),
        "refused": ", ".join(f"{n} {why}" for why, n in refused.items()) if isinstance(refused, dict) else None,
    }
    for key in ("mode", "fire", "backlog", "list", "offline", "trouble", "refused", "clock"):
        value = words.get(key, told.get(key))
        value = ", ".join(value) if isinstance(value, list) else value
        said[key] = plain(value) if isinstance(value, str) else value
    ago = told.get("said_s_ago")
    said["said"] = f"{ago:.0f} s ago" if isinstance(ago, float) else None
    return said
