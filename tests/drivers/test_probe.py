"""How devices are found: what may be sent to a port that nobody knows, and what each family is recognised by."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.emulated import emulated
from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.llrp import EmulatedLlrp
from drivers.emulated.m100 import EmulatedM100
from drivers.emulated.modbus import EmulatedModbus
from drivers.emulated.osdp import EmulatedOsdp, EmulatedOsdpLine
from drivers.emulated.rsu import EmulatedRsu
from drivers.emulated.uhf18 import EmulatedUhf18
from drivers.probe import Found, Probe
from drivers.registry import Driver, Role, driver, names
from protocol.lcus import LcusCodec, Switch, channels
from protocol.m100 import Cmd, M100Codec
from protocol.modbus import READS, RtuCodec, TcpCodec
from protocol.rsu import RsuCodec
from protocol.rsu_tables import BEIJING, GANTRY, PARKING, Tables
from protocol.uhf18 import Cmd as Uhf18Cmd
from protocol.uhf18 import CommandCodec
from protocol.wiegand import Card, Format
from protocol.wiegand_serial import Framing, line_of, line_of_bits

CARD = Card(Format.H10301, 123, 45678)
DRIVERS = [driver(name, role) for role in Role for name in names(role)]
PROBES = [(known, probe) for known in DRIVERS for probe in known.probes]
UNITS = (
    "010100000001fdca", "020100000001fdf9", "030100000001fc28", "040100000001fd9f",
    "010200000001b9ca", "020200000001b9f9", "030200000001b828", "040200000001b99f",
    "000000000006010100000001", "000000000006020100000001", "000000000006030100000001", "000000000006040100000001",
    "000000000006010200000001", "000000000006020200000001", "000000000006030200000001", "000000000006040200000001",
)  # fmt: skip
ALLOWED = {
    "contact": {"3f"},
    "lcus": {"ff"},
    "llrp": {"04010000000b0000000000", "040e0000000a00000000"},  # what it can do; close this connection
    "m100": {"bb0003000100047e", "bb0003000101057e", "bb0003000102067e"},
    "modbus": set(UNITS),
    "osdp": {"53000900046100c066", "530109000461006023", "5302090004610080ed", "5303090004610020a8"},  # who it is
    "uhf18": {"04ff211995"},
}
"""Every byte that may ever go to a port that nobody has configured. Whoever adds to it must have read what it does."""


def of(name: str, number: int = 0, role: Role = Role.READER) -> Probe:
    """One of a driver's probes."""
    return driver(name, role).probes[number]


def found(probe: Probe, heard: Sequence[bytes]) -> Found:
    """The one device that is recognised; its options are what its driver takes."""
    (one,) = probe.recognise(heard)
    return one


@pytest.mark.parametrize("known", DRIVERS, ids=lambda known: f"{known.name}-{known.role}")
def test_what_may_be_sent(known: Driver) -> None:
    """Nothing but the bytes of the list: none sets, writes, begins or charges anything."""
    assert {ask.hex() for probe in known.probes for ask in probe.asks} <= ALLOWED.get(known.name, set())


def test_a_roadside_unit_is_never_spoken_to() -> None:
    """An answer of ours would begin a dialogue: not even one byte goes to a port because of it."""
    assert of("rsu").asks == ()
    assert not any(RsuCodec().feed(ask) for _, probe in PROBES for ask in probe.asks)


def test_no_question_acts_on_another_family() -> None:
    """All questions in a row, at every family's side: nobody is told to do anything."""
    said = b"".join(ask for _, probe in PROBES for ask in probe.asks)
    assert not [one for one in LcusCodec().feed(said) if isinstance(one, Switch)]
    assert {one.function for codec in (RtuCodec, TcpCodec) for one in codec(requests=True).feed(said)} <= READS
    uhf18, m100 = CommandCodec(), M100Codec()
    assert {one.command for one in uhf18.feed(said) + uhf18.gap()} <= {Uhf18Cmd.INFO}
    assert {one.command for one in m100.feed(said) + m100.gap()} == {Cmd.INFO}


@pytest.mark.parametrize(
    "other", ["contact", "em4100", "lcus", "llrp", "m100", "modbus", "osdp", "rsu", "uhf18", "wiegand"]
)
def test_nobody_is_taken_for_another(other: str) -> None:
    """What one family answers to all questions is recognised by none but itself."""
    for known, probe in PROBES:
        device = emulated(other)
        heard = [device.receive(ask) for ask in probe.asks]
        assert known.name == other or not probe.recognise(heard), known.name


@given(data=st.lists(st.binary(max_size=300), max_size=9))
def test_any_bytes_are_looked_at(data: list[bytes]) -> None:
    """No probe raises on what comes, in whatever pieces, and none finds something in a port that says nothing."""
    for _, probe in PROBES:
        probe.recognise(data)
        assert not probe.recognise([b""] * len(data))


def test_uhf18() -> None:
    """Type, firmware and power; an address that is not 0 and a mode that is not asked are to be written."""
    probe = of("uhf18")
    assert found(probe, [EmulatedUhf18().receive(probe.asks[0])]) == Found(
        "UHFReader18, type 86", "5.2", {}, "set to 26 dBm in the us band"
    )
    device = EmulatedUhf18(address=7, mode="active")
    heard = device.receive(probe.asks[0]) + device.push("E20000172211010118905449")
    assert found(probe, [heard]).options == {"mode": "active", "address": 7}
    assert found(probe, [device.push("E20000172211010118905449")]).options == {"mode": "active", "address": 7}


