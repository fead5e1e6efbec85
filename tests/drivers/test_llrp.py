"""What llrp does beyond every reader's contract: the dialogue, lanes that share a reader, silence, and the way out."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.chips import WAIT_S, Chips
from drivers.emulated.host import TcpHost
from drivers.emulated.llrp import EmulatedLlrp
from drivers.llrp import SILENCE_S, LlrpReader, Station, Timing, address
from drivers.llrp_talk import KEEPALIVE_S, Options
from drivers.port import Condition, Quiet
from drivers.registry import Ports, Role
from drivers.shared import WAITING_MAX
from protocol.credential import Credential
from protocol.llrp import Kind, LlrpCodec, Message, Param, Parameter
from protocol.llrp_requests import ACCESSSPEC_ID, ROSPEC_ID, Antenna, add_rospec
from protocol.sighting import Sighting
from tests.drivers.rig import Watch, eventually, made, watching

EPC = "3005FB63AC1F3841EC880467"
LONG = "1FB41F712AC9C37AB79D618173188324001A"
QUICK = Timing(silence_s=0.3, leave_s=0.3)
OURS = ROSPEC_ID.to_bytes(4, "big")
SETUP = [
    Kind.GET_READER_CAPABILITIES,
    Kind.DELETE_ROSPEC,
    Kind.SET_READER_CONFIG,
    Kind.GET_READER_CONFIG,
    Kind.ADD_ROSPEC,
    Kind.ENABLE_ROSPEC,
    Kind.START_ROSPEC,
]
SETUP_OF_CHIPS = [
    Kind.GET_READER_CAPABILITIES,
    Kind.DELETE_ACCESSSPEC,
    *SETUP[1:5],
    Kind.ADD_ACCESSSPEC,
    Kind.ENABLE_ACCESSSPEC,
    *SETUP[5:],
]


def lanes(port: str, *options: dict[str, Any], timing: Timing = QUICK) -> list[LlrpReader]:
    """The lanes of one reader, with short time limits."""
    station = Station(port, lambda: 0.0, timing)
    return [LlrpReader(f"lane{n}", Options(port=port, **one), station) for n, one in enumerate(options, 1)]


@asynccontextmanager
async def alive(device: EmulatedLlrp) -> AsyncIterator[TcpHost]:
    """A reader that reads by itself and keeps its connection alive."""
    async with TcpHost(device) as host, asyncio.TaskGroup() as group:
        rounds = group.create_task(beating(device, host))
        yield host
        rounds.cancel()


@asynccontextmanager
async def running(
    device: EmulatedLlrp, *options: dict[str, Any], online: bool = True
) -> AsyncIterator[tuple[TcpHost, list[Watch]]]:
    """Such a reader, and its lanes."""
    async with alive(device) as host, watching_all(lanes(host.port, *(options or ({},)))) as watches:
        for watch in watches if online else ():
            await watch.online()
        yield host, watches


async def beating(device: EmulatedLlrp, host: TcpHost) -> None:
    """As `EmulatedLlrp.run`, with keepalives as quick as the tests' time limits."""
    while True:
        host.send(device.report() + device.keepalive())
        await asyncio.sleep(0.02)


@asynccontextmanager
async def watching_all(readers: list[LlrpReader]) -> AsyncIterator[list[Watch]]:
    """All of them at once."""
    if not readers:
        yield []
        return
    async with watching(readers[0]) as watch, watching_all(readers[1:]) as others:
        yield [watch, *others]


def asked(device: EmulatedLlrp, kind: Kind) -> list[Message]:
    """What the reader was asked of this kind."""
    return [message for message in device.heard if message.kind == kind]


def tlv(kind: int, *values: bytes) -> bytes:
    """A parameter."""
    return Parameter(kind, b"".join(values)).to_bytes()


async def sighting(watch: Watch, start: int = 0) -> Sighting:
    """The next sighting."""
    found: Sighting = await watch.until(lambda report: isinstance(report, Sighting), start)
    return found


