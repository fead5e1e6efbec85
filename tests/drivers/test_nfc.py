"""NFC readers: chips and their records, readers that hang, and threads that nobody waits for."""

import asyncio
import errno
import os
import random
import socket
import sys
import termios
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nfc.clf.transport  # type: ignore[import-untyped]
import pytest
import usb1  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers import nfc_frontend, nfc_lamp, nfc_link, nfc_usb
from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import PtyHost, UdpHost
from drivers.emulated.nfc import RFOFF, EmulatedNfc, Type2, Type3, Type4
from drivers.link import LinkLost
from drivers.nfc import NfcReader, Options
from drivers.nfc_link import FrontendLink
from drivers.port import About, Colour, Condition, Indicator, Signal, Telling
from drivers.records import SHARED, Records
from drivers.registry import Ports, Role
from protocol import ndef
from protocol.credential import Credential
from protocol.ndef import EXTERNAL, Record
from protocol.pn532 import DATA_MAX_BYTES, Cmd, Frame, Kind, Pn532Codec
from protocol.sighting import Proved, Sighting, SignedCard
from tests.drivers.rig import Watch, eventually, made, watching

UID = bytes.fromhex("04A2B3C4D5E680")
PLAIN = Sighting("lane.reader", Credential("uid:04A2B3C4D5E680"), 0)
MESSAGE = ndef.encode([Record(EXTERNAL, b"gated:eid", bytes(range(256)) + bytes(80))])
CARD = SignedCard("ab" * 32, 1000.0)
SIGNED = replace(PLAIN, credential=Credential("eid:0123456789ABCDEF"), also=(PLAIN.credential,), card=CARD)


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_sighting(report: object) -> bool:
    """Whether a chip was read."""
    return isinstance(report, Sighting)


def seen(watch: Watch) -> set[Sighting]:
    """What was seen, whenever that was."""
    return {replace(sighting, at=0) for sighting in watch.of(Sighting)}


class Desk:
    """Who says whose card a record proves: MESSAGE is that of one card. `asked` holds all that were asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []

    def prove(self, message: bytes, uid: bytes) -> Proved | None:
        """See Prove."""
        self.asked.append((message, uid))
        return Proved(SIGNED.credential, CARD) if message == MESSAGE else None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The field is looked at more often than gates need."""
    monkeypatch.setattr(nfc_frontend, "LOOK_S", 0.01)
    monkeypatch.setattr(nfc_frontend, "PRESENT_S", 0.02)


@pytest.fixture
def desk() -> Desk:
    """One."""
    return Desk()


@pytest.fixture
def device() -> EmulatedNfc:
    """A reader's field."""
    return EmulatedNfc()


@asynccontextmanager
async def reading(device: EmulatedNfc, desk: Desk) -> AsyncIterator[Watch]:
    """A reader of this field, on nfcpy's UDP path, as long as the block lasts."""
    async with UdpHost(device) as host:
        ports = Ports(lambda: 0.0)
        ports.shared(SHARED, Records, lambda: Records(lambda: desk.prove))
        async with watching(made(Role.READER, "nfc", host.port, ports)) as watch:
            await watch.online()
            yield watch


async def came(device: EmulatedNfc, watch: Watch, chip: Any, number: int = 1) -> Any:
    """The chip enters the field; the sighting of this number."""
    start = watch.here
    device.enter(chip)
    await watch.until(lambda _: len([r for r in watch.reports[start:] if is_sighting(r)]) >= number, start)
    return [replace(r, at=0) for r in watch.reports[start:] if isinstance(r, Sighting)][number - 1]


@pytest.mark.parametrize(
    ("chip", "named"),
    [
        (Type2(UID), "uid:04A2B3C4D5E680"),
        (Type2(bytes.fromhex("5A2B3C4D")), "uid:5A2B3C4D"),
        (Type2(bytes.fromhex("0411223344556677AABB")), "uid:0411223344556677AABB"),
        (Type4(UID), "uid:04A2B3C4D5E680"),
        (Type3(bytes.fromhex("03FE010203040506")), "uid:03FE010203040506"),
    ],
    ids=["ntag", "4", "10", "type-4", "felica"],
)
async def test_chips_without_a_record(device: EmulatedNfc, desk: Desk, chip: Any, named: str) -> None:
    """What counts is the UID, again and again while the chip stays, and it is found again when it comes back."""
    async with reading(device, desk) as watch:
        assert await came(device, watch, chip, 3) == replace(PLAIN, credential=Credential(named))
        assert not desk.asked


