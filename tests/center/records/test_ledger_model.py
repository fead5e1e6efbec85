"""The database against a few lines of Python: random histories of one gate, judged over both, come to the same."""

import random
from dataclasses import dataclass, field

import pytest

from center.intake.batches import Arrival
from center.intake.ingest import Head, Heard, Outcome, ingest
from center.records.store import Store
from center.records.walk import Break
from tests.chain import FakeGate
from tests.desk import Desk

ROUNDS = 60


@dataclass(slots=True)
class Memory:
    """What the center holds of one gate, in memory."""

    epochs: dict[str, Head] = field(default_factory=dict)
    hashes: set[bytes] = field(default_factory=set)
    last: Heard | None = None

    def head(self, epoch: str) -> Head | None:
        """See Ledger."""
        return self.epochs.get(epoch)

    def holds(self, event_hash: bytes) -> bool:
        """See Ledger."""
        return event_hash in self.hashes

    def heard(self) -> Heard | None:
        """See Ledger."""
        return self.last

    def judge(self, arrival: Arrival) -> Outcome:
        """Judge a batch and keep what it comes to."""
        outcome = ingest(arrival.batch, self, arrival.received)
        if outcome.head is not None:
            header = arrival.batch.header
            self.epochs[header.epoch] = outcome.head
            self.hashes |= {event.hash for event in outcome.events}
            if outcome.news_of(self.last):
                self.last = Heard(header.epoch, header.board, arrival.received)
        return outcome


def forked(rand: random.Random, of: FakeGate, number: int) -> FakeGate:
    """A new epoch of a journal, somewhere along it, which may repeat some of what was there."""
    after = rand.randint(max(of.first, of.oldest) - 1, of.last)
    new = of.fork(f"E{number}", after, board=rand.choice(("serial:a", "serial:b")))
    for line in of.lines[after + 1 - of.first :][: rand.randint(0, 5)]:
        new.record_raw(b"{" + line.partition(b",")[2])
    return new


@pytest.mark.parametrize("seed", range(6))
def test_the_database_holds_what_a_model_holds(store: Store, seed: int) -> None:
    """Forks, repeats, holes, pruning, copies of the disk, groups of every size: answers and contents are the same."""
    rand, memory, moment = random.Random(seed), Memory(), [1_800_000_000.0]
    desk = Desk(store, lambda: moment[0])
    journals = [desk.add(FakeGate())]
    for _ in range(ROUNDS):
        moment[0] += rand.choice((0.1, 30.0, 900.0))
        if rand.random() < 0.15:
            journals.append(forked(rand, rand.choice(journals), len(journals) + 1))
        journal = rand.choice(journals)
        journal.passages(rand.randint(0, 6))
        if rand.random() < 0.1:
            journal.prune(rand.randint(journal.oldest, max(journal.last, journal.oldest)))
        low = max(journal.first, journal.oldest)
        for _ in range(rand.randint(1, 4)):
            first = rand.randint(low, journal.last + 1) if journal.last >= low else low
            if first > journal.last + 1:
                continue
            payload = journal.batch(first, rand.randint(first - 1, journal.last))
            desk.intake.take(journal.topic, payload, received=moment[0], at=moment[0])
        group = desk.intake.group(moment[0] + 10)
        assert store.ingest(group).outcomes == [memory.judge(arrival) for arrival in group]
    assert desk.count() == len(memory.hashes)
    for journal in journals:
        if (head := memory.epochs.get(journal.epoch)) is not None:
            chain = desk.chain(journal)
            assert [item for item in chain if isinstance(item, Break)] == []
            assert not chain or head.seq >= head.first
