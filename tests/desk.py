"""A store with gates in it, as tests of the center use it: what a fake gate sends is judged and written at once."""

import time
from collections.abc import Callable

from sqlalchemy import func, select, update

from center.intake.batches import Intake
from center.intake.hearing import hear
from center.intake.ingest import Outcome
from center.records import reading
from center.records.reading import Break, Event, Lost
from center.records.store import Store
from center.records.tables import event, gate
from protocol import topics
from protocol.signature import public_key
from tests.chain import SITE, FakeGate


class Desk:
    """One worker's intake and store, without broker and loop. `now` (POSIX s) is when things arrive."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self.store = store
        self.now = now
        self.intake = Intake(SITE, lambda name: [public_key(key) for key in store.keys(name)])

    def add(self, fake: FakeGate) -> FakeGate:
        """Add a gate and enrol its key."""
        self.store.add_gate(fake.name, bytes(32), 0, self.now())
        with self.store.database.transaction() as connection:
            connection.execute(
                update(gate).where(gate.c.name == fake.name).values(key=fake.public, seal=fake.seal, enrolled=0.0)
            )
        return fake

    def send(self, fake: FakeGate, *payloads: bytes) -> list[Outcome]:
        """Let batches of a gate arrive together, in this order, and judge them; the outcomes as they were judged."""
        for payload in payloads or (fake.batch(),):
            taken = self.intake.take(fake.topic, payload, received=self.now(), at=time.monotonic())
            assert taken is not None
        judged = self.store.ingest(self.intake.group(time.monotonic()))
        return [outcome for outcome in judged.outcomes if outcome is not None]

    def say(self, fake: FakeGate, payload: bytes) -> bool:
        """Let a status of a gate arrive; whether it counted."""
        topic = topics.status(SITE, fake.name)
        said = hear(SITE, topic, payload, self.store.all_keys(), self.now())
        return said is not None and self.store.ingest([], [said]).counted == [True]

    def count(self) -> int:
        """How many events are stored."""
        with self.store.reading() as connection:
            return connection.execute(select(func.count()).select_from(event)).scalar_one()

    def alarms(self) -> list[tuple[str, int]]:
        """The kinds of the open alarms, and how often each was raised."""
        with self.store.reading() as connection:
            return [(row.kind, row.times) for row in reading.alarms(connection)]

    def chain(self, fake: FakeGate) -> list[Event | Lost | Break]:
        """The gate's present epoch, as it is held."""
        with self.store.reading() as connection:
            heads = {row.epoch: row for row in reading.heads(connection, fake.name)}
            return list(reading.chain(connection, heads[fake.epoch]))

    def lines(self, fake: FakeGate) -> list[bytes]:
        """The lines of the gate's present epoch, which must be held without a break."""
        chain = self.chain(fake)
        assert not [item for item in chain if not isinstance(item, Event)]
        return [item.line for item in chain if isinstance(item, Event)]
