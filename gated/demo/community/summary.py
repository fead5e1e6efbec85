"""The end of a run: every journal against the center and against what the devices saw, and what came of each deed."""

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gated.demo import check
from gated.demo.community.audit import compare_all, exported
from gated.demo.community.deeds import Outcome
from gated.demo.life import Pulse
from gated.recording import journal_read
from gated.recording.journal_read import JournalUnreadable

_INDENT: Final = 12


@dataclass(frozen=True, slots=True)
class GateRun:
    """One gate's part: its journal, what its relays have done, and how its daemon fared."""

    journal: Path
    pulses: Sequence[Pulse]
    mark: check.Mark
    lives: int
    answered: int
    exit_status: int | None
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """The center's word at the end: the journals' lines before and after it was asked, and what it has exported."""

    before: Mapping[str, Sequence[bytes]]
    after: Mapping[str, Sequence[bytes]]
    export: Sequence[bytes]
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What there is to look at after a run. `problems` are those found while it ran."""

    seed: int
    elapsed_s: float
    gates: Mapping[str, GateRun]
    compared: Compared
    outcomes: Sequence[Outcome]
    problems: Sequence[str] = field(default=())


def summary(run: Run, columns: int) -> tuple[list[str], bool]:
    """The summary's lines, the long ones folded to so many columns, and whether everything fits."""
    counted: Counter[tuple[str, str]] = Counter()
    events = pulses = 0
    local: list[str] = []
    for name, gate in run.gates.items():
        lines, problems = _gate(gate)
        found = [json.loads(line) for line in lines]
        counted += check.counts(found)
        events, pulses = events + len(lines), pulses + len(gate.pulses)
        local += [f"{name}: {problem}" for problem in problems]
    differing = compare_all(run.compared.before, run.compared.after, exported(run.compared.export))
    differing += run.compared.problems
    held = f"{len(run.compared.export)} events held when the gates were ended"
    equal = "each once, hash for hash those of the journals" if not differing else "NOT those of the journals"
    said = [
        f"gated demo: {run.elapsed_s:.0f} s, seed {run.seed}, {len(run.gates)} gates",
        *(check.in_words(counted) or ["  nobody was seen"]),
        f"  journals  {events} events, " + ("chains whole, no gap" if not local else "NOT as they should be"),
        f"  center    {held}, {equal}",
        f"  arms      {pulses} pulses, " + ("each with its event before it" if not local else "looked at below"),
        *(line for outcome in run.outcomes for line in _wrapped(outcome, columns)),
    ]
    failed = [f"{outcome.act}: {outcome.text}" for outcome in run.outcomes if not outcome.fits]
    problems = [*run.problems, *local, *differing, *failed]
    if not problems:
        return [*said, "everything fits"], True
    return [*said, *(f"  {problem}" for problem in problems), f"does not fit: {len(problems)}"], False


def _wrapped(outcome: Outcome, columns: int) -> list[str]:
    indent = " " * _INDENT
    return textwrap.wrap(f"  {outcome.act:<9} {outcome.text}", max(columns, 2 * _INDENT), subsequent_indent=indent)


def _gate(gate: GateRun) -> tuple[list[bytes], list[str]]:
    """One journal's lines, and what does not fit of its gate."""
    try:
        verified = journal_read.verify(gate.journal)
        lines = list(journal_read.lines(gate.journal))
    except JournalUnreadable as error:
        return [], [str(error)]
    events = [json.loads(line) for line in lines]
    problems = [*gate.problems, *(f"event {problem.seq}: {problem.what}" for problem in verified.problems)]
    problems += [f"the journal began anew: {epoch.why}" for epoch in verified.epochs[1:]]
    problems += [*check.unexplained(events, gate.pulses), *check.lost(lines, gate.mark)]
    problems += check.started(events, gate.answered, gate.lives)
    if gate.exit_status != 0:
        problems.append(f"the daemon did not end in order (status {gate.exit_status})")
    return lines, problems
