"""A contact that reports itself: `1` closed, `0` open, an ASCII byte at each change.

For demonstration, tests, and any small microcontroller that reports a contact as 1 and 0. At connect it is asked with
`?`; one that answers with its level is known at once, of another with its first change. All other bytes are ignored.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from pydantic import Field

from drivers.link import STEP_S, Link, keep
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.port import Condition, Level, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role

ASK: Final = b"?"
CLOSED: Final = b"1"
OPEN: Final = b"0"

_BAUD: Final = 9600


class Options(PortOptions):
    """Options of a contact input."""

    normally_closed: bool = Field(default=False, description="the contact is open when something is there")
    baud: int = Field(default=_BAUD, gt=0, description="speed of the serial line")


class ContactInput:
    """Watches the contact. Online means that its port is open."""

    def __init__(self, options: Options, rand: Callable[[], float]) -> None:
        self._active = OPEN if options.normally_closed else CLOSED
        self._opener = opener(options.port, options.baud)
        self._rand = rand

    def reports(self) -> AsyncGenerator[Level | Condition | Quiet, None]:
        """See `drivers.port.Input`."""
        return keep(self._opener, self._serve, self._rand)

    async def _serve(self, link: Link) -> AsyncGenerator[Level | Condition | Quiet, None]:
        link.write(ASK)
        yield Condition(True)
        last: bool | None = None
        while True:
            data = await link.read_within(STEP_S)
            for active in (byte == self._active[0] for byte in data if byte in CLOSED + OPEN):
                if active != last:
                    last = active
                    yield Level(active)
            yield Quiet()


def make(_: str, options: Options, ports: Ports) -> ContactInput:
    """The input."""
    return ContactInput(options, ports.rand)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """A contact that tells its level each time it is asked, and nothing else."""
    told = bool(heard) and all(answer in (OPEN, CLOSED) for answer in heard)
    return [Found("contact", remark="open now" if heard[-1] == OPEN else "closed now")] if told else []


PROBE: Final = Probe(recognise, speeds=(_BAUD,), asks=(ASK, ASK))
DRIVER: Final = Driver("contact", Role.INPUT, Options, make, probes=(PROBE,))
