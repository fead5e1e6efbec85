"""125 kHz readers that only talk: RDM6300 and kin, ID-12/ID-20LA, Parallax (`protocol.em4100`).

Such readers see tags that are not there, with a valid check. So a tag counts only when `confirm` equal frames have come
within `CONFIRM_S`, others between them or not; each further one within it is a sighting too. A reader that sends a tag
once (id20) cannot be asked for two.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final, Literal

from pydantic import Field

from drivers.link import STEP_S, Link, Opener, keep
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.port import Condition, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from protocol.em4100 import Em4100Codec, Frame, Framing, credential
from protocol.sighting import Sighting

CONFIRM_S: Final = 0.3  # after 300 ms of silence a tag has left the field (arduino12/rdm6300)

_BAUD: Final = 9600
_PARALLAX_BAUD: Final = 2400  # as all of them have, for ever
_TIMES_MAX: Final = 256  # frames remembered; a serial line brings 20 in CONFIRM_S


class Options(PortOptions):
    """Options of an em4100 reader."""

    framing: Literal["auto", "rdm6300", "id20", "raw13", "parallax"] = Field(
        default="auto", description="how the reader wraps a tag; auto takes the three that have a check, not parallax"
    )
    confirm: int | None = Field(
        default=None,
        ge=1,
        le=5,
        description="equal frames within 0.3 s that make a sighting; by default 2, and 1 for id20, which sends once",
    )
    baud: int = Field(default=_BAUD, gt=0, description="speed of the serial line; by default 2400 for parallax")


class Confirm:
    """Counts equal frames; see the module's rule."""

    def __init__(self, wanted: int | None) -> None:
        self._wanted = wanted
        self._recent: deque[tuple[float, bytes]] = deque(maxlen=_TIMES_MAX)

    def see(self, frame: Frame, at: float) -> bool:
        """Whether this frame, read at `at`, makes a sighting."""
        while self._recent and self._recent[0][0] < at - CONFIRM_S:
            self._recent.popleft()
        self._recent.append((at, frame.tag))
        wanted = self._wanted or (1 if frame.framing is Framing.ID20 else 2)
        return sum(tag == frame.tag for _, tag in self._recent) >= wanted


class Em4100Reader:
    """A reader of EM4100 tags. It shows no sign of life while no tag is near: online means that its port is open."""

    def __init__(self, name: str, options: Options, rand: Callable[[], float]) -> None:
        self.last_heard: float | None = None
        self._name = name
        self._framing = None if options.framing == "auto" else Framing(options.framing)
        self._confirm = options.confirm
        slow = self._framing is Framing.PARALLAX and "baud" not in options.model_fields_set
        self._opener: Opener = opener(options.port, _PARALLAX_BAUD if slow else options.baud)
        self._rand = rand

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        return keep(self._opener, self._serve, self._rand)

    async def _serve(self, link: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        codec, confirm = Em4100Codec(self._framing), Confirm(self._confirm)
        yield Condition(True)
        while True:
            for frame in codec.feed(await link.read_within(STEP_S)):
                self.last_heard = link.read_at
                if confirm.see(frame, link.read_at):
                    yield Sighting(self._name, credential(frame.tag), link.read_at)
            yield Quiet()


def make(name: str, options: Options, ports: Ports) -> Em4100Reader:
    """The reader `name`."""
    return Em4100Reader(name, options, ports.rand)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """A reader in the tag that is held to it."""
    frames = Em4100Codec().feed(b"".join(heard))
    return [Found(frames[0].framing, remark=f"read {credential(frames[0].tag)}")] if frames else []


PROBE: Final = Probe(recognise, speeds=(_BAUD,), card=True)
DRIVER: Final = Driver("em4100", Role.READER, Options, make, probes=(PROBE,))
