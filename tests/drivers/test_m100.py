"""What m100 does beyond every reader's contract: the dialogue, the watchdog, silence, and how polls fare."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers import m100
from drivers.emulated.m100 import EmulatedM100
from drivers.link import LinkLost
from drivers.m100 import MANY, READS_MAX, Conversation, M100Reader, Options, Timing
from drivers.port import About, Condition
from protocol.gen2 import credential, pc_of
from protocol.m100 import (
    Cmd,
    Error,
    Frame,
    Kind,
    Memory,
    Region,
    Tag,
    command,
    multi_poll,
    power_data,
    read_tid,
    select,
)
from protocol.sighting import Sighting
from tests.drivers.rig import Host, Watch, babbling, eventually, hosted, watching

EPC = "E200001D7315016521408FC6"
OTHER = "E284361100001000094944AA"
TID = bytes.fromhex("E280116020001234567890AB")
QUICK = Timing(answer_s=0.05, restart_s=0.05, silence_s=0.3)
NO_TAG = Frame(Kind.REPLY, Cmd.ERROR, bytes([Error.NO_TAG]))
BAD_COMMAND = Frame(Kind.REPLY, Cmd.ERROR, bytes([Error.BAD_COMMAND]))
STOPPED = Frame(Kind.REPLY, Cmd.STOP, b"\0")
SELECTED = Frame(Kind.REPLY, Cmd.SELECT, b"\0")
INFO = Frame(Kind.REPLY, Cmd.INFO, b"\0M100 26dBm V1.0")


def made(port: str, timing: Timing | None = None, **options: Any) -> M100Reader:
    """A reader with these options."""
    return M100Reader("r", Options(port=port, **options), lambda: 0.0, timing)


def talking(**options: Any) -> Conversation:
    """A conversation that begins at 0."""
    return Conversation(Options(port="/dev/x", **options), Timing(answer_s=1, restart_s=2, silence_s=9), 0.0)


def polling(**options: Any) -> Conversation:
    """A conversation that has come to its poll at 0."""
    talk = talking(**options)
    for answer in (STOPPED, INFO, BAD_COMMAND, BAD_COMMAND, BAD_COMMAND):
        talk.next(0.0)
        talk.heard(answer, 0.0)
    talk.next(0.0)
    talk.heard(NO_TAG, 0.0)
    return talk


@asynccontextmanager
async def running(device: EmulatedM100, folder: Path, **options: Any) -> AsyncIterator[tuple[Host, Watch]]:
    """A module that polls by itself, and its reader."""
    async with hosted("pty", device, folder) as host, watching(made(host.port, QUICK, **options)) as watch:
        rounds = asyncio.create_task(device.run(host, 0.005))
        try:
            yield host, watch
        finally:
            rounds.cancel()


def test_one_command_at_a_time_and_each_again_until_it_is_answered() -> None:
    """A poll that runs is stopped, the module is asked what it is and, once, how it is set; then it polls."""
    talk = talking()
    assert talk.next(0.0) == command(Cmd.STOP)
    assert talk.next(0.9) is None
    talk.heard(STOPPED, 0.9)
    assert talk.next(0.9) == command(Cmd.INFO, b"\0")
    assert talk.next(1.8) is None
    assert talk.next(1.9) == command(Cmd.INFO, b"\0"), "the first woke it and was lost"
    assert not talk.ready
    talk.heard(INFO, 2.0)
    assert talk.next(2.0) == command(Cmd.INFO, b"\1")
    assert talk.next(3.0) == command(Cmd.REGION), "what is only to be told is not asked twice"
    talk.heard(BAD_COMMAND, 3.0)
    assert talk.next(3.0) == command(Cmd.POWER)
    assert not talk.ready
    assert talk.next(4.0) == multi_poll()
    assert talk.ready
    assert talk.about == About("M100 26dBm V1.0")
    assert talk.next(5.0) == multi_poll(), "no round has come"
    talk.heard(NO_TAG, 5.1)
    assert talk.next(7.0) is None


def test_what_a_running_poll_says_answers_nothing() -> None:
    """Until it is stopped, notices and empty rounds come between."""
    talk = talking(region="eu")
    talk.next(0.0)
    tag = Tag.of(bytes.fromhex(EPC), -50).to_frame()
    for noise in (tag, NO_TAG):
        talk.heard(noise, 0.1)
        assert talk.next(0.2) is None
    assert talk.next(1.0) == command(Cmd.INFO, b"\0"), "a stop is not insisted on"
    talk.heard(NO_TAG, 1.1)
    talk.heard(STOPPED, 1.1)
    assert not talk.ready
    assert talk.next(1.2) is None


def test_a_poll_that_ends_is_begun_again() -> None:
    """After the time for a word it is stopped and started; each word gives it that time anew."""
    talk = polling()
    talk.heard(NO_TAG, 1.5)
    assert talk.next(3.4) is None
    assert talk.next(3.5) == command(Cmd.STOP)
    talk.heard(STOPPED, 3.6)
    assert talk.next(3.6) == multi_poll()
    assert talk.ready


def test_what_is_configured_is_asked_for_before_a_poll_begins_again() -> None:
    """A module that has lost its supply has lost its settings: it polls in no other region than the configured one."""
    talk = talking(region="eu", antenna_power=20)
    eu, strong = bytes([Region.EU]), power_data(20)
    for code, told in (
        (Cmd.STOP, b"\0"),
        (Cmd.INFO, b"\0M"),
        (Cmd.INFO, b"\1V"),
        (Cmd.REGION, eu),
        (Cmd.POWER, strong),
    ):
        talk.next(0.0)
        talk.heard(Frame(Kind.REPLY, code, told), 0.0)
    assert talk.next(0.0) == multi_poll()
    talk.heard(NO_TAG, 0.0)
    asked = []
    for code, told in (
        (Cmd.STOP, b"\0"),
        (Cmd.REGION, bytes([Region.CHINA_920])),
        (Cmd.SET_REGION, b"\0"),
        (Cmd.REGION, eu),
        (Cmd.POWER, strong),
    ):
        asked.append(talk.next(2.0))
        talk.heard(Frame(Kind.REPLY, code, told), 2.0)
    assert asked[2] == command(Cmd.SET_REGION, eu)
    assert talk.next(2.0) == multi_poll()


async def test_a_module_that_reboots_is_set_up_again(tmp_path: Path) -> None:
    """Its port stays, and so does the reader; it polls again as it is configured."""
    device = EmulatedM100()
    async with running(device, tmp_path, region="us", antenna_power=18) as (_, watch):
        await eventually(lambda: device.left > 0)
        device.reboot()
        await eventually(lambda: device.left > 0)
        assert (device.region, device.power) == (Region.US, power_data(18))
        assert watch.conditions == [Condition(True)]


async def test_a_tag_that_nobody_has_written_is_no_trouble(tmp_path: Path) -> None:
    """Its EPC has no length, so that it is nobody; it may lie before the reader for as long as it likes."""
    device = EmulatedM100()
    async with running(device, tmp_path) as (host, watch):
        await watch.online()
        host.send(Tag.of(b"", -60).to_frame().to_bytes() * (MANY + 1))
        device.enter(EPC)
        await watch.until(lambda report: isinstance(report, Sighting))
        assert watch.conditions == [Condition(True)]
        assert {sighting.credential for sighting in watch.of(Sighting)} == {f"epc:{EPC}"}


def test_only_what_differs_is_set() -> None:
    """Region and power are asked for first; what the module does not tell is set, and asked for again."""
    talk = talking(region="china-840", antenna_power=20)
    told = (
        (Cmd.STOP, b"\0"),
        (Cmd.INFO, b"\0M100"),
        (Cmd.INFO, b"\1V2.3.5"),
        (Cmd.REGION, bytes([Region.CHINA_920])),
        (Cmd.SET_REGION, b"\0"),
        (Cmd.REGION, bytes([Region.CHINA_840])),
        (Cmd.POWER, power_data(20)),
    )
    asked = []
    for code, parameters in told:
        asked.append(talk.next(0.0))
        talk.heard(Frame(Kind.REPLY, code, parameters), 0.0)
    assert asked[4] == command(Cmd.SET_REGION, bytes([Region.CHINA_840]))
    assert talk.ready
    assert talk.about == About("M100", "V2.3.5", "china-840", 20.0)
    assert talk.next(0.0) == multi_poll()


def test_a_module_that_refuses_what_is_configured_says_so() -> None:
    """By an error reply, or by a status that is not 0."""
    for refusal in (BAD_COMMAND, Frame(Kind.REPLY, Cmd.SET_REGION, b"\x09")):
        talk = talking(region="korea")
        for answer in (STOPPED, INFO, BAD_COMMAND, BAD_COMMAND):
            talk.next(0.0)
            talk.heard(answer, 0.0)
        assert talk.next(0.0) == command(Cmd.SET_REGION, bytes([Region.KOREA]))
        with pytest.raises(LinkLost, match="refuses region = 'korea'"):
            talk.heard(refusal, 0.0)


@pytest.mark.parametrize(("error", "words"), [(Error.NO_CHANNEL, "no free channel"), (Error.BAD_COMMAND, "error 17")])
def test_errors_are_states(error: Error, words: str) -> None:
    """No tag is well; another error, many times in a row, is a trouble until something good comes."""
    talk = polling()
    bad = Frame(Kind.REPLY, Cmd.ERROR, bytes([error]))
    for answer in (bad,) * (MANY - 1) + (NO_TAG,) + (bad,) * (MANY - 1):
        talk.heard(answer, 0.1)
        assert not talk.trouble
    talk.heard(bad, 0.1)
    assert words in talk.trouble
    talk.heard(NO_TAG, 0.1)
    assert not talk.trouble


def test_no_tag_is_well_however_often() -> None:
    """An empty lane is no trouble."""
    talk = polling()
    for _ in range(3 * MANY):
        talk.heard(NO_TAG, 0.1)
    assert not talk.trouble


def test_tags_that_fail_are_a_sign_of_life() -> None:
    """The poll runs and is not begun anew, nor the link given up; as many in a row are a trouble."""
    talk = polling()
    talk.failed(MANY - 1, 1.9)
    assert talk.next(3.8) is None
    assert not talk.silent(10.8)
    assert not talk.trouble
    talk.failed(1, 3.8)
    assert "fails its check" in talk.trouble


def test_the_limits_in_force() -> None:
    """Offline within three seconds, and several tries to wake a module before."""
    assert m100.SILENCE_S < 3
    assert m100.SILENCE_S > 3 * m100.ANSWER_S + m100.RESTART_S


async def test_a_tag_has_its_signal(tmp_path: Path) -> None:
    """In dBm, beside its credential."""
    device = EmulatedM100()
    device.enter(EPC)
    async with running(device, tmp_path) as (_, watch):
        sighting = await watch.until(lambda report: isinstance(report, Sighting))
    assert (sighting.credential, sighting.signal) == (f"epc:{EPC}", -55.0)


async def test_the_first_byte_may_be_lost(tmp_path: Path) -> None:
    """A module that sleeps is woken by the first command and answers the next."""
    device = EmulatedM100()
    device.asleep = True
    async with running(device, tmp_path) as (_, watch):
        await watch.online()
        device.asleep, device.left = True, 0
        device.enter(EPC)
        await watch.until(lambda report: isinstance(report, Sighting))
        assert watch.conditions == [Condition(True)]


async def test_region_and_power_are_set_at_connect(tmp_path: Path) -> None:
    """Before the reader is online."""
    device = EmulatedM100()
    async with running(device, tmp_path, region="us", antenna_power=18.5) as (_, watch):
        await watch.online()
        assert (device.region, device.power) == (Region.US, power_data(18.5))


@pytest.mark.parametrize(("terse", "told"), [(False, ("china-920", 26.0)), (True, ("", None))])
async def test_what_a_module_tells_of_itself(tmp_path: Path, told: tuple[str, float | None], *, terse: bool) -> None:
    """Model, firmware, region and power, as it says them; one that does not tell all is online as well."""
    device = EmulatedM100()
    device.terse = terse
    async with hosted("pty", device, tmp_path) as host:
        reader = made(host.port, QUICK)
        async with watching(reader) as watch:
            await watch.online()
    assert reader.about == About("M100 26dBm V1.0", "V2.3.5", *told)


async def test_a_power_that_a_module_does_not_give_is_found_out(tmp_path: Path) -> None:
    """It takes it without a word, and says something else when it is asked."""
    device = EmulatedM100()
    device.stubborn = True
    async with hosted("pty", device, tmp_path) as host:
        reader = made(host.port, QUICK, antenna_power=30)
        async with watching(reader) as watch:
            await watch.online()
    assert reader.about.power_dbm == 26.0


async def test_the_poll_is_kept_going(tmp_path: Path) -> None:
    """However it ended; the reader stays online."""
    device = EmulatedM100()
    async with running(device, tmp_path) as (_, watch):
        for _ in range(3):
            await eventually(lambda: device.left > 0)
            device.left = 0
        await eventually(lambda: device.left > 0)
        assert watch.conditions == [Condition(True)]


async def test_a_silent_module_is_offline_and_comes_back(tmp_path: Path) -> None:
    """With its port still there."""
    device = EmulatedM100()
    async with running(device, tmp_path) as (_, watch):
        await watch.online()
        device.silent = True
        assert "silent" in await watch.offline()
        here = watch.here
        device.silent = False
        await watch.online(here)


async def test_a_line_that_never_stops_talking_is_said(tmp_path: Path) -> None:
    """Another speed, or another device: what comes is heard, and is no sign of life; it comes back by itself."""
    device = EmulatedM100()
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port, QUICK)) as watch:
        await watch.online()
        device.silent = True
        async with babbling(host):
            assert "cannot be understood; check its baud" in await watch.offline()
            here = watch.here
        device.silent = False
        await watch.online(here)


async def test_tags_that_fail_their_check_are_said_and_not_sighted(tmp_path: Path) -> None:
    """The reader is offline with what to look at, and online again with the next good round; never a sighting."""
    device = EmulatedM100()
    tag = Tag.of(bytes.fromhex(EPC), -70).to_frame()
    torn = Frame(tag.kind, tag.command, tag.parameters[:-1] + bytes([tag.parameters[-1] ^ 1])).to_bytes()
    async with hosted("pty", device, tmp_path) as host, watching(made(host.port)) as watch:
        await eventually(lambda: device.left > 0)
        device.silent = True
        host.send(torn * MANY)
        assert "fails its check" in await watch.offline()
        here = watch.here
        host.send(NO_TAG.to_bytes())
        await watch.online(here)
        assert not watch.of(Sighting)


async def test_polls_that_find_no_channel_are_said(tmp_path: Path) -> None:
    """The link stays: the next good round puts the reader online."""
    device = EmulatedM100()
    device.error = Error.NO_CHANNEL
    async with running(device, tmp_path) as (_, watch):
        assert "no free channel" in await watch.offline()
        here = watch.here
        device.error = None
        await watch.online(here)


async def test_each_tag_has_the_number_of_its_chip(tmp_path: Path) -> None:
    """Read once for each that comes, and with all its sightings; a clone has another. The poll goes on."""
    device = EmulatedM100()
    device.enter(EPC)
    device.enter(f"{OTHER}/E2003412AAAABBBBCCCCDDDD")
    async with running(device, tmp_path, tid=True) as (_, watch):
        await eventually(lambda: len(watch.of(Sighting)) >= 10)
        assert watch.conditions == [Condition(True)]
    assert {(seen.credential, seen.tid, seen.signal) for seen in watch.of(Sighting)} == {
        (f"epc:{EPC}", device.chips.tid(EPC), -55.0),
        (f"epc:{OTHER}", "E2003412AAAABBBBCCCCDDDD", -55.0),
    }
    assert sorted(device.reads) == sorted([EPC, OTHER])


async def test_a_chip_that_does_not_answer_holds_nobody_up(tmp_path: Path) -> None:
    """Its sightings go without, and with its number once it has answered."""
    device = EmulatedM100()
    device.deaf = True
    device.enter(EPC)
    async with running(device, tmp_path, tid=True) as (_, watch):
        seen = await watch.until(lambda report: isinstance(report, Sighting))
        assert seen.tid is None
        device.deaf = False
        await watch.until(lambda report: isinstance(report, Sighting) and report.tid == device.chips.tid(EPC))
        assert watch.conditions == [Condition(True)]


async def test_a_chip_with_a_short_bank_is_read_by_fewer_words(tmp_path: Path) -> None:
    """As the chip itself says."""
    device = EmulatedM100()
    device.enter(f"{EPC}/E200600312345678")
    async with running(device, tmp_path, tid=True) as (_, watch):
        assert (await watch.until(lambda report: isinstance(report, Sighting))).tid == "E200600312345678"


def reading() -> Conversation:
    """A conversation at 0 that has a tag before it whose chip is to be read, and has asked to stop the poll."""
    talk = polling(tid=True)
    talk.chips.see(bytes.fromhex(EPC), Sighting("r", credential(bytes.fromhex(EPC)), 0.0))
    assert talk.next(0.0) == command(Cmd.STOP)
    talk.heard(STOPPED, 0.0)
    assert talk.next(0.0) == select(bytes.fromhex(EPC))
    return talk


def test_another_tags_chip_does_not_count() -> None:
    """The answer says whose it is; the poll goes on after a few tries."""
    asked: list[int] = []
    talk = reading()
    other = bytes.fromhex(OTHER)
    while Cmd.MULTI_POLL not in asked and len(asked) < 99:
        step = talk.next(0.1)
        asked += [] if step is None else [step.command]
        talk.heard(SELECTED, 0.1)
        talk.heard(Memory(pc_of(other), other, TID).to_frame(), 0.1)
    assert asked.count(Cmd.READ) == READS_MAX
    assert [seen.tid for seen in talk.chips.take(1.0)] == [None]


@pytest.mark.parametrize("lost", [Cmd.SELECT, Cmd.READ])
def test_a_reading_without_an_answer_is_left(lost: Cmd) -> None:
    """The poll goes on: it is not asked twice."""
    talk = reading()
    if lost == Cmd.READ:
        talk.heard(SELECTED, 0.0)
        assert talk.next(0.0) == read_tid(6)
    assert talk.next(0.9) is None
    assert talk.next(1.0) == multi_poll()
    assert talk.ready


def test_regions_by_name() -> None:
    """What is no region is refused."""
    with pytest.raises(ValidationError, match="china-920"):
        Options.model_validate({"port": "/dev/x", "region": "china"})
