"""Targets of an ETC unit's bytes: frames, what tables read in them, what is said to a unit, a region's own file."""

from collections.abc import Iterator
from typing import Final

from protocol import rsu, rsu_file
from protocol.credential import canonical
from protocol.rsu import Frame, Framing
from protocol.rsu_dialogue import UNREAD_MAX, VEHICLES_MAX, Dialogue, Seen, Setup, Timing, Wall
from protocol.rsu_file import TablesError
from protocol.rsu_tables import (
    AUTO,
    BUILT_IN,
    GANTRY,
    JILIN,
    READ,
    SWITCHES,
    Reading,
    Tables,
    Vehicle,
    plate,
    plate_text,
)
from tests.fuzz.streams import Side, target
from tests.fuzz.target import Target, cut, halves, pair, streams

_READING: Final = Reading(AUTO)
_NUMBERS: Final = {Framing.BCC: 0x18, Framing.CRC16: 0x01, Framing.PARK: 0}
_VEHICLE: Final = Vehicle(b"\x63\xb6\xa1\xd2", 0, b"\xb1\xb1\xbe\xa9" * 2, "沪A12345".encode("gbk"), b"\0\0", 1)
_TIMING: Final = Timing(plate_s=0.5, quiet_s=5, answer_s=0.9, silence_s=2.5)
_WALL: Final = Wall(1_795_862_400, "20261128160000")
_WE_SAY: Final = {rsu.Cmd.SETUP, rsu.Cmd.CONTINUE, rsu.Cmd.STOP, *SWITCHES}
_REGION: Final = b"""framing = "bcc"
setup = "time datetime lane wait power channel 02"
resume = "obu factor"
stop = "obu 01"
switch = "4C"
wait = 2
begins = true
[[frames]]
command = "B2"
length = 32
factor = 5
[[frames]]
command = "B3"
length = 21
plate = 5
colour = 17
class = 19
"""


def _told(region: Tables) -> Iterator[Frame]:
    """What a unit of this region sends of a vehicle."""
    yield Frame(region.framing, _NUMBERS[region.framing], rsu.Cmd.STATE, bytes(12))
    for layout in region.frames:
        yield Frame(region.framing, _NUMBERS[region.framing], layout.command, layout.data(_VEHICLE))


def _whole() -> Iterator[bytes]:
    yield from streams("rsu")
    yield b"\xff\xff\x18" + bytes(2 * rsu.BUFFER_MAX_BYTES)
    for region in AUTO:
        yield b"".join(frame.to_bytes() for frame in _told(region))


def _frames() -> Target:
    long = Frame(Framing.PARK, 0, 0xB9, bytes(1000)).to_bytes()
    side = Side(rsu.RsuCodec, Frame.to_bytes, rsu.BUFFER_MAX_BYTES, _frame, _read, long=long)
    return target([side], _whole, 1200)


