"""`gated demo`: a community at work, or one post, on emulated devices; `gated.demo` is what it does."""

import argparse
import math
import os
from typing import TYPE_CHECKING, Final

from gated.commands.options import Subparsers, command
from gated.commands.output import Failure, Status, say

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gated.demo.show import Options

SPEED_MAX: Final = 20.0
_SEEDS: Final = 10_000
_NEEDED: Final = ("iotcore", "sqlalchemy", "alembic", "tuf")
_EXAMPLES: Final = """\
gated demo --seconds 60            # ends by itself, with the comparison
gated demo --seed 7 --speed 3      # day 7, three times as busy
gated demo --seconds 60 | cat      # without a terminal: a line for each passage
gated demo --post                  # one gate alone
gated demo --readers llrp,rsu,nfc  # with these readers at its lanes"""
_ABOUT: Final = """\
Five gate posts with emulated readers and relays, a broker and a center: real programs, in a temporary folder. The site
is set up by the commands that a person would give: gatectl site init, gate add, list import, sign, flash, and gated
setup at each box. Then residents and cars come and go. On a terminal all gates are shown live; the keys:
  1-5 which gate the next three keys are about
  l   cut its line to the broker; again: mend it
  r   unplug one of its readers; again: plug it in
  k   kill -9 its daemon: two seconds later it is started again, as systemd does
  c   kill -9 the center; it is started again, too
  s   suspend a card by gatectl, and see it refused at the gates
  a   an intruder with every right at the broker: false answers, an old batch, a forged list
  q   quit
Without a terminal each of these is done once. At the end all is mended, and all five journals are compared with what
the center holds, hash for hash; each opening has its event before it; what came of each deed is said. The status is 1
if anything does not fit.

--readers: other families of readers at each gate's lanes, in this order: each where what it reads comes, at the lane
that has the fewest yet; a lane that gets none keeps its own. People are read by em4100, uhf18, m100, llrp, nfc, osdp
and wiegand, vehicles by uhf18, m100, llrp and rsu.

--post: four lanes of one gate. The keys: u an unknown tag, r reader, k kill -9, q quit."""


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers, "demo", "Show a community at work: five gates on emulated devices, a broker, a center.", _EXAMPLES
    )
    parser.epilog = f"{parser.epilog}\n\n{_ABOUT}"
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="end after N seconds (default: at q or Ctrl-C)")
    parser.add_argument("--seed", type=int, metavar="N", help="which day: who comes when (default: a new one)")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help=f"how busy, 0.1 to {SPEED_MAX:g} (default: 1, a visit each 0.7 s at one post, each 0.23 s at five)",
    )
    parser.add_argument("--post", action="store_true", help="show one post alone, without broker and center")
    parser.add_argument(
        "--readers", default="", metavar="A,B,…", help="families of readers to be at the lanes (default: em4100, uhf18)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder with journals, lists and logs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show it."""
    import asyncio  # noqa: PLC0415 - not for --help
    import random  # noqa: PLC0415 - the same

    from gated.demo.show import Options  # noqa: PLC0415 - the same

    _need_ptys()
    seed = random.SystemRandom().randrange(_SEEDS) if args.seed is None else args.seed
    options = Options(args.seconds, seed, args.speed, args.keep, _families(args.readers))
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


def _need_ptys() -> None:
    """What is emulated is on pseudo-terminals."""
    try:
        ends = os.openpty()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise Failure(
            f"no pseudo-terminal can be had ({why}): is /dev/pts mounted here?", Status.UNREACHABLE
        ) from error
    for end in ends:
        os.close(end)


def _families(text: str) -> tuple[str, ...]:
    from gated.demo.families import UnusableFamily, checked  # noqa: PLC0415 - not for --help

    try:
        return checked([name for name in text.replace(",", " ").split() if name])
    except UnusableFamily as error:
        raise Failure(f"--readers: {error}", Status.USAGE) from error


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
