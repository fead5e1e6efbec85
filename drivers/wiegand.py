"""Wiegand readers behind a converter that only talks (`protocol.wiegand_serial`).

- A converter shows no sign of life while no card is near: online means that its port is open, and that what comes over
  it is well.
- Reads that are no cards are dropped, one by one. As many alike in a row as `_MANY` says, with no card between, are a
  state: the reader is offline and says what to do; the next card puts it online. So swapped wires, a format that
  nobody has named and a wrong framing are said within a few reads, and noise is not.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from drivers.link import STEP_S, Link, Opener, keep
from drivers.opener import opener
from drivers.options import PortOptions
from drivers.port import Condition, Quiet
from drivers.probe import Found, Probe, Value
from drivers.registry import Driver, Ports, Role
from protocol.sighting import Sighting
from protocol.wiegand import Card, Fault, Format
from protocol.wiegand_serial import Expected, Framing, Note, WiegandCodec

_BAUD: Final = 9600
_H10301_BITS: Final = 26
_H10306_BITS: Final = 34
_WIDE_BITS: Final = 37
_ODD_BITS: Final = (35, 37)
_SILENT_OF_LENGTH: Final = ("decimal", "promag")
_NAME_IT: Final = (
    'say format = "H10302" (a number only) or "H10304" (facility and number): bits alone do not tell them apart'
)
_MANY: Final[Mapping[StrEnum, int]] = {
    Note.DISCONNECTED: 1,
    Fault.INVERTED: 2,
    Fault.UNNAMED: 2,
    Fault.LENGTH: 3,
    Fault.PARITY: 5,
    Note.STRANGE: 5,
}
_WORDS: Final[Mapping[StrEnum, str]] = {
    Note.DISCONNECTED: "the converter says that no reader is connected to it: check the reader's power, D0 and D1",
    Fault.INVERTED: "every bit comes inverted: D0 and D1 are swapped; change the two wires over",
    Fault.UNNAMED: f"cards of 37 bits come; {_NAME_IT}",
    Fault.LENGTH: "what comes has not the bits of any card that is configured (26, 34, 35 or 37, parities included)",
    Fault.PARITY: "reads fail their parity: check the cable between reader and converter, its length and its ground",
    Note.STRANGE: "lines come that are not in this framing: check framing and baud",
}


class Options(PortOptions):
    """Options of a wiegand reader."""

    framing: Literal["bits", "checked", "arduino", "hex", "decimal", "promag"] = Field(
        default="bits", description="how the converter writes a read"
    )
    bits: Literal[26, 34, 35, 37] | None = Field(
        default=None, description="how many bits the cards have; by default what the converter tells"
    )
    format: Literal["H10302", "H10304"] | None = Field(
        default=None, description="which format cards of 37 bits have; without it there are none"
    )
    baud: int = Field(default=_BAUD, gt=0, description="speed of the serial line")

    @model_validator(mode="after")
    def _that_go_together(self) -> Self:
        if self.framing in _SILENT_OF_LENGTH and self.bits not in (26, 34):
            raise ValueError(
                f'framing = "{self.framing}" does not tell how many bits a card has: say bits = 26 or bits = 34'
            )
        if self.framing == "hex" and self.bits not in (None, _H10301_BITS):
            raise ValueError('framing = "hex" has cards of 26 bits only')
        if self.framing not in ("bits", "checked") and (self.format is not None or self.bits in _ODD_BITS):
            raise ValueError(f'framing = "{self.framing}" has no cards of 35 or 37 bits; framing = "bits" has')
        if self.bits == _WIDE_BITS and self.format is None:
            raise ValueError(f"bits = 37 is not enough: {_NAME_IT}")
        if self.format is not None and self.bits not in (None, _WIDE_BITS):
            raise ValueError(f'format = "{self.format}" is one of 37 bits; leave bits out, or say bits = 37')
        return self


class Fares:
    """Counts what is no card; see the module's rule. `trouble` is what to say, "" while all is well."""

    def __init__(self, words: Mapping[StrEnum, str] = _WORDS, many: Mapping[StrEnum, int] = _MANY) -> None:
        self.trouble = ""
        self._words = words
        self._many = many
        self._last: StrEnum | None = None
        self._times = 0

    def see(self, said: Card | StrEnum) -> None:
        """Take what a line says."""
        if isinstance(said, Card) or (said is Note.CONNECTED and self._last is Note.DISCONNECTED):
            self.right()
        elif said in self._many:
            self._times = self._times + 1 if said == self._last else 1
            self._last = said
            if self._times >= self._many[said]:
                self.trouble = self._words[said]

    def right(self) -> None:
        """Take a card."""
        self.trouble, self._last, self._times = "", None, 0


class WiegandReader:
    """A Wiegand reader behind a converter."""

    def __init__(self, name: str, options: Options, rand: Callable[[], float]) -> None:
        self.last_heard: float | None = None
        self._name = name
        wide = Format(options.format) if options.format is not None else None
        self._expected = Expected(Framing(options.framing), options.bits, wide)
        self._opener: Opener = opener(options.port, options.baud)
        self._rand = rand

    def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        return keep(self._opener, self._serve, self._rand)

    async def _serve(self, link: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        codec, fares = WiegandCodec(self._expected), Fares()
        yield Condition(True)
        while True:
            for said in codec.feed(await link.read_within(STEP_S)):
                fares.see(said)
                yield Condition(not fares.trouble, fares.trouble and f"{link.port}: {fares.trouble}")
                if isinstance(said, Card):
                    self.last_heard = link.read_at
                    yield Sighting(self._name, said.credential, link.read_at)
            yield Quiet()


def make(name: str, options: Options, ports: Ports) -> WiegandReader:
    """The reader `name`."""
    return WiegandReader(name, options, ports.rand)


_TELLING: Final = tuple(framing for framing in Framing if framing is not Framing.HEX)
_SAID: Final = tuple(
    (framing, bits)
    for framing in (*_TELLING, Framing.HEX)  # which finds its six digits in a line of promag too
    for bits in ((_H10301_BITS, _H10306_BITS) if framing in _SILENT_OF_LENGTH else (None,))
)


def recognise(heard: Sequence[bytes]) -> list[Found]:
    """A converter in the first read that is a card, in the framing that needs least to be said."""
    for framing, bits in _SAID:
        said = WiegandCodec(Expected(framing, bits)).feed(b"".join(heard))
        read = next((one for one in said if isinstance(one, Card) or one in (Fault.UNNAMED, Fault.INVERTED)), None)
        if read is not None:
            options: dict[str, Value] = {} if framing is Framing.BITS else {"framing": str(framing)}
            return [_found(framing, options | ({} if bits is None else {"bits": bits}), read)]
    return []


def _found(framing: Framing, options: dict[str, Value], read: Card | Fault | Note) -> Found:
    converter = f'converter, framing "{framing}"'
    if read is Fault.UNNAMED:
        return Found(converter, options={**options, "format": "H10302"}, remark='or "H10304": ask who sold the cards')
    if not isinstance(read, Card):
        return Found(converter, options=options, remark=_WORDS.get(read, ""))
    guessed = "; bits is a guess: try a card whose number is known" if "bits" in options else ""
    return Found(converter, options=options, remark=f"read {read.credential}{guessed}")


PROBE: Final = Probe(recognise, speeds=(_BAUD, 115_200, 57_600, 19_200), card=True)
DRIVER: Final = Driver("wiegand", Role.READER, Options, make, probes=(PROBE,))
