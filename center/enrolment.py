"""How a gate's keys become known: a one-time key, made when the gate was added, vouches for them once.

The box makes its own keys, which never leave it, and signs their public halves with the one-time key that came to it
in a sealed file. The center takes that word once, before the key's end, and for a gate that has no keys. Whoever says
the same again is believed; whoever says something else is not.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, update

from center.database import AnyRow
from center.tables import gate
from protocol.enrolment import vouched
from protocol.signature import KEY_BYTES


@dataclass(frozen=True, slots=True)
class NewKeys:
    """A gate's public keys (Ed25519 and X25519, 32 bytes each), and the one-time key's word for both."""

    key: bytes
    seal: bytes
    voucher: str


def enrol(connection: Connection, site: str, row: AnyRow, new: NewKeys, now: float) -> bool:
    """Take a gate's keys, under the lock of its `row`; False if they do not count."""
    if len(new.key) != KEY_BYTES or len(new.seal) != KEY_BYTES:
        return False
    if row.key is not None:
        return (row.key, row.seal) == (new.key, new.seal)
    if row.voucher_key is None or row.voucher_until is None or now >= row.voucher_until:
        return False
    if not vouched(row.voucher_key, new.voucher, site=site, gate=row.name, key=new.key, seal=new.seal):
        return False
    connection.execute(update(gate).where(gate.c.id == row.id).values(key=new.key, seal=new.seal, enrolled=now))
    return True
