"""UHFReader18 readers (`protocol.uhf18`), asked again and again (`answer`) or talking by themselves (`active`).

`answer` (the default)
- `drivers.uhf18_talk` knows what is asked when, and from when on the reader is online.

`active`
- Nothing is sent. The reader is online while its link is. Where it calls us (`listen://`), or has sent a heartbeat,
  `BEAT_SILENCE_S` without a frame or a heartbeat is the end of the link.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Final

from drivers.chips import Chips
from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.opener import opener
from drivers.port import About, Condition, Quiet, Signal
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from drivers.uhf18_talk import BAUD, Conversation, Options, Timing, about
from protocol.gen2 import credential
from protocol.sighting import Sighting
from protocol.uhf18 import (
    BROADCAST,
    GAP_S,
    Cmd,
    Command,
    Heartbeat,
    Info,
    Reply,
    ReplyCodec,
    can_read_tid,
    epcs,
)

GARBAGE_BYTES: Final = 16  # as two answers have; a line that is plugged in may bring some

_GARBLED: Final = "cannot be understood; check its baud, and that it is one of this family"


class Uhf18Reader:
    """A UHFReader18: it says what it is (`drivers.port.Telling`), and beeps (`Indicator`), in answer mode."""

    def __init__(self, name: str, options: Options, rand: Callable[[], float], timing: Timing | None = None) -> None:
        self.last_heard: float | None = None
        self.about = About()
        self._name = name
        self._options = options
        self._timing = timing or Timing()
        self._opener = opener(options.port, options.baud)
        self._rand = rand
        self._talk: Conversation | None = None

    def show(self, signal: Signal) -> None:
        """See `drivers.port.Indicator`: its beeps, with which the lamp flashes; nothing where there are none."""
        if self._talk is not None:
            self._talk.show(signal, time.monotonic())

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        return keep(self._opener, self._answer if self._options.mode == "answer" else self._active, self._rand)

    async def _answer(self, link: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        codec, talk = ReplyCodec(), Conversation(self._options, self._timing, time.monotonic())
        self._talk = talk  # of a link that is gone it is never asked what to say next
        while True:
            now = time.monotonic()
            if talk.silent(now):
                garbled = codec.dropped.data >= GARBAGE_BYTES
                raise LinkLost(f"{link.port}: the reader {_GARBLED if garbled else talk.silence}")
            if (command := talk.next(now)) is not None:
                link.write(command.to_bytes())
            for reply in await self._frames(link, codec, talk.wait(now)):
                if isinstance(reply, Reply):
                    talk.heard(reply, link.read_at)
                    if talk.ready:
                        self.about = talk.about
                        yield Condition(not talk.trouble, talk.trouble and f"{link.port}: {talk.trouble}")
                        for sighting in self._seen(reply, link.read_at, talk.chips):
                            yield sighting
            for sighting in talk.chips.take(time.monotonic()):
                yield sighting
            yield Quiet()

    async def _active(self, link: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        codec, heard_at = ReplyCodec(), time.monotonic()
        beats = self._options.port.startswith("listen:")
        yield Condition(True)
        while True:
            for frame in await self._frames(link, codec, STEP_S):
                heard_at = link.read_at
                if isinstance(frame, Heartbeat):
                    beats = True
                else:
                    for epc in epcs(frame):
                        yield self._sighting(epc, link.read_at)
            if beats and time.monotonic() - heard_at >= self._timing.beat_silence_s:
                raise LinkLost(f"{link.port}: the reader is silent; check its power and the network between")
            yield Quiet()

    async def _frames(self, link: Link, codec: ReplyCodec, seconds: float) -> list[Reply | Heartbeat]:
        """What the reader says within this time; a silence that ends a frame is looked at."""
        wait = GAP_S if codec.pending else min(seconds, STEP_S)
        data = await link.read_within(wait)
        frames = [frame for frame in (codec.feed(data) if data else codec.gap()) if self._ours(frame)]
        if frames:
            self.last_heard = link.read_at
        return frames

    def _ours(self, frame: Reply | Heartbeat) -> bool:
        """Whether it comes from the reader we ask, and not from another on the line."""
        return isinstance(frame, Heartbeat) or self._options.address in (BROADCAST, frame.address)

    def _seen(self, reply: Reply, at: float, chips: Chips) -> Iterator[Sighting]:
        """The sightings in a reply, but for those that wait for their chips to be read."""
        for epc in epcs(reply):
            sighting = self._sighting(epc, at)
            if self._options.tid and can_read_tid(epc):
                chips.see(epc, sighting)
            else:
                yield sighting

    def _sighting(self, epc: bytes, at: float) -> Sighting:
        return Sighting(self._name, credential(epc), at)


def make(name: str, options: Options, ports: Ports) -> Uhf18Reader:
    """The reader `name`."""
    return Uhf18Reader(name, options, ports.rand)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """Readers in their answers to 21, and those that report tags unasked."""
    codec = ReplyCodec()
    replies = [one for one in codec.feed(b"".join(heard)) + codec.gap() if isinstance(one, Reply)]
    reporting = {reply.address for reply in replies if reply.command == Cmd.REPORT and epcs(reply)}
    infos = {reply.address: info for reply in replies if (info := Info.from_reply(reply)) is not None}
    return [
        _found(address, infos.get(address), active=address in reporting)
        for address in {**infos, **dict.fromkeys(reporting)}
    ]


def _found(address: int, info: Info | None, *, active: bool) -> Found:
    options: dict[str, str | int] = {"mode": "active"} if active else {}
    if address != 0:
        options["address"] = address
    if info is None:
        return Found("UHFReader18", options=options)
    told = about(info)
    remark = f"set to {'a power it does not tell' if told.power_dbm is None else f'{info.power_dbm} dBm'}"
    remark += f" in the {told.region} band" if told.region else ""
    return Found(told.model, told.firmware, options, remark)


PROBE: Final = Probe(
    recognise,
    speeds=(BAUD, 9600, 115_200, 19_200, 38_400),
    asks=(Command(BROADCAST, Cmd.INFO).to_bytes(),),
    tcp=(6000,),
)
DRIVER: Final = Driver("uhf18", Role.READER, Options, make, probes=(PROBE,))
