"""Operators for tests: keys, what they may do, and commands as their tool makes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol import dsse
from protocol.operators import Operator, OperatorEntry, OperatorsDocument, at_gate, encode

EVERYTHING: Final = ("open", "hold", "release", "resend", "diagnostics", "restart")


@dataclass
class Holder:
    """Somebody with an operator's key."""

    name: str = "li-wei"
    may: tuple[str, ...] = EVERYTHING
    lanes: tuple[str, ...] = ("*",)
    gates: tuple[str, ...] = ("*",)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def entry(self) -> OperatorEntry:
        """What `operators.json` says of them."""
        return OperatorEntry(name=self.name, key=dsse.keyid(self.key), may=self.may, lanes=self.lanes, gates=self.gates)

    def envelope(self, values: Mapping[str, Any]) -> bytes:
        """Anything, signed as a command."""
        return dsse.sign(dsse.COMMAND_TYPE, json.dumps(values).encode(), [self.key])


def document(*holders: Holder) -> bytes:
    """operators.json."""
    return encode(OperatorsDocument(operators=tuple(holder.entry for holder in holders)))


def operators(*holders: Holder, gate: str = "north") -> Mapping[str, Operator]:
    """What a gate makes of that document."""
    return at_gate(document(*holders), gate)


def wish(action: str, **changed: Any) -> dict[str, Any]:
    """A command's members; what is None is left out."""
    now = datetime.now(UTC)
    values = {
        "site": "demo",
        "gate": "north",
        "session": "s1",
        "id": "c1",
        "action": action,
        "lane": "walk-in" if action in {"open", "hold", "release"} else None,
        "seconds": 60 if action == "hold" else None,
        "after": 0 if action == "resend" else None,
        "reason": "",
        "issued": now.isoformat(),
        "expires": (now + timedelta(seconds=60)).isoformat(),
        "until": 1060.0,
        **changed,
    }
    return {key: value for key, value in values.items() if value is not None}
