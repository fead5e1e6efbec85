"""NDEF: records come back as they were written, and whatever is no message is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ndef import EXTERNAL, MESSAGE_MAX_BYTES, WELL_KNOWN, NdefError, Record, encode, parse

records = st.lists(
    st.builds(
        Record,
        st.integers(1, 5),
        st.binary(max_size=10),
        st.one_of(st.binary(max_size=10), st.binary(min_size=254, max_size=257)),
        st.binary(max_size=4),
    ),
    min_size=1,
    max_size=3,
)


def test_known_messages() -> None:
    """A link as every phone writes it, and an empty tag."""
    assert parse(bytes.fromhex("d1010c55016578616d706c652e636f6d")) == [
        Record(WELL_KNOWN, b"U", b"\x01example.com"),
    ]
    assert parse(bytes.fromhex("d00000")) == [Record(0, b"", b"")]


@given(records)
def test_records_come_back(written: list[Record]) -> None:
    """Short and long, with and without an id."""
    assert parse(encode(written)) == written


@given(
    st.one_of(st.binary(max_size=40), records.map(encode), st.builds(bytes.__add__, records.map(encode), st.binary()))
)
def test_any_bytes(data: bytes) -> None:
    """Any bytes: the one error, or records."""
    try:
        assert parse(data)
    except NdefError:
        return


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "breaks off"),
        ("d1", "breaks off"),
        ("d1010c55", "breaks off"),
        ("c101ffffffff55", "breaks off"),
        ("51010055", "begins"),
        ("91010055" + "91010055", "begins"),
        ("91010055", "behind the last"),
        ("d1010055" + "00", "behind the last"),
        ("f1010055", "chunks"),
        ("b1010055" + "560000", "chunks"),
        ("d6010055", "no kind 6"),
        ("d7010055", "no kind 7"),
        ("d0010055", "not empty"),
        ("00" * (MESSAGE_MAX_BYTES + 1), "at most"),
    ],
)
def test_refused(data: str, why: str) -> None:
    """What breaks off, stands behind, is in chunks, or of a kind that is none."""
    with pytest.raises(NdefError, match=why):
        parse(bytes.fromhex(data))


@pytest.mark.parametrize("written", [[], [Record(EXTERNAL, b"a", bytes(MESSAGE_MAX_BYTES))]])
def test_not_written(written: list[Record]) -> None:
    """No record, or more than is read."""
    with pytest.raises(NdefError):
        encode(written)
