"""CBOR (RFC 8949), as much of it as signed cards need: deterministic encoding (section 4.2.1) only, and bounded.

- Read are integers of 64 bits, byte strings, UTF-8 text, arrays, maps, tags, true, false, null and floats, all of a
  definite length, each in its shortest writing. A map's keys are integers, text or bytes, in the order of their bytes.
- So each value has one writing and each writing one value: `encode(decode(data)) == data`.
- At most `ITEM_MAX_BYTES`, nested `DEPTH_MAX` deep: what anybody may hold to a reader costs nothing worth naming.

Arrays are tuples, so that what was read cannot change.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

ITEM_MAX_BYTES: Final = 4096
DEPTH_MAX: Final = 8

Key: TypeAlias = "int | str | bytes"
Value: TypeAlias = "int | float | bytes | str | bool | tuple[Value, ...] | Mapping[Key, Value] | Tagged | None"

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_CONSTANTS: Final[dict[int, bool | None]] = {20: False, 21: True, 22: None}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_NAN: Final = bytes.fromhex("f97e00")
_ONE_BYTE: Final = 24
_LONGEST: Final = 27


class CborError(ValueError):
    """The bytes are no CBOR that is read here, or the value none that is written; the message says why."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value under a tag."""

    tag: int
    value: "Value"


def decode(data: bytes) -> Value:
    """The one value that the bytes are. Raises CborError, and nothing else, whatever they are."""
    if len(data) > ITEM_MAX_BYTES:
        raise CborError(f"{len(data)} bytes; at most {ITEM_MAX_BYTES} are read")
    reader = _Reader(data)
    value = reader.value(DEPTH_MAX)
    if reader.at != len(data):
        raise CborError(f"{len(data) - reader.at} bytes stand behind the value")
    return value


def encode(value: Value) -> bytes:
    """The value's one writing. Raises CborError for what has none."""
    match value:
        case bool() | None:
            code = next(code for code, constant in _CONSTANTS.items() if constant is value)
            data = _head(_SIMPLE, code)
        case int():
            data = _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case float():
            data = _float(value)
        case bytes():
            data = _head(_BYTES, len(value)) + value
        case str():
            data = _text(value)
        case tuple():
            data = _head(_ARRAY, len(value)) + b"".join(map(encode, value))
        case Tagged():
            data = _head(_TAG, value.tag) + encode(value.value)
        case _:
            pairs = sorted((encode(key), encode(inner)) for key, inner in value.items())
            data = _head(_MAP, len(pairs)) + b"".join(key + inner for key, inner in pairs)
    return data


class _Reader:
    """Reads values one after the other; `at` is how far it has come."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data

    def value(self, depth: int) -> Value:
        """The next value, nested at most `depth` deep."""
        if depth == 0:
            raise CborError(f"nested more than {DEPTH_MAX} deep")
        start = self.at
        major, info = divmod(self._take(1)[0], 32)
        if major == _SIMPLE:
            return self._simple(info, start)
        number = self._number(info)
        value: Value = number
        match major:
            case 1:
                value = -1 - number
            case 2:
                value = self._take(number)
            case 3:
                value = self._text(number)
            case 4:
                value = tuple(self.value(depth - 1) for _ in range(number))
            case 5:
                value = self._map(number, depth - 1)
            case 6:
                value = Tagged(number, self.value(depth - 1))
        return value

    def _take(self, count: int) -> bytes:
        piece = self._data[self.at : self.at + count]
        if len(piece) < count:
            raise CborError("it breaks off")
        self.at += count
        return piece

    def _number(self, info: int) -> int:
        if info < _ONE_BYTE:
            return info
        if info > _LONGEST:
            raise CborError("a length that is not told beforehand is not read")
        size = 1 << (info - _ONE_BYTE)
        number = int.from_bytes(self._take(size))
        if number < (_ONE_BYTE if size == 1 else 1 << (size * 4)):
            raise CborError("a number is written longer than it need be")
        return number

    def _simple(self, info: int, start: int) -> Value:
        if info in _CONSTANTS:
            return _CONSTANTS[info]
        if info not in _FLOATS:
            raise CborError("a simple value that is not known")
        number: float = struct.unpack(_FLOATS[info], self._take(1 << (info - _ONE_BYTE)))[0]
        if _float(number) != self._data[start : self.at]:
            raise CborError("a float is written longer than it need be")
        return number

    def _text(self, count: int) -> str:
        try:
            return self._take(count).decode()
        except UnicodeDecodeError as error:
            raise CborError("a text is no UTF-8") from error

    def _map(self, count: int, depth: int) -> Mapping[Key, Value]:
        values: dict[Key, Value] = {}
        before = b""
        for _ in range(count):
            start = self.at
            key = self.value(depth)
            if isinstance(key, bool) or not isinstance(key, int | str | bytes):
                raise CborError("a map's key is neither a number, nor text, nor bytes")
            written = self._data[start : self.at]
            if written <= before:
                raise CborError("a map's keys are not in order, or one is there twice")
            before = written
            values[key] = self.value(depth)
        return values


def _text(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise CborError("a text is no Unicode") from error
    return _head(_TEXT, len(data)) + data


def _head(major: int, number: int) -> bytes:
    if number < _ONE_BYTE:
        return bytes([major << 5 | number])
    size = 1
    while number >= 1 << (size * 8):
        size *= 2
    if size > 1 << (_LONGEST - _ONE_BYTE):
        raise CborError(f"{number} has more than 64 bits")
    return bytes([major << 5 | _ONE_BYTE + size.bit_length() - 1]) + number.to_bytes(size)


def _float(number: float) -> bytes:
    """The shortest writing that keeps the value; there is one not-a-number."""
    if math.isnan(number):
        return _NAN
    for info, layout in _FLOATS.items():
        try:
            written = struct.pack(layout, number)
        except OverflowError:
            continue
        if struct.unpack(layout, written)[0] == number:
            return bytes([_SIMPLE << 5 | info]) + written
    raise AssertionError(number)  # a double always fits
