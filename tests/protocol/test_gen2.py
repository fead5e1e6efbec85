"""What a chip's own number is."""

import pytest

from protocol.gen2 import tid
from protocol.whitelist import parse


@pytest.mark.parametrize(
    "read",
    [
        "E280110C2000334635A80000",  # XTID, 48 bits of serial number
        "E2003412013EFD0003E17DC3",  # without XTID
        "E200600312345678",  # a bank of four words
        "E2001234",  # a model, and no number
        "E28011600000AAAABBBBCCCC",  # XTID that tells of no serial number
        "E28011608000AAAABBBBCCCC",  # a longer one: its first words
        "E004010012345678",  # of another class
        "000000000000000000000000",  # none at all: whatever it is, it is not the one on the list
    ],
)
def test_a_tid_is_written_as_the_list_writes_it(read: str) -> None:
    """Six words at most, upper-case hex; what is not by the standard is given as it was read."""
    assert tid(bytes.fromhex(read)) == read
    assert parse(f'{{"c":"epc:E2003412","h":"h1","tid":"{read}"}}').tid == read


@pytest.mark.parametrize(
    "read",
    [
        "",
        "E280",
        "E28011",
        "E2801160",  # with XTID the number is longer than that
        "E28011602000AAAA",  # cut short of the serial number that it tells of
        "E280110C2000334635A800",  # no whole words
        "E280110C2000334635A800001234",  # more than was asked for
    ],
)
def test_half_a_tid_is_none(read: str) -> None:
    """It would be another one's."""
    assert tid(bytes.fromhex(read)) is None
