"""What rsu does beyond every reader's contract: framings, vehicles on a line, silence, and what a technician reads."""

import socket
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from drivers.emulated.rsu import EmulatedRsu
from drivers.port import Condition
from drivers.rsu import Options, RsuReader, read_tables
from gated.commands import emulate
from gated.config import ConfigError, load
from protocol.rsu import Cmd, Framing
from protocol.rsu_dialogue import Timing
from protocol.rsu_tables import AUTO, BEIJING, BUILT_IN, GANTRY, JILIN, PARKING, YUNNAN, Tables
from protocol.sighting import PlateColour, Sighting
from tests.drivers.rig import Host, Watch, eventually, hosted, watching
from tests.protocol.test_rsu_file import EXAMPLE

OBU, PLATE = "63FEFFD2", "沪A12345"
OTHER, OTHER_PLATE = "63B6A1D2", "粤B67890"
QUICK = Timing(plate_s=0.1, quiet_s=0.1, answer_s=0.05, silence_s=0.2)
CALM = Timing(plate_s=0.1, quiet_s=30, answer_s=0.05, silence_s=0.4)


def made(port: str, timing: Timing | None = None, **options: Any) -> RsuReader:
    """A reader with these options."""
    return RsuReader("r", Options(port=port, **options), lambda: 0.0, timing)


async def sighted(watch: Watch, start: int = 0) -> tuple[str, tuple[str, ...]]:
    """The next sighting's credentials."""
    found = await watch.until(lambda report: isinstance(report, Sighting), start)
    return found.credential, found.also


@pytest.mark.parametrize("region", AUTO, ids=lambda region: region.name)
async def test_each_region_by_its_profile(region: Tables, tmp_path: Path) -> None:
    """One sighting of on-board unit and plate; the unit is told to search on, and nothing else."""
    device = EmulatedRsu(region)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, profile=region.name)) as watch:
        await watch.online()
        host.send(device.heartbeat() + device.enter(OBU, PLATE, PlateColour.YELLOW))
        assert await sighted(watch) == (f"obu:{OBU}", (f"plate:{PLATE}",))
        assert watch.of(Sighting)[0].colour is PlateColour.YELLOW
        await eventually(lambda: device.stopped == [bytes.fromhex(OBU)])
        assert set(device.commands) <= {Cmd.SETUP, Cmd.CONTINUE, Cmd.STOP, Cmd.SWITCH, Cmd.SWITCH_OLD}
        assert len(watch.of(Sighting)) == 1


@pytest.mark.parametrize("region", [PARKING, BEIJING, GANTRY, YUNNAN], ids=lambda region: region.name)
async def test_auto_finds_the_framing(region: Tables, tmp_path: Path) -> None:
    """A unit that never speaks first is found, by one framing after the other, and first by the same next time."""
    device = EmulatedRsu(region)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM)) as watch:
        await watch.online()
        host.send(device.enter(OBU, PLATE))
        assert await sighted(watch) == (f"obu:{OBU}", (f"plate:{PLATE}",))
        here = watch.here
        host.unplug()
        await watch.offline(here)
        await host.plug()
        here = watch.here
        await watch.online(here)
        assert not [report for report in watch.reports[here:] if "silent" in getattr(report, "why", "")]


async def test_a_unit_that_speaks_first_is_answered_in_its_framing(tmp_path: Path) -> None:
    """Its heartbeat is enough, within the first connection; the next one begins with it."""
    device = EmulatedRsu(GANTRY)
    slow = Timing(plate_s=0.1, quiet_s=30, answer_s=5, silence_s=10)
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, slow)) as watch:
        await eventually(lambda: _beat(device, host, watch))
        assert watch.conditions == [Condition(True)]
        host.unplug()
        await watch.offline()
        here = watch.here
        await host.plug()
        await watch.online(here)


def _beat(device: EmulatedRsu, host: Host, watch: Watch) -> bool:
    host.send(device.heartbeat())
    return bool(watch.conditions)


async def test_one_mark_in_front(tmp_path: Path) -> None:
    """A unit that sends one FF in front of its frames is answered with one."""
    device = EmulatedRsu(BEIJING, heads=1)
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, CALM, profile="beijing")) as watch:
        await watch.online()
        host.send(device.enter(OBU, PLATE))
        assert await sighted(watch) == (f"obu:{OBU}", (f"plate:{PLATE}",))


async def test_a_false_head_does_not_hide_a_vehicle(tmp_path: Path) -> None:
    """Noise that claims two thousand bytes costs a quarter of a second."""
    device = EmulatedRsu(PARKING)
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, CALM, profile="parking")) as watch:
        await watch.online()
        host.send(b"\xff\xff\x07\xff\xb2" + device.enter(OBU, PLATE))
        assert await sighted(watch) == (f"obu:{OBU}", (f"plate:{PLATE}",))


