"""The whitelist repository of a site, as both sides know it: names, bounds, and the one message that carries it.

It is a TUF repository (specification 1.0) with consistent snapshots:

- `root` and `targets` are signed by k of n offline keys, `snapshot` and `timestamp` by the center's own.
- Delegated from `targets`, each for one file only: `enrolments`, `suspensions`, `expected`.
- Targets have fixed names. What a gate must know of one before it reads it stands in `custom`, under the signature:
  for the list `version`, `as_of`, `result_sha256`, `entries`, `bytes`, `previous`, `deltas` and, as the signers'
  explicit word, `shrinks` and `unequal`; for a delta `version`, `base`, `base_sha256`, `result_sha256`, `bytes`.

The message on `whitelist/repo` is one JSON object of file names and their text, every root since the first among
them. It is not signed: each of its files is.

No pydantic here: a gate starts a process for each flash, and importing it would take as long as all else together.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

WHITELIST: Final = "whitelist.jsonl.zst"
GATES: Final = "gates.json"
DOCUMENTS: Final = ("policy.json", "operators.json", GATES, "guards.json")
ENROLMENTS: Final = "enrolments"
SUSPENSIONS: Final = "suspensions"
EXPECTED: Final = "expected"
FILE_OF: Final = {ENROLMENTS: "enrolments.jsonl", SUSPENSIONS: "suspensions.jsonl", EXPECTED: "expected.bin"}
"""Each delegated role's only target."""

ROOT_LIFE_S: Final = 2 * 365 * 86400.0
TARGETS_LIFE_S: Final = 365 * 86400.0
SNAPSHOT_LIFE_S: Final = 7 * 86400.0
TIMESTAMP_LIFE_S: Final = 86400.0

MESSAGE_MAX_BYTES: Final = 1024 * 1024
"""Of the whole repository: a root of eleven keys has about 5 kB."""
ROOT_MAX_BYTES: Final = 64 * 1024
TIMESTAMP_MAX_BYTES: Final = 8 * 1024
SNAPSHOT_MAX_BYTES: Final = 32 * 1024
TARGETS_MAX_BYTES: Final = 256 * 1024
DOCUMENT_MAX_BYTES: Final = 1024 * 1024
ROLE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Of enrolments or suspensions: 1 % of a million lines and more."""
LIST_MAX_BYTES: Final = 512 * 1024 * 1024
"""Of a list, uncompressed; the compressed one is never longer."""
ENTRIES_MAX: Final = 2_000_000
_FILES_MAX: Final = 1000
_VERSIONS: Final = (1, 2**53 - 1)
_TEXT_MAX: Final = 1000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class MalformedError(ValueError):
    """The repository's message, or what is said of a target, cannot be read; the message says what is wrong."""


class _Said:
    """What stands in the `custom` of a target. A key that is not known is passed over: a newer center may say more."""

    __slots__ = ()

    @classmethod
    def read(cls, custom: object) -> Self:
        """What is said. Raises MalformedError."""
        values = custom if isinstance(custom, dict) else {}
        said = {name: values[name] for name in cls.known() if name in values}
        try:
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in said.items()})
        except TypeError as error:
            raise MalformedError(f"something is missing of what is said: {error}") from error

    @classmethod
    def known(cls) -> tuple[str, ...]:
        """The keys that are known."""
        return tuple(field.name for field in fields(cls))  # type: ignore[arg-type]  # each of them is a dataclass

    def custom(self) -> dict[str, Any]:
        """What is to stand there: JSON, without what is None."""
        values = {name: getattr(self, name) for name in self.known()}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTarget(_Said):
    """What `custom` says of the list. Raises MalformedError where that cannot be."""

    version: int
    """Its number."""
    as_of: str
    """The moment whose state of affairs it writes down."""
    result_sha256: str
    """Of its lines."""
    entries: int
    """How many lines it has."""
    bytes: int
    """How long its lines are together."""
    previous: int | None = None
    """The list that it was made from."""
    shrinks: bool = False
    """The signers' word that it takes out more than a tenth of the one before."""
    unequal: bool = False
    """The signers' word that it treats categories of holders differently."""
    deltas: tuple[str, ...] = ()
    """The names of its deltas."""

    def __post_init__(self) -> None:
        _number("version", self.version, *_VERSIONS)
        _number("entries", self.entries, 0, ENTRIES_MAX)
        _number("bytes", self.bytes, 0, LIST_MAX_BYTES)
        if self.previous is not None:
            _number("previous", self.previous, *_VERSIONS)
        _text("as_of", self.as_of)
        _hash("result_sha256", self.result_sha256)
        _kind("shrinks", self.shrinks, bool)
        _kind("unequal", self.unequal, bool)
        _kind("deltas", self.deltas, tuple)
        for name in self.deltas:
            _text("deltas", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaTarget(_Said):
    """What `custom` says of a delta. Raises MalformedError where that cannot be."""

    version: int
    """The list that it makes."""
    base: int
    """The list that it is applied to."""
    base_sha256: str
    """Of that list's lines."""
    result_sha256: str
    """Of the lines of the list that it makes."""
    bytes: int
    """How long its lines are together."""

    def __post_init__(self) -> None:
        _number("version", self.version, *_VERSIONS)
        _number("base", self.base, *_VERSIONS)
        _number("bytes", self.bytes, 0, LIST_MAX_BYTES)
        _hash("base_sha256", self.base_sha256)
        _hash("result_sha256", self.result_sha256)


def delta_name(base: int, version: int) -> str:
    """The target that turns one list into the other."""
    return f"whitelist.{base}-{version}.jsonl.zst"


def encode(files: Mapping[str, bytes]) -> bytes:
    """The message that carries these files. Raises ValueError where it would be too long for a gate to take."""
    message = json.dumps(
        {name: data.decode() for name, data in files.items()}, ensure_ascii=False, separators=(",", ":")
    ).encode()
    if len(message) > MESSAGE_MAX_BYTES:
        raise ValueError(f"the repository has {len(message)} bytes; gates take {MESSAGE_MAX_BYTES}")
    return message


def decode(message: bytes) -> dict[str, bytes]:
    """The files that a message carries; not one of them is to be trusted yet. Raises MalformedError."""
    if len(message) > MESSAGE_MAX_BYTES:
        raise MalformedError(f"the repository has {len(message)} bytes; at most {MESSAGE_MAX_BYTES} are read")
    try:
        files: Any = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise MalformedError("the repository's message is no JSON object") from error
    if not isinstance(files, dict) or len(files) > _FILES_MAX:
        raise MalformedError("the repository's message is no JSON object of files")
    if not all(isinstance(text, str) for text in files.values()):
        raise MalformedError("a file of the repository's message is no text")
    return {name: text.encode(errors="surrogatepass") for name, text in files.items()}


def _number(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise MalformedError(f"{name} is no number from {least} to {most}")


def _kind(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise MalformedError(f"{name} is of another kind")


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > _TEXT_MAX:
        raise MalformedError(f"{name} is no text of at most {_TEXT_MAX} characters")


def _hash(name: str, value: object) -> None:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise MalformedError(f"{name} is no sha256")
