"""Announced visitors, as the center's database has them, and what of it the gates are told.

A row stands here from its announcement until its time is over or it is withdrawn; then it is erased. Gates are told
all of it but who announced it. Functions of a connection within a transaction; those that only read need no more.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select

from center.records.database import AnyRow
from center.records.store import Store
from center.records.tables import expected, gate
from protocol.expected import ExpectedError, Visitor, encode, refuse_ahead, visitor
from protocol.whitelist import write_time

_ALPHABET: Final = "23456789fhkmrtwxy"
"""No two look or sound alike."""
_ID_LENGTH: Final = 8
OPERATOR_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Announced:
    """Who is to be announced, and the X25519 public keys of the gates that are set up, by name."""

    visitors: tuple[Visitor, ...]
    seals: Mapping[str, bytes]


def made(
    name: str, *, people: int, plate: str | None, visits: str, note: str, begins: float, until: float, now: float
) -> Visitor:
    """A visitor to be announced; times in POSIX seconds. Raises ExpectedError that names the field."""
    if until <= now:
        raise ExpectedError("until is over already")
    values = {
        "id": "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH)),
        "name": name,
        "people": people,
        "visits": visits,
        "note": note,
        "from": write_time(begins),
        "until": write_time(until),
    }
    new = visitor(values if plate is None else {**values, "plate": plate})
    refuse_ahead([new], now)
    return new


def add(connection: Connection, new: Visitor, operator: str, now: float) -> None:
    """Announce a visitor. Raises ExpectedError where `operator` is no name, or there are more than gates take."""
    if not (0 < len(operator) <= OPERATOR_MAX and operator.isprintable()):
        raise ExpectedError(f"by: who announces it, in 1 to {OPERATOR_MAX} printable characters, would be right")
    encode([*_visitors(connection, now), new])
    values = new.model_dump(include={"id", "name", "people", "plate", "visits", "note"})
    values |= {"begins": new.begins_s, "until": new.until_s, "operator": operator, "announced": now}
    connection.execute(expected.insert(), values)


def withdraw(connection: Connection, ids: Iterable[str]) -> None:
    """Erase these announcements, or none. Raises ExpectedError that names one that is not there."""
    wanted = list(dict.fromkeys(ids))
    there = set(connection.execute(select(expected.c.id).where(expected.c.id.in_(wanted))).scalars())
    if missing := [one for one in wanted if one not in there]:
        raise ExpectedError(f"there is no announcement {missing[0]}: it was withdrawn, or its time is over")
    _erase(connection, wanted)


def rows(connection: Connection, now: float) -> Sequence[AnyRow]:
    """Those whose time is not over, by when they begin."""
    wanted = select(expected).where(expected.c.until > now)
    return connection.execute(wanted.order_by(expected.c.begins, expected.c.id)).all()


def current(store: Store, now: float) -> Announced:
    """What is to be announced now; whatever is over is erased."""
    with store.database.transaction() as connection:
        over = list(connection.execute(select(expected.c.id).where(expected.c.until <= now)).scalars())
        if over:
            _erase(connection, over)
        sealing = select(gate.c.name, gate.c.seal).where(gate.c.seal.is_not(None))
        seals = {row.name: row.seal for row in connection.execute(sealing)}
        return Announced(_visitors(connection, now), seals)


def _erase(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(delete(expected).where(expected.c.id.in_(ids)))


def _visitors(connection: Connection, now: float) -> tuple[Visitor, ...]:
    return tuple(_visitor(row) for row in rows(connection, now))


def _visitor(row: AnyRow) -> Visitor:
    values = {"id": row.id, "name": row.name, "people": row.people, "visits": row.visits, "note": row.note}
    values |= {"from": write_time(row.begins), "until": write_time(row.until)}
    return visitor(values if row.plate is None else {**values, "plate": row.plate})
