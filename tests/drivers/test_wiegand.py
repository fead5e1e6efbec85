"""What wiegand does beyond every reader's contract: what is no card is a state, and options that go together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.emulated.wiegand import EmulatedWiegand
from drivers.port import Condition
from drivers.registry import Role
from drivers.wiegand import Fares, Options
from protocol.sighting import Sighting
from protocol.wiegand import Card, Fault, Format
from protocol.wiegand_serial import Framing, Note
from tests.drivers.rig import hosted, made, watching

CARD = "26:123:45678"
GOOD = Card(Format.H10301, 123, 45678)
WIDE = "37:500:300000"
SWAP = str.maketrans("01", "10")


@pytest.mark.parametrize(
    ("said", "times", "words"),
    [
        (Note.DISCONNECTED, 1, "no reader is connected"),
        (Fault.INVERTED, 2, "D0 and D1 are swapped"),
        (Fault.UNNAMED, 2, 'say format = "H10302"'),
        (Fault.LENGTH, 3, "26, 34, 35 or 37"),
        (Fault.PARITY, 5, "parity"),
        (Note.STRANGE, 5, "check framing and baud"),
    ],
)
def test_what_is_no_card_is_a_state_when_it_repeats(said: Fault | Note, times: int, words: str) -> None:
    """Alike, in a row, with no card between; the next card ends it."""
    fares = Fares()
    for other in (said,) * (times - 1) + (GOOD,) + (said,) * (times - 1) + (Fault.PARITY, Note.KEY):
        fares.see(other)
        assert not fares.trouble or said is Fault.PARITY
    fares.see(GOOD)
    for _ in range(times):
        assert not fares.trouble
        fares.see(said)
    assert words in fares.trouble
    fares.see(GOOD)
    assert not fares.trouble


def test_a_reader_that_is_plugged_in_again_is_well() -> None:
    """Without a card; what else was wrong stays so."""
    fares, worse = Fares(), Fares()
    for plug in (Note.DISCONNECTED, Note.CONNECTED):
        fares.see(plug)
    assert not fares.trouble
    for said in (Fault.INVERTED, Fault.INVERTED, Note.CONNECTED):
        worse.see(said)
    assert worse.trouble


async def test_swapped_wires_are_said_and_nothing_is_sighted(tmp_path: Path) -> None:
    """The reader is offline, with what to do, until a card reads right."""
    device = EmulatedWiegand()
    async with hosted("pty", device, tmp_path) as host, watching(made(Role.READER, "wiegand", host.port)) as watch:
        await watch.online()
        host.send(device.line(GOOD.to_bits().translate(SWAP)) * 2)
        assert "swapped" in await watch.offline()
        assert not watch.of(Sighting)
        here = watch.here
        host.send(device.line(CARD))
        await watch.online(here)
        sighting = await watch.until(lambda report: isinstance(report, Sighting))
        assert sighting.credential == f"wiegand:{CARD}"


@pytest.mark.parametrize("form", [None, "H10304"])
async def test_cards_of_37_bits_want_a_name(form: str | None, tmp_path: Path) -> None:
    """Without it they are said and never sighted."""
    device = EmulatedWiegand()
    async with hosted("pty", device, tmp_path) as host:
        reader = made(Role.READER, "wiegand", host.port, format=form)
        async with watching(reader) as watch:
            await watch.online()
            host.send(device.line(WIDE) * 2)
            if form is None:
                assert "H10302" in await watch.offline()
                assert not watch.of(Sighting)
            else:
                sighting = await watch.until(lambda report: isinstance(report, Sighting))
                assert sighting.credential == f"wiegand:{WIDE}"


@pytest.mark.parametrize("framing", Framing)
async def test_every_framing_is_read(framing: Framing, tmp_path: Path) -> None:
    """As the configuration names it."""
    device = EmulatedWiegand(framing)
    async with hosted("pty", device, tmp_path) as host:
        reader = made(Role.READER, "wiegand", host.port, framing=framing.value, bits=26)
        async with watching(reader) as watch:
            await watch.online()
            host.send(device.line(CARD))
            sighting = await watch.until(lambda report: isinstance(report, Sighting))
            assert sighting.credential == f"wiegand:{CARD}"
            assert watch.conditions == [Condition(True)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bits": 37}, "bits = 37 is not enough.*H10302.*H10304"),
        ({"format": "H10302", "bits": 26}, "is one of 37 bits"),
        ({"framing": "decimal"}, "say bits = 26 or bits = 34"),
        ({"framing": "promag", "bits": 37, "format": "H10304"}, "say bits = 26 or bits = 34"),
        ({"framing": "hex", "bits": 34}, "26 bits only"),
        ({"framing": "arduino", "format": "H10302"}, 'no cards of 35 or 37 bits; framing = "bits" has'),
        ({"framing": "raw"}, "bits"),
        ({"bits": 36}, "26, 34, 35 or 37"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], words: str) -> None:
    """Each is refused, with what would be right."""
    with pytest.raises(ValidationError, match=words):
        Options.model_validate({"port": "/dev/x", **options})


@pytest.mark.parametrize("shown", ["", "26:256:1", "34:1:65536", "35:4096:1", "36:1:1", "card", "012"])
def test_what_is_no_card_cannot_be_shown(shown: str) -> None:
    """The emulated reader says what would be right."""
    with pytest.raises(ValueError, match="FACILITY:NUMBER"):
        EmulatedWiegand().line(shown)
