"""The end of a run: its journal verified and held against what the devices saw, in words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gated.demo import check
from gated.demo.life import Pulse
from gated.recording import journal_read
from gated.recording.journal_read import JournalUnreadable


@dataclass(frozen=True, slots=True)
class Run:
    """What there is to look at after a run. `problems` are those found while it ran."""

    seed: int
    elapsed_s: float
    journal: Path
    pulses: Sequence[Pulse]
    mark: check.Mark
    kills: int
    lives: int
    answered: int
    back_s: float
    exit_status: int | None
    problems: Sequence[str] = ()


def summary(run: Run) -> tuple[list[str], bool]:
    """The summary's lines, and whether everything fits."""
    if not run.answered:
        return ["ended before the daemon was ready: there is nothing to check"], True
    try:
        verified = journal_read.verify(run.journal)
        lines = list(journal_read.lines(run.journal))
    except JournalUnreadable as error:
        return [str(error)], False
    events = [json.loads(line) for line in lines]
    broken = [f"event {problem.seq}: {problem.what}" for problem in verified.problems]
    broken += [f"the journal began anew: {epoch.why}" for epoch in verified.epochs[1:]]
    unexplained = check.unexplained(events, run.pulses)
    problems = [*run.problems, *broken, *unexplained, *check.lost(lines, run.mark)]
    problems += check.started(events, run.answered, run.lives)
    if run.exit_status != 0:
        problems.append(f"the daemon did not end in order (status {run.exit_status})")
    said = [f"gated demo: {run.elapsed_s:.0f} s, seed {run.seed}", *_passages(events)]
    said.append(f"  journal   {len(lines)} events, " + ("chain broken" if broken else "chain whole, no gap"))
    explained = "each with its event before it" if not unexplained else f"{len(unexplained)} without an event"
    said.append(f"  arms      {len(run.pulses)} pulses, {explained}")
    if run.kills:
        said.append(f"  kill -9   {run.kills}, back within {run.back_s:.1f} s, nothing lost" if not problems else "")
    return [*filter(None, said), *_verdict(problems)], not problems


def _passages(events: list[dict[str, object]]) -> list[str]:
    return check.in_words(check.counts(events)) or ["  nobody was seen"]


def _verdict(problems: list[str]) -> list[str]:
    if not problems:
        return ["everything fits"]
    return [*(f"  {problem}" for problem in problems), f"does not fit: {len(problems)}"]
