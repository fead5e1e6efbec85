"""The check sums against their published check values."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.checksum import crc16_genibus, crc16_mcrf4xx, crc16_modbus, crc16_spi_fujitsu, crc16_x25, sum8, xor8

CHECK = b"123456789"


def test_published_check_values() -> None:
    """The values of the CRC catalogue and of a calculator."""
    assert crc16_mcrf4xx(CHECK) == 0x6F91
    assert crc16_genibus(CHECK) == 0xD64E
    assert crc16_spi_fujitsu(CHECK) == 0xE5CC
    assert crc16_x25(CHECK) == 0x906E
    assert crc16_modbus(CHECK) == 0x4B37
    assert sum8(CHECK) == 0xDD
    assert xor8(CHECK) == 0x31


@given(st.binary())
def test_a_crc_over_its_own_data_is_zero(data: bytes) -> None:
    """Data with its CRC behind, low byte first, checks to 0."""
    assert crc16_mcrf4xx(data + crc16_mcrf4xx(data).to_bytes(2, "little")) == 0
