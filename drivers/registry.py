"""The drivers by name. A driver's module is imported when something of that name is configured, and not before.

A built-in driver is a module here with a constant `DRIVER`, or one for each role that it has. Others come as entry
points, each a `Driver` object, in the groups `gated.readers`, `gated.barriers` and `gated.inputs`. A built-in name
cannot be taken over.
"""

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from drivers.port import Input, Output, Reader
from drivers.probe import Probe

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Role(StrEnum):
    """What a driver drives."""

    READER = "reader"
    OUTPUT = "output"
    INPUT = "input"


class UnknownDriver(LookupError):  # noqa: N818 - what happened, not a mistake
    """No driver of this name has this role; the message names those that do."""


class Ports:
    """What the drivers of one daemon share: one link for all addresses of a bus driver on one port."""

    def __init__(self, rand: Callable[[], float] = random.random) -> None:
        self.rand = rand
        self._shared: dict[Hashable, object] = {}

    def shared(self, key: Hashable, kind: type[T], make: Callable[[], T]) -> T:
        """The one object of this key, made when first asked for. One port cannot serve two kinds."""
        if key not in self._shared:
            self._shared[key] = make()
        found = self._shared[key]
        if not isinstance(found, kind):
            raise TypeError(f"{key} is shared as {type(found).__name__}, not as {kind.__name__}")
        return found


@dataclass(frozen=True, slots=True)
class Advice:
    """What of a device's options is not wrong but must not stay so, and what to do."""

    said: str
    do: str


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver as the configuration sees it.

    `options` are all keys but `driver`; `make(name, options, ports)` makes the device of a lane; `address(options)`
    names the address on a shared port ("channel 1"), or several, None where the device takes the whole port. `place` is
    the option that says where the device is, and `common` are those that all devices of one place must agree on.
    `secrets` are the options that say where a secret stands (`drivers.secret`); `warning(options)` says what is not
    wrong but must not stay so. `probes` are the ways to find its devices where nothing is configured
    yet (`gated detect`).
    """

    name: str
    role: Role
    options: type[BaseModel]
    make: Callable[[str, Any, Ports], Reader | Output | Input]
    address: Callable[[Any], str | tuple[str, ...] | None] = lambda _: None
    place: str = "port"
    common: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    warning: Callable[[Any], Advice | None] = lambda _: None
    probes: tuple[Probe, ...] = ()


_BUILT_IN: Final = {
    Role.READER: {
        "em4100": "drivers.em4100",
        "uhf18": "drivers.uhf18",
        "rsu": "drivers.rsu",
        "m100": "drivers.m100",
        "llrp": "drivers.llrp",
        "nfc": "drivers.nfc",
        "osdp": "drivers.osdp",
        "wiegand": "drivers.wiegand",
    },
    Role.OUTPUT: {
        "gpio": "drivers.gpio:OUTPUT",
        "lcus": "drivers.lcus",
        "modbus": "drivers.modbus:OUTPUT",
    },
    Role.INPUT: {
        "contact": "drivers.contact",
        "gpio": "drivers.gpio:INPUT",
        "modbus": "drivers.modbus:INPUT",
    },
}
_GROUPS: Final = {
    Role.READER: "gated.readers",
    Role.OUTPUT: "gated.barriers",
    Role.INPUT: "gated.inputs",
}


def names(role: Role) -> tuple[str, ...]:
    """The names of all drivers of this role, sorted. Imports none of them."""
    return tuple(sorted({*_BUILT_IN[role], *(point.name for point in _points(role))}))


def driver(name: str, role: Role) -> Driver:
    """The driver of this name. Raises UnknownDriver where there is none, or where it has another role."""
    if name in _BUILT_IN[role]:
        module, _, constant = _BUILT_IN[role][name].partition(":")
        found = getattr(import_module(module), constant or "DRIVER")
    elif kinds := [f"{kind}s" for kind, built_in in _BUILT_IN.items() if name in built_in]:
        raise UnknownDriver(f"{name!r} drives {' and '.join(kinds)}; {_known(role)}")
    else:
        point = next((point for point in _points(role) if point.name == name), None)
        if point is None:
            raise UnknownDriver(f"there is no {role} driver {name!r}; {_known(role)}")
        found = point.load()
    if not isinstance(found, Driver) or found.role is not role:
        raise UnknownDriver(f"what is installed as {role} driver {name!r} is none; {_known(role)}")
    return found


def make_reader(name: str, driver_name: str, options: BaseModel, ports: Ports) -> Reader:
    """The reader `name` of a lane."""
    made: Reader = driver(driver_name, Role.READER).make(name, options, ports)  # type: ignore[assignment]
    return made


def make_output(name: str, driver_name: str, options: BaseModel, ports: Ports) -> Output:
    """The output `name` of a lane."""
    made: Output = driver(driver_name, Role.OUTPUT).make(name, options, ports)  # type: ignore[assignment]
    return made


def make_input(name: str, driver_name: str, options: BaseModel, ports: Ports) -> Input:
    """The input `name` of a lane."""
    made: Input = driver(driver_name, Role.INPUT).make(name, options, ports)  # type: ignore[assignment]
    return made


def _points(role: Role) -> tuple["EntryPoint", ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 10 ms and 1 MB, for third-party drivers only

    return tuple(entry_points(group=_GROUPS[role]))


def _known(role: Role) -> str:
    return f"{role} drivers are {', '.join(names(role))}"
