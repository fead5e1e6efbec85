"""Run seeds of the simulation: `make simulate SEEDS=10000`, or one again: `make simulate SEED=4711`."""

import argparse
import sys
import time

from tests.simulation.kinds import KINDS, troubles


def main() -> int:
    """The exit status: 1 if a seed shows something wrong."""
    parser = argparse.ArgumentParser(description="Gates, broker and center in simulated time, with faults by the seed.")
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="all", help="what is simulated (default: all)")
    parser.add_argument("--seeds", type=int, default=2000, help="how many (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first one (default: 0)")
    parser.add_argument("--seed", type=int, default=None, help="this one alone")
    args = parser.parse_args()
    first, number = (args.first, args.seeds) if args.seed is None else (args.seed, 1)
    failed = 0
    for kind in KINDS if args.kind == "all" else [args.kind]:
        failed += _run(kind, range(first, first + number))
    return 1 if failed else 0


def _run(kind: str, seeds: range) -> int:
    failed, began = 0, time.monotonic()
    for done, text in enumerate(troubles(kind, seeds), 1):
        if text:
            failed += 1
            sys.stdout.write(f"{text}\n")
        if sys.stderr.isatty() and (done % 100 == 0 or done == len(seeds)):
            sys.stderr.write(f"\r{kind}: {done}/{len(seeds)}, {failed} failed" + "\n" * (done == len(seeds)))
    sys.stdout.write(f"{kind}: {len(seeds)} seeds, {failed} failed, {time.monotonic() - began:.1f} s\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
