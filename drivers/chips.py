"""The chips' own numbers (TIDs) of the tags in a reader's field: which to read, and which sightings wait for theirs.

A driver tells what it sees and what it reads of chips; what there is to report comes out by `take`.

- A tag that has not been seen for `AWAY_S` comes anew, and its TID is read, once for as long as it stays.
- Its sighting waits for that, `WAIT_S` at most, and goes without then. The reading goes on while the tag stays, each
  `RETRY_S`; from then on its sightings have the TID, and the lane judges it again.
- Where the chip says that its bank is shorter than what was asked for, fewer words are asked for.
- Beyond `TAGS_MAX` tags at once, those that come go without.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from protocol.gen2 import TID_SHORTER, TID_WORDS, WORD_BYTES, tid
from protocol.sighting import Sighting

WAIT_S: Final = 0.3
AWAY_S: Final = 1.0
RETRY_S: Final = 1.0
TAGS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chip to read: of which tag, and how many words."""

    epc: bytes
    words: int


@dataclass(slots=True)
class _Stay:
    """One tag in the field. `due` is when its chip may be asked; times are monotonic seconds."""

    since: float
    seen: float
    due: float
    words: int = TID_WORDS
    tid: str | None = None
    held: Sighting | None = None


class Chips:
    """See the module."""

    def __init__(self) -> None:
        self._stays: dict[bytes, _Stay] = {}
        self._ready: list[Sighting] = []

    def see(self, epc: bytes, sighting: Sighting) -> None:
        """Take the sighting of a tag."""
        at = sighting.at
        stay = self._stays.get(epc)
        if stay is None or at - stay.seen > AWAY_S:
            stay = self._come(epc, at)
        if stay is None:
            self._ready.append(sighting)
            return
        stay.seen = at
        if stay.tid is None and at < stay.since + WAIT_S:
            stay.held = sighting
        else:
            stay.held = None
            self._ready.append(replace(sighting, tid=stay.tid))

    def wanted(self, now: float) -> Wanted | None:
        """The chip that is to be read now, if any."""
        due = [
            (stay.due, epc, stay.words)
            for epc, stay in self._stays.items()
            if stay.tid is None and stay.due <= now <= stay.seen + AWAY_S
        ]
        return Wanted(*min(due)[1:]) if due else None

    def read(self, chip: Wanted, data: bytes, now: float) -> None:
        """This was read of it; what is not all that was asked for, or no TID, counts as nothing."""
        number = tid(data) if len(data) == chip.words * WORD_BYTES else None
        stay = self._stays.get(chip.epc)
        if number is None or stay is None:
            self.failed(chip, now)
            return
        stay.tid = number
        if stay.held is not None:
            self._ready.append(replace(stay.held, tid=number))
            stay.held = None

    def failed(self, chip: Wanted, now: float, *, short: bool = False) -> None:
        """It was asked in vain; `short` where the chip says that it has fewer words."""
        stay = self._stays.get(chip.epc)
        if stay is None:
            return
        if short and stay.words in TID_SHORTER:
            stay.words, stay.due = TID_SHORTER[stay.words], now
        else:
            stay.due = now if now < stay.since + WAIT_S else now + RETRY_S

    def take(self, now: float) -> list[Sighting]:
        """What there is to report."""
        for stay in self._stays.values():
            if stay.held is not None and now >= stay.since + WAIT_S:
                self._ready.append(stay.held)
                stay.held = None
        ready, self._ready = self._ready, []
        return ready

    def wait(self, now: float) -> float:
        """How long `take` has nothing to give of those that wait."""
        ends = [stay.since + WAIT_S for stay in self._stays.values() if stay.held is not None]
        return max(0.0, min(ends, default=math.inf) - now)

    def _come(self, epc: bytes, at: float) -> _Stay | None:
        """A tag comes into the field; None where there are too many."""
        gone = [epc for epc, stay in self._stays.items() if at - stay.seen > AWAY_S]
        for one in gone:
            held = self._stays.pop(one).held
            if held is not None:
                self._ready.append(held)
        if len(self._stays) >= TAGS_MAX:
            return None
        stay = self._stays[epc] = _Stay(at, at, at)
        return stay