async def test_it_is_set_up_and_read() -> None:
    """One question at a time, numbered; keepalives each second; the tag with signal and any length of EPC."""
    device = EmulatedLlrp()
    device.enter(LONG)
    async with running(device) as (_, (watch,)):
        seen = await sighting(watch)
    assert (seen.reader, seen.credential, seen.signal) == ("lane1", f"epc:{LONG}", -52.0)
    setup = [message for message in device.heard if message.kind != Kind.KEEPALIVE_ACK][: len(SETUP)]
    assert [message.kind for message in setup] == SETUP
    assert [message.number for message in setup] == list(range(1, len(SETUP) + 1))
    assert device.keepalive_s == KEEPALIVE_S
    assert asked(device, Kind.ADD_ROSPEC)[0].body == add_rospec((Antenna(0, 0),)).body


async def test_keepalives_are_acknowledged_by_their_number() -> None:
    """Each at once; else the reader would drop us."""
    device = EmulatedLlrp()
    async with TcpHost(device) as host, watching(lanes(host.port, {})[0]) as watch:
        await watch.online()
        host.send(Message(Kind.KEEPALIVE, 77).to_bytes() + Message(Kind.KEEPALIVE, 78).to_bytes())
        await eventually(lambda: len(asked(device, Kind.KEEPALIVE_ACK)) == 2)
        assert [ack.number for ack in asked(device, Kind.KEEPALIVE_ACK)] == [77, 78]


async def test_power_goes_by_the_readers_own_table() -> None:
    """The strongest level that is not above what is allowed, with hop table and channel as the reader has them."""
    device = EmulatedLlrp()
    device.band = (2, 7)
    each = ({"antennas": [1], "antenna_power": 20.2, "session": 2}, {"antennas": [2], "power_index": 81})
    async with running(device, *each):
        pass
    wanted = (Antenna(1, 2, (2, 7, 41)), Antenna(2, 0, (2, 7, 81)))
    assert asked(device, Kind.ADD_ROSPEC)[0].body == add_rospec(wanted).body


async def test_lanes_share_one_connection_and_each_has_its_antennas() -> None:
    """A tag at antenna 3 is the second lane's, one at an antenna of nobody is nobody's."""
    device = EmulatedLlrp()
    async with running(device, {"antennas": [1, 2]}, {"antennas": [3]}) as (host, (one, two)):
        assert host.connected == 1
        device.enter(f"{EPC}@3")
        assert (await sighting(two)).credential == f"epc:{EPC}"
        device.leave(f"{EPC}@3")
        device.enter(f"{LONG}@2")
        assert (await sighting(one)).reader == "lane1"
        assert {seen.credential for seen in one.of(Sighting)} == {f"epc:{LONG}"}
        assert {seen.credential for seen in two.of(Sighting)} == {f"epc:{EPC}"}
        report = tlv(Param.TAG_REPORT_DATA, tlv(Param.EPC_96, bytes.fromhex(EPC)), tlv(Param.ANTENNA_ID, b"\0\4"))
        here = one.here, two.here
        host.send(Message(Kind.RO_ACCESS_REPORT, 1, report).to_bytes() + device.report())
        await sighting(one, here[0])
        assert not [seen for seen in one.of(Sighting) if seen.credential == f"epc:{EPC}"]


async def test_a_reader_that_names_no_antenna() -> None:
    """Its tags are the only lane's; where there are two, nobody can tell whose."""
    report = Message(
        Kind.RO_ACCESS_REPORT, 1, tlv(Param.TAG_REPORT_DATA, tlv(Param.EPC_96, bytes.fromhex(EPC)))
    ).to_bytes()
    async with running(EmulatedLlrp(), {"antennas": [2]}) as (host, (watch,)):
        host.send(report)
        assert (await sighting(watch)).credential == f"epc:{EPC}"
    device = EmulatedLlrp()
    async with running(device, {"antennas": [1]}, {"antennas": [2]}) as (host, (one, two)):
        host.send(report)
        device.enter(f"{LONG}@1")
        await sighting(one)
        assert {seen.credential for seen in one.of(Sighting) + two.of(Sighting)} == {f"epc:{LONG}"}


