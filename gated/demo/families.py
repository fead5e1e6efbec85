"""The families of readers that a demo's lanes may have: whom each reads, and how somebody is shown to its emulation."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from drivers.emulated import emulated
from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import Device, PtyHost, TcpHost
from drivers.emulated.llrp import EmulatedLlrp
from drivers.emulated.m100 import EmulatedM100
from drivers.emulated.nfc import EmulatedNfc
from drivers.emulated.osdp import EmulatedOsdp
from drivers.emulated.rsu import EmulatedRsu
from drivers.emulated.uhf18 import EmulatedUhf18
from drivers.emulated.wiegand import EmulatedWiegand
from gated.demo.day import CAR_LANES, LANES, Form, Person

KEY_BYTES: Final = 16
WALK_S: Final = 0.9
CARD_S: Final = 0.5
_CARD_EVERY_S: Final = 0.065
_VEHICLE_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Family:
    """One family. `stays_s`: so long who walks is before it; `module`: what its extra installs, where it has one."""

    name: str
    form: Form
    people: bool = True
    vehicles: bool = False
    stays_s: float = WALK_S
    module: str = ""

    def reads(self, lane: str) -> bool:
        """Whether it has its place at this lane."""
        return self.vehicles if lane in CAR_LANES else self.people


FAMILIES: Final = {
    family.name: family
    for family in (
        Family("em4100", Form.EM, stays_s=CARD_S),
        Family("uhf18", Form.EPC, vehicles=True),
        Family("m100", Form.EPC, vehicles=True),
        Family("llrp", Form.EPC, vehicles=True),
        Family("nfc", Form.UID, module="nfc"),
        Family("rsu", Form.OBU, people=False, vehicles=True),
        Family("osdp", Form.WIEGAND, module="osdp_sys"),
        Family("wiegand", Form.WIEGAND),
    )
}
DEFAULT: Final = {"walk-in": "em4100", "walk-out": "uhf18", "car-in": "uhf18", "car-out": "uhf18"}
_ON_TCP: Final = ("walk-out", "uhf18")


class UnusableFamily(LookupError):  # noqa: N818 - what is wrong
    """There is no such family, or not on this machine; the message says what to do."""


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """These names, each once. Raises UnusableFamily."""
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in FAMILIES:
            raise UnusableFamily(f"there is no family of readers {name!r}; there are {', '.join(FAMILIES)}")
        module = FAMILIES[name].module
        if module and find_spec(module) is None:
            raise UnusableFamily(f'{name} needs an extra that is not installed here: pip install "gated[{name}]"')
    return found


def deal(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The families of each lane: in this order, each to the lane with the fewest; a lane that gets none has its own.

    Those that read both people and vehicles come last: they find a place where the others have none.
    """
    dealt: dict[str, tuple[str, ...]] = dict.fromkeys(LANES, ())
    for name in sorted(names, key=lambda name: FAMILIES[name].people and FAMILIES[name].vehicles):
        family = FAMILIES[name]
        lanes = sorted(filter(family.reads, LANES), key=lambda lane: lane not in CAR_LANES)
        lane = min(lanes, key=lambda lane: len(dealt[lane]))
        dealt[lane] = (*dealt[lane], name)
    return {lane: found or (DEFAULT[lane],) for lane, found in dealt.items()}


class EmulatedReader:
    """One reader of a lane, on a line of its own. `name` is what it is called, `device` its name at the daemon."""

    def __init__(self, folder: Path, lane: str, number: int, family: Family, name: str) -> None:
        self.lane = lane
        self.family = family
        self.name = name
        self.device = f"{lane}/{number}"
        self._more = ""
        self.emulation = self._made(folder)
        tcp = isinstance(self.emulation, EmulatedLlrp) or (lane, family.name) == _ON_TCP
        link = folder / (lane if number == 0 else f"{lane}-{number}")
        self.host: PtyHost | TcpHost = TcpHost(self.emulation) if tcp else PtyHost(self.emulation, link)

    @property
    def config(self) -> str:
        """The reader in the configuration. Once it is plugged in."""
        return f'{{ driver = "{self.family.name}", port = "{self.host.port}"{self._more} }}'

    async def run(self) -> None:
        """Do what it does unasked, until cancelled."""
        if isinstance(self.emulation, EmulatedLlrp | EmulatedM100):
            await self.emulation.run(self.host)

    async def stay(self, person: Person) -> None:
        """Let somebody be before it, until cancelled."""
        shown = person.credential(self.family.form).partition(":")[2]
        device, host = self.emulation, self.host
        match device:
            case EmulatedUhf18() | EmulatedM100() | EmulatedLlrp() | EmulatedNfc():
                device.enter(shown)
                try:
                    await asyncio.Event().wait()
                finally:
                    device.leave(shown)
            case EmulatedRsu():
                host.send(device.enter(shown, person.plate))
                try:
                    while True:
                        await asyncio.sleep(_VEHICLE_EVERY_S)
                        host.send(device.announce(shown))
                finally:
                    device.leave(shown)
            case EmulatedEm4100():
                while True:
                    host.send(device.frame(shown))
                    await asyncio.sleep(_CARD_EVERY_S)
            case EmulatedWiegand() | EmulatedOsdp():
                host.send(device.line(shown))

    def _made(self, folder: Path) -> Device:
        if self.family.name != "osdp":
            return emulated(self.family.name)
        key, file = secrets.token_bytes(KEY_BYTES), folder / f"{self.device.replace('/', '-')}.key"
        file.touch(0o600)
        file.write_text(key.hex())
        self._more = f', key = "file:{file}"'
        return EmulatedOsdp(key=key)


def readers(folder: Path, names: Sequence[str]) -> Iterator[EmulatedReader]:
    """The readers of one gate, lane by lane: these families where they have been dealt. Raises DriverError."""
    for lane, families in deal(names).items():
        for number, name in enumerate(families):
            yield EmulatedReader(folder, lane, number, FAMILIES[name], f"{lane} {name}" if name in names else lane)
