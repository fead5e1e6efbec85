"""What uhf18 does beyond every reader's contract: the dialogue, and silence."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.emulated.uhf18 import EmulatedUhf18
from drivers.port import About, Colour, Condition, Indicator, Signal
from drivers.uhf18 import Uhf18Reader
from drivers.uhf18_talk import MANY, SILENCE_S, Conversation, Options, Timing
from protocol.credential import canonical
from protocol.sighting import Sighting
from protocol.uhf18 import Cmd, Command, Info, Reply, Status
from tests.drivers.rig import babbling, eventually, hosted, watching

EPC = "E284361100001000094944AA"
OTHER = "E200001D7315016521408FC6"
CHIP = Reply(0, Cmd.READ, Status.OK, bytes.fromhex("E280116020001234567890AB"))
QUICK = Timing(answer_s=0.05, silence_s=0.2, beat_silence_s=0.2)


def made(port: str, timing: Timing | None = None, **options: Any) -> Uhf18Reader:
    """A reader with these options."""
    return Uhf18Reader("r", Options(port=port, **options), lambda: 0.0, timing)


def reader_info(power: int = 26, scan_s: float = 0.3) -> Reply:
    """What a reader says of itself."""
    return Reply(0, Cmd.INFO, Status.OK, Info((5, 2), 0x86, 2, 0x31, 0x80, power, scan_s).to_data())


def test_one_command_at_a_time() -> None:
    """Info first, then inventory after inventory, each only after the answer or the time for it."""
    talk = Conversation(Options(port="/dev/x", pause=0.5), Timing(answer_s=1, silence_s=9), 0.0)
    assert talk.next(0.0) == Command(0, Cmd.INFO)
    assert talk.next(0.9) is None
    assert talk.next(1.0) == Command(0, Cmd.INFO), "a lost command is sent again"
    talk.heard(reader_info(), 1.1)
    assert talk.next(1.1) is None
    assert talk.next(1.6) == Command(0, Cmd.INVENTORY)
    assert not talk.ready
    talk.heard(Reply(0, Cmd.INVENTORY, Status.MORE), 1.7)
    assert talk.ready
    assert talk.next(2.8) is None, "more frames follow"
    talk.heard(Reply(0, Cmd.INVENTORY, Status.DONE), 2.8)
    assert talk.next(3.3) == Command(0, Cmd.INVENTORY)


@pytest.mark.parametrize("refusal", [Status.BAD_PARAMETER, Status.BAD_LENGTH])
def test_a_reader_that_wants_to_be_told_how_is_told(refusal: Status) -> None:
    """One that refuses a bare inventory gets Q and session with each from then on; others never do."""
    talk = Conversation(Options(port="/dev/x", pause=0.5), Timing(answer_s=1, silence_s=9), 0.0)
    talk.next(0.0)
    talk.heard(reader_info(), 0.0)
    for status in (refusal, Status.DONE):
        now = 1.0 if status == refusal else 2.0
        talk.next(now)
        talk.heard(Reply(0, Cmd.INVENTORY, status), now)
    assert talk.next(9.0) == Command(0, Cmd.INVENTORY, bytes([4, 0]))
    other = Conversation(Options(port="/dev/x", pause=0.5), Timing(answer_s=1, silence_s=9), 0.0)
    other.next(0.0)
    other.heard(reader_info(), 0.0)
    other.next(1.0)
    other.heard(Reply(0, Cmd.INVENTORY, Status.POOR_COMMUNICATION), 1.0)
    assert other.next(9.0) == Command(0, Cmd.INVENTORY)


@pytest.mark.parametrize(
    "none", [Reply(0, Cmd.INVENTORY, Status.NO_TAG), Reply(0, Cmd.INVENTORY, Status.DONE, b"\1\0")]
)
def test_an_empty_lane_is_asked_less_often(none: Reply) -> None:
    """However a reader says that there is no tag; one that more frames follow is one."""
    talk = Conversation(Options(port="/dev/x", pause=1), Timing(answer_s=1, silence_s=99), 0.0)
    talk.next(0.0)
    talk.heard(reader_info(), 0.0)
    assert talk.next(20.0)
    talk.heard(none, 20.0)
    assert talk.next(21.5) is None
    assert talk.next(22.5)
    tag = bytes.fromhex("01010ce28068940000500a9d2298c648")
    talk.heard(Reply(0, Cmd.INVENTORY, Status.MORE, tag), 22.5)
    talk.heard(none, 22.5)
    assert talk.next(23.5)


def test_only_what_differs_is_set() -> None:
    """The reader's own memory is not worn by writing what it holds."""
    options = Options(port="/dev/x", antenna_power=30, scan_time=0.3)
    talk = Conversation(options, Timing(), 0.0)
    talk.next(0.0)
    talk.heard(reader_info(power=26), 0.1)
    assert talk.next(0.1) == Command(0, Cmd.POWER, b"\x1e")
    talk.heard(Reply(0, Cmd.POWER, Status.OK), 0.2)
    assert talk.next(0.2) == Command(0, Cmd.INFO), "what it says then is told"
    talk.heard(reader_info(power=27), 0.3)
    assert talk.about.power_dbm == 27.0
    assert talk.next(0.4) == Command(0, Cmd.INVENTORY), "it is not written to again"


