"""`gatectl open`, `hold`, `release`, `resend`, `diagnostics`, `restart`: what an operator orders a gate to do."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import passphrases
from center.gatectl.options import Subparsers, add_json, command, now
from center.gatectl.reach import reached
from center.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from center.orders import Wish
    from protocol.message import Reply

WAIT_S: Final = 10.0
DIAGNOSTICS_WAIT_S: Final = 40.0
HOLD_MINUTES: Final = 10.0
VARIABLE: Final = "GATED_KEY"
REASON_MAX: Final = 1000
SEQ_END: Final = 2**63
_DONE: Final = {
    "open": "opened",
    "hold": "held open",
    "release": "released",
    "resend": "sends again",
    "restart": "starts anew",
}


def add(subparsers: Subparsers) -> None:
    """The family's own part of the command line."""
    opening = _order(
        subparsers, "open", "Open a lane once.", 'gatectl open north walk-in --key li-wei.pem --reason "ambulance"'
    )
    holding = _order(
        subparsers,
        "hold",
        "Hold a lane open; it closes by itself after the time, and when the gate starts anew.",
        'gatectl hold north car-in --minutes 30 --reason "furniture van"',
    )
    holding.add_argument(
        "--minutes",
        type=_positive,
        default=HOLD_MINUTES,
        metavar="N",
        help=f"for how long (default: {HOLD_MINUTES:g}; at most 120)",
    )
    releasing = _order(
        subparsers, "release", "Let a lane that is held open close again.", "gatectl release north car-in"
    )
    for parser in (opening, holding, releasing):
        parser.add_argument("lane", metavar="LANE", help="the lane")
    resending = _order(subparsers, "resend", "Let a gate send its events again.", "gatectl resend north --after 1041")
    resending.add_argument(
        "--after", type=_seq, required=True, metavar="SEQ", help="all after this event of its present epoch; 0 for all"
    )
    _order(
        subparsers,
        "diagnostics",
        "Fetch what somebody who helps needs to know of a box; nothing about persons is in it.",
        "gatectl diagnostics north --json > north.json",
        wait_s=DIAGNOSTICS_WAIT_S,
    )
    _order(subparsers, "restart", "Let a gate's daemon end in order and start anew.", "gatectl restart north")


def _order(
    subparsers: Subparsers, action: str, summary: str, example: str, *, wait_s: float = WAIT_S
) -> argparse.ArgumentParser:
    parser = command(subparsers, action, summary, example)
    parser.add_argument("gate", metavar="GATE", help="the gate")
    parser.add_argument("--reason", type=_reason, default="", metavar="TEXT", help="why; the gate writes it down")
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help=f"the operator's key, as `operator add` made it (default: ${VARIABLE})"
    )
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="the key's passphrase (default: it is asked)"
    )
    parser.add_argument(
        "--wait", type=_positive, default=wait_s, metavar="SECONDS", help=f"for the answer (default: {wait_s:g})"
    )
    add_json(parser)
    parser.set_defaults(run=run, action=action)
    return parser


def run(args: argparse.Namespace) -> int:
    """Give the command; status 1 where the gate refuses or fails, 3 where it does not answer."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same
    from center.orders import GateSilentError, give  # noqa: PLC0415 - the same
    from center.site import keys  # noqa: PLC0415 - the same

    wish = _wish(args)
    reach = reached(args)
    gate = reach.gate(args.gate)
    file = _key_file(args)
    key = keys.read(file, passphrases.known(str(file), args.passphrase_file))
    try:
        reply = asyncio.run(give(reach.account, gate, wish, key, wait_s=args.wait, now=now))
    except GateSilentError as error:
        raise Failure(f"{error}. {reach.missing}" if reach.aging else str(error), Status.UNREACHABLE) from error
    except BrokerAwayError as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    return _tell(args, reply)


def _wish(args: argparse.Namespace) -> "Wish":
    from center.orders import Wish  # noqa: PLC0415 - not for --help

    seconds = args.minutes * 60 if args.action == "hold" else None
    return Wish(args.action, getattr(args, "lane", None), seconds, getattr(args, "after", None), args.reason)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} cannot be; more than 0 would be right")
    return value


def _seq(text: str) -> int:
    value = int(text)
    if not 0 <= value < SEQ_END:
        raise argparse.ArgumentTypeError(f"{text} is no number of an event; 0 or more would be right")
    return value


def _reason(text: str) -> str:
    if len(text) > REASON_MAX:
        raise argparse.ArgumentTypeError(f"at most {REASON_MAX} characters would be right")
    return text


def _key_file(args: argparse.Namespace) -> Path:
    named = args.key or os.environ.get(VARIABLE)
    if not named:
        raise Failure(f"name the operator's key with --key FILE, or in ${VARIABLE}", Status.USAGE)
    return Path(named)


def _tell(args: argparse.Namespace, reply: "Reply") -> int:
    if args.json:
        say_json({"gate": args.gate, "action": args.action, **reply.model_dump(mode="json")})
    elif not reply.ok:
        complain(f"gatectl: {args.gate} {'refuses' if reply.refused else 'could not'}: {reply.why or reply.refused}")
    elif args.action == "diagnostics":
        say_json(reply.details)
    else:
        where = f" {args.lane}" if hasattr(args, "lane") else ""
        say(f"{args.gate}{where}: {_DONE[args.action]}")
    return Status.OK if reply.ok else Status.FAILED
