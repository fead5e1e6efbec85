"""The whitelist repository of a site, as both sides know it: names, bounds, and the one message that carries it.

It is a TUF repository (specification 1.0) with consistent snapshots:

- `root` and `targets` are signed by k of n offline keys, `snapshot` and `timestamp` by the center's own.
- Delegated from `targets`, each for one file only: `enrolments`, `suspensions`, `expected`.
- Targets have fixed names. What a gate must know of one before it reads it stands in `custom`, under the signature:
  for the list `version`, `as_of`, `result_sha256`, `entries`, `bytes`, `previous`, `deltas` and, as the signers'
  explicit word, `shrinks` and `unequal`; for a delta `version`, `base`, `base_sha256`, `result_sha256`, `bytes`.

The message on `whitelist/repo` is one JSON object of file names and their text, every root since the first among
them. It is not signed: each of its files is.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from protocol.message import Hash, Message, MessageError, Text

WHITELIST: Final = "whitelist.jsonl.zst"
DOCUMENTS: Final = ("policy.json", "operators.json", "gates.json", "guards.json")
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

Version = Annotated[int, Field(ge=1, lt=2**53)]


class ListTarget(Message):
    """What `custom` says of the list."""

    version: Version
    """Its number."""
    as_of: Text
    """The moment whose state of affairs it writes down."""
    result_sha256: Hash
    """Of its lines."""
    entries: Annotated[int, Field(ge=0, le=ENTRIES_MAX)]
    """How many lines it has."""
    bytes: Annotated[int, Field(ge=0, le=LIST_MAX_BYTES)]
    """How long its lines are together."""
    previous: Version | None = None
    """The list that it was made from."""
    shrinks: bool = False
    """The signers' word that it takes out more than a tenth of the one before."""
    unequal: bool = False
    """The signers' word that it treats categories of holders differently."""
    deltas: tuple[Text, ...] = ()
    """The names of its deltas."""


class DeltaTarget(Message):
    """What `custom` says of a delta."""

    version: Version
    """The list that it makes."""
    base: Version
    """The list that it is applied to."""
    base_sha256: Hash
    """Of that list's lines."""
    result_sha256: Hash
    """Of the lines of the list that it makes."""
    bytes: Annotated[int, Field(ge=0, le=LIST_MAX_BYTES)]
    """How long its lines are together."""


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
    """The files that a message carries; not one of them is to be trusted yet. Raises MessageError."""
    if len(message) > MESSAGE_MAX_BYTES:
        raise MessageError(f"the repository has {len(message)} bytes; at most {MESSAGE_MAX_BYTES} are read")
    try:
        files: Any = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise MessageError("the repository's message is no JSON object") from error
    if not isinstance(files, dict) or len(files) > _FILES_MAX:
        raise MessageError("the repository's message is no JSON object of files")
    if not all(isinstance(text, str) for text in files.values()):
        raise MessageError("a file of the repository's message is no text")
    return {name: text.encode(errors="surrogatepass") for name, text in files.items()}
