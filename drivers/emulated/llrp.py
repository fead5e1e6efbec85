"""The other side of `drivers.llrp`."""

import asyncio
import time
from typing import Final

from drivers.emulated.chips import EmulatedChips
from drivers.emulated.host import Host
from protocol.gen2 import TID_WORDS, is_epc
from protocol.llrp import FIXED_BYTES, OPERATION_ID, Kind, LlrpCodec, Message, Param, Parameter, having, uint
from protocol.llrp_replies import SUCCESS, Attempt

ROUND_S: Final = 0.05
ANTENNAS: Final = 4

_OF_ACCESS: Final = frozenset((Kind.ADD_ACCESSSPEC, Kind.ENABLE_ACCESSSPEC, Kind.DELETE_ACCESSSPEC))
_OF_SPECS: Final = _OF_ACCESS | {Kind.ADD_ROSPEC, Kind.ENABLE_ROSPEC, Kind.START_ROSPEC, Kind.DELETE_ROSPEC}
_RECEIVE_SENSITIVITY: Final = 139
_PER_ANTENNA_AIR_PROTOCOL: Final = 140
_GPIO_CAPABILITIES: Final = 141
_FREQUENCIES: Final = 146
_RF_MODE_TABLE: Final = 328
_RF_MODE: Final = 329
_HEARD_MAX: Final = 1000
_RSSI_DBM: Final = -52
_EPC_96_BYTES: Final = 12
_LEVELS: Final = tuple((index, 1000 + 25 * (index - 1)) for index in range(1, 82))  # hundredths of dBm, 10 to 30
_RESPONSE: Final = 10
_INVALID: Final = 300
_PLUGGED: Final = b"\x80"
_PERIODIC: Final = 1
_MS: Final = 1000
_US: Final = 1_000_000
_UPTIME: Final = 129