def asked(**options: Any) -> Conversation:
    """A conversation that is online at 0, and free."""
    talk = Conversation(Options(port="/dev/x", pause=1, **options), Timing(answer_s=1, silence_s=9), -2.0)
    talk.next(-2.0)
    talk.heard(reader_info(), -2.0)
    talk.next(-1.0)
    talk.heard(Reply(0, Cmd.INVENTORY, Status.DONE), 0.0)
    return talk


@pytest.mark.parametrize(("status", "words"), [(Status.BAD_ANTENNA, "misses an antenna"), (0xF9, "status F9")])
def test_failures_are_states(status: int, words: str) -> None:
    """Many times in a row, until something good comes; no tag, and one that hardly answers, are well."""
    talk, now = asked(), 0.0
    well = [Status.NO_TAG, Status.POOR_COMMUNICATION] * MANY
    for answer in (*well, *[status] * (MANY - 1), Status.NO_TAG, *[status] * MANY):
        assert not talk.trouble
        now += 10
        talk.next(now)
        talk.heard(Reply(0, Cmd.INVENTORY, answer), now)
    assert words in talk.trouble
    talk.next(now + 10)
    talk.heard(Reply(0, Cmd.INVENTORY, Status.DONE), now + 10)
    assert not talk.trouble


def test_a_reader_that_does_not_say_what_it_is_is_not_pressed() -> None:
    """It is asked again when its time is up, not at once, and given up as a silent one is."""
    talk = Conversation(Options(port="/dev/x"), Timing(answer_s=1, silence_s=3), 0.0)
    for second in range(3):
        assert talk.next(second)
        talk.heard(Reply(0, 0, Status.BAD_COMMAND), second + 0.1)
        assert talk.next(second + 0.9) is None
    assert talk.silent(3.0)
    assert "does not say what it is (status FE)" in talk.silence


def test_beeps_are_given_between_inventories() -> None:
    """As many as the newest signal has, and not when it is too late for them; the reader has time for them."""
    talk = asked()
    talk.show(Signal(Colour.RED, beeps=2, seconds=4), 0.1)
    talk.show(Signal(Colour.GREEN, beeps=3, seconds=2), 0.1)
    assert talk.wait(0.1) == 0
    assert talk.next(0.1) == Command(0, Cmd.SIGNAL, bytes([2, 2, 3]))
    assert talk.next(1.9) is None, "0.3 s of scan time, 1 s for the answer, 0.6 s of beeps"
    talk.heard(Reply(0, Cmd.SIGNAL, Status.OK), 1.9)
    assert talk.next(2.9) == Command(0, Cmd.INVENTORY)
    talk.show(Signal(Colour.RED, beeps=2, seconds=4), 3.0)
    assert talk.next(3.0) is None, "what is sent while the reader works is lost"
    talk.heard(Reply(0, Cmd.INVENTORY, Status.DONE), 7.0)
    assert talk.next(9.5) == Command(0, Cmd.INVENTORY)
    talk.heard(Reply(0, Cmd.INVENTORY, Status.DONE), 9.5)
    talk.show(Signal(Colour.AMBER), 9.5)
    assert talk.next(9.5) is None, "it has no lamp without its beeper"


