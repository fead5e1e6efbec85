"""Fuzz codecs, or show a finding again: `make fuzz CODEC=uhf18 MINUTES=10`, `make fuzz CODEC=uhf18 ARGS=FILE`."""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS

_ROOT: Final = Path(".build/fuzz")
_INPUT_MAX_S: Final = 20
_MEMORY_MAX_MB: Final = 1536
_SHOWN_S: Final = 30.0
_STATUS: Final = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+)")
_DONE: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def main() -> int:
    """The exit status: 1 if something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Whatever bytes come: what codecs make of them.")
    parser.add_argument("--codec", default="", help="which one, or all; without it they are listed")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long each (default: 10)")
    parser.add_argument("files", nargs="*", type=Path, help="inputs that are tried once, instead of a run")
    args = parser.parse_args()
    if not args.codec:
        sys.stdout.write("CODEC is one of these, or all:\n" + "".join(f"  {name}\n" for name in TARGETS))
        return 0
    if args.codec != "all" and args.codec not in TARGETS:
        parser.error(f"there is no codec {args.codec}; there are {', '.join(TARGETS)}")
    names = tuple(TARGETS) if args.codec == "all" else (args.codec,)
    if args.files:
        return max(_tried(name, args.files) for name in names)
    return max([_fuzzed(name, args.minutes) for name in names])


def _tried(name: str, files: Iterable[Path]) -> int:
    for file in files:
        TARGETS[name].check(file.read_bytes())
        sys.stdout.write(f"{name}: {file} is right\n")
    return 0


@dataclass(slots=True)
class _Progress:
    """What the fuzzer has said so far."""

    executions: int = 0
    edges: int = 0
    said: list[str] = field(default_factory=list)

    def hear(self, line: str) -> bool:
        """Take a line; whether it is one of those that only say that it goes on."""
        if found := _STATUS.match(line):
            self.executions, self.edges = int(found[1]), max(self.edges, int(found[2]))
        elif found := _DONE.match(line):
            self.executions = int(found[1])
        return found is not None


def _fuzzed(name: str, minutes: float) -> int:
    folder = _ROOT / name
    seeds, corpus = folder / "seeds", folder / "corpus"
    for one in (seeds, corpus):
        one.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (seeds / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    before, began, progress = set(_findings(folder)), time.monotonic(), _Progress()
    options = (
        f"-max_total_time={round(minutes * 60)}",
        f"-max_len={TARGETS[name].max_bytes}",
        f"-timeout={_INPUT_MAX_S}",
        f"-rss_limit_mb={_MEMORY_MAX_MB}",
        f"-artifact_prefix={folder}/finding-",
        "-print_final_stats=1",
    )
    command = [sys.executable, "-m", "tests.fuzz.fuzzer", name, *options, str(corpus), str(seeds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as run:
        assert run.stdout is not None
        _follow(run.stdout, folder / "log", progress)
    took, found = time.monotonic() - began, sorted(set(_findings(folder)) - before)
    if run.returncode:
        sys.stdout.write("".join(progress.said))
    for file in found:
        sys.stdout.write(f"{name}: found {file}; once again:\n    make fuzz CODEC={name} ARGS={file}\n")
    rate = round(progress.executions / took)
    sys.stdout.write(
        f"{name}: {took / 60:.1f} min, {progress.executions} executions, {rate}/s, {progress.edges} edges, "
        f"{len(found)} found\n"
    )
    return 1 if run.returncode or found else 0


def _findings(folder: Path) -> Iterator[Path]:
    return folder.glob("finding-*")


def _follow(lines: Iterable[str], log: Path, progress: _Progress) -> None:
    """Keep all that is said in the log; show how it goes on twice a minute."""
    shown = time.monotonic()
    with log.open("w") as kept:
        for line in lines:
            kept.write(line)
            if not progress.hear(line):
                progress.said.append(line)
                del progress.said[:-200]
            elif time.monotonic() - shown >= _SHOWN_S:
                shown = time.monotonic()
                sys.stdout.write(line)
                sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
