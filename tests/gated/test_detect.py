"""`gated detect` finds who is on which port, sends nothing but its questions, and leaves each port as it found it."""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import tomllib
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import Device, PtyHost, TcpHost
from drivers.emulated.lcus import EmulatedLcus
from drivers.emulated.llrp import EmulatedLlrp
from drivers.emulated.m100 import EmulatedM100
from drivers.emulated.modbus import EmulatedModbus
from drivers.emulated.rsu import EmulatedRsu
from drivers.emulated.uhf18 import EmulatedUhf18
from drivers.link import LinkLost
from drivers.quiet import PortHeld, QuietPort
from gated.__main__ import main
from gated.detect import Place, Search, Way, readable, ways
from protocol.wiegand import Card, Format
from protocol.wiegand_serial import Framing, line_of
from tests.drivers.rig import Rfc2217Host, eventually
from tests.gated.answering import daemon
from tests.terminal import on_a_terminal

PATIENCE_S = 20.0
LANE = """
site = "shenhang"
gate = "north"
state = "{state}"
[lanes.walk-in]
kind = "person"
direction = "in"
{lines}
"""


class Speeds:
    """A device that understands one speed, and speaks rubbish at others. `said` is all that was sent to it."""

    def __init__(self, device: Device, baud: int) -> None:
        self.said = b""
        self.host: PtyHost | None = None
        self._device = device
        self._code = getattr(termios, f"B{baud}")

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        self.said += data
        return self.heard(self._device.receive(data))

    def heard(self, data: bytes) -> bytes:
        """What arrives of these bytes, at the speed that the host has now."""
        assert self.host is not None
        assert self.host._fds is not None
        if termios.tcgetattr(self.host._fds[1])[4] == self._code:
            return data
        return bytes(byte ^ 0xE7 for byte in data)


class Both:
    """Two devices on one line."""

    def __init__(self, *devices: Device) -> None:
        self._devices = devices

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        return b"".join(device.receive(data) for device in self._devices)


@asynccontextmanager
async def plugged(device: Device, baud: int) -> AsyncIterator[tuple[PtyHost, Speeds]]:
    """A device on a pty, at one speed."""
    line = Speeds(device, baud)
    async with PtyHost(line) as host:
        line.host = host
        yield host, line


def quick(way: Way) -> Way:
    """A bus is looked for at two speeds and its first units, and nobody is waited for long."""
    probe = replace(way.probe, answer_s=min(way.probe.answer_s, 0.3))
    way = replace(way, probe=probe)
    return (
        way
        if way.driver.name != "modbus"
        else replace(way, probe=replace(probe, speeds=probe.speeds[:2], asks=probe.asks[:2]))
    )


async def looked(port: str, *names: str, seconds: float = 0.0, guessed: int = 0) -> Place:
    """What becomes of this port when these drivers' devices are looked for there."""
    place = Place(port, guessed=guessed)
    known = [quick(way) for name in names for way in ways(name)]
    async with asyncio.timeout(PATIENCE_S), Search([place], known, lambda *_: None) as search:
        await search.ask()
        if search.quiet and seconds:
            await search.listen(seconds)
    return place


def found(place: Place) -> list[tuple[str, int]]:
    """Drivers and speeds that were found."""
    return [(hit.driver.name, hit.baud) for hit in place.hits]


def questions(known: list[Way]) -> set[bytes]:
    """All that these may send."""
    return {ask for way in known for ask in way.probe.asks}


@pytest.mark.parametrize(
    ("name", "device", "baud"),
    [
        ("uhf18", EmulatedUhf18(), 57_600),
        ("uhf18", EmulatedUhf18(), 115_200),
        ("m100", EmulatedM100(), 115_200),
        ("lcus", EmulatedLcus(), 9600),
        ("modbus", EmulatedModbus(), 19_200),
    ],
)
async def test_serial(name: str, device: Device, baud: int) -> None:
    """Found at its own speed, and nothing is sent but the questions of its family."""
    async with plugged(device, baud) as (host, line):
        place = await looked(host.port, name)
    assert set(found(place)) == {(name, baud)}
    rest = line.said
    for ask in questions(ways(name)):
        rest = rest.replace(ask, b"")
    assert rest == b""