class EmulatedLlrp:
    """A reader of four antennas with the tags of `field` (antenna and EPC as hex) before them, and one client at most.

    While `silent` it says nothing at all, though connections stay. `busy`: a client has it. `refuse` has the whole
    LLRPStatus that a request of this type is answered with. `unplugged` are antennas without a cable, `levels` its
    powers (index, hundredths of dBm), `band` is what it tells of hop table and channel, `level` of an antenna's power,
    `standard` of its region, `clock_off_s` of its clock; None: it has none. While `deaf`, chips do not answer. `mute`
    are requests that it does not answer.
    """

    def __init__(self) -> None:
        self.field: set[tuple[int, str]] = set()
        self.silent = False
        self.busy = False
        self.refuse: dict[int, bytes] = {}
        self.unplugged: set[int] = set()
        self.antennas = ANTENNAS
        self.levels: tuple[tuple[int, int], ...] = _LEVELS
        self.band = (1, 1)
        self.level = 1
        self.standard = 14
        self.maker, self.model, self.firmware = 25882, 2001002, "8.2.1"
        self.clock_off_s: float | None = 0.0
        self.heard: list[Message] = []
        self.rospecs: dict[int, Message] = {}
        self.running: set[int] = set()
        self.accessspecs: dict[int, Message] = {}
        self.reading: set[int] = set()
        self.chips = EmulatedChips()
        self.deaf = False
        self.mute: set[int] = set()
        self.keepalive_s: float | None = None
        self.unacknowledged = 0
        self._codec = LlrpCodec()
        self._number = 0

    def enter(self, tag: str) -> None:
        """A tag comes into the field: EPC, or EPC/TID where its chip is another; @ANTENNA behind it, by default 1.

        Raises ValueError for what is none.
        """
        self.field.add(self._placed(tag))

    def leave(self, tag: str) -> None:
        """A tag leaves the field; said as it entered."""
        self.field.discard(self._placed(tag))

    def connected(self) -> tuple[bytes, bool]:
        """See Greeting."""
        if self.busy:
            return self._event(_attempt(Attempt.CLIENT_CONNECTED_ALREADY)), False
        self.busy, self._codec, self.unacknowledged = True, LlrpCodec(), 0
        return b"" if self.silent else self._event(_attempt(Attempt.SUCCESS)), True

    def disconnected(self) -> None:
        """See Greeting. The inventory runs on: a reader's does."""
        self.busy = False

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        messages = self._codec.feed(data)
        self.heard = [*self.heard, *messages][-_HEARD_MAX:]
        return b"" if self.silent else b"".join(self._answer(message) for message in messages)

    def report(self) -> bytes:
        """One round of the inventory: a report for each tag at an antenna that it reads; nothing where none runs."""
        seen = [tag for tag in sorted(self.field) if not self.silent and self._inventory(tag[0])]
        return b"".join(self._own(Kind.RO_ACCESS_REPORT, self._tag(*tag)) for tag in seen)

    def keepalive(self) -> bytes:
        """Ask whether the client lives; nothing where it has not asked for that."""
        if self.silent or self.keepalive_s is None:
            return b""
        self.unacknowledged += 1
        return self._own(Kind.KEEPALIVE, b"")

    def tell(self, kind: int, value: bytes) -> bytes:
        """An event of this type."""
        return self._event(_tlv(kind, value))

    async def run(self, host: Host, every: float = ROUND_S) -> None:
        """Read and say that it lives, as real readers do, until cancelled."""
        loop = asyncio.get_running_loop()
        alive_at = loop.time()
        while True:
            host.send(self.report())
            if loop.time() - alive_at >= (self.keepalive_s or 0):
                alive_at = loop.time()
                host.send(self.keepalive())
            await asyncio.sleep(every)

    def _inventory(self, antenna: int) -> int | None:
        """The inventory that runs and has this antenna; the latest of several."""
        found = [spec for spec in self.running if {antenna, 0} & {*_antennas(self.rospecs[spec])}]
        return max(found, default=None)

    def _tag(self, antenna: int, epc: str) -> bytes:
        """What is reported of one tag; with its chip where that is to be read."""
        read = None if self.deaf else self.chips.read(epc, TID_WORDS)
        result = b"\2" + _u16(OPERATION_ID) + _u16(0)
        if read is not None:
            result = b"\0" + _u16(OPERATION_ID) + _u16(TID_WORDS) + read
        return _tag(
            self._inventory(antenna) or 0, antenna, epc, _tlv(Param.C1G2_READ_RESULT, result) if self.reading else b""
        )

    def _placed(self, tag: str) -> tuple[int, str]:
        text, _, antenna = tag.partition("@")
        epc = self.chips.tag(text)
        if not is_epc(bytes.fromhex(epc)):
            raise ValueError("an EPC has 4 to 124 hex digits, four to a word")
        if not 0 < int(antenna or 1) <= self.antennas:
            raise ValueError(f"its antennas are 1 to {self.antennas}")
        return int(antenna or 1), epc

    def _answer(self, message: Message) -> bytes:
        if message.kind == Kind.KEEPALIVE_ACK:
            self.unacknowledged = 0
            return b""
        if message.kind in self.mute:
            return b""
        answer = Kind.CLOSE_CONNECTION_RESPONSE if message.kind == Kind.CLOSE_CONNECTION else message.kind + _RESPONSE
        status = self.refuse.get(message.kind)
        rest = b""
        if status is None:
            code, rest = self._do(message)
            status = code.to_bytes(2, "big") + b"\0\0"
        return Message(answer, message.number, _tlv(Param.LLRP_STATUS, status) + rest).to_bytes()

    def _do(self, message: Message) -> tuple[int, bytes]:
        """Do as told; the code of the status, and what is told beside it."""
        parameters = message.body[FIXED_BYTES.get(message.kind, 0) :]
        told = b""
        match message.kind:
            case Kind.GET_READER_CAPABILITIES:
                told = self._capabilities()
            case Kind.GET_READER_CONFIG:
                told = b"".join(map(self._set, range(1, self.antennas + 1)))
            case Kind.SET_READER_CONFIG:
                for spec in having(parameters, Param.KEEPALIVE_SPEC, 5):
                    self.keepalive_s = uint(spec.value[1:5]) / _MS if spec.value[0] == _PERIODIC else None
            case kind if kind in _OF_SPECS:
                return (SUCCESS if self._of_specs(message) else _INVALID), b""
            case Kind.CLOSE_CONNECTION:
                pass
            case _:
                return _INVALID, b""
        return SUCCESS, told

    def _of_specs(self, message: Message) -> bool:
        """Add, delete or begin an inventory or a reading of chips; whether there is one of that number."""
        access = message.kind in _OF_ACCESS
        specs, begun = (self.accessspecs, self.reading) if access else (self.rospecs, self.running)
        number = uint(message.body[:4])
        if message.kind in (Kind.ADD_ROSPEC, Kind.ADD_ACCESSSPEC):
            found = having(message.body, Param.ACCESSSPEC if access else Param.ROSPEC, 6)
            specs.update((uint(spec.value[:4]), message) for spec in found)
            return bool(found)
        if number not in specs:
            return False
        if message.kind in (Kind.DELETE_ROSPEC, Kind.DELETE_ACCESSSPEC):
            begun.discard(number)
            del specs[number]
        elif message.kind in (Kind.START_ROSPEC, Kind.ENABLE_ACCESSSPEC):
            begun.add(number)
        return True

    def _capabilities(self) -> bytes:
        """All that the standard wants in it, though only antennas and powers say something."""
        protocols = [
            _tlv(_PER_ANTENNA_AIR_PROTOCOL, _u16(antenna), _u16(1), b"\1") for antenna in range(1, self.antennas + 1)
        ]
        general = _tlv(
            Param.GENERAL_DEVICE_CAPABILITIES,
            _u16(self.antennas),
            b"\xc0\0",  # it can be told how its antennas are, and has a clock
            self.maker.to_bytes(4, "big"),
            self.model.to_bytes(4, "big"),
            _u16(len(self.firmware)),
            self.firmware.encode(),
            _tlv(_RECEIVE_SENSITIVITY, _u16(1), _u16(0)),
            _tlv(_GPIO_CAPABILITIES, bytes(4)),
            *protocols,
        )
        levels = [_tlv(Param.TRANSMIT_POWER_LEVEL, _u16(index), _u16(power)) for index, power in self.levels]
        mode = _tlv(_RF_MODE_TABLE, _tlv(_RF_MODE, bytes(28)))
        bands = _tlv(Param.UHF_BAND_CAPABILITIES, *levels, _tlv(_FREQUENCIES, b"\0"), mode)
        return general + _tlv(Param.REGULATORY_CAPABILITIES, _u16(0), _u16(self.standard), bands)

    def _set(self, antenna: int) -> bytes:
        """How one antenna is set."""
        sender = _tlv(Param.RF_TRANSMITTER, *map(_u16, (*self.band, self.level)))
        plugged = b"\0" if antenna in self.unplugged else _PLUGGED
        return _tlv(Param.ANTENNA_PROPERTIES, plugged, _u16(antenna), bytes(2)) + _tlv(
            Param.ANTENNA_CONFIGURATION, _u16(antenna), sender
        )

    def _event(self, inside: bytes) -> bytes:
        stamp = _tlv(_UPTIME, bytes(8))
        if self.clock_off_s is not None:
            stamp = _tlv(Param.UTC_TIMESTAMP, round((time.time() + self.clock_off_s) * _US).to_bytes(8, "big"))
        return self._own(Kind.READER_EVENT_NOTIFICATION, _tlv(Param.READER_EVENT_NOTIFICATION_DATA, stamp, inside))

    def _own(self, kind: Kind, body: bytes) -> bytes:
        self._number += 1
        return Message(kind, self._number, body).to_bytes()


