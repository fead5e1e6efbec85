"""What is done to the community on purpose, and what came of each deed.

A deed is over when its effect has been seen, or has not come within `LIMIT_S`: then that is a problem. What has been
cut or unplugged stays so until the same is asked again, or `restore`.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from gated.demo.community.attack import Attack
from gated.demo.community.day import Act
from gated.demo.community.desk import Desk
from gated.demo.community.ear import Ear
from gated.demo.community.gate import Gate, come
from gated.demo.community.until import LIMIT_S, LateError, until
from gated.demo.daemon import Daemon
from gated.demo.day import Person
from protocol.credential import masked

LISTED: Final = "listed"
SUSPENDED: Final = "suspended"
_AFTER_KILL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a deed."""

    act: Act
    text: str
    fits: bool = True


class Deeds:
    """Does them. `tenants` are people whose cards may be suspended, and who come to no gate by themselves."""

    def __init__(
        self,
        gates: Mapping[str, Gate],
        desk: Desk,
        center: Daemon,
        ear: Ear,
        tenants: Sequence[Person],
        tell: Callable[[str], None],
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._gates = gates
        self._desk = desk
        self._center = center
        self._ear = ear
        self._tenants: Iterator[Person] = iter(tenants)
        self._tell = tell
        self._cut: dict[str, float] = {}
        self._unplugged: dict[str, float] = {}
        self._pulled = dict.fromkeys(gates, 0)
        self._attacking = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    def do(self, act: Act, gate: str) -> None:
        """Do this, to that gate where it is about one."""
        one = self._gates[gate]
        deeds: dict[Act, Callable[[], Coroutine[None, None, Outcome | None]]] = {
            Act.LINK: partial(self._link, one),
            Act.READER: partial(self._reader, one),
            Act.KILL: partial(self._kill, one),
            Act.CENTER: self._kill_center,
            Act.SUSPEND: partial(self._suspend, one),
            Act.ATTACK: partial(self._attack, one),
        }
        task = asyncio.create_task(self._see(act, gate, deeds[act]()), name=f"{act} {gate}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def restore(self) -> None:
        """Mend all that is cut, plug in what is unplugged, and wait until every deed is over."""
        for name in tuple(self._cut):
            self.do(Act.LINK, name)
        for name in tuple(self._unplugged):
            self.do(Act.READER, name)
        while self._running:
            await asyncio.wait(self._running)

    def cancel(self) -> None:
        """Leave what is not over."""
        for task in tuple(self._running):
            task.cancel()

    async def _see(self, act: Act, gate: str, deed: Coroutine[None, None, Outcome | None]) -> None:
        try:
            outcome = await deed
        except LateError as error:
            outcome = Outcome(act, f"{gate}: not within {LIMIT_S:.0f} s: {error}", fits=False)
        except Exception as error:  # noqa: BLE001 - a deed that fails is a finding, not the end of the demonstration
            outcome = Outcome(act, f"{gate}: {error}", fits=False)
        if outcome is not None:
            self.outcomes.append(outcome)
            self._tell(f"{act}: {outcome.text}")

    async def _link(self, gate: Gate) -> Outcome | None:
        if gate.link.open:
            gate.link.cut()
            self._cut[gate.name] = time.monotonic()
            self._tell(f"{gate.name}: its line to the broker is cut; it goes on alone")
            return None
        was = time.monotonic() - self._cut.pop(gate.name)
        waiting = "its daemon was dead" if gate.backlog is None else f"{gate.backlog} events waited"
        await gate.link.mend()
        self._tell(f"{gate.name}: its line is mended")
        took = await until(
            lambda: gate.backlog == 0 or not gate.link.open, f"the center has all of {gate.name}'s events"
        )
        if not gate.link.open:
            return None  # cut again: the next mending tells
        return Outcome(Act.LINK, f"{gate.name} cut off for {was:.1f} s; {waiting}, all told after {took:.1f} s")

    async def _reader(self, gate: Gate) -> Outcome | None:
        readers = tuple(gate.post.readers)
        if gate.unplugged is None:
            name = gate.unplugged = readers[self._pulled[gate.name] % len(readers)]
            self._pulled[gate.name] += 1
            self._unplugged[gate.name] = time.monotonic()
            gate.post.readers[name].host.unplug()
            self._tell(f"{gate.name}: the reader of {name} is unplugged")
            # Plugged in again at once, it may never have been missed.
            await until(lambda: not _online(gate, name) or gate.unplugged is None, f"the reader of {name} is said lost")
            return None
        name, gate.unplugged = gate.unplugged, None
        was = time.monotonic() - self._unplugged.pop(gate.name)
        said = "not missed" if _online(gate, name) else "said lost"
        await gate.post.readers[name].host.plug()
        took = await until(
            lambda: _online(gate, name) or gate.unplugged == name, f"{gate.name} has the reader of {name} back"
        )
        return Outcome(Act.READER, f"{name} of {gate.name} unplugged for {was:.1f} s: {said}, back after {took:.1f} s")

    async def _kill(self, gate: Gate) -> Outcome | None:
        seq, problems = gate.watch.mark.seq, len(gate.watch.problems)
        if not gate.daemon.kill():
            return None
        gate.watch.killed()
        await asyncio.sleep(_AFTER_KILL_S)
        took = await until(gate.watch.ready.is_set, f"the daemon of {gate.name} answers again")
        fits = len(gate.watch.problems) == problems
        kept = f"event {seq}, the last one read, is there" if fits else "; ".join(gate.watch.problems[problems:])
        return Outcome(Act.KILL, f"{gate.name} back after {took:.1f} s; {kept}", fits=fits)

    async def _kill_center(self) -> Outcome | None:
        if not self._center.kill():
            return None
        began = time.monotonic()
        self._tell("kill -9: the center is dead; the gates go on")
        await until(lambda: self._center.pid is not None, "the center is started again")
        started = time.monotonic()
        await until(lambda: any(at > started for at in self._ear.acked_at.values()), "the center answers again")
        back = time.monotonic() - began
        waiting = sum(gate.backlog or 0 for gate in self._linked())
        took = await until(lambda: all(gate.backlog == 0 for gate in self._linked()), "all events are told")
        return Outcome(
            Act.CENTER,
            f"back after {back:.1f} s; {waiting} events still waited at the gates, told after {took:.1f} s more",
        )

    async def _suspend(self, gate: Gate) -> Outcome | None:
        person = next(self._tenants, None)
        if person is None:
            self._tell("everybody whose card may be suspended has lost it already")
            return None
        credential = person.credential(gate.first.family.form)
        before = await come(gate, person)
        # Who is cut off or dead when the command is given has it later, and is not what is measured.
        there = [one for one in self._linked() if one.backlog is not None]
        began = time.monotonic()
        self._tell(f"suspend: {person.who} ({masked(credential)}), at the center")
        await self._desk.suspend(credential)
        typed = time.monotonic() - began
        await until(
            lambda: all(self.suspended(one) for one in there if one.link.open), "it is in force at every connected gate"
        )
        took, reached = time.monotonic() - began, [one for one in there if one.link.open]
        # At the same gate it would still be the same passage.
        others = [one for one in reached if one is not gate]
        after = await asyncio.gather(*(come(one, person) for one in others))
        seen = {one.name: reason for one, reason in zip(others, after, strict=True) if reason}
        told = f" and is {', '.join(sorted(set(seen.values())))} at {', '.join(seen)}" if seen else ""
        text = (
            f"in force at {len(reached)} connected gates after {took:.1f} s, {typed:.1f} s of them the command; "
            f"{person.who} {masked(credential)} was {before or 'not seen'} at {gate.name}{told}"
        )
        return Outcome(Act.SUSPEND, text, fits=before in {LISTED, ""} and set(seen.values()) <= {SUSPENDED})

    async def _attack(self, gate: Gate) -> Outcome:
        async with self._attacking:  # the second would forge what the first has forged
            text, fits = await Attack(self._gates, gate, self._ear, self._tell).run()
        return Outcome(Act.ATTACK, text, fits=fits)

    def suspended(self, gate: Gate) -> bool:
        """Whether all that has been suspended is in force at this gate."""
        return int(gate.list.get("suspensions", 0)) >= self._desk.suspended

    def _linked(self) -> list[Gate]:
        """The gates whose line is not cut."""
        return [gate for gate in self._gates.values() if gate.link.open]


def _online(gate: Gate, reader: str) -> bool:
    return dict(gate.devices())[reader]