async def test_what_is_not_usual_is_written() -> None:
    """A speed stands in the line where it is not the driver's default, and only there."""
    async with plugged(EmulatedUhf18(address=3), 9600) as (host, _):
        (hit,) = (await looked(host.port, "uhf18")).hits
        assert hit.options(host.port) == {"driver": "uhf18", "port": host.port, "address": 3, "baud": 9600}
    async with plugged(EmulatedUhf18(), 57_600) as (host, _):
        (hit,) = (await looked(host.port, "uhf18")).hits
        assert hit.options(host.port) == {"driver": "uhf18", "port": host.port}


async def test_two_families_on_one_port() -> None:
    """Both are said."""
    async with PtyHost(Both(EmulatedUhf18(), EmulatedM100())) as host:
        assert sorted(dict(found(await looked(host.port, "uhf18", "m100")))) == ["m100", "uhf18"]


async def test_a_card_that_is_held_to_a_reader() -> None:
    """Who only talks is found while somebody holds a card there; nothing at all is sent to it."""
    device = EmulatedEm4100()
    async with plugged(device, 9600) as (host, line), asyncio.TaskGroup() as group:
        task = group.create_task(device.present(host, "0A00A1B2C3", PATIENCE_S))
        place = await looked(host.port, "em4100", "wiegand", seconds=PATIENCE_S)
        task.cancel()
    assert found(place) == [("em4100", 9600)]
    assert line.said == b""


async def test_the_speed_of_a_talker() -> None:
    """What makes no sense at one speed moves the listening on to the next."""
    line = line_of(Framing.BITS, Card(Format.H10301, 123, 45678))
    async with plugged(EmulatedEm4100(), 115_200) as (host, speeds), asyncio.TaskGroup() as group:

        async def hold() -> None:
            while True:
                host.send(speeds.heard(line))
                await asyncio.sleep(0.3)

        holding = group.create_task(hold())
        place = await looked(host.port, "wiegand", seconds=PATIENCE_S)
        holding.cancel()
    assert found(place) == [("wiegand", 115_200)]
    assert place.rubbish[9600]


async def test_where_somebody_answers_nobody_is_listened_for() -> None:
    """Units that only talk take seconds to listen for."""
    asked: list[str] = []
    async with plugged(EmulatedUhf18(), 57_600) as (host, _):
        place = Place(host.port)
        async with Search([place], [*ways("uhf18"), *ways("rsu")], lambda _, who, __: asked.append(who)) as search:
            await search.ask()
    assert found(place) == [("uhf18", 57_600)]
    assert set(asked) == {"uhf18"}


async def test_a_roadside_unit() -> None:
    """It is found by its heartbeat, and not a byte is sent."""
    device = EmulatedRsu()
    async with plugged(device, 115_200) as (host, line), asyncio.TaskGroup() as group:

        async def beat() -> None:
            while True:
                host.send(device.heartbeat())
                await asyncio.sleep(0.05)

        beating = group.create_task(beat())
        place = await looked(host.port, "rsu")
        beating.cancel()
    assert found(place) == [("rsu", 115_200)]
    assert line.said == b""


async def test_rubbish() -> None:
    """What nobody knows is kept by speed, and told by the one at which it is most like text."""

    class Talks:
        def receive(self, data: bytes) -> bytes:
            return b"" if not data else b"READY> \r\n"

    async with plugged(Talks(), 9600) as (host, _):
        place = await looked(host.port, "uhf18")
    assert not place.hits
    assert place.open
    assert place.sense == (9600, b"READY> \r\n")
    assert readable(place.rubbish[57_600]) < 0.5


@pytest.mark.parametrize("by", ["flock", "TIOCEXCL"])
async def test_a_port_that_somebody_has(by: str) -> None:
    """It is said to be in use, nothing is sent, and its settings stay."""
    async with plugged(EmulatedUhf18(), 57_600) as (host, line):
        other = os.open(host.port, os.O_RDWR | os.O_NOCTTY)
        if by == "flock":
            fcntl.flock(other, fcntl.LOCK_EX)
        else:
            fcntl.ioctl(other, termios.TIOCEXCL)
        before = termios.tcgetattr(other)
        place = await looked(host.port, "uhf18")
        assert place.held
        assert "is in use by another process" in place.trouble
        assert termios.tcgetattr(other) == before
        os.close(other)
    assert line.said == b""


