"""Blobs: pieces, and compression that nobody can abuse."""

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from protocol import blob
from protocol.blob import PIECE_BYTES, BlobError


@given(st.binary(min_size=1, max_size=3 * PIECE_BYTES))
def test_pieces_are_the_blob(data: bytes) -> None:
    """Joined they give it back, each as long as its number says."""
    pieces = blob.pieces(data)
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces] == [blob.piece_bytes(len(data), n) for n in range(len(pieces))]


def test_an_empty_blob_cannot_be_published() -> None:
    """A retained message without content would be no message."""
    with pytest.raises(BlobError):
        blob.pieces(b"")


def test_a_piece_that_is_not_there_has_no_length() -> None:
    """Neither before the first nor behind the last."""
    for piece in (-1, 2):
        with pytest.raises(BlobError):
            blob.piece_bytes(PIECE_BYTES + 1, piece)


@given(st.binary(max_size=200_000), st.integers(min_value=1, max_value=5000))
def test_what_is_compressed_comes_back_however_it_is_cut(data: bytes, step: int) -> None:
    """In whatever chunks it arrives."""
    packed = blob.compress([data])
    chunks = [packed[start : start + step] for start in range(0, len(packed), step)]
    assert b"".join(blob.decompress(chunks, len(data))) == data


def test_endless_data_is_cut_off() -> None:
    """A gigabyte in a few kilobytes is read no further than was announced."""
    bomb = blob.compress(bytes(1024 * 1024) for _ in range(64))
    assert len(bomb) < 20_000
    read: list[int] = []
    with pytest.raises(BlobError, match="longer than the 1000000 bytes"):
        read.extend(map(len, blob.decompress([bomb], 1_000_000)))
    assert sum(read) <= 1_000_000


def test_a_frame_that_wants_much_memory_is_refused() -> None:
    """Its window is bounded, whatever it says of itself."""
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    packer = zstd.ZstdCompressor(options=options)
    greedy = packer.compress(bytes(range(256)) * 40_000) + packer.flush()
    with pytest.raises(BlobError, match="not compressed data"):
        list(blob.decompress([greedy], 100_000_000))


@pytest.mark.parametrize("change", ["cut", "more", "flipped", "none", "twice"])
def test_damaged_data_is_refused(change: str) -> None:
    """Cut short, with something behind it, with another byte, empty, or two frames."""
    packed = blob.compress([b"x" * 10_000 + b"y"])
    damaged = {
        "cut": packed[:-1],
        "more": packed + b"z",
        "flipped": b"\x00" + packed[1:],
        "none": b"",
        "twice": packed + packed,
    }[change]
    with pytest.raises(BlobError):
        list(blob.decompress([damaged], 1_000_000))


def test_lines_are_cut_where_they_end() -> None:
    """Across chunks; too long a one and one without an end are refused."""
    assert list(blob.lines([b"a\nb", b"c\n", b"\n"], 10)) == [b"a", b"bc", b""]
    with pytest.raises(BlobError, match="no end"):
        list(blob.lines([b"a\nb"], 10))
    with pytest.raises(BlobError, match="longer than"):
        list(blob.lines([b"a" * 6, b"a" * 6], 10))
    with pytest.raises(BlobError, match="11 bytes"):
        list(blob.lines([b"a" * 11 + b"\n"], 10))


@pytest.mark.parametrize("cut", [0, 1, 7, None])
def test_an_empty_chunk_says_nothing(cut: int | None) -> None:
    """Before the data, within it and behind its end."""
    packed = blob.compress([b"line\n"])
    assert b"".join(blob.decompress([packed[:cut], b"", packed[len(packed[:cut]) :], b""], 100)) == b"line\n"
    with pytest.raises(BlobError, match="follows"):
        list(blob.decompress([packed, b"", b"x"], 100))
