"""A line of the whitelist: one credential and when, where and how it is in force.

A list is JSON lines, sorted by `c` once published:

    {"c":"epc:E280…","h":"h7Qk2…","from":…,"until":…,"when":"always","lanes":["*"],"tid":…,"with":"plate:…"}

- Only `c` and `h` are required; `h` is a random name for the holder, nothing more.
- Times are RFC 3339 with offset and half-open: in force from `from` on and before `until`.
- `tid` demands the chip's own number, `with` a second credential in the same sighting.
- `since` suspends from that time on; with `signed` the suspension lapses `SUSPENSION_S` after it.
- `gone` marks a credential taken off the list for good; such a line needs no `h`.
- A key that is not known makes the line bad: a limit that a gate cannot read must not be passed over.

`parse` takes any writing of a line, `encode` writes the one canonical form: keys in the order above, nothing that
is the default, times in UTC. Names of hours and lanes are checked for their form only: which of them exist, the
gate knows.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from protocol.credential import Credential, CredentialError, canonical

SUSPENSION_S: Final = 72 * 3600.0
LINE_MAX_BYTES: Final = 4096
"""Far above any sensible line (about 60 bytes, 300 with every key), far below what would hurt a box."""

HOLDER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""A holder's random name."""

_SHOWN_MAX: Final = 60
_EXAMPLE: Final = '{"c":"epc:E28011…","h":"h7Qk2"}'
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_NAME: Final = re.compile(r"[\w.-]{1,64}")
_TID: Final = re.compile(r"(?:[0-9A-F]{4}){2,32}")


class LineError(ValueError):
    """The text is no line of a whitelist; the message says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the list says of a credential. Times are POSIX seconds; `lanes` holds names or `*` for all of them."""

    credential: Credential
    holder: str
    begins: float | None = None
    ends: float | None = None
    when: str = "always"
    lanes: tuple[str, ...] = ("*",)
    tid: str | None = None
    partner: Credential | None = None
    since: float | None = None
    signed: float | None = None
    gone: bool = False


def parse(line: bytes | str) -> Entry:
    """The entry that `line` writes; raises LineError, and nothing else, for whatever is not one."""
    values = read_object(line)
    for key in values:
        if key not in _KEYS:
            raise LineError(f"unknown key {_shown(key)}; known are {', '.join(_KEYS)}")
    if "c" not in values:
        raise LineError(f"c, the credential, is missing; the least of a line is {_EXAMPLE}")
    if "h" not in values and "gone" not in values:
        raise LineError(f"h, the holder's random name, is missing; the least of a line is {_EXAMPLE}")
    fields: dict[str, Any] = {"holder": ""}
    for key, value in values.items():
        field, read = _KEYS[key]
        fields[field] = read(key, value)
    entry = Entry(**fields)
    _consistent(entry)
    return entry


def encode(entry: Entry) -> bytes:
    """The entry's canonical line, without newline; `parse` gives the entry back."""
    line: dict[str, object] = {"c": entry.credential}
    if entry.holder:
        line["h"] = entry.holder
    if entry.begins is not None:
        line["from"] = write_time(entry.begins)
    if entry.ends is not None:
        line["until"] = write_time(entry.ends)
    if entry.when != "always":
        line["when"] = entry.when
    if entry.lanes != ("*",):
        line["lanes"] = entry.lanes
    line.update(_rarer(entry))
    return _ENCODER.encode(line).encode()


def _rarer(entry: Entry) -> dict[str, object]:
    rest: dict[str, object] = {}
    if entry.tid is not None:
        rest["tid"] = entry.tid
    if entry.partner is not None:
        rest["with"] = entry.partner
    if entry.since is not None:
        rest["since"] = write_time(entry.since)
    if entry.signed is not None:
        rest["signed"] = write_time(entry.signed)
    if entry.gone:
        rest["gone"] = True
    return rest


def read_object(line: bytes | str) -> dict[str, object]:
    """The JSON object that `line` is; no key twice, no number worth having. Raises LineError."""
    if len(line) > LINE_MAX_BYTES:
        raise LineError(f"the line has {len(line)} bytes; at most {LINE_MAX_BYTES} are read")
    try:
        text = line.decode() if isinstance(line, bytes) else line
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise LineError(f"not UTF-8 at byte {error.start + 1}; save the list as UTF-8") from error
    except json.JSONDecodeError as error:
        raise LineError(f"not JSON at column {error.colno}: {error.msg}; a line looks like {_EXAMPLE}") from error
    except RecursionError as error:
        raise LineError(f"not a line: nested too deep; a line looks like {_EXAMPLE}") from error
    if not isinstance(value, dict):
        raise LineError(f"a line is one JSON object, like {_EXAMPLE}, not {_shown(value)}")
    return value


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise LineError(f"the key {_shown(twice)} is there twice; each key comes once")
    return values