async def test_a_port_is_left_as_it_was() -> None:
    """Its settings are those of before, no byte waits for the next who opens it, and nobody holds it."""
    async with plugged(EmulatedUhf18(), 57_600) as (host, _):
        assert host._fds is not None
        end = host._fds[1]
        settings = termios.tcgetattr(end)
        settings[3] |= termios.ECHO | termios.ICANON
        settings[4] = settings[5] = termios.B2400
        termios.tcsetattr(end, termios.TCSANOW, settings)
        before = termios.tcgetattr(end)
        port = await QuietPort.open(host.port)
        assert termios.tcgetattr(end) == before
        await port.at(9600)
        assert termios.tcgetattr(end)[4] == termios.B9600
        with pytest.raises(PortHeld):
            await QuietPort.open(host.port)
        host.send(b"late")
        port.close()
        assert termios.tcgetattr(end) == before
        (await QuietPort.open(host.port)).close()


async def test_a_port_that_is_gone_is_not_set() -> None:
    """Its descriptor may have become another port's."""
    async with plugged(EmulatedUhf18(), 9600) as (host, _):
        port = await QuietPort.open(host.port)
        host.unplug()
        with pytest.raises(LinkLost):
            await port.link.read()
        ends = [os.openpty() for _ in range(3)]
        before = [termios.tcgetattr(end) for _, end in ends]
        with pytest.raises(LinkLost):
            await port.at(2400)
        assert [termios.tcgetattr(end) for _, end in ends] == before
        for line, end in ends:
            os.close(line)
            os.close(end)


async def test_a_port_that_is_pulled_out() -> None:
    """That is said, and not raised."""
    device = EmulatedUhf18()
    async with plugged(device, 2400) as (host, _):
        search = asyncio.create_task(looked(host.port, "modbus"))
        await asyncio.sleep(0.05)
        host.unplug()
        place = await search
    assert place.trouble
    assert not place.hits


@pytest.mark.parametrize("name", ["uhf18", "modbus", "m100"])
async def test_network(name: str) -> None:
    """One connection serves all questions."""
    devices: dict[str, Device] = {"uhf18": EmulatedUhf18(), "modbus": EmulatedModbus(), "m100": EmulatedM100()}
    async with TcpHost(devices[name]) as host:
        place = await looked(host.port, "llrp", name)
    assert {driver for driver, _ in found(place)} == {name}


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # in pyserial's rfc2217
async def test_serial_server_with_speeds() -> None:
    """A port behind RFC 2217 is asked at all speeds."""
    async with Rfc2217Host(EmulatedUhf18()) as host:
        assert found(await looked(host.port, "uhf18"))[0] == ("uhf18", 57_600)


async def test_llrp() -> None:
    """A reader that greets is asked nothing of another family, and keeps no connection."""

    class Hears(EmulatedLlrp):
        said = b""

        def receive(self, data: bytes) -> bytes:
            self.said += data
            return super().receive(data)

    device = Hears()
    async with TcpHost(device) as host:
        place = await looked(host.port, "uhf18", "modbus", "llrp")
        assert found(place) == [("llrp", 0)]
        assert device.said == b"".join(way.probe.asks[0] + way.probe.asks[1] for way in ways("llrp"))
        await eventually(lambda: not device.busy)
        device.busy = True
        (hit,) = (await looked(host.port, "llrp")).hits
        assert "another client is connected" in hit.found.remark


async def test_nobody_there() -> None:
    """A port number at which nobody listens is trouble, in words."""
    async with TcpHost(EmulatedUhf18()) as host:
        port = host.port
    assert "nothing listens" in (await looked(port, "uhf18")).trouble