async def test_a_second_client_is_told_and_waits() -> None:
    """The reader takes one at a time: the second says so plainly, and comes when the first is gone."""
    device = EmulatedLlrp()
    async with running(device) as (host, (first,)), watching(lanes(host.port, {})[0]) as second:
        why = await second.offline()
        assert "another client is connected" in why
        assert "stop it" in why
        assert host.connected == 1
        assert first.conditions == [Condition(True)]
    async with TcpHost(device) as host:
        device.busy = True
        async with watching(lanes(host.port, {})[0]) as watch:
            await watch.offline()
            device.busy = False
            await watch.online()


async def test_another_attempt_while_we_have_it_is_nothing() -> None:
    """The reader tells of it, and nothing has changed."""
    device = EmulatedLlrp()
    async with running(device) as (host, (watch,)):
        host.send(device.tell(Param.CONNECTION_ATTEMPT_EVENT, b"\0\4"))
        device.enter(EPC)
        await sighting(watch)
        assert watch.conditions == [Condition(True)]


async def test_a_cut_line_is_offline_and_connected_anew() -> None:
    """Nothing tells of it but that no keepalive comes; and nothing that was seen before counts after it."""
    device = EmulatedLlrp()
    async with running(device) as (_, (watch,)):
        device.silent = True
        assert "the reader is silent" in await watch.offline()
        here = watch.here
        device.silent = False
        await watch.online(here)
        device.enter(EPC)
        await sighting(watch, here)


def test_silence_is_noticed_in_time_and_not_by_one_lost_keepalive() -> None:
    """Within three seconds, and two keepalives fit in."""
    assert 2 * KEEPALIVE_S < SILENCE_S < 3


async def test_one_who_does_not_speak_llrp_is_silent() -> None:
    """A port where something else listens."""
    device = EmulatedLlrp()
    device.silent = True
    async with running(device, online=False) as (_, (watch,)):
        assert "that LLRP is on" in await watch.offline()


class Gone(EmulatedLlrp):
    """A reader that greets, and then leaves nothing but the line, which gives back what it is sent."""

    asked_at = 0.0

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        self.asked_at = self.asked_at or time.monotonic()
        return data


async def test_our_own_words_are_no_life() -> None:
    """Nor when the reader was heard last: it is silent since it said something."""
    device = Gone()
    async with TcpHost(device) as host:
        (lane,) = lanes(host.port, {})
        async with watching(lane) as watch:
            assert "the reader is silent" in await watch.offline()
            assert lane.last_heard is not None
            assert 0 < lane.last_heard <= device.asked_at


@pytest.mark.parametrize("kind", [Kind.GET_READER_CAPABILITIES, Kind.SET_READER_CONFIG, *SETUP[4:]])
async def test_a_refusal_is_said_in_words(kind: Kind) -> None:
    """With the parameter that it is about, and the reader's own; taken back, all is well."""
    device = EmulatedLlrp()
    inner = tlv(Param.FIELD_ERROR, b"\0\2\x01\x2d")
    error = tlv(Param.PARAMETER_ERROR, Param.RF_TRANSMITTER.to_bytes(2, "big"), b"\0\xc9", inner)
    device.refuse[kind] = b"\0\x64\0\5power" + error
    async with running(device, online=False) as (_, (watch,)):
        why = await watch.offline()
        assert "the reader refuses" in why
        assert 'in RFTransmitter (a field is wrong), field 2 (out of range); it says "power"' in why
        device.refuse.clear()
        await watch.online()


