"""UHF tags: what an EPC Gen2 tag (ISO 18000-63) backscatters when it is inventoried.

    PC, 2 bytes | EPC, whole 16-bit words | StoredCRC, 2 bytes

- The five top bits of the PC word tell how many words the EPC has, 0 to 31.
- The StoredCRC is the tag's own, CRC-16/GENIBUS over PC and EPC (EPC Gen2 6.3.2.1.2.1; recomputed over the notices of
  three real tags in `tests/vectors/m100.json`).

The chip's own number stands in its TID bank (Tag Data Standard 16.2), written by its maker and fixed for ever:

    class, 8 bits: E2 | XTID, security, file: 1 bit each | maker, 9 bits | model, 12 bits | then, with XTID:
    header, 16 bits, its three top bits n: the serial number has 48 + 16 (n - 1) bits, none where n is 0 | serial number

- Here a TID is the first `TID_WORDS` words of that bank, or all of it where the chip says that it has less. That is the
  whole number of nearly all chips, with XTID and without, and what desktop readers show.
"""

from typing import Final

from protocol.checksum import crc16_genibus
from protocol.credential import Credential

PC_BYTES: Final = 2
CRC_BYTES: Final = 2
EPC_MAX_BYTES: Final = 62  # 31 words, all that a PC word can tell

TID_BANK: Final = 2
TID_WORDS: Final = 6
TID_SHORTER: Final = {6: 4, 4: 2}
"""How many words to ask for next of a chip that says that its bank has not as many."""

WORD_BYTES: Final = 2
_WORDS_SHIFT: Final = 3  # within the PC's first byte
_TID_WORDS_MIN: Final = 2
_CLASS: Final = 0xE2
_XTID: Final = 0x80
_SERIAL_SHIFT: Final = 5
_WORDS_BESIDE_SERIAL: Final = 5  # of a serial number that has n + 2 words itself, and three in front: 5 + n in all


def is_epc(data: bytes) -> bool:
    """Whether these bytes have a credential: whole words, at least one, as many as a tag can hold."""
    return 0 < len(data) <= EPC_MAX_BYTES and len(data) % WORD_BYTES == 0


def credential(epc: bytes) -> Credential:
    """The credential of an EPC: `epc:` and all its digits."""
    return Credential(f"epc:{epc.hex().upper()}")


def epc_bytes(pc: bytes) -> int:
    """How long the EPC is that the PC word tells of."""
    return (pc[0] >> _WORDS_SHIFT) * WORD_BYTES


def fits(pc: bytes, epc: bytes) -> bool:
    """Whether the PC word tells the length that the EPC has."""
    return epc_bytes(pc) == len(epc)


def pc_of(epc: bytes) -> bytes:
    """The PC word of a plain tag with this EPC: its length, and no other bit."""
    return bytes([len(epc) // WORD_BYTES << _WORDS_SHIFT, 0])


def stored_crc(pc: bytes, epc: bytes) -> bytes:
    """What the tag computes over both, as it sends it."""
    return crc16_genibus(pc + epc).to_bytes(CRC_BYTES, "big")


def tid(data: bytes) -> str | None:
    """The TID in what was read of the bank from its first word on; None where that is cut short.

    A number that is none by the standard is given as it was read: whatever chip shows it, it is not the one on a list.
    """
    words, rest = divmod(len(data), WORD_BYTES)
    if rest or not _TID_WORDS_MIN <= words <= TID_WORDS:
        return None
    if data[0] == _CLASS and data[1] & _XTID:
        serial = data[4] >> _SERIAL_SHIFT if words > _TID_WORDS_MIN else 1
        if serial and words < min(_WORDS_BESIDE_SERIAL + serial, TID_WORDS):
            return None
    return data.hex().upper()
