"""Target of a damaged journal: what salvage reads in it, whatever has become of its bytes.

An input is changes to a journal that is whole, each `place, 3 bytes | what | count | bytes`: other bytes, zeros, some
that stand elsewhere, or the end cut off. What was not there before cannot come out as verified.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from gated.recording.salvage import Wreck, _salvaged
from gated.recording.store import PAGE_BYTES, Store, fits
from protocol.event import SALVAGED_MAX_BYTES, ClockQuality, Kind, Stamp, body
from tests.fuzz.target import Target

_STAMP: Final = Stamp("2026-11-28T08:00:00.000+08:00", ClockQuality.SYNCED, "b", 1.5)
_EVENTS: Final = 40
_CHANGE_BYTES: Final = 5


@cache
def _journal() -> tuple[bytes, dict[int, tuple[bytes, bytes]]]:
    """The file of a whole journal, and its events: line and hash by seq. One line is longer than a page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        with closing(Store(path, presize=False)) as store:
            store.begin_epoch(board="b", began=_STAMP.at, why="new")
            rests = [body(Kind.TEST, _STAMP, {"lane": "in", "n": number}) for number in range(_EVENTS)]
            store.commit([*rests, body(Kind.TEST, _STAMP, {"text": "x" * 3 * PAGE_BYTES})])
            store.checkpoint()
        with Wreck(path) as wreck:
            return path.read_bytes(), {seq: (line, hashed) for seq, line, hashed in wreck.events()}


def _changed(data: bytes) -> bytes:
    whole = bytearray(_journal()[0])
    while len(data) >= _CHANGE_BYTES:
        at, what, count = int.from_bytes(data[:3]) % (len(whole) + 1), data[3], data[4]
        data = data[_CHANGE_BYTES:]
        match what % 4:
            case 0:
                whole[at : at + count % 32] = data[: count % 32]
                data = data[count % 32 :]
            case 1:
                whole[at : at + count * 16] = bytes(len(whole[at : at + count * 16]))
            case 2:
                other = count * PAGE_BYTES // 4 % (len(whole) + 1)
                piece = whole[other : other + 128 * (what // 4)]
                whole[at : at + len(piece)] = piece
            case _:
                del whole[at:]
    return bytes(whole)


def _check(data: bytes) -> None:
    events = _journal()[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        path.write_bytes(_changed(data))
        if data[:1] == b"\xff":
            path.with_name("journal.db-wal").write_bytes(data)
        with Wreck(path) as wreck:
            found = list(wreck.events())
            seq, previous = wreck.checkpoint()
            epochs = wreck.epochs
            assert wreck.acked >= 0 or isinstance(wreck.acked, int)
    assert [one[0] for one in found] == sorted({one[0] for one in found})
    for event in found:
        if event[0] == seq + 1 and fits(previous, *event):
            assert previous != bytes(32) or event[1:] == events[1]
            seq, previous = event[0], event[2]
        assert len(_salvaged(event, epochs, _STAMP)) <= SALVAGED_MAX_BYTES


def _seeds() -> Iterator[bytes]:
    size = len(_journal()[0])
    for page in range(size // PAGE_BYTES):
        place = (page * PAGE_BYTES).to_bytes(3)
        yield place + bytes([1, 255])
        yield place + bytes([0, 8]) + bytes.fromhex("0d00000008000000")
        yield from (place + bytes([130, 4 * other]) for other in range(size // PAGE_BYTES))
    yield (size // 2).to_bytes(3) + bytes([3, 0])
    yield b""


JOURNAL: Final = {"salvage": Target(_check, _seeds, 200)}
