"""The driver: lines from the port become sightings."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from pydantic import Field

from drivers.link import STEP_S, Link, keep
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.port import Condition, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from gated_acme.lines import LineCodec
from protocol.credential import canonical
from protocol.sighting import Sighting

BAUD: Final = 19200


class Options(PortOptions):
    """What a lane's configuration may say of such a reader, besides its port."""

    baud: int = Field(default=BAUD, gt=0, description="speed of the serial line")


class AcmeReader:
    """One reader. It says nothing while no card is near: online means that its port is open."""

    def __init__(self, name: str, options: Options, rand: Callable[[], float]) -> None:
        self.last_heard: float | None = None
        self._name = name
        self._opener = opener(options.port, options.baud)
        self._rand = rand

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`: `keep` opens the port, again and again, and tells why where it cannot."""
        return keep(self._opener, self._serve, self._rand)

    async def _serve(self, link: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        codec = LineCodec()  # a new one for each connection: nothing received before counts after it
        yield Condition(True)
        while True:
            for uid in codec.feed(await link.read_within(STEP_S)):
                self.last_heard = link.read_at
                yield Sighting(self._name, canonical(f"uid:{uid.hex().upper()}"), link.read_at)
            yield Quiet()


def make(name: str, options: Options, ports: Ports) -> AcmeReader:
    """The reader `name` of a lane."""
    return AcmeReader(name, options, ports.rand)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """What `gated detect` makes of what it has heard."""
    cards = LineCodec().feed(b"".join(heard))
    return [Found("ProxLine", remark=f"read uid:{cards[0].hex().upper()}")] if cards else []


DRIVER: Final = Driver("acme", Role.READER, Options, make, probes=(Probe(recognise, speeds=(BAUD,), card=True),))
