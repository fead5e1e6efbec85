"""Blobs: what the whitelist repository publishes, in pieces that any broker carries, compressed with zstd.

A blob's name is its sha256. Its pieces are `PIECE_BYTES` long, the last one what remains; none is empty, nor is a blob.
Nobody who reads one trusts its sender with memory: `decompress` stops at the length it is given and at a window of
`_WINDOW_LOG`, whatever the data says of itself.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from backports import zstd

PIECE_BYTES: Final = 64 * 1024
_LEVEL: Final = 12
_WINDOW_LOG: Final = 23
"""8 MiB: the most that a decoder needs beside its own few hundred kB."""
_CHUNK_BYTES: Final = 64 * 1024


class BlobError(ValueError):
    """The data is no such blob; the message says why."""


def sha256(data: bytes) -> str:
    """A blob's name."""
    return hashlib.sha256(data).hexdigest()


def piece_count(length: int) -> int:
    """How many pieces a blob of this length has."""
    return max(1, -(-length // PIECE_BYTES))


def piece_bytes(length: int, piece: int) -> int:
    """How long one piece of a blob of this length is. Raises BlobError for one that it has not."""
    if not 0 <= piece < piece_count(length):
        raise BlobError(f"a blob of {length} bytes has no piece {piece}")
    return min(PIECE_BYTES, length - piece * PIECE_BYTES)


def pieces(data: bytes) -> list[bytes]:
    """The blob in pieces. Raises BlobError for an empty one: a retained message without content is none."""
    if not data:
        raise BlobError("a blob cannot be empty")
    return [data[n * PIECE_BYTES : (n + 1) * PIECE_BYTES] for n in range(piece_count(len(data)))]


def compress(chunks: Iterable[bytes]) -> bytes:
    """The chunks, joined and compressed: one zstd frame."""
    level, window = zstd.CompressionParameter.compression_level, zstd.CompressionParameter.window_log
    packer = zstd.ZstdCompressor(options={level: _LEVEL, window: _WINDOW_LOG})
    return b"".join([packer.compress(chunk) for chunk in chunks]) + packer.flush()


def decompress(chunks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """What one zstd frame holds, a bounded chunk at a time.

    Raises BlobError for what is no frame, ends early, goes on behind its end, or holds more than `most_bytes`.
    """
    unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    left = most_bytes
    for chunk in chunks:
        if not chunk:
            continue
        if unpacker.eof:
            raise BlobError("something follows the end of the compressed data")
        for out in _unpacked(unpacker, chunk):
            left -= len(out)
            if left < 0:
                raise BlobError(f"the data is longer than the {most_bytes} bytes that were announced")
            yield out
    if not unpacker.eof:
        raise BlobError("the compressed data ends early")
    if unpacker.unused_data:
        raise BlobError("something follows the end of the compressed data")


def _unpacked(unpacker: zstd.ZstdDecompressor, chunk: bytes) -> Iterator[bytes]:
    try:
        while True:
            out = unpacker.decompress(chunk, _CHUNK_BYTES)
            if out:
                yield out
            if unpacker.eof or unpacker.needs_input or not (out or chunk):
                return
            chunk = b""
    except zstd.ZstdError as error:
        raise BlobError(f"not compressed data ({error})") from error


def lines(chunks: Iterable[bytes], longest_bytes: int) -> Iterator[bytes]:
    """The lines that the chunks hold, without their newlines. Each must have one; none may be longer than that."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if len(line) > longest_bytes:
                raise BlobError(f"a line has {len(line)} bytes; at most {longest_bytes} are read")
            yield line
        if len(rest) > longest_bytes:
            raise BlobError(f"a line is longer than the {longest_bytes} bytes that are read")
    if rest:
        raise BlobError("the last line has no end")
