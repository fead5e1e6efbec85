"""The other side of `drivers.modbus`: boards of relays and inputs on one line, over RTU or TCP as they are asked."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from protocol.modbus import (
    BITS,
    FLASH_AT,
    FLASH_STEP_S,
    Function,
    Message,
    RtuCodec,
    TcpCodec,
    packed,
    put_coil,
)

CHANNELS = 8

_NO_FUNCTION = 0x01
_NO_ADDRESS = 0x02
_NO_VALUE = 0x03
_ON = 0xFF00


class EmulatedModbus:
    """Boards of eight relays, which can be timed, and eight inputs, counted from 1; keys are (unit, number).

    `changes` lists (monotonic s, unit, channel, on), without what changes nothing, and without timed relays that open
    by themselves. Faults: `deaf` units do not answer, functions in `refuses` are answered with that code, `lies` turns
    the value of each echo round. With `whole` it answers to no question for fewer bits than it has.
    """

    def __init__(self, units: Iterable[int] = (1,), on_change: Callable[[int, bool], None] | None = None) -> None:
        self.units = frozenset(units)
        self.inputs: dict[tuple[int, int], bool] = {}
        self.changes: list[tuple[float, int, int, bool]] = []
        self.requests: list[Message] = []
        self.on_change = on_change
        self.deaf: set[int] = set()
        self.refuses: dict[Function, int] = {}
        self.lies = False
        self.whole = False
        self._closed: dict[tuple[int, int], float] = {}  # until when, in monotonic seconds
        self._codecs: list[RtuCodec | TcpCodec] = [RtuCodec(requests=True), TcpCodec(requests=True)]

    def closed(self, channel: int, unit: int = 1) -> bool:
        """Whether the relay is closed now."""
        return time.monotonic() < self._closed.get((unit, channel), 0.0)

    def close(self, channel: int, unit: int = 1, seconds: float = float("inf")) -> None:
        """Close the relay, for some time or for good."""
        self._put(unit, channel, seconds)

    def wire(self, number: int, *, closed: bool, unit: int = 1) -> None:
        """Close or open the contact at an input. Raises ValueError where there is none."""
        if not 1 <= number <= CHANNELS:
            raise ValueError(f"inputs are 1 to {CHANNELS}")
        self.inputs[unit, number] = closed

    def cut_power(self) -> None:
        """All relays open."""
        self._closed.clear()

    def receive(self, data: bytes) -> bytes:
        """See Device. The framing of the first good request is that of the line from then on."""
        for codec in self._codecs:
            requests = codec.feed(data) or codec.gap()
            if requests:
                self._codecs = [codec]
                answers = [reply for request in requests if (reply := self._answer(request)) is not None]
                return b"".join(one.to_tcp() if isinstance(codec, TcpCodec) else one.to_rtu() for one in answers)
        return b""

    def _answer(self, request: Message) -> Message | None:
        self.requests.append(request)
        if request.unit not in self.units or request.unit in self.deaf:
            return None
        if self.whole and request.function in BITS and request.value != CHANNELS:
            return None
        code = self.refuses.get(Function(request.function))
        if code is not None:
            return _refused(request, code)
        if request.function == Function.PUT_COIL:
            return self._put_one(request)
        if request.function in BITS:
            return self._read(request)
        return self._put_many(request) if request.function == Function.PUT_COILS else _refused(request, _NO_FUNCTION)

    def _put_one(self, request: Message) -> Message:
        timed = request.address >= FLASH_AT
        channel = request.address % FLASH_AT + 1
        if channel > CHANNELS:
            return _refused(request, _NO_ADDRESS)
        if not timed and request.value not in (0, _ON):
            return _refused(request, _NO_VALUE)
        seconds = request.value * FLASH_STEP_S if timed else float("inf") if request.value else 0.0
        self._put(request.unit, channel, seconds)
        wrong = put_coil(request.unit, request.address, on=not request.value)
        return replace(wrong, transaction=request.transaction) if self.lies else request

    def _put_many(self, request: Message) -> Message:
        first, count, bits = request.address, request.value, request.data[5:]
        if first + count > CHANNELS or len(bits) != (count + 7) // 8:
            return _refused(request, _NO_ADDRESS)
        for number in range(count):
            self._put(request.unit, first + number + 1, float("inf") if bits[number // 8] >> number % 8 & 1 else 0.0)
        return replace(request, data=request.data[:4])

    def _read(self, request: Message) -> Message:
        if not 0 < request.value <= CHANNELS - request.address:
            return _refused(request, _NO_ADDRESS)
        numbers = range(request.address + 1, request.address + request.value + 1)
        unit = request.unit
        if request.function == Function.COILS:
            return replace(request, data=packed([self.closed(number, unit) for number in numbers]))
        return replace(request, data=packed([self.inputs.get((unit, number), False) for number in numbers]))

    def _put(self, unit: int, channel: int, seconds: float) -> None:
        was, on = self.closed(channel, unit), seconds > 0
        now = time.monotonic()
        self._closed[unit, channel] = now + seconds
        if was != on:
            self.changes.append((now, unit, channel, on))
            if self.on_change is not None:
                self.on_change(channel, on)


def _refused(request: Message, code: int) -> Message:
    return replace(request, function=request.function | 0x80, data=bytes([code]))
