"""The configuration of one gate: a TOML file, checked whole before anything is touched.

`load` gives a frozen `Config` or raises `ConfigError` with every error at once. What it means that a value is right
is said in three places:

- the shape of each table: the pydantic models here, and each driver's own model for the options of its devices;
- what only shows between tables (two drivers on one port, a time zone that does not exist): `gated.config_check`;
- what a healthy file may still be told (a device that is not plugged in): `warnings`.

Loading opens no device and makes no file. Only `state` is looked at, and only whether it could be written.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from drivers.port import Colour
from gated import config_center, config_check, config_fire, config_secret
from gated.config_problem import ConfigError, ConfigUnreadableError, KeyPath, Problem, key_path, located, shown
from gated.config_words import Fields, model_at, of_pydantic
from gated.lanes.signals import TABLE, Outcome, Table, colour_alone
from protocol.topics import NAME_PATTERN

if TYPE_CHECKING:
    from drivers.registry import Advice

__all__ = ["Config", "ConfigError", "ConfigUnreadableError", "LaneConfig", "load", "warnings"]

DEFAULT_PATH: Final = Path("/etc/gated/gated.toml")
FILE_MAX_BYTES: Final = 256 * 1024
_GONE_S: Final = {"uhf18": 3.0, "em4100": 0.3, "rsu": 25.0}  # some ETC units tell the same one every 20 s only
_GONE_OTHER_S: Final = 3.0
_NTAG424: Final[KeyPath] = ("cards", "ntag424")

Name = Annotated[str, StringConstraints(strict=True, pattern=NAME_PATTERN)]
Flag = Annotated[bool, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=86_400, allow_inf_nan=False)]
Pulse = Annotated[float, Field(strict=True, ge=0.1, le=10, allow_inf_nan=False)]


class _Table(BaseModel):
    """What all tables share: frozen, and a key that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DeviceConfig(_Table):
    """One device: a driver's name, and the options that the driver's own model has accepted."""

    role: ClassVar[str]
    own: ClassVar[frozenset[str]] = frozenset()

    driver: str
    """Which driver speaks to it."""
    options: SerializeAsAny[BaseModel]
    """All other keys of the table."""

    @model_validator(mode="before")
    @classmethod
    def _of_table(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            raise PydanticCustomError("device", 'a table { driver = "…", port = "…" } would be right')
        if not config_check.known_driver(table, cls.role):
            raise PydanticCustomError("no_driver", "config_check says which there are")
        ours = {key: value for key, value in table.items() if key in cls.own}
        rest = {key: value for key, value in table.items() if key not in cls.own}
        return {**ours, "driver": table["driver"], "options": config_check.options(rest, cls.role)}


class ReaderConfig(DeviceConfig):
    """A reader."""

    role = "reader"


class OutputConfig(DeviceConfig):
    """A relay contact that we close."""

    role = "output"


class InputConfig(DeviceConfig):
    """A contact that we watch."""

    role = "input"


class FireConfig(InputConfig):
    """The fire input: a contact that is closed while all is well."""


class BarrierConfig(OutputConfig):
    """The contact that opens a barrier, and for how long it is closed."""

    own = config_check.OURS["barrier"]

    pulse: Pulse = 0.5
    """How long the contact is closed to open the barrier, in seconds, 0.1 to 10."""


def _default_gone(data: dict[str, Any]) -> float:
    return max((_GONE_S.get(reader.driver, _GONE_OTHER_S) for reader in data["readers"]), default=_GONE_OTHER_S)


class LaneConfig(_Table):
    """One lane: what passes it, which way, and its devices. Times are seconds."""

    kind: Literal["person", "vehicle"]
    """What passes here: "person" or "vehicle"."""
    direction: Literal["in", "out"]
    """Which way it goes: "in" or "out"."""
    readers: Annotated[tuple[ReaderConfig, ...], Field(min_length=1)]
    """The lane's readers, at least one: `[ { driver = "…", port = "…" } ]`."""
    barrier: BarrierConfig | None = None
    """The contact that opens the barrier. Without it the lane only reads and records."""
    passed: InputConfig | None = None
    """The sensor behind the barrier that sees them go through, and who does so without leave."""
    button: InputConfig | None = None
    """A button that opens the lane."""
    lamp: OutputConfig | None = None
    """A lamp, red as a rule: lit while one who is flagged stands at the lane, and while the lane does not work."""
    green: OutputConfig | None = None
    """A green lamp: lit for a moment when somebody is let through."""
    beeper: OutputConfig | None = None
    """A beeper: sounds as the table of signals says."""
    gone: Seconds = Field(default_factory=_default_gone)
    """After how long without a read somebody counts as gone, in seconds."""
    stale: Seconds = 2.0
    """A read older than this, in seconds, opens nothing by itself."""
    repeat: Seconds = 60.0
    """Within this time, in seconds, an admitted credential is flagged at another lane of the same direction."""
    timeout: Seconds = 20.0
    """How long a vehicle has its turn, and who was let through is waited for at the sensor, in seconds."""
    hold: Seconds = 30.0
    """How long one who is flagged stays on the guard's list after being last seen, in seconds."""
    turnstile: Flag = False
    """true: openings queue one behind the other; false: an opening during an opening makes it longer."""

    @property
    def devices(self) -> tuple[tuple[str, DeviceConfig], ...]:
        """Every device with its key below the lane: `("readers[0]", …), ("barrier", …)`."""
        single = (("barrier", self.barrier), ("passed", self.passed), ("button", self.button))
        readers = tuple((f"readers[{number}]", reader) for number, reader in enumerate(self.readers))
        return (*readers, *((key, device) for key, device in single if device is not None), *self.lights)

    @property
    def lights(self) -> tuple[tuple[str, OutputConfig], ...]:
        """The lane's lamps and its beeper, with their keys."""
        lights = (("lamp", self.lamp), ("green", self.green), ("beeper", self.beeper))
        return tuple((key, device) for key, device in lights if device is not None)


class SignalConfig(_Table):
    """What of an outcome's signal is to be another than by default."""

    colour: Colour | None = None
    """The lamp: "green", "amber", "red" or "off"."""
    blink: Flag | None = None
    """true: the lamp blinks."""
    beeps: Annotated[int, Field(strict=True, ge=0, le=5)] | None = None
    """How often it beeps, 0 to 5."""
    seconds: Annotated[float, Field(strict=True, gt=0, le=30, allow_inf_nan=False)] | None = None
    """How long it is shown, in seconds, up to 30."""


class ClockConfig(_Table):
    """Who says whether the wall clock is right."""

    source: Literal["auto", "timesyncd", "chrony", "none"] = "auto"
    """Who keeps the clock: "auto" looks, "none" means that nobody does."""


class JournalConfig(_Table):
    """How the journal is kept."""

    keep_days: Annotated[int, Field(strict=True, ge=1, le=36_500)] = 90
    """How many days an event is kept, in days."""


class CenterConfig(_Table):
    """How the center is reached; `gated setup` writes this table."""

    broker: Annotated[str, Field(strict=True)]
    """The broker's address: "mqtts://HOST:8883"."""
    username: Annotated[str, Field(strict=True, min_length=1, max_length=100)]
    """The gate's account at the broker."""
    password: Annotated[str, Field(strict=True)]
    """Where its password stands: "file:/path" or "credential:NAME"."""
    ca: Path | None = None
    """The file of the authority that vouches for the broker. Without it those that the system trusts."""
    certificate: Path | None = None
    """The file of a client certificate, where the broker asks for one."""
    key: Path | None = None
    """The file of that certificate's key."""


class CardsConfig(_Table):
    """Cards that prove themselves by keys that the gate is given."""

    ntag424: Annotated[str, Field(strict=True)] | None = None
    """Where the site's keys of NTAG 424 DNA chips stand: "file:/path" or "credential:NAME"."""


class Config(_Table):
    """One gate."""

    site: Name
    """The community's name: small letters, digits and -."""
    gate: Name
    """The gate's name: small letters, digits and -."""
    state: Path = Field(default_factory=config_check.default_state)
    """The folder for the journal and the whitelist."""
    timezone: str = Field(default_factory=config_check.default_timezone)
    """The time zone's name, such as "Asia/Shanghai"."""
    schedules: dict[str, tuple[str, ...]] = {}
    """Named hours that the whitelist's `when` refers to."""
    holidays: tuple[Annotated[date, Field(strict=True)], ...] = ()
    """The days that count as holidays, as dates: `[2026-10-01, 2026-10-02]`."""
    fire: FireConfig | None = None
    """The fire input, normally closed: open, broken or lost it holds every barrier open."""
    lanes: Annotated[dict[str, LaneConfig], Field(min_length=1)]
    """The lanes, at least one: a table `[lanes.NAME]` each."""
    signals: dict[Outcome, SignalConfig] = {}
    """What lamps and beepers show, where it is to be another than by default: a table `[signals.OUTCOME]` each."""
    clock: ClockConfig = ClockConfig()
    """Who says whether the wall clock is right."""
    journal: JournalConfig = JournalConfig()
    """How the journal is kept."""
    cards: CardsConfig = CardsConfig()
    """Cards that prove themselves by keys that the gate is given."""
    center: CenterConfig | None = None
    """How the center is reached. Without it the gate runs alone."""

    @property
    def devices(self) -> tuple[tuple[str, DeviceConfig], ...]:
        """Every device with its key: `("lanes.walk-in.readers[0]", …), …, ("fire", …)`."""
        of_lanes = tuple(
            (f"{key_path(('lanes', name))}.{key}", device)
            for name, lane in self.lanes.items()
            for key, device in lane.devices
        )
        return of_lanes if self.fire is None else (*of_lanes, ("fire", self.fire))

    @field_validator("signals")
    @classmethod
    def _not_by_colour_alone(cls, changed: dict[Outcome, SignalConfig]) -> dict[Outcome, SignalConfig]:
        if (same := colour_alone(_table(changed))) is not None:
            raise ValueError(
                f"let {same} differ from admit by blink or beeps: many people cannot tell the colours apart"
            )
        return changed

    @property
    def table(self) -> Table:
        """What lamps and beepers show."""
        return _table(self.signals)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.timezone)


