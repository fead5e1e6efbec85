"""`gated test-card`: a lane proved with a technician's card, from the reader to the relay, step by step."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from gated.commands.options import Subparsers, add_config, add_json, command, configuration
from gated.commands.output import Failure, Status, complain, count, say_json, say_now

SECONDS: Final = 30.0
WATCH: Final = 15.0

_WHY: Final = {
    "nothing-read": "nothing was read",
    "reader-offline": "the reader has gone offline",
    "journal": "the journal cannot be written, and nothing opens unrecorded",
    "relay": "the relay could not be closed",
    "read-outside": "the card was read outside, where nobody should be",
    "still-read": "the card is still read, so it is not outside yet",
    "not-confirmed": "nobody has said that the card is outside",
    "cancelled": "it was cancelled",
    "stop": "the daemon was stopped",
}
_ADVICE: Final = {
    "nothing-read": "hold the card flat before the antenna and move it slowly; try another of the same kind; is it one "
    "that this reader reads (125 kHz, 13.56 MHz, UHF)? is the antenna plugged in, its power high enough?",
    "reader-offline": "look at its power and its cable; then: gated status",
    "journal": "look at the disk: gated doctor",
    "relay": "look at the relay board's power and cable, and its port in the configuration; then: gated status",
    "read-outside": "lower the power (antenna_power), turn the antenna inward, or shield its back; then test again",
    "still-read": "take the card further away, or cover it on the way; if it is outside already: lower the power "
    "(antenna_power), turn the antenna inward, or shield its back",
    "not-confirmed": "test again, and press Enter once the card is outside",
    "cancelled": "",
    "stop": "test again when it runs",
}


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "test-card",
        "Prove a lane with a technician's card: from the reader to the relay, and that nobody is read outside.",
        "sudo -u gated gated test-card walk-in\nsudo -u gated gated test-card car-out --card em:0A00A1B2C3 --dry",
    )
    parser.add_argument("lane", metavar="LANE", help="the lane, as the configuration names it")
    parser.add_argument(
        "--card", metavar="CREDENTIAL", help="only this one is the technician's (default: the first that is read)"
    )
    parser.add_argument("--dry", action="store_true", help="leave the barrier alone")
    parser.add_argument(
        "--outside",
        action=argparse.BooleanOptionalAction,
        help="then hold the card outside, where it must not be read (default: on an exit)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="N",
        help=f"wait so long for the card (default: {SECONDS:.0f})",
    )
    parser.add_argument(
        "--watch",
        type=float,
        default=WATCH,
        metavar="N",
        help=f"so long nobody may be read outside (default: {WATCH:.0f})",
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing: the card goes outside when it is told to")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Test the lane; status 1 where anything of it failed."""
    from gated.commands.daemon import ask, follow  # noqa: PLC0415 - not for --help

    config = configuration(args)
    lane = config.lanes.get(args.lane)
    if lane is None:
        raise Failure(f"there is no lane {args.lane}; there are {', '.join(config.lanes)}", Status.USAGE)
    outside = lane.direction == "out" if args.outside is None else args.outside
    request = {
        "op": "test-card",
        "lane": args.lane,
        "card": _card(args.card),
        "dry": args.dry,
        "outside": outside,
        "seconds": args.seconds,
        "watch": args.watch,
        "sudo": os.environ.get("SUDO_USER"),
    }
    steps: list[dict[str, Any]] = []
    asks = sys.stdin.isatty() and not (args.yes or args.json)
    try:
        with closing(follow(config.state, request)) as news:
            for one in _told(news, args.lane, quiet=args.json):
                steps.append(one)
                if one["step"] == "confirm":
                    _go_outside(config.state, ask, asks=asks)
    except KeyboardInterrupt:
        complain("gated: the lane is no longer armed")
        raise
    last = steps[-1] if steps else {}
    if last.get("step") != "ended":
        raise Failure("the daemon has ended, and the test with it: gated status", Status.UNREACHABLE)
    advice = _ADVICE.get(str(last.get("why")), "")
    if args.json:
        say_json(
            {"ok": last["result"] == "ok", "lane": args.lane, **_rest(last), "advice": advice or None, "steps": steps}
        )
    else:
        _conclude(args.lane, last, advice)
    return Status.OK if last["result"] == "ok" else Status.FAILED