async def test_two_vehicles_in_one_chunk(tmp_path: Path) -> None:
    """B2 B2, then B3 B3: two sightings, each with its plate."""
    device = EmulatedRsu(JILIN)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM, profile="jilin")) as watch:
        await watch.online()
        host.send(device.enter(OBU, PLATE) + device.enter(OTHER, OTHER_PLATE))
        await eventually(lambda: len(watch.of(Sighting)) == 2)
        found = {(sighting.credential, sighting.also) for sighting in watch.of(Sighting)}
        assert found == {(f"obu:{OBU}", (f"plate:{PLATE}",)), (f"obu:{OTHER}", (f"plate:{OTHER_PLATE}",))}


async def test_a_plate_that_does_not_come(tmp_path: Path) -> None:
    """The on-board unit alone, then searched on; the next time with its plate."""
    device = EmulatedRsu(JILIN)
    device.withheld.add(Cmd.VEHICLE)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM, profile="jilin")) as watch:
        await watch.online()
        host.send(device.enter(OBU, PLATE))
        assert await sighted(watch) == (f"obu:{OBU}", ())
        await eventually(lambda: device.stopped == [bytes.fromhex(OBU)])
        device.withheld.clear()
        here = watch.here
        host.send(device.announce(OBU))
        assert await sighted(watch, here) == (f"obu:{OBU}", (f"plate:{PLATE}",))


async def test_errors_identify_nobody_and_are_counted(tmp_path: Path) -> None:
    """An ErrorCode in B2, and a plate that is none."""
    device = EmulatedRsu(JILIN)
    device.errors[Cmd.OBU] = 1
    async with hosted("tcp", device, tmp_path) as host:
        reader = made(host.port, CALM, profile="jilin")
        async with watching(reader) as watch:
            await watch.online()
            host.send(device.enter(OBU, PLATE))
            await eventually(lambda: reader.counts.refused == 1)
            assert not watch.of(Sighting)
            device.errors.clear()
            host.send(device.enter(OTHER, "默A00000"))
            assert await sighted(watch) == (f"obu:{OTHER}", ())
            assert watch.of(Sighting)[0].colour is None
            assert reader.counts.plates == 1


async def test_a_vehicle_that_comes_before_b0_is_told_behind_it(tmp_path: Path) -> None:
    """The unit was searching when the link was made; it finds that vehicle again only after a long while."""
    device = EmulatedRsu(PARKING)
    device.withheld.add(Cmd.STATE)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM, profile="parking")) as watch:
        await eventually(lambda: Cmd.SETUP in device.commands)
        host.send(device.enter(OBU, PLATE))
        await eventually(lambda: device.stopped == [bytes.fromhex(OBU)])
        assert not watch.reports
        device.withheld.clear()
        assert await sighted(watch) == (f"obu:{OBU}", (f"plate:{PLATE}",))
        assert watch.conditions == [Condition(True)]


async def test_a_half_open_connection_is_offline(tmp_path: Path) -> None:
    """A unit that says nothing more is offline though its connection stands; then it comes back by itself."""
    device = EmulatedRsu(PARKING)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, QUICK, profile="parking")) as watch:
        await watch.online()
        device.silent = True
        assert "silent" in await watch.offline()
        device.silent = False
        here = watch.here
        await watch.online(here)


async def test_a_silent_unit_behind_an_echo_is_offline(tmp_path: Path) -> None:
    """What an adapter gives back of our own frames is no sign of life."""
    device = EmulatedRsu(BEIJING)

    class Echo:
        """The adapter."""

        def receive(self, data: bytes) -> bytes:
            """See Device."""
            return data + device.receive(data)

    async with hosted("pty", Echo(), tmp_path) as host:
        reader = made(host.port, QUICK, profile="beijing")
        async with watching(reader) as watch:
            await watch.online()
            device.silent = True
            assert "silent" in await watch.offline()


