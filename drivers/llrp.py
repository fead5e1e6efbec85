"""LLRP readers (`protocol.llrp`): one connection to each, shared by the lanes whose antennas it has.

- The connection lives while at least one lane's `reports()` is iterated; `drivers.llrp_talk` is what is said over it.
- A tag goes to the lane that has its antenna. A lane that names no antenna has them all.
- The reader sends a keepalive each second. Silence for `SILENCE_S` is the end of the link, also where the line was cut
  without a word: closed and opened anew.
- A question that is not answered for `ANSWER_S` ends the link as well: keepalives that a reader still sends from before
  say nothing of whether it does what it is asked.
- With `tid` a lane's sightings wait a moment for what the reports tell of their chips (`drivers.chips`).
- One lane's mistake (an antenna that is not there, a power that it does not give) puts that lane offline, no other.
- At the end our inventory is deleted and the connection closed by the rules, so that the reader takes the next client
  at once and does not transmit for nobody.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from drivers.chips import Chips, Wanted
from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.llrp_talk import ATTEMPTS, Conversation, Options, model
from drivers.opener import opener
from drivers.port import About, Condition, DriverError, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from protocol.gen2 import TID_WORDS, credential
from protocol.llrp import GAP_S, Kind, LlrpCodec, Message
from protocol.llrp_replies import SUCCESS, Attempt, Tag, capabilities, event, status
from protocol.llrp_requests import get_capabilities
from protocol.sighting import Sighting

SILENCE_S: Final = 2.8
ANSWER_S: Final = 10.0  # readers take seconds to take an inventory
LEAVE_S: Final = 0.5
WAITING_MAX: Final = 256
"""So many sightings wait for a lane at most; a tag that stays is told again."""

_US: Final = 1_000_000
_NO_BAUD: Final = 0  # there is no serial line
_STUCK: Final = "the reader lives, and does not answer what it is asked; restart it"
_SILENT: Final = "the reader is silent; check its power and its cable, and that LLRP is on and its port 5084"


@dataclass(frozen=True, slots=True)
class Timing:
    """The time limits, so that tests need not wait for them."""

    silence_s: float = SILENCE_S
    answer_s: float = ANSWER_S
    leave_s: float = LEAVE_S


class Station:
    """One reader: holds the connection, and tells each lane what its antennas see."""

    def __init__(self, port: str, rand: Callable[[], float], timing: Timing | None = None) -> None:
        self._opener = opener(port, _NO_BAUD)
        self._rand = rand
        self._timing = timing or Timing()
        self._lanes: list[LlrpReader] = []
        self._watched: set[LlrpReader] = set()
        self._link: Link | None = None
        self._clock_off_s: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._chips: dict[LlrpReader, Chips] = {}

    def add(self, lane: "LlrpReader") -> None:
        """One lane more. Its antennas are part of the inventory, so that one which runs is begun anew."""
        self._lanes.append(lane)
        if self._link is not None:
            self._link.lose(f"{self._opener.port}: another lane reads here too")

    async def watch(self, lane: "LlrpReader") -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """The reports of one lane."""
        self._watched.add(lane)
        lane.watch(watched=True)
        try:
            while True:
                task = self._running()
                if not lane.waiting:
                    await lane.news.wait()
                lane.news.clear()
                if task.done():
                    task.result()  # what broke the task, broken here
                while lane.waiting:
                    yield lane.waiting.popleft()
        finally:
            self._watched.discard(lane)
            lane.watch(watched=False)
            if not self._watched:
                await self._stop()

    def _running(self) -> asyncio.Task[None]:
        """The task that holds the connection."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"station[{self._opener.port}]")
            self._task.add_done_callback(lambda _: self._wake())
        return self._task

    def _wake(self) -> None:
        for lane in self._watched:
            lane.news.set()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        for lane in self._lanes:
            lane.forget()

    async def _run(self) -> None:
        async with aclosing(keep(self._opener, self._serve, self._rand)) as reports:
            async for report in reports:
                if report != Condition(True):  # which each lane has been told for itself
                    for lane in self._lanes:
                        lane.say(report)

    async def _serve(self, link: Link) -> AsyncGenerator[Condition | Quiet, None]:
        codec, talk = LlrpCodec(), Conversation(link.port, [lane.options for lane in self._lanes])
        heard_at, silent = time.monotonic(), False
        answered_at, left = heard_at, talk.left
        self._link = link
        self._chips = {lane: Chips() for lane in self._lanes if lane.options.tid}
        try:
            while True:
                data = await link.read_within(self._wait(codec, heard_at))
                for message in codec.feed(data) if data else codec.gap():
                    heard_at = link.read_at
                    self._heard(message, talk, link)
                now = time.monotonic()
                if now - heard_at >= self._timing.silence_s:
                    silent = True
                    raise LinkLost(f"{link.port}: {_SILENT}")
                if talk.running or talk.left < left:
                    answered_at, left = now, talk.left
                elif now - answered_at >= self._timing.answer_s:
                    raise LinkLost(f"{link.port}: {_STUCK}")
                for lane, chips in self._chips.items():
                    for sighting in chips.take(now):
                        lane.say(sighting)
                yield Condition(True) if talk.running else Quiet()
        finally:
            self._link = None
            if not silent:
                await self._leave(link, codec, talk)

    def _wait(self, codec: LlrpCodec, heard_at: float) -> float:
        """How long there is nothing to do but listen."""
        now = time.monotonic()
        waits = [chips.wait(now) for chips in self._chips.values()]
        wait = GAP_S if codec.pending else STEP_S
        return min(wait, max(0.0, heard_at + self._timing.silence_s - now), *waits)

    def _heard(self, message: Message, talk: Conversation, link: Link) -> None:
        """Answer a message, and tell each lane what of it is its own."""
        was_running = talk.running
        for answer in talk.heard(message):
            link.write(answer.to_bytes())
        if message.kind == Kind.READER_EVENT_NOTIFICATION or talk.running is not was_running:
            self._learn(message, talk)
        seen = talk.tags(message)
        for number, lane in enumerate(self._lanes):
            lane.last_heard = link.read_at
            if talk.running:
                fault = talk.fault(number)
                lane.say(Condition(not fault, fault and f"{link.port}: {fault}"))
            for tag in seen:
                if self._is_of(tag, lane):
                    self._see(lane, tag, link.read_at)

    def _see(self, lane: "LlrpReader", tag: Tag, at: float) -> None:
        """Report a tag to its lane, or let it wait for its chip."""
        sighting = Sighting(lane.name, credential(tag.epc), at, signal=_signal(tag))
        chips = self._chips.get(lane)
        if chips is None:
            lane.say(sighting)
            return
        chips.see(tag.epc, sighting)
        if tag.chip is not None:
            chips.read(Wanted(tag.epc, TID_WORDS), tag.chip, at)

    def _is_of(self, tag: Tag, lane: "LlrpReader") -> bool:
        """Whether the lane has the tag's antenna; where the reader names none, only one that is alone can tell."""
        if tag.antenna is None:
            return len(self._lanes) == 1
        return not lane.options.antennas or tag.antenna in lane.options.antennas

    def _learn(self, message: Message, talk: Conversation) -> None:
        """Note what the reader tells of itself: how its clock is, at each event."""
        utc_us = event(message).utc_us
        if utc_us is not None:
            self._clock_off_s = round(utc_us / _US - time.time(), 1)
        for number, lane in enumerate(self._lanes):
            if talk.running and not talk.faults[number]:
                lane.about = talk.about(number, self._clock_off_s)

    async def _leave(self, link: Link, codec: LlrpCodec, talk: Conversation) -> None:
        """Close by the rules, if the reader still listens; it has a moment to say so."""
        until = time.monotonic() + self._timing.leave_s
        with suppress(DriverError):  # it is gone: there is nothing left to close
            for message in talk.leave():
                link.write(message.to_bytes())
            while talk.greeted and (left := until - time.monotonic()) > 0:
                messages = codec.feed(await link.read_within(left))
                if any(message.kind == Kind.CLOSE_CONNECTION_RESPONSE for message in messages):
                    return


