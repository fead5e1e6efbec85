"""A barrier's pulse: as long as asked, longer when asked again, one after the other at a turnstile."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from drivers.port import Condition, DriverError, Quiet
from gated.lanes import barrier
from gated.lanes.barrier import COMMAND, FIRE, Barrier

PULSE_S = 0.05


class Contact:
    """An output that remembers, and can be away."""

    def __init__(self) -> None:
        self.there = True
        self.moves: list[bool] = []
        self.left = False
        self.owed = False
        self.moved = asyncio.Event()

    async def reports(self) -> AsyncGenerator[Condition | Quiet, None]:
        """See Output."""
        yield Condition(True)

    def leave(self) -> None:
        """See Output."""
        self.left = True

    def set(self, *, on: bool, owed: bool = False) -> None:
        """See Output."""
        self.owed = owed
        if not self.there:
            raise DriverError("unplugged")
        self.moves.append(on)
        self.moved.set()

    async def until(self, count: int) -> None:
        """Return when it has moved that often."""
        async with asyncio.timeout(10):
            while len(self.moves) < count:
                self.moved.clear()
                await self.moved.wait()


async def test_a_pulse_ends() -> None:
    """On, and off again by itself."""
    contact = Contact()
    opened = Barrier(contact, PULSE_S)
    opened.open()
    assert opened.pulsing
    await contact.until(2)
    assert contact.moves == [True, False]
    assert not opened.pulsing


async def test_asked_again_it_lasts_longer() -> None:
    """Two openings in one pulse end together."""
    contact = Contact()
    opened = Barrier(contact, PULSE_S)
    opened.open()
    opened.open()
    await contact.until(3)
    assert not opened.pulsing
    opened.open()
    await contact.until(5)
    assert contact.moves == [True, True, False, True, False]


async def test_a_turnstile_turns_once_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three openings are three pulses."""
    monkeypatch.setattr(barrier, "TURNSTILE_PAUSE_S", 0.01)
    contact = Contact()
    turnstile = Barrier(contact, PULSE_S, turnstile=True)
    for _ in range(3):
        turnstile.open()
    await contact.until(6)
    assert contact.moves == [True, False] * 3
    assert turnstile._timer is None


async def test_a_contact_that_is_away() -> None:
    """Opening says so; nothing moves later."""
    contact = Contact()
    contact.there = False
    opened = Barrier(contact, PULSE_S)
    with pytest.raises(DriverError):
        opened.open()
    assert not opened.pulsing
    contact.there = True
    opened.open()
    await contact.until(2)
    assert contact.moves == [True, False]


async def test_a_turnstile_sees_the_contact_open_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked in the pause after a pulse it waits for the pause to end."""
    monkeypatch.setattr(barrier, "TURNSTILE_PAUSE_S", 0.01)
    contact = Contact()
    turnstile = Barrier(contact, PULSE_S, turnstile=True)
    turnstile.open()
    turnstile.open()
    await contact.until(2)
    turnstile.open()
    assert contact.moves == [True, False]
    await contact.until(6)
    assert contact.moves == [True, False] * 3
    assert turnstile._timer is None
    assert not turnstile.pulsing


@pytest.mark.parametrize("turnstile", [False, True])
async def test_a_contact_that_goes_during_the_pulse(turnstile: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter
    """The pulse ends all the same, nothing that waited comes as a surprise, and the next opening opens."""
    monkeypatch.setattr(barrier, "TURNSTILE_PAUSE_S", 0.01)
    contact = Contact()
    opened = Barrier(contact, PULSE_S, turnstile=turnstile)
    lost: list[str] = []
    opened.open()
    if turnstile:
        opened.open(lambda error: lost.append(str(error)))
    contact.there = False
    async with asyncio.timeout(10):
        while opened.pulsing:  # noqa: ASYNC110 - a contact that is away has no event
            await asyncio.sleep(0)
    assert lost == ["unplugged"] * turnstile
    contact.there = True
    opened.open()
    await contact.until(3)
    assert contact.moves == [True, True, False]
    assert opened._timer is None


async def test_a_contact_that_goes_between_two_pulses(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a turnstile what still waits is dropped, each who waits hears it, and it is not stuck."""
    monkeypatch.setattr(barrier, "TURNSTILE_PAUSE_S", 0.01)
    contact = Contact()
    turnstile = Barrier(contact, PULSE_S, turnstile=True)
    lost: list[str] = []
    for number in range(3):
        turnstile.open(lambda error, number=number: lost.append(f"{number} {error}"))  # type: ignore[misc]
    await contact.until(2)
    contact.there = False
    async with asyncio.timeout(10):
        while turnstile._timer is not None:  # noqa: ASYNC110 - a contact that is away has no event
            await asyncio.sleep(0)
    assert lost == ["1 unplugged", "2 unplugged"]
    contact.there = True
    turnstile.open()
    await contact.until(4)
    assert contact.moves == [True, False] * 2
    assert turnstile._timer is None


