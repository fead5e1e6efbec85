"""`gatectl flash`: puts what is signed enough into force, publishes it at once, and watches the gates.

On a technician's laptop it does the last of these: how far each gate is with what the center has published.
"""

import argparse
import sys
import time
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from center.gatectl import asking, sign
from center.gatectl.options import Subparsers, add_json, chosen, command, now, opened
from center.gatectl.reach import center_account, reached
from center.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from center.gatectl.profiles import Installed
    from center.publish.flashing import Screen
    from center.publish.taking import Gate, Taking
    from center.site.folder import Site

TIMEOUT_S: Final = 300.0
AWAY: Final = "it is in force here, but the broker cannot be reached: {}; the center publishes it when it can"


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "flash",
        "Put a signed bundle into force and flash it to all gates; status 1 if any gate did not take it.",
        "gatectl flash /media/stick/list.bundle\n"
        "gatectl flash     # again what is in force, for gates that were away; on a laptop: how far they are",
    )
    parser.add_argument(
        "bundle",
        nargs="*",
        type=Path,
        metavar="BUNDLE",
        help="the signed bundle; several copies of it, each with other signatures, are put together",
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long to wait for gates (default: {TIMEOUT_S:g}); for one that is offline or refuses, 15 s",
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the gates")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Accept, publish, watch."""
    where = chosen(args)
    if not isinstance(where, Path) and not args.bundle and not args.no_wait:
        return _watch(where, args)
    site = opened(args)
    version, snapshot = put_in_force(site, args.bundle)
    return publish(site, args, version, snapshot)


def put_in_force(site: "Site", files: list[Path]) -> tuple[int | None, int]:
    """Accept the bundle in these files, if any; the list and the state of the repository in force. Raises Failure."""
    from center.publish import bundle as bundles  # noqa: PLC0415 - not for --help
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.opened import changing, repository, settle  # noqa: PLC0415 - the same

    copies = [sign.load(path) for path in files]
    try:
        with changing(site):
            if copies:
                whole = reduce(bundles.merge, copies)
                held = repository(site, whole)
                held.accept(whole, now())
                settle(site, held)
            held = repository(site)
            found = held.whitelist
            return (found.target.version if found else None), held.snapshot
    except PublishError as error:
        raise Failure(str(error)) from error


def _watch(at: "Installed", args: argparse.Namespace) -> int:
    """What the center has published already. Raises Failure."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same
    from center.publish import flashing  # noqa: PLC0415 - the same
    from center.publish.in_force import in_force  # noqa: PLC0415 - the same
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.taking import Taking  # noqa: PLC0415 - the same

    reach = reached(args)
    try:
        found = asyncio.run(in_force(reach.account, reach.site, at.profile.root, now()))
        keys = {name: gate.keys[0] for name, gate in reach.gates.items()}
        names = sorted({*keys, *at.profile.vouchers})
        taking = Taking.of(reach.site, found.snapshot, names, keys, time.monotonic())
        _shown(args, taking, lambda screen: flashing.watch(reach.account, taking, args.timeout, screen))
    except BrokerAwayError as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    except PublishError as error:
        raise Failure(str(error)) from error
    return _tell(args, taking, found.version)


def _shown(
    args: argparse.Namespace, taking: "Taking", watched: "Callable[[Screen], Coroutine[Any, Any, None]]"
) -> None:
    """Run it, and show meanwhile how far the gates are."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.gatectl.progress import Bars, Lines  # noqa: PLC0415 - the same

    with (Bars if sys.stderr.isatty() and not args.json else Lines)(taking, quiet=args.json) as screen:
        asyncio.run(watched(screen.screen))


def publish(site: "Site", args: argparse.Namespace, version: int | None, snapshot: int) -> int:
    """Let the broker have what is in force, wait for the gates, tell. Raises Failure."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same
    from center.gatectl.registry import keys  # noqa: PLC0415 - the same
    from center.publish import flashing  # noqa: PLC0415 - the same
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.taking import Taking  # noqa: PLC0415 - the same

    account = center_account(site)
    gates = sorted(site.accounts.of("gate"))
    taking = Taking.of(site.name, snapshot, gates, keys(site) if gates else {}, time.monotonic())
    try:
        if args.no_wait:
            asyncio.run(flashing.publish(site, account))
            return _published(args, version, snapshot)
        _shown(args, taking, lambda screen: flashing.flash(site, account, taking, args.timeout, screen))
    except BrokerAwayError as error:
        raise Failure(AWAY.format(error), Status.UNREACHABLE) from error
    except PublishError as error:
        raise Failure(str(error)) from error
    return _tell(args, taking, version)


def tell_broker(site: "Site") -> None:
    """Let the broker have what is in force. Raises Failure."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same
    from center.publish import flashing  # noqa: PLC0415 - the same
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same

    try:
        asyncio.run(flashing.publish(site, center_account(site)))
    except BrokerAwayError as error:
        raise Failure(AWAY.format(error), Status.UNREACHABLE) from error
    except PublishError as error:
        raise Failure(str(error)) from error


def _published(args: argparse.Namespace, version: int | None, snapshot: int) -> int:
    if args.json:
        say_json({"version": version, "snapshot": snapshot})
    else:
        say("The broker has it. Whether the gates take it: gatectl status")
    return Status.OK


def _tell(args: argparse.Namespace, taking: "Taking", version: int | None) -> int:
    if args.json:
        gates = [_gate(taking, gate) for gate in taking.gates.values()]
        say_json({"ok": taking.ok, "version": version, "snapshot": taking.snapshot, "gates": gates})
        return Status.OK if taking.ok else Status.FAILED
    for gate in taking.gates.values():
        found = _gate(taking, gate)
        entries = "" if gate.said is None or gate.said.entries is None else f", {gate.said.entries:,} entries"
        held = f"list {found['in_force']}{entries}" if found["in_force"] else "no list"
        words = f"{found['state']}: {found['why']}; {held}" if found["why"] else f"taken: {held}"
        say(asking.plain(f"{gate.name}  {words}"))
    if not taking.gates:
        say("There is no gate yet; let one in with: gatectl gate add NAME")
    elif not taking.ok:
        complain("gatectl: not every gate has taken it. Each takes it by itself when its reason is gone.")
    return Status.OK if taking.ok else Status.FAILED


def _gate(taking: "Taking", gate: "Gate") -> dict[str, Any]:
    said = gate.said
    return {
        "gate": gate.name,
        "state": taking.state(gate).value,
        "why": taking.why(gate),
        "in_force": None if said is None else said.in_force,
        "entries": None if said is None else said.entries,
    }


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} cannot be; more than 0 would be right")
    return value