def test_m100() -> None:
    """Hardware and firmware, from one that slept too; one that polls is known by its rounds."""
    probe, device = of("m100"), EmulatedM100()
    device.asleep = True
    assert found(probe, [device.receive(ask) for ask in probe.asks]) == Found("M100 26dBm V1.0", "V2.3.5")
    assert found(probe, [device.notice("E200001D7315016521408FC6")]) == Found()


@pytest.mark.parametrize(
    ("answer", "contacts"),
    [
        (b"\0", 1),
        (b"\0\1", 2),
        (b"CH1: OFF\r\nCH2: ON\r\n", 2),
        (b"CH1:OFF \r\nCH2:OFF \r\nCH3:OFF \r\nCH4:ON \r\n", 4),
        (b"\0\2", 0),
        (b"CH2:ON\r\n", 0),
        (b"CH1:MAYBE\r\n", 0),
        (bytes(9), 0),
        (b"", 0),
    ],
)
def test_lcus(answer: bytes, contacts: int) -> None:
    """Boards of bytes and boards of text; only an answer that comes twice the same is one."""
    probe = of("lcus", role=Role.OUTPUT)
    assert channels(answer) == contacts
    assert bool(probe.recognise([answer, answer])) is bool(contacts)
    assert not probe.recognise([answer])
    assert not probe.recognise([answer, answer + b"\0"])


def test_modbus() -> None:
    """Each unit that answers, with its framing where that is not the usual one; which refuses its relays is said."""
    device = EmulatedModbus(units=(1, 3))
    on_line, over_tcp, behind_server = driver("modbus", Role.OUTPUT).probes
    rtu = [device.receive(ask) for ask in on_line.asks]
    assert [one.options for one in on_line.recognise(rtu)] == [{"unit": 1}, {"unit": 3}]
    noisy = [b"\x01\x03\xff" + answer for answer in rtu]
    assert [one.options for one in on_line.recognise(noisy)] == [{"unit": 1}, {"unit": 3}], "a false head holds up none"
    assert [one.options["framing"] for one in behind_server.recognise(rtu)] == ["rtu", "rtu"]
    assert not over_tcp.recognise(rtu)
    device = EmulatedModbus()
    assert found(over_tcp, [device.receive(ask) for ask in over_tcp.asks]).options == {"unit": 1}
    device = EmulatedModbus()
    device.refuses = dict.fromkeys(READS, 1)
    assert found(on_line, [device.receive(ask) for ask in on_line.asks]).options == {"unit": 1, "check": False}
    inputs = driver("modbus", Role.INPUT).probes[0]
    assert not inputs.recognise([device.receive(ask) for ask in inputs.asks])


def test_osdp() -> None:
    """Who says who it is, with its address where that is not the usual one, and where its key would stand."""
    probe = of("osdp")
    line = EmulatedOsdpLine(EmulatedOsdp(0), EmulatedOsdp(3, bytes(16)))
    first, second = probe.recognise([line.receive(ask) for ask in probe.asks])
    assert first.options == {"key": "file:/etc/gated/osdp.key"}
    assert second.options == {"key": "file:/etc/gated/osdp.key", "address": 3}
    assert (first.model, first.firmware) == ("vendor BEBAFE, model 1, serial number 3735928495", "173.222.173")


def test_llrp() -> None:
    """Its greeting is enough; one that has a client already says so; nothing else is a reader."""
    probe, device = of("llrp"), EmulatedLlrp()
    greeting, _ = device.connected()
    told = [greeting, *(device.receive(ask) for ask in probe.asks)]
    assert "antennas 1 to 4" in found(probe, told).remark
    assert found(probe, [greeting]) == Found("LLRP reader")
    busy, _ = device.connected()
    assert "another client is connected" in found(probe, [busy]).remark
    assert not probe.recognise(told[1:])


@pytest.mark.parametrize(("region", "profile"), [(PARKING, "parking"), (GANTRY, "gantry"), (BEIJING, None)])
def test_rsu(region: Tables, profile: str | None) -> None:
    """Known by its heartbeat, with the profile where its framing tells it."""
    device = EmulatedRsu(region)
    one = found(of("rsu"), [device.heartbeat()])
    assert one.options.get("profile") == profile
    assert one.remark or profile


def test_em4100() -> None:
    """A tag that is held to it, whatever stands around its frame."""
    frame = EmulatedEm4100().frame("0A00A1B2C3")
    assert found(of("em4100"), [b"\0\x02", frame, frame]).remark == "read em:0A00A1B2C3"


@pytest.mark.parametrize("framing", list(Framing))
def test_wiegand(framing: Framing) -> None:
    """Each framing by the line of a read; how many bits is a guess where the converter does not tell, and said."""
    one = found(of("wiegand"), [line_of(framing, CARD)])
    silent = framing in (Framing.DECIMAL, Framing.PROMAG)
    wanted = {} if framing is Framing.BITS else {"framing": str(framing)} | ({"bits": 26} if silent else {})
    assert one.options == wanted
    assert one.remark.startswith("read wiegand:26:123:45678")
    assert ("guess" in one.remark) is silent
    driver("wiegand", Role.READER).options(port="/dev/null", **one.options)


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (Card(Format.H10302, 0, 1234567).to_bits, 'or "H10304"'),
        (lambda: CARD.to_bits().translate({48: 49, 49: 48}), "swapped"),
    ],
)
def test_wiegand_that_needs_a_word(bits: Callable[[], str], said: str) -> None:
    """Cards of 37 bits, whose format nothing tells, and swapped wires."""
    assert said in found(of("wiegand"), [line_of_bits(bits())]).remark
