"""Field tables: what of an ETC unit's frames (`protocol.rsu`) identifies a vehicle, and how a lane's computer answers.

Each region has its own, and nothing in a frame says which. A frame is read by its CMD and its length together: a length
that no table has is not read at all, since BCC does not reveal bytes that were lost or doubled in the stuffing.

- Offsets count from behind CMD. All tables agree that an on-board unit's id comes first and its ErrorCode fifth
  (car-park units have an "illegally removed" flag instead, elsewhere). ErrorCode not 0 means that nothing follows.
- Only what identifies is read: id, ErrorCode, plate, colour, class. `factor` is what the unit wants back with C1.
- Commands are templates: names of values, and bytes in hex. There is none for taking money, and none can be written.

`AUTO` has all built-in tables: no two of them read a frame of one framing and length differently. A frame that only a
table of another framing has is read by that one.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.credential import Credential, CredentialError, canonical
from protocol.rsu import Cmd, Frame, Framing
from protocol.sighting import PlateColour

OBU_BYTES: Final = 4
PLATE_BYTES: Final = 12
COLOUR_BYTES: Final = 2
FACTOR_BYTES: Final = 8
BEAT_OBU: Final = b"\xff" * OBU_BYTES
"""The id in a B2 that is a heartbeat."""
READ: Final = (Cmd.OBU, Cmd.VEHICLE, Cmd.CARD)
SWITCHES: Final = (Cmd.SWITCH, Cmd.SWITCH_OLD)
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "setup": ("time", "datetime", "lane", "wait", "power", "channel"),
    "resume": ("obu", "factor"),
    "stop": ("obu", "time"),
    "switch": (),
}
"""Which values a template may name."""

COLOURS: Final = {
    0: PlateColour.BLUE,
    1: PlateColour.YELLOW,
    2: PlateColour.BLACK,
    3: PlateColour.WHITE,
    4: PlateColour.FADING_GREEN,
    5: PlateColour.YELLOW_GREEN,
    11: PlateColour.GREEN,
    12: PlateColour.RED,
}
"""Colours by their number. Left out: 6, which is green in some programs and fading blue in most, 7, and 9, unknown."""

_SHORT_BYTES: Final = 5  # id and ErrorCode, where nothing follows
_PADDING: Final = re.compile(rb"[\0\xff]")  # neither is a byte of GBK text, so the plate ends there
_SEPARATORS: Final = re.compile(r"[\s·.•・‧∙-]")


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of frame: CMD, how many bytes follow it, and where the fields begin."""

    command: int
    length: int
    obu: int = 0
    error: int | None = 4
    factor: int | None = None
    plate: int | None = None
    colour: int | None = None
    vehicle_class: int | None = None

    def vehicle(self, data: bytes) -> "Vehicle":
        """What the data says, whose length is this layout's."""
        error = data[self.error] if self.error is not None else 0
        if error:
            return Vehicle(_cut(data, self.obu, OBU_BYTES), error)
        return Vehicle(
            _cut(data, self.obu, OBU_BYTES),
            factor=_cut(data, self.factor, FACTOR_BYTES),
            plate=_cut(data, self.plate, PLATE_BYTES) if self.plate is not None else None,
            colour=_cut(data, self.colour, COLOUR_BYTES),
            vehicle_class=data[self.vehicle_class] if self.vehicle_class is not None else None,
        )

    def data(self, vehicle: "Vehicle") -> bytes:
        """The data that says this of a vehicle, as a unit sends it; ErrorCode and id alone where there is an error."""
        if vehicle.error and self.error == _SHORT_BYTES - 1:
            return vehicle.obu + bytes([vehicle.error])
        data = bytearray(self.length)
        fields = (
            (self.obu, vehicle.obu),
            (self.error, bytes([vehicle.error])),
            (self.factor, vehicle.factor),
            (self.plate, (vehicle.plate or b"").ljust(PLATE_BYTES, b"\0")),
            (self.colour, vehicle.colour),
            (self.vehicle_class, bytes([vehicle.vehicle_class or 0])),
        )
        for at, value in fields:
            if at is not None:
                data[at : at + len(value)] = value
        return bytes(data)

    @property
    def needs(self) -> int:
        """How long the data must be at least."""
        fields = (
            (self.obu, OBU_BYTES),
            (self.error, 1),
            (self.factor, FACTOR_BYTES),
            (self.plate, PLATE_BYTES),
            (self.colour, COLOUR_BYTES),
            (self.vehicle_class, 1),
        )
        return max((at + size for at, size in fields if at is not None), default=0)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What a frame says of a vehicle. With `error` nothing but the id. `plate` is None where the frame has no field."""

    obu: bytes
    error: int = 0
    factor: bytes = b""
    plate: bytes | None = None
    colour: bytes = b""
    vehicle_class: int | None = None

    @property
    def credential(self) -> Credential:
        """The on-board unit's: `obu:` and all its digits."""
        return Credential(f"obu:{self.obu.hex().upper()}")