@pytest.mark.parametrize("kind", [Kind.DELETE_ROSPEC, Kind.GET_READER_CONFIG])
async def test_what_may_be_refused(kind: Kind) -> None:
    """There is nothing to delete, or it does not tell how it is set: then power has the usual hop table and channel."""
    device = EmulatedLlrp()
    device.refuse[kind] = b"\0\x6d\0\0"
    async with running(device, {"antenna_power": 30}) as (_, (watch,)):
        assert watch.conditions == [Condition(True)]
    assert asked(device, Kind.ADD_ROSPEC)[0].body == add_rospec((Antenna(0, 0, (1, 1, 81)),)).body


async def test_an_answer_without_a_status_is_no_yes() -> None:
    """It is a refusal."""
    device = EmulatedLlrp()
    device.refuse[Kind.START_ROSPEC] = b""
    async with running(device, online=False) as (_, (watch,)):
        assert "without a word why" in await watch.offline()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"antennas": [5]}, "antennas 1 to 4; correct antennas = [5]"),
        ({"antennas": [2], "antenna_power": 31}, "gives 10 to 30 dBm; correct antenna_power"),
        ({"antennas": [2], "antenna_power": 9.9}, "gives 10 to 30 dBm"),
        ({"antennas": [2], "power_index": 82}, "power levels are 1 to 81; correct power_index"),
    ],
)
async def test_one_lanes_mistake_is_its_own(wrong: dict[str, Any], why: str) -> None:
    """It says what there is; the other lane reads."""
    device = EmulatedLlrp()
    async with running(device, {"antennas": [1]}, wrong, online=False) as (host, (good, bad)):
        await good.online()
        said = await bad.offline()
        assert why in said
        assert host.port in said
        device.enter(EPC)
        await sighting(good)
    async with running(EmulatedLlrp(), wrong, online=False) as (_, (alone,)):
        assert why in await alone.offline()


async def test_a_reader_without_a_table_of_powers() -> None:
    """Of dBm it cannot be asked; of its own number it can."""
    device = EmulatedLlrp()
    device.levels = ()
    each = ({"antennas": [1], "antenna_power": 20}, {"antennas": [2], "power_index": 3})
    async with running(device, *each, online=False) as (_, (one, two)):
        await two.online()
        assert "write power_index" in await one.offline()


async def test_it_leaves_by_the_rules() -> None:
    """Our inventory is deleted, the connection closed; another's inventory is as it was."""
    device = EmulatedLlrp()
    device.rospecs[1] = add_rospec((Antenna(1, 0),))
    device.running.add(1)
    async with running(device, {"antennas": [1]}, {"antennas": [2]}):
        assert set(device.rospecs) == {1, ROSPEC_ID}
    assert [message.kind for message in device.heard[-2:]] == [Kind.DELETE_ROSPEC, Kind.CLOSE_CONNECTION]
    assert device.running == {1}
    assert not device.busy


async def test_leaving_a_silent_reader_takes_its_moment_and_no_longer() -> None:
    """Nobody answers the farewell."""
    device = EmulatedLlrp()
    async with TcpHost(device) as host, watching(lanes(host.port, {})[0]) as watch:
        await watch.online()
        device.silent = True
    assert device.heard[-1].kind == Kind.CLOSE_CONNECTION


async def test_nobody_waits_for_a_farewell_that_is_said_or_cannot_be() -> None:
    """Of a silent reader it is told at once; of one that answers, leave is taken at once."""
    device, patient = EmulatedLlrp(), Timing(silence_s=0.3, leave_s=60)
    async with alive(device) as host, watching(lanes(host.port, {}, timing=patient)[0]) as watch:
        await watch.online()
        device.silent = True
        await watch.offline()
        here = watch.here
        device.silent = False
        await watch.online(here)


