"""What an LLRP reader says: tags, refusals, events, what it can do and how it is set. See `protocol.llrp`.

- A report of a tag that does not add up is none. One without an EPC, or with two, is none.
- A response that does not say that it is well is none that can be relied on: `status` gives None.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from protocol.gen2 import WORD_BYTES, is_epc
from protocol.llrp import FIXED_BYTES, OPERATION_ID, Kind, Message, Param, having, parameters, uint

SUCCESS: Final = 0

_STATUS_HEAD_BYTES: Final = 4  # code, and length of the text
_DEPTH_MAX: Final = 8
_TEXT_MAX: Final = 200
_BYTE_BITS: Final = 8
_PLUGGED: Final = 0x80
_FIRMWARE_AT: Final = 14  # antennas 2, flags 2, maker 4, model 4, and the length of the firmware's name
_NAMES: Final[dict[int, str]] = {  # as makers' manuals write them
    Param.ROSPEC: "ROSpec",
    Param.RO_BOUNDARY_SPEC: "ROBoundarySpec",
    Param.ROSPEC_START_TRIGGER: "ROSpecStartTrigger",
    Param.ROSPEC_STOP_TRIGGER: "ROSpecStopTrigger",
    Param.AISPEC: "AISpec",
    Param.AISPEC_STOP_TRIGGER: "AISpecStopTrigger",
    Param.INVENTORY_PARAMETER_SPEC: "InventoryParameterSpec",
    Param.ACCESSSPEC: "AccessSpec",
    Param.ACCESSSPEC_STOP_TRIGGER: "AccessSpecStopTrigger",
    Param.ACCESS_COMMAND: "AccessCommand",
    Param.KEEPALIVE_SPEC: "KeepaliveSpec",
    Param.ANTENNA_CONFIGURATION: "AntennaConfiguration",
    Param.RF_TRANSMITTER: "RFTransmitter",
    Param.EVENTS_AND_REPORTS: "EventsAndReports",
    Param.RO_REPORT_SPEC: "ROReportSpec",
    Param.TAG_REPORT_CONTENT_SELECTOR: "TagReportContentSelector",
    Param.ACCESS_REPORT_SPEC: "AccessReportSpec",
    Param.READER_EVENT_NOTIFICATION_SPEC: "ReaderEventNotificationSpec",
    Param.EVENT_NOTIFICATION_STATE: "EventNotificationState",
    Param.C1G2_INVENTORY_COMMAND: "C1G2InventoryCommand",
    Param.C1G2_SINGULATION_CONTROL: "C1G2SingulationControl",
    Param.C1G2_TAG_SPEC: "C1G2TagSpec",
    Param.C1G2_TARGET_TAG: "C1G2TargetTag",
    Param.C1G2_READ: "C1G2Read",
}
_WRONG: Final = (  # 100 to 108 of a message, 200 to 208 of a parameter
    "a parameter is wrong",
    "a field is wrong",
    "a parameter is not expected",
    "a parameter is missing",
    "a parameter is there twice",
    "a parameter is there too often",
    "a field has too many entries",
    "a parameter is unknown to it",
    "a field is unknown to it",
)
_CODES: Final = {
    **{base + number: words for base in (100, 200) for number, words in enumerate(_WRONG)},
    109: "it does not support this message",
    110: "it does not speak LLRP 1.0.1",
    111: "it does not support a parameter",
    112: "it does not expect this message now",
    209: "it does not support a parameter",
    300: "not valid",
    301: "out of range",
    401: "the reader itself has a fault",
}


class Attempt(IntEnum):
    """What became of a connection (ConnectionAttemptEvent)."""

    SUCCESS = 0
    READER_CALLED_ALREADY = 1
    CLIENT_CONNECTED_ALREADY = 2
    FAILED = 3
    ANOTHER_ATTEMPTED = 4


class RoSpecEvent(IntEnum):
    """What became of an inventory."""

    BEGUN = 0
    ENDED = 1
    PREEMPTED = 2


@dataclass(frozen=True, slots=True)
class Tag:
    """One report of a tag; None is what was not told. `rssi` is dBm, `first_seen_us` UTC by the reader's own clock.

    `rospec` is the inventory that saw it, `chip` what our own operation has read of its chip.
    """

    epc: bytes
    antenna: int | None = None
    rssi: int | None = None
    first_seen_us: int | None = None
    count: int | None = None
    rospec: int | None = None
    chip: bytes | None = None


def tags(message: Message) -> tuple[Tag, ...]:
    """The tags that a RO_ACCESS_REPORT tells of, in its order; none in any other message."""
    if message.kind != Kind.RO_ACCESS_REPORT:
        return ()
    reports = (_tag(one.value) for one in having(message.body, Param.TAG_REPORT_DATA))
    return tuple(tag for tag in reports if tag is not None)


def _tag(report: bytes) -> Tag | None:
    told: dict[int, int] = {}
    epcs: list[bytes] = []
    chip: bytes | None = None
    for one in parameters(report) or ():
        if one.kind == Param.EPC_96:
            epcs.append(one.value)
        elif one.kind == Param.EPC_DATA:
            epcs.append(_of_bits(one.value))
        elif one.kind == Param.C1G2_READ_RESULT:
            chip = chip or _read(one.value)
        else:
            told.setdefault(one.kind, int.from_bytes(one.value, "big", signed=one.kind == Param.PEAK_RSSI))
    if len(epcs) != 1 or not is_epc(epcs[0]):
        return None
    return Tag(
        epcs[0],
        told.get(Param.ANTENNA_ID) or None,  # they are numbered from 1: with 0 a reader tells of none
        told.get(Param.PEAK_RSSI),
        told.get(Param.FIRST_SEEN_UTC),
        told.get(Param.TAG_SEEN_COUNT),
        told.get(Param.ROSPEC_ID),
        chip,
    )


def _read(value: bytes) -> bytes | None:
    """What our operation has read; None where it has not, and where another's has: result, operation, words, data."""
    result, operation, words, data = value[:1], uint(value[1:3]), uint(value[3:5]), value[5:]
    good = result == b"\0" and operation == OPERATION_ID and words * WORD_BYTES == len(data)
    return data if good and data else None


