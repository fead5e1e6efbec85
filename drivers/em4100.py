"""125 kHz readers that only talk: RDM6300 and kin, ID-12/ID-20LA, Parallax (`protocol.em4100`).

Such readers see tags that are not there, with a valid check. So a tag counts only when `confirm` equal frames have come
within `CONFIRM_S`, others between them or not; each further one within it is a sighting too. A reader that sends a tag
once (id20) cannot be asked for two.

Nothing is heard of a reader while no tag is near. Where bytes come and no frames, of another framing, speed or reader,
it is offline and says so, until a frame comes or the line has been quiet for `QUIETED_S`.
"""

import time
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

QUIETED_S: Final = 30.0
GARBAGE_BYTES: Final = 64  # as four frames have; noise now and then is less
CONFIRM_S: Final = 0.3  # after 300 ms of silence a tag has left the field (arduino12/rdm6300)

_BAUD: Final = 9600
_PARALLAX_BAUD: Final = 2400  # as all of them have, for ever
_GARBAGE: Final = "bytes come that are no tags of such a reader: check framing, baud, and that no other reader is there"
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


class Garbage:
    """Tells noise from a line on which all that comes is no frame; see the module's rule."""

    def __init__(self) -> None:
        self._dropped = self._bytes = 0
        self._at = 0.0

    def see(self, dropped: int, now: float, *, frames: bool) -> bool:
        """Whether all is garbage. `dropped`: so many bytes so far; `frames`: whether some have come since last time."""
        if frames or now - self._at > QUIETED_S:
            self._bytes = 0
        if dropped > self._dropped:
            self._bytes += 0 if frames else dropped - self._dropped
            self._dropped, self._at = dropped, now
        return self._bytes >= GARBAGE_BYTES


class Em4100Reader:
    """A reader of EM4100 tags. Online means that its port is open, and that what comes over it is well."""

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
        codec, confirm, garbage = Em4100Codec(self._framing), Confirm(self._confirm), Garbage()
        yield Condition(True)
        while True:
            frames = codec.feed(await link.read_within(STEP_S))
            bad = garbage.see(codec.dropped.data, time.monotonic(), frames=bool(frames))
            yield Condition(not bad, f"{link.port}: {_GARBAGE}" if bad else "")
            for frame in frames:
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