async def test_a_lane_that_comes_later_reads_too() -> None:
    """The inventory is begun anew, with its antennas."""
    device = EmulatedLlrp()
    async with alive(device) as host:
        (one,) = lanes(host.port, {"antennas": [1]})
        async with watching(one) as first:
            await first.online()
            other = LlrpReader("lane2", Options(port=host.port, antennas=(2,)), one._station)
            async with watching(other) as second:
                device.enter(f"{EPC}@2")
                await sighting(second)


async def test_what_was_known_before_everybody_left_is_known_no_more() -> None:
    """Who comes back to a reader that has fallen silent does not hear that it is there."""
    device = EmulatedLlrp()
    async with alive(device) as host:
        (lane,) = lanes(host.port, {})
        async with watching(lane) as watch:
            await watch.online()
        device.silent = True
        async with watching(lane) as watch:
            await watch.offline()
            assert not [condition for condition in watch.conditions if condition.online]


async def test_a_lane_that_leaves_takes_nothing_along() -> None:
    """The connection stays for the other; one that comes back hears how it is."""
    device = EmulatedLlrp()
    async with alive(device) as host:
        one, two = lanes(host.port, {"antennas": [1]}, {"antennas": [2]})
        async with watching(two) as watch:
            async with watching(one) as first:
                await first.online()
            device.enter(f"{EPC}@2")
            await sighting(watch)
            assert watch.conditions == [Condition(True)]
            async with watching(one) as first:
                await first.online()
            assert host.connected == 1


class Backlog(EmulatedLlrp):
    """A reader that has kept what it saw while nobody was there, and tells it before all else that it says."""

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        old = tlv(Param.TAG_REPORT_DATA, tlv(Param.EPC_96, bytes.fromhex(EPC)), tlv(Param.ANTENNA_ID, b"\0\1"))
        return Message(Kind.RO_ACCESS_REPORT, 1, old).to_bytes() + super().receive(data)


async def test_what_it_saw_before_is_nothing() -> None:
    """Reports count once our own inventory has begun."""
    device = Backlog()
    async with TcpHost(device) as host, watching(lanes(host.port, {})[0]) as watch:
        await watch.online()
        assert not watch.of(Sighting)
        host.unplug()
        await watch.offline()
        here = watch.here
        await host.plug()
        await watch.online(here)
        assert not watch.of(Sighting)
        host.send(Message(Kind.KEEPALIVE, 1).to_bytes())
        await sighting(watch)


@pytest.mark.parametrize(
    ("news", "why"),
    [
        (lambda device: device.tell(Param.ROSPEC_EVENT, b"\1" + OURS + bytes(4)), "has ended by itself"),
        (lambda device: device.tell(Param.ROSPEC_EVENT, b"\2" + OURS + bytes(4)), "put its own before it"),
        (lambda device: device.tell(Param.CONNECTION_CLOSE_EVENT, b""), "has closed the connection by itself"),
        (
            lambda _: Message(Kind.ERROR_MESSAGE, 1, tlv(Param.LLRP_STATUS, b"\0\x6e\0\0")).to_bytes(),
            "it does not speak LLRP 1.0.1",
        ),
    ],
)
async def test_what_ends_by_itself_is_begun_anew(news: Callable[[EmulatedLlrp], bytes], why: str) -> None:
    """It says what happened, connects and starts again."""
    device = EmulatedLlrp()
    async with running(device) as (host, (watch,)):
        host.send(news(device))
        assert why in await watch.offline()
        await watch.online(watch.here)
        assert len(asked(device, Kind.START_ROSPEC)) == 2


async def test_events_of_others_are_nothing() -> None:
    """Ours has begun, another's has ended."""
    device = EmulatedLlrp()
    async with running(device) as (host, (watch,)):
        host.send(device.tell(Param.ROSPEC_EVENT, b"\0" + OURS + bytes(4)))
        host.send(device.tell(Param.ROSPEC_EVENT, b"\1\0\0\0\1" + bytes(4)))
        device.enter(EPC)
        await sighting(watch)
        assert watch.conditions == [Condition(True)]