@pytest.mark.parametrize(
    "chip",
    [Type2(UID, MESSAGE), Type4(UID, MESSAGE), Type3(bytes.fromhex("03FE010203040506"), MESSAGE)],
    ids=["ntag", "type-4", "felica"],
)
async def test_a_record_is_read_once(device: EmulatedNfc, desk: Desk, chip: Any) -> None:
    """It is asked whose card that is; while the chip stays it is seen as that card, and its record is left alone."""
    wanted = replace(SIGNED, also=(Credential(f"uid:{chip.uid.hex().upper()}"),))
    async with reading(device, desk) as watch:
        assert await came(device, watch, chip, 4) == wanted
        assert desk.asked == [(MESSAGE, chip.uid)]
        assert chip.reads == 1
    assert seen(watch) == {wanted}


async def test_a_chip_that_comes_again_is_read_again(
    device: EmulatedNfc, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each coming counts: a chip that counts its reads would else be taken for its own copy, or for present."""
    monkeypatch.setattr(nfc_frontend, "AGAIN_S", 0.0)
    chip = Type2(UID, MESSAGE)
    async with reading(device, desk) as watch:
        await came(device, watch, chip)
        device.leave(UID)
        assert await came(device, watch, chip, 3) == SIGNED
        assert chip.reads >= 2
        assert seen(watch) == {SIGNED}


async def test_a_chip_that_shakes_has_not_been_away(device: EmulatedNfc, desk: Desk) -> None:
    """Lost for a moment it is the same coming: its record is not read again."""
    chip = Type2(UID, MESSAGE)
    async with reading(device, desk) as watch:
        await came(device, watch, chip)
        device.leave(UID)
        assert await came(device, watch, chip, 2) == SIGNED
        assert chip.reads == 1


async def test_a_record_that_proves_nothing(device: EmulatedNfc, desk: Desk) -> None:
    """The chip is what its UID says."""
    async with reading(device, desk) as watch:
        assert await came(device, watch, Type2(UID, b"\xd0\x00\x00"), 2) == PLAIN
        assert len(desk.asked) == 1


class BreaksOff(Type2):
    """A chip whose record cannot be read to its end, for the first `times`; `at` is called when it breaks off."""

    def __init__(self, times: int, at: Callable[[], None] = lambda: None) -> None:
        super().__init__(UID, MESSAGE)
        self._times = times
        self._at = at

    def command(self, frame: bytes) -> bytes | None:
        """See Chip."""
        if frame == b"\x30\x10" and self._times:
            self._times -= 1
            self._at()
            return None
        return super().command(frame)


async def test_a_record_that_breaks_off_is_read_again(device: EmulatedNfc, desk: Desk) -> None:
    """Before it is read to its end, or was tried in vain, nothing counts: least of all the bare UID."""
    async with reading(device, desk) as watch:
        assert await came(device, watch, BreaksOff(nfc_frontend.READS - 1), 2) == SIGNED
        assert seen(watch) == {SIGNED}


async def test_a_record_that_always_breaks_off(device: EmulatedNfc, desk: Desk) -> None:
    """At last the UID counts, and the record is left alone."""
    chip = BreaksOff(99)
    async with reading(device, desk) as watch:
        assert await came(device, watch, chip, 3) == PLAIN
        assert chip.reads == nfc_frontend.READS
        assert not desk.asked


class Counting(EmulatedNfc):
    """A field that counts the looks at it that find nothing."""

    empty = 0

    def datagram(self, data: bytes) -> bytes | None:
        """See Datagrams."""
        answer = super().datagram(data)
        self.empty += data == b"106A 26" and answer == RFOFF
        return answer


async def test_a_chip_that_leaves_while_it_is_read(desk: Desk) -> None:
    """It was never there; pulled out again and again it never becomes its bare UID, and once held still it counts."""
    device = Counting()
    async with reading(device, desk) as watch:
        for _ in range(nfc_frontend.READS + 1):
            before = device.empty
            device.enter(BreaksOff(1, lambda: device.leave(UID)))
            await eventually(lambda: device.empty > before + 1)  # noqa: B023 - waited for at once
        assert await came(device, watch, Type2(UID, MESSAGE)) == SIGNED
    assert seen(watch) == {SIGNED}


async def test_a_uid_drawn_by_lot_is_no_credential(device: EmulatedNfc, desk: Desk) -> None:
    """A phone is nobody by its UID; what its record proves counts, and its UID is not beside it."""
    phone = bytes.fromhex("08A1B2C3")
    async with reading(device, desk) as watch:
        device.enter(silent := Type4(phone, b"\xd0\x00\x00"))
        await eventually(lambda: len(desk.asked) == 1)
        await eventually(lambda: silent.reads == 1)
        device.leave(phone)
        assert await came(device, watch, Type2(UID)) == PLAIN
        device.leave(UID)
        assert await came(device, watch, Type4(phone, MESSAGE)) == replace(SIGNED, also=())
    assert seen(watch) == {PLAIN, replace(SIGNED, also=())}


async def test_a_phone_that_would_talk_to_phones(device: EmulatedNfc, desk: Desk) -> None:
    """By FeliCa it has a number that is drawn by lot as well, with 01FE in front: it is nobody."""
    looked: list[bytes] = []

    class Phone(Type3):
        def command(self, frame: bytes) -> bytes | None:
            looked.append(frame)
            return super().command(frame)

    phone = Phone(bytes.fromhex("01FE010203040506"))
    async with reading(device, desk) as watch:
        device.enter(phone)
        await eventually(lambda: len(looked) > nfc_frontend.READS)
        device.leave(phone.uid)
        assert await came(device, watch, Type2(UID)) == PLAIN
    assert seen(watch) == {PLAIN}


class Raw(EmulatedNfc):
    """A reader's chip that passes a number on as it came over the air, whatever that is."""

    number = b""
    found = 0

    def command(self, data: bytes) -> bytes:
        """See EmulatedNfc."""
        answer = super().command(data)
        if data[0] != Cmd.LIST_TARGETS or not answer[1]:
            return answer
        self.found += 1
        return answer[:6] + bytes([len(self.number)]) + self.number


@pytest.mark.parametrize(
    ("number", "named"),
    [
        ("8804A2B3C4D5E680", "uid:04A2B3C4D5E680"),
        ("880411228833445566778899", "uid:04112233445566778899"),
        ("880411223344556677AABB", ""),
        ("0411223344", ""),
        ("8804A2B3", ""),
        ("8F04A2B3", "uid:8F04A2B3"),
        ("1804A2B3", "uid:1804A2B3"),
        ("8804A2B3C4D5E6", "uid:8804A2B3C4D5E6"),
    ],
)
async def test_the_number_of_a_chip_of_type_a(tmp_path: Path, number: str, named: str) -> None:
    """Of 4, 7 or 10 bytes, without the cascade tags that some readers leave in it; what has another length is none."""
    device = Raw()
    device.number = bytes.fromhex(number)
    chip = Type2(UID)
    chip.sel = b"\x08"
    device.enter(chip)
    async with PtyHost(device, tmp_path / "by-id") as host, watching(made(Role.READER, "nfc", host.port)) as watch:
        await eventually(lambda: device.found > 1)
        if not named:
            device.number, named = bytes.fromhex("5A2B3C4D"), "uid:5A2B3C4D"
        await watch.until(is_sighting)
    assert seen(watch) == {replace(PLAIN, credential=Credential(named))}


async def test_a_mifare_classic(device: EmulatedNfc, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is never asked for: at the first look it is its UID."""
    monkeypatch.setattr(nfc_frontend, "LOOK_S", 60)
    chip = Type2(bytes.fromhex("5A2B3C4D"), MESSAGE)
    chip.sel = b"\x08"
    device.enter(chip)
    async with reading(device, desk) as watch:
        await watch.until(is_sighting)
        assert seen(watch) == {replace(PLAIN, credential=Credential("uid:5A2B3C4D"))}
        assert chip.reads == 0


class Rogue(Type4):
    """A chip that answers what it likes."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        super().__init__(UID)
        self._answer = answer

    def command(self, frame: bytes) -> bytes | None:
        """See Chip."""
        return self._answer(frame)


DICE = random.Random(5)
ROGUES = {
    "more time, for ever": lambda frame: bytes.fromhex("067577810280") if frame[0] == 0xE0 else b"\xf2\x3b",
    "half an answer to select": lambda _: b"\x01",
    "nothing": lambda _: b"",
    "mute": lambda _: None,
    "dice": lambda _: DICE.randbytes(DICE.randrange(40)),
    "dice later": lambda frame: bytes.fromhex("067577810280") if frame[0] == 0xE0 else DICE.randbytes(9),
}


@pytest.mark.parametrize("rogue", ROGUES)
async def test_no_chip_ends_or_holds_a_reader(
    device: EmulatedNfc, desk: Desk, monkeypatch: pytest.MonkeyPatch, rogue: str
) -> None:
    """Whatever a chip answers, it is its UID, the reader stays online, and the next chip is read."""
    monkeypatch.setattr(nfc_frontend, "RECORD_S", 0.05)
    async with reading(device, desk) as watch:
        assert await came(device, watch, Rogue(ROGUES[rogue])) == PLAIN
        device.leave(UID)
        assert await came(device, watch, Type2(UID[::-1])) == replace(
            PLAIN, credential=Credential("uid:80E6D5C4B3A204")
        )
        assert watch.conditions == [Condition(True)]


@pytest.mark.parametrize("kind", ["felica", "ntag"])
async def test_a_chip_that_nfcpy_plays(desk: Desk, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes over nfcpy's own UDP path, which has a chip's side as well."""
    # An unanswered look costs a second there, and such a chip answers none but its own.
    monkeypatch.setattr(nfc_frontend, "_TECHNOLOGIES", ("212F",) if kind == "felica" else ("106A",))
    port = free_port()
    uid = bytes.fromhex("03FE010203040506" if kind == "felica" else "5A2B3C4D")
    wanted = replace(SIGNED, also=(Credential(f"uid:{uid.hex().upper()}"),))
    ports = Ports(lambda: 0.0)
    ports.shared(SHARED, Records, lambda: Records(lambda: desk.prove))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, Path(__file__).with_name("nfc_tag.py"), kind, str(port), uid.hex(), MESSAGE.hex()),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        async with watching(made(Role.READER, "nfc", f"udp:127.0.0.1:{port}", ports)) as watch:
            await watch.until(is_sighting)
    finally:
        process.kill()
        await process.wait()
    assert seen(watch) == {wanted}


async def test_an_emulated_field_in_another_process(desk: Desk) -> None:
    """`gated emulate nfc`: a chip there, another in its place, the process killed and back."""
    port = free_port()
    ports = Ports(lambda: 0.0)
    ports.shared(SHARED, Records, lambda: Records(lambda: desk.prove))
    async with watching(made(Role.READER, "nfc", f"udp:127.0.0.1:{port}", ports)) as watch:
        for _ in range(2):
            start = watch.here
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gated", "emulate", "nfc", "--udp", str(port)), stdin=asyncio.subprocess.PIPE
            )
            assert process.stdin is not None
            try:
                process.stdin.write(f"+{UID.hex()} {MESSAGE.hex()}\n".encode())
                await watch.until(is_sighting, start)
                process.stdin.write(f"-{UID.hex()}\n+03FE010203040506\n".encode())
                await watch.until(lambda report: is_sighting(report) and report.credential.startswith("uid:03"), start)
            finally:
                process.kill()
                await process.wait()
    assert seen(watch) == {SIGNED, replace(PLAIN, credential=Credential("uid:03FE010203040506"))}


async def test_a_reader_pulled_while_a_chip_is_read(device: EmulatedNfc, desk: Desk, tmp_path: Path) -> None:
    """It is offline, nothing half read counts, and when it is back the chip is read from the beginning."""
    ports = Ports(lambda: 0.0)
    ports.shared(SHARED, Records, lambda: Records(lambda: desk.prove))
    async with PtyHost(device, tmp_path / "by-id") as host:
        device.enter(BreaksOff(1, host.unplug))
        async with watching(made(Role.READER, "nfc", host.port, ports)) as watch:
            await watch.offline()
            assert not watch.of(Sighting)
            here = watch.here
            await host.plug()
            await watch.until(is_sighting, here)
    assert seen(watch) == {SIGNED}


class Sulking(EmulatedNfc):
    """A PN532 that can be made to answer nothing."""

    sulks = False

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        answer = super().receive(data)
        return b"" if self.sulks else answer


async def test_a_reader_that_answers_no_more(tmp_path: Path) -> None:
    """It is offline, is opened anew again and again, and its first answer makes it online."""
    device = Sulking()
    async with PtyHost(device, tmp_path / "by-id") as host, watching(made(Role.READER, "nfc", host.port)) as watch:
        await watch.online()
        device.sulks = True
        assert "does not answer; check its power" in await watch.offline()
        here = watch.here
        device.sulks = False
        device.enter(Type2(UID))
        await watch.until(is_sighting, here)
        assert [condition.online for condition in watch.conditions] == [True, False, True]


class Lasting(EmulatedNfc):
    """A PN532 with a supply of its own: unplugged it keeps its speed, and what comes at another is noise to it."""

    host: PtyHost

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        return super().receive(data) if self.host.baud == getattr(termios, f"B{self.baud}") else b""


async def test_a_pn532_that_was_left_at_a_faster_speed(tmp_path: Path) -> None:
    """Its adapter was pulled out, or the process killed, before it was told to slow down: so it is told then."""
    device = Lasting()
    async with PtyHost(device, tmp_path / "by-id") as host:
        device.host = host
        async with watching(made(Role.READER, "nfc", host.port)) as watch:
            await watch.online()
            assert device.baud > 115_200
            host.unplug()
            await watch.offline()
            here = watch.here
            await host.plug()
            await watch.online(here)
            assert await came(device, watch, Type2(UID)) == PLAIN
            assert len(watch.conditions) == 3


class Fainting(EmulatedNfc):
    """A PN532 that answers at first, and nothing more once it is to prove that the line is good."""

    faint = True

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        return b"" if self.faint and bytes([0xD4, Cmd.DIAGNOSE]) in data else super().receive(data)


async def test_a_reader_that_answers_no_more_while_it_is_opened(tmp_path: Path) -> None:
    """It is not said to be another device: what it had answered was right."""
    device = Fainting()
    async with PtyHost(device, tmp_path / "by-id") as host, watching(made(Role.READER, "nfc", host.port)) as watch:
        assert "the reader does not answer" in await watch.offline()
        here = watch.here
        device.faint = False
        await watch.online(here)


class Pulled(Lasting):
    """A PN532 whose adapter is pulled out, once, when it is told this."""

    def __init__(self, command: bytes) -> None:
        super().__init__()
        self._command = command

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        if self._command not in data:
            return EmulatedNfc.receive(self, data)
        self._command = b"never"
        self.host.unplug()
        return b""


@pytest.mark.parametrize("command", [b"\xd4\x02", b"\xd4\x14", bytes([0xD4, Cmd.DIAGNOSE]), b"\xd4\x32\x0d"])
async def test_a_port_that_is_pulled_out_while_it_is_opened(tmp_path: Path, command: bytes) -> None:
    """It is said to be gone: not to be another device, nor one without power."""
    device = Pulled(command)
    async with PtyHost(device, tmp_path / "by-id") as host:
        device.host = host
        async with watching(made(Role.READER, "nfc", host.port)) as watch:
            assert "went away" in await watch.offline()
            here = watch.here
            await host.plug()
            await watch.online(here)


async def test_another_device_on_the_port(tmp_path: Path) -> None:
    """What answers, but not as a PN532 does, is said to be something else."""
    device = EmulatedEm4100()
    device.receive = lambda data: data[:2]  # type: ignore[method-assign]
    async with PtyHost(device, tmp_path / "by-id") as host, watching(made(Role.READER, "nfc", host.port)) as watch:
        assert "is it one" in await watch.offline()


async def test_a_serial_port_by_a_name_that_no_shell_should_see(tmp_path: Path) -> None:
    """As nfcpy would give it to one, it is refused; it is not said to be another device."""
    (tmp_path / "tty$(reboot)").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "tty$(reboot)")
    async with watching(made(Role.READER, "nfc", str(tmp_path / "by-id"))) as watch:
        assert "is no name of a serial port" in await watch.offline()


@given(
    st.one_of(st.binary(max_size=12), st.sampled_from(Cmd).flatmap(lambda cmd: st.binary().map(bytes([cmd]).__add__)))
)
def test_the_emulated_pn532_answers_anything(data: bytes) -> None:
    """A command that is none, or breaks off, gets an acknowledgement and the chip's error frame, or a reply."""
    device, codec = EmulatedNfc(), Pn532Codec()
    device.enter(Type2(UID))
    data = data[: DATA_MAX_BYTES - 1]
    ack, reply = codec.feed(device.receive(Frame(Kind.COMMAND, data).to_bytes()))
    assert ack == Frame(Kind.ACK)
    assert reply == Frame(Kind.ERROR) or reply.data[0] == (data[0] + 1) & 0xFF


async def test_a_pn532_says_what_it_is(device: EmulatedNfc) -> None:
    """Chip and its firmware."""
    reader: NfcReader
    async with PtyHost(device) as host, watching(reader := made(Role.READER, "nfc", host.port)) as watch:
        await watch.online()
        assert reader.about == About("PN532", "1.6")


async def test_two_readers_on_one_port(device: EmulatedNfc, tmp_path: Path) -> None:
    """By two names of it: the second says that it is taken, and does not touch it: opening sets the speed."""
    port = tmp_path / "by-id"
    async with PtyHost(device, port) as host, watching(made(Role.READER, "nfc", host.port)) as first:
        await first.online()
        speed = host.baud
        async with watching(made(Role.READER, "nfc", str(port.readlink()))) as second:
            assert "in use by another process" in await second.offline()
            assert host.baud == speed
            assert await came(device, first, Type2(UID), 3) == PLAIN
        assert first.conditions == [Condition(True)]


async def test_a_flood_wakes_the_loop_once() -> None:
    """However much a thread tells while nobody hears, it is one wake-up, and a bounded heap."""
    done = threading.Event()

    def serve(link: FrontendLink) -> None:
        for _ in range(10_000):
            link.tell(PLAIN)
        done.set()

    loop, woken = asyncio.get_running_loop(), []
    call = loop.call_soon_threadsafe

    def counted(callback: Callable[[], object]) -> asyncio.Handle:
        woken.append(callback)
        return call(callback)

    loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
    link = FrontendLink("udp:127.0.0.1:9", serve)
    assert done.wait(10)
    assert len(woken) == 1
    assert len(await link.taken(1)) == nfc_link.REPORTS_MAX
    await link.gone.wait()


async def test_what_nobody_takes_is_not_kept_for_ever() -> None:
    """The loop hears, and whoever iterates stands still: the heap stays bounded."""
    turn, told = threading.Event(), threading.Event()

    def serve(link: FrontendLink) -> None:
        for _ in range(3):
            turn.wait(10)
            turn.clear()
            for _ in range(nfc_link.REPORTS_MAX):
                link.tell(PLAIN)
            told.set()

    link = FrontendLink("udp:127.0.0.1:9", serve)
    for _ in range(3):
        turn.set()
        assert await asyncio.to_thread(told.wait, 10)
        told.clear()
    await link.gone.wait()
    assert len(await link.taken(1)) == nfc_link.REPORTS_MAX


class Stuck:
    """What a reader's thread does where the reader answers no more, the first time; then it is well."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.lives = 0

    def serve(self, link: FrontendLink, *_: object) -> None:
        """In the thread."""
        self.lives += 1
        link.ready()
        if self.lives == 1:
            self.release.wait(20)
            link.tell(PLAIN)
        while not link.ending:
            link.beat()
            link.pause(0.01)


async def test_a_reader_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is offline, never opened by a second thread beside the first, and online again when that one is gone.

    What the first has read meanwhile counts no more.
    """
    stuck = Stuck()
    monkeypatch.setattr(nfc_frontend, "serve", stuck.serve)
    monkeypatch.setattr(nfc_link, "SILENCE_S", 0.1)
    monkeypatch.setattr("drivers.link._QUIET_PACE_S", 0.1)
    async with watching(made(Role.READER, "nfc", "/dev/none")) as watch:
        await watch.online()
        assert "does not answer" in await watch.offline()
        await watch.until(lambda _: watch.here > 4)
        assert stuck.lives == 1
        stuck.release.set()
        await watch.online(2)
    assert stuck.lives == 2
    assert not watch.of(Sighting)


async def test_nobody_waits_for_a_thread_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving goes on without it: the daemon ends in time."""
    stuck = Stuck()
    monkeypatch.setattr(nfc_frontend, "serve", stuck.serve)
    monkeypatch.setattr(nfc_link, "END_S", 0.01)
    async with watching(made(Role.READER, "nfc", "/dev/none")) as watch:
        await watch.online()
    assert any(thread.name == "nfc[/dev/none]" and thread.daemon for thread in threading.enumerate())
    stuck.release.set()


async def test_a_fault_of_ours_is_none_of_the_reader(device: EmulatedNfc, desk: Desk) -> None:
    """It ends the daemon, which is started anew; it is not told as a broken reader."""

    def prove(_message: bytes, _uid: bytes) -> Proved | None:
        raise KeyError("a fault")

    desk.prove = prove  # type: ignore[method-assign, assignment]
    device.enter(Type2(UID, MESSAGE))

    async def read() -> None:
        async with reading(device, desk) as watch:
            await watch.until(is_sighting)

    with pytest.raises(KeyError, match="a fault"):
        await read()


async def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install is named."""
    monkeypatch.delitem(sys.modules, "drivers.nfc_frontend")
    monkeypatch.setitem(sys.modules, "nfc", None)
    async with watching(made(Role.READER, "nfc", "usb:072f:2200")) as watch:
        assert 'pip install "gated[nfc]"' in await watch.offline()


@pytest.mark.parametrize(
    "port",
    [
        "tty:USB0:pn532",
        "tty:AMA0:arygon",
        "usb:072f:2200",
        "usb:1-1.4",
        "udp:localhost:54321",
        "/dev/serial/by-id/usb-A_1",
    ],
)
def test_ports(port: str) -> None:
    """The ways to write one."""
    assert Options(port=port).port == port


@pytest.mark.parametrize(
    "port", ["", "usb", "usb:072f", "tty:USB0", "tty:USB0:acr122", "/dev/a b", "/dev/a;reboot", "socket://a:1", "udp:a"]
)
def test_what_is_no_port(port: str) -> None:
    """It is said what would be right."""
    with pytest.raises(ValidationError, match="would be right"):
        Options(port=port)


def plugged(root: Path, name: str, vendor: str = "072f", product: str = "2200", holder: str = "") -> None:
    """A device in a socket, as /sys shows it."""
    folder = root / name
    (folder / f"{name}:1.0").mkdir(parents=True)
    for key, value in {"idVendor": vendor, "idProduct": product, "busnum": "1", "devnum": "23"}.items():
        (folder / key).write_text(value + "\n")
    if holder:
        (folder / f"{name}:1.0" / "driver").symlink_to(f"../../../bus/usb/drivers/{holder}")


def test_where_a_usb_reader_is(tmp_path: Path) -> None:
    """By maker and model, or by its socket; not there, there twice, and held by the kernel are said."""
    plugged(tmp_path, "1-1.2", holder="usbfs")
    plugged(tmp_path, "1-1.3", "1d6b", "0002")
    (tmp_path / "usb1").mkdir()
    assert nfc_usb.place("usb:072F:2200", tmp_path) == nfc_usb.place("usb:1-1.2", tmp_path)
    assert nfc_usb.place("usb:1-1.2", tmp_path).node == Path("/dev/bus/usb/001/023")
    with pytest.raises(LinkLost, match="unplugged"):
        nfc_usb.place("usb:1-1.4", tmp_path)
    plugged(tmp_path, "1-1.4", holder="pn533_usb")
    with pytest.raises(LinkLost, match=r"usb:1-1\.2, usb:1-1\.4; write one"):
        nfc_usb.place("usb:072f:2200", tmp_path)
    with pytest.raises(LinkLost, match="modprobe -r pn533_usb"):
        nfc_usb.place("usb:1-1.4", tmp_path)


@pytest.mark.parametrize(
    ("number", "allowed", "said"),
    [
        (errno.EBUSY, True, "pcscd"),
        (errno.EACCES, True, "70-gated.rules"),
        (errno.ENODEV, False, "70-gated.rules"),
        (errno.EIO, True, "plug it in again"),
    ],
)
def test_why_a_usb_reader_does_not_open(number: int, allowed: bool, said: str) -> None:  # noqa: FBT001 - a case's
    """Another program, missing rights, or a reader that is stuck: each with what to do."""
    where = nfc_usb.Place("1-1.2", 1, 23)
    assert said in nfc_usb.refused("usb:1-1.2", where, OSError(number, "no"), lambda *_: allowed)


class Context:
    """What libusb holds for a program: some descriptors."""

    closed = False

    def close(self) -> None:
        """Let go."""
        self.closed = True


class Acr122u:
    """An ACR122U on USB (CCID), the PN532 in it, and its lamp: what it was told."""

    TYPE = "USB"
    manufacturer_name = "ACS"
    product_name = "ACR122U PICC Interface"
    firmware = b"207"
    block = b"\x80"

    def __init__(self, device: EmulatedNfc) -> None:
        self.told: list[bytes] = []
        self.waits: set[int] = set()
        self.closed = False
        self.context = Context()
        self._device = device
        self._answer = b""

    def write(self, frame: bytearray, timeout: int = 0) -> None:
        """A block to the reader."""
        self.waits.add(timeout)
        data = bytes(frame[10:])
        match data[:3]:
            case b"\xff\x00\x48":
                said = b"ACR122U" + self.firmware
            case b"\xff\x00\x00":
                said = b"\xd5" + self._device.command(data[6:]) + b"\x90\x00"
            case b"\xff\x00\x40":
                self.told.append(data)
                said = b"\x90\x02"
            case _:
                said = b"\x90\x00"
        self._answer = self.block + len(said).to_bytes(4, "little") + bytes(5) + said

    def read(self, timeout: int = 0) -> bytearray:
        """Its answer."""
        self.waits.add(timeout)
        return bytearray(self._answer)

    def close(self) -> None:
        """Let go."""
        self.closed = True


class Usb:
    """The USB of a box, as nfcpy has it, with one ACR122U in it; `error` is what comes of looking."""

    def __init__(self, reader: Acr122u) -> None:
        self.ids = (0x072F, 0x2200)
        self.looking: Exception | None = None
        self.opening: Exception | None = None
        self._reader = reader

    def find(self, path: str) -> list[tuple[int, int, int, int]]:
        """See nfcpy."""
        assert path == "usb:001:023"
        if self.looking is not None:
            raise self.looking
        return [(*self.ids, 1, 23)]

    def __call__(self, bus: int, device: int) -> Acr122u:
        """See nfcpy."""
        assert (bus, device) == (1, 23)
        if self.opening is not None:
            raise self.opening
        return self._reader


@pytest.fixture
def acr122u(device: EmulatedNfc) -> Acr122u:
    """A reader on USB."""
    return Acr122u(device)


@pytest.fixture
def usb(acr122u: Acr122u, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Usb:
    """A box with that reader, and rights to use it."""
    plugged(tmp_path, "1-1.2")
    box = Usb(acr122u)
    monkeypatch.setattr(nfc_usb.place, "__defaults__", (tmp_path,))
    monkeypatch.setattr(nfc_usb.refused, "__defaults__", (lambda *_: True,))
    monkeypatch.setattr(nfc.clf.transport, "USB", box)
    return box


@pytest.mark.parametrize(
    ("looking", "opening", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "cannot find a suitable libusb-1.0"), None, "apt install libusb-1.0-0"),
        (usb1.USBErrorOther(-99), None, "LIBUSB_ERROR_OTHER [-99]): a service needs AF_NETLINK"),
        (None, OSError(errno.EBUSY, "no"), "another reader of this gate, or by pcscd"),
        (None, OSError(errno.EACCES, "no"), "70-gated.rules"),
        (None, usb1.USBErrorPipe(-9), "does not answer (LIBUSB_ERROR_PIPE [-9])"),
    ],
)
async def test_why_usb_gives_no_reader(
    usb: Usb, looking: Exception | None, opening: Exception | None, said: str
) -> None:
    """The system's library, the service's sandbox, others that have it, and libusb's errors: each with its words."""
    usb.looking, usb.opening = looking, opening
    async with watching(made(Role.READER, "nfc", "usb:1-1.2")) as watch:
        assert said in await watch.offline()


async def test_no_reader_on_usb(usb: Usb) -> None:
    """What is in that socket is something else."""
    usb.ids = (0x1D6B, 0x0002)
    async with watching(made(Role.READER, "nfc", "usb:1-1.2")) as watch:
        assert "none of the NFC readers that can be used" in await watch.offline()


async def test_an_acr122u_that_is_too_old(usb: Usb, acr122u: Acr122u) -> None:
    """It is said, where nfcpy would say that there is no reader."""
    acr122u.firmware = b"102"
    async with watching(made(Role.READER, "nfc", "usb:072f:2200")) as watch:
        assert "its firmware is 1.02, and too old from before 2.00" in await watch.offline()
    assert acr122u.closed
    assert usb.opening is None


@pytest.mark.usefixtures("usb")
@pytest.mark.parametrize(("firmware", "old"), [(b"203", True), (b"206", False), (b"210", False)])
async def test_an_acr122u_of_which_something_is_known(acr122u: Acr122u, firmware: bytes, *, old: bool) -> None:
    """It is online, and what does not work with it is said."""
    acr122u.firmware = firmware
    made_reader: NfcReader = made(Role.READER, "nfc", "usb:072f:2200")
    async with watching(made_reader) as watch:
        await watch.online()
    assert ("answers of 123 bytes" in made_reader.about.outdated) is old


@pytest.mark.usefixtures("usb")
async def test_a_reader_that_fails_while_it_is_opened_is_let_go(acr122u: Acr122u) -> None:
    """Else it would be in use by ourselves the next time."""
    acr122u.block = b"\x83"
    async with watching(made(Role.READER, "nfc", "usb:072f:2200")) as watch:
        assert "does not answer" in await watch.offline()
    assert acr122u.closed
    assert acr122u.context.closed


@pytest.mark.usefixtures("usb")
async def test_an_acr122u(device: EmulatedNfc, acr122u: Acr122u) -> None:
    """It says what it is, reads cards, shows what it is told, then is dark again, and is closed at the end."""
    made_reader: NfcReader = made(Role.READER, "nfc", "usb:072f:2200")
    assert isinstance(made_reader, Indicator)
    assert isinstance(made_reader, Telling)
    go, dark = Signal(Colour.GREEN, beeps=2, seconds=0.02), nfc_lamp.command(nfc_lamp.IDLE)
    made_reader.show(go)  # there is no reader yet: lost
    async with watching(made_reader) as watch:
        await watch.online()
        assert made_reader.about == About("ACS ACR122U", "2.07")
        assert acr122u.told[-1] == dark
        made_reader.show(go)
        await eventually(lambda: acr122u.told[-2:] == [nfc_lamp.command(go), dark])
        assert await came(device, watch, Type2(UID, MESSAGE)) == PLAIN
    assert acr122u.told.count(nfc_lamp.command(go)) == 1
    await eventually(lambda: acr122u.closed and acr122u.context.closed)


@pytest.mark.usefixtures("usb")
async def test_no_reader_on_usb_is_waited_for_for_ever(acr122u: Acr122u) -> None:
    """Neither one that takes nothing, nor one that nfcpy gives all the time to answer: its 0 means that to libusb."""
    async with watching(made(Role.READER, "nfc", "usb:072f:2200")) as watch:
        await watch.online()
        await asyncio.to_thread(acr122u.read)
    assert 0 < min(acr122u.waits) <= max(acr122u.waits) <= nfc_link.SILENCE_S * 1000


def test_what_a_lamp_is_told() -> None:
    """The command's bits, by the maker's table."""
    assert nfc_lamp.command(Signal(Colour.GREEN)).hex() == "ff00400e0400000000"
    assert nfc_lamp.command(Signal(Colour.RED)).hex() == "ff00400d0400000000"
    assert nfc_lamp.command(Signal(Colour.AMBER, beeps=1)).hex() == "ff00400f0401010101"
    assert nfc_lamp.command(Signal(Colour.RED, blink=True, beeps=2)).hex() == "ff00404d0401010201"
    assert nfc_lamp.command(Signal(Colour.RED, blink=True)).hex() == "ff00404d0401010300"
    assert nfc_lamp.seconds(Signal(Colour.RED, beeps=99)) <= 1
