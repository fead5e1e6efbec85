"""What em4100 does beyond every reader's contract: equal frames before a sighting."""

from pathlib import Path
from typing import Any

import pytest

from drivers.em4100 import GARBAGE_BYTES, QUIETED_S, Confirm, Em4100Reader, Garbage, Options
from drivers.emulated.em4100 import EmulatedEm4100
from protocol.em4100 import Frame, Framing
from protocol.sighting import Sighting
from tests.drivers.rig import hosted, watching

ONE, TWO = (Frame(bytes([0, 0, 0, 0, number]), Framing.RDM6300) for number in (1, 2))


def test_two_equal_frames_make_a_sighting() -> None:
    """Within 0.3 s, others between them or not; each further one too."""
    confirm = Confirm(None)
    assert [confirm.see(frame, at) for frame, at in ((ONE, 0.0), (TWO, 0.1), (ONE, 0.2), (ONE, 0.3))] == [
        False,
        False,
        True,
        True,
    ]
    assert not confirm.see(ONE, 1.0)


@pytest.mark.parametrize(
    ("framing", "wanted"), [(Framing.RDM6300, 2), (Framing.RAW13, 2), (Framing.PARALLAX, 2), (Framing.ID20, 1)]
)
def test_a_reader_that_sends_once_needs_one(framing: Framing, wanted: int) -> None:
    """The default follows the framing; an option overrules it."""
    frame = Frame(ONE.tag, framing)
    assert [Confirm(None).see(frame, 0.0), Confirm(1).see(frame, 0.0), Confirm(3).see(frame, 0.0)] == [
        wanted == 1,
        True,
        False,
    ]


@pytest.mark.parametrize("framing", Framing)
async def test_every_framing_is_read_where_it_is_named(framing: Framing, tmp_path: Path) -> None:
    """Parallax's too, which `auto` leaves alone."""
    device = EmulatedEm4100(framing)
    async with (
        hosted("pty", device, tmp_path) as host,
        watching(Em4100Reader("r", Options(port=host.port, framing=framing.value), lambda: 0.0)) as watch,
    ):
        await watch.online()
        host.send(device.frame("0F0184F07A") * 2)
        assert (await watch.until(lambda report: isinstance(report, Sighting))).credential == "em:0F0184F07A"


@pytest.mark.parametrize(
    ("options", "baud"),
    [
        ({}, 9600),
        ({"framing": "parallax"}, 2400),
        ({"framing": "parallax", "baud": 9600}, 9600),
        ({"baud": 2400}, 2400),
    ],
)
def test_the_speed_follows_the_framing(options: dict[str, Any], baud: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parallax's readers have 2400 baud and no other; what is configured holds."""
    opened: list[int] = []
    monkeypatch.setattr("drivers.em4100.opener", lambda _, speed: opened.append(speed))
    Em4100Reader("r", Options(port="/dev/x", **options), lambda: 0.0)
    assert opened == [baud]


def test_garbage_is_told_from_noise() -> None:
    """Many bytes and no frame are a state, until a frame comes or the line is quiet; a few now and then are none."""
    garbage = Garbage()
    assert not garbage.see(GARBAGE_BYTES - 1, 1.0, frames=False)
    assert garbage.see(GARBAGE_BYTES, 2.0, frames=False)
    assert garbage.see(GARBAGE_BYTES, 2.0 + QUIETED_S, frames=False)
    assert not garbage.see(GARBAGE_BYTES, 2.1 + QUIETED_S, frames=False)
    assert not garbage.see(2 * GARBAGE_BYTES - 1, 90.0, frames=False)
    assert garbage.see(2 * GARBAGE_BYTES, 91.0, frames=False)
    assert not garbage.see(3 * GARBAGE_BYTES, 92.0, frames=True)
    noise = Garbage()
    assert not any(noise.see(10 * hour, 3600.0 * hour, frames=False) for hour in range(1, 100))


async def test_a_reader_of_another_framing_is_said(tmp_path: Path) -> None:
    """Its port is there, and what comes is no tag: a technician sees what to look at; the next tag puts it online."""
    device = EmulatedEm4100()
    async with (
        hosted("pty", device, tmp_path) as host,
        watching(Em4100Reader("r", Options(port=host.port), lambda: 0.0)) as watch,
    ):
        await watch.online()
        host.send(b"0012345678\r\n" * 8)
        assert "check framing" in await watch.offline()
        here = watch.here
        host.send(device.frame("62E3086CED") * 2)
        await watch.online(here)
        assert (await watch.until(lambda report: isinstance(report, Sighting))).credential == "em:62E3086CED"