async def test_an_antenna_without_a_cable() -> None:
    """A lane is offline when the last of its antennas is; a cable, or a tag, proves otherwise."""
    device = EmulatedLlrp()
    device.unplugged = {3}
    async with running(device, {"antennas": [1, 2]}, {"antennas": [3]}, online=False) as (host, (one, two)):
        await one.online()
        assert "no antenna is plugged in at 3" in await two.offline()
        device.enter(f"{EPC}@3")
        await two.online()
        here = one.here
        host.send(device.tell(Param.ANTENNA_EVENT, b"\0\0\1"))
        host.send(device.tell(Param.ANTENNA_EVENT, b"\0\0\2"))
        assert "at 1, 2" in await one.offline(here)
        assert one.conditions[:-1] == [Condition(True)]
        here = one.here
        host.send(device.tell(Param.ANTENNA_EVENT, b"\1\0\1"))
        await one.online(here)


async def test_what_waits_for_a_lane_is_bounded() -> None:
    """A lane that takes nothing for long loses reads, never a condition, and no read outlives the connection."""
    (lane,) = lanes("socket://10.0.0.9:5084", {})
    lane.watch(watched=True)
    lane.say(Quiet())
    assert not lane.waiting
    lane.say(Condition(True))
    for _ in range(2 * WAITING_MAX):
        lane.say(Sighting("lane1", Credential(f"epc:{EPC}"), 0.0))
    assert len(lane.waiting) == WAITING_MAX
    lane.say(Condition(False, "gone"))
    assert list(lane.waiting) == [Condition(True), Condition(False, "gone")]


async def test_each_tag_has_the_number_of_its_chip() -> None:
    """At the lane that wants it, and with all sightings; a clone has another."""
    device = EmulatedLlrp()
    device.enter(f"{EPC}@1")
    device.enter(f"{LONG}/E2003412AAAABBBBCCCCDDDD@1")
    device.enter(f"{EPC}@2")
    async with running(device, {"antennas": [1], "tid": True}, {"antennas": [2]}) as (_, (one, two)):
        await eventually(lambda: len(one.of(Sighting)) >= 10)
        await sighting(two)
        assert device.accessspecs.keys() == device.reading == {ACCESSSPEC_ID}
    assert {(seen.credential, seen.tid) for seen in one.of(Sighting)} == {
        (f"epc:{EPC}", device.chips.tid(EPC)),
        (f"epc:{LONG}", "E2003412AAAABBBBCCCCDDDD"),
    }
    assert {seen.tid for seen in two.of(Sighting)} == {None}
    setup = [message.kind for message in device.heard if message.kind != Kind.KEEPALIVE_ACK]
    assert setup[: len(SETUP_OF_CHIPS)] == SETUP_OF_CHIPS
    assert setup[-3:] == [Kind.DELETE_ACCESSSPEC, Kind.DELETE_ROSPEC, Kind.CLOSE_CONNECTION]
    assert not device.accessspecs


async def test_a_chip_that_does_not_answer_holds_nobody_up() -> None:
    """Its sightings go without, and with its number once it has answered."""
    device = EmulatedLlrp()
    device.deaf = True
    device.enter(EPC)
    async with running(device, {"tid": True}) as (_, (watch,)):
        assert (await sighting(watch)).tid is None
        device.deaf = False
        await watch.until(lambda report: isinstance(report, Sighting) and report.tid == device.chips.tid(EPC))


def test_nobody_waits_longer_where_the_reader_says_nothing_else() -> None:
    """Who waits for a chip is looked after in time."""
    (lane,) = lanes("socket://10.0.0.9:5084", {"tid": True}, timing=Timing(silence_s=9))
    station, now = lane._station, time.monotonic()
    station._chips = {lane: Chips()}
    assert station._wait(LlrpCodec(), now) > WAIT_S
    station._chips[lane].see(bytes.fromhex(EPC), Sighting("lane1", Credential(f"epc:{EPC}"), now))
    assert station._wait(LlrpCodec(), now + 1) <= WAIT_S