def _told(news: Iterator[dict[str, Any]], lane: str, *, quiet: bool) -> Iterator[dict[str, Any]]:
    """The steps, each said as it comes."""
    for one in news:
        if one["step"] == "quiet":
            continue
        if not quiet and one["step"] in _SAID:
            say_now(f"{lane}: {_SAID[one['step']](one)}")
        yield one


def _go_outside(state: Path, ask: Callable[[Path, Mapping[str, object]], object], *, asks: bool) -> None:
    if asks:
        sys.stderr.write("Press Enter when the card is outside: ")
        sys.stderr.flush()
        sys.stdin.readline()
    ask(state, {"op": "test-card-outside"})


def _card(text: str | None) -> str | None:
    from protocol.credential import CredentialError, canonical  # noqa: PLC0415 - not for --help

    try:
        return None if text is None else canonical(text)
    except CredentialError as error:
        raise Failure(str(error), Status.USAGE) from error


def _conclude(lane: str, last: Mapping[str, Any], advice: str) -> None:
    if last["result"] == "ok":
        relay = "the relay" if "relay_ms" in last else "the journal; the barrier was left alone"
        outside = "; nobody is read outside" if last.get("outside") else ""
        say_now(f"{lane}: OK, from the reader to {relay}{outside}")
        return
    why = _WHY.get(str(last["why"]), str(last["why"]))
    detail = f" ({last['detail']})" if last.get("detail") else ""
    signal = _dbm(last.get("outside_signal")) if last["why"] == "read-outside" else ""
    say_now(f"{lane}: FAILED: {why}{signal}{detail}")
    if advice:
        say_now(f"{lane}: what to do: {advice}")


def _read(one: Mapping[str, Any]) -> str:
    would = "would have opened" if one["would_open"] else "would have stayed shut"
    return (
        f"read by {one['reader']}: {_masked(one)} ({one['strength']}){_dbm(one.get('signal'))}; "
        f"without the test it {would}: {one['would']}"
    )


def _other(one: Mapping[str, Any], meaning: str) -> str:
    return f"{one['reader']} reads {_masked(one)}{_dbm(one.get('signal'))}, {meaning}"


def _masked(one: Mapping[str, Any]) -> str:
    from protocol.credential import Credential, masked  # noqa: PLC0415 - not for --help

    return masked(Credential(one["credential"]))


def _dbm(signal: float | None) -> str:
    return "" if signal is None else f", {signal:.0f} dBm"


def _rest(last: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in last.items() if key != "step"}


def _seconds(one: Mapping[str, Any]) -> str:
    return count(round(one["seconds"]), "second")


_SAID: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "armed": lambda one: f"armed for {_seconds(one)} (event {one['of']}): hold the card before the reader",
    "other": lambda one: _other(one, "which is not the card that was named"),
    "there-before": lambda one: _other(
        one, "which was there before: take it away for a moment and hold it there again"
    ),
    "read": _read,
    "elsewhere": lambda one: _other(one, "the same card: that antenna reaches too far"),
    "durable": lambda one: f"on disk {one['ms']} ms after the read",
    "relay": lambda one: f"relay told to close {one['ms']} ms after the read",
    "released": lambda one: (
        "the relay's driver has found nothing wrong"
        + ("; go through, the sensor should see it" if one["sensor"] else "")
    ),
    "passed": lambda _: "the sensor has seen somebody go through",
    "not-passed": lambda one: (
        f"the sensor has seen nobody within {_seconds(one)}; if somebody went through, look at it"
    ),
    "confirm": lambda one: f"now hold the card outside, where nobody should be read, for {_seconds(one)}",
    "leaving": lambda _: "waiting until the card is no longer read",
    "watching": lambda one: f"nobody may be read for {_seconds(one)} …",
}
