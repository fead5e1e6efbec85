"""OSDP readers, several on one RS-485 line: libosdp is the panel of each (`drivers.osdp_panel`), the line takes turns.

The line
- One question at a time; the next goes out when it is answered, or when its time is up. Of those who are due the one
  that has waited longest is asked; but after one that has not answered, no other silent one before those who answer.
  So each dead reader takes a fifth of the line's time, and a card waits for one of them at most.
- A reader that has not answered for 2.5 s is offline. Where nobody on the line answers any more, the port is closed and
  opened anew.

Cards
- Reads are bits, parities included: `protocol.wiegand` says which card they are. 32, 56 and 80 bits are a UID, but only
  where the configuration says so: they can as well be something else.
- Keys of a keypad are not used.
- A reader whose housing is open, or whose supply fails, is offline and says so; what it reads counts all the same.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from drivers import secret
from drivers.firmware import LeastDotted
from drivers.link import STEP_S, Link, LinkLost
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.osdp_panel import ANSWER_S, Health, Panel
from drivers.port import About, Condition, DriverError, Quiet, Signal
from drivers.probe import Found, Probe, Value
from drivers.registry import Advice, Driver, Ports, Role
from drivers.shared import Report, SharedLink, SharedReader
from drivers.wiegand import Fares
from protocol.credential import Credential
from protocol.osdp import ADDRESS_MAX, GAP_S, Cmd, Frame, Identity, OsdpCodec, Read, Reply
from protocol.sighting import Sighting
from protocol.wiegand import Card, Fault, Format, decode

DEFAULT_KEY: Final = bytes(range(0x30, 0x40))
"""SCBK-D: what a reader has before it is given a key of its own. Everybody knows it."""
KEY_AGAIN_S: Final = 5.0

_BAUD: Final = 9600
_KEY_BYTES: Final = 16
_KEY_FILE_MAX_BYTES: Final = 4096
_UID_BITS: Final = (32, 56, 80)
_BITS_PER_CHARACTER: Final = 10
_GAP_CHARACTERS: Final = 2  # 2.1.7: so long the line is idle before somebody else speaks


class Oddity(StrEnum):
    """What a reader tells of a card that is no bits."""

    CHARACTERS = "characters"


_MANY: Final[Mapping[StrEnum, int]] = {
    Fault.INVERTED: 2,
    Fault.UNNAMED: 2,
    Fault.LENGTH: 3,
    Fault.PARITY: 3,
    Oddity.CHARACTERS: 1,
}
_WORDS: Final[Mapping[StrEnum, str]] = {
    Fault.INVERTED: "every bit comes inverted: set the reader otherwise",
    Fault.UNNAMED: 'cards of 37 bits come; say format = "H10302" (a number only) or "H10304" (facility and number)',
    Fault.LENGTH: "what it reads has not the bits of any card (26, 34, 35, 37); 32, 56 and 80 are UIDs: say uid = true",
    Fault.PARITY: "its reads fail their parity: they are no cards of this format",
    Oddity.CHARACTERS: "it tells cards as characters (osdp_FMT), not as bits: set it to raw, or Wiegand",
}


class Options(PortOptions):
    """Options of an osdp reader."""

    address: int = Field(default=0, ge=0, le=ADDRESS_MAX, description="the reader's address on the line")
    key: Annotated[str, AfterValidator(secret.checked)] | None = Field(
        default=None, description="where the secure channel's key stands, 32 hex digits: file:/path or credential:NAME"
    )
    insecure: bool = Field(default=False, description="no secure channel: whoever is on the two wires can be any card")
    uid: bool = Field(default=False, description="reads of 32, 56 or 80 bits are a card's UID")
    format: Literal["H10302", "H10304"] | None = Field(
        default=None, description="which format cards of 37 bits have; without it there are none"
    )
    baud: int = Field(default=_BAUD, gt=0, description="speed of the serial line")
    firmware_least: LeastDotted = None

    @model_validator(mode="after")
    def _secured(self) -> Self:
        if self.key is None and not self.insecure:
            raise ValueError(
                'say where the key stands: key = "file:/…" or "credential:NAME"; or insecure = true, to do without'
            )
        if self.key is not None and self.insecure:
            raise ValueError("key and insecure = true are one or the other: without the key there is no secure channel")
        return self


def warning(options: Options) -> Advice | None:
    """That there is no secure channel."""
    if not options.insecure:
        return None
    said = "insecure = true: whoever reaches the reader's two wires can be any card"
    return Advice(said, "give the reader a key, and say key = … in its place")


class OsdpReader(SharedReader):
    """One reader on the line."""

    def __init__(self, name: str, options: Options, line: "Line") -> None:
        super().__init__(name)
        self.options = options
        self.panel: Panel | None = None
        self.key_due = 0.0
        self.about = About()
        self._line = line
        self._wide = None if options.format is None else Format(options.format)
        self._fares = Fares(_WORDS, _MANY)
        self._health = Health(tamper=False, power=False)
        line.readers.append(self)

    def reports(self) -> AsyncGenerator[Report, None]:
        """See `drivers.port.Reader`."""
        return self._line.watch(self)

    def show(self, signal: Signal) -> None:
        """See `drivers.port.Indicator`."""
        if self.panel is not None:
            self.panel.show(signal, time.monotonic())
            self._line.look()

    def begin(self) -> None:
        """Take word of a new link."""
        self.key_due = 0.0
        self._health = Health(tamper=False, power=False)
        if self.panel is not None:
            self.panel.begin(time.monotonic())

    def heard(self, panel: Panel, frame: Frame, now: float) -> None:
        """Take an answer."""
        self.last_heard = now
        if (identity := Identity.from_frame(frame)) is not None:
            self.about = About(model=_model(identity), firmware=identity.firmware)
        events = panel.heard(frame, now)
        if frame.code == Reply.FMT and panel.ready:
            self._fares.see(Oddity.CHARACTERS)
        for event in events:
            if isinstance(event, Health):
                self._health = event
            elif (credential := self._credential(event)) is not None:
                self.tell(panel, now)
                self.say(Sighting(self.name, credential, now))
        self.tell(panel, now)

    def tell(self, panel: Panel, now: float) -> None:
        """Say how it fares."""
        if panel.ready:
            trouble = self._trouble()
            self.say(Condition(not trouble, trouble and self._named(trouble)))
        elif trouble := panel.trouble(now):
            self.say(Condition(False, self._named(trouble)))

    async def arm(self, now: float) -> None:
        """Make its panel, if its key can be had; else say why not."""
        options = self.options
        try:
            key = None if options.key is None else await asyncio.to_thread(read_key, options.key)
            self.panel = Panel(options.address, key, options.baud)
            self.panel.begin(now)
        except DriverError as error:
            self.key_due = now + KEY_AGAIN_S
            self.say(Condition(False, self._named(f"cannot be asked: {error}")))

    def _named(self, trouble: str) -> str:
        return f"{self.options.port}: address {self.options.address} {trouble}"

    def _trouble(self) -> str:
        if self._health.tamper:
            return "is tampered with: its housing is open, or it is off the wall; look at it, and close it"
        if self._health.power:
            return "has a failing supply; measure its voltage at the reader"
        return self._fares.trouble and f"reads no card: {self._fares.trouble}"

    def _credential(self, read: Read) -> Credential | None:
        """Whose card it is."""
        if self.options.uid and read.count in _UID_BITS:
            self._fares.right()
            return Credential(f"uid:{read.data.hex().upper()}")
        card = decode(read.bits, self._wide)
        self._fares.see(card)
        return card.credential if isinstance(card, Card) else None


class Line(SharedLink[OsdpReader]):
    """One port with all its readers."""

    def __init__(self, options: Options, rand: Callable[[], float]) -> None:
        super().__init__(opener(options.port, options.baud), rand)
        self._gap_s = _GAP_CHARACTERS * _BITS_PER_CHARACTER / options.baud
        self._silence = f"{options.port}: nobody on the line answers"
        self._link: Link | None = None

    def look(self) -> None:
        """Something is due sooner than it was."""
        if self._link is not None:
            self._link.nudge()

    def _told(self, report: Condition | Quiet) -> None:
        told = report == Condition(False, self._silence)  # by each reader for itself
        super()._told(Quiet() if told else report)

    async def _serve(self, link: Link) -> AsyncGenerator[Condition | Quiet, None]:
        turns = Turns(self.readers, self._gap_s)
        self._link = link
        for reader in self.readers:
            reader.begin()
        try:
            yield Condition(True)
            while True:
                for reader in self.readers:
                    if reader.panel is None and time.monotonic() >= reader.key_due:
                        await reader.arm(time.monotonic())
                if out := turns.next(time.monotonic()):
                    link.write(out)
                turns.take(await link.read_within(turns.wait(time.monotonic())), link.read_at)
                if turns.silent(time.monotonic()):
                    raise LinkLost(self._silence)
                yield Quiet()
        finally:
            self._link = None


class Turns:
    """Who is asked next on a line, and who has answered: the line's rules for the length of one link, without I/O."""

    def __init__(self, readers: list[OsdpReader], gap_s: float) -> None:
        self._readers = readers
        self._gap_s = gap_s
        self._codec = OsdpCodec()
        self._asked: tuple[OsdpReader, Panel] | None = None
        self._until = self._free_at = 0.0
        self._missed = False

    def next(self, now: float) -> bytes:
        """The next question, b"" where the line is not free, or nothing is due."""
        if self._asked is not None and now >= self._until and not self._codec.pending:
            (_, panel), self._asked = self._asked, None
            self._missed = True
            panel.missed(now)
        if self._asked is not None or now < self._free_at:
            return b""
        for reader, panel in sorted(self._panels(), key=lambda one: self._place(one[1], now)):
            if panel.due <= now and (out := panel.turn(now)):
                self._asked, self._until = (reader, panel), now + panel.patience(out)
                return out
        return b""

    def take(self, data: bytes, now: float) -> None:
        """Take what has come, b"" after a silence: the answer, if it is one. Nothing else on the line counts."""
        for frame in self._codec.feed(data) if data else self._codec.gap():
            if self._asked is None or not frame.reply or frame.address != self._asked[1].address:
                continue
            if not self._asked[1].takes(frame):
                continue
            (reader, panel), self._asked = self._asked, None
            self._free_at = now + self._gap_s
            self._missed = False
            reader.heard(panel, frame, now)

    def wait(self, now: float) -> float:
        """How long there is nothing to do but listen."""
        if self._asked is not None and self._codec.pending:
            return GAP_S  # an answer that has begun in time may end later
        if self._asked is not None:
            until = self._until
        else:
            until = max(self._free_at, min((panel.due for _, panel in self._panels()), default=now + STEP_S))
        silences = [panel.silent_at for _, panel in self._panels() if panel.silent_at > now]
        return min(max(0.0, min([until, *silences]) - now), GAP_S if self._codec.pending else STEP_S)

    def silent(self, now: float) -> bool:
        """Whether nobody answers any more; who does not is told so. Where nobody can be asked, that is no silence."""
        silent = [(reader, panel) for reader, panel in self._panels() if panel.silent(now)]
        for reader, panel in silent:
            reader.tell(panel, now)
        return bool(silent) and len(silent) == len(self._panels())

    def _place(self, panel: Panel, now: float) -> tuple[bool, float]:
        """Where in the row of those who are due a reader stands; the smallest is first."""
        return self._missed and panel.silent_at <= now, panel.due

    def _panels(self) -> list[tuple[OsdpReader, Panel]]:
        return [(reader, reader.panel) for reader in self._readers if reader.panel is not None]