def _no_constant(name: str) -> NoReturn:
    raise LineError(f"{name} is not JSON; a line looks like {_EXAMPLE}")


def _no_int(_: str) -> int:
    """Stands for any integer: no key takes a number, and one of a thousand digits is not worth converting."""
    return 0


def _credential(key: str, value: object) -> Credential:
    if not isinstance(value, str):
        raise LineError(f'{key} is {_shown(value)}; it is a credential in quotes, like "em:0A00A1B2C3"')
    try:
        return canonical(value)
    except CredentialError as error:
        raise LineError(f"{key}: {error}") from error


def _holder(key: str, value: object) -> str:
    if not isinstance(value, str) or not HOLDER.fullmatch(value):
        raise LineError(f"{key} is {_shown(value)}; it is a random name of 1 to 64 letters a-z, digits, and . _ -")
    return value


def read_time(key: str, value: object) -> float:
    """The POSIX seconds that the value of `key` writes. Raises LineError."""
    text = value if isinstance(value, str) else ""
    if not _RFC3339.fullmatch(text):
        raise LineError(
            f"{key} is {_shown(value)}; it is a time with seconds and an offset, like 2026-11-24T08:00:00+08:00"
        )
    try:
        moment = datetime.fromisoformat(text.upper())
        seconds = (moment - _EPOCH) / timedelta(seconds=1)
        _EPOCH + timedelta(seconds=seconds)  # what encode will do must be possible
    except (ValueError, OverflowError) as error:
        raise LineError(f"{key} is {_shown(value)}: no such time ({error})") from error
    if seconds < 0:
        raise LineError(f"{key} is {_shown(value)}; times before 1970 are not taken")
    return seconds


def _when(key: str, value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise LineError(f'{key} is {_shown(value)}; it is "always" or the name of hours, like "workdays"')
    return value


def _lanes(key: str, value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) and value else [None]
    if not all(isinstance(name, str) and (name == "*" or _NAME.fullmatch(name)) for name in names):
        raise LineError(f'{key} is {_shown(value)}; it is a list of names, like ["walk-in"], or ["*"] for all')
    if len(set(names)) != len(names) or ("*" in names and len(names) > 1):
        raise LineError(f'{key} is {_shown(value)}; each name comes once, and "*" stands alone')
    return tuple(names)


def _tid(key: str, value: object) -> str:
    if not isinstance(value, str) or not _TID.fullmatch(value):
        raise LineError(f"{key} is {_shown(value)}; it is 8 or more upper-case hex digits, whole 16-bit words")
    return value


def _gone(key: str, value: object) -> bool:
    if value is not True:
        raise LineError(f"{key} is {_shown(value)}; it is true, or left out")
    return True


def _consistent(entry: Entry) -> None:
    """Each value is right by itself; whether they fit each other."""
    if entry.begins is not None and entry.ends is not None and entry.begins >= entry.ends:
        raise LineError("from is not before until: the entry would never be in force; exchange the two")
    if entry.partner == entry.credential:
        raise LineError("with names the credential itself; it names the second one that must be read with it")
    if entry.signed is None:
        return
    if entry.since is None:
        raise LineError("signed without since; a suspension has both, or since alone")
    if entry.signed > entry.since + SUSPENSION_S:
        raise LineError("signed is more than 72 h after since; a suspension is renewed by the signers, not by itself")


def write_time(seconds: float) -> str:
    """The canonical writing of a time: RFC 3339 in UTC."""
    text = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except RecursionError:  # decoding it went just deep enough
        text = "nested too deep"
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


_KEYS: Final[dict[str, tuple[str, Callable[[str, object], object]]]] = {
    "c": ("credential", _credential),
    "h": ("holder", _holder),
    "from": ("begins", read_time),
    "until": ("ends", read_time),
    "when": ("when", _when),
    "lanes": ("lanes", _lanes),
    "tid": ("tid", _tid),
    "with": ("partner", _credential),
    "since": ("since", read_time),
    "signed": ("signed", read_time),
    "gone": ("gone", _gone),
}
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=_no_int)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