def _table(changed: Mapping[Outcome, SignalConfig]) -> Table:
    return {
        outcome: replace(signal, **changed[outcome].model_dump(exclude_none=True)) if outcome in changed else signal
        for outcome, signal in TABLE.items()
    }


def load(path: Path, *, check_state: bool = True, check_files: bool = False) -> Config:
    """The configuration in `path`; raises ConfigError with everything that is wrong.

    `check_state=False` leaves out whether the state folder could be written: whoever uses it finds that out.
    `check_files=True` looks for the files that `[center]` names as well; a gate without them still runs, alone.
    """
    text, document = _parsed(path)
    problems = config_check.problems(document, check_state=check_state)
    problems += config_center.problems(document, check_files=check_files)
    problems += config_fire.problems(document)
    problems += config_check.secrets(document, check_files=check_files)
    problems += _cards(document, check_files=check_files)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        problems += of_pydantic(error, document, lambda table: _fields_at(table, document))
    else:
        if not problems:
            return config
    raise ConfigError(path, located(text, config_check.merged(problems)))


def _cards(document: dict[str, Any], *, check_files: bool) -> list[Problem]:
    table = document.get("cards")
    source = table.get("ntag424") if isinstance(table, dict) else None
    found = list(config_secret.problems(_NTAG424, source))
    if check_files and not found:
        found = list(config_secret.file_problems(_NTAG424, source, "correct the path, or put the two keys there"))
    return found


