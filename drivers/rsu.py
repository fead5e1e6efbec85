"""ETC roadside units (`protocol.rsu`), as the lane's computer that only identifies (`protocol.rsu_dialogue`).

- The unit is set up at connect; its answer makes it online. Without one within `SILENCE_S` the link is closed and
  opened anew, so that a half-open connection is noticed as well. While ready, a unit that has said nothing for
  `heartbeat` seconds is asked in the same way.
- `profile = "auto"` does not know in which framing a unit wants to be spoken to: each link tries one, the one that was
  answered last comes first. A unit that speaks by itself is answered in its own at once.
- A unit that answers, but says that it cannot work, or whose frames no table knows, is told as offline: nobody would
  be identified by it.
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from drivers.firmware import LeastFourHex
from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.port import About, Condition, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from protocol.rsu import GAP_S, OURS, Cmd, Frame, Framing, Identity, RsuCodec
from protocol.rsu_dialogue import UNREAD_MAX, VEHICLES_MAX, Counts, Dialogue, Seen, Setup, Timing, Wall
from protocol.rsu_file import FILE_MAX_BYTES, TablesError, tables
from protocol.rsu_tables import AUTO, BUILT_IN, Reading, Tables
from protocol.sighting import Sighting

_BAUD: Final = 115_200


class Options(PortOptions):
    """Options of an rsu reader."""

    profile: Literal["auto", "parking", "beijing", "v2000", "jinyi", "jilin", "yunnan", "gantry"] = Field(
        default="auto", description="whose field tables: auto tries all framings and reads by all tables"
    )
    tables: str | None = Field(default=None, description="a TOML file of field tables, in place of a profile")
    lane_mode: int = Field(default=3, ge=0, le=255, description="lane mode in C0: 3 entry, 4 exit")
    wait: int | None = Field(
        default=None,
        ge=0,
        le=255,
        description="time between two reads in C0, in the unit's own measure; by default as is usual in the region",
    )
    power: int = Field(default=10, ge=0, le=31, description="power level in C0")
    channel: int = Field(
        default=0, ge=0, le=1, description="PLL channel in C0; neighbouring antennas take different ones"
    )
    plate_wait: float = Field(
        default=0.5,
        gt=0,
        le=1.5,
        description="how long an on-board unit waits for its plate, in s; then it is told alone",
    )
    heartbeat: float = Field(
        default=5.0, ge=1, le=300, description="after so many s of silence the unit is asked whether it lives"
    )
    baud: int = Field(default=_BAUD, gt=0, description="speed of the serial line")
    firmware_least: LeastFourHex = None

    @field_validator("tables")
    @classmethod
    def _readable(cls, path: str | None) -> str | None:
        if path is not None:
            read_tables(path)
        return path

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.tables is not None and self.profile != "auto":
            raise ValueError("tables takes the place of profile: take one of them out")
        return self


def read_tables(path: str) -> Tables:
    """The field tables in a file. Raises ValueError in a technician's words."""
    if not path.startswith("/"):
        raise ValueError('a whole path such as "/etc/gated/rsu.toml" would be right')
    try:
        with Path(path).open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; a readable TOML file would be right") from error
    except ValueError as error:
        raise ValueError(f"{path} is not UTF-8; save it as UTF-8") from error
    if len(raw) > FILE_MAX_BYTES:
        raise ValueError(f"{path} is too large; at most {FILE_MAX_BYTES} bytes are right")
    try:
        return tables(Path(path).stem, text)
    except TablesError as error:
        raise ValueError(f"{path}: {error}") from error


def local_time() -> Wall:
    """The time of day of this machine."""
    now = datetime.now().astimezone()
    return Wall(int(now.timestamp()), now.strftime("%Y%m%d%H%M%S"))


