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
from protocol import delta
from protocol import repository as names
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