@dataclass(frozen=True, slots=True)
class Template:
    """A command: its CMD, and what follows as names of values and bytes."""

    command: int
    parts: tuple[str | bytes, ...] = ()

    def data(self, values: Mapping[str, bytes]) -> bytes:
        """What follows CMD."""
        return b"".join(part if isinstance(part, bytes) else values[part] for part in self.parts)


def template(command: int, text: str, names: Sequence[str]) -> Template:
    """The template that `text` writes behind CMD: "obu 01". Raises ValueError with what would be right."""
    parts: list[str | bytes] = []
    for word in text.split():
        if word in names:
            parts.append(word)
        elif re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", word):
            parts.append(bytes.fromhex(word))
        else:
            known = f"{', '.join(names)} or " if names else ""
            raise ValueError(f"{word!r} is no part of command {command:02X}: {known}bytes in hex would be right")
    return Template(command, tuple(parts))


@dataclass(frozen=True, slots=True)
class Commands:
    """How a region writes what we send: set up, go on, stop with this vehicle, antenna on."""

    setup: Template
    resume: Template
    stop: Template
    switch: Template

    @classmethod
    def of(cls, setup: str, resume: str, stop: str, switch: int) -> "Commands":
        """The commands that these texts write behind their CMD. Raises ValueError as `template` does."""
        return cls(
            template(Cmd.SETUP, setup, VALUES["setup"]),
            template(Cmd.CONTINUE, resume, VALUES["resume"]),
            template(Cmd.STOP, stop, VALUES["stop"]),
            Template(switch, (b"\x01",)),
        )


@dataclass(frozen=True, slots=True)
class Tables:
    """One region's frames and commands.

    `wait` is what C0 says where nobody says otherwise, in the region's own unit. With `begins` the unit searches only
    after a C1 for no vehicle.
    """

    name: str
    framing: Framing
    frames: tuple[Layout, ...]
    commands: Commands
    wait: int = 0
    begins: bool = False


class Reading:
    """Reads frames by one or several regions' tables."""

    def __init__(self, tables: tuple[Tables, ...]) -> None:
        self.tables = tables
        self._by_kind: dict[tuple[int, int], list[tuple[Tables, Layout]]] = {}
        for region in tables:
            for layout in region.frames:
                self._by_kind.setdefault((layout.command, layout.length), []).append((region, layout))

    def knows(self, frame: Frame) -> bool:
        """Whether a table has this kind of frame, or it needs none."""
        return (
            frame.command not in READ
            or (frame.command, len(frame.data)) in self._by_kind
            or (frame.command == Cmd.CARD and frame.framing is Framing.BCC)  # the card's, behind the plate in B3
            or is_beat(frame)
            or _refused(frame) is not None
        )

    def vehicle(self, frame: Frame) -> Vehicle | None:
        """What the frame says of a vehicle, if anything."""
        if frame.command not in READ or is_beat(frame):
            return None
        found = self._read_by(frame)
        return found[1].vehicle(frame.data) if found else _refused(frame)

    def region(self, frame: Frame) -> Tables:
        """Whose commands answer this frame: those of the table that reads it."""
        found = self._read_by(frame)
        return found[0] if found else self.of(frame.framing)

    def of(self, framing: Framing) -> Tables:
        """The first region of a framing, else the first of all."""
        return next((region for region in self.tables if region.framing is framing), self.tables[0])

    def _read_by(self, frame: Frame) -> tuple[Tables, Layout] | None:
        """The table that reads this frame: of its own framing before others, two of which have one length for B4."""
        found = self._by_kind.get((frame.command, len(frame.data)), [])
        return next((one for one in found if one[0].framing is frame.framing), found[0] if found else None)


def is_beat(frame: Frame) -> bool:
    """Whether this is a heartbeat in the form of an on-board unit's frame; every B2 of a car-park unit is one."""
    return frame.command == Cmd.OBU and (frame.framing is Framing.PARK or frame.data[:OBU_BYTES] == BEAT_OBU)


def plate_text(raw: bytes) -> str:
    """The characters of a plate field, without padding and separators, plain capitals; "" where they are no GBK."""
    try:
        text = _PADDING.split(raw, 1)[0].decode("gbk")
    except UnicodeDecodeError:
        return ""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()


def plate(raw: bytes) -> Credential | None:
    """The credential of a plate field; None where it holds no canonical plate."""
    try:
        return canonical(f"plate:{plate_text(raw)}")
    except CredentialError:
        return None


