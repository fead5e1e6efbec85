"""Lets the visits of a day happen at the emulated post: tags before antennas, wheels over sensors.

Who walks shows what they have for a moment and goes on. A car stands before its arm until it goes up, and rolls over
the sensor behind it; or it turns back; or it has waited long enough. One car at a time is at the antenna of a lane.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from gated.demo.day import CAR_LANES, Visit
from gated.demo.families import EmulatedReader
from gated.demo.post import CHANNELS, EmulatedPost

ROLL_S: Final = 0.8
"""From the arm's going up until the car is through."""
PATIENCE_S: Final = 8.0
"""Longer than a turn lasts that the car before has left unused."""
SENT_AWAY_S: Final = 3.0
QUEUE_MAX: Final = 4
"""Where so many cars stand already, the next one drives on."""
_LANES: Final = {channel: lane for lane, channel in CHANNELS.items()}


@dataclass(frozen=True, slots=True)
class Pulse:
    """The relay has closed a lane's contact. `at` is monotonic seconds."""

    at: float
    lane: str


class Life:
    """The people and cars at one post. Takes over the relay board's `on_change`."""

    def __init__(self, post: EmulatedPost) -> None:
        self.raised: dict[str, float] = {}
        """When each lane's contact was last closed, in monotonic seconds."""
        self._post = post
        self._next = {lane: cycle(post.at(lane)) for lane in CHANNELS}
        self._places = {lane: asyncio.Lock() for lane in CAR_LANES}
        self._queues = dict.fromkeys(CAR_LANES, 0)
        self._arms = {lane: asyncio.Event() for lane in CHANNELS}
        post.relay.on_change = self._moved

    async def run(self, visits: Iterable[Visit], speed: float) -> None:
        """Let them happen, each at its time, `speed` times as often as the day says."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            for visit in visits:
                await asyncio.sleep(max(0.0, begin + visit.at / speed - loop.time()))
                group.create_task(self.come(visit), name=f"{visit.person.who} at {visit.lane}")

    async def come(self, visit: Visit, reader: EmulatedReader | None = None) -> None:
        """Let one visit happen, at this reader, else at that of the lane whose turn it is."""
        reader = reader or next(self._next[visit.lane])
        if visit.lane not in CAR_LANES:
            with suppress(TimeoutError):
                async with asyncio.timeout(reader.family.stays_s):
                    await reader.stay(visit.person)
        elif self._queues[visit.lane] < QUEUE_MAX:
            self._queues[visit.lane] += 1
            async with self._places[visit.lane]:
                await self._drive(visit, reader)
            self._queues[visit.lane] -= 1

    def pulses(self) -> list[Pulse]:
        """Each time that the relay board has closed a contact so far."""
        return [Pulse(at, _LANES[channel]) for at, channel, on in self._post.relay.changes if on and channel in _LANES]

    async def _drive(self, visit: Visit, reader: EmulatedReader) -> None:
        arm = self._arms[visit.lane]
        arm.clear()
        async with asyncio.TaskGroup() as group:
            staying = group.create_task(reader.stay(visit.person))
            try:
                async with asyncio.timeout(SENT_AWAY_S if visit.flagged else PATIENCE_S):
                    await arm.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(ROLL_S)
                if not visit.turns_back:
                    self._post.passed(visit.lane)
            staying.cancel()

    def _moved(self, channel: int, on: bool) -> None:  # noqa: FBT001 - the relay board's own signature
        if on and channel in _LANES:
            lane = _LANES[channel]
            self.raised[lane] = time.monotonic()
            self._arms[lane].set()
