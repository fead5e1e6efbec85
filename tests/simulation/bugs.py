"""Planted bugs: each a world that is wrong in one way. The simulation must find every one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, cast

from center.config import Keep
from center.intake.batches import Answer, Arrival
from center.intake.ingest import NewEvent, Outcome, ingest
from center.records.prune import Chain, Turns
from gated.clock import Timekeeper
from gated.talking.uplink import Act, Uplink
from tests.simulation.disk import Disk
from tests.simulation.records import Records
from tests.simulation.world import KEEP_S, PRUNE_EVENTS, Center, Gate, World


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

    def make_records(self, gate: str) -> Records:
        """See World."""
        return _ByPlace(gate)


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


class PruneUnsaid(World):
    """The gate lets go of what the center has not acknowledged."""

    def make_gate(self, name: str, board: str, disk: Disk) -> Gate:
        """See World."""
        return _PrunesAll(self, name, board, disk)


class _PrunesAll(Gate):
    def prune(self, before: datetime) -> list[tuple[int, bytes]]:
        """Whatever is old."""
        gone = self.disk.let_go(self.disk.seq, before, PRUNE_EVENTS)
        self.disk.acked = self.disk.acked_on_disk = max(self.disk.acked, self.disk.pruned)
        return gone


class PruneUnsettled(World):
    """The gate believes a wall clock that has just been set ahead."""

    def make_gate(self, name: str, board: str, disk: Disk) -> Gate:
        """See World."""
        return _PrunesByTheWall(self, name, board, disk)


class _PrunesByTheWall(Gate):
    def prune_before(self, keeper: Timekeeper) -> datetime | None:
        """By what it says now."""
        del keeper
        return datetime.fromtimestamp(self.clocks.wall() - KEEP_S, UTC) if self.clocks.synced() else None


class WantPruned(World):
    """The center asks for what the gate no longer has, and for nothing else: after a backup was put back it waits."""

    def judge(self, arrival: Arrival, records: Records) -> Outcome:
        """As if the gate had everything."""
        batch = arrival.batch
        header = batch.header.model_copy(update={"oldest": min(batch.header.oldest, 1)})
        return ingest(replace(batch, header=header), records, arrival.received)


class PruneShared(World):
    """The center lets go of an epoch's events though another one still needs them."""

    def make_records(self, gate: str) -> Records:
        """See World."""
        return _PrunesShared(gate)


class _PrunesShared(Records):
    def fronts(self, keep: Keep, now: float) -> list[Chain]:
        """As if none had anything of another's."""
        chains = super().fronts(keep, now)
        for one in chains:
            one.shares = False
        return chains


class PruneBlindly(World):
    """The center lets go of what it has planned to, whatever has come since."""

    def make_records(self, gate: str) -> Records:
        """See World."""
        return _PrunesBlindly(gate)


class _PrunesBlindly(Records):
    def planned(self, keep: Keep, now: float) -> Turns:
        """As planned."""
        turns: Any = super().planned(keep, now)
        turns._may_share = lambda _head, _step: False
        return cast("Turns", turns)


ALL: Final = (
    *(AckFirst, TrustAck, SeqIdentity, ForgetWant, NoAssert, TrustRoot, FromMemory),
    *(PruneUnsaid, PruneUnsettled, WantPruned, PruneShared, PruneBlindly),
)
