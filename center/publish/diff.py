"""What a bundle changes, in words: what signers read before they sign.

Besides what is added, removed and changed it shows hours and lanes by category of holder. Where categories are treated
differently, the proposal needs the signers' explicit word; what counts as different is told by `treatments`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tuf.api.metadata import Root, Targets

from center.publish import lists
from center.publish.bundle import Bundle
from center.publish.metadata import PublishError, read
from protocol import delta, gates
from protocol import repository as names
from protocol.gates import GateEntry, GatesDocument
from protocol.message import MessageError
from protocol.whitelist import parse

Treatment = tuple[str, tuple[str, ...]]
"""The name of the hours, and the lanes."""
SHOWN_MAX: Final = 50
_OTHER: Final = "—"


@dataclass
class Diff:
    """What is to change. Lines are those of lists; of changed ones, the old and the new."""

    added: list[bytes] = field(default_factory=list)
    removed: list[bytes] = field(default_factory=list)
    changed: list[tuple[bytes, bytes]] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    by_category: dict[str, Counter[Treatment]] = field(default_factory=dict)
    before: int = 0
    after: int = 0
    shrinks: bool = False

    @property
    def unequal(self) -> bool:
        """Whether categories of holders are treated differently."""
        return unequal(self.by_category)

    def text(self, shown_max: int = SHOWN_MAX) -> str:
        """For people."""
        return "\n".join(_text(self, shown_max))


def diff(bundle: Bundle) -> Diff:
    """What the bundle changes. Raises PublishError, BlobError where it does not hold what it should."""
    found = Diff()
    found.keys = list(_keys(bundle))
    if Targets.type not in bundle.proposed or bundle.targets is None:
        return found
    new = bundle.targets
    old = read(Targets, bundle.trusted[Targets.type]).signed if Targets.type in bundle.trusted else Targets()
    found.documents = [
        f"{name}: {'new' if name not in old.targets else 'changed' if name in new.targets else 'taken away'}"
        for name in names.DOCUMENTS
        if _hash(old, name) != _hash(new, name)
    ]
    if _hash(old, gates.DOCUMENT) != _hash(new, gates.DOCUMENT):
        found.gates = list(_gates(gate_list(bundle, old), gate_list(bundle, new)))
    if _hash(old, names.WHITELIST) == _hash(new, names.WHITELIST):
        return found
    before, after = lists.of(old, bundle.blobs.get), lists.of(new, bundle.blobs.get)
    if after is None or (before is None and names.WHITELIST in old.targets):
        raise PublishError("the bundle lacks one of the two lists; what it changes cannot be shown")
    _compare(found, before.lines() if before else (), after.lines())
    found.by_category = treatments(after.lines(), bundle.categories)
    found.before, found.after = before.target.entries if before else 0, after.target.entries
    found.shrinks = after.target.shrinks
    return found


def gate_list(bundle: Bundle, targets: Targets) -> GatesDocument | None:
    """The list of gates that these targets name; None where there is none. Raises PublishError."""
    name = _hash(targets, gates.DOCUMENT)
    if name is None:
        return None
    if name not in bundle.blobs:
        raise PublishError("the bundle lacks one of the two lists of gates; what it changes cannot be shown")
    try:
        return gates.parse(bundle.blobs[name])
    except MessageError as error:
        raise PublishError(f"{gates.DOCUMENT}: {error}") from error


def treatments(lines: Iterable[bytes], categories: Mapping[str, str]) -> dict[str, Counter[Treatment]]:
    """How many entries of each category of holder have which hours and lanes. Without categories, nothing."""
    found: dict[str, Counter[Treatment]] = {}
    if categories:
        for line in lines:
            entry = parse(line)
            if not entry.gone:
                category = categories.get(entry.holder, _OTHER)
                found.setdefault(category, Counter())[entry.when, entry.lanes] += 1
    return found


def unequal(by_category: Mapping[str, Counter[Treatment]]) -> bool:
    """Whether one category has hours or lanes that another has not."""
    return len({frozenset(treated) for treated in by_category.values()}) > 1


def _compare(found: Diff, before: Iterable[bytes], after: Iterable[bytes]) -> None:
    held = {delta.key(line): line for line in before}
    for line in after:
        was = held.pop(delta.key(line), None)
        if was is None:
            found.added.append(line)
        elif was != line:
            found.changed.append((was, line))
    found.removed.extend(held.values())


def _gates(before: GatesDocument | None, after: GatesDocument | None) -> Iterator[str]:
    """The center's keys first: they are few, and count at every gate."""
    old, new = (set(one.center) if one is not None else set() for one in (before, after))
    yield from (f"the center's key {_short(key)}: gates believe it from now on" for key in sorted(new - old))
    yield from (f"the center's key {_short(key)}: gates believe it no more" for key in sorted(old - new))
    was, now = (one.by_name if one is not None else {} for one in (before, after))
    yield from (
        _gate(name, was.get(name), now.get(name)) for name in sorted({*was, *now}) if was.get(name) != now.get(name)
    )