@pytest.mark.parametrize("answer", [Reply(0, 0, Status.BAD_COMMAND), Reply(0, Cmd.SIGNAL, 0xFF), None])
def test_a_reader_without_a_beeper_is_asked_once(answer: Reply | None) -> None:
    """One that refuses it, or says nothing, reads on."""
    talk = asked()
    talk.show(Signal(Colour.GREEN, beeps=1), 0.0)
    talk.next(0.0)
    if answer is not None:
        talk.heard(answer, 0.1)
    assert talk.next(2.0) == Command(0, Cmd.INVENTORY)
    talk.heard(Reply(0, Cmd.INVENTORY, Status.DONE), 2.0)
    talk.show(Signal(Colour.GREEN, beeps=1), 2.0)
    assert talk.next(2.0) is None


def test_a_power_that_a_reader_does_not_know_is_not_told() -> None:
    """The manual's FF in its place; a configured one is set then."""
    talk = Conversation(Options(port="/dev/x", antenna_power=20), Timing(), 0.0)
    talk.next(0.0)
    talk.heard(reader_info(power=0xFF), 0.1)
    assert talk.about.power_dbm is None
    assert talk.next(0.1) == Command(0, Cmd.POWER, b"\x14")


def test_a_slow_reader_has_its_scan_time() -> None:
    """Neither the next command nor the end of the link comes while the reader may still be scanning."""
    talk = Conversation(Options(port="/dev/x"), Timing(), 0.0)
    talk.next(0.0)
    talk.heard(reader_info(scan_s=10), 0.0)
    talk.next(0.1)
    assert talk.next(10.5) is None
    assert not talk.silent(10.4)
    assert talk.silent(10.6)


def test_silence_is_noticed_within_three_seconds() -> None:
    """The limit in force where nobody sets another."""
    assert SILENCE_S < 3


async def test_what_a_reader_tells_of_itself(tmp_path: Path) -> None:
    """Model, firmware, band and power, as it says them: one that keeps its own power is found out."""
    device = EmulatedUhf18()
    device.stubborn = True
    async with hosted("pty", device, tmp_path) as host:
        reader = made(host.port, antenna_power=30)
        async with watching(reader) as watch:
            await watch.online()
    assert reader.about == About("UHFReader18, type 86", "5.2", "us", 26.0)


async def test_a_half_open_connection_is_offline(tmp_path: Path) -> None:
    """A reader that says nothing more is offline though its connection stands; then it comes back by itself."""
    device = EmulatedUhf18()
    async with hosted("tcp", device, tmp_path) as host, watching(made(host.port, QUICK)) as watch:
        await watch.online()
        device.silent = True
        assert "silent" in await watch.offline()
        device.silent = False
        device.enter(EPC)
        await watch.until(lambda report: isinstance(report, Sighting))


async def test_a_line_that_never_stops_talking_is_said(tmp_path: Path) -> None:
    """Another speed, or another device: what comes is heard, and is no sign of life; it comes back by itself."""
    device = EmulatedUhf18()
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, QUICK)) as watch:
        await watch.online()
        device.silent = True
        async with babbling(host):
            assert "cannot be understood; check its baud" in await watch.offline()
            here = watch.here
        device.silent = False
        await watch.online(here)


