"""What people at a lane see and hear: one table, from outcome to signal. Pure.

- The same for everybody: no reason, no name and no category is an outcome here. Whoever is flagged gets one signal,
  which means "please wait for the guard"; why is between the holder and the guard, not for those who stand by.
- `retry` is the one exception, for what the holder can mend at once: a read that came too late, another lane. It says
  nothing of them, and spares a walk to the guard.
- An exit shows nothing but that it opens, whatever the reason would have been on the way in.
- Colour is never the only difference between admitted and not (`colour_alone`): one man in twelve cannot tell red from
  green.
- A signal is news: who stays where they are causes none. Who comes back and is let through again is shown no beeps.

Relays beside the lane show the same: `lights`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drivers.port import Colour, Signal
from gated.lanes.act import Act
from protocol.event import Kind, Reason, Verdict

BLINK_S: Final = 0.5
BEEP_S: Final = 0.3
"""Half a period of a relay lamp and of a beeper; longer than a tick of the post, so that none is left out."""


class Outcome(StrEnum):
    """What has become of somebody at a lane, or of the lane itself."""

    ADMIT = "admit"
    FLAG = "flag"
    RETRY = "retry"  # come closer, show it again, or take another lane
    WAITING = "waiting"  # a vehicle whose turn has not come
    GUARD_ONLY = "guard-only"  # the journal cannot be written: nothing opens here by itself
    OFFLINE = "offline"  # no reader of the lane works


Table = Mapping[Outcome, Signal]

TABLE: Final[Table] = {
    Outcome.ADMIT: Signal(Colour.GREEN, beeps=1, seconds=2.0),
    Outcome.FLAG: Signal(Colour.RED, blink=True, beeps=2, seconds=4.0),
    Outcome.RETRY: Signal(Colour.AMBER, blink=True, beeps=1, seconds=3.0),
    Outcome.WAITING: Signal(Colour.AMBER, seconds=2.0),
    Outcome.GUARD_ONLY: Signal(Colour.AMBER, blink=True, beeps=3, seconds=4.0),
    Outcome.OFFLINE: Signal(Colour.RED, seconds=4.0),
}

_RETRY: Final = frozenset({Reason.STALE, Reason.WRONG_LANE})


@dataclass(frozen=True, slots=True)
class Lights:
    """Which contacts of a lane's lamps and beeper are closed."""

    lamp: bool = False
    green: bool = False
    beeper: bool = False


def outcome(act: Act) -> Outcome | None:
    """What an act shows that has not opened the lane; None for what is no news to people."""
    if act.kind is not Kind.PASSAGE:
        return None
    if act.opens:
        return Outcome.GUARD_ONLY
    if act.fields["verdict"] is Verdict.ADMIT:  # in place of one that has been shown
        return None
    return Outcome.RETRY if act.fields["reason"] in _RETRY else Outcome.FLAG


def colour_alone(table: Table) -> Outcome | None:
    """Which outcome only its colour would tell from an admission."""
    admit = table[Outcome.ADMIT]
    same = (one for one in (Outcome.FLAG, Outcome.RETRY, Outcome.GUARD_ONLY) if _rhythm(table[one]) == _rhythm(admit))
    return next(same, None)


def lights(signal: Signal, age: float, *, wanted: bool) -> Lights:
    """The contacts `age` seconds after this signal began. `wanted`: somebody waits for the guard, or the lane does."""
    dark = signal.blink and int(age / BLINK_S) % 2 == 1
    colour = signal.colour if age < signal.seconds else Colour.OFF
    stop = colour in {Colour.RED, Colour.AMBER}
    return Lights(
        lamp=not dark if stop else wanted,
        green=colour is Colour.GREEN and not dark,
        beeper=age < 2 * BEEP_S * signal.beeps and int(age / BEEP_S) % 2 == 0,
    )


def _rhythm(signal: Signal) -> tuple[bool, int]:
    return signal.blink, signal.beeps
