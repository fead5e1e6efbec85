"""Whether a run of the demo fits together: what the journal says against what the emulated relay board has seen. Pure.

The demo and its daemon are on one machine, so that the events' monotonic times and the board's are of one clock.

- Each closing of a contact has an event of its own of that lane, an admitted passage or an `opened`, that is not
  younger than it, not older than `LATE_S`, and of the same life of the daemon.
- What was once read from the journal while the gate was running is in it at the end, byte for byte.
- Each life of the daemon that answered has written its `start`.
"""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gated.demo.life import Pulse
from gated.demo.words import Event
from protocol.event import GENESIS, link

LATE_S: Final = 10.0
"""An opening that prolonged a pulse leaves an event unused; it must not explain what comes much later."""
ROUNDING_S: Final = 0.001
"""An event's `mono` has three digits: it may be half of the last one younger than the event was."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the journal has been read: the last seq, and the chain's hash there."""

    seq: int = 0
    hash: bytes = GENESIS

    def after(self, seq: int, line: bytes) -> "Mark":
        """The mark one line further on."""
        return Mark(seq, link(self.hash, line))


def opens(event: Event) -> bool:
    """Whether this event opens a barrier."""
    return bool(event["kind"] == "opened" or (event["kind"] == "passage" and event["verdict"] == "admit"))


def unexplained(events: Sequence[Event], pulses: Iterable[Pulse]) -> list[str]:
    """The closings of contacts that no event explains."""
    starts = [event["mono"] for event in events if event["kind"] == "system" and event.get("what") == "start"]
    by_lane: dict[str, list[Pulse]] = {}
    for pulse in pulses:
        by_lane.setdefault(pulse.lane, []).append(pulse)
    return [
        f"the arm of {lane} was opened at {pulse.at:.3f}, and no event of its own is before that"
        for lane, closings in by_lane.items()
        for pulse in _unexplained_at(
            closings, [event["mono"] for event in events if opens(event) and event["lane"] == lane], starts
        )
    ]


def lost(lines: Iterable[bytes], mark: Mark) -> list[str]:
    """What is no longer as it was when it was read up to the mark."""
    chain = Mark()
    for line in lines:
        if chain.seq == mark.seq:
            break
        chain = chain.after(chain.seq + 1, line)
    if chain.seq < mark.seq:
        return [f"event {mark.seq} had been written, and the journal ends at {chain.seq}"]
    return [] if chain == mark else [f"the events up to {mark.seq} are not those that had been read"]


def started(events: Iterable[Event], answered: int, lives: int) -> list[str]:
    """Whether as many lives as answered, and no more than there were, have written their start."""
    count = sum(event["kind"] == "system" and event.get("what") == "start" for event in events)
    return [] if answered <= count <= lives else [f"{lives} lives of the daemon, {answered} answered, {count} starts"]


def counts(events: Iterable[Event]) -> Counter[tuple[str, str]]:
    """How many passages there are, by verdict and reason."""
    return Counter((event["verdict"], event["reason"]) for event in events if event["kind"] == "passage")


def in_words(counted: Counter[tuple[str, str]]) -> list[str]:
    """The counts, a line a verdict."""
    lines = []
    for verdict in sorted({verdict for verdict, _ in counted}):
        reasons = {reason: count for (of, reason), count in sorted(counted.items()) if of == verdict}
        said = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        lines.append(f"  {verdict:<9} {sum(reasons.values())}: {said}")
    return lines


def _unexplained_at(pulses: list[Pulse], openings: list[float], starts: list[float]) -> Iterator[Pulse]:
    waiting = deque(sorted(openings))
    for pulse in pulses:
        at = pulse.at + ROUNDING_S
        life = bisect_right(starts, at)
        began = starts[life - 1] if life else 0.0
        while waiting and waiting[0] < max(began, at - LATE_S):
            waiting.popleft()
        if waiting and waiting[0] <= at:
            waiting.popleft()
        else:
            yield pulse
