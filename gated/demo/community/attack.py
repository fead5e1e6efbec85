"""An intruder with every right at the broker tries what can be tried without a key; whether anything came of it."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from gated.demo.community.ear import Ear
from gated.demo.community.gate import Gate, come
from gated.demo.community.until import until
from gated.demo.day import unknown
from gated.demo.post import SITE
from protocol import topics

SETTLE_S: Final = 1.0
"""Longer than a message and a look at the gate take."""
REPLAYS: Final = 3


class Attack:
    """One attack on one gate, and with a forged list on all."""

    def __init__(self, gates: Mapping[str, Gate], gate: Gate, ear: Ear, tell: Callable[[str], None]) -> None:
        self._gates = gates
        self._gate = gate
        self._ear = ear
        self._tell = tell
        self._intruder = replace(unknown(random.SystemRandom()), who="the intruder")

    async def run(self) -> tuple[str, bool]:
        """Do all of it; what came of it, and whether all was refused. Raises LateError."""
        parts = [await self._false_answers(), await self._old_batch(), await self._forged_list()]
        return "; ".join(text for text, _ in parts), all(fits for _, fits in parts)

    async def _false_answers(self) -> tuple[str, bool]:
        from gated.demo.community import forge  # noqa: PLC0415 - tuf, 80 ms

        gate = self._gate
        await until(gate.watch.ready.is_set, f"{gate.name} answers")
        before = gate.watch.status or {}
        epoch, seq = before["journal"]["epoch"], before["journal"]["seq"]
        self._tell(f"attack: false answers to {gate.name}, as if from the center")
        for answer in forge.acks(SITE, gate.name, epoch, seq):
            await self._ear.say(topics.ack(SITE, gate.name), answer)
        await asyncio.sleep(SETTLE_S)
        await until(gate.watch.ready.is_set, f"{gate.name} answers")
        after = gate.watch.status or {}
        word = self._ear.acks.get(gate.name)
        fits = (
            word is not None
            and after["journal"]["epoch"] == epoch
            and after["journal"]["acked"] <= word.seq
            and not after["center"]["rivals"]
        )
        return ("false answers refused" if fits else f"{gate.name} has BELIEVED a false answer"), fits

    async def _old_batch(self) -> tuple[str, bool]:
        name = self._gate.name
        batch = self._ear.batches.get(name)
        if batch is None:
            return "no batch had been heard yet", True
        self._tell(f"attack: an old batch of {name}, {REPLAYS} times more")
        for _ in range(REPLAYS):
            await self._ear.say(topics.events(SITE, name), batch)
        # Whether anything is there twice now, the comparison at the end says of every event.
        return f"an old batch said {REPLAYS} times more", True

    async def _forged_list(self) -> tuple[str, bool]:
        from gated.demo.community import forge  # noqa: PLC0415 - tuf, 80 ms

        ear, gate = self._ear, self._gate
        there = [one for one in self._gates.values() if one.link.open and one.watch.ready.is_set()]
        before = {one.name: one.list.get("version") for one in there}
        true = ear.repository
        ear.refusals.clear()
        self._tell("attack: a list with the intruder's own card, retained at the broker")
        said = forge.lists(SITE, true, self._intruder.credential(gate.first.family.form))
        for topic, payload in said:
            await ear.say(topic, payload, retain=True)
        await until(lambda: bool(ear.refusals) or not there, "a gate refuses the forged list")
        reason = await come(gate, self._intruder)
        for topic, _ in said[:-1]:
            await ear.say(topic, b"", retain=True)
        took = await until(
            lambda: ear.repository != said[-1][1] and all(_idle(ear, one) for one in there if one.link.open),
            "the center has put its own list back",
        )
        names = {one.name: one.list.get("version") for one in there if one.watch.status is not None}
        fits = reason in {"unknown", ""} and all(before[name] == version for name, version in names.items())
        if not fits:
            return f"a FORGED list was taken: the intruder's card is {reason} at {gate.name}", False
        why = next(iter(ear.refusals.values()), "")
        card = f"its card {reason} at {gate.name}" if reason else "its card shown nowhere"
        told = f"a forged list refused by {len(ear.refusals)} gates ({why}), {card}"
        return f"{told}; the center's own list back after {took:.1f} s", True


def _idle(ear: Ear, gate: Gate) -> bool:
    return gate.name in ear.flashes and ear.flashes[gate.name].state == "idle"