def _frame(content: bytes) -> Frame:
    """A frame of any content, as long as one of the tables' where it can be."""
    which, command, seq = content[:3].ljust(3, b"\x18")
    framing, heads, data = tuple(Framing)[which % 3], 2, content[3:]
    if framing is Framing.BCC:
        heads, seq = 1 + which // 3 % 2, max(0x08, min(seq, 0xFD))
    code = (*READ, rsu.Cmd.STATE, command or 1)[which // 6 % 5]
    lengths = [layout.length for region in AUTO for layout in region.frames if layout.command == code]
    if lengths and which >= 128:
        length = lengths[seq % len(lengths)]
        data = data[:length].ljust(length, b"\0")
    return Frame(framing, 0 if framing is Framing.PARK else seq, code, data, heads)


def _read(frame: Frame) -> None:
    rsu.Identity.from_frame(frame)
    vehicle = _READING.vehicle(frame)
    assert _READING.region(frame) in AUTO
    assert vehicle is None or (_READING.knows(frame) and frame.command in READ and canonical(vehicle.credential))
    assert frame.answered(0xC1).answered(frame.command, frame.data) == frame


def _tables() -> Target:
    """A frame's data as each table reads it, and a plate's field."""

    def check(data: bytes) -> None:
        plate_text(data)
        found = plate(data)
        assert found is None or canonical(found) == found
        for region in AUTO:
            for layout in region.frames:
                whole = data[: layout.length].ljust(layout.length, b"\0")
                _read(Frame(region.framing, _NUMBERS[region.framing], layout.command, whole))
                vehicle = layout.vehicle(whole)
                assert layout.vehicle(layout.data(vehicle).ljust(layout.length, b"\0")) == vehicle

    def seeds() -> Iterator[bytes]:
        yield "沪A12345".encode("gbk")
        yield "粤Z1234港\0\0".encode("gbk")
        for region in AUTO:
            yield from (frame.data for frame in _told(region))

    return Target(check, seeds, 300)


def _dialogue() -> Target:
    """Whatever a unit sends, and whenever: what is said is bounded and takes no money, each vehicle is a credential."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        region = (*BUILT_IN.values(), None)[number % (len(BUILT_IN) + 1)]
        reading = _READING if region is None else Reading((region,))
        now = 0.0
        talk = Dialogue(reading, Setup(3, None, 10, 1), _TIMING, reading.tables[0].framing, lambda: _WALL, now)
        while rest:
            tenths, rest = cut(rest)
            now += tenths / 10
            content, rest = halves(rest)
            _bounded(talk.heard(_frame(content), now), now, most=3)
            _bounded(talk.tick(now), now, most=2 * VEHICLES_MAX + 1)
            assert talk.wait(now) >= 0
            assert len(talk.unread) <= UNREAD_MAX
            assert len(talk._announced) <= VEHICLES_MAX
            talk.silent(now)

    def seeds() -> Iterator[bytes]:
        for number, region in enumerate((*BUILT_IN.values(), GANTRY)):
            for tenths in (0, 1, 60):
                told = b"".join(bytes([tenths]) + pair(_content(frame), b"") for frame in _told(region))
                yield bytes([number]) + told * 2
        many = (_content(Frame(Framing.BCC, 0x18, rsu.Cmd.OBU, bytes([one]) * 44)) for one in range(VEHICLES_MAX + 8))
        yield b"\x04\x00" + pair(_content(next(_told(JILIN))), b"") + b"".join(b"\0" + pair(one, b"") for one in many)

    return Target(check, seeds, 2400)


def _content(frame: Frame) -> bytes:
    """What `_frame` makes this frame of."""
    codes = (*READ, rsu.Cmd.STATE)
    which = tuple(Framing).index(frame.framing) + 6 * (codes.index(rsu.Cmd(frame.command)))
    return bytes([which + (3 if frame.framing is Framing.BCC else 0), 0, frame.seq]) + frame.data


def _bounded(acts: list[Frame | Seen], now: float, most: int) -> None:
    assert len(acts) <= most
    for act in acts:
        if isinstance(act, Seen):
            assert canonical(act.obu)
            assert act.at <= now
            assert act.plate is None or canonical(act.plate)
        else:
            assert act.command in _WE_SAY
            if act.framing is not Framing.BCC or act.seq >= 0x08:  # below, it answers a number that no unit has
                assert rsu.RsuCodec().feed(act.to_bytes()) == [act]


def _file() -> Target:
    def check(data: bytes) -> None:
        try:
            tables = rsu_file.tables("own", data.decode(errors="replace"))
        except TablesError:
            return
        reading = Reading((tables,))
        for layout in tables.frames:
            whole = bytes(layout.length)
            assert layout.needs <= layout.length
            reading.vehicle(Frame(tables.framing, 0, layout.command, whole))

    return Target(check, lambda: (_REGION, b"wait = " + b"9" * 5000, b"wait = " + b"[" * 2000), 6000)


RSU: Final = {"rsu": _frames(), "rsu_tables": _tables(), "rsu_dialogue": _dialogue(), "rsu_file": _file()}