async def test_a_server_with_nothing_behind_it_is_never_online() -> None:
    """A connection alone proves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with watching(made(f"socket://127.0.0.1:{server.getsockname()[1]}", QUICK)) as watch:
            assert "silent" in await watch.offline()
            assert Condition(True) not in watch.reports


async def test_a_reader_in_another_mode_is_never_online(tmp_path: Path) -> None:
    """It says what it is and answers no inventory: no coming and going, but what to do, and more if it reports tags."""
    device = EmulatedUhf18(mode="active")
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, QUICK)) as watch:
        assert "answers nothing more; check that its mode is answer" in await watch.offline()

        async def report() -> None:
            while True:
                host.send(device.push(EPC))
                await asyncio.sleep(0.01)

        reports = asyncio.create_task(report())
        await eventually(lambda: "reports tags by itself" in watch.conditions[-1].why)
        reports.cancel()
        assert Condition(True) not in watch.reports
        assert not watch.of(Sighting)


async def test_a_reader_that_fails_says_so_and_comes_back(tmp_path: Path) -> None:
    """The link stays."""
    device = EmulatedUhf18()
    device.failure = Status.BAD_ANTENNA
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, pause=0)) as watch:
        assert "misses an antenna" in await watch.offline(watch.here)
        here = watch.here
        device.failure = None
        await watch.online(here)


async def test_what_is_shown_is_beeped(tmp_path: Path) -> None:
    """By a reader that is there; one that is not, or is not asked, shows nothing, then or later."""
    device = EmulatedUhf18()
    async with hosted("pty", device, tmp_path) as host:
        reader = made(host.port, pause=0)
        assert isinstance(reader, Indicator)
        reader.show(Signal(Colour.GREEN, beeps=4))
        async with watching(reader) as watch:
            await watch.online()
            reader.show(Signal(Colour.RED, blink=True, beeps=2))
            await eventually(lambda: device.beeps == [2])
            device.enter(EPC)
            await watch.until(lambda report: isinstance(report, Sighting))
    silent = made("/dev/x", mode="active")
    silent.show(Signal(Colour.GREEN, beeps=1))


async def test_many_tags_and_all_of_them(tmp_path: Path) -> None:
    """Inventories of several frames are read to the end."""
    device = EmulatedUhf18()
    for number in range(30):
        device.enter(f"{number:024X}")
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port)) as watch:
        await eventually(lambda: len({sighting.credential for sighting in watch.of(Sighting)}) == 30)


async def test_power_is_set_at_connect(tmp_path: Path) -> None:
    """Before the reader is online."""
    device = EmulatedUhf18()
    options: dict[str, Any] = {"antenna_power": 20, "scan_time": 0.5}
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, **options)) as watch:
        await watch.online()
    assert (device.info.power_dbm, device.info.scan_s) == (20, 0.5)


async def test_another_readers_answers_do_not_count(tmp_path: Path) -> None:
    """Address 7 is asked; what address 0 says is no answer."""
    device = EmulatedUhf18()
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, QUICK, address=7)) as watch:
        host.send(device.push(EPC))
        await watch.offline()
        assert not watch.of(Sighting)
    async with hosted("pty", EmulatedUhf18(7), tmp_path) as host, watching(made(host.port, address=255)) as watch:
        await watch.online()


async def test_a_pushing_reader_lives_by_its_heartbeat(tmp_path: Path) -> None:
    """Heartbeats keep it online; without one it is offline, and online when it calls again."""
    device = EmulatedUhf18(mode="active")
    async with hosted("listen", device, tmp_path) as host, watching(made(host.port, QUICK, mode="active")) as watch:
        await watch.online()
        host.send(device.heartbeat())
        assert "silent" in await watch.offline()
        host.unplug()
        here = watch.here
        await host.plug()
        await watch.online(here)


async def test_a_reader_that_calls_again_is_believed(tmp_path: Path) -> None:
    """A second connection takes the place of the first, which may be half-open."""
    device = EmulatedUhf18(mode="active")
    async with hosted("listen", device, tmp_path) as host, watching(made(host.port, mode="active")) as watch:
        await watch.online()
        number = int(host.port.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", number)) as second:
            assert "connected anew" in await watch.offline()
            await watch.online(watch.here)
            second.sendall(device.push(EPC))
            await watch.until(lambda report: isinstance(report, Sighting))


def test_options_that_active_mode_cannot_keep() -> None:
    """Nothing is sent in active mode, so nothing can be set, and no chip read."""
    for option in ({"antenna_power": 20}, {"tid": True}):
        with pytest.raises(ValidationError, match='need mode = "answer"'):
            Options.model_validate({"port": "/dev/x", "mode": "active", **option})


async def test_each_tag_has_the_number_of_its_chip(tmp_path: Path) -> None:
    """Read once for each that comes, and with all its sightings; a clone has another."""
    device = EmulatedUhf18()
    device.enter(EPC)
    device.enter(f"{OTHER}/E2003412AAAABBBBCCCCDDDD")
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, tid=True, pause=0)) as watch:
        await eventually(lambda: len(watch.of(Sighting)) >= 10)
    assert {(seen.credential, seen.tid) for seen in watch.of(Sighting)} == {
        (f"epc:{EPC}", device.chips.tid(EPC)),
        (f"epc:{OTHER}", "E2003412AAAABBBBCCCCDDDD"),
    }
    assert sorted(device.reads) == sorted([EPC, OTHER])


async def test_a_chip_that_does_not_answer_holds_nobody_up(tmp_path: Path) -> None:
    """Its sightings go without, and with its number once it has answered."""
    device = EmulatedUhf18()
    device.deaf = True
    device.enter(EPC)
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, tid=True)) as watch:
        seen = await watch.until(lambda report: isinstance(report, Sighting))
        assert seen.tid is None
        device.deaf = False
        await watch.until(lambda report: isinstance(report, Sighting) and report.tid == device.chips.tid(EPC))


async def test_without_tid_no_chip_is_asked(tmp_path: Path) -> None:
    """The default: it costs air time."""
    device = EmulatedUhf18()
    device.enter(EPC)
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port)) as watch:
        assert (await watch.until(lambda report: isinstance(report, Sighting))).tid is None
    assert device.reads == []


def chips_wanted(epcs: int) -> Conversation:
    """A conversation at 0 that has so many tags before it whose chips are to be read."""
    talk = Conversation(Options(port="/dev/x", tid=True), Timing(answer_s=1, silence_s=9), -1.0)
    talk.next(-1.0)
    talk.heard(reader_info(), -1.0)
    assert talk.next(0.0) == Command(0, Cmd.INVENTORY)
    talk.heard(Reply(0, Cmd.INVENTORY, Status.DONE), 0.0)
    for number in range(epcs):
        talk.chips.see(number.to_bytes(12, "big"), Sighting("r", canonical(f"epc:{number:024X}"), 0.0))
    return talk


def test_chips_do_not_keep_the_inventory_waiting() -> None:
    """After a few of them it has its turn, and they go on behind it."""
    asked: list[int] = []
    talk, now = chips_wanted(6), 0.0
    while len(asked) < 8:
        now += talk.wait(now)
        command = talk.next(now)
        if command is not None:
            asked.append(command.command)
            read = command.command == Cmd.READ
            talk.heard(CHIP if read else Reply(0, Cmd.INVENTORY, Status.DONE), now)
    assert asked == [*[Cmd.READ] * 4, Cmd.INVENTORY, *[Cmd.READ] * 2, Cmd.INVENTORY]


def test_a_late_answer_is_not_taken_for_another_tags() -> None:
    """It says nothing of whose chip it is: after one that was lost an inventory comes between."""
    talk = chips_wanted(2)
    first = talk.next(0.0)
    assert first is not None
    assert first.command == Cmd.READ
    assert talk.next(1.2) is None
    assert talk.next(1.3) == Command(0, Cmd.INVENTORY)
    talk.heard(CHIP, 1.5)
    assert [seen.tid for seen in talk.chips.take(1.5)] == [None, None]
