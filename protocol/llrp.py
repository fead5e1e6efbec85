"""LLRP, the protocol of UHF readers on the network (EPCglobal LLRP 1.0.1, TCP port 5084): its messages.

    message   3 bits 0 | 3 bits version | 10 bits type | u32 length of all | u32 number | fixed fields | parameters …
    TLV       6 bits 0 | 10 bits type | u16 length of all | value       types from 128 on; it may hold parameters
    TV        1 bit 1 | 7 bits type | value                             its length goes by its type

- All numbers are big endian. There is neither a checksum nor an escape: that a message is one shows by a type that
  there is, a length that this type can have, and parameters that fill it to its end. `protocol.framer` says how it is
  found. The first parameters are looked at as they come, so that garbage which by chance is a head seldom holds up
  anything: only what by chance goes on like a message waits for its end, and only then is a good one lost to it.
- What a message begins with is laid down for most: a response with its status, a report with a tag's data. A maker's
  own parameter may stand there as well.
- A maker's own message says nothing of what is in it. It has a maker that there can be, and at most `MAKERS_MAX_BYTES`.
- Parameters that nobody here knows are skipped. A TV of an unknown type tells no length: what stands behind it in the
  same parameter is skipped with it.
- What readers say is in `protocol.llrp_replies`, what is asked of them in `protocol.llrp_requests`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocol.framer import Framer

MESSAGE_MAX_BYTES: Final = 64 * 1024
MAKERS_MAX_BYTES: Final = 4 * 1024  # none is asked for; what makers send unasked is far below
OPERATION_ID: Final = 26465
"""By this number our own reading of chips is known in reports."""
GAP_S: Final = 0.2  # a silence after which a message that claims more is doubted; TCP's own pauses do no harm

_HEADER_BYTES: Final = 10
_VERSIONS: Final = (1, 2, 3)  # 1.0.1, 1.1, 2.0
_VERSION: Final = 1
_TV: Final = 0x80
_TLV_HEADER_BYTES: Final = 4
_TLV_MIN: Final = 128
_TYPE_BYTES: Final = 2
_UINT_BYTES: Final = 4
_TYPE_MASK: Final = 0x03FF


class Kind(IntEnum):
    """The types of messages. A response is its request's type + 10, but for CLOSE_CONNECTION."""

    GET_READER_CAPABILITIES = 1
    GET_READER_CONFIG = 2
    SET_READER_CONFIG = 3
    CLOSE_CONNECTION_RESPONSE = 4
    GET_READER_CAPABILITIES_RESPONSE = 11
    GET_READER_CONFIG_RESPONSE = 12
    SET_READER_CONFIG_RESPONSE = 13
    CLOSE_CONNECTION = 14
    ADD_ROSPEC = 20
    DELETE_ROSPEC = 21
    START_ROSPEC = 22
    STOP_ROSPEC = 23
    ENABLE_ROSPEC = 24
    DISABLE_ROSPEC = 25
    GET_ROSPECS = 26
    ADD_ROSPEC_RESPONSE = 30
    DELETE_ROSPEC_RESPONSE = 31
    START_ROSPEC_RESPONSE = 32
    STOP_ROSPEC_RESPONSE = 33
    ENABLE_ROSPEC_RESPONSE = 34
    DISABLE_ROSPEC_RESPONSE = 35
    GET_ROSPECS_RESPONSE = 36
    ADD_ACCESSSPEC = 40
    DELETE_ACCESSSPEC = 41
    ENABLE_ACCESSSPEC = 42
    DISABLE_ACCESSSPEC = 43
    GET_ACCESSSPECS = 44
    CLIENT_REQUEST_OP = 45
    GET_SUPPORTED_VERSION = 46
    SET_PROTOCOL_VERSION = 47
    ADD_ACCESSSPEC_RESPONSE = 50
    DELETE_ACCESSSPEC_RESPONSE = 51
    ENABLE_ACCESSSPEC_RESPONSE = 52
    DISABLE_ACCESSSPEC_RESPONSE = 53
    GET_ACCESSSPECS_RESPONSE = 54
    CLIENT_REQUEST_OP_RESPONSE = 55
    GET_SUPPORTED_VERSION_RESPONSE = 56
    SET_PROTOCOL_VERSION_RESPONSE = 57
    GET_REPORT = 60
    RO_ACCESS_REPORT = 61
    KEEPALIVE = 62
    READER_EVENT_NOTIFICATION = 63
    ENABLE_EVENTS_AND_REPORTS = 64
    KEEPALIVE_ACK = 72
    ERROR_MESSAGE = 100
    CUSTOM_MESSAGE = 1023