def read_key(source: str) -> bytes:
    """The secure channel's key. Raises DriverError, in words that do not repeat it."""
    try:
        path = secret.file_of(source)
    except LookupError as error:
        raise DriverError(f"there is no key: {error}") from error
    try:
        with path.open("rb") as file:
            key = bytes.fromhex(file.read(_KEY_FILE_MAX_BYTES).decode("ascii"))
    except OSError as error:
        raise DriverError(f"the key in {path} cannot be read: {error.strerror}") from error
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise DriverError(f"the key in {path} is none; it must be {2 * _KEY_BYTES} hex digits")
    if key == DEFAULT_KEY:
        raise DriverError(f"the key in {path} is the one that every reader is sold with; give the reader another")
    return key


def make(name: str, options: Options, ports: Ports) -> OsdpReader:
    """The reader `name`, on the line that all readers of its port share."""
    line = ports.shared(("osdp", options.port), Line, lambda: Line(options, ports.rand))
    return OsdpReader(name, options, line)


def address(options: Options) -> str:
    """Its place on the line."""
    return f"address {options.address}"


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """The readers that say who they are."""
    frames = OsdpCodec().feed(b"".join(heard))
    known = [(frame.address, identity) for frame in frames if (identity := Identity.from_frame(frame)) is not None]
    return [_found(address, identity) for address, identity in known]


def _found(address: int, identity: Identity) -> Found:
    options: dict[str, Value] = {"key": _KEY_FILE} | ({"address": address} if address else {})
    return Found(_model(identity), identity.firmware, options, "put there the key that is in the reader, 32 hex digits")


def _model(identity: Identity) -> str:
    return f"vendor {identity.vendor}, model {identity.model}, serial number {identity.serial}"


_KEY_FILE: Final = "file:/etc/gated/osdp.key"
_PROBE: Final = Probe(
    recognise,
    speeds=(_BAUD, 115_200, 38_400, 19_200),
    asks=tuple(Frame(address, Cmd.ID, b"\0").to_bytes() for address in range(4)),
    answer_s=ANSWER_S,
)
DRIVER: Final = Driver(
    "osdp", Role.READER, Options, make, address, common=("baud",), secrets=("key",), warning=warning, probes=(_PROBE,)
)
