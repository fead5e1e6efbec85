"""The check sums of the frames we speak, each a function of bytes.

Codecs look for a frame at each byte of garbage, and garbage may come for as long as a line is broken. So all of the
polynomial 1021 have the standard library's CRC beneath them, which is far quicker than a loop here.
"""

from binascii import crc_hqx
from typing import Final

_CRC_START: Final = 0xFFFF
_FUJITSU_START: Final = 0x1D0F  # FFFF after two bytes of 0
_MODBUS: Final = 0xA001  # 8005, its bits the other way round
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def xor8(data: bytes) -> int:
    """All bytes exclusive-or'ed."""
    value = 0
    for byte in data:
        value ^= byte
    return value


def sum8(data: bytes) -> int:
    """The low byte of the sum of all bytes."""
    return sum(data) & 0xFF


def crc16_mcrf4xx(data: bytes) -> int:
    """CRC-16/MCRF4XX: reflected, begins at FFFF, ends as it is; 0 over data with its CRC behind, low byte first."""
    crc = crc_hqx(data.translate(_MIRRORED), _CRC_START)  # 1021 once more, its bits the other way round
    return _MIRRORED[crc & 0xFF] << 8 | _MIRRORED[crc >> 8]


def crc16_genibus(data: bytes) -> int:
    """CRC-16/GENIBUS: high bit first, begins at FFFF, ends inverted; as tags of EPC Gen2 have it, high byte first."""
    return crc_hqx(data, _CRC_START) ^ 0xFFFF


def crc16_spi_fujitsu(data: bytes) -> int:
    """CRC-16/SPI-FUJITSU: high bit first, begins at 1D0F, ends as it is; as OSDP has it, low byte first."""
    return crc_hqx(data, _FUJITSU_START)


def crc16_x25(data: bytes) -> int:
    """CRC-16/X-25: as MCRF4XX, but it ends inverted."""
    return crc16_mcrf4xx(data) ^ 0xFFFF


def crc16_modbus(data: bytes) -> int:
    """CRC-16/MODBUS: reflected, begins at FFFF, ends as it is; 0 over data with its CRC behind, low byte first."""
    crc = _CRC_START
    for byte in data:
        crc = (crc >> 8) ^ _OF_MODBUS[(crc ^ byte) & 0xFF]
    return crc


def _of_modbus() -> tuple[int, ...]:
    """The CRC of each single byte, so that a frame costs one step a byte and not eight."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_MODBUS if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_OF_MODBUS: Final = _of_modbus()
