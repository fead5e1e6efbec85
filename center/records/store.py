"""The center's store: what gates sent, and who they are. Used from one thread.

`ingest` is what workers call: one transaction over a group of batches and statuses, under a lock on each gate. The rest
is for tools: gates are added, enrolled and replaced; alarms acknowledged. Reading is in `center.records.reading`.

Every method raises DatabaseAwayError where the database cannot be reached or written; then nothing was written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from center.intake import enrolment, presence
from center.intake.alarm import Alarm
from center.intake.batches import Arrival
from center.intake.cries import FIRE
from center.intake.enrolment import Known, NewKeys
from center.intake.hearing import Said
from center.intake.ingest import Outcome, ingest
from center.records import alarms, migrations, reading
from center.records.database import AnyRow, Database
from center.records.ledger import GateLedger, Ledgers
from center.records.tables import departed, gate, status
from protocol.gates import GatesDocument

SILENT_S = 180.0
"""A gate that has said nothing for this long is missing: it says something each minute."""


class GateError(ValueError):
    """There is no such gate, or there is one already; the message says which."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a transaction came to: an outcome for each batch (None: no such gate), whether each status counted."""

    outcomes: list[Outcome | None]
    counted: list[bool]
    enrolled: dict[str, bytes]


class Store:
    """An open store; make it with `open`."""

    def __init__(self, database: Database, site: str) -> None:
        self.database = database
        self.site = site

    @classmethod
    def open(cls, url: str, site: str, *, read_only: bool = False) -> Self:
        """The store at a database URL, its tables brought to this program's version (or checked, if read-only)."""
        database = Database(url, read_only=read_only)
        if read_only:
            migrations.check(database)
        else:
            migrations.migrate(database)
        return cls(database, site)

    def close(self) -> None:
        """Close it."""
        self.database.close()

    # What workers do

    def ingest(
        self,
        arrivals: Sequence[Arrival],
        said: Sequence[Said] = (),
        *,
        keys: Mapping[str, bytes | None] | None = None,
        center_synced: bool = True,
    ) -> Judged:
        """Judge batches and statuses in this order, and write what they come to, in one transaction.

        `keys` are those that all of it was verified with: where the gate has another by now, its box was replaced, and
        where it has none, it was shut out.
        """
        names = {arrival.gate for arrival in arrivals} | {one.gate for one in said}
        with self.database.transaction() as connection:
            ledgers = Ledgers(connection, names, center_synced=center_synced)
            ledgers.look_up(arrivals)
            outcomes = [self._judge(ledgers, arrival, keys, center_synced=center_synced) for arrival in arrivals]
            ledgers.flush()
            enrolled: dict[str, bytes] = {}
            counted = [self._hear(connection, ledgers, one, enrolled, keys) for one in said]
        return Judged(outcomes, counted, enrolled)

    def set_apart(self, arrival: Arrival, why: str) -> None:
        """Put a batch that cannot be stored into quarantine, with an alarm."""
        with self.database.transaction() as connection:
            ledgers = Ledgers(connection, (arrival.gate,))
            if arrival.gate in ledgers.gates:
                ledgers.set_apart(arrival, why)

    def look_for_silent(self, now: float, *, since: float) -> list[str]:
        """Raise an alarm for each gate that has said nothing lately; `since` is when we began to listen (POSIX s)."""
        limit = now - SILENT_S
        if since > limit:
            return []
        with self.database.transaction() as connection:
            missing = reading.silent(connection, limit)
            ledgers = Ledgers(connection, missing) if missing else None
            found = [
                ledger
                for ledger in (ledgers.gates.values() if ledgers else ())
                if not alarms.lasts(connection, ledger.id, alarms.SILENT)
            ]
            for ledger in found:
                alarms.raised(connection, ledger.id, alarms.SILENT, f"nothing heard for {SILENT_S / 60:g} minutes", now)
        return [ledger.name for ledger in found]

    def note_dropped(self, dropped: Mapping[str, int], now: float) -> None:
        """Raise an alarm for each gate of which so many messages were dropped unread ("": of strangers)."""
        why = "dropped unread: more came than the center takes in; a gate sends again what it has no answer to"
        with self.database.transaction() as connection:
            ledgers = Ledgers(connection, dropped)
            for ledger in ledgers.gates.values():
                text = f"{dropped[ledger.name]:,} messages under its name were {why}"
                ledgers.alarm(ledger, Alarm(alarms.FLOODING, text), now)
            if dropped.keys() - ledgers.gates.keys():
                alarms.of_site(connection, alarms.FLOODING, f"messages under no gate's name were {why}", now)

    def note_removed(self, refused: Mapping[str, int], now: float) -> None:
        """Raise an alarm for each gate of these that was removed, and so many of whose batches were not taken."""
        text = (
            "batches still come under the name of this removed gate, and are not taken: give the broker its files "
            "(gatectl site broker), reload it, and switch the box off"
        )
        with self.database.transaction() as connection:
            ledgers = Ledgers(connection, refused)
            for ledger in ledgers.gates.values():
                if ledger.removed:
                    ledgers.alarm(ledger, Alarm(alarms.REMOVED, text, refused[ledger.name]), now)

    def note_overdue(self, why: str, now: float) -> bool:
        """Raise an alarm of the site that the list was not signed again in time, or end it ("": it was).

        Returns whether it is new.
        """
        with self.database.transaction() as connection:
            # One gate's lock stands for the site's: several workers look at the same list.
            connection.execute(select(gate.c.id).order_by(gate.c.name).limit(1).with_for_update())
            if not why:
                alarms.ended(connection, None, alarms.OVERDUE, now)
            new = bool(why) and not alarms.lasts(connection, None, alarms.OVERDUE)
            if new:
                alarms.raised(connection, None, alarms.OVERDUE, why, now)
        return new

    # Who the gates are

    def add_gate(self, name: str, voucher_key: bytes, voucher_until: float, now: float) -> None:
        """Add a gate that is not set up yet; the one-time key vouches for its own keys, once, until then."""
        row = {"name": name, "voucher_key": voucher_key, "voucher_until": voucher_until, "added": now}
        try:
            with self.database.transaction() as connection:
                connection.execute(gate.insert(), row)
        except IntegrityError as error:
            raise GateError(f"there is a gate {name} already") from error

    def replace_gate(self, name: str, voucher_key: bytes, voucher_until: float, now: float) -> None:
        """Let another box take a gate's place: the old one's keys count no more, what it sent stays."""
        with self._locked(name) as (connection, row):
            self._rekey(connection, row.id, now, voucher_key=voucher_key, voucher_until=voucher_until)

    def shut_out(self, name: str, now: float) -> None:
        """Let a gate in no more: nothing that it says counts, what it sent stays. One that is not known is no error."""
        with self.database.transaction() as connection:
            row = connection.execute(select(gate).where(gate.c.name == name).with_for_update()).first()
            if row is not None:
                self._rekey(connection, row.id, now)

    def take_listed(self, document: GatesDocument, let_in: Mapping[str, datetime], now: float) -> list[str]:
        """Know gates by the keys of the signers' list, where this database does not know better; which ones."""
        with self.database.transaction() as connection:
            rows = connection.execute(select(gate).order_by(gate.c.name).with_for_update())
            ids = {row.name: row.id for row in rows}
            wanted = enrolment.differing(document, let_in, _known(connection))
            for name in [name for name in wanted if name not in ids]:
                new = gate.insert().values(name=name, added=now).returning(gate.c.id)
                ids[name] = connection.execute(new).scalar_one()
            for name, keys in wanted.items():
                held = {} if keys is None else {"key": keys[0], "seal": keys[1], "enrolled": now}
                self._rekey(connection, ids[name], now, **held)
        return sorted(wanted)

    def vouch(self, name: str, key: bytes, seal: bytes, voucher: str, now: float) -> bool:
        """Enrol a gate's keys if its one-time key vouches for them; False if they do not count."""
        with self._locked(name) as (connection, row):
            return enrolment.enrol(connection, self.site, row, NewKeys(key, seal, voucher), now)

    def keys(self, name: str) -> tuple[bytes, ...]:
        """A gate's Ed25519 keys; none for a gate that is not set up or not there."""
        return tuple(key for key in (self.all_keys().get(name),) if key is not None)

    def all_keys(self) -> dict[str, bytes | None]:
        """Each gate's Ed25519 key; None where it is not set up yet."""
        with self.database.transaction() as connection:
            return {row.name: row.key for row in connection.execute(select(gate.c.name, gate.c.key))}

    def known_gates(self) -> dict[str, Known]:
        """The gates that are set up, and the keys by which they are known."""
        with self.database.transaction() as connection:
            return _known(connection)

    def alarm_of_site(self, kind: str, texts: Sequence[str], now: float) -> None:
        """Raise alarms of the site itself; those that are open are counted."""
        with self.database.transaction() as connection:
            for text in texts:
                alarms.of_site(connection, kind, text, now)

    def acknowledge(self, alarm_id: int, now: float) -> bool:
        """Acknowledge an alarm; False if none of that number was open."""
        with self.database.transaction() as connection:
            return alarms.acknowledged(connection, alarm_id, now)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction in which to read (`center.records.reading`): all of it shows one moment on SQLite."""
        with self.database.transaction() as connection:
            yield connection

    def _judge(
        self, ledgers: Ledgers, arrival: Arrival, keys: Mapping[str, bytes | None] | None, *, center_synced: bool
    ) -> Outcome | None:
        ledger = ledgers.gates.get(arrival.gate)
        if ledger is None or (keys is not None and keys.get(arrival.gate) != ledger.key):
            return None
        outcome = ingest(arrival.batch, ledger, arrival.received, center_synced=center_synced)
        ledgers.write(arrival, outcome)
        return outcome

    def _hear(
        self,
        connection: Connection,
        ledgers: Ledgers,
        said: Said,
        enrolled: dict[str, bytes],
        keys: Mapping[str, bytes | None] | None,
    ) -> bool:
        ledger = ledgers.gates.get(said.gate)
        if ledger is None or (said.new is None and keys is not None and keys.get(said.gate) != ledger.key):
            return False
        if said.new is not None:
            row = connection.execute(select(gate).where(gate.c.id == ledger.id)).one()
            if not enrolment.enrol(connection, self.site, row, said.new, said.received):
                return False
            enrolled[said.gate] = said.new.key
        return self._stand(connection, ledgers, ledger, said)

    def _stand(self, connection: Connection, ledgers: Ledgers, ledger: GateLedger, said: Said) -> bool:
        row = connection.execute(select(status).where(status.c.gate_id == ledger.id)).first()
        known = None if row is None else presence.Standing(row.session, row.connection, row.number, row.online)
        new = presence.heard(known, said.message, departed=_has_left(connection, ledger.id, said.message.session))
        if new is None:
            return False
        values = {"session": new.session, "connection": new.connection, "number": new.number, "online": new.online}
        values["received"] = said.received
        if new.online:
            values["message"] = said.bare
        if known is None:
            connection.execute(status.insert(), {"gate_id": ledger.id, **values})
        else:
            if known.session != new.session:
                self._depart(connection, ledger.id, said.received)
            connection.execute(update(status).where(status.c.gate_id == ledger.id).values(**values))
        if new.online:
            alarms.ended(connection, ledger.id, alarms.SILENT, said.received)
        else:
            ledgers.alarm(ledger, Alarm(alarms.SILENT, "its connection has ended"), said.received)
        return True

    def _rekey(self, connection: Connection, gate_id: int, now: float, **held: object) -> None:
        """Know a gate by these keys or this voucher alone; what its box was and said before is over."""
        none = dict.fromkeys(("key", "seal", "enrolled", "voucher_key", "voucher_until"))
        connection.execute(update(gate).where(gate.c.id == gate_id).values({**none, **held}))
        self._depart(connection, gate_id, now)
        connection.execute(status.delete().where(status.c.gate_id == gate_id))
        alarms.ended(connection, gate_id, FIRE, now)
        if not held:
            alarms.ended(connection, gate_id, alarms.SILENT, now)

    def _depart(self, connection: Connection, gate_id: int, now: float) -> None:
        """Note that the gate's present session is over."""
        row = connection.execute(select(status.c.session).where(status.c.gate_id == gate_id)).first()
        if row is not None and not _has_left(connection, gate_id, row.session):
            connection.execute(departed.insert(), {"gate_id": gate_id, "session": row.session, "left": now})

    @contextmanager
    def _locked(self, name: str) -> Iterator[tuple[Connection, AnyRow]]:
        with self.database.transaction() as connection:
            row = connection.execute(select(gate).where(gate.c.name == name).with_for_update()).first()
            if row is None:
                raise GateError(f"there is no gate {name}")
            yield connection, row


def _known(connection: Connection) -> dict[str, Known]:
    rows = connection.execute(select(gate).where(gate.c.key.is_not(None), gate.c.seal.is_not(None)))
    return {row.name: Known(row.key, row.seal, row.enrolled or 0.0) for row in rows}


def _has_left(connection: Connection, gate_id: int, session: str) -> bool:
    mine = select(departed.c.left).where(departed.c.gate_id == gate_id, departed.c.session == session)
    return connection.execute(mine).first() is not None
