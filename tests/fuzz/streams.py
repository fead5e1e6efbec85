"""What must hold of a codec that is fed bytes as they come, whatever they are and wherever they are cut.

An input is `side | cuts | that many steps | length | so much content | stream`. `side` chooses the codec, each step is
the length of a piece, and behind a step of 128 or more the line is silent: so the fuzzer chooses where bytes are cut.
Since it seldom finds a check sum, a good frame is made of the content.

- A good frame is written and read again as the same.

- Nothing raises. The same bytes, silent at the same places, give the same frames and counts however they are cut.
- No more than `bound` bytes are held back, and each byte is in a frame, counted as dropped, or held back: once.
- A frame is written as the bytes that it was read from, and these alone give it again.
- A good frame behind all this is found: by `feed` when as many bytes more have come as can be held back, and by
  `gap` at once. Only what passes the check itself and stands across it may take it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from protocol.codec import Codec, Dropped
from protocol.framer import Framer
from tests.fuzz.target import Target, cut

F = TypeVar("F")
_CUTS_MAX: Final = 16
_SILENT: Final = 128
_LONG: Final = 400
_MUCH: Final = bytes([2]) * 120  # of such frames few are needed until much has come
_MORE: Final = 4  # so many bytes take their time: one input in four
_STEPS: Final = ((), (0,), (2,), (129, 4), (20, 128))


def _nothing(_: Any) -> None:
    pass


def _whole(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Side(Generic[F]):
    """One codec in one direction. `of` makes a good frame of any bytes; `look` is what is asked of each frame.

    `counts` says which frames were one that is not given (a tag that fails its own check). `plain` codecs are no
    Framer: a good frame is found behind `lost` others at most. `long` is a good frame by which many bytes come soon.
    Not `exact` is a codec whose frames have several writings.
    """

    make: Callable[[], Codec[F]]
    write: Callable[[F], bytes]
    bound: int
    of: Callable[[bytes], F]
    look: Callable[[F], object] = _nothing
    counts: Callable[[F], bool] = _whole
    lost: int = 0
    long: bytes = b""
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that came at once, and whether the line was silent then."""

    data: bytes
    silent: bool = False


@dataclass(slots=True)
class Run(Generic[F]):
    """One codec at work. `taken` says where in the stream each frame stood that passed its check."""

    side: Side[F]
    frames: list[F] = field(default_factory=list)
    taken: list[tuple[int, int, F]] = field(default_factory=list)
    stream: bytes = b""
    _codec: Any = None

    def __post_init__(self) -> None:
        self._codec = self.side.make()
        if isinstance(self._codec, Framer):
            self._watch(self._codec)

    def feed(self, pieces: Iterable[Piece]) -> None:
        """The pieces, one after the other."""
        for piece in pieces:
            self.stream += piece.data
            self.frames += self._codec.feed(piece.data)
            if piece.silent:
                self.silence()
            assert len(self._codec._buffer) <= self.side.bound

    def silence(self) -> None:
        """The line is silent for long enough."""
        if isinstance(self._codec, Framer):
            self.frames += self._codec.gap()
            assert not self._codec.pending

    @property
    def held(self) -> bytes:
        """What waits for more."""
        return bytes(self._codec._buffer)

    @property
    def dropped(self) -> Dropped:
        """What was no frame."""
        dropped: Dropped = self._codec.dropped
        return dropped

    def _watch(self, codec: Framer[F]) -> None:
        at = codec._at

        def watched(start: int, length: int) -> F | None:
            frame = at(start, length)
            if frame is not None:
                self.taken.append((len(self.stream) - len(codec._buffer) + start, length, frame))
            return frame

        codec._at = watched  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Input:
    """What a target is given: which side, the content of a good frame, and the stream as it comes."""

    side: int
    content: bytes
    pieces: list[Piece]

    @classmethod
    def of(cls, data: bytes) -> "Input":
        """The input in these bytes."""
        side, rest = cut(data)
        count, rest = cut(rest)
        count %= _CUTS_MAX
        steps, rest = rest[:count], rest[count:]
        length, rest = cut(rest)
        return cls(side, rest[:length], _cut(steps, rest[length:]))


