"""LLRP readers (`protocol.llrp`): one connection to each, shared by the lanes whose antennas it has.

- The connection lives while at least one lane's `reports()` is iterated; `drivers.llrp_talk` is what is said over it.
- A tag goes to the lane that has its antenna. A lane that names no antenna has them all.
- The reader sends a keepalive each second. Silence for `SILENCE_S` is the end of the link, also where the line was cut
  without a word: closed and opened anew.
- What comes back of our own words, from a serial server or a tunnel in loop-back, is neither an answer nor life.
- A question that is not answered for `ANSWER_S` ends the link as well: keepalives that a reader still sends from before
  say nothing of whether it does what it is asked.
- With `tid` a lane's sightings wait a moment for what the reports tell of their chips (`drivers.chips`).
- One lane's mistake (an antenna that is not there, a power that it does not give) puts that lane offline, no other.
- At the end our inventory is deleted and the connection closed by the rules, so that the reader takes the next client
  at once and does not transmit for nobody.
"""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from drivers.chips import Chips, Wanted
from drivers.link import STEP_S, Link, LinkLost
from drivers.llrp_talk import ATTEMPTS, SAID, Conversation, Options, model
from drivers.opener import opener
from drivers.port import About, Condition, DriverError, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from drivers.shared import Report, SharedLink, SharedReader
from protocol.gen2 import TID_WORDS, credential
from protocol.llrp import GAP_S, Kind, LlrpCodec, Message
from protocol.llrp_replies import SUCCESS, Attempt, Tag, capabilities, event, status
from protocol.llrp_requests import get_capabilities
from protocol.sighting import Sighting

SILENCE_S: Final = 2.8
ANSWER_S: Final = 10.0  # readers take seconds to take an inventory
LEAVE_S: Final = 0.5

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


class Station(SharedLink["LlrpReader"]):
    """One reader: holds the connection, and tells each lane what its antennas see."""

    def __init__(self, port: str, rand: Callable[[], float], timing: Timing | None = None) -> None:
        super().__init__(opener(port, _NO_BAUD), rand)
        self._timing = timing or Timing()
        self._link: Link | None = None
        self._clock_off_s: float | None = None
        self._chips: dict[LlrpReader, Chips] = {}

    def add(self, lane: "LlrpReader") -> None:
        """One lane more. Its antennas are part of the inventory, so that one which runs is begun anew."""
        self.readers.append(lane)
        if self._link is not None:
            self._link.lose(f"{self._opener.port}: another lane reads here too")

    async def _serve(self, link: Link) -> AsyncGenerator[Condition | Quiet, None]:
        codec, talk = LlrpCodec(), Conversation(link.port, [lane.options for lane in self.readers])
        heard_at, silent = time.monotonic(), False
        answered_at, left = heard_at, talk.left
        self._link = link
        self._chips = {lane: Chips() for lane in self.readers if lane.options.tid}
        try:
            while True:
                data = await link.read_within(self._wait(codec, heard_at))
                for message in codec.feed(data) if data else codec.gap():
                    if message.kind not in SAID:
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
        for number, lane in enumerate(self.readers):
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
            return len(self.readers) == 1
        return not lane.options.antennas or tag.antenna in lane.options.antennas

    def _learn(self, message: Message, talk: Conversation) -> None:
        """Note what the reader tells of itself: how its clock is, at each event."""
        utc_us = event(message).utc_us
        if utc_us is not None:
            self._clock_off_s = round(utc_us / _US - time.time(), 1)
        for number, lane in enumerate(self.readers):
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


class LlrpReader(SharedReader):
    """One lane's antennas at a reader."""

    def __init__(self, name: str, options: Options, station: Station) -> None:
        super().__init__(name)
        self.about = About()
        self.options = options
        self._station = station
        station.add(self)

    def reports(self) -> AsyncGenerator[Report, None]:
        """See `drivers.port.Reader`."""
        return self._station.watch(self)


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
