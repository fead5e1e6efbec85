"""The other side of `drivers.rsu`."""

import asyncio
import string
from dataclasses import replace
from typing import Final, Protocol

from protocol.rsu import Cmd, Frame, Framing, RsuCodec
from protocol.rsu_tables import (
    BEAT_OBU,
    BEIJING,
    COLOUR_BYTES,
    COLOURS,
    GANTRY,
    PARKING,
    PLATE_BYTES,
    Layout,
    Tables,
    Template,
    Vehicle,
)
from protocol.sighting import PlateColour

_OTHERS: Final = {Framing.PARK: PARKING, Framing.BCC: BEIJING, Framing.CRC16: GANTRY}
_SIZES: Final = {"obu": 4, "factor": 8, "time": 4, "datetime": 7}
_BEAT_ERROR: Final = 0x80
_SEQS: Final = 8
_STATE_BYTES: Final = {Framing.PARK: 12, Framing.BCC: 19, Framing.CRC16: 26}


class _Host(Protocol):
    def send(self, data: bytes) -> None: ...


class EmulatedRsu:
    """A unit with the vehicles of `field` before its antenna, by id. `commands` is what it was told, CMD by CMD.

    It speaks as `region` has it; without one it speaks the framing in which it is first spoken to: as car-park,
    Beijing's or gantry units do. `identity` is what its B0 says behind the status. While `silent` it says nothing.
    `withheld` are the frames it leaves out.
    """

    def __init__(self, region: Tables | None = None, heads: int = 2) -> None:
        self.region = region
        self.heads = heads
        self.silent = False
        self.status = 0
        self.identity = b""
        self.field: dict[bytes, Vehicle] = {}
        self.withheld: set[int] = set()
        self.errors: dict[int, int] = {}  # by CMD, the ErrorCode that its frames bear
        self.commands: list[int] = []
        self.stopped: list[bytes] = []
        self._codec = RsuCodec()
        self._seq = 0

    def enter(self, obu: str, plate: str = "", colour: str = PlateColour.BLUE) -> bytes:
        """A vehicle comes before the antenna; what the unit says of it. Raises ValueError for what cannot be sent."""
        raw, text = bytes.fromhex(obu) if _is_hex(obu) else b"", plate.encode("gbk")
        number = next((number for number, one in COLOURS.items() if one == colour), None)
        if len(raw) != len(BEAT_OBU) or len(text) > PLATE_BYTES or number is None:
            raise ValueError("8 hex digits, a plate of at most 12 bytes, and a colour such as yellow would be right")
        shown = number.to_bytes(COLOUR_BYTES, "big")
        self.field[raw] = Vehicle(raw, factor=b"\xb1\xb1\xbe\xa9" * 2, plate=text, colour=shown, vehicle_class=1)
        return self.announce(obu)

    def leave(self, obu: str) -> None:
        """It drives on."""
        self.field.pop(bytes.fromhex(obu), None)

    def announce(self, obu: str) -> bytes:
        """What the unit says when it finds this vehicle: B2, or all at once where there is no B2."""
        region = self.region or PARKING
        kinds = [layout.command for layout in region.frames]
        return self._told(bytes.fromhex(obu), Cmd.OBU if Cmd.OBU in kinds else Cmd.CARD)

    def heartbeat(self) -> bytes:
        """The unit is there, and nobody else."""
        if (self.region or PARKING).framing is Framing.PARK:
            return self._said(Cmd.OBU, bytes([self.status, 1, 0]))
        return self._said(Cmd.OBU, BEAT_OBU + bytes([_BEAT_ERROR]))

    def power_on(self) -> bytes:
        """The unit has started."""
        frame = self._frame(Cmd.STATE, self._state())
        return replace(frame, seq=0x98).to_bytes() if frame.framing is Framing.BCC else frame.to_bytes()

    async def present(self, host: _Host, line: str, seconds: float, every: float = 1.0) -> None:
        """Let "OBU PLATE COLOUR" stand before the antenna for this long; the unit finds it again and again."""
        obu, _, rest = line.partition(" ")
        plate, _, colour = rest.strip().partition(" ")
        host.send(self.enter(obu, plate, colour.strip() or PlateColour.BLUE))
        for _ in range(round(seconds / every) - 1):
            await asyncio.sleep(every)
            host.send(self.announce(obu))
        await asyncio.sleep(every)
        self.leave(obu)

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        answer = b""
        for frame in self._codec.feed(data) + self._codec.gap():
            if self.region is None:
                self.region = _OTHERS[frame.framing]
            if frame.framing is self.region.framing:
                self.commands.append(frame.command)
                answer += self._answer(self.region, frame)
        return b"" if self.silent else answer

    def _answer(self, region: Tables, frame: Frame) -> bytes:
        if frame.command == Cmd.SETUP and Cmd.STATE not in self.withheld:
            return frame.answered(Cmd.STATE, self._state()).to_bytes()
        if frame.command == Cmd.CONTINUE:
            obu = _value(region.commands.resume, "obu", frame.data)
            return self._told(obu, next(layout.command for layout in region.frames if layout.plate is not None))
        if frame.command == Cmd.STOP:
            self.stopped.append(_value(region.commands.stop, "obu", frame.data))
        return b""

    def _told(self, obu: bytes, command: int) -> bytes:
        layout, vehicle = _layout(self.region or PARKING, command), self.field.get(obu)
        if layout is None or vehicle is None or command in self.withheld:
            return b""
        return self._said(command, layout.data(replace(vehicle, error=self.errors.get(command, 0))))

    def _state(self) -> bytes:
        return (bytes([self.status]) + self.identity).ljust(_STATE_BYTES[(self.region or PARKING).framing], b"\0")

    def _said(self, command: int, data: bytes) -> bytes:
        return b"" if self.silent else self._frame(command, data).to_bytes()

    def _frame(self, command: int, data: bytes) -> Frame:
        """A frame of the unit's own number: 18 to 88 in BCC, 01 to 08 in CRC16."""
        framing = (self.region or PARKING).framing
        self._seq = self._seq % _SEQS + 1
        seq = {Framing.BCC: self._seq << 4 | 0x08, Framing.CRC16: self._seq, Framing.PARK: 0}[framing]
        return Frame(framing, seq, command, data, self.heads)


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and set(text) <= set(string.hexdigits)


def _layout(region: Tables, command: int) -> Layout | None:
    return next((layout for layout in region.frames if layout.command == command), None)


def _value(template: Template, name: str, data: bytes) -> bytes:
    """What stands for `name` in a command's data."""
    at = 0
    for part in template.parts:
        size = len(part) if isinstance(part, bytes) else _SIZES.get(part, 1)
        if part == name:
            return data[at : at + size]
        at += size
    return b""