class RsuReader:
    """An ETC antenna. `counts` is what it sent that is of no use."""

    def __init__(self, name: str, options: Options, rand: Callable[[], float], timing: Timing | None = None) -> None:
        self.last_heard: float | None = None
        self.about = About()
        self.counts = Counts()
        self._name = name
        self._options = options
        self._timing = timing or Timing(options.plate_wait, options.heartbeat)
        regions = _regions(options)
        self._reading = Reading(regions)
        self._framings = deque(dict.fromkeys(region.framing for region in regions))
        self._opener = opener(options.port, options.baud)
        self._rand = rand

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        return keep(self._opener, self._serve, self._rand)

    async def _serve(self, link: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        codec, dialogue, spoke = RsuCodec(), self._dialogue(time.monotonic()), False
        seen = deque[Seen](maxlen=VEHICLES_MAX)  # told once the unit is there
        while True:
            now = time.monotonic()
            if dialogue.silent(now):
                raise LinkLost(self._silence(dialogue, spoke=spoke))
            acts = dialogue.tick(now)
            if not acts:
                for frame in await self._frames(link, codec, dialogue.wait(now)):
                    spoke = True
                    acts += dialogue.heard(frame, link.read_at)
            for act in acts:
                if isinstance(act, Frame):
                    link.write(act.to_bytes())
                else:
                    seen.append(act)
            if dialogue.ready:
                self._remember(dialogue.framing)
                yield self._condition(dialogue)
                while seen:
                    one = seen.popleft()
                    also = (one.plate,) if one.plate else ()
                    yield Sighting(self._name, one.obu, one.at, also, colour=one.colour)
            yield Quiet()

    def _dialogue(self, now: float) -> Dialogue:
        options = self._options
        setup = Setup(options.lane_mode, options.wait, options.power, options.channel)
        return Dialogue(self._reading, setup, self._timing, self._framings[0], local_time, now, counts=self.counts)

    async def _frames(self, link: Link, codec: RsuCodec, seconds: float) -> list[Frame]:
        """What the unit says within this time; a silence that ends a frame is looked at."""
        data = await link.read_within(GAP_S if codec.pending else min(seconds, STEP_S))
        frames = [frame for frame in (codec.feed(data) if data else codec.gap()) if frame.command not in OURS]
        if frames:
            self.last_heard = link.read_at
        for who in filter(None, map(Identity.from_frame, frames)):
            self.about = About(f"maker {who.maker}, unit {who.number}", who.version)
        return frames

    def _remember(self, framing: Framing) -> None:
        """Begin with this framing next time."""
        if self._framings[0] is not framing:
            if framing in self._framings:
                self._framings.remove(framing)
            self._framings.appendleft(framing)

    def _silence(self, dialogue: Dialogue, *, spoke: bool) -> str:
        """Why the link is given up; the next one tries another framing."""
        port = self._options.port
        if not dialogue.ready:
            self._framings.rotate(-1)
        if spoke and not dialogue.ready:
            return f"{port}: the antenna speaks, but does not answer C0; name its profile, or write its tables"
        return (
            f"{port}: the antenna is silent; check its power, its cable, its address and baud, its profile, "
            "and that no other computer holds it"
        )

    def _condition(self, dialogue: Dialogue) -> Condition:
        port = self._options.port
        if dialogue.status:
            return Condition(
                False,
                f"{port}: the antenna answers, but says that it cannot work (status {dialogue.status:02X}); "
                "check its PSAM card, else have its radio looked at",
            )
        if len(dialogue.unread) == UNREAD_MAX:
            frame = dialogue.unread[-1]
            return Condition(
                False,
                f"{port}: no table knows the antenna's frames ({frame.command:02X} of {len(frame.data)} bytes); "
                "name another profile, or write its tables (docs/hardware/rsu.md)",
            )
        return Condition(True)


def _regions(options: Options) -> tuple[Tables, ...]:
    if options.tables is not None:
        return (read_tables(options.tables),)
    return AUTO if options.profile == "auto" else (BUILT_IN[options.profile],)


def make(name: str, options: Options, ports: Ports) -> RsuReader:
    """The reader `name`."""
    return RsuReader(name, options, ports.rand)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """A unit in what it says by itself: heartbeats, its start, vehicles. An answer would begin a dialogue with it."""
    codec = RsuCodec()
    frames = [frame for frame in codec.feed(b"".join(heard)) + codec.gap() if frame.command in _UNASKED]
    if not frames:
        return []
    framing = frames[0].framing
    profile = {Framing.PARK: "parking", Framing.CRC16: "gantry"}.get(framing)
    if profile is not None:
        return [Found(f"framing {framing.name}", options={"profile": profile})]
    return [Found(f"framing {framing.name}", remark="name its profile once you know it (docs/hardware/rsu.md)")]


_UNASKED: Final = frozenset((Cmd.STATE, Cmd.BEAT, Cmd.OBU, Cmd.VEHICLE, Cmd.CARD))
_BEAT_S: Final = 5.0
PROBE: Final = Probe(recognise, speeds=(_BAUD,), tcp=(60_001, 21_003), answer_s=_BEAT_S)
DRIVER: Final = Driver("rsu", Role.READER, Options, make, probes=(PROBE,))
