"""An LCUS board that does not take its bytes: no contact stays closed for it."""

import asyncio
import contextlib
from contextlib import aclosing

import pytest

from drivers import lcus
from drivers.link import Link, LinkLost
from drivers.port import Condition, DriverError
from drivers.registry import Ports

OFF = bytes.fromhex("a00100a1")
ON = bytes.fromhex("a00101a2")


class StubbornLink(Link):
    """A link that takes bytes only when told to."""

    def __init__(self) -> None:
        super().__init__("/dev/none")
        self.takes = True
        self.gone = False
        self.taken: list[bytes] = []
        self.took = asyncio.Event()

    def write(self, data: bytes) -> None:
        """See Link."""
        if self.gone:
            raise LinkLost("/dev/none is gone")
        if not self.takes:
            raise DriverError("/dev/none takes no more bytes")
        self.taken.append(data)
        self.took.set()

    def _shut(self) -> None:
        """Nothing lies beneath."""


class OneLink:
    """An opener of this one link."""

    port = "/dev/none"

    def __init__(self, link: StubbornLink) -> None:
        self._link = link

    async def open(self) -> Link:
        """See Opener."""
        return self._link

    def close(self) -> None:
        """See Opener."""


async def test_an_off_that_was_refused_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port takes no bytes when a pulse ends: the contact is opened as soon as it does again."""
    monkeypatch.setattr(lcus, "STEP_S", 0.01)
    link = StubbornLink()
    monkeypatch.setattr(lcus, "opener", lambda *_: OneLink(link))
    output = lcus.make("a", lcus.Options(port="/dev/none", channel=1), Ports())
    async with aclosing(output.reports()) as reports, asyncio.timeout(10):
        assert await anext(reports) == Condition(True)
        output.set(on=True)
        link.takes = False
        with pytest.raises(DriverError):
            output.set(on=False)
        with contextlib.suppress(DriverError):
            output.set(on=True)
        link.took.clear()
        link.takes = True
        await link.took.wait()
    assert link.taken == [OFF, ON, OFF]


async def test_a_full_port_is_no_trouble_for_what_is_closed_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the board is behind, an On that only says again what was said is no failure; losing the port is one."""
    link = StubbornLink()
    monkeypatch.setattr(lcus, "opener", lambda *_: OneLink(link))
    output = lcus.make("a", lcus.Options(port="/dev/none", channel=1), Ports())
    async with aclosing(output.reports()) as reports, asyncio.timeout(10):
        assert await anext(reports) == Condition(True)
        output.set(on=True)
        link.takes = False
        output.set(on=True)
        link.gone = True
        with pytest.raises(LinkLost):
            output.set(on=True)
    assert link.taken == [OFF, ON]
