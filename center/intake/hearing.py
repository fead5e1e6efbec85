"""What a gate says of itself, from the bytes of a message: verified with its key, or with the one that it brings.

A gate that is not set up yet has no key at the center. Its status then carries its keys and the one-time key's
signature over them (`protocol.enrolment`); it must itself be signed with the key that it brings.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from center.intake.enrolment import NewKeys
from protocol import topics
from protocol.message import MessageError, Offline, Status, gate_says
from protocol.signature import public_key, verified


@dataclass(frozen=True, slots=True)
class Said:
    """What a gate said; `bare` are its bytes without the signature. With `new`, it counts only if those keys do."""

    gate: str
    message: Status | Offline
    bare: bytes
    received: float
    new: NewKeys | None = None


def hear(site: str, topic: str, payload: bytes, keys: Mapping[str, bytes | None], received: float) -> Said | None:
    """What this message says; None if it is no status of a gate of ours, or its signature does not hold."""
    address = topics.parse(topic)
    if not isinstance(address, topics.GateAddress) or (address.site, address.leaf) != (site, "status"):
        return None
    if address.gate not in keys:
        return None
    key = keys[address.gate]
    try:
        new = _brought(payload) if key is None else None
        raw = key if new is None else new.key
        bare = None if raw is None else verified(topic, payload, [public_key(raw)])
        return None if bare is None else Said(address.gate, gate_says(bare), bare, received, new)
    except (MessageError, ValueError):
        return None


def _brought(payload: bytes) -> NewKeys | None:
    """The keys that a status brings; nothing of it is proved yet."""
    said = gate_says(payload)
    if not isinstance(said, Status) or said.key is None or said.seal is None or said.voucher is None:
        return None
    return NewKeys(bytes.fromhex(said.key), bytes.fromhex(said.seal), said.voucher)
