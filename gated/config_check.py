"""What is wrong between the tables of a configuration, and what the models cannot see.

Everything works on the document as parsed, not on the finished `Config`: a file with a bad lane still hears about
its two drivers on one port. The rules:

- a device's driver is known for its role; its options are what that driver's model accepts;
- one port belongs to one driver; one address on it to one device; a driver without addresses has a port alone;
- devices on one port agree on what is the port's own (its speed);
- names are small letters, digits and -; hours, the time zone and the state folder are what they should be;
- no text is left that only holds a place (`usb-…`, `<port>`, CHANGE-ME).
"""

import difflib
import os
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gated import config_secret
from gated.config_problem import KeyPath, Problem, key_path, shown
from gated.config_words import NAME_RIGHT, meant
from gated.rights import Account
from protocol.topics import NAME_PATTERN

if TYPE_CHECKING:
    from drivers.registry import Advice

NO_TIMEZONE: Final = "UTC"
_ROLES: Final = {
    "barrier": "output",
    "passed": "input",
    "button": "input",
    "lamp": "output",
    "green": "output",
    "beeper": "output",
}
OURS: Final[dict[str | int, frozenset[str]]] = {"barrier": frozenset({"pulse"})}
_STATE: Final = "/var/lib/gated"
_CHIP: Final = re.compile(r"(gpiochip[0-9]+)/")
_PLACEHOLDER: Final = re.compile(r"…|\.\.\.|<[^<>]*>|\b(?:change[-_ ]?me|todo|fixme|xxx+)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A device in the document whose driver is known. Where its options are wrong, its addresses are not `known`."""

    path: KeyPath
    driver: str
    place: str
    port: str
    addresses: tuple[str, ...] = ()
    known: bool = False
    common: Mapping[str, Any] = field(default_factory=dict)


def default_state() -> Path:
    """The folder that systemd made for the daemon, else the usual one."""
    return Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or _STATE)


def default_timezone() -> str:
    """The system's time zone by name: $TZ, /etc/timezone or /etc/localtime; NO_TIMEZONE where none is set."""
    for name in (os.environ.get("TZ", "").removeprefix(":"), _etc_timezone(), _etc_localtime()):
        if name and _zone_exists(name):
            return name
    return NO_TIMEZONE


def known_driver(table: Mapping[str, Any], role: str) -> bool:
    """Whether the table names a driver that exists for this role."""
    from drivers.registry import Role, names  # noqa: PLC0415 - only a command that has a configuration pays for it

    name = table.get("driver")
    return isinstance(name, str) and name in names(Role(role))


def options(table: Mapping[str, Any], role: str) -> BaseModel:
    """The device's options, as its driver's model has them; raises pydantic's ValidationError."""
    rest = {key: value for key, value in table.items() if key != "driver"}
    accepted: BaseModel = _driver(table["driver"], role).options.model_validate(rest)
    return accepted


def files(name: str, role: str, accepted: BaseModel) -> list[tuple[str, str]]:
    """The option that says where the device is, and the device file that it names; none where that cannot be said."""
    place = _driver(name, role).place
    where = getattr(accepted, place, "")
    chip = _CHIP.match(where)
    if chip is not None:
        where = f"/dev/{chip[1]}"
    return [(place, where)] if where.startswith("/") else []


def warning(name: str, role: str, accepted: BaseModel) -> "Advice | None":
    """What of a device's options is not wrong but must not stay so, by its driver."""
    said: Advice | None = _driver(name, role).warning(accepted)
    return said


def secrets(document: Mapping[str, Any], *, check_files: bool) -> list[Problem]:
    """What is wrong with options that say where a secret stands; `check_files` also looks whether it is there."""
    found = []
    for path, table, role in _tables(document):
        for key in _driver(table["driver"], role).secrets if known_driver(table, role) else ():
            wrong = list(config_secret.problems((*path, key), table.get(key)))
            if check_files and not wrong:
                wrong = list(
                    config_secret.file_problems((*path, key), table.get(key), "correct the path, or put it there")
                )
            found += wrong
    return found


def device_fields(path: KeyPath, document: Mapping[str, Any]) -> dict[str, FieldInfo]:
    """The keys that a device's table may have for its driver; none where `path` is no device of a known driver."""
    for device, table, role in _tables(document):
        if device == path and known_driver(table, role):
            return dict(_driver(table["driver"], role).options.model_fields)
    return {}


