"""What is said to a UHFReader18 in answer mode when: one link's dialogue, without the link. `drivers.uhf18` runs it.

- One command at a time: what is sent while the reader works is lost. A command without an answer is sent again after
  the reader's scan time and `ANSWER_S`.
- At connect the reader is asked what it is (21). Power and scan time are set where they are configured and differ (the
  reader writes them to its own memory, which wears), and it is asked again: what it says then is told, whether it is
  what was asked for or not. Scan times are kept: a reader set to seconds also answers an empty field only after
  seconds.
- The answer to its first inventory makes it online: one in scan mode says what it is, and answers no inventory.
- With `tid` chips are read (02) between inventories, at most `READS_MAX` before the next one (`drivers.chips`). An
  answer does not say whose chip it is: after one that did not come an inventory is asked for, so that no late one is
  taken for another tag's.
- A reader that calls an inventory's parameters or length wrong, where it had none, is from then on told how
  (`protocol.uhf18`). Where one fails otherwise `MANY` times in a row the reader is offline and says so; the link stays,
  and the next good one puts it online.
- Beeps, and the lamp with them, are given between inventories (33); a reader that has no answer to that, or a bad one,
  is not asked for them again. It reads nothing meanwhile, so they are short.
- Silence for `SILENCE_S` (or a scan time, where that is longer) is the end of the link: closed and opened anew. So a
  half-open connection is noticed as well.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from drivers import bands
from drivers.chips import Chips, Wanted
from drivers.firmware import LeastDotted
from drivers.link import LinkLost
from drivers.options import PortOptions
from drivers.port import About, Signal
from protocol.uhf18 import (
    BAND_CHINA_840,
    BAND_CHINA_920,
    BAND_EU,
    BAND_KOREA,
    BAND_US,
    BROADCAST,
    INVENTORY_HOW,
    POWER_UNKNOWN,
    Cmd,
    Command,
    Info,
    Reply,
    Status,
    epcs,
    power_data,
    read_beyond,
    read_tid_data,
    scan_time_data,
    signal_data,
)

ANSWER_S: Final = 0.5  # beyond the scan time; a serial server adds some
SILENCE_S: Final = 2.8
BUSY_S: Final = 5.0
"""So long after a tag the reader is asked at its full pace; an empty lane wakes the box less often."""
IDLE_FACTOR: Final = 2.5
READS_MAX: Final = 4
MANY: Final = 10
BEEP_S: Final = 0.1
"""How long a beep is, and the pause behind it."""
BEAT_SILENCE_S: Final = 90.0  # three heartbeats of 30 s, in active mode
BAUD: Final = 57_600

_NOBODY: Final = (Status.NO_TAG, Status.DONE)  # where there is no EPC with it
_WANTS_TO_BE_TOLD: Final = (Status.BAD_PARAMETER, Status.BAD_LENGTH)
_FAILURES: Final = (Status.BAD_ANTENNA, Status.FAILED, Status.BAD_LENGTH, Status.BAD_COMMAND, Status.BAD_PARAMETER)
_SILENT: Final = "is silent; check its power, its cable, its address and baud, and that its mode is answer"
_BANDS: Final = {
    BAND_CHINA_920: bands.CHINA_920,
    BAND_US: bands.US,
    BAND_KOREA: bands.KOREA,
    BAND_EU: bands.EU,
    BAND_CHINA_840: bands.CHINA_840,
}


class Options(PortOptions):
    """Options of a uhf18 reader."""

    mode: Literal["answer", "active"] = Field(
        default="answer", description="answer: the reader is polled; active: it is set to report tags by itself"
    )
    address: int = Field(
        default=0, ge=0, le=BROADCAST, description="the reader's address; 255 asks whichever is on the line"
    )
    baud: int = Field(default=BAUD, gt=0, description="speed of the serial line")
    antenna_power: int | None = Field(
        default=None, ge=0, le=33, description="dBm, set at connect (answer); by default the reader's own"
    )
    scan_time: float | None = Field(
        default=None,
        ge=0.3,
        le=25.5,
        description="longest time of one inventory in s, set at connect (answer); 0.3 is quickest",
    )
    pause: float = Field(
        default=0.1,
        ge=0,
        le=5,
        description="s between an answer and the next inventory; two and a half times that while nobody comes",
    )
    tid: bool = Field(
        default=False, description="read each tag's chip (answer), so that a copy of a tag shows; it costs air time"
    )
    firmware_least: LeastDotted = None

    @model_validator(mode="after")
    def _only_when_asked(self) -> Self:
        if self.mode == "active" and not (self.antenna_power is None and self.scan_time is None and not self.tid):
            raise ValueError('antenna_power, scan_time and tid need mode = "answer": in active mode nothing is sent')
        return self


@dataclass(frozen=True, slots=True)
class Timing:
    """The time limits, so that tests need not wait for them."""

    answer_s: float = ANSWER_S
    silence_s: float = SILENCE_S
    beat_silence_s: float = BEAT_SILENCE_S


class Conversation:
    """What is asked when, in answer mode: one link's dialogue, without the link. Times are monotonic seconds."""

    def __init__(self, options: Options, timing: Timing, now: float) -> None:
        self.ready = False
        self.about = About()
        self._options = options
        self._timing = timing
        self._scan_s = options.scan_time or 0.0
        self._setup = deque([Command(options.address, Cmd.INFO)])
        self._asked: Command | None = None
        self._due = now  # when the next command goes out, or the one asked counts as lost
        self._answered_at = now
        self._busy_until = now + BUSY_S
        self.chips = Chips()
        self._chip: Wanted | None = None
        self._reads = 0  # since the last inventory
        self._inventory = Command(options.address, Cmd.INVENTORY)
        self._bad: int = Status.OK  # how the last inventory failed, and how often in a row
        self._bad_times = 0
        self._instead = _SILENT  # what a reader does that is not online
        self._beeps = 0  # that are still to be given, until it is too late for them
        self._beeps_until = now
        self._mute = False

    @property
    def trouble(self) -> str:
        """What is wrong with the inventories, in words for a technician; "" where they are well."""
        if self._bad_times < MANY:
            return ""
        if self._bad == Status.BAD_ANTENNA:
            return "the reader misses an antenna: look at its cables"
        return f"the reader answers its inventories with status {self._bad:02X}"

    @property
    def silence(self) -> str:
        """What is wrong with a reader that is `silent`."""
        return _SILENT if self.ready else self._instead

    def show(self, signal: Signal, now: float) -> None:
        """Beep as soon as the reader may be given a command, in place of what was not beeped yet."""
        self._beeps, self._beeps_until = signal.beeps, now + signal.seconds

    def next(self, now: float) -> Command | None:
        """The command to send now, if any."""
        chip, beeps = self._wanted(now), self._wanted_beeps(now)
        if now < self._due and chip is None and not beeps:
            return None
        if self._chip is not None:  # it was not answered
            self.chips.failed(self._chip, now)
        self._mute = self._mute or (self._asked is not None and self._asked.command == Cmd.SIGNAL)
        if beeps:
            self._chip, self._asked = None, self._beep(beeps)
        else:
            self._chip, self._asked = chip, self._command(chip)
        self._due = now + self._scan_s + self._timing.answer_s + 2 * BEEP_S * beeps
        return self._asked

    def wait(self, now: float) -> float:
        """How long there is nothing to do but listen."""
        if self._wanted(now) is not None or self._wanted_beeps(now):
            return 0.0
        return max(0.0, min(self._due - now, self._answered_at + self._silence_s - now, self.chips.wait(now)))

    def silent(self, now: float) -> bool:
        """Whether the reader has been silent for too long."""
        return now - self._answered_at >= self._silence_s

    def heard(self, reply: Reply, now: float) -> None:
        """Take a reply. Raises LinkLost where the reader refuses what is configured."""
        asked = self._asked
        if asked is None or reply.command not in (asked.command, 0):
            self._unasked(reply, now)
            return
        if asked.command == Cmd.INFO and Info.from_reply(reply) is None:
            self._instead = f"does not say what it is (status {reply.status:02X}); check that it is one of this family"
            return  # it will be asked again
        self._answered_at = now
        self.ready = self.ready or asked.command == Cmd.INVENTORY
        if epcs(reply) or reply.status not in _NOBODY:
            self._busy_until = now + BUSY_S
        if reply.command == Cmd.INVENTORY and reply.status == Status.MORE:
            self._due = now + self._scan_s + self._timing.answer_s
            return
        if self._setup:
            self._set_up(asked, reply)
        if self._chip is not None:
            self._read(self._chip, reply, now)
        elif asked.command == Cmd.INVENTORY:
            self._inventoried(asked, reply)
        elif asked.command == Cmd.SIGNAL:
            self._mute = reply.status != Status.OK
        self._asked = self._chip = None
        pause = self._options.pause if now < self._busy_until else self._options.pause * IDLE_FACTOR
        self._due = now + (0 if self._setup else pause)

    @property
    def _silence_s(self) -> float:
        return max(self._timing.silence_s, self._scan_s + self._timing.answer_s)

    @property
    def _free(self) -> bool:
        """Whether a command may be given that is neither for setting up nor an inventory."""
        return self._asked is None and not self._setup

    def _wanted(self, now: float) -> Wanted | None:
        """The chip to read now, where a command may be given."""
        return self.chips.wanted(now) if self._free and self._reads < READS_MAX else None

    def _wanted_beeps(self, now: float) -> int:
        """How often to beep now, where a command may be given."""
        return self._beeps if self.ready and self._free and not self._mute and now < self._beeps_until else 0

    def _beep(self, beeps: int) -> Command:
        self._beeps = 0
        return Command(self._options.address, Cmd.SIGNAL, signal_data(BEEP_S, BEEP_S, beeps))

    def _unasked(self, reply: Reply, now: float) -> None:
        """A report, or an answer to what was asked before: a sign of life of a reader that is online, no other's."""
        if self.ready:
            self._answered_at = now
        elif reply.command == Cmd.REPORT:
            self._instead = 'reports tags by itself; set it to answer mode, or mode = "active" here'

    def _inventoried(self, asked: Command, reply: Reply) -> None:
        """How an inventory went."""
        self._reads = 0
        if reply.status in _WANTS_TO_BE_TOLD and not asked.data:
            self._inventory = Command(asked.address, Cmd.INVENTORY, INVENTORY_HOW)
        elif reply.status in _FAILURES:
            self._bad, self._bad_times = reply.status, self._bad_times + 1
        else:
            self._bad_times = 0

    def _command(self, chip: Wanted | None) -> Command:
        if chip is None:
            return self._setup[0] if self._setup else self._inventory
        self._reads += 1
        return Command(self._options.address, Cmd.READ, read_tid_data(chip.epc, chip.words))

    def _read(self, chip: Wanted, reply: Reply, now: float) -> None:
        """What was read of a chip, or why it was not."""
        if reply.command == Cmd.READ and reply.status == Status.OK:
            self.chips.read(chip, reply.data, now)
        else:
            self.chips.failed(chip, now, short=read_beyond(reply))

    def _set_up(self, asked: Command, reply: Reply) -> None:
        """One step on from `asked`, which was the first of what is to be set up."""
        info = Info.from_reply(reply)
        if info is not None:
            self._scan_s = max(self._scan_s, info.scan_s)
            first, self.about = not self.about.model, about(info)
            commands = self._differences(info) if first else []
            self._setup.extend([*commands, asked] if commands else [])
            self._instead = "says what it is and answers nothing more; check that its mode is answer"
        elif reply.status != Status.OK:
            what = "antenna_power" if asked.command == Cmd.POWER else "scan_time"
            raise LinkLost(f"{self._options.port}: the reader refuses {what} (status {reply.status:02X})")
        elif asked.command == Cmd.SCAN_TIME:
            self._scan_s = self._options.scan_time or 0.0
        self._setup.popleft()

    def _differences(self, info: Info) -> list[Command]:
        """What has to be set."""
        options, commands = self._options, []
        if options.antenna_power not in (None, info.power_dbm):
            commands.append(Command(options.address, Cmd.POWER, power_data(options.antenna_power or 0)))
        if options.scan_time is not None and scan_time_data(options.scan_time) != scan_time_data(info.scan_s):
            commands.append(Command(options.address, Cmd.SCAN_TIME, scan_time_data(options.scan_time)))
        return commands


def about(info: Info) -> About:
    """What a reader's info says, in our words."""
    major, minor = info.firmware
    model = f"UHFReader18, type {info.kind:02X}"
    power = None if info.power_dbm == POWER_UNKNOWN else float(info.power_dbm)
    return About(model, f"{major}.{minor}", _BANDS.get(info.band, ""), power)
