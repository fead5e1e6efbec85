"""`gated demo`: a gate at work, with emulated devices and the real daemon; `gated.demo` is what it does."""

import argparse
import math
from typing import TYPE_CHECKING, Final

from gated.commands.options import Subparsers, command
from gated.commands.output import Status, say

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gated.demo.show import Options

SPEED_MAX: Final = 20.0
_SEEDS: Final = 10_000
_NEEDED: Final = ("iotcore", "sqlalchemy", "alembic", "tuf")
_EXAMPLES: Final = """\
gated demo --seconds 10            # ends by itself
gated demo --seed 7 --speed 3      # day 7, three times as busy
gated demo --seconds 60 | cat      # without a terminal: a line for each passage"""
_ABOUT: Final = """\
Four lanes, with emulated readers and relays on ptys and a TCP port. Residents and cars of an invented list come and go;
some are flagged. The daemon is the real one, in a temporary folder. On a terminal the gate is shown live; the keys:
  u   an unknown tag at walk-in
  r   unplug a reader; again: plug it in
  k   kill -9 the daemon: two seconds later it is started again, as systemd does
  q   quit
Without a terminal, --seconds also unplugs a reader and kills the daemon once. At the end the journal is checked: its
chain is whole, each opening has its event before it, nothing that was written is lost. If not, the status is 1."""


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(subparsers, "demo", "Show a gate at work, with emulated devices and the real daemon.", _EXAMPLES)
    parser.epilog = f"{parser.epilog}\n\n{_ABOUT}"
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="end after N seconds (default: at q or Ctrl-C)")
    parser.add_argument("--seed", type=int, metavar="N", help="which day: who comes when (default: a new one)")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help=f"how busy, 0.1 to {SPEED_MAX:g} (default: 1, a visit each 0.7 s)",
    )
    parser.add_argument("--post", action="store_true", help="show one post alone, without broker and center")
    parser.add_argument("--keep", action="store_true", help="keep the folder with journal, list and log")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show it."""
    import asyncio  # noqa: PLC0415 - not for --help
    import random  # noqa: PLC0415 - the same

    from gated.demo.show import Options  # noqa: PLC0415 - the same

    seed = random.SystemRandom().randrange(_SEEDS) if args.seed is None else args.seed
    options = Options(args.seconds, seed, args.speed, args.keep)
    fits = asyncio.run(_show(post=args.post)(options))
    return Status.OK if fits else Status.FAILED


def _show(*, post: bool) -> "Callable[[Options], Coroutine[None, None, bool]]":
    """The whole community; one post where that is asked for, or where a box has not what a center needs."""
    from importlib.util import find_spec  # noqa: PLC0415 - not for --help

    from gated.demo.community.show import show as community  # noqa: PLC0415 - the same
    from gated.demo.show import show as one_post  # noqa: PLC0415 - the same

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing and not post:
        say(f"The center's libraries are not installed here ({', '.join(missing)}): one post alone is shown.")
    return one_post if post or missing else community


def _seconds(text: str) -> float:
    value = _number(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is no length of time; 10 would be right")
    return value


def _speed(text: str) -> float:
    value = _number(text)
    if not 0.1 <= value <= SPEED_MAX:  # noqa: PLR2004 - as the help says
        raise argparse.ArgumentTypeError(f"{text} is too slow or too busy; 0.1 to {SPEED_MAX:g} would be right")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