def problems(document: Mapping[str, Any], *, check_state: bool) -> list[Problem]:
    """Everything that is wrong and that pydantic's models do not see."""
    found = [*_placeholders(document, ()), *_names(document), *_timezone(document), *_schedules(document)]
    for path, table, role in _tables(document):
        found.extend(_unknown_driver(path, table, role))
    placed = list(_placed(document))
    found.extend([*_ports(placed), *_agreed(placed)])
    if check_state:
        found.extend(_state(document))
    return found


def merged(found: Iterable[Problem]) -> list[Problem]:
    """One problem a key, the first: what was found twice is said once."""
    first: dict[KeyPath, Problem] = {}
    for problem in found:
        first.setdefault(problem.path, problem)
    return list(first.values())


def of_syntax(error: ValueError) -> Problem:
    """The error of tomllib as a problem."""
    at = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
    said = str(error).replace(at.group(0), f" in column {at.group(2)}") if at else str(error)
    return Problem(
        (), f"is no TOML: {said}", "see https://toml.io for how it is written", int(at.group(1)) if at else None
    )


def _driver(name: str, role: str) -> Any:
    from drivers.registry import Role, driver  # noqa: PLC0415 - as above

    return driver(name, Role(role))


def _tables(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any], str]]:
    """Every device's table, with its path and role."""
    for name, lane in _lanes(document):
        readers = lane.get("readers")
        for number, table in enumerate(readers if isinstance(readers, list) else []):
            if isinstance(table, dict):
                yield ("lanes", name, "readers", number), table, "reader"
        for key, role in _ROLES.items():
            if isinstance(lane.get(key), dict):
                yield ("lanes", name, key), lane[key], role
    if isinstance(document.get("fire"), dict):
        yield ("fire",), document["fire"], "input"