async def test_stopped_between_two_pulses() -> None:
    """What waited at a turnstile does not come any more."""
    contact = Contact()
    turnstile = Barrier(contact, PULSE_S, turnstile=True)
    turnstile.open()
    turnstile.open()
    await contact.until(2)
    turnstile.stop()
    assert turnstile._timer is None
    assert True not in contact.moves[1:]
    turnstile.stop()
    assert not turnstile.pulsing


async def test_stopped_without_a_contact() -> None:
    """The end of the daemon is no error where the contact is away."""
    contact = Contact()
    opened = Barrier(contact, 60)
    opened.open()
    contact.there = False
    opened.stop()
    assert not opened.pulsing


async def test_stopped_it_lets_go_at_once() -> None:
    """At the end of the daemon the contact is released, however long the pulse."""
    contact = Contact()
    opened = Barrier(contact, 60, turnstile=True)
    opened.open()
    opened.open()
    opened.stop()
    assert contact.moves == [True, False]


async def test_fire_holds_a_contact_that_is_away() -> None:
    """It cannot be told, which is said, of an opening too; it is owed, and then an opening is given already."""
    contact = Contact()
    contact.there = False
    held = Barrier(contact, PULSE_S)
    with pytest.raises(DriverError):
        held.hold(FIRE)
    assert held.holders == {FIRE}
    assert contact.owed
    with pytest.raises(DriverError):
        held.open()
    assert contact.owed
    with pytest.raises(DriverError):
        held.hold(COMMAND)
    assert contact.owed
    contact.there = True
    held.keep()
    held.open()
    assert (contact.moves, contact.owed) == ([True, True], True)
    held.stop()
    assert all(contact.moves)
    held.let_go(FIRE)
    assert contact.moves == [True, True, False]


async def test_what_a_command_holds_outlives_the_fire() -> None:
    """Each lets go of its own only, whichever came first."""
    contact = Contact()
    held = Barrier(contact, PULSE_S)
    for first, last in ((FIRE, COMMAND), (COMMAND, FIRE)):
        contact.moves.clear()
        held.hold(COMMAND)
        held.hold(FIRE)
        held.let_go(first)
        assert False not in contact.moves
        held.let_go(last)
        assert contact.moves[-1] is False


async def test_left_until_fire_has_a_word() -> None:
    """Nothing opens the contact before, not even the end of a pulse; then it is let go, or held."""
    for burns in (False, True):
        contact = Contact()
        left = Barrier(contact, PULSE_S)
        left.leave()
        assert contact.left
        left.open()
        async with asyncio.timeout(10):
            while left.pulsing:  # noqa: ASYNC110 - a contact that does not move has no event
                await asyncio.sleep(0)
        left.hold(COMMAND)
        left.let_go(COMMAND)
        assert False not in contact.moves
        if burns:
            left.hold(FIRE)
            assert False not in contact.moves
        left.let_go(FIRE)
        assert contact.moves[-1] is False


async def test_a_pulse_outlives_the_first_word() -> None:
    """An opening given while nothing was known has its whole pulse, and ends by itself."""
    contact = Contact()
    left = Barrier(contact, PULSE_S)
    left.leave()
    left.open()
    left.let_go(FIRE)
    assert contact.moves == [True]
    await contact.until(2)
    assert contact.moves == [True, False]
