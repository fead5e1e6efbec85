"""expected.bin: the visitors that are announced to the gates, sealed to each of them. Signed by the role `expected`.

    {"visitors":[{"id":"k3f9x2ma","name":"王明","people":2,"plate":"plate:沪A12345","visits":"12-501","note":"",
                  "from":"2026-11-24T06:00:00Z","until":"2026-11-24T16:00:00Z"}]}

- It helps a guard to fill in a registration. It admits nobody: no decision reads it.
- `from` and `until` are half-open. `until` is at most `AHEAD_S` ahead; a gate that finds one further ahead takes none.
- The JSON is padded before it is sealed (`protocol.lockbox`): to `PADDED_BYTES`, or to the next doubling of it. Some
  hundred visitors or none have the same length; twice as many may have twice the length.
- What is wrong with a document is said without anything out of it: it may come to stand in a log.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from protocol import lockbox
from protocol.credential import CredentialError, canonical
from protocol.lockbox import RECIPIENTS_MAX, WRAPPED_BYTES, LockboxError, NotForUsError, Purpose
from protocol.message import Id, Message, MessageError
from protocol.whitelist import LineError, read_time

AHEAD_S: Final = 30 * 86400.0
VISITORS_MAX: Final = 2000
PEOPLE_MAX: Final = 99
DOCUMENT_MAX_BYTES: Final = 512 * 1024 - 4
PADDED_BYTES: Final = 32 * 1024
"""Of 250 bytes each, that is 130 visitors."""
SEALED_MAX_BYTES: Final = 512 * 1024 + RECIPIENTS_MAX * WRAPPED_BYTES + 1024
_LENGTH_BYTES: Final = 4
_WHAT: Final = "expected"


class ExpectedError(ValueError):
    """Such a visitor cannot be announced, or the bytes are no such document for this gate; the message says why."""


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only what can be printed, on one line, would be right")
    return text


def _plate(text: str) -> str:
    try:
        if not text.startswith("plate:"):
            raise ValueError("a plate would be right")
        return canonical(text)
    except CredentialError:
        raise ValueError("a plate would be right") from None


def _time(text: str) -> str:
    try:
        read_time("", text)
    except LineError:
        raise ValueError("a time with seconds and an offset would be right") from None
    return text


class Visitor(Message):
    """Somebody who is announced."""

    id: Id
    """Random; by it the announcement is withdrawn."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(_plain)]
    """Who comes."""
    people: Annotated[int, Field(ge=1, le=PEOPLE_MAX)] = 1
    """How many come together."""
    plate: Annotated[str, AfterValidator(_plate)] | None = None
    """The plate of their vehicle, as a credential."""
    visits: Annotated[str, StringConstraints(max_length=100), AfterValidator(_plain)] = ""
    """Whom they visit: in words, or a holder's random name."""
    note: Annotated[str, StringConstraints(max_length=200), AfterValidator(_plain)] = ""
    """What else the guard should know."""
    begins: Annotated[str, Field(alias="from"), AfterValidator(_time)]
    """From when on they may come."""
    until: Annotated[str, AfterValidator(_time)]
    """From when on they are expected no longer."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.begins_s >= self.until_s:
            raise ValueError("until is not after from")
        return self

    @property
    def begins_s(self) -> float:
        """`from` as POSIX seconds."""
        return read_time("from", self.begins)

    @property
    def until_s(self) -> float:
        """`until` as POSIX seconds."""
        return read_time("until", self.until)


class ExpectedDocument(Message):
    """All who are announced."""

    visitors: Annotated[tuple[Visitor, ...], Field(max_length=VISITORS_MAX)] = ()
    """No id twice."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({one.id for one in self.visitors}) != len(self.visitors):
            raise ValueError("an id is there twice")
        return self


def visitor(values: Mapping[str, Any]) -> Visitor:
    """The visitor of these fields, as the document writes them. Raises ExpectedError that names the field."""
    try:
        return Visitor.from_bytes(json.dumps(dict(values)).encode())
    except MessageError as error:
        raise ExpectedError(str(error)) from error


def refuse_ahead(visitors: Iterable[Visitor], today: float) -> None:
    """Raises ExpectedError where one is announced for longer ahead than may be; `today` in POSIX seconds."""
    if any(one.until_s > today + AHEAD_S for one in visitors):
        raise ExpectedError(f"until is more than {AHEAD_S / 86400:g} days ahead")


def encode(visitors: Iterable[Visitor]) -> bytes:
    """The document, not sealed. Raises ExpectedError where it is more than gates take."""
    found = tuple(visitors)
    if len(found) > VISITORS_MAX:
        raise ExpectedError(f"{len(found)} visitors are announced; gates take {VISITORS_MAX}")
    data = ExpectedDocument(visitors=found).to_bytes()
    if len(data) > DOCUMENT_MAX_BYTES:
        raise ExpectedError(f"the visitors announced have {len(data)} bytes; gates take {DOCUMENT_MAX_BYTES}")
    return data


def seal(visitors: Iterable[Visitor], site: str, gates: Mapping[str, bytes]) -> bytes:
    """The file, for the gates with these X25519 public keys. Raises ExpectedError."""
    data = encode(visitors)
    plain = len(data).to_bytes(_LENGTH_BYTES) + data
    padded = PADDED_BYTES
    while padded < len(plain):
        padded *= 2
    try:
        return lockbox.seal(plain.ljust(padded, b"\0"), Purpose(_WHAT, site), gates)
    except LockboxError as error:
        raise ExpectedError(str(error)) from error


def unseal(data: bytes, site: str, gate: str, private: X25519PrivateKey) -> tuple[Visitor, ...]:
    """Who is announced, for the gate with this key. Raises ExpectedError, and nothing else, whatever the bytes are."""
    if len(data) > SEALED_MAX_BYTES:
        raise ExpectedError(f"it has {len(data)} bytes; {SEALED_MAX_BYTES} are taken")
    try:
        plain = lockbox.open_(data, Purpose(_WHAT, site), gate, private)
    except NotForUsError as error:
        raise ExpectedError("it is not sealed to this gate's key") from error
    except LockboxError as error:
        raise ExpectedError(str(error)) from error
    length = int.from_bytes(plain[:_LENGTH_BYTES])
    if not _LENGTH_BYTES + length <= len(plain):
        raise ExpectedError("it is damaged: its length does not fit")
    try:
        return ExpectedDocument.from_bytes(plain[_LENGTH_BYTES : _LENGTH_BYTES + length]).visitors
    except MessageError as error:
        raise ExpectedError(str(error)) from error
