"""NDEF: records come back as they were written, and whatever is no message is refused."""

import ndef  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ndef import EXTERNAL, MESSAGE_MAX_BYTES, WELL_KNOWN, NdefError, Record, encode, parse

names = st.text("azAZ09:.-", max_size=4).map(str.encode)
payloads = st.one_of(st.binary(max_size=10), st.binary(min_size=254, max_size=257))
records = st.lists(
    st.one_of(
        st.just(Record(0, b"", b"")),
        st.builds(Record, st.sampled_from([WELL_KNOWN, EXTERNAL]), names.filter(bool), payloads, names),
        st.builds(Record, st.just(5), st.just(b""), payloads, names),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        ("d1010c55016578616d706c652e636f6d", [Record(WELL_KNOWN, b"U", b"\x01example.com")]),
        ("d101075402656e41424344", [Record(WELL_KNOWN, b"T", b"\x02enABCD")]),
        ("d00000", [Record(0, b"", b"")]),
        ("c00000000000", [Record(0, b"", b"")]),
        ("900000 100000 500000", [Record(0, b"", b"")] * 3),
        ("d90107025869647061796c6f6164", [Record(WELL_KNOWN, b"X", b"payload", b"id")]),
        ("c90100000100025869 64" + "70" * 256, [Record(WELL_KNOWN, b"X", b"p" * 256, b"id")]),
        ("d50001ff", [Record(5, b"", b"\xff")]),
        ("c10100000003540265 6e", [Record(WELL_KNOWN, b"T", b"\x02en")]),
        ("d20a02 746578742f706c61696e 6869", [Record(2, b"text/plain", b"hi")]),
        ("d30a00 687474703a2f2f612f62", [Record(3, b"http://a/b", b"")]),
        ("d9010000 58", [Record(WELL_KNOWN, b"X", b"")]),
    ],
)
def test_known_messages(data: str, meant: list[Record]) -> None:
    """Links and texts as phones write them, empty ones, short ones in the long form, and several records."""
    assert parse(bytes.fromhex(data)) == meant


@given(records)
def test_another_library_reads_the_same(written: list[Record]) -> None:
    """What is written is a message by the strict rules of ndeflib as well."""
    read = ndef.message_decoder(encode(written), errors="strict", known_types={})
    assert [(bytes(one.data), one.name.encode()) for one in read] == [(one.payload, one.id) for one in written]


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
        ("d800000155", "not empty"),
        ("d1000155", "has a type"),
        ("d501000058", "has a type"),
        ("950000 960000 560000", "begins"),
        ("950000 150000 150000", "behind the last"),
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
