"""What readers on the network and ETC units tell of themselves, as it is: other than configured, too."""

from pathlib import Path
from typing import Any

import pytest

from drivers.emulated.host import TcpHost
from drivers.emulated.llrp import EmulatedLlrp
from drivers.emulated.rsu import EmulatedRsu
from drivers.llrp import LlrpReader
from drivers.port import About
from drivers.registry import Role
from drivers.rsu import RsuReader
from protocol.llrp import Kind, Param
from protocol.rsu_tables import BEIJING, PARKING, Tables
from tests.drivers.rig import eventually, hosted, made, watching

IMPINJ = "Impinj, model 2001002"


async def told(device: EmulatedLlrp, **options: Any) -> About:
    """What a lane of this reader knows of it once it is online."""
    async with TcpHost(device) as host:
        reader: LlrpReader = made(Role.READER, "llrp", host.port, **options)
        async with watching(reader) as watch:
            await watch.online()
            return reader.about


@pytest.mark.parametrize(
    ("options", "power"),
    [
        ({}, 20.0),
        ({"antennas": [1]}, 20.0),
        ({"antenna_power": 27.1}, 27.0),
        ({"antennas": [2], "power_index": 5}, 11.0),
    ],
)
async def test_an_llrp_reader(options: dict[str, Any], power: float) -> None:
    """Maker, model, firmware, region, and the power: its own, or the level that it is told to take."""
    device = EmulatedLlrp()
    device.level = 41
    about = await told(device, **options)
    assert (about.model, about.firmware, about.region, about.power_dbm) == (IMPINJ, "8.2.1", "china-920", power)
    assert about.clock_off_s is not None
    assert abs(about.clock_off_s) < 5


@pytest.mark.parametrize(
    ("standard", "region"), [(1, "us"), (2, "eu"), (9, "korea"), (13, "china-840"), (99, "standard 99"), (0, "")]
)
async def test_the_band_of_an_llrp_reader(standard: int, region: str) -> None:
    """By the rules that it says it transmits by; those that nobody here knows keep their number."""
    device = EmulatedLlrp()
    device.standard = standard
    assert (await told(device)).region == region


@pytest.mark.parametrize(("off", "said"), [(-3600.0, -3600), (None, None)])
async def test_the_clock_of_an_llrp_reader(off: float | None, said: float | None) -> None:
    """How far it is from the box's; nothing where it has none."""
    device = EmulatedLlrp()
    device.clock_off_s = off
    about = await told(device)
    assert about.clock_off_s == pytest.approx(said, abs=5) if said else about.clock_off_s is None


async def test_what_an_llrp_reader_complains_of() -> None:
    """Its own words, while it reads on."""
    device = EmulatedLlrp()
    async with TcpHost(device) as host:
        reader: LlrpReader = made(Role.READER, "llrp", host.port)
        async with watching(reader) as watch:
            await watch.online()
            assert reader.about.complaint == ""
            words = b"antenna 2\n: too hot"
            host.send(device.tell(Param.READER_EXCEPTION_EVENT, len(words).to_bytes(2, "big") + words))
            await eventually(lambda: reader.about.complaint == "antenna 2 : too hot")
            assert watch.conditions[-1].online


async def test_an_llrp_reader_that_tells_nothing() -> None:
    """One that refuses to say how it is set is online, and nothing is made up."""
    device = EmulatedLlrp()
    device.maker = device.model = device.standard = 0
    device.firmware = ""
    device.clock_off_s = None
    device.refuse[Kind.GET_READER_CONFIG] = b"\0\x6d\0\0"
    assert await told(device) == About("LLRP reader")


@pytest.mark.parametrize(("region", "about"), [(BEIJING, About("maker 0a, unit 01c0de", "0312")), (PARKING, About())])
async def test_an_etc_unit(tmp_path: Path, region: Tables, about: About) -> None:
    """Maker, number and version where the layout of its B0 is known."""
    device = EmulatedRsu(region)
    device.identity = bytes(7) + bytes.fromhex("0a01c0de0312")
    async with hosted("tcp", device, tmp_path) as host:
        reader: RsuReader = made(Role.READER, "rsu", host.port, profile="beijing" if region is BEIJING else "parking")
        async with watching(reader) as watch:
            await watch.online()
    assert reader.about == about
