"""The doctor hears what readers say of themselves: another power, another country's band, a clock that is off."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from drivers.emulated.host import Device, PtyHost, TcpHost
from drivers.emulated.llrp import EmulatedLlrp
from drivers.emulated.m100 import EmulatedM100
from drivers.emulated.uhf18 import EmulatedUhf18
from drivers.port import About, Telling
from drivers.registry import Role
from gated.__main__ import main
from gated.commands.doctor_readers import examine
from gated.commands.finding import Grade
from gated.config import Config, load
from protocol.m100 import Region, power_data
from tests.drivers.rig import made, watching
from tests.gated.answering import daemon

CONFIG = """
site = "s"
gate = "g"
state = "{folder}"
timezone = "{zone}"
[lanes.car-in]
kind = "vehicle"
direction = "in"
readers = [ {reader} ]
"""
READERS = {
    "uhf18": '{ driver = "uhf18", port = "/dev/gate/a", antenna_power = 30 }',
    "m100": '{ driver = "m100", port = "/dev/gate/a", region = "china-920" }',
    "llrp": '{ driver = "llrp", port = "socket://10.0.0.1:5084", antenna_power = 29 }',
}


def configured(folder: Path, reader: str, zone: str = "Asia/Shanghai") -> Config:
    """A gate with this reader."""
    path = folder / "gated.toml"
    path.write_text(CONFIG.format(folder=folder / "state", reader=READERS.get(reader, reader), zone=zone))
    return load(path, check_state=False)


def said(config: Config, about: About, clock: str = "synced") -> list[tuple[Grade, str, str]]:
    """What the doctor says of a reader that tells this."""
    told = {key: value for key, value in asdict(about).items() if value not in ("", None)}
    state: dict[str, Any] = {"devices": {"car-in/0": {"online": True, "about": told}}, "clock": {"quality": clock}}
    return [(one.grade, one.said, one.do) for one in examine(config, state)]


async def told(device: Device, name: str, **options: Any) -> About:
    """What the driver knows of a device that it has connected to."""
    host = TcpHost(device) if name == "llrp" else PtyHost(device)
    async with host:
        reader = made(Role.READER, name, host.port, **options)
        async with watching(reader) as watch:
            await watch.online()
        assert isinstance(reader, Telling)
        return reader.about


async def test_a_power_that_the_reader_does_not_give(tmp_path: Path) -> None:
    """What it says counts, though it took what it was told."""
    device = EmulatedUhf18()
    device.stubborn = True
    about = replace(await told(device, "uhf18", antenna_power=30), region="china-920")
    ((grade, words, do),) = said(configured(tmp_path, "uhf18"), about)
    assert grade is Grade.WRONG
    assert "antenna_power is 30 dBm, and the reader says that it gives 26" in words
    assert "antenna_power = 26" in do


async def test_another_countrys_band(tmp_path: Path) -> None:
    """The American band in China, by the gate's time zone; elsewhere nobody knows better."""
    about = await told(EmulatedUhf18(), "uhf18", antenna_power=30)
    ((grade, words, do),) = said(configured(tmp_path, "uhf18"), about)
    assert (grade, "maker's tool" in do) == (Grade.WRONG, True)
    assert 'it is set to "us"; in China readers transmit at 920 to 925 MHz only' in words
    assert [grade for grade, *_ in said(configured(tmp_path, "uhf18", "America/Chicago"), about)] == [Grade.OK]


async def test_too_strong_for_the_band(tmp_path: Path) -> None:
    """Whatever the antenna."""
    device = EmulatedLlrp()
    device.levels = ((1, 3000), (2, 3600))
    device.level = 2
    device.standard = 1
    strong, band = said(configured(tmp_path, "llrp"), await told(device, "llrp"))
    assert "it gives 36 dBm; in its band, us, 30 is the most with any antenna" in strong[1]
    assert "reader's own pages" in band[2]


async def test_a_module_in_the_band_of_before(tmp_path: Path) -> None:
    """What is approved no more is said, and not wrong; another than configured is."""
    device = EmulatedM100()
    device.region, device.power = Region.CHINA_840, power_data(20)
    about = await told(device, "m100")
    reader = '{ driver = "m100", port = "/dev/gate/a" }'
    assert [grade for grade, *_ in said(configured(tmp_path, reader), about)] == [Grade.NOTE]
    ((grade, words, _),) = said(configured(tmp_path, "m100"), about)
    assert grade is Grade.WRONG
    assert 'region is "china-920", and the reader says that it transmits in "china-840"' in words