def warnings(config: Config) -> list[str]:
    """What is not wrong but worth a look: devices that are not there, and a time zone nobody chose."""
    found = [
        f"{key}.{place}: {shown(getattr(device.options, place))} is not there;"
        f" plug the device in or correct the {place}"
        for key, device in config.devices
        for place, file in config_check.files(device.driver, device.role, device.options)
        if not Path(file).exists()
    ]
    found += [
        f"{key_path(('lanes', name))}.button: it opens the way in for whoever presses it, and nothing while the journal"
        " cannot be written; mount it in the guard's reach and nobody else's"
        for name, lane in config.lanes.items()
        if lane.direction == "in" and lane.button is not None
    ]
    found += [f"{key}: {advice.said}; {advice.do}" for key, advice in device_warnings(config)]
    found += config_center.warnings(config.center.broker) if config.center is not None else []
    if "timezone" not in config.model_fields_set and config.timezone == config_check.NO_TIMEZONE:
        found.append('timezone: this system has none set, so UTC is used; add timezone = "Asia/Shanghai" or yours')
    return found


def device_warnings(config: Config) -> "list[tuple[str, Advice]]":
    """What of the devices' options must not stay so, as their drivers say, with the device's key."""
    said = (
        (f"{key_path(('lanes', name))}.{key}", config_check.warning(device.driver, device.role, device.options))
        for name, lane in config.lanes.items()
        for key, device in lane.devices
    )
    return [(key, advice) for key, advice in said if advice is not None]


def _fields_at(table: KeyPath, document: dict[str, Any]) -> Fields:
    """The keys that the table at this path may have."""
    fields = model_at(Config, table).model_fields
    if "options" not in fields:
        return fields
    ours = {key: field for key, field in fields.items() if key != "options"}
    return ours | config_check.device_fields(table, document)


def _parsed(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        problem = Problem((), f"cannot be read: {error.strerror}", _advice(error))
        raise ConfigUnreadableError(path, [problem]) from error
    if len(raw) > FILE_MAX_BYTES:
        raise ConfigError(path, [Problem((), f"takes {len(raw)} bytes", f"at most {FILE_MAX_BYTES} are right")])
    try:
        text = raw.decode()
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, [Problem((), "is not UTF-8", "save the file as UTF-8", line)]) from error
    except RecursionError as error:
        raise ConfigError(path, [Problem((), "is nested too deeply", "write plain tables and lists")]) from error
    except ValueError as error:
        raise ConfigError(path, [config_check.of_syntax(error)]) from error


def _advice(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"run the command as its owner: sudo -u gated gated … (you are uid {os.getuid()})"
    if isinstance(error, FileNotFoundError):
        return "name another file with -c FILE, or copy config/gate.toml there"
    return "a readable TOML file would be right"
