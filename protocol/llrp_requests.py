"""What is asked of an LLRP reader: settings, and an inventory that reports each tag at once.

- The inventory has an id of its own, so that what other programs have left on the reader is neither ours nor touched.
- It begins when it is told to and ends when it is deleted; the reader repeats it without a pause. Each single tag is a
  report, with antenna, signal, when it was first seen and how often.
- Chips are read for the reports of our inventory alone: six words of the TID bank of each tag, each time it is seen.
- Hop table and channel of an antenna are said again as the reader has them: it wants them beside the power, and which
  are right depends on its region.
"""

from dataclasses import dataclass
from typing import Final

from protocol.gen2 import TID_BANK, TID_WORDS
from protocol.llrp import OPERATION_ID, Kind, Message, Param, Parameter

ROSPEC_ID: Final = 26465
ACCESSSPEC_ID: Final = 26465
ALL_ANTENNAS: Final = 0

_C1G2: Final = 1
_INVENTORY_ID: Final = 1
_NULL: Final = b"\0"
_NO_TIME: Final = bytes(4)
_PERIODIC: Final = b"\1"
_TAGS_AT_ONCE: Final = 8  # what the reader may reckon with in the field of a gate
_TRANSIT: Final = bytes(4)
_SESSION_SHIFT: Final = 6
_UPON_N_TAGS: Final = b"\2"  # or at the end of the ROSpec
_CONTENT: Final = 0x8000 | 0x1000 | 0x0400 | 0x0200 | 0x0080  # inventory, antenna, peak RSSI, first seen, count
_NO_COUNT: Final = b"\0\0"  # as long as it is enabled
_ANY_TAG: Final = b"\x60"  # the EPC bank, and it is to match: an empty mask
_BANK_SHIFT: Final = 6
_ROSPEC_EVENTS: Final = 2
_ANTENNA_EVENTS: Final = 8
_ON: Final = b"\x80"


@dataclass(frozen=True, slots=True)
class Antenna:
    """How one antenna reads. `power` is hop table, channel and index of the power level; None leaves it as it is."""

    number: int
    session: int
    power: tuple[int, int, int] | None = None


def get_capabilities() -> Message:
    """Ask for all that the reader can do."""
    return Message(Kind.GET_READER_CAPABILITIES, body=b"\0")


def get_config() -> Message:
    """Ask how the reader is set: everything, of all antennas."""
    return Message(Kind.GET_READER_CONFIG, body=bytes(7))


def set_config(keepalive_ms: int) -> Message:
    """Keepalives with this period, word of inventories and antennas, and nothing held back when somebody connects."""
    told = (_ROSPEC_EVENTS, _ANTENNA_EVENTS)
    states = [_tlv(Param.EVENT_NOTIFICATION_STATE, _u16(kind), _ON) for kind in told]
    return Message(
        Kind.SET_READER_CONFIG,
        body=b"\0"
        + _tlv(Param.READER_EVENT_NOTIFICATION_SPEC, *states)
        + _tlv(Param.KEEPALIVE_SPEC, _PERIODIC, keepalive_ms.to_bytes(4, "big"))
        + _tlv(Param.EVENTS_AND_REPORTS, _NULL),
    )


def add_rospec(antennas: tuple[Antenna, ...]) -> Message:
    """Put our inventory on the reader, with these antennas. It does not run yet."""
    inventory = _tlv(
        Param.INVENTORY_PARAMETER_SPEC, _u16(_INVENTORY_ID), bytes([_C1G2]), *(_configuration(one) for one in antennas)
    )
    return Message(
        Kind.ADD_ROSPEC,
        body=_tlv(
            Param.ROSPEC,
            ROSPEC_ID.to_bytes(4, "big"),
            b"\0\0",  # priority, and disabled
            _tlv(
                Param.RO_BOUNDARY_SPEC,
                _tlv(Param.ROSPEC_START_TRIGGER, _NULL),
                _tlv(Param.ROSPEC_STOP_TRIGGER, _NULL, _NO_TIME),
            ),
            _tlv(
                Param.AISPEC,
                _u16(len(antennas)),
                *(_u16(one.number) for one in antennas),
                _tlv(Param.AISPEC_STOP_TRIGGER, _NULL, _NO_TIME),
                inventory,
            ),
            _tlv(
                Param.RO_REPORT_SPEC,
                _UPON_N_TAGS,
                _u16(1),
                _tlv(Param.TAG_REPORT_CONTENT_SELECTOR, _u16(_CONTENT)),
            ),
        ),
    )


def add_accessspec() -> Message:
    """Have the chip of each tag read that our inventory sees, at all antennas. It does not run yet."""
    target = _tlv(Param.C1G2_TARGET_TAG, _ANY_TAG, *(_u16(number) for number in (0, 0, 0)))
    read = _tlv(
        Param.C1G2_READ,
        _u16(OPERATION_ID),
        bytes(4),  # no password
        bytes([TID_BANK << _BANK_SHIFT]),
        _u16(0),
        _u16(TID_WORDS),
    )
    return Message(
        Kind.ADD_ACCESSSPEC,
        body=_tlv(
            Param.ACCESSSPEC,
            ACCESSSPEC_ID.to_bytes(4, "big"),
            _u16(ALL_ANTENNAS),
            bytes([_C1G2]),
            _NULL,  # disabled
            ROSPEC_ID.to_bytes(4, "big"),
            _tlv(Param.ACCESSSPEC_STOP_TRIGGER, _NULL, _NO_COUNT),
            _tlv(Param.ACCESS_COMMAND, _tlv(Param.C1G2_TAG_SPEC, target), read),
            _tlv(Param.ACCESS_REPORT_SPEC, _NULL),  # with the inventory's own reports
        ),
    )


def of_accessspec(kind: Kind) -> Message:
    """Delete or enable our reading of chips."""
    return Message(kind, body=ACCESSSPEC_ID.to_bytes(4, "big"))


def of_rospec(kind: Kind) -> Message:
    """Delete, enable or start our inventory."""
    return Message(kind, body=ROSPEC_ID.to_bytes(4, "big"))


def _configuration(antenna: Antenna) -> bytes:
    sender = b""
    if antenna.power is not None:
        sender = _tlv(Param.RF_TRANSMITTER, *(_u16(number) for number in antenna.power))
    session = bytes([antenna.session << _SESSION_SHIFT])
    singulation = _tlv(Param.C1G2_SINGULATION_CONTROL, session, _u16(_TAGS_AT_ONCE), _TRANSIT)
    command = _tlv(Param.C1G2_INVENTORY_COMMAND, _NULL, singulation)
    return _tlv(Param.ANTENNA_CONFIGURATION, _u16(antenna.number), sender, command)


def _tlv(kind: int, *values: bytes) -> bytes:
    return Parameter(kind, b"".join(values)).to_bytes()


def _u16(number: int) -> bytes:
    return number.to_bytes(2, "big")
