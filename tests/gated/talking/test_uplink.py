"""The uplink: what it sends, and whom it believes; `tests/simulation` tries every order of faults."""

from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gated.talking.uplink import (
    ASSERT_S,
    RESEND_FIRST_S,
    WINDOW,
    Acknowledge,
    Act,
    BeginEpoch,
    Head,
    Publish,
    Read,
    Rewind,
    Uplink,
    Us,
)
from protocol import topics
from protocol.batch import Batch, decode
from protocol.event import GENESIS, ClockQuality, Stamp, line, link
from protocol.message import Ack
from protocol.signature import signed, verified

GATE: Final = Ed25519PrivateKey.generate()
CENTER: Final = Ed25519PrivateKey.generate()
ACK_TOPIC: Final = topics.ack("demo", "north")
EVENTS_TOPIC: Final = topics.events("demo", "north")
STAMP: Final = Stamp("2026-11-25T08:00:00.000+08:00", ClockQuality.SYNCED, "boot", 1.0)


class Box:
    """An uplink with a journal in memory; `act` does what it asks, a batch of two events at a time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.acked = 0
        self.epochs = ["E1"]
        self.first = 1
        self.lines: list[bytes] = []
        self.hashes: list[bytes] = [GENESIS]
        self.sent: list[Batch] = []
        self.asked: list[Act] = []
        self.uplink = Uplink(
            Us("demo", "north", "board"),
            sign=lambda topic, message: signed(topic, message, GATE),
            verify=lambda topic, message: verified(topic, message, (CENTER.public_key(),)),
        )
        self.uplink.journal(self.head, self.now)

    @property
    def head(self) -> Head:
        """The journal's own word."""
        return Head(self.epochs[-1], self.first, self.hashes[self.first - 1], len(self.lines), self.acked, 1)

    def record(self, number: int) -> None:
        """That many events more."""
        for _ in range(number):
            self.lines.append(line(len(self.lines) + 1, b'{"kind":"test"}'))
            self.hashes.append(link(self.hashes[-1], self.lines[-1]))
        self.act(self.uplink.journal(self.head, self.now))

    def connect(self) -> None:
        """A connection."""
        self.act(self.uplink.connected(self.now))

    def answer(self, seq: int, *, want: bool = False, epoch: str = "", key: Ed25519PrivateKey = CENTER) -> None:
        """The center's word about that event of ours."""
        event_hash = self.hashes[seq] if seq < len(self.hashes) else bytes(31) + b"x"
        self.hear(Ack(epoch=epoch or self.epochs[-1], seq=seq, hash=event_hash.hex(), want=want), key)

    def hear(self, ack: Ack, key: Ed25519PrivateKey = CENTER, *, topic: str = ACK_TOPIC) -> None:
        """A message on our ack topic, signed for that topic."""
        self.act(self.uplink.answered(signed(topic, ack.to_bytes(), key), self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.act(self.uplink.tick(self.now))

    def act(self, acts: list[Act]) -> None:
        """Do what is asked."""
        for act in acts:
            match act:
                case Publish(payload):
                    bare = verified(EVENTS_TOPIC, payload, (GATE.public_key(),))
                    assert bare is not None
                    self.sent.append(decode(bare))
                case Read(after):
                    found = self.lines[after : after + 2]
                    self.act(self.uplink.read(after, self.hashes[after], found, STAMP, self.now))
                case Acknowledge(seq, event_hash, _):
                    fits = seq < len(self.hashes) and self.hashes[seq] == event_hash
                    self.acked = max(self.acked, seq) if fits else self.acked
                    self.act(self.uplink.checked(seq, self.now, fits=fits))
                case _:
                    self.asked.append(act)

    def new_epoch(self, after: int) -> None:
        """The journal has begun anew after that event."""
        self.acked = min(self.acked, after)
        self.first = after + 1
        self.epochs.append(f"E{len(self.epochs) + 1}")
        self.act(self.uplink.changed(self.head, self.now))

    def sent_since(self, count: int) -> list[tuple[int, int]]:
        """First seq and number of events of each batch after that many."""
        return [(batch.header.first, batch.header.count) for batch in self.sent[count:]]


@pytest.fixture
def box() -> Box:
    """A box that is connected and has told everything."""
    box = Box()
    box.connect()
    box.record(4)
    box.answer(4)
    box.sent.clear()
    return box


def test_a_fresh_event_leaves_at_once(box: Box) -> None:
    """An idle link: nothing is waited for."""
    box.record(1)
    assert box.sent_since(0) == [(5, 1)]
    assert box.sent[0].header.prev == box.hashes[4].hex()


def test_nothing_is_sent_without_a_connection() -> None:
    """And everything with one."""
    box = Box()
    box.record(3)
    assert box.sent == []
    assert box.uplink.backlog == 3
    box.connect()
    assert box.sent_since(0) == [(1, 2), (3, 1)]


def test_a_window_of_batches_is_under_way(box: Box) -> None:
    """No more than that many are sent before the center has answered."""
    box.record(100)
    assert len(box.sent) == WINDOW
    box.answer(6)
    assert len(box.sent) == WINDOW + 1


def test_without_an_answer_it_sends_again_ever_more_slowly(box: Box) -> None:
    """From what is acknowledged on."""
    box.record(1)
    box.wait(RESEND_FIRST_S + 0.1)
    assert box.sent_since(1) == [(5, 1)]
    box.wait(RESEND_FIRST_S + 0.1)
    assert box.sent_since(2) == []
    box.wait(RESEND_FIRST_S)
    assert box.sent_since(2) == [(5, 1)]


def test_an_idle_gate_says_where_its_chain_ends(box: Box) -> None:
    """At connect and each minute: an empty batch."""
    box.wait(ASSERT_S + 1)
    assert box.sent_since(0) == [(5, 0)]
    assert box.sent[0].header.prev == box.hashes[4].hex()
    box.uplink.disconnected()
    box.connect()
    assert box.sent_since(1) == [(5, 0)]


def test_only_the_centers_own_word_counts(box: Box) -> None:
    """Signed by another key, or signed for a sister site's gate of the same name, it is counted and passed over."""
    box.record(2)
    box.answer(6, key=GATE)
    box.hear(Ack(epoch="E1", seq=6, hash=box.hashes[6].hex(), want=False), topic=topics.ack("sister", "north"))
    box.act(box.uplink.answered(b'{"epoch":"E1","seq":6}', box.now))
    assert box.uplink.refused == 3
    assert (box.acked, box.asked) == (4, [])
    box.answer(6)
    assert box.acked == 6


def test_a_hash_that_is_not_ours(box: Box) -> None:
    """Our disk has gone back in time: a new epoch, from what is acknowledged on."""
    box.record(2)
    box.hear(Ack(epoch="E1", seq=6, hash="ab" * 32, want=False))
    assert [type(act) for act in box.asked] == [BeginEpoch]
    assert box.acked == 4
    box.new_epoch(4)
    assert (box.sent[-1].header.epoch, box.sent[-1].header.begins, box.sent[-1].header.first) == ("E2", 5, 5)


def test_more_than_we_have(box: Box) -> None:
    """The center holds what we never wrote: the same."""
    box.hear(Ack(epoch="E1", seq=9, hash="ab" * 32, want=False))
    assert [type(act) for act in box.asked] == [BeginEpoch]


def test_the_center_wants_it_again(box: Box) -> None:
    """Its database was put back: what is acknowledged goes back, and all after it is sent again."""
    box.answer(2, want=True)
    assert box.asked == [Rewind(2)]
    box.acked = 2
    box.act(box.uplink.changed(box.head, box.now))
    assert box.sent_since(0) == [(3, 2)]


def test_the_same_wish_while_it_is_being_met(box: Box) -> None:
    """Many batches under way are answered alike: once is enough; once all is sent, it is news again."""
    box.record(2)
    for _ in range(2):
        box.answer(2, want=True)
    box.acked = 2
    box.act(box.uplink.changed(box.head, box.now))
    box.answer(2, want=True)
    assert box.asked == [Rewind(2)]
    box.answer(6)
    box.answer(2, want=True)
    assert box.asked == [Rewind(2), Rewind(2)]


def test_passages_while_the_journal_goes_back(box: Box) -> None:
    """A journal that grows before it has gone back is not taken for one that has."""
    box.answer(2, want=True)
    box.record(1)
    assert box.sent == []
    box.acked = 2
    box.act(box.uplink.changed(box.head, box.now))
    assert box.sent_since(0) == [(3, 2), (5, 1)]


def test_a_wish_from_before_our_epoch(box: Box) -> None:
    """The center lacks what the epoch hangs on: a new epoch, from there."""
    box.new_epoch(4)
    box.answer(0, want=True)
    assert box.asked == [Rewind(0, "the center lacks what came before event 5")]


def test_old_words_change_nothing(box: Box) -> None:
    """An answer from before, or about an epoch that is over or was never ours."""
    box.answer(2)
    box.answer(3, epoch="F1", want=True)
    box.new_epoch(4)
    box.answer(4, epoch="E1", want=True)
    assert box.asked == []
    assert box.acked == 4


def test_confirmed(box: Box) -> None:
    """What may be pruned is what the center has confirmed, and when."""
    assert box.uplink.confirmed_at == 1000.0
    box.wait(10)
    box.answer(2)
    assert box.uplink.confirmed_at == 1000.0
    box.answer(4)
    assert box.uplink.confirmed_at == 1010.0
