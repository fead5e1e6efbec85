"""What every reader does, on every kind of line."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import serial

from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.llrp import EmulatedLlrp
from drivers.emulated.m100 import EmulatedM100
from drivers.emulated.nfc import EmulatedNfc, Type2
from drivers.emulated.osdp import EmulatedOsdp
from drivers.emulated.rsu import EmulatedRsu
from drivers.emulated.uhf18 import EmulatedUhf18
from drivers.emulated.wiegand import EmulatedWiegand
from drivers.port import Condition, Quiet
from drivers.registry import Role
from protocol.pn532 import Cmd, Frame, Kind
from protocol.sighting import Sighting
from tests.drivers.rig import Host, Hostile, Nobody, Way, eventually, hosted, made, watching

pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # in pyserial's rfc2217

EPC = "E284361100001000094944AA"
TAG = "62E3086CED"
SHOWN_AGAIN_S = 0.05
SEED = 2


@dataclass(frozen=True)
class Case:
    """One driver in one mode: its emulation, and how a credential is shown to it."""

    driver: str
    device: Callable[[], Any]
    show: Callable[[Any, Host], None]
    credential: str
    mode: str | bool | None = None
    key: str = "mode"
    kind: str = "pty"
    """The line of the tests that want one of any kind."""
    nowhere: str = "/dev/serial/by-id/none"
    absent: str = "unplugged"
    stale: Callable[[Any, Host], None] | None = None
    """What may lie in the port of a reader that speaks only when it is asked; of the others, what is shown."""
    asked: bool = True
    """Whether it is known to be there by what it answers."""
    alone: str = "is silent"
    """What is said of a line that echoes, with nobody at its end."""
    parts: bool = True
    """Whether part of what was said until it is sighted may do: a shorter dialogue, a line without its beginning."""
    tears: int = 30
    """At how many bytes its dialogue is torn."""

    @property
    def torn_on_tcp(self) -> bool:
        """Whether there is a line that can be torn to the byte."""
        return self.driver != "nfc"

    def make(self, port: str) -> Any:
        """The driver on this port."""
        options: dict[str, Any] = {self.key: self.mode} if self.mode else {}
        return made(Role.READER, self.driver, port, **options)


EM = Case(
    "em4100",
    EmulatedEm4100,
    lambda device, host: host.send(device.frame(TAG) * 2),
    f"em:{TAG}",
    asked=False,
    parts=False,
)
ANSWER = Case(
    "uhf18",
    EmulatedUhf18,
    lambda device, _: device.enter(EPC),
    f"epc:{EPC}",
    "answer",
    stale=lambda device, host: host.send(device.push(EPC)),
)
ACTIVE = Case(
    "uhf18",
    EmulatedUhf18,
    lambda device, host: host.send(device.push(EPC)),
    f"epc:{EPC}",
    "active",
    asked=False,
    parts=False,
)
M100 = Case("m100", EmulatedM100, lambda device, host: host.send(device.notice(EPC)), f"epc:{EPC}")
CAR = ("63FEFFD2", "沪A12345")
RSU = [
    Case(
        "rsu",
        EmulatedRsu,
        lambda device, host: host.send(device.enter(*CAR)),
        f"obu:{CAR[0]}",
        profile,
        "profile",
    )
    for profile in ("parking", "beijing", "gantry")
]
WIEGAND = Case(
    "wiegand",
    EmulatedWiegand,
    lambda device, host: host.send(device.line("26:123:45678")),
    "wiegand:26:123:45678",
    asked=False,
)


def report(device: EmulatedLlrp, host: Host) -> None:
    """A tag enters, and the inventory has its round."""
    device.enter(EPC)
    host.send(device.report())


LLRP = Case(
    "llrp",
    EmulatedLlrp,
    report,
    f"epc:{EPC}",
    kind="tcp",
    nowhere="socket://127.0.0.1:9",
    absent="refuses the connection",
)
CHIP = Type2(bytes.fromhex("04A2B3C4D5E680"))
NFC = Case(
    "nfc",
    EmulatedNfc,
    lambda device, _: device.enter(CHIP),
    "uid:04A2B3C4D5E680",
    stale=lambda _, host: host.send(listing()),
    alone="gives back what it is sent",
    tears=3,
)


def listing() -> bytes:
    """What a PN532 says of a chip in its field."""
    device = EmulatedNfc()
    device.enter(CHIP)
    return device.receive(Frame(Kind.COMMAND, bytes([Cmd.LIST_TARGETS, 1, 0])).to_bytes())


OSDP = Case(
    "osdp",
    EmulatedOsdp,
    lambda device, _: device.present("26:123:45678"),
    "wiegand:26:123:45678",
    mode=True,
    key="insecure",
    alone="does not answer",
    tears=3,
)
CASES = [EM, ANSWER, ACTIVE, M100, NFC, WIEGAND, LLRP, OSDP, *RSU]
SERIAL = [case for case in CASES if case.kind == "pty"]
LINES = [
    pytest.param(case, kind, id=f"{case.driver}-{case.mode}-{kind}")
    for case, kinds in (
        (EM, ("pty", "tcp", "rfc2217")),
        (ANSWER, ("pty", "tcp", "rfc2217", "listen")),
        (ACTIVE, ("pty", "tcp", "listen")),
        (M100, ("pty", "tcp", "rfc2217")),
        (NFC, ("pty",)),
        (WIEGAND, ("pty", "tcp", "listen")),
        (LLRP, ("tcp", "listen")),
        (OSDP, ("pty", "tcp", "rfc2217", "listen")),
        *((case, ("pty", "tcp")) for case in RSU),
    )
    for kind in kinds
]
on_every_line = pytest.mark.parametrize(("case", "kind"), LINES)


@on_every_line
async def test_what_is_shown_is_sighted(case: Case, kind: str, tmp_path: Path) -> None:
    """A credential before the reader comes out as a Sighting, with the time of its last byte."""
    device, began = case.device(), time.monotonic()
    async with hosted(kind, device, tmp_path) as host:
        reader = case.make(host.port)
        async with watching(reader) as watch:
            await watch.online()
            case.show(device, host)
            sighting = await watch.until(lambda report: isinstance(report, Sighting))
    assert (sighting.reader, sighting.credential) == ("lane.reader", case.credential)
    assert began < sighting.at <= reader.last_heard <= time.monotonic()


@on_every_line
async def test_unplugged_is_offline_and_plugged_in_is_online(case: Case, kind: str, tmp_path: Path) -> None:
    """The driver says why it is offline, comes back by itself, and reads again."""
    device = case.device()
    async with hosted(kind, device, tmp_path) as host, watching(case.make(host.port)) as watch:
        await watch.online()
        host.unplug()
        assert host.port in await watch.offline(watch.here)
        here = watch.here
        await host.plug()
        await watch.online(here)
        case.show(device, host)
        await watch.until(lambda report: isinstance(report, Sighting), here)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.driver}-{case.mode}")
async def test_nobody_there_is_said_once_and_then_quiet(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent device is one Condition; what follows is Quiet, however often it is tried."""
    monkeypatch.setattr("drivers.link._QUIET_PACE_S", 0.1)
    async with watching(case.make(case.nowhere)) as watch:
        await watch.until(lambda report: report == Quiet(), 1)
        assert [type(report) for report in watch.reports[:2]] == [Condition, Quiet]
        assert case.absent in watch.conditions[0].why