async def test_a_reader_that_cannot_read_chips_says_so() -> None:
    """With what to do."""
    device = EmulatedLlrp()
    device.refuse[Kind.ADD_ACCESSSPEC] = b"\0\x6d\0\0"
    async with running(device, {"tid": True}, online=False) as (_, (watch,)):
        assert "refuses to read chips; leave out tid: it does not support this message" in await watch.offline()


async def test_what_another_inventory_sees_is_not_ours() -> None:
    """It may be old, or at an antenna that reads for somebody else: each report says whose it is."""
    device = EmulatedLlrp()
    device.rospecs[1] = add_rospec((Antenna(2, 0),))
    device.running.add(1)
    device.enter(f"{LONG}@2")
    async with running(device, {"antennas": [1]}, {"antennas": [2], "power_index": 82}, online=False) as (
        _,
        (one, two),
    ):
        await one.online()
        await two.offline()
        device.enter(f"{EPC}@1")
        await sighting(one)
        await eventually(lambda: len(one.of(Sighting)) > 2)
        assert not two.of(Sighting)


async def test_a_reader_that_lives_and_does_not_answer_is_connected_anew() -> None:
    """Its keepalives, still asked for by an earlier connection, do not keep us waiting for ever."""
    device = EmulatedLlrp()
    device.keepalive_s, device.mute = 1.0, {Kind.ADD_ROSPEC}
    timing = Timing(silence_s=60, answer_s=0.2, leave_s=0.1)
    async with alive(device) as host, watching(lanes(host.port, {}, timing=timing)[0]) as watch:
        assert "does not answer what it is asked" in await watch.offline()
        device.mute = set()
        await watch.online()


async def test_a_reader_that_makes_nothing_of_what_may_fail() -> None:
    """An ERROR_MESSAGE in place of an answer is a refusal like any other."""
    device = EmulatedLlrp()
    device.mute = {Kind.GET_READER_CONFIG}
    error = Message(Kind.ERROR_MESSAGE, 4, tlv(Param.LLRP_STATUS, b"\0\x6d\0\0")).to_bytes()
    async with TcpHost(device) as host, watching(lanes(host.port, {})[0]) as watch:
        await eventually(lambda: bool(asked(device, Kind.GET_READER_CONFIG)))
        host.send(error)
        await watch.online()
        assert watch.conditions == [Condition(True)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": "/dev/ttyUSB0"}, "is no place for an LLRP reader: write socket://host:5084"),
        ({"antennas": [1, 1]}, "each antenna is named once"),
        ({"antennas": [0]}, "greater than or equal to 1"),
        ({"antenna_power": 20, "power_index": 3}, "power is said once"),
        ({"session": 4}, "less than or equal to 3"),
    ],
)
def test_what_is_no_configuration(options: dict[str, Any], words: str) -> None:
    """It says what would be right."""
    with pytest.raises(ValidationError, match=words):
        Options(**{"port": "socket://10.0.0.9:5084", **options})


def test_a_lanes_antennas_are_its_addresses() -> None:
    """None named are all of the reader."""
    assert address(Options(port="socket://10.0.0.9:5084")) is None
    assert address(Options(port="socket://10.0.0.9:5084", antennas=(2, 1))) == ("antenna 1", "antenna 2")


def test_lanes_of_one_port_have_one_station() -> None:
    """And those of another have another."""
    ports = Ports(lambda: 0.0)
    one, two, other = (
        made(Role.READER, "llrp", f"socket://10.0.0.{host}:5084", ports, antennas=[antenna])
        for host, antenna in ((1, 1), (1, 2), (2, 1))
    )
    assert one._station is two._station
    assert one._station is not other._station
