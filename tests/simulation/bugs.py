"""Planted bugs: each a world that is wrong in one way. The simulation must find every one."""

from typing import Any, Final

from center.intake.batches import Answer, Arrival
from center.intake.ingest import NewEvent, Outcome
from gated.talking.uplink import Act, Uplink
from tests.simulation.disk import Disk
from tests.simulation.world import Center, Gate, Records, World


class AckFirst(World):
    """The center answers before it has committed: a crash in between loses what it has acknowledged."""

    def make_center(self, workers: int) -> Center:
        """See World."""
        return _AnswersFirst(self, workers)


class _AnswersFirst(Center):
    def commit(self, arrival: Arrival, outcome: Outcome) -> None:
        """Later, if it lives."""
        self.say(Answer(arrival.gate, outcome.answer))
        self.world.after(0.2, self.alive(lambda: self._late(arrival)))

    def _late(self, arrival: Arrival) -> None:
        super().commit(arrival, self.world.judge(arrival, self.records(arrival.gate)))


class TrustAck(World):
    """The gate believes an answer whose hash is not its own."""

    def make_gate(self, name: str, board: str, disk: Disk) -> Gate:
        """See World."""
        return _Believes(self, name, board, disk)


class _Believes(Gate):
    def acknowledge(self, seq: int, event_hash: bytes, *, keep: bool) -> bool:
        """Whatever the hash."""
        del event_hash, keep
        self.disk.acked = self.disk.acked_on_disk = max(self.disk.acked, min(seq, self.disk.seq))
        return True


class SeqIdentity(World):
    """An event is known by its epoch and seq: after a fork the same ones are stored again."""

    def make_records(self) -> Records:
        """See World."""
        return _ByPlace()


class _ByPlace(Records):
    def identity(self, epoch: str, event: NewEvent) -> object:
        """Its place."""
        return (epoch, event.seq)


class ForgetWant(World):
    """The gate does not listen to `want`."""

    def make_uplink(self, uplink: Uplink) -> Uplink:
        """See World."""
        planted: Any = uplink
        planted._want = lambda _ack, _head, now: uplink._go(now)
        return uplink


class NoAssert(World):
    """An idle gate does not say where its chain ends."""

    def make_uplink(self, uplink: Uplink) -> Uplink:
        """See World."""
        go, planted = uplink._go, uplink

        def without(now: float) -> list[Act]:
            planted._assert_at = now + 1
            return go(now)

        plant: Any = uplink
        plant._go = without
        return uplink


class TrustRoot(World):
    """The center takes an epoch that hangs on events which it does not hold."""

    def judge(self, arrival: Arrival, records: Records) -> Outcome:
        """See World."""
        header = arrival.batch.header
        root = bytes.fromhex(header.root)
        if header.epoch in records.epochs or root in records.hashes:
            return super().judge(arrival, records)
        records.hashes.add(root)
        outcome = super().judge(arrival, records)
        records.hashes.discard(root)
        return outcome


class FromMemory(World):
    """The gate sends again what it once read, not what is in its journal now."""

    memory: dict[str, dict[int, tuple[bytes, list[bytes]]]]

    def make_uplink(self, uplink: Uplink) -> Uplink:
        """See World."""
        if not hasattr(self, "memory"):
            self.memory = {}
        memory, read = self.memory.setdefault(uplink._us.gate, {}), uplink.read

        def remembered(after: int, prev: bytes, lines: list[bytes], *rest: Any) -> list[Act]:
            prev, lines = memory.setdefault(after, (prev, lines)) if lines else (prev, lines)
            return read(after, prev, lines, *rest)

        plant: Any = uplink
        plant.read = remembered
        return uplink


ALL: Final = (AckFirst, TrustAck, SeqIdentity, ForgetWant, NoAssert, TrustRoot, FromMemory)