def _antennas(added: Message) -> tuple[int, ...]:
    """The antennas of the inventory in an ADD_ROSPEC; 0 stands for all."""
    found: list[int] = []
    for spec in having(added.body, Param.ROSPEC, 6):
        for part in having(spec.value[6:], Param.AISPEC, 2):
            count = uint(part.value[:2])
            found += [uint(part.value[at : at + 2]) for at in range(2, 2 + 2 * count, 2)]
    return tuple(found)


def _attempt(attempt: Attempt) -> bytes:
    return _tlv(Param.CONNECTION_ATTEMPT_EVENT, _u16(attempt))


def _tag(rospec: int, antenna: int, epc: str, besides: bytes) -> bytes:
    """What is reported of one tag."""
    data = bytes.fromhex(epc)
    kind, value = Param.EPC_DATA, _u16(8 * len(data)) + data
    if len(data) == _EPC_96_BYTES:
        kind, value = Param.EPC_96, data
    return _tlv(
        Param.TAG_REPORT_DATA,
        _tlv(kind, value),
        _tlv(Param.ROSPEC_ID, rospec.to_bytes(4, "big")),
        _tlv(Param.ANTENNA_ID, _u16(antenna)),
        _tlv(Param.PEAK_RSSI, _RSSI_DBM.to_bytes(1, "big", signed=True)),
        _tlv(Param.FIRST_SEEN_UTC, bytes(8)),
        _tlv(Param.TAG_SEEN_COUNT, _u16(1)),
        besides,
    )


def _tlv(kind: int, *values: bytes) -> bytes:
    return Parameter(kind, b"".join(values)).to_bytes()


def _u16(number: int) -> bytes:
    return number.to_bytes(2, "big")
