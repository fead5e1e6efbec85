"""Alarms: the same one, while it is open, is counted; one gate cannot fill the table.

An alarm is open until somebody acknowledges it. One that stands for a condition (`LASTING`) is there as long as the
condition: its end is written down, and while it lasts no second one is raised, acknowledged or not.

Alarms of the site itself (`of_site`, or a condition without a gate) have no gate.
"""

from typing import Final

from sqlalchemy import Connection, and_, func, or_, select, update

from center.intake.cries import FIRE
from center.records.tables import alarm

SILENT: Final = "silent"
FLOODING: Final = "flooding"
REMOVED: Final = "removed"
OVERDUE: Final = "overdue"
LASTING: Final = frozenset({SILENT, FIRE, OVERDUE})
_SINGLE: Final = LASTING | {FLOODING}
"""Of which a gate has one open at most, which says the latest."""
SIGNERS: Final = "signers"
LAPSED: Final = "lapsed"
UNSIGNED: Final = "unsigned"
ENDING: Final = "ending"
DATABASE: Final = "database"
AGAIN_S: Final = 7 * 86400.0
"""How long an alarm of the site that was acknowledged is not raised again."""
OPEN_MAX: Final = 20
"""Of one gate and kind. What comes after is counted on the newest, which then says it."""


def raised(connection: Connection, gate_id: int | None, kind: str, text: str, now: float, times: int = 1) -> None:
    """Raise an alarm so many times, or count it where it is open already. Under the lock of its gate."""
    mine = select(alarm.c.id, alarm.c.text).where(alarm.c.gate_id == gate_id, alarm.c.kind == kind)
    mine = mine.where((alarm.c.ended if kind in LASTING else alarm.c.acknowledged).is_(None))
    known = connection.execute(mine.order_by(alarm.c.id)).all()
    same = [row.id for row in known if row.text == text or kind in _SINGLE]
    if not same and len(known) >= OPEN_MAX:
        same = [known[-1].id]
    if same:
        again = {"text": text, "last_seen": now, "count": alarm.c.count + times}
        connection.execute(update(alarm).where(alarm.c.id == same[0]).values(**again))
        return
    row = {"gate_id": gate_id, "kind": kind, "text": text, "first_seen": now, "last_seen": now, "count": times}
    connection.execute(alarm.insert(), row)


def of_site(connection: Connection, kind: str, text: str, now: float) -> None:
    """Raise an alarm of the site itself, or count it where it is open; one acknowledged lately stays so."""
    same = select(alarm).where(alarm.c.gate_id.is_(None), alarm.c.kind == kind, alarm.c.text == text)
    known = connection.execute(same.order_by(alarm.c.id.desc())).first()
    if known is not None and known.acknowledged is None:
        again = {"last_seen": now, "count": alarm.c.count + 1}
        connection.execute(update(alarm).where(alarm.c.id == known.id).values(**again))
    elif known is None or now - known.acknowledged > AGAIN_S:
        row = {"gate_id": None, "kind": kind, "text": text, "first_seen": now, "last_seen": now, "count": 1}
        connection.execute(alarm.insert(), row)


def ended(connection: Connection, gate_id: int | None, kind: str, now: float) -> None:
    """Note that a condition has ended."""
    lasting = and_(alarm.c.gate_id == gate_id, alarm.c.kind == kind, alarm.c.ended.is_(None))
    connection.execute(update(alarm).where(lasting).values(ended=now))


def lasts(connection: Connection, gate_id: int | None, kind: str) -> bool:
    """Whether such a condition is noted and has not ended."""
    lasting = select(func.count()).where(alarm.c.gate_id == gate_id, alarm.c.kind == kind, alarm.c.ended.is_(None))
    return bool(connection.execute(lasting).scalar_one())


def acknowledged(connection: Connection, id_: int, now: float) -> bool:
    """Acknowledge an alarm; False if there is none of that number that was open."""
    open_ = update(alarm).where(alarm.c.id == id_, alarm.c.acknowledged.is_(None)).values(acknowledged=now)
    return connection.execute(open_).rowcount > 0


OPEN: Final = or_(alarm.c.acknowledged.is_(None), and_(alarm.c.kind.in_(LASTING), alarm.c.ended.is_(None)))
"""What is shown: not acknowledged, or still the case."""
