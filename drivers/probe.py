"""How a device is found on a port that nobody has configured: what to ask it at which speeds, and what its answer says.

A probe is a description without I/O; `gated.detect` carries it out. Rules for whoever writes one:

- What is asked only reads. It sets, writes, begins and opens nothing, whoever gets it: another family's device gets it
  as well.
- `recognise` is pure, raises nothing for what it is given, and finds a device only by what that family's own check
  has passed. Bytes of other devices may stand around it.
- A device that must be spoken to in words that begin something (a roadside unit) is listened to, and not asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

ANSWER_S: Final = 0.3

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Found:
    """A device that was recognised. `options` are to be written beside its driver, port and speed.

    `remark` is what a technician should know besides, in words; "" for nothing.
    """

    model: str = ""
    firmware: str = ""
    options: Mapping[str, Value] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """How one kind of device is found.

    `recognise` is given what was heard after each of `asks`, or, without any, all that was heard so far; where the
    device `greets`, its first words stand before the others. `card`: it says nothing before something is held to it.

    - `speeds`: bauds of a serial line, the commonest first; none for what is only on the network.
    - `tcp`: the TCP ports at which it is asked where no more than a host is known.
    - `network`: it may be asked over TCP; without it, on serial lines only.
    - `greets`: it speaks first on each connection; nothing is sent to what does not, or is not recognised by it.
    - `answer_s`: how long an answer may take to begin; for one that only talks, how often it does.
    """

    recognise: Callable[[Sequence[bytes]], Sequence[Found]]
    speeds: tuple[int, ...] = ()
    asks: tuple[bytes, ...] = ()
    tcp: tuple[int, ...] = ()
    network: bool = True
    greets: bool = False
    card: bool = False
    answer_s: float = ANSWER_S