_KINDS: Final = frozenset(Kind)
FIXED_BYTES: Final[dict[int, int]] = {  # in front of the parameters; 0 where not named
    Kind.GET_READER_CAPABILITIES: 1,
    Kind.GET_READER_CONFIG: 7,
    Kind.SET_READER_CONFIG: 1,
    **dict.fromkeys((Kind.DELETE_ROSPEC, Kind.START_ROSPEC, Kind.STOP_ROSPEC), 4),
    **dict.fromkeys((Kind.ENABLE_ROSPEC, Kind.DISABLE_ROSPEC), 4),
    **dict.fromkeys((Kind.DELETE_ACCESSSPEC, Kind.ENABLE_ACCESSSPEC, Kind.DISABLE_ACCESSSPEC), 4),
    Kind.SET_PROTOCOL_VERSION: 1,
    Kind.GET_SUPPORTED_VERSION_RESPONSE: 2,
}
_BARE: Final = frozenset(  # what has no parameters: fixed fields, and nothing else
    (
        *(Kind.CLOSE_CONNECTION, Kind.GET_ROSPECS, Kind.GET_ACCESSSPECS, Kind.GET_SUPPORTED_VERSION, Kind.GET_REPORT),
        *(Kind.KEEPALIVE, Kind.KEEPALIVE_ACK, Kind.ENABLE_EVENTS_AND_REPORTS, Kind.SET_PROTOCOL_VERSION),
        *(Kind.DELETE_ROSPEC, Kind.START_ROSPEC, Kind.STOP_ROSPEC, Kind.ENABLE_ROSPEC, Kind.DISABLE_ROSPEC),
        *(Kind.DELETE_ACCESSSPEC, Kind.ENABLE_ACCESSSPEC, Kind.DISABLE_ACCESSSPEC),
    )
)
_MAKERS_BYTES: Final = 5  # of a CUSTOM_MESSAGE: maker and subtype; what follows is the maker's affair
_MAKERS: Final = 1 << 17  # makers' numbers are IANA's enterprise numbers, of which there were 65,000 in 2025
_LOOKED_AT: Final = 8  # parameters of a message that has not come to its end


class Param(IntEnum):
    """The types of parameters that we read or write, and those that a message may begin with."""

    ANTENNA_ID = 1
    FIRST_SEEN_UTC = 2
    PEAK_RSSI = 6
    TAG_SEEN_COUNT = 8
    ROSPEC_ID = 9
    EPC_96 = 13
    UTC_TIMESTAMP = 128
    GENERAL_DEVICE_CAPABILITIES = 137
    REGULATORY_CAPABILITIES = 143
    UHF_BAND_CAPABILITIES = 144
    TRANSMIT_POWER_LEVEL = 145
    ROSPEC = 177
    RO_BOUNDARY_SPEC = 178
    ROSPEC_START_TRIGGER = 179
    ROSPEC_STOP_TRIGGER = 182
    AISPEC = 183
    AISPEC_STOP_TRIGGER = 184
    INVENTORY_PARAMETER_SPEC = 186
    ACCESSSPEC = 207
    ACCESSSPEC_STOP_TRIGGER = 208
    ACCESS_COMMAND = 209
    CLIENT_REQUEST_RESPONSE = 211
    KEEPALIVE_SPEC = 220
    ANTENNA_PROPERTIES = 221
    ANTENNA_CONFIGURATION = 222
    RF_TRANSMITTER = 224
    EVENTS_AND_REPORTS = 226
    RO_REPORT_SPEC = 237
    TAG_REPORT_CONTENT_SELECTOR = 238
    ACCESS_REPORT_SPEC = 239
    TAG_REPORT_DATA = 240
    EPC_DATA = 241
    RF_SURVEY_REPORT_DATA = 242
    READER_EVENT_NOTIFICATION_SPEC = 244
    EVENT_NOTIFICATION_STATE = 245
    READER_EVENT_NOTIFICATION_DATA = 246
    ROSPEC_EVENT = 249
    READER_EXCEPTION_EVENT = 252
    ANTENNA_EVENT = 255
    CONNECTION_ATTEMPT_EVENT = 256
    CONNECTION_CLOSE_EVENT = 257
    LLRP_STATUS = 287
    FIELD_ERROR = 288
    PARAMETER_ERROR = 289
    C1G2_INVENTORY_COMMAND = 330
    C1G2_SINGULATION_CONTROL = 336
    C1G2_TAG_SPEC = 338
    C1G2_TARGET_TAG = 339
    C1G2_READ = 341
    C1G2_READ_RESULT = 349
    CUSTOM = 1023


