"""NDEF (NFC Forum, NFC Data Exchange Format 1.0): the one message that a tag holds, as records.

Short and long records, with or without an id. A record in chunks is refused: nobody writes cards so, and what was cut
could be joined in many ways.
"""

from dataclasses import dataclass
from typing import Final

MESSAGE_MAX_BYTES: Final = 1024
"""Beyond the largest tag of its kind (NTAG216, 888 bytes)."""

WELL_KNOWN: Final = 1
EXTERNAL: Final = 4

_BEGIN: Final = 0b1000_0000
_END: Final = 0b0100_0000
_CHUNK: Final = 0b0010_0000
_SHORT: Final = 0b0001_0000
_ID: Final = 0b0000_1000
_TNF: Final = 0b0000_0111
_SHORT_MAX: Final = 255
_EMPTY_TNF: Final = 0
_UNKNOWN_TNF: Final = 5
_TNF_MAX: Final = 5


class NdefError(ValueError):
    """The bytes are no NDEF message that is read here; the message says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: whose names its `type` is from (`tnf`), and what it holds."""

    tnf: int
    type: bytes
    payload: bytes
    id: bytes = b""


def parse(data: bytes) -> list[Record]:
    """The records of the message. Raises NdefError, and nothing else, whatever the bytes are."""
    if len(data) > MESSAGE_MAX_BYTES:
        raise NdefError(f"{len(data)} bytes; at most {MESSAGE_MAX_BYTES} are read")
    records: list[Record] = []
    at = 0
    while not records or at < len(data):
        flags = _piece(data, at, 1)[0]
        if bool(flags & _BEGIN) is bool(records):
            raise NdefError("a message begins where none can, or not where it should")
        record, at = _record(data, at, flags)
        records.append(record)
        if bool(flags & _END) is not (at == len(data)):
            raise NdefError("bytes stand behind the last record, or it breaks off")
    return records


def encode(records: list[Record]) -> bytes:
    """The message of these records, at least one. Raises NdefError where it would be too long to be read."""
    data = b""
    for number, record in enumerate(records):
        short = len(record.payload) <= _SHORT_MAX
        flags = record.tnf | (_SHORT if short else 0) | (_ID if record.id else 0)
        flags |= (_BEGIN if number == 0 else 0) | (_END if number == len(records) - 1 else 0)
        data += bytes([flags, len(record.type)]) + len(record.payload).to_bytes(1 if short else 4)
        data += (bytes([len(record.id)]) if record.id else b"") + record.type + record.id + record.payload
    if not 0 < len(data) <= MESSAGE_MAX_BYTES:
        raise NdefError(f"{len(data)} bytes; 1 to {MESSAGE_MAX_BYTES} would be right")
    return data


def _record(data: bytes, at: int, flags: int) -> tuple[Record, int]:
    if flags & _CHUNK:
        raise NdefError("a record is in chunks")
    tnf = flags & _TNF
    if tnf > _TNF_MAX:  # 6 is what follows in chunks, 7 is reserved
        raise NdefError(f"there is no kind {tnf} of records")
    sizes = (1, 1 if flags & _SHORT else 4, 1 if flags & _ID else 0)
    at += 1
    lengths: list[int] = []
    for size in sizes:
        lengths.append(int.from_bytes(_piece(data, at, size)))
        at += size
    of_type, of_payload, of_id = lengths
    if tnf == _EMPTY_TNF and any(lengths):
        raise NdefError("an empty record is not empty")
    if bool(of_type) is (tnf in (_EMPTY_TNF, _UNKNOWN_TNF)):  # NDEF 1.0, 3.2.6
        raise NdefError(f"a record of kind {tnf} has a type, or has none")
    fields: list[bytes] = []
    for length in (of_type, of_id, of_payload):
        fields.append(_piece(data, at, length))
        at += length
    return Record(tnf, fields[0], fields[2], fields[1]), at


def _piece(data: bytes, at: int, count: int) -> bytes:
    piece = data[at : at + count]
    if len(piece) < count:
        raise NdefError("it breaks off")
    return piece