def _of_bits(value: bytes) -> bytes:
    """The EPC of an EPCData: a count of bits, and these; b"" where they are no whole bytes, or not as many."""
    bits, epc = uint(value[:2]), value[2:]
    return epc if bits == len(epc) * _BYTE_BITS else b""


@dataclass(frozen=True, slots=True)
class Status:
    """Whether the reader did as asked; `details` are where the fault is, from the outside inward."""

    code: int
    text: str = ""
    details: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The refusal in words for a technician: what is wrong, in which parameter, and what the reader says itself."""
        said = [_CODES.get(self.code, f"error {self.code}")]
        said += [f"in {', '.join(self.details)}"] if self.details else []
        said += [f'it says "{self.text}"'] if self.text else []
        return "; ".join(said)


def status(message: Message) -> Status | None:
    """The LLRPStatus of a response or an ERROR_MESSAGE; None where it has none that adds up."""
    fixed = FIXED_BYTES.get(message.kind, 0)
    value = next((one.value for one in having(message.body[fixed:], Param.LLRP_STATUS)), b"")
    end = _STATUS_HEAD_BYTES + uint(value[2:4])
    if len(value) < max(end, _STATUS_HEAD_BYTES):
        return None
    return Status(uint(value[:2]), shown(value[_STATUS_HEAD_BYTES:end]), tuple(_details(value[end:], _DEPTH_MAX)))


def _details(data: bytes, depth: int) -> Iterator[str]:
    for one in (parameters(data) or ()) if depth else ():
        number, code = uint(one.value[:2]), uint(one.value[2:4])
        words = _CODES.get(code, f"error {code}")
        if one.kind == Param.FIELD_ERROR:
            yield f"field {number} ({words})"
        elif one.kind == Param.PARAMETER_ERROR:
            yield f"{_NAMES.get(number, f'parameter {number}')} ({words})"
            yield from _details(one.value[4:], depth - 1)


@dataclass(frozen=True, slots=True)
class Event:
    """What a reader tells of itself: a connection, inventories by id, antennas and whether they are plugged in.

    `utc_us` is its clock, None where it has none; `complaint` what is wrong with it, in its own words.
    """

    attempt: int | None = None
    closing: bool = False
    rospecs: tuple[tuple[int, int], ...] = ()
    antennas: tuple[tuple[int, bool], ...] = ()
    utc_us: int | None = None
    complaint: str = ""


def event(message: Message) -> Event:
    """The events in a READER_EVENT_NOTIFICATION; an empty one in any other message."""
    if message.kind != Kind.READER_EVENT_NOTIFICATION:
        return Event()
    inside = b"".join(one.value for one in having(message.body, Param.READER_EVENT_NOTIFICATION_DATA)[:1])
    attempts = [uint(one.value[:2]) for one in having(inside, Param.CONNECTION_ATTEMPT_EVENT, 2)]
    return Event(
        attempts[0] if attempts else None,
        bool(having(inside, Param.CONNECTION_CLOSE_EVENT)),
        tuple((one.value[0], uint(one.value[1:5])) for one in having(inside, Param.ROSPEC_EVENT, 9)),
        tuple((uint(one.value[1:3]), one.value[0] != 0) for one in having(inside, Param.ANTENNA_EVENT, 3)),
        next((uint(one.value) for one in having(inside, Param.UTC_TIMESTAMP, 8)), 0) or None,
        "; ".join(_exception(one.value) for one in having(inside, Param.READER_EXCEPTION_EVENT, 2)),
    )


def _exception(value: bytes) -> str:
    """The words of a ReaderExceptionEvent: their length, and they."""
    return shown(value[2 : 2 + uint(value[:2])]) or "it does not say what"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How many antennas a reader has, 0 where it does not tell, and its power levels: index and dBm.

    `maker` is a number (IANA's of private enterprises), `model` the maker's own, `standard` that of the rules which it
    transmits by (LLRP 1.1, CommunicationsStandard); 0 where they are not told.
    """

    antennas: int = 0
    powers: tuple[tuple[int, float], ...] = ()
    maker: int = 0
    model: int = 0
    firmware: str = ""
    standard: int = 0


