"""What a signer is shown of a bundle before they sign; whatever cannot be shown is refused (`understood`)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Root, Targets

from center.publish import understood
from center.publish.bundle import Bundle
from center.publish.diff import Diff, diff
from center.publish.lists import LOSS_MAX
from center.publish.metadata import PublishError, read
from protocol import gates
from protocol.whitelist import parse

_ALL: Final = 2**62
_DOCUMENT_LINES_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Shown:
    """The text; and in words, where the signer's explicit word is needed, else ""."""

    text: str
    diff: Diff
    shrinks: str
    unequal: str


def show(bundle: Bundle, lines_max: int | None = None) -> Shown:
    """What is to be shown, of each kind so many lines. Raises PublishError for what is not understood whole."""
    try:
        found = diff(bundle)
        understood.understand(bundle, found)
        text = "\n".join(_text(bundle, found, _ALL if lines_max is None else lines_max))
    except (ValueError, KeyError, TypeError, RepositoryError) as error:
        raise PublishError(f"it is not understood: {error}") from error
    out = len(found.removed) + sum(parse(line).gone for _, line in found.changed)
    lost = out / found.before if found.before else 0.0
    if lost > LOSS_MAX and not found.shrinks:
        raise PublishError(f"the list takes out {lost:.0%} of the one in force and does not say so; gates refuse that")
    shrinks = f"The list takes out {out:,} of {found.before:,} entries ({lost:.0%})." if found.shrinks else ""
    return Shown(text, found, shrinks, "Categories of holders are treated differently." if found.unequal else "")


def _text(bundle: Bundle, found: Diff, lines_max: int) -> Iterator[str]:
    yield f"site {bundle.site}"
    if Targets.type in bundle.proposed or bundle.proposed.keys() == {"root"}:
        yield found.text(lines_max)
    for name, data in understood.documents(bundle).items():
        if name == gates.DOCUMENT:
            said = gates.parse(data)  # what of it changes was shown, and the rest was signed before
            yield f"{name}, number {said.version} of {said.as_of:%Y-%m-%d %H:%M}: {len(said.gates):,} gates"
            continue
        yield f"{name} as it is to be:"
        lines = json.dumps(json.loads(data), ensure_ascii=False, indent=1).splitlines()
        if len(lines) > _DOCUMENT_LINES_MAX < lines_max:
            raise PublishError(f"{name} has {len(lines)} lines; look at all of it with --all")
        yield from (f"  {line}" for line in lines)
    if entries := understood.enrolments(bundle):
        yield f"entries that registrars vouch for, for 14 days each, those of the last days among them: {len(entries)}"
        yield from (f"  {line.decode()}" for line in entries)
    for role, data in bundle.proposed.items():
        yield f"{role}: valid until {_expires(role, data):%Y-%m-%d}"


def _expires(role: str, data: bytes) -> datetime:
    return (read(Root, data) if role == Root.type else read(Targets, data)).signed.expires