async def test_a_clock_that_is_off(tmp_path: Path) -> None:
    """Said where the box's own is right."""
    device = EmulatedLlrp()
    device.clock_off_s = -7200.0
    about = await told(device, "llrp", antenna_power=29)
    config = configured(tmp_path, "llrp")
    ((grade, words, _),) = said(config, about)
    assert (grade, "its clock was 2 hours behind" in words) == (Grade.NOTE, True)
    assert [grade for grade, *_ in said(config, about, "unset")] == [Grade.OK]


async def test_firmware_that_is_too_old(tmp_path: Path) -> None:
    """What is found, what is demanded and what to do; one as new is well."""
    about = await told(EmulatedLlrp(), "llrp")
    reader = '{{ driver = "llrp", port = "socket://10.0.0.1:5084", firmware_least = "{}" }}'
    ((grade, words, do),) = said(configured(tmp_path, reader.format("8.10")), about)
    assert grade is Grade.WRONG
    assert "its firmware is 8.2.1, older than 8.10" in words
    assert "maker's tool" in do
    assert [grade for grade, *_ in said(configured(tmp_path, reader.format("v8.2.1")), about)] == [Grade.OK]


@pytest.mark.parametrize(("firmware", "words"), [("", "tells no firmware"), ("R2b", 'tells "R2b", which cannot be')])
def test_firmware_that_cannot_be_held_against_what_is_demanded(tmp_path: Path, firmware: str, words: str) -> None:
    """It is said, not taken for new; nothing is where none is demanded, or of a reader that is not there."""
    reader = '{ driver = "uhf18", port = "/dev/gate/a", firmware_least = "5.0" }'
    ((grade, found, do),) = said(configured(tmp_path, reader), About(firmware=firmware))
    assert grade is Grade.WRONG
    assert f"firmware_least demands 5.0, and the reader {words}" in found
    assert "take firmware_least out" in do
    assert not said(configured(tmp_path, "uhf18"), About())
    offline = {"devices": {"car-in/0": {"online": False}}}
    assert not list(examine(configured(tmp_path, reader), offline))


def test_what_is_known_of_old_firmware(tmp_path: Path) -> None:
    """As the driver says it; a note, since the reader reads."""
    about = About("ACS ACR122U", "2.03", outdated="long records fail")
    ((grade, words, _),) = said(configured(tmp_path, '{ driver = "nfc", port = "usb:072f:2200" }'), about)
    assert (grade, words) == (Grade.NOTE, "car-in/0: its firmware 2.03 is old: long records fail")


def test_its_own_complaint(tmp_path: Path) -> None:
    """In its own words."""
    ((grade, words, _),) = said(configured(tmp_path, "llrp"), About("Impinj", complaint="antenna 2: too hot"))
    assert grade is Grade.WRONG
    assert 'the reader says "antenna 2: too hot"' in words


def test_a_reader_that_is_well(tmp_path: Path) -> None:
    """What it is stands there; nothing at all of one that tells nothing, or of which nothing is known."""
    config = configured(tmp_path, "uhf18")
    about = About("UHFReader18, type 86", "5.2", "china-920", 30.0)
    assert said(config, about) == [(Grade.OK, "car-in/0: UHFReader18, type 86, firmware 5.2, china-920, 30 dBm", "")]
    assert not list(examine(config, {"devices": {"car-in/0": {"online": True}}}))
    assert not list(examine(config, {}))


@pytest.mark.parametrize("power", [26, 30])
def test_gated_doctor_and_status(tmp_path: Path, capsys: pytest.CaptureFixture[str], power: int) -> None:
    """Both say it, as the daemon tells it."""
    (tmp_path / "state").mkdir()
    configured(tmp_path, "uhf18")
    about = {"model": "UHFReader18, type 86", "firmware": "5.2", "region": "china-920", "power_dbm": power}
    devices = {"car-in/0": {"what": "reader", "online": True, "heard_s_ago": 1.0, "about": about}}
    state = {"lanes": {"car-in": {}}, "devices": devices, "clock": {"quality": "synced"}}
    with daemon(tmp_path / "state", {"status": state}):
        main(["doctor", "-c", str(tmp_path / "gated.toml"), "--json"])
        found = json.loads(capsys.readouterr().out)["findings"]
        main(["status", "-c", str(tmp_path / "gated.toml")])
    (reader,) = [one for one in found if one["about"] == "reader"]
    assert reader["grade"] == ("wrong" if power == 26 else "ok")
    words = f"heard 1 seconds ago; UHFReader18, type 86, firmware 5.2, china-920, {power} dBm"
    assert words in capsys.readouterr().out
