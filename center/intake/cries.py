"""What a gate cries for: which of its own events become alarms of the center, and in which words. Pure.

- The words are ours and say what to do. Nothing of the gate's own is among them but the lane and a kind's name, where
  they are names: its `why` may quote a list's line. Whoever looks has the event (`gated-center export`).
- What came late is raised as well, and says so. An alarm is no call to the lane: it stands until somebody has seen it.
  A post whose line was cut, or whose clock is not right (all of its events are late), would else cry unheard.
- `fire` lasts until `fire-ended`; or until the daemon starts, which says it again where it still burns.
- A kind that a newer gate invented is raised with its name.
- Each is given once for a batch, with how often it is there, and no more of them than `MOST`: a gate that does nothing
  but cry costs a few rows.
"""

import re
from collections.abc import Iterable
from typing import Final

from center.intake.alarm import Alarm
from center.records.facts import Facts
from protocol.event import Kind
from protocol.topics import NAME_PATTERN

FIRE: Final = "fire"
OTHER: Final = "other"
"""A kind that this version does not know."""
MOST: Final = 50
"""Different alarms of one batch; the rest is stored only. Fire is never among the rest."""
UNRAISED: Final = frozenset({"journal-epoch", "clock-accepted"})
"""A new epoch is an alarm by its first batch (`epoch`); after a technician's word for the clock all is done."""
WORDS: Final = {
    FIRE: "every barrier is held open: call the post; if nothing burns, look at the fire input's contact and its wire",
    "tailgater": "somebody went through{at} whom nothing had let in: ask the guard, look who was read there before",
    "sensor-stuck": "the sensor behind the barrier{at} does not come free, and tells of nobody: see what stands in it",
    "barrier-failed": "the barrier{at} could not be told to open: open by hand; look at its relay and the cable to it",
    "journal-trouble": "its journal could not be written for a while, and it was guard-only: look at the box's disk",
    "journal-salvaged": "its journal was damaged, and made anew from what could be read: exchange the box's disk",
    "list-trouble": "it cannot read its whitelist: flash the list again; gated doctor at the box says more",
    "flash-trouble": "it does not take what is sent of the whitelist, and keeps the old one: gated doctor says why",
    "keys-trouble": "the signers' list of gates does not fit its keys: gatectl gate propose, sign, flash",
    "rival": "another box runs under its name: find it and switch it off; else treat it as stolen",
    "center-keys": "it could not use its keys for the center, and ran alone: gated doctor at the box says why",
    "center-failed": "its program failed at talking with the center, and tried again: keep the log and report it",
    "floor-lowered": "a time server said less than what was the time: find out who sets the clock that the box asks",
}
_LOST: Final = (
    "every barrier is held open, since the fire input's module is lost: call the post; look at its power and cable"
)
_LATE: Final = "; it came late, and may be over"
_FIRE_ENDS: Final = frozenset({"fire-ended", "start"})
_NAME: Final = re.compile(NAME_PATTERN)


def loud(line: bytes) -> bool:
    """Whether a line may be a cry: told without reading it, for all the lines that are none."""
    return b'"alarm"' in line or b'"fire-ended"' in line or b'"start"' in line


def cry(event: Facts, *, late: bool) -> Alarm | None:
    """The alarm that an event is; None for one that is none."""
    if event.kind == Kind.SYSTEM and event.what in _FIRE_ENDS:
        return Alarm(FIRE, "", over=True)
    if event.kind != Kind.ALARM or event.what in UNRAISED:
        return None
    after = _LATE if late else ""
    if event.what == FIRE and event.state == "lost":
        return Alarm(FIRE, _LOST + after)
    words = WORDS.get(event.what or "")
    if event.what is None or words is None:
        return Alarm(OTHER, f"it cries {_name(event.what, 'what has no name')}, which only a newer center knows{after}")
    lane = _name(event.lane, "")
    return Alarm(event.what, words.format(at=f" at {lane}" if lane else "") + after)


def gathered(cries: Iterable[Alarm | None]) -> tuple[Alarm, ...]:
    """Each of them once, in the order in which they began.

    A fire's end before the first fire of these is another's than one after it: of the latter only the last counts.
    """
    found: dict[tuple[str, str, bool], Alarm] = {}
    burnt = False
    for one in cries:
        if one is None:
            continue
        key = (one.kind, one.text, one.over and burnt)
        if one.over:
            found.pop(key, None)
        elif one.kind == FIRE:
            found.pop((FIRE, "", True), None)
            burnt = True
        if key in found:
            found[key] = Alarm(one.kind, one.text, found[key].times + 1)
        elif len(found) < MOST or one.kind == FIRE:
            found[key] = one
    return tuple(found.values())


def _name(text: str | None, else_: str) -> str:
    return text if text is not None and _NAME.fullmatch(text) else else_
