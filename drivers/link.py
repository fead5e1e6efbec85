"""Links: a device's bytes in and out, and how a driver keeps one.

A `Link` is one connection, from its opening to its loss; what it received dies with it. `drivers.opener` opens links,
`keep` holds one for a driver: opens, serves, says why not, backs off and opens again.

- Bytes go from the descriptor straight to whoever reads: the loop's callback reads them and wakes the task.
- At most `BUFFER_MAX_BYTES` wait; then the descriptor is no longer read until somebody takes them.
- The end of a connection closes it. A port that is gone costs nothing but an attempt to open it every few seconds.
- `write` hands its bytes to the kernel before it returns, all of them or none that count.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final, Protocol, TypeVar

from drivers.port import QUIET_S, Condition, DriverError, Quiet
from drivers.words import why

BACKOFF_MIN_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0
BUFFER_MAX_BYTES: Final = 64 * 1024
STEP_S: Final = 1.0  # how long a driver waits for bytes at most before it yields; well under QUIET_S

_CHUNK_BYTES: Final = 4096
_QUIET_PACE_S: Final = QUIET_S - 2 * STEP_S
_FIRST_WORD_S: Final = 2.0  # an opening that takes longer is reported as one
_DOUBLINGS_MAX: Final = 16

T = TypeVar("T")


class LinkLost(DriverError):  # noqa: N818 - what happened, not a mistake
    """The connection is gone, or did not come about; the message says why."""


class Link:
    """One connection. `read_at` is the monotonic time of the newest bytes."""

    def __init__(self, port: str) -> None:
        self.port = port
        self.read_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._reader: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._wake_at = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    async def read(self) -> bytes:
        """The bytes received since the last read, at least one. Raises LinkLost once there will be no more."""
        while not (data := await self.read_within(BACKOFF_MAX_S)):
            pass
        return data

    async def read_within(self, seconds: float) -> bytes:
        """As `read`, but b"" when nothing came in time, or after a `nudge`."""
        if not self._received and self._lost is None:
            self._reader = self._loop.create_future()
            self._set_alarm(self._loop.time() + seconds)
            try:
                await self._reader
            finally:
                self._reader = None
        if self._received:
            return self._take()
        if self._lost is not None:
            raise LinkLost(self._lost)
        return b""

    def write(self, data: bytes) -> None:
        """Hand all of `data` to the port now. Raises LinkLost or DriverError where it does not take all of it."""
        raise NotImplementedError

    def discard(self) -> None:
        """Forget what was received and not read."""
        self._take()

    def nudge(self) -> None:
        """Let whoever reads look up now: if nothing has come, `read_within` gives b"" before its time."""
        self._wake()

    def lose(self, reason: str) -> None:
        """End the connection: whoever reads gets what is left, then LinkLost."""
        if self._lost is None:
            self._lost = reason
            self._shut()
            self._wake()
            if self._alarm is not None:
                self._alarm.cancel()

    def close(self) -> None:
        """Let go of the port."""
        self.lose(f"{self.port} was closed")

    def _shut(self) -> None:
        """Free what lies beneath; called once."""
        raise NotImplementedError

    def _pause(self) -> None:
        """Read no more for now."""

    def _resume(self) -> None:
        """Read again."""

    def _arrived(self, data: bytes, at: float) -> None:
        self.read_at = at
        self._received += data
        if len(self._received) >= BUFFER_MAX_BYTES:
            self._pause()
        self._wake()

    def _take(self) -> bytes:
        data = bytes(self._received)
        self._received.clear()
        if len(data) >= BUFFER_MAX_BYTES and self._lost is None:
            self._resume()
        return data

    def _set_alarm(self, at: float) -> None:
        """Wake the reader then. An alarm that rings earlier is left to ring: most reads end by bytes, not by time."""
        self._wake_at = at
        if self._alarm is not None and self._alarm.when() > at:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None:
            self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._reader is None or self._reader.done():
            return
        if self._loop.time() >= self._wake_at:
            self._wake()
        else:
            self._alarm = self._loop.call_at(self._wake_at, self._ring)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class FdLink(Link):
    """A link over a non-blocking descriptor: a serial device, or a socket."""

    def __init__(self, port: str, fd: int, shut: Callable[[], None]) -> None:
        super().__init__(port)
        self._fd = fd
        self._shut_fd = shut
        self._resume()

    def write(self, data: bytes) -> None:
        """See Link. A part that went out before the port filled up does no harm: the device resynchronises."""
        if self._lost is not None:
            raise LinkLost(self._lost)
        try:
            count = os.write(self._fd, data)
        except BlockingIOError:
            count = 0
        except OSError as error:
            self.lose(why(self.port, error))
            raise LinkLost(why(self.port, error)) from error
        if count < len(data):
            raise DriverError(f"{self.port} takes no more bytes: the device does not read them")

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(why(self.port, error))
            return
        if data:
            self._arrived(data, time.monotonic())
        else:
            self.lose(f"{self.port} closed the connection: unplugged, or restarted")

    def _pause(self) -> None:
        self._loop.remove_reader(self._fd)

    def _resume(self) -> None:
        self._loop.add_reader(self._fd, self._readable)

    def _shut(self) -> None:
        self._loop.remove_reader(self._fd)
        with contextlib.suppress(OSError):  # the device may be gone already; the descriptor is freed all the same
            self._shut_fd()


class Opener(Protocol):
    """Opens the links of one port, one after the other."""

    port: str

    async def open(self) -> Link:
        """The next link, with nothing received yet. Raises LinkLost where there is none to be had now."""
        ...

    def close(self) -> None:
        """Let go of what outlives a link (the listening socket)."""
        ...


def backoff(attempt: int, rand: Callable[[], float] = random.random) -> float:
    """How long to wait before attempt number `attempt` + 1, in seconds: doubles, between the bounds, with jitter."""
    longest = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** min(attempt, _DOUBLINGS_MAX))
    return max(BACKOFF_MIN_S, longest * (0.5 + rand() / 2))


async def keep(
    opener: Opener, serve: Callable[[Link], AsyncGenerator[T | Condition | Quiet, None]], rand: Callable[[], float]
) -> AsyncGenerator[T | Condition | Quiet, None]:
    """A driver's `reports()`: hold a link and yield what `serve` makes of it, by the rules of `drivers.port`.

    `serve` runs one link and ends only by raising LinkLost. It yields Condition(True) when the device is there, and
    something at least every STEP_S; what repeats itself is left out here.
    """
    async with aclosing(_attempts(opener, serve, rand)) as reports:
        said: Condition | None = None
        said_at = time.monotonic()
        async for report in reports:
            now = time.monotonic()
            if isinstance(report, Quiet) or report == said:
                late = now - said_at >= _FIRST_WORD_S if said is None else now - said_at >= _QUIET_PACE_S
                if not late:
                    continue
                report = Quiet() if said is not None else Condition(False, f"{opener.port}: waiting for the device")  # noqa: PLW2901
            if isinstance(report, Condition):
                said = report
            said_at = now
            yield report


async def _attempts(
    opener: Opener, serve: Callable[[Link], AsyncGenerator[T | Condition | Quiet, None]], rand: Callable[[], float]
) -> AsyncGenerator[T | Condition | Quiet, None]:
    """One link after the other, with all that there is to say, repeated or not."""
    attempt = 0
    try:
        while True:
            began = time.monotonic()
            try:
                async with aclosing(_connection(opener, serve)) as reports:
                    async for report in reports:
                        yield report
            except DriverError as lost:
                yield Condition(False, str(lost))
            attempt = 0 if time.monotonic() - began > BACKOFF_MAX_S else attempt + 1
            async for quiet in _pause(backoff(max(attempt - 1, 0), rand)):
                yield quiet
    finally:
        opener.close()


async def _connection(
    opener: Opener, serve: Callable[[Link], AsyncGenerator[T | Condition | Quiet, None]]
) -> AsyncGenerator[T | Condition | Quiet, None]:
    """Open one link and serve it to its end. Raises DriverError then."""
    opening = asyncio.create_task(opener.open(), name=f"open[{opener.port}]")
    try:
        while not opening.done():
            await asyncio.wait({opening}, timeout=STEP_S)
            yield Quiet()
        async with aclosing(serve(opening.result())) as reports:
            async for report in reports:
                yield report
    finally:
        if not opening.done():
            opening.cancel()
            await asyncio.wait({opening})
        if not opening.cancelled() and opening.exception() is None:
            opening.result().close()


async def _pause(seconds: float) -> AsyncIterator[Quiet]:
    """Wait, with a Quiet at least every STEP_S."""
    while seconds > 0:
        await asyncio.sleep(min(seconds, STEP_S))
        seconds -= STEP_S
        yield Quiet()