_FIRST: Final[dict[int, tuple[int, ...]]] = {  # what a message of 1.0.1 and 1.1 may begin with, where that is laid down
    **{kind: (Param.LLRP_STATUS, Param.CUSTOM) for kind in Kind if kind.name.endswith("_RESPONSE")},
    Kind.CLIENT_REQUEST_OP_RESPONSE: (Param.CLIENT_REQUEST_RESPONSE, Param.CUSTOM),
    Kind.CLIENT_REQUEST_OP: (Param.TAG_REPORT_DATA, Param.CUSTOM),
    Kind.RO_ACCESS_REPORT: (Param.TAG_REPORT_DATA, Param.RF_SURVEY_REPORT_DATA, Param.CUSTOM),
    Kind.READER_EVENT_NOTIFICATION: (Param.READER_EVENT_NOTIFICATION_DATA, Param.CUSTOM),
    Kind.ADD_ROSPEC: (Param.ROSPEC, Param.CUSTOM),
    Kind.ADD_ACCESSSPEC: (Param.ACCESSSPEC, Param.CUSTOM),
    Kind.ERROR_MESSAGE: (Param.LLRP_STATUS, Param.CUSTOM),
    Kind.SET_READER_CONFIG: (219, 220, 221, 222, 225, 226, 237, 239, 244, Param.CUSTOM),
    Kind.GET_READER_CAPABILITIES: (Param.CUSTOM,),
    Kind.GET_READER_CONFIG: (Param.CUSTOM,),
}
_LAID_DOWN: Final = (1, 2)
_TV_BYTES: Final = {  # of the values: LLRP 1.0.1, 16.2; 19 and 20 came with 1.1
    **dict.fromkeys((1, 7, 8, 10, 11, 12, 14, 15, 17, 19, 20), 2),
    **dict.fromkeys((2, 3, 4, 5), 8),
    **dict.fromkeys((9, 16, 18), 4),
    6: 1,
    13: 12,
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message, either way. `number` pairs an answer with its question."""

    kind: int
    number: int = 0
    body: bytes = b""
    version: int = _VERSION

    def to_bytes(self) -> bytes:
        """The message as it goes over the wire."""
        length = _HEADER_BYTES + len(self.body)
        return (
            (self.version << 10 | self.kind).to_bytes(2, "big")
            + length.to_bytes(4, "big")
            + self.number.to_bytes(4, "big")
            + self.body
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Message":
        """The message in bytes whose header has been checked."""
        word = uint(data[:2])
        return cls(word & _TYPE_MASK, uint(data[6:_HEADER_BYTES]), data[_HEADER_BYTES:], word >> 10)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `value` is what stands behind its header."""

    kind: int
    value: bytes

    def to_bytes(self) -> bytes:
        """The parameter as it goes over the wire."""
        if self.kind < _TLV_MIN:
            return bytes([_TV | self.kind]) + self.value
        length = _TLV_HEADER_BYTES + len(self.value)
        return self.kind.to_bytes(2, "big") + length.to_bytes(2, "big") + self.value


def parameters(data: bytes, *, tv: bool = True) -> tuple[Parameter, ...] | None:
    """The parameters that fill `data`, TVs among them where there may be any; None where they do not add up."""
    found: list[Parameter] = []
    at = 0
    while at < len(data):
        if data[at] & _TV:
            kind, head = data[at] & ~_TV, 1
            if not tv:
                return None
            if kind not in _TV_BYTES:
                break  # it tells no length
            end = at + head + _TV_BYTES[kind]
        else:
            kind, head = uint(data[at : at + 2]) & _TYPE_MASK, _TLV_HEADER_BYTES
            end = at + uint(data[at + 2 : at + head])
            if kind < _TLV_MIN or end < at + head:
                return None
        if end > len(data):
            return None
        found.append(Parameter(kind, data[at + head : end]))
        at = end
    return tuple(found)


def having(data: bytes, kind: int, least: int = 0) -> list[Parameter]:
    """The parameters of this type, those of at least so many bytes; none where all of `data` does not add up."""
    return [one for one in parameters(data) or () if one.kind == kind and len(one.value) >= least]


def uint(data: bytes | bytearray) -> int:
    """An unsigned number."""
    return int.from_bytes(data, "big")


class LlrpCodec(Framer[Message]):
    """Bytes of either side in, messages out."""

    def _length(self, start: int) -> int:
        head = self._buffer[start : start + _HEADER_BYTES]
        if head[0] >> 2 not in _VERSIONS:
            return 0
        if len(head) > 1 and uint(head[:2]) & _TYPE_MASK not in _KINDS:
            return 0
        if len(head) < _HEADER_BYTES:
            return _HEADER_BYTES
        kind, length = uint(head[:2]) & _TYPE_MASK, uint(head[2:6])
        longest = MAKERS_MAX_BYTES if kind == Kind.CUSTOM_MESSAGE else MESSAGE_MAX_BYTES
        least = _HEADER_BYTES + FIXED_BYTES.get(kind, 0)
        if not least <= length <= (least if kind in _BARE else longest):
            return 0
        return length if self._goes_on(start, kind, length) else 0

    def _goes_on(self, start: int, kind: int, length: int) -> bool:
        """Whether what has come behind a head can be what it tells of."""
        if kind == Kind.CUSTOM_MESSAGE:
            maker = self._buffer[start + _HEADER_BYTES : start + _HEADER_BYTES + _UINT_BYTES]
            return length >= _HEADER_BYTES + _MAKERS_BYTES and uint(maker.ljust(_UINT_BYTES, b"\0")) < _MAKERS
        at = _HEADER_BYTES + FIXED_BYTES.get(kind, 0)
        if not self._begins(start, kind, self._buffer[start + at : start + min(at + _TYPE_BYTES, length)]):
            return False
        for _ in range(_LOOKED_AT):
            head = self._buffer[start + at : start + min(at + _TLV_HEADER_BYTES, length)]
            if not head:
                return True
            size = uint(head[2:]) if len(head) == _TLV_HEADER_BYTES else _TLV_HEADER_BYTES
            short = len(head) > 1 and uint(head[:2]) < _TLV_MIN
            if head[0] & ~(_TYPE_MASK >> 8) or short or not _TLV_HEADER_BYTES <= size <= length - at:
                return False
            at += size
        return True

    def _begins(self, start: int, kind: int, first: bytearray) -> bool:
        """Whether the type of the first parameter is one that may stand there, as far as it has come."""
        allowed = _FIRST.get(kind) if self._buffer[start] >> 2 in _LAID_DOWN else None
        return allowed is None or len(first) < _TYPE_BYTES or uint(first) in allowed

    def _at(self, start: int, length: int) -> Message | None:
        message = Message.from_bytes(bytes(self._buffer[start : start + length]))
        if message.kind == Kind.CUSTOM_MESSAGE:
            return message if len(message.body) >= _MAKERS_BYTES else None
        fixed = FIXED_BYTES.get(message.kind, 0)
        whole = len(message.body) >= fixed and parameters(message.body[fixed:], tv=False) is not None
        return message if whole else None
