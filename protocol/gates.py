"""gates.json: whose keys are whose. Signed as a target of the repository.

    {"version":3,"as_of":"2026-11-28T08:00:00Z","center":["<64 hex digits>"],
     "gates":[{"name":"north","key":"<64 hex digits>","seal":"<64 hex digits>"}]}

- A gate believes what is signed by any of the center's keys that are listed; there is at least one, and two while one
  takes the other's place. Which of the center's keys came with the enrolment file counts no more.
- The center takes a gate's keys from here as well: a database from an old backup may not know them.
- A document older than a gate's enrolment file says nothing of that gate's box (`tells_of`): the file came later.

A document that is wrong anywhere is wrong as a whole; what was taken before it stays.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, Field, model_validator

from protocol.message import Key, Message, MessageError, Name
from protocol.repository import DOCUMENT_MAX_BYTES, GATES

DOCUMENT: Final = GATES
GATES_MAX: Final = 3000
"""With all that belongs to each this is 0.7 MB, below what gates take of a document."""
CENTER_MAX: Final = 16

Version = Annotated[int, Field(ge=1, lt=2**53)]


class GateEntry(Message):
    """One gate."""

    name: Name
    """The gate."""
    key: Key
    """Its Ed25519 public key: what it says is signed with it."""
    seal: Key
    """Its X25519 public key: what is for it alone is sealed to it."""


class GatesDocument(Message):
    """The document."""

    version: Version
    """Its number."""
    as_of: AwareDatetime
    """The moment whose state of affairs it writes down."""
    center: Annotated[tuple[Key, ...], Field(min_length=1, max_length=CENTER_MAX)]
    """The center's Ed25519 public keys; what it says is signed with one of them."""
    gates: Annotated[tuple[GateEntry, ...], Field(max_length=GATES_MAX)] = ()
    """All gates; no name and no key twice."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        keys = [*self.center, *(one.key for one in self.gates)]
        for values in ([one.name for one in self.gates], keys, [one.seal for one in self.gates]):
            if len(set(values)) != len(values):
                raise ValueError("a name or a key is there twice")
        return self

    @cached_property
    def by_name(self) -> Mapping[str, GateEntry]:
        """The gates by their names."""
        return {one.name: one for one in self.gates}

    def tells_of(self, issued: datetime) -> bool:
        """Whether it was made when an enrolment file of that moment was out already."""
        return self.as_of >= issued


def parse(data: bytes) -> GatesDocument:
    """The document that these bytes are. Raises MessageError."""
    if len(data) > DOCUMENT_MAX_BYTES:
        raise MessageError(f"{DOCUMENT} has {len(data)} bytes; at most {DOCUMENT_MAX_BYTES} are read")
    return GatesDocument.from_bytes(data)


def encode(document: GatesDocument) -> bytes:
    """The document's bytes, a gate a line: the only way in which signers take it."""
    values = document.model_dump(mode="json", exclude={"gates"})
    head = json.dumps(values, separators=(",", ":"))
    gates = ",\n".join(json.dumps(one.model_dump(mode="json"), separators=(",", ":")) for one in document.gates)
    return f'{head[:-1]},\n"gates":[\n{gates}\n]}}\n'.encode()
