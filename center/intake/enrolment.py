"""How a gate's keys become known: a one-time key, made when the gate was added, vouches for them once.

The box makes its own keys, which never leave it, and signs their public halves with the one-time key that came to it
in a sealed file. The center takes that word once, before the key's end, and for a gate that has no keys. Whoever says
the same again is believed; whoever says something else is not.

The signers' list of gates (`protocol.gates`) says those keys, too. That counts for a database from an old backup, which
does not know them; it does not bring back a box whose gate was given another file, or was shut out, after it was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, update

from center.records.database import AnyRow
from center.records.tables import gate
from protocol.enrolment import vouched
from protocol.gates import GatesDocument
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


@dataclass(frozen=True, slots=True)
class Known:
    """The keys by which a gate is known, 32 bytes each, and since when (POSIX s)."""

    key: bytes
    seal: bytes
    since: float


def differing(
    document: GatesDocument, let_in: Mapping[str, datetime], known: Mapping[str, Known]
) -> dict[str, tuple[bytes, bytes] | None]:
    """The gates that are to be known by other keys, as the signed list says; None: by none.

    `let_in` has the gates with accounts, and when each one's newest enrolment file was made. A gate that has neither an
    account nor a place in a list that is younger than its keys was shut out.
    """
    found: dict[str, tuple[bytes, bytes] | None] = {}
    for one in document.gates:
        keys = bytes.fromhex(one.key), bytes.fromhex(one.seal)
        held = known.get(one.name)
        here = one.name in let_in and document.tells_of(let_in[one.name])
        if here and (held is None or (held.key, held.seal) != keys):
            found[one.name] = keys
    for name, held in known.items():
        if name not in let_in and name not in document.by_name and held.since < document.as_of.timestamp():
            found[name] = None
    return found