def _cut(steps: bytes, stream: bytes) -> list[Piece]:
    count = len(steps)
    found, at, number = [], 0, 0
    while at < len(stream):
        step = steps[number % count] if count else len(stream)
        end = at + 1 + step % _SILENT if count else len(stream)
        found.append(Piece(stream[at:end], silent=bool(count) and step >= _SILENT))
        at, number = end, number + 1
    return found


def joined(found: Iterable[Piece]) -> Iterator[Piece]:
    """The same with nothing cut but where the line is silent."""
    before = b""
    for piece in found:
        before += piece.data
        if piece.silent:
            yield Piece(before, silent=True)
            before = b""
    if before:
        yield Piece(before)


def target(sides: Sequence[Side[Any]], streams: Callable[[], Iterable[bytes]], max_bytes: int) -> Target:
    """The target of these codecs; what `streams` gives goes to each of them, cut in some ways."""

    def check(data: bytes) -> None:
        given = Input.of(data)
        _check(sides[given.side % len(sides)], given, given.side // len(sides))

    def seeds() -> Iterator[bytes]:
        whole = list(streams())
        for stream in (*whole, *(one * (max_bytes // len(one)) for one in whole[:4])):
            for number in range(len(sides)):
                for steps in _STEPS if len(stream) < _LONG else _STEPS[:1]:
                    yield bytes([number, len(steps), *steps, 12]) + stream[:12] + stream

    return Target(check, seeds, max_bytes)


def _check(side: Side[F], given: Input, number: int) -> None:
    run, other = Run(side), Run(side)
    run.feed(given.pieces)
    other.feed(joined(given.pieces))
    assert run.frames == other.frames
    assert (run.dropped, run.held) == (other.dropped, other.held)
    _written_as_read(run)
    frame = side.of(given.content)
    good = side.write(frame)
    assert side.make().feed(good) == ([frame] if side.counts(frame) else [])
    for one in (*run.frames, *([frame] if side.counts(frame) else [])):
        side.look(one)
    if isinstance(run._codec, Framer):
        _found_by_silence(run, good)
        if number % _MORE == 0:
            _found_by_more(other, side.long or side.write(side.of(_MUCH)))
    elif side.counts(frame):
        _found(run, frame)


def _written_as_read(run: Run[F]) -> None:
    side, end = run.side, 0
    if not isinstance(run._codec, Framer):
        given = [frame for frame in run.frames if side.counts(frame)]
        assert all(side.make().feed(side.write(frame)) == [frame] for frame in given)
        if not side.lost:  # a line of text may have had more in front
            _each_byte_once(run, map(len, map(side.write, given)))
            for data in map(side.write, given) if side.exact else ():
                end = run.stream.index(data, end) + len(data)
        return
    for start, length, frame in run.taken:
        assert start >= end
        end = start + length
        assert not side.exact or side.write(frame) == run.stream[start:end]
        assert side.make().feed(side.write(frame)) == ([frame] if side.counts(frame) else [])
    counted = [(length, frame) for _, length, frame in run.taken if side.counts(frame)]
    assert run.frames == [frame for _, frame in counted]
    _each_byte_once(run, (length for length, _ in counted))


def _each_byte_once(run: Run[Any], given: Iterable[int]) -> None:
    assert run.dropped.data + sum(given) + len(run.held) == len(run.stream)


def _found_by_silence(run: Run[F], good: bytes) -> None:
    at = len(run.stream)
    run.feed([Piece(good, silent=True)])
    assert _stood(run, at, len(good))


def _found_by_more(run: Run[F], good: bytes) -> None:
    at = len(run.stream)
    copies = (run.side.bound + len(good)) // len(good) + 1
    run.feed([Piece(good * copies)])
    decided = len(run.stream) - len(run.held)
    ends = range(at + len(good), decided + 1, len(good))
    assert ends
    assert all(_stood(run, end - len(good), len(good)) for end in ends)


def _stood(run: Run[F], at: int, length: int) -> bool:
    """Whether the frame there was taken, or another stands across it."""
    return any(start < at + length and at < start + size for start, size, _ in run.taken)


def _found(run: Run[F], frame: F) -> None:
    run.feed([Piece(run.side.write(frame))] * (run.side.lost + 1))
    assert run.frames[-1] == frame
