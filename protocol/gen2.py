"""UHF tags: what an EPC Gen2 tag (ISO 18000-63) backscatters when it is inventoried.

    PC, 2 bytes | EPC, whole 16-bit words | StoredCRC, 2 bytes

- The five top bits of the PC word tell how many words the EPC has, 0 to 31.
- The StoredCRC is the tag's own, CRC-16/GENIBUS over PC and EPC (EPC Gen2 6.3.2.1.2.1; recomputed over the notices of
  three real tags in `tests/vectors/m100.json`).
"""

from typing import Final

from protocol.checksum import crc16_genibus
from protocol.credential import Credential

PC_BYTES: Final = 2
CRC_BYTES: Final = 2
EPC_MAX_BYTES: Final = 62  # 31 words, all that a PC word can tell

_WORD_BYTES: Final = 2
_WORDS_SHIFT: Final = 3  # within the PC's first byte


def is_epc(data: bytes) -> bool:
    """Whether these bytes have a credential: whole words, at least one, as many as a tag can hold."""
    return 0 < len(data) <= EPC_MAX_BYTES and len(data) % _WORD_BYTES == 0


def credential(epc: bytes) -> Credential:
    """The credential of an EPC: `epc:` and all its digits."""
    return Credential(f"epc:{epc.hex().upper()}")


def fits(pc: bytes, epc: bytes) -> bool:
    """Whether the PC word tells the length that the EPC has."""
    return (pc[0] >> _WORDS_SHIFT) * _WORD_BYTES == len(epc)


def pc_of(epc: bytes) -> bytes:
    """The PC word of a plain tag with this EPC: its length, and no other bit."""
    return bytes([len(epc) // _WORD_BYTES << _WORDS_SHIFT, 0])


def stored_crc(pc: bytes, epc: bytes) -> bytes:
    """What the tag computes over both, as it sends it."""
    return crc16_genibus(pc + epc).to_bytes(CRC_BYTES, "big")
