"""operators.json: whose commands a gate takes, and whose e-IDs. Signed as a target of the repository.

    {"operators":[{"name":"li-wei","key":"<64 hex digits>","may":["open","hold"],"gates":["*"],"lanes":["walk-in"]}],
     "registrars":[{"name":"desk-1","key":"<64 hex digits>"},{"name":"desk-0","key":"…","retired":true}]}

Cards of a registrar's key that is retired are read as before, and no longer stand for an entry of the list
(`gated.lanes.decide`). Those of a key that is not there are none.

An action or a key that this version does not know is passed over; a document that is wrong otherwise is wrong as a
whole, and then nobody may do anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, model_validator

from protocol.message import Command, Key, Message, Name, Text
from protocol.signature import public_key

DOCUMENT: Final = "operators.json"
EVERY: Final = "*"
ACTIONS: Final = ("open", "hold", "release", "resend", "diagnostics", "restart")
OPERATORS_MAX: Final = 1000
REGISTRARS_MAX: Final = 100

Names = Annotated[tuple[Text, ...], Field(max_length=100)]


class OperatorEntry(Message):
    """One operator."""

    name: Name
    """Who it is: what events say of a command."""
    key: Key
    """The public half of the operator's Ed25519 key."""
    may: Names
    """The actions that are allowed."""
    gates: Names = (EVERY,)
    """At which gates; `*` is all."""
    lanes: Names = (EVERY,)
    """At which lanes, for the actions that have one; `*` is all."""


class RegistrarEntry(Message):
    """A key that signs e-IDs (`protocol.eid`)."""

    name: Name
    """Whose desk it is at."""
    key: Key
    """The public half of the Ed25519 key."""
    retired: bool = False
    """Whether it only counts for cards that a list has taken up."""


class OperatorsDocument(Message):
    """The document."""

    operators: Annotated[tuple[OperatorEntry, ...], Field(max_length=OPERATORS_MAX)] = ()
    """All operators; no name and no key twice."""
    registrars: Annotated[tuple[RegistrarEntry, ...], Field(max_length=REGISTRARS_MAX)] = ()
    """All registrars' keys; likewise."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for entries in (self.operators, self.registrars):
            for values in ([one.name for one in entries], [one.key for one in entries]):
                if len(set(values)) != len(values):
                    raise ValueError("a name or a key is there twice")
        return self


@dataclass(frozen=True, slots=True)
class Operator:
    """Whose key it is, and what it may do at one gate."""

    name: str
    key: Ed25519PublicKey
    may: frozenset[str]
    lanes: frozenset[str]

    def allows(self, command: Command) -> bool:
        """Whether this operator may give this command."""
        if command.action not in self.may:
            return False
        return command.lane is None or EVERY in self.lanes or command.lane in self.lanes


def at_gate(document: bytes, gate: str) -> Mapping[str, Operator]:
    """The operators of one gate by keyid (`protocol.dsse`), as the document's bytes say. Raises MessageError."""
    return {
        one.key: Operator(one.name, public_key(bytes.fromhex(one.key)), frozenset(one.may), frozenset(one.lanes))
        for one in OperatorsDocument.from_bytes(document).operators
        if EVERY in one.gates or gate in one.gates
    }


@dataclass(frozen=True, slots=True)
class Registrars:
    """Whose e-IDs a gate reads: the keys, and which of them, as hex, stand for an entry of the list."""

    keys: tuple[Ed25519PublicKey, ...] = ()
    issuing: frozenset[str] = frozenset()


def registrars(document: bytes) -> Registrars:
    """The registrars' keys, as the document's bytes say. Raises MessageError."""
    entries = OperatorsDocument.from_bytes(document).registrars
    return Registrars(
        tuple(public_key(bytes.fromhex(one.key)) for one in entries),
        frozenset(one.key for one in entries if not one.retired),
    )


def encode(document: OperatorsDocument) -> bytes:
    """The document's bytes, for people to read before they sign."""
    return document.model_dump_json(indent=1).encode() + b"\n"