def _gate(name: str, was: GateEntry | None, now: GateEntry | None) -> str:
    if was is None and now is not None:
        return f"{name}: added, with the key {_short(now.key)}"
    if was is not None and now is None:
        return f"{name}: taken out, and its key {_short(was.key)}"
    if was is not None and now is not None and was.key != now.key:
        return f"{name}: another box, with the key {_short(now.key)} in place of {_short(was.key)}"
    return f"{name}: another key for what is sealed to it"


def _short(key: str) -> str:
    return f"{key[:16]}…"


def _keys(bundle: Bundle) -> Iterator[str]:
    old = read(Root, bundle.trusted[Root.type]).signed
    if bundle.root.version != old.version:
        for role in old.roles:
            before, after = old.roles[role], bundle.root.roles[role]
            yield from _role(role, set(before.keyids), set(after.keyids), before.threshold, after.threshold)
    new_targets = bundle.targets
    old_data = bundle.trusted.get(Targets.type)
    if new_targets is None or new_targets.delegations is None or not new_targets.delegations.roles:
        return
    earlier = read(Targets, old_data).signed.delegations if old_data else None
    for role, after in new_targets.delegations.roles.items():
        was = earlier.roles.get(role) if earlier and earlier.roles else None
        yield from _role(
            role, set(was.keyids) if was else set(), set(after.keyids), was.threshold if was else 0, after.threshold
        )


def _role(role: str, before: set[str], after: set[str], threshold: int, new_threshold: int) -> Iterator[str]:
    yield from (f"{role}: key {keyid[:16]} may sign from now on" for keyid in sorted(after - before))
    yield from (f"{role}: key {keyid[:16]} may no longer sign" for keyid in sorted(before - after))
    if threshold != new_threshold:
        yield f"{role}: {new_threshold} signatures instead of {threshold}"


def _hash(targets: Targets, name: str) -> str | None:
    target = targets.targets.get(name)
    return target.hashes["sha256"] if target else None


def _text(found: Diff, shown_max: int) -> Iterator[str]:
    if found.added or found.removed or found.changed:
        yield f"{found.before:,} entries before, {found.after:,} after"
    else:
        yield "the list stays as it is"
    if found.shrinks:
        yield "THE LIST SHRINKS by more than a tenth, and this proposal says that it is meant"
    yield from _some("added", [line.decode() for line in found.added], shown_max)
    yield from _some("removed", [line.decode() for line in found.removed], shown_max)
    changed = [f"{was.decode()}\n    → {now.decode()}" for was, now in found.changed]
    yield from _some("changed", changed, shown_max)
    yield from _some("documents", found.documents, shown_max)
    yield from _some("gates and the center's keys", found.gates, shown_max)
    yield from _some("keys", found.keys, shown_max)
    if found.by_category:
        yield "hours and lanes by category of holder:"
        for category, treated in sorted(found.by_category.items()):
            for (when, where), count in sorted(treated.items()):
                yield f"  {category}: {count:,} × {when}, {', '.join(where)}"
    if found.unequal:
        yield "CATEGORIES ARE TREATED DIFFERENTLY, and this proposal says that it is meant"


def _some(title: str, rows: list[str], shown_max: int) -> Iterator[str]:
    if rows:
        yield f"{title}: {len(rows):,}"
        yield from (f"  {row}" for row in rows[:shown_max])
        if len(rows) > shown_max:
            yield f"  … and {len(rows) - shown_max:,} more"