def colour(raw: bytes) -> PlateColour | None:
    """The colour in a colour field; None where it says none, or one that the sources do not agree on."""
    return COLOURS.get(int.from_bytes(raw, "big")) if raw else None


def _cut(data: bytes, at: int | None, size: int) -> bytes:
    return data[at : at + size] if at is not None else b""


def _refused(frame: Frame) -> Vehicle | None:
    """The id in a frame that ends with its ErrorCode, because that is not 0."""
    if len(frame.data) != _SHORT_BYTES or not frame.data[-1]:
        return None
    return Vehicle(frame.data[:OBU_BYTES], frame.data[-1])


def _unit(length: int, factor: int = 5) -> Layout:
    return Layout(Cmd.OBU, length, factor=factor)


def _vehicle(length: int, at: int = 5, command: int = Cmd.VEHICLE, error: int = 4) -> Layout:
    """Plate, colour and class behind one another, as the vehicle file of every on-board unit has them."""
    colour = at + PLATE_BYTES
    end = colour + COLOUR_BYTES
    return Layout(command, length, error=error, plate=at, colour=colour, vehicle_class=end)


_C0: Final = "time datetime lane wait power channel"
# A Python client of a Beijing unit, and TollByRsu (C#), which checks the same lengths.
BEIJING: Final = Tables(
    "beijing",
    Framing.BCC,
    (_unit(32), _vehicle(21)),
    Commands.of(f"{_C0} 02", "obu factor", "obu 01", Cmd.SWITCH),
    wait=2,
    begins=True,
)
# A Java server (ReadHandlerUtil, ReplyHandlerUtil), for units of version 20 00 on; C0 as a C++ lane program has it. The
# short B3 beside this B2 is that of a published serial protocol of motorway lanes.
V2000: Final = Tables(
    "v2000",
    Framing.BCC,
    (_unit(34), _vehicle(67), _vehicle(21)),
    Commands.of(f"{_C0} 09 00 0000 0000 000000", "obu factor", "obu 01", Cmd.SWITCH),
    wait=10,
    begins=True,
)
# ansend/ebox_svc lib/libetc.rb, Jinyi's test bench: a byte before the id in C1, a StopType of four bytes.
JINYI: Final = Tables(
    "jinyi",
    Framing.BCC,
    (_unit(34), _vehicle(64)),
    Commands.of(_C0, "01 obu", "obu 00000001", Cmd.SWITCH_OLD),
    wait=15,
)
# leizi163163/test USER/CommandProcess.[ch], a unit's firmware. C0 ends in: leave EF04 alone.
JILIN: Final = Tables(
    "jilin",
    Framing.BCC,
    (_unit(44), _vehicle(84)),
    Commands.of(f"{_C0} 00 0000 0000", "obu", "obu 01", Cmd.SWITCH_OLD),
    wait=10,
    begins=True,
)
# rsudatatype.h and rsutransframe.cpp of a Qt lane program; its commands as the firmware takes them.
YUNNAN: Final = Tables(
    "yunnan",
    Framing.BCC,
    (_unit(44), _vehicle(64)),
    Commands.of(_C0, "obu", "obu 01", Cmd.SWITCH_OLD),
    wait=10,
    begins=True,
)
# A Python client of gantry units (2020-12-30): the vehicle is in B4. The end of C0 names no gantry. Two Qt programs
# that show frames (dealB4, B3FrameParser): B4 with EF04 before 0015, B3 at a lane, B4 of passes, which name nobody.
GANTRY: Final = Tables(
    "gantry",
    Framing.CRC16,
    (
        _unit(36, factor=7),
        _vehicle(182, at=6, command=Cmd.CARD),
        _vehicle(273, at=6, command=Cmd.CARD),
        _vehicle(84),
        Layout(Cmd.CARD, 63),
        Layout(Cmd.CARD, 160),
    ),
    Commands.of(f"{_C0} 01 000000 0000", "obu factor", "obu 01 time", Cmd.SWITCH),
    wait=10,
)
# A Python client of car-park units, and ansend/ebox_svc bin/ebox_frame.rb: all in B4, B2 is a heartbeat, C2 lets it go.
PARKING: Final = Tables(
    "parking",
    Framing.PARK,
    (_vehicle(273, at=33, command=Cmd.CARD, error=6),),
    Commands.of("time power channel 00", "obu", "obu", Cmd.SWITCH),
)
AUTO: Final = (PARKING, YUNNAN, JILIN, BEIJING, V2000, JINYI, GANTRY)
BUILT_IN: Final = {region.name: region for region in AUTO}
