"""The lamp and the beeper of an ACR122U: one command each (ACS, ACR122U API V2.04, 6.2 "Bi-color LED and Buzzer").

    FF 00 40 P2 04 | T1 | T2 | count | beeper      T1, T2 in 0.1 s; beeper 01: while T1 lasts
    P2: bits 0, 1 red and green at the end, 2, 3 whether that is set; 4, 5 while it blinks, 6, 7 which of them blink

The reader answers when the blinking is over, and reads no card until then: it is kept short. The lamp is dark when
there is nothing to show, since a lamp that is always green could not say that somebody may go.
"""

from typing import Final

from drivers.port import Colour, Signal

IDLE: Final = Signal(Colour.OFF, seconds=0)
STEP_S: Final = 0.1
BEEPS_MAX: Final = 5
BLINKS: Final = 3

_LIGHTS: Final = {Colour.OFF: 0b00, Colour.RED: 0b01, Colour.GREEN: 0b10, Colour.AMBER: 0b11}
_SET_BOTH: Final = 0b1100


def command(signal: Signal) -> bytes:
    """What shows this signal, until something else is shown."""
    light, count = _LIGHTS[signal.colour], _count(signal)
    state = light | _SET_BOTH | ((light << 6) if signal.blink else 0)
    step = min(count, 1)
    return bytes([0xFF, 0x00, 0x40, state, 4, step, step, count, int(signal.beeps > 0)])


def seconds(signal: Signal) -> float:
    """How long the reader takes for it."""
    return _count(signal) * 2 * STEP_S


def _count(signal: Signal) -> int:
    """How often it blinks or beeps: a beep can be had with the blinking, not beside it."""
    return min(signal.beeps or (BLINKS if signal.blink else 0), BEEPS_MAX)