@pytest.mark.parametrize("case", SERIAL, ids=lambda case: f"{case.driver}-{case.mode}")
async def test_leaving_closes_the_device(case: Case, tmp_path: Path) -> None:
    """When the iteration is left the port is free for another program."""
    async with hosted("pty", case.device(), tmp_path) as host:
        async with watching(case.make(host.port)) as watch:
            await watch.online()
            with pytest.raises(serial.SerialException):
                serial.Serial(host.port, exclusive=True)
        serial.Serial(host.port, exclusive=True).close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.driver}-{case.mode}")
async def test_bytes_from_before_never_count(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lay in the port before it was opened is no sighting."""
    monkeypatch.setattr("drivers.link._QUIET_PACE_S", 0.1)
    device = case.device()
    async with hosted(case.kind, device, tmp_path) as host:
        (case.stale or case.show)(device, host)
        async with watching(case.make(host.port)) as watch:
            await watch.online()
            await watch.until(lambda report: report == Quiet())
            assert not watch.of(Sighting)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.driver}-{case.mode}")
async def test_garbage_harms_nothing(case: Case, tmp_path: Path) -> None:
    """Noise on the line is neither a sighting nor the end of the link."""
    device = case.device()
    async with hosted(case.kind, device, tmp_path) as host, watching(case.make(host.port)) as watch:
        await watch.online()
        host.send(bytes(range(256)) + b"\x02\x02\xff\x11\x00\xee\xbb\x02")
        case.show(device, host)
        sighting = await watch.until(lambda report: isinstance(report, Sighting))
        assert sighting.credential == case.credential
        assert watch.conditions == [Condition(True)]


@pytest.mark.parametrize(
    ("case", "way"),
    [pytest.param(case, way, id=f"{case.driver}-{case.mode}-{way.name}") for case in CASES for way in Way],
)
async def test_a_hostile_line_changes_nothing(case: Case, way: Way, tmp_path: Path) -> None:
    """In crumbs, in lumps or behind an echo, what is shown is sighted, nothing else is, and the reader stays online."""
    device = case.device()
    async with Hostile(case.kind, device, tmp_path, way) as line, watching(case.make(line.port)) as watch:
        await watch.online()
        case.show(device, line)
        await watch.until(lambda report: isinstance(report, Sighting))
        assert {sighting.credential for sighting in watch.of(Sighting)} == {case.credential}
        assert watch.conditions == [Condition(True)]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.asked and case not in RSU[1:]],
    ids=lambda case: f"{case.driver}-{case.mode}",
)
async def test_an_echo_alone_is_no_reader(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that gives back what it is sent is never taken for the reader, nor for life; the right device on it is."""
    hurry(case, monkeypatch)
    device = case.device()
    async with Hostile(case.kind, Nobody(), tmp_path, Way.ECHO) as line:
        reader = case.make(line.port)
        async with watching(reader) as watch:
            await watch.until(lambda report: isinstance(report, Condition) and case.alone in report.why)
            assert Condition(True) not in watch.conditions
            assert not watch.of(Sighting)
            assert reader.last_heard is None
            for way in (Way.ECHO, None):
                line.unplug()
                line.take(device, way)
                here = watch.here
                await line.plug()
                await watch.online(here)
                case.show(device, line)
                await watch.until(lambda report: isinstance(report, Sighting), here)
        assert {sighting.credential for sighting in watch.of(Sighting)} == {case.credential}


def hurry(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver wait an eighth of its time."""
    timing = getattr(import_module(f"drivers.{case.driver}"), "Timing", None)
    if timing is not None:
        usual = timing.__init__.__defaults__
        monkeypatch.setattr(timing.__init__, "__defaults__", tuple(seconds / 8 for seconds in usual))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.driver}-{case.mode}")
async def test_a_line_torn_at_any_byte_begins_afresh(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a dialogue is torn, with its rest on the next line: no half of it counts, and then who is shown does."""
    monkeypatch.setattr("drivers.link.BACKOFF_MIN_S", 0.001)
    monkeypatch.setattr("drivers.link.BACKOFF_MAX_S", 0.001)
    device = case.device()
    kind = "tcp" if case.torn_on_tcp else case.kind
    async with Hostile(kind, device, tmp_path) as line, watching(case.make(line.port)) as watch:
        await watch.online()
        case.show(device, line)
        await watch.until(lambda report: isinstance(report, Sighting))
        last = line.passed - 1
        sighted = len(watch.of(Sighting))
        for number in range(case.tears):
            line.unplug()
            await watch.offline(watch.here)
            line.tear_after(1 + number * last // case.tears)
            here = watch.here
            await line.plug()
            online = asyncio.create_task(watch.online(here))
            torn = asyncio.create_task(line.torn.wait())
            await asyncio.wait({online, torn}, return_when=asyncio.FIRST_COMPLETED)
            while not line.torn.is_set():
                case.show(device, line)
                await asyncio.wait({torn}, timeout=SHOWN_AGAIN_S)
            online.cancel()
        if not case.parts:  # else there was a whole one
            assert len(watch.of(Sighting)) == sighted
        line.unplug()
        await watch.offline(watch.here)
        line.tear_after(None)
        here = watch.here
        await line.plug()
        await watch.online(here)
        case.show(device, line)
        await watch.until(lambda report: isinstance(report, Sighting), here)
    assert {sighting.credential for sighting in watch.of(Sighting)} == {case.credential}


@pytest.mark.parametrize(
    ("case", "cuts"),
    [pytest.param(LLRP, 40, id="llrp"), pytest.param(NFC, 4, id="nfc")],
)
async def test_pulled_out_at_any_byte_of_a_first_connect(
    case: Case, cuts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time it is online again, and reads, once the plug is back. More `cuts`, another `SEED`: more bytes tried."""
    monkeypatch.setattr("drivers.link.BACKOFF_MIN_S", 0.001)
    monkeypatch.setattr("drivers.link.BACKOFF_MAX_S", 0.001)
    monkeypatch.setattr("drivers.nfc_frontend.LOOK_S", 0.01)
    device = case.device()
    async with Hostile(case.kind, device, tmp_path) as line, watching(case.make(line.port)) as watch:
        await watch.online()
        whole, dice = line.passed, random.Random(SEED)
        for _ in range(cuts):
            cut = 1 + int(dice.random() * (whole - 1))
            line.unplug()
            await watch.offline(watch.here)
            line.tear_after(cut)
            await line.plug()
            await line.torn.wait()
            line.unplug()
            line.tear_after(None)
            here = watch.here
            await line.plug()
            await watch.online(here)
            case.show(device, line)
            await watch.until(lambda report: isinstance(report, Sighting), here)


async def test_a_link_torn_within_a_frame_begins_afresh(tmp_path: Path) -> None:
    """Half a frame before the unplugging and half a frame after it are no frame."""
    device = EmulatedEm4100()
    frame = device.frame(TAG)
    async with hosted("pty", device, tmp_path) as host, watching(made(Role.READER, "em4100", host.port)) as watch:
        await watch.online()
        host.send(frame + frame[:7])
        host.unplug()
        await watch.offline()
        here = watch.here
        await host.plug()
        await watch.online(here)
        host.send(frame[7:] + device.frame("0000000001") * 2)
        sighting = await watch.until(lambda report: isinstance(report, Sighting))
        assert sighting.credential == "em:0000000001"


async def test_refused_then_up() -> None:
    """A server that comes up later is found."""
    device = EmulatedUhf18()
    async with hosted("tcp", device, Path()) as host:
        host.unplug()
        async with watching(ANSWER.make(host.port)) as watch:
            assert "refuses the connection" in await watch.offline()
            await host.plug()
            await watch.online()


async def test_two_programs_on_one_port(tmp_path: Path) -> None:
    """A port that another process holds is said to be in use."""
    async with hosted("pty", EmulatedEm4100(), tmp_path) as host:
        other = serial.Serial(host.port, exclusive=True)
        async with watching(EM.make(host.port)) as watch:
            assert "in use by another process" in await watch.offline()
            other.close()
            await watch.online()


async def test_cancelled_while_opening(tmp_path: Path) -> None:
    """Leaving at any moment leaves no port open behind."""
    async with hosted("pty", EmulatedEm4100(), tmp_path) as host:
        for _ in range(5):
            async with watching(EM.make(host.port)):
                pass

        def free() -> bool:
            try:
                serial.Serial(host.port, exclusive=True).close()
            except serial.SerialException:
                return False
            return True

        await eventually(free)
