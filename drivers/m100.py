"""UHF modules of the M100 family (`protocol.m100`), polling by themselves all the time.

- At connect a poll that still runs is stopped (28) and the module is asked what it is (03): the answer makes it online.
  Region and power are asked for, set where they are configured and differ, and then asked for again: a module may take
  what it cannot do without a word. What is only asked to be told (`about`) is not asked twice.
- Then it polls by itself (27) and tells of each round: its tags, or that there was none. After `RESTART_S` without a
  word the poll has come to its end, or never begun, or the module has lost its supply for a moment, and with it what
  was set: what is configured is asked for anew, and set where it differs, before the poll begins again.
- A module that sleeps loses the first byte of what wakes it, and so the command. What is not answered within `ANSWER_S`
  is sent again; that is all it takes.
- With `tid` the poll is stopped for a tag that comes, its chip is read (select 0C, read 39; `drivers.chips`), for
  `READS_MAX` tags at most, and the poll goes on. What is not answered then is not asked again before that.
- Silence for `SILENCE_S` is the end of the link: closed and opened anew.
- An error reply is how the poll fares. No tag (15) is well. Where another comes `MANY` times in a row, or as many tags
  fail their own check, with nothing good between, the reader is offline and says so; the link stays, and the next good
  answer puts it online.
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pydantic import Field

from drivers.chips import Chips, Wanted
from drivers.firmware import LeastDotted
from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.port import About, Condition, Quiet
from drivers.probe import Found, Probe
from drivers.registry import Driver, Ports, Role
from protocol.gen2 import credential
from protocol.m100 import (
    GAP_S,
    Cmd,
    Error,
    Frame,
    Info,
    Kind,
    M100Codec,
    Memory,
    Region,
    Tag,
    command,
    info,
    is_tag,
    multi_poll,
    power_data,
    power_of,
    read_tid,
    select,
)
from protocol.sighting import Sighting

ANSWER_S: Final = 0.4
RESTART_S: Final = 0.5
SILENCE_S: Final = 2.8
MANY: Final = 10
READS_MAX: Final = 4
GARBAGE_BYTES: Final = 16  # as two answers have; a line that is plugged in may bring some

_BAUD: Final = 115_200
_OF_CHIPS: Final = frozenset((Cmd.SELECT, Cmd.READ))
_OF_THE_POLL: Final = frozenset((Cmd.STOP, Cmd.MULTI_POLL)) | _OF_CHIPS  # steps of a module that is set up
_OF_POLLS: Final = frozenset((Error.NO_TAG, Error.NO_CHANNEL))  # never the answer to what is set up
_REGIONS: Final = {
    "china-920": Region.CHINA_920,
    "china-840": Region.CHINA_840,
    "us": Region.US,
    "eu": Region.EU,
    "korea": Region.KOREA,
}
_NAMES: Final = {int(code): name for name, code in _REGIONS.items()}
_SILENT: Final = "is silent; check its power, its baud, its cable, and that TX and RX cross"
_GARBLED: Final = "cannot be understood; check its baud, and that it is one of this family"
_FAILED_TAGS: Final = (
    "tags are near, but what is read of them fails its check: look for interference, and at the antenna"
)


class Options(PortOptions):
    """Options of an m100 reader."""

    region: Literal["china-920", "china-840", "us", "eu", "korea"] | None = Field(
        default=None, description="the band it may use here, set at connect; by default as the module is set"
    )
    antenna_power: float | None = Field(
        default=None, ge=0, le=33, description="dBm, set at connect; by default as the module is set"
    )
    baud: int = Field(default=_BAUD, gt=0, description="speed of the serial line")
    tid: bool = Field(
        default=False, description="read each tag's chip, so that a copy of a tag shows; it costs air time"
    )
    firmware_least: LeastDotted = None


@dataclass(frozen=True, slots=True)
class Timing:
    """The time limits, so that tests need not wait for them."""

    answer_s: float = ANSWER_S
    restart_s: float = RESTART_S
    silence_s: float = SILENCE_S


class Conversation:
    """What is asked when: one link's dialogue, without the link. Times are monotonic seconds.

    `_steps` is what is still to be asked, each answered before the next; without any the module polls.
    """

    def __init__(self, options: Options, timing: Timing, now: float) -> None:
        self._options = options
        self._timing = timing
        self.about = About()
        self._settings: dict[int, Frame] = {}  # what sets it, by what asks for it
        if options.region is not None:
            self._settings[Cmd.REGION] = command(Cmd.SET_REGION, bytes([_REGIONS[options.region]]))
        if options.antenna_power is not None:
            self._settings[Cmd.POWER] = command(Cmd.SET_POWER, power_data(options.antenna_power))
        self._wanted = dict(self._settings)  # what has not been compared since the poll was begun; each is set once
        identity = [command(Cmd.INFO, bytes([what])) for what in (Info.HARDWARE, Info.SOFTWARE)]
        settings = [command(Cmd.REGION), command(Cmd.POWER)]
        self._steps = deque([command(Cmd.STOP), *identity, *settings, multi_poll()])
        self._asked = False
        self._due = now  # when the next command goes out, or what was asked counts as lost, or the poll as ended
        self._heard_at = now
        self._bad: int | str = ""  # what went wrong last, and how often in a row
        self._bad_times = 0
        self.chips = Chips()
        self._chip: Wanted | None = None
        self._reads = 0  # since the poll was stopped

    @property
    def ready(self) -> bool:
        """Whether the module has said what it is and is set up."""
        return all(step.command in _OF_THE_POLL for step in self._steps)

    @property
    def trouble(self) -> str:
        """What is wrong with the polls, in words for a technician; "" where they are well."""
        if self._bad_times < MANY:
            return ""
        if self._bad == Error.NO_CHANNEL:
            return "the module finds no free channel: other readers are near, or the region is not this country's"
        return self._bad if isinstance(self._bad, str) else f"the module answers its polls with error {self._bad:02X}"

    def next(self, now: float) -> Frame | None:
        """The command to send now, if any."""
        chip = self.chips.wanted(now) if not self._steps else None
        if now < self._due and chip is None:
            return None
        if not self._steps:
            ended = now >= self._due
            self._wanted = dict(self._settings) if ended else {}
            self._steps.extend((command(Cmd.STOP), *map(command, map(Cmd, self._wanted)), multi_poll()))
            self._reads = 0
            self._read_next(None if ended else chip)
        elif self._asked and (self._steps[0].command == Cmd.STOP or self._is_extra(self._steps[0])):
            self._steps.popleft()  # nothing ran, or it does not answer to that: what comes next will show
        elif self._asked and self._steps[0].command in _OF_CHIPS:
            self._leave_chip(now)
        self._asked = True
        self._due = now + self._timing.answer_s
        return self._steps[0]

    def wait(self, now: float) -> float:
        """How long there is nothing to do but listen."""
        if not self._steps and self.chips.wanted(now) is not None:
            return 0.0
        return max(0.0, min(self._due - now, self._heard_at + self._timing.silence_s - now, self.chips.wait(now)))

    def silent(self, now: float) -> bool:
        """Whether the module has been silent for too long."""
        return now - self._heard_at >= self._timing.silence_s

    def failed(self, times: int, now: float) -> None:
        """So many tags failed their own check: the module is there and polls all the same."""
        self._heard_at = now
        self._count(_FAILED_TAGS, times)
        if self._polling:
            self._goes_on(now)

    def heard(self, frame: Frame, now: float) -> None:
        """Take a reply or notice. Raises LinkLost where the module refuses what is configured."""
        self._heard_at = now
        if self._polling:
            self._polled(frame, now)
        elif self._asked and not is_tag(frame) and frame.error not in _OF_POLLS:
            self._answered(self._steps[0], frame, now)

    @property
    def _polling(self) -> bool:
        """Whether the module polls, or has been told to and may have begun."""
        return not self._steps or self._steps[0].command == Cmd.MULTI_POLL

    def _polled(self, frame: Frame, now: float) -> None:
        """What a round of the poll gave."""
        if not is_tag(frame) and frame.error is None:
            return
        self._goes_on(now)
        if frame.error in (None, Error.NO_TAG):
            self._bad_times = 0
        else:
            self._count(frame.error or 0, 1)

    def _goes_on(self, now: float) -> None:
        """The poll runs: it has this long to say more."""
        self._steps.clear()
        self._due = now + self._timing.restart_s

    def _count(self, bad: int | str, times: int) -> None:
        self._bad_times = self._bad_times + times if bad == self._bad else times
        self._bad = bad

    def _answered(self, asked: Frame, frame: Frame, now: float) -> None:
        """One step on from `asked`, if this is its answer."""
        if frame.error is None and frame.command != asked.command:
            return
        self._asked = False
        self._due = now
        if asked.command in _OF_CHIPS:
            self._of_chip(frame, now)
            return
        self._steps.popleft()
        well = frame.error is None
        match asked.command:
            case Cmd.INFO | Cmd.REGION | Cmd.POWER:
                self._told(asked, frame.parameters if well else b"", info(frame))
            case Cmd.SET_REGION | Cmd.SET_POWER if not well or any(frame.parameters):
                what = "region" if asked.command == Cmd.SET_REGION else "antenna_power"
                code = frame.error if frame.error is not None else frame.parameters[0]
                said = f"{what} = {getattr(self._options, what)!r}"
                raise LinkLost(
                    f"{self._options.port}: the module refuses {said} (code {code:02X}); take another, or none"
                )

    def _is_extra(self, step: Frame) -> bool:
        """Whether it is only asked for so that it can be told."""
        if step.command == Cmd.INFO:
            return step.parameters != bytes([Info.HARDWARE])
        return step.command in (Cmd.REGION, Cmd.POWER) and step.command not in self._wanted

    def _told(self, asked: Frame, data: bytes, said: tuple[int, str] | None) -> None:
        """Note what it says, and set what is configured otherwise."""
        if said is not None:
            kind, text = said
            firmware = kind == Info.SOFTWARE
            self.about = replace(self.about, firmware=text) if firmware else replace(self.about, model=text)
        elif asked.command == Cmd.REGION and data:
            self.about = replace(self.about, region=_NAMES.get(data[0], f"code {data[0]:02X}"))
        elif asked.command == Cmd.POWER and data:
            self.about = replace(self.about, power_dbm=power_of(data))
        setting = self._wanted.pop(asked.command, None)
        if setting is not None and data != setting.parameters:
            self._steps.extendleft((asked, setting))

    def _read_next(self, chip: Wanted | None) -> None:
        """Let this chip be read before the poll goes on."""
        self._chip = chip
        if chip is not None:
            poll = self._steps.pop()
            self._steps.extend((select(chip.epc), read_tid(chip.words), poll))
            self._reads += 1

    def _of_chip(self, frame: Frame, now: float) -> None:
        """Take the answer to a select, or to a read."""
        if frame.error is not None:
            self._leave_chip(now, short=frame.error == Error.READ_BEYOND)
        elif frame.command == Cmd.SELECT:
            self._steps.popleft()
            return
        else:
            self._read(Memory.from_frame(frame), now)
        if self._reads < READS_MAX:
            self._read_next(self.chips.wanted(now))

    def _read(self, memory: Memory | None, now: float) -> None:
        if self._chip is None or memory is None or memory.epc != self._chip.epc:
            self._leave_chip(now)  # as where two tags begin with the same mask
            return
        self._steps.popleft()
        self.chips.read(self._chip, memory.data, now)

    def _leave_chip(self, now: float, *, short: bool = False) -> None:
        """It was not read: go on without."""
        while self._steps[0].command in _OF_CHIPS:
            self._steps.popleft()
        if self._chip is not None:
            self.chips.failed(self._chip, now, short=short)


class M100Reader:
    """A module of the M100 family."""

    def __init__(self, name: str, options: Options, rand: Callable[[], float], timing: Timing | None = None) -> None:
        self.last_heard: float | None = None
        self.about = About()
        self._name = name
        self._options = options
        self._timing = timing or Timing()
        self._opener = opener(options.port, options.baud)
        self._rand = rand

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        return keep(self._opener, self._serve, self._rand)

    async def _serve(self, link: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        codec, talk = M100Codec(), Conversation(self._options, self._timing, time.monotonic())
        while True:
            now = time.monotonic()
            if talk.silent(now):
                raise LinkLost(f"{link.port}: the module {_SILENT if codec.dropped.data < GARBAGE_BYTES else _GARBLED}")
            if (asked := talk.next(now)) is not None:
                link.write(asked.to_bytes())
            for frame in await self._frames(link, codec, talk):
                talk.heard(frame, link.read_at)
                if talk.ready and (tag := Tag.from_frame(frame)) is not None and tag.epc:
                    yield Condition(True)
                    sighting = Sighting(self._name, credential(tag.epc), link.read_at, signal=float(tag.rssi))
                    if self._options.tid:
                        talk.chips.see(tag.epc, sighting)
                    else:
                        yield sighting
            for sighting in talk.chips.take(time.monotonic()):
                yield sighting
            if talk.ready:
                self.about = talk.about
                yield Condition(not talk.trouble, talk.trouble and f"{link.port}: {talk.trouble}")
            yield Quiet()

    async def _frames(self, link: Link, codec: M100Codec, talk: Conversation) -> list[Frame]:
        """What the module says next; a silence that ends a frame is looked at."""
        failed = codec.failed_tags
        wait = GAP_S if codec.pending else min(talk.wait(time.monotonic()), STEP_S)
        data = await link.read_within(wait)
        frames = [frame for frame in (codec.feed(data) if data else codec.gap()) if frame.kind is not Kind.COMMAND]
        if codec.failed_tags > failed:
            talk.failed(codec.failed_tags - failed, link.read_at)
        if frames:
            self.last_heard = link.read_at
        return frames


def make(name: str, options: Options, ports: Ports) -> M100Reader:
    """The reader `name`."""
    return M100Reader(name, options, ports.rand)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """A module in its answers to 03, or in the rounds of a poll that runs."""
    codec = M100Codec()
    frames = [frame for frame in codec.feed(b"".join(heard)) + codec.gap() if frame.kind is not Kind.COMMAND]
    told = [told for frame in frames if (told := info(frame)) is not None]
    if not told and not any(is_tag(frame) or frame.error is not None for frame in frames):
        return []
    return [Found(dict(told).get(Info.HARDWARE, ""), dict(told).get(Info.SOFTWARE, ""))]


PROBE: Final = Probe(
    recognise,
    speeds=(_BAUD, 9600, 19_200),
    asks=tuple(command(Cmd.INFO, bytes([what])).to_bytes() for what in (Info.HARDWARE, *Info)),  # the first may wake it
)
DRIVER: Final = Driver("m100", Role.READER, Options, make, probes=(PROBE,))
