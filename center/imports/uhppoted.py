"""What an access control list says of doors: Y, N, or the number of a time profile (uhppoted, "ACL file format")."""

import re
from collections.abc import Mapping
from typing import Final

from center.imports.codes import Skip
from center.imports.rows import Draft
from center.imports.sheets import Line
from protocol.written import Cell, Note, Reason, Trouble, clean

ALWAYS: Final = "always"
PROFILE: Final = "profile "
_PROFILES: Final = range(2, 255)
_PIN_DIGITS_MAX: Final = 6


def read_doors(draft: Draft, doors: Mapping[str, int], line: Line) -> None:
    """The doors that are allowed; a row that allows none is skipped."""
    allowed = []
    for door, place in doors.items():
        value = clean(line[place]).text.upper()
        profile = int(value) if re.fullmatch(r"[0-9]{1,3}", value) else 0
        if value == "Y":
            allowed.append((door, ALWAYS))
        elif profile in _PROFILES:
            allowed.append((door, f"{PROFILE}{profile}"))
            draft.note(Note.PROFILE)
        elif value != "N":
            draft.hold(door, line[place], Trouble(Reason.DOOR_VALUE))
    draft.doors = tuple(allowed)
    if not allowed and not draft.held:
        draft.skipped = Skip.NO_DOOR


def note_pin(draft: Draft, cell: Cell, *, limited: bool) -> None:
    """Say that there is a PIN, and whether it is one that the controllers (`limited`) would not take."""
    draft.note(Note.PIN)
    text = clean(cell).text.lstrip("0")
    if limited and text.isdecimal() and len(text) > _PIN_DIGITS_MAX:
        draft.note(Note.PIN_TOO_LARGE)
