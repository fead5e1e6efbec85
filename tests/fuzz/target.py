"""What a fuzz target is: a property of a codec as plain Python, and the bytes that a run begins with."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_VECTORS: Final = Path(__file__).parents[1] / "vectors"


@dataclass(frozen=True, slots=True)
class Target:
    """`check` raises for bytes that show something wrong, and for no others. `max_bytes` bounds what is tried."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    max_bytes: int = 1024


def vectors(name: str) -> list[dict[str, Any]]:
    """The real frames of `tests/vectors/NAME.json`."""
    found: list[dict[str, Any]] = json.loads((_VECTORS / f"{name}.json").read_text())
    return found


def cut(data: bytes) -> tuple[int, bytes]:
    """The first byte, by which a target chooses what it does with the others; 0 where there is none."""
    return (data[0], data[1:]) if data else (0, b"")


def halves(data: bytes) -> tuple[bytes, bytes]:
    """Two inputs from one: the first two bytes say where the second begins."""
    length, rest = int.from_bytes(data[:2]), data[2:]
    middle = length % (len(rest) + 1)
    return rest[:middle], rest[middle:]


def pair(one: bytes, two: bytes) -> bytes:
    """The input that `halves` takes apart so."""
    return len(one).to_bytes(2) + one + two


def numbered(seeds: Iterable[bytes], count: int) -> Iterator[bytes]:
    """Each seed behind each first byte that `cut` may tell apart."""
    for seed in seeds:
        for number in range(count):
            yield bytes([number]) + seed


def turned(data: bytes, place: int) -> bytes:
    """The same bytes with one bit turned; which one, `place` says."""
    changed = bytearray(data)
    changed[place // 8 % len(changed)] ^= 1 << place % 8
    return bytes(changed)


def frames(name: str, direction: str = "") -> list[bytes]:
    """The sound frames of `vectors`, of one direction or of both."""
    found = [one for one in vectors(name) if "expect" not in one]
    return [bytes.fromhex(one["hex"]) for one in found if not direction or one["direction"] == direction]


def streams(name: str) -> list[bytes]:
    """Each real frame alone, broken ones too, the shorter ones behind one another, and some with their end cut off."""
    every = [bytes.fromhex(one["hex"]) for one in vectors(name)]
    return [*every, b"".join(sorted(every, key=len)[:12]), *(one[:-1] + every[0] for one in every[:4])]
