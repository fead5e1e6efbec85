"""Deltas: how one published list becomes the next.

A delta is lines of a list, sorted by `c`: a full line for what was added or changed, `{"c":…,"gone":true}` for what
was taken out. A line with more than these two keys is a line of the new list like any other: a card that is kept on
the list as gone has its own expiry beside it (`until`), and so is no removal.

Lists and deltas are streams of canonical lines without newlines, and nothing here holds more than one line of each.
A list's `sha256` is that of its lines, each with its newline; whoever applies a delta compares the result's with the
signed one, and the base's before that.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

_START: Final = b'{"c":"'
_GONE: Final = b'","gone":true}'


class DeltaError(ValueError):
    """The delta does not fit the list, or one of the two is out of order; the message names the line."""


def key(line: bytes) -> bytes:
    """The credential of a canonical line, by which lists are sorted (as bytes, which is the order of code points)."""
    end = line.find(b'"', len(_START))
    if end < 0 or not line.startswith(_START):
        raise DeltaError(f"no canonical line of a list: {line[:60]!r}")
    return line[len(_START) : end]


def removal(credential: bytes) -> bytes:
    """The line that takes a credential off the list."""
    return _START + credential + _GONE


def removes(line: bytes) -> bool:
    """Whether a delta's line takes its credential off the list."""
    return line == removal(key(line))


def in_order(lines: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each line with its credential. Raises DeltaError where they do not rise."""
    last = b""
    for line in lines:
        credential = key(line)
        if credential <= last:
            raise DeltaError(f"{credential.decode(errors='replace')} is out of order")
        last = credential
        yield credential, line


def make(base: Iterable[bytes], new: Iterable[bytes]) -> Iterator[bytes]:
    """What turns `base` into `new`. Raises DeltaError for a new list that a delta cannot write."""
    for credential, was, now in _side_by_side(base, new):
        if now is None:
            yield removal(credential)
        elif removes(now):
            name = credential.decode(errors="replace")
            raise DeltaError(f"{name} is kept as gone without its expiry; give it `until`")
        elif now != was:
            yield now


def apply(base: Iterable[bytes], delta: Iterable[bytes]) -> Iterator[bytes]:
    """The list that `delta` makes of `base`. Raises DeltaError where it does not fit."""
    for credential, was, change in _side_by_side(base, delta):
        if change is None:
            if was is not None:  # always: one of the two is there
                yield was
        elif not removes(change):
            yield change
        elif was is None:
            raise DeltaError(f"the delta takes out {credential.decode(errors='replace')}, which the list has not")


def hashed(lines: Iterable[bytes]) -> str:
    """A list's sha256."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
        digest.update(b"\n")
    return digest.hexdigest()


def _side_by_side(left: Iterable[bytes], right: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Every credential of the two, in order, with its line in each or None."""
    lefts, rights = in_order(left), in_order(right)
    a, b = next(lefts, None), next(rights, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None  # noqa: S101 - for mypy: not both are None
            yield a[0], a[1], None
            a = next(lefts, None)
        elif a is None or b[0] < a[0]:
            yield b[0], None, b[1]
            b = next(rights, None)
        else:
            yield a[0], a[1], b[1]
            a, b = next(lefts, None), next(rights, None)
