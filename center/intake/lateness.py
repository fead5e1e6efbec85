"""Whether an event reached the center too late to cause anything live: stored and counted, but nobody is called.

Its age on arrival is how long it lay at the gate, and how long its batch travelled. The first is told by the box's
monotonic clock where event and batch are of one boot, else by the wall clock where both were `synced`; the second by
wall clocks, if the gate's and the center's are right. Where neither can be told, or the clocks contradict each other,
it is late: nothing live is ever caused by something that may be old. What a gate cries for late is raised, and says so
(`center.intake.cries`).
"""

from math import isfinite
from typing import Final

from center.records.facts import Facts, moment
from protocol.event import ClockQuality
from protocol.message import Sent

LATE_S: Final = 300.0


def travelled(sent: Sent, received: float, *, center_synced: bool = True) -> float | None:
    """How long a batch was under way, in seconds; None where the clocks do not tell."""
    left = moment(sent.at)
    if left is None or sent.clock is not ClockQuality.SYNCED or not center_synced:
        return None
    return received - left


def lay(event: Facts, sent: Sent) -> float | None:
    """How long an event lay at the gate before its batch left, in seconds; None where the clocks do not tell."""
    if event.mono is not None and event.boot == sent.boot:
        return sent.mono - event.mono
    left = moment(sent.at)
    if event.at is None or left is None or event.clock != ClockQuality.SYNCED or sent.clock is not ClockQuality.SYNCED:
        return None
    return left - event.at


def late(event: Facts, sent: Sent, journey: float | None) -> bool:
    """Whether an event of a batch that was under way for `journey` is late."""
    rest = lay(event, sent)
    if rest is None or journey is None or not isfinite(rest):
        return True
    contradictory = rest < -LATE_S or journey < -LATE_S
    return contradictory or max(rest, 0.0) + max(journey, 0.0) > LATE_S