class LlrpReader:
    """One lane's antennas at a reader. `waiting` is what there is to report, kept while somebody iterates."""

    def __init__(self, name: str, options: Options, station: Station) -> None:
        self.last_heard: float | None = None
        self.about = About()
        self.name = name
        self.options = options
        self.news = asyncio.Event()
        self.waiting: deque[Sighting | Condition | Quiet] = deque()
        self._condition: Condition | None = None
        self._watched = False
        self._station = station
        station.add(self)

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        return self._station.watch(self)

    def say(self, report: Sighting | Condition | Quiet) -> None:
        """Report it; a condition only where it is another one, and nothing before the first of them."""
        if isinstance(report, Condition):
            if report == self._condition:
                return
            self._condition = report
            if not report.online:  # what was seen before does not count after it
                self.waiting = deque(one for one in self.waiting if isinstance(one, Condition))
        elif self._condition is None or len(self.waiting) >= WAITING_MAX:
            return
        if self._watched:
            self.waiting.append(report)
            self.news.set()

    def watch(self, *, watched: bool) -> None:
        """Begin to keep what is said, with what is the case now; or stop it."""
        self._watched = watched
        self.waiting.clear()
        if watched and self._condition is not None:
            self.waiting.append(self._condition)

    def forget(self) -> None:
        """Nothing is known any more, as the connection is closed."""
        self._condition = None


def make(name: str, options: Options, ports: Ports) -> LlrpReader:
    """The reader `name`: antennas of the station that all lanes of its port share."""
    station = ports.shared(("llrp", options.port), Station, lambda: Station(options.port, ports.rand))
    return LlrpReader(name, options, station)


def address(options: Options) -> tuple[str, ...] | None:
    """Which antennas of the port; None: all of them."""
    return tuple(f"antenna {antenna}" for antenna in options.antennas) or None


def _signal(tag: Tag) -> float | None:
    return None if tag.rssi is None else float(tag.rssi)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """A reader in its greeting, with what it tells of itself."""
    messages = LlrpCodec().feed(b"".join(heard))
    attempts = [event(message).attempt for message in messages]
    attempt = next((one for one in attempts if one is not None), None)
    if attempt is None:
        return []
    if attempt != Attempt.SUCCESS:
        return [Found("LLRP reader", remark=ATTEMPTS.get(attempt, "it takes no connection now"))]
    can = next(
        (capabilities(one) for one in messages if (said := status(one)) is not None and said.code == SUCCESS), None
    )
    if can is None:
        return [Found("LLRP reader")]
    antennas = f"antennas 1 to {can.antennas}; name those of each lane: antennas = [1]" if can.antennas else ""
    return [Found(model(can), can.firmware, remark=antennas)]


PROBE: Final = Probe(
    recognise,
    asks=(get_capabilities().to_bytes(), Message(Kind.CLOSE_CONNECTION).to_bytes()),
    tcp=(5084,),
    greets=True,
    answer_s=1.0,
)
DRIVER: Final = Driver("llrp", Role.READER, Options, make, address, probes=(PROBE,))