def _lanes(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lanes = document.get("lanes")
    for name, lane in lanes.items() if isinstance(lanes, dict) else ():
        if isinstance(lane, dict):
            yield name, lane


def _placed(document: Mapping[str, Any]) -> Iterator[_Placed]:
    for path, table, role in _tables(document):
        rest = {key: value for key, value in table.items() if key not in OURS.get(path[-1], ())}
        if not known_driver(rest, role):
            continue
        name, found = rest["driver"], _driver(rest["driver"], role)
        port = rest.get(found.place)
        if not isinstance(port, str):
            continue
        same = os.path.realpath(port) if port.startswith("/") and "\0" not in port else port
        try:
            accepted = options(rest, role)
        except ValidationError:
            yield _Placed(path, name, found.place, same)  # safe: the models report it
        else:
            common = {key: getattr(accepted, key) for key in found.common}
            address = found.address(accepted) or ()
            addresses = (address,) if isinstance(address, str) else address
            yield _Placed(path, name, found.place, same, addresses, known=True, common=common)


def _ports(devices: list[_Placed]) -> Iterator[Problem]:
    """What is shared that cannot be shared."""
    first: dict[str, _Placed] = {}
    taken: dict[str, list[_Placed]] = {}
    for device in devices:
        owner = first.setdefault(device.port, device)
        path = (*device.path, device.place)
        if owner.driver != device.driver:
            said = f'{shown(device.port)} already belongs to driver "{owner.driver}" at {key_path(owner.path)}'
            yield Problem(path, said, f"one {device.place} takes one driver")
        elif device.known:
            others = taken.setdefault(device.port, [])
            clashes = [problem for other in others if (problem := _clash(device, other)) is not None]
            yield from clashes[:1]
            if not clashes:
                others.append(device)


def _clash(device: _Placed, other: _Placed) -> Problem | None:
    """What two devices of one driver cannot both have of their port."""
    if both := [address for address in device.addresses if address in other.addresses]:
        said = f"{both[0]} of {shown(device.port)} is already used by {key_path(other.path)}"
        return Problem(device.path, said, "each address takes one device")
    if device.addresses and other.addresses:
        return None
    said = f"{shown(device.port)} is already used by {key_path(other.path)}"
    right = f'a {device.place} of driver "{device.driver}" takes one device'
    if device.addresses or other.addresses:
        right = "say at each of both which part of it is its own"
    return Problem((*device.path, device.place), said, right)


def _agreed(devices: list[_Placed]) -> Iterator[Problem]:
    """What belongs to a port and not to one device on it is the same for all of them."""
    first: dict[tuple[str, str], _Placed] = {}
    for device in devices:
        if not device.common:
            continue
        other = first.setdefault((device.driver, device.port), device)
        for key, value in device.common.items():
            if value != other.common[key]:
                said = f"is {shown(value)}, but {shown(other.common[key])} at {key_path(other.path)}"
                yield Problem((*device.path, key), said, "it belongs to the port: the same for all devices on it")


def _unknown_driver(path: KeyPath, table: Mapping[str, Any], role: str) -> Iterator[Problem]:
    from drivers.registry import Role, names  # noqa: PLC0415 - as above

    if known_driver(table, role):
        return
    known = sorted(names(Role(role)))
    if "driver" not in table:
        yield Problem((*path, "driver"), "is missing", meant("", known, f"{role} drivers"))
        return
    name = table["driver"]
    right = meant(name if isinstance(name, str) else "", known, "drivers")
    yield Problem((*path, "driver"), f"there is no {role} driver {shown(name)}", right)


def _names(document: Mapping[str, Any]) -> Iterator[Problem]:
    for table in ("lanes", "schedules"):
        found = document.get(table)
        for name in found if isinstance(found, dict) else ():
            if not re.fullmatch(NAME_PATTERN, name):
                yield Problem((table, name), f"found the name {shown(name)}", NAME_RIGHT)
            elif table == "schedules" and name == "always":
                yield Problem((table, name), 'found the name "always"', "it means all hours already; take another")


def _timezone(document: Mapping[str, Any]) -> Iterator[Problem]:
    name = document.get("timezone")
    if isinstance(name, str) and not _zone_exists(name):
        close = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
        right = f'did you mean "{close[0]}"?' if close else 'a name such as "Asia/Shanghai" would be right'
        yield Problem(("timezone",), f"there is no time zone {shown(name)}", right)


def _schedules(document: Mapping[str, Any]) -> Iterator[Problem]:
    table = document.get("schedules")
    parse = _hours_parser()
    for name, hours in table.items() if isinstance(table, dict) else ():
        for number, text in enumerate(hours if isinstance(hours, list) else []):
            if not isinstance(text, str):
                continue
            try:
                parse(text)
            except ValueError as error:
                yield Problem(("schedules", name, number), f"found {shown(text)}", str(error))


def _hours_parser() -> Callable[[str], object]:
    from gated.lanes.schedule import parse_hours  # noqa: PLC0415 - only a file with hours pays for it

    return parse_hours


def _placeholders(value: object, path: KeyPath) -> Iterator[Problem]:
    """Texts that a sample leaves for the technician to fill in."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _placeholders(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _placeholders(below, (*path, number))
    elif isinstance(value, str) and _PLACEHOLDER.search(value):
        yield Problem(path, f"found {shown(value)}, which only holds the place", "write what is really there")


def _state(document: Mapping[str, Any]) -> Iterator[Problem]:
    """The folder, or the nearest one above it, must be the daemon's to write. Nothing is made."""
    value = document.get("state")
    if value is not None and not isinstance(value, str):
        return
    folder = default_state() if value is None else Path(value)
    if not folder.is_absolute() or "\0" in str(folder):
        yield Problem(("state",), f"found {shown(str(folder))}", 'a whole path such as "/var/lib/gated" would be right')
        return
    above = folder
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    why = _hindrance(above)
    if why:
        right = (
            f"a folder that the daemon's user may write (sudo -u gated gated check), or correct {key_path(('state',))}"
        )
        yield Problem(("state",), f"{folder} cannot be written: {why}", right)


def _hindrance(folder: Path) -> str:
    """Why the daemon could make no file there; "" where it could."""
    if not folder.is_dir():
        return f"{folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} may not be written by uid {os.getuid()}"
    daemon = Account.of_daemon() if os.geteuid() == 0 else None
    return daemon.hindrance(folder) if daemon is not None else ""


def _zone_exists(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _etc_timezone() -> str:
    try:
        return Path("/etc/timezone").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""  # safe: Debian keeps this file, others only the link


def _etc_localtime() -> str:
    return os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