def capabilities(message: Message) -> Capabilities:
    """What a GET_READER_CAPABILITIES_RESPONSE tells."""
    general = having(message.body, Param.GENERAL_DEVICE_CAPABILITIES, 2)
    regulatory = having(message.body, Param.REGULATORY_CAPABILITIES, 4)  # country and standard stand in front
    bands = [band for one in regulatory for band in having(one.value[4:], Param.UHF_BAND_CAPABILITIES)]
    levels = [level.value for band in bands for level in having(band.value, Param.TRANSMIT_POWER_LEVEL, 4)]
    powers = tuple((uint(value[:2]), int.from_bytes(value[2:4], "big", signed=True) / 100) for value in levels)
    told = general[0].value if general else b""
    firmware = told[_FIRMWARE_AT : _FIRMWARE_AT + uint(told[_FIRMWARE_AT - 2 : _FIRMWARE_AT])]
    standard = uint(regulatory[0].value[2:4]) if regulatory else 0
    return Capabilities(uint(told[:2]), powers, uint(told[4:8]), uint(told[8:12]), shown(firmware), standard)


def shown(text: bytes) -> str:
    """A reader's own words, fit to be shown."""
    told = text.decode(errors="replace")
    return "".join(letter if letter.isprintable() else " " for letter in told)[:_TEXT_MAX].strip()


@dataclass(frozen=True, slots=True)
class Settings:
    """How a reader's antennas are: hop table and channel of each that told, and which are plugged in and which not.

    `levels` are their power levels, by index.
    """

    bands: dict[int, tuple[int, int]]
    plugged: dict[int, bool]
    levels: dict[int, int] = field(default_factory=dict)


def settings(message: Message) -> Settings:
    """What a GET_READER_CONFIG_RESPONSE tells of the antennas."""
    senders = {
        uint(one.value[:2]): tuple(uint(sender.value[at : at + 2]) for at in (0, 2, 4))
        for one in having(message.body, Param.ANTENNA_CONFIGURATION, 2)
        for sender in having(one.value[2:], Param.RF_TRANSMITTER, 6)
    }
    properties = having(message.body, Param.ANTENNA_PROPERTIES, 5)
    return Settings(
        {antenna: (table, channel) for antenna, (table, channel, _) in senders.items()},
        {uint(one.value[1:3]): bool(one.value[0] & _PLUGGED) for one in properties},
        {antenna: level for antenna, (_, _, level) in senders.items()},
    )
