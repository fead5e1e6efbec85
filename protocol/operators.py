"""operators.json: whose commands a gate takes, and what each of them may do. Signed as a target of the repository.

    {"operators":[{"name":"li-wei","key":"<64 hex digits>","may":["open","hold"],"gates":["*"],"lanes":["walk-in"]}]}

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


class OperatorsDocument(Message):
    """The document."""

    operators: Annotated[tuple[OperatorEntry, ...], Field(max_length=OPERATORS_MAX)] = ()
    """All operators; no name and no key twice."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for values in ([one.name for one in self.operators], [one.key for one in self.operators]):
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


def encode(document: OperatorsDocument) -> bytes:
    """The document's bytes, for people to read before they sign."""
    return document.model_dump_json(indent=1).encode() + b"\n"
