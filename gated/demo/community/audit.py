"""What the gates have written, held against what the center holds: event for event, hash for hash. Pure.

While a gate runs it writes. So its journal is read before the center is asked and once more after it: what had been
written before must be there, and what is there must have been written after.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from protocol.event import GENESIS, link


@dataclass(frozen=True, slots=True)
class Held:
    """What the center holds of one gate: the hash that it says of each event, and that of each line as it is there."""

    hashes: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


def chained(lines: Iterable[bytes]) -> list[bytes]:
    """The hashes of a chain that begins with the first of these lines."""
    found, before = [], GENESIS
    for line in lines:
        before = link(before, line)
        found.append(before)
    return found


def exported(lines: Iterable[bytes]) -> dict[str, Held]:
    """What `gated-center export` has written, by gate. Only whole events: the event line is in it byte for byte."""
    found: dict[str, Held] = {}
    for line in lines:
        said = json.loads(line)
        _, _, rest = line.partition(b'"event": ')
        held = found.setdefault(said["gate"], Held())
        held.hashes.append(bytes.fromhex(said["hash"]))
        held.lines.append(rest[:-1])
    return found


def compare(gate: str, before: Sequence[bytes], after: Sequence[bytes], held: Held) -> list[str]:
    """What does not fit of one gate: its journal's lines before and after the center was asked, and what that holds."""
    mine, theirs = chained(after), held.hashes
    problems = []
    if len(set(theirs)) < len(theirs):
        problems.append(f"{gate}: {len(theirs) - len(set(theirs))} events are at the center twice")
    if missing := sorted(set(mine[: len(before)]) - set(theirs), key=mine.index):
        first = mine.index(missing[0]) + 1
        problems.append(f"{gate}: {len(missing)} events are not at the center, the first of them is {first}")
    if foreign := set(theirs) - set(mine):
        problems.append(f"{gate}: {len(foreign)} events at the center are not in the gate's journal")
    if not problems and theirs != mine[: len(theirs)]:
        problems.append(f"{gate}: the events at the center are in another order")
    if not problems and chained(held.lines) != theirs:
        problems.append(f"{gate}: what the center holds are not the lines that the gate has written")
    return problems


def compare_all(
    before: Mapping[str, Sequence[bytes]], after: Mapping[str, Sequence[bytes]], held: Mapping[str, Held]
) -> list[str]:
    """What does not fit of all gates."""
    problems = [
        f"the center holds events of a gate {name} that there is not" for name in sorted(set(held) - set(after))
    ]
    for name, lines in after.items():
        problems += compare(name, before[name], lines, held.get(name, Held()))
    return problems
