"""What lists of parking systems say beside plates: allow or block, and how many cars share how many spaces."""

import re
from typing import Final

from center.imports.codes import Skip
from center.imports.model import Column
from center.imports.rows import Draft
from protocol.written import Cell, Reason, Trouble, clean

_ALLOW: Final = frozenset({"1", "ALLOW", "ALLOWLIST", "ALLOW LIST", "WHITELIST", "WHITE LIST", "白名单"})
_BLOCK: Final = frozenset({"0", "BLOCK", "BLOCKLIST", "BLOCK LIST", "BLACKLIST", "BLACK LIST", "黑名单"})
_YES: Final = frozenset({"是", "Y", "YES", "1"})


def read_group(draft: Draft, column: Column, cell: Cell) -> None:
    """Skip what a camera is told to block, hold what is neither to be blocked nor allowed."""
    group = clean(cell).text.upper()
    if group in _BLOCK:
        draft.skipped = Skip.BLOCKED
    elif group not in _ALLOW:
        draft.hold(column, cell, Trouble(Reason.UNKNOWN_GROUP))


def limit_inside(draft: Draft, column: Column, cell: Cell, plates: int, spaces: Cell, shared: Cell) -> None:
    """More plates than spaces need a word that they share them; then only as many cars may be inside at once."""
    text = clean(spaces).text
    count = int(text) if re.fullmatch(r"[1-9][0-9]{0,3}", text) else 0
    if clean(shared).text.upper() in _YES and count:
        draft.at_most_inside = count
    elif plates > max(count, 1):
        draft.hold(column, cell, Trouble(Reason.MORE_PLATES))
