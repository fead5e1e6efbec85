"""Word to systemd, on a real datagram socket: ready, stopping, alive; and no harm where nobody listens."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.notify import Notifier
from gated.watchdog import Watchdog


def notifier(**environ: str) -> Notifier:
    """A notifier that was started in this environment."""
    return Notifier(cast("os._Environ[str]", environ))


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """A service manager's socket; reading from it does not wait."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(address)
        link.setblocking(False)
        yield link


def test_each_word_is_a_line_of_one_datagram(tmp_path: Path) -> None:
    """READY with its status, then WATCHDOG."""
    with manager(str(tmp_path / "notify")) as link:
        say = notifier(NOTIFY_SOCKET=str(tmp_path / "notify"))
        say("READY=1", "STATUS=4 lanes, 门岗")
        say("WATCHDOG=1")
        assert [link.recv(200).decode() for _ in range(2)] == ["READY=1\nSTATUS=4 lanes, 门岗", "WATCHDOG=1"]


def test_an_abstract_address() -> None:
    """Written with @ in the environment, with a zero byte on the wire."""
    name = f"gated-test-{os.getpid()}"
    with manager(f"\0{name}") as link:
        notifier(NOTIFY_SOCKET=f"@{name}")("READY=1")
        assert link.recv(200) == b"READY=1"


def test_nobody_there(tmp_path: Path) -> None:
    """No manager, one that has gone, an address that is none: nothing happens."""
    notifier()("READY=1")
    notifier(NOTIFY_SOCKET="")("READY=1")
    with manager(str(tmp_path / "notify")):
        pass
    for address in (tmp_path / "notify", tmp_path / "none", tmp_path):
        notifier(NOTIFY_SOCKET=str(address))("READY=1")
    notifier(NOTIFY_SOCKET="/" + "x" * 200)("READY=1")


def test_a_manager_that_does_not_read(tmp_path: Path) -> None:
    """The daemon never waits for it."""
    with manager(str(tmp_path / "notify")) as link:
        say = notifier(NOTIFY_SOCKET=str(tmp_path / "notify"))
        for _ in range(5000):
            say("WATCHDOG=1")
        assert link.recv(200) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("usec", "seconds"), [("30000000", 30.0), ("500000", 0.5), ("", None), ("soon", None), ("-1", None), ("1.5", None)]
)
def test_how_often_it_wants_to_hear(usec: str, seconds: float | None) -> None:
    """Microseconds in the environment; anything else is never."""
    assert notifier(WATCHDOG_USEC=usec).watchdog_s == seconds
    assert notifier().watchdog_s is None


class Told(Notifier):
    """A notifier that counts instead."""

    def __init__(self, watchdog_s: float | None = 30.0) -> None:
        super().__init__(cast("os._Environ[str]", {}))
        self.watchdog_s = watchdog_s
        self.words: list[str] = []

    def __call__(self, *words: str) -> None:
        """See Notifier."""
        self.words += words


LOOPS = ("walk-in", "car-in", "tick")


@given(st.lists(st.tuples(st.sampled_from(LOOPS), st.sampled_from([0.0, 0.5, 2.9, 3.0, 5.0]))))
def test_fed_only_when_every_loop_has_turned_since(story: list[tuple[str, float]]) -> None:
    """Between two feedings each loop has turned at least once; and when all have and it is time, it is fed."""
    told = Told()
    dog = Watchdog(told, LOOPS)
    turned: set[str] = set()
    mono, due = 0.0, 0.0
    for loop, seconds in story:
        mono += seconds
        turned.add(loop)
        before = len(told.words)
        dog.turned(loop, mono)
        fed = len(told.words) - before
        assert fed == (turned == set(LOOPS) and mono >= due)
        if fed:
            turned, due = set(), mono + 3.0
    assert set(told.words) <= {"WATCHDOG=1"}


def test_a_manager_that_wants_to_hear_nothing() -> None:
    """Without a watchdog none is fed."""
    told = Told(None)
    dog = Watchdog(told, ["tick"])
    for second in range(100):
        dog.turned("tick", float(second))
    assert told.words == []