async def test_a_server_with_nothing_behind_it_is_never_online() -> None:
    """A connection alone proves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with watching(made(f"socket://127.0.0.1:{server.getsockname()[1]}", QUICK)) as watch:
            assert "silent" in await watch.offline()
            assert Condition(True) not in watch.reports


async def test_a_unit_that_does_not_answer_c0(tmp_path: Path) -> None:
    """It beats, so its power is not what a technician must look at."""
    device = EmulatedRsu(PARKING)
    device.withheld.add(Cmd.STATE)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, QUICK)) as watch:
        host.send(device.heartbeat())
        await eventually(lambda: _beat(device, host, watch) and "speaks" in watch.conditions[-1].why)
        assert Condition(True) not in watch.reports


async def test_a_unit_that_cannot_work(tmp_path: Path) -> None:
    """It answers, and says so: offline, with the status and the PSAM card; online when it is well."""
    device = EmulatedRsu(PARKING)
    device.status = 2
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM, profile="parking")) as watch:
        assert "(status 02); check its PSAM card" in await watch.offline()
        device.status = 0
        host.send(device.heartbeat())
        await watch.online()


async def test_frames_that_no_table_knows(tmp_path: Path) -> None:
    """Three in a row are told, with their length and what to do."""
    device = EmulatedRsu(JILIN)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM, profile="beijing")) as watch:
        await watch.online()
        host.send(device.enter(OBU, PLATE) * 3)
        assert "no table knows the antenna's frames (B2 of 44 bytes); name another profile" in await watch.offline()
        assert not watch.of(Sighting)


async def test_a_unit_that_restarts_is_set_up_again(tmp_path: Path) -> None:
    """Its B0, unasked, brings C0."""
    device = EmulatedRsu(JILIN)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM, profile="jilin")) as watch:
        await watch.online()
        host.send(device.power_on())
        await eventually(lambda: device.commands.count(Cmd.SETUP) == 2)
        await eventually(lambda: device.commands.count(Cmd.SWITCH_OLD) == 2)


async def test_tables_of_ones_own(tmp_path: Path) -> None:
    """A file takes the place of a profile."""
    path = tmp_path / "own.toml"
    path.write_text(EXAMPLE)
    device = EmulatedRsu(BEIJING)
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, CALM, tables=str(path))) as watch:
        await watch.online()
        host.send(device.enter(OBU, PLATE))
        assert await sighted(watch) == (f"obu:{OBU}", (f"plate:{PLATE}",))


def test_the_profiles_are_the_built_in_tables() -> None:
    """Each can be named, and there is no other."""
    assert set(get_args(Options.model_fields["profile"].annotation)) == {"auto", *BUILT_IN}
    assert {region.framing for region in AUTO} == set(Framing)


def test_the_check_reads_the_tables(tmp_path: Path) -> None:
    """A file that is wrong, or not there, is an error at its key, in words."""
    config, own = tmp_path / "gate.toml", tmp_path / "own.toml"
    config.write_text(
        f'site = "s"\ngate = "g"\nstate = "{tmp_path}"\n[lanes.in]\nkind = "vehicle"\ndirection = "in"\n'
        f'readers = [{{ driver = "rsu", port = "/dev/x", tables = "{own}" }}]\n'
    )
    with pytest.raises(ConfigError, match=r"gate.toml:7: lanes.in.readers\[0\].tables: .*cannot be read: No such file"):
        load(config)
    own.write_text(EXAMPLE.replace("plate = 5", "plate = 15"))
    with pytest.raises(ConfigError, match=r"own.toml: frames\[1\] \(B3, 21 bytes\): its fields end at byte 27"):
        load(config)
    own.write_text(EXAMPLE)
    assert load(config).lanes["in"].gone == 25


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe", "is not UTF-8"), (b"#" * 70_000, "is too large"), (b"a = 1", "there is no such key")],
)
def test_files_that_are_no_tables(content: bytes, said: str, tmp_path: Path) -> None:
    """Said in words."""
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_tables(str(path))


def test_options_that_exclude_each_other(tmp_path: Path) -> None:
    """Tables or a profile; and a whole path."""
    path = tmp_path / "own.toml"
    path.write_text(EXAMPLE)
    with pytest.raises(ValidationError, match="tables takes the place of profile"):
        Options(port="/dev/x", profile="jilin", tables=str(path))
    with pytest.raises(ValidationError, match="a whole path"):
        Options(port="/dev/x", tables="own.toml")


async def test_the_emulation_is_fed_by_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gated emulate rsu` takes an id and a plate, and complains about what is none."""
    monkeypatch.setattr(emulate, "_THROUGH_S", 0.02)
    device = EmulatedRsu()
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, profile="gantry")) as watch:
        await watch.online()
        await emulate._feed(device, host, f"{OBU} {PLATE} white")  # type: ignore[arg-type]
        assert await sighted(watch) == (f"obu:{OBU}", (f"plate:{PLATE}",))
        assert watch.of(Sighting)[0].colour is PlateColour.WHITE
        await emulate._feed(device, host, "12 x")  # type: ignore[arg-type]
        await emulate._feed(device, host, "no-hex")  # type: ignore[arg-type]
        assert device.field == {}