@contextmanager
def emulated(name: str, folder: Path) -> Iterator[str]:
    """An emulated device, in a process of its own; its port."""
    link = folder / name
    words = [sys.executable, "-m", "gated", "emulate", name, "--link", str(link)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield str(link)
        finally:
            process.terminate()


def test_the_lines_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed goes into a lane as it is, and `gated check` accepts it."""
    with emulated("uhf18", tmp_path) as reader, emulated("lcus", tmp_path) as relays:
        none = ["-c", str(tmp_path / "none.toml"), "--seconds", "0"]
        assert main(["detect", reader, "--only", "uhf18", *none]) == 0
        printed = capsys.readouterr().out
        assert "uhf18 at 57600: UHFReader18, type 86, firmware 5.2" in printed
        assert main(["detect", relays, "--only", "lcus", *none]) == 0
        lines = [line for line in (printed + capsys.readouterr().out).splitlines() if line.startswith("    ")]
        config = tmp_path / "gated.toml"
        config.write_text(LANE.format(state=tmp_path, lines="\n".join(line.strip() for line in lines)))
        assert main(["check", "-c", str(config)]) == 0
    assert tomllib.loads(config.read_text())["lanes"]["walk-in"]["barrier"]["driver"] == "lcus"


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for a program, with nothing else on its output."""
    with emulated("m100", tmp_path) as port:
        words = ["detect", port, "--only", "m100", "--json", "-c", str(tmp_path / "none.toml")]
        assert main(words) == 0
    (place,) = json.loads(capsys.readouterr().out)["ports"]
    (device,) = place["devices"]
    assert device["table"] == {"driver": "m100", "port": port}
    assert (device["model"], device["firmware"]) == ("M100 26dBm V1.0", "V2.3.5")
    assert device["line"].startswith("readers = [{ driver =")


def test_what_the_daemon_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its ports are left alone, on the network too, and what to do is said."""
    line, end = os.openpty()
    port = os.ttyname(end)
    config = tmp_path / "gated.toml"
    config.write_text(LANE.format(state=tmp_path, lines=f'readers = [{{ driver = "em4100", port = "{port}" }}]'))
    link = tmp_path / "by-id"
    link.symlink_to(port)
    devices = {"walk-in/0": {"what": "reader", "port": port}, "car-in/0": {"port": "socket://127.0.0.1:9"}}
    with daemon(tmp_path, {"status": {"devices": devices}}):
        words = ["detect", str(link), "socket://127.0.0.1:9", "-c", str(config)]
        assert main(words) == 1
    said = capsys.readouterr()
    assert said.out.count("is held by the daemon") == 2
    assert "stop it first" in said.err
    os.close(end)
    os.set_blocking(line, False)
    with pytest.raises(OSError, match="Input/output"):
        os.read(line, 1)
    os.close(line)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "nosuch"], "is no driver that can be found; there are"),
        (["listen://0.0.0.0:5084"], "the device itself calls there"),
        (["socket://nowhere"], "is no address"),
        (["10.0.0.1:x"], "is no address"),
        (["10.0.0.1", "--only", "em4100"], "10.0.0.1:PORT"),
        (["--seconds", "-1"], "is no time"),
    ],
)
def test_what_cannot_be_looked_for(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, with what would be right."""
    try:
        status = main(["detect", *words])
    except SystemExit as end:
        status = int(end.code or 0)
    assert status == 2
    assert said in capsys.readouterr().err


def test_a_host_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is asked where each kind of device usually listens; where nothing is found, what to do is said."""
    assert main(["detect", "127.0.0.1", "--only", "llrp", "-c", str(tmp_path / "none.toml")]) == 1
    assert "power, cable, address and TCP port" in capsys.readouterr().err


def test_on_a_terminal(tmp_path: Path) -> None:
    """One line a port, drawn anew, and a countdown; nothing of it stays, also after Ctrl-C."""
    line, end = os.openpty()
    command = [sys.executable, "-m", "gated", "detect", os.ttyname(end), "--only", "em4100"]
    words = [*command, "-c", str(tmp_path / "none.toml")]
    status, said = on_a_terminal(words, {}, [(b"hold a card to the reader now: 19 s", b"\x03")], PATIENCE_S)
    assert status == 130
    assert f"{os.ttyname(end)}: listening at 9600" in said
    assert said.endswith("\x1b[2A\r\x1b[J")
    assert "Traceback" not in said
    os.close(end)
    os.close(line)


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C at any time: status 130, no traceback, and the port is as it was."""
    line, end = os.openpty()
    tty.setraw(end)
    before = termios.tcgetattr(end)
    words = [sys.executable, "-m", "gated", "detect", os.ttyname(end), "-c", str(tmp_path / "none.toml")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert os.read(line, 1)  # it asks
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert termios.tcgetattr(end) == before
    os.close(end)
    os.close(line)
