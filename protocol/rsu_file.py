"""A region's field tables as a TOML file, for units that none of the built-in tables fits.

`framing` is in which C0 goes out; `setup`, `resume`, `stop` what stands behind C0, C1 and C2, as names of values and
bytes in hex; `switch` the number of the antenna's switch. Each of `frames` has a `command`, its `length` behind the
command, and the offsets of its fields. docs/hardware/rsu.md has an example.
"""

import tomllib
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.rsu import DATA_MAX_BYTES, Framing
from protocol.rsu_tables import Commands, Layout, Tables

FILE_MAX_BYTES: Final = 64 * 1024

_Offset = Annotated[int, Field(strict=True, ge=0, lt=DATA_MAX_BYTES)]


class TablesError(ValueError):
    """The file cannot be used; the message says what was wrong, where, and what would be right."""


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Literal["B2", "B3", "B4"]
    length: Annotated[int, Field(strict=True, ge=5, lt=DATA_MAX_BYTES)]
    obu: _Offset = 0
    error: Annotated[int, Field(strict=True, ge=-1, lt=DATA_MAX_BYTES)] = 4
    factor: _Offset | None = None
    plate: _Offset | None = None
    colour: _Offset | None = None
    vehicle_class: _Offset | None = Field(default=None, alias="class")

    def layout(self) -> Layout:
        """The frame as the protocol has it."""
        error = None if self.error < 0 else self.error
        places = (self.factor, self.plate, self.colour, self.vehicle_class)
        return Layout(int(self.command, 16), self.length, self.obu, error, *places)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    framing: Literal["bcc", "crc16", "park"]
    setup: str
    resume: str
    stop: str
    switch: Literal["C4", "4C"]
    wait: Annotated[int, Field(strict=True, ge=0, le=255)] = 0
    begins: Annotated[bool, Field(strict=True)] = False
    frames: Annotated[tuple[_Frame, ...], Field(min_length=1, max_length=100)]


def tables(name: str, text: str) -> Tables:
    """The tables that the file's text says. Raises TablesError."""
    try:
        file = _File.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise TablesError("; ".join(_said(detail) for detail in error.errors(include_url=False))) from error
    except RecursionError as error:
        raise TablesError("it is nested too deeply; plain keys and [[frames]] would be right") from error
    except ValueError as error:  # a number of thousands of digits is no TOMLDecodeError
        raise TablesError(f"it is no TOML: {error}") from error
    layouts = tuple(frame.layout() for frame in file.frames)
    _checked(layouts)
    return Tables(name, Framing(file.framing), layouts, _commands(file), file.wait, file.begins)


def _commands(file: _File) -> Commands:
    try:
        return Commands.of(file.setup, file.resume, file.stop, int(file.switch, 16))
    except ValueError as error:
        raise TablesError(str(error)) from error


def _checked(layouts: tuple[Layout, ...]) -> None:
    kinds: set[tuple[int, int]] = set()
    for number, layout in enumerate(layouts):
        at = f"frames[{number}] ({layout.command:02X}, {layout.length} bytes)"
        if layout.needs > layout.length:
            raise TablesError(f"{at}: its fields end at byte {layout.needs}; correct the length or the offsets")
        if (layout.command, layout.length) in kinds:
            raise TablesError(f"{at} stands there twice; one table a command and length")
        kinds.add((layout.command, layout.length))


def _said(detail: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).removeprefix(".")
    what = {"missing": "is missing", "extra_forbidden": "there is no such key"}.get(detail["type"], detail["msg"])
    return f"{place}: {what}"
