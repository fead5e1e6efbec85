"""The drivers by name."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from pydantic import ValidationError

from drivers.contact import DRIVER as CONTACT
from drivers.emulated import emulated
from drivers.registry import Driver, Ports, Role, UnknownDriver, driver, make_input, make_output, make_reader, names

EVERY = [(role, name) for role in Role for name in names(role)]


@pytest.mark.parametrize(("role", "name"), EVERY)
def test_each_driver_is_what_it_says(role: Role, name: str) -> None:
    """It loads, its options describe themselves, it needs no more than a place, and it has an emulated device."""
    found = driver(name, role)
    assert (found.name, found.role) == (name, role)
    assert all(field.description for field in found.options.model_fields.values())
    place, wrong, words = (found.place, "COM 3", "is no port") if name != "gpio" else ("line", "GPIO 3", "is no line")
    at = {"gpio": "gpiochip0/3", "llrp": "socket://10.0.0.9:5084"}.get(name, "/dev/x")
    right: dict[str, object] = {place: at} | ({"insecure": True} if name == "osdp" else {})
    options = found.options.model_validate(right)
    assert set(found.common) <= set(found.options.model_fields)
    make = {Role.READER: make_reader, Role.OUTPUT: make_output, Role.INPUT: make_input}[role]
    make("r", name, options, Ports())
    assert found.address(options) in (None, "address 0", "channel 1", "unit 1 channel 1", "unit 1 input 1")
    if name != "gpio":  # a line of the box has no other side
        assert emulated(name).receive(b"") == b""
    with pytest.raises(ValidationError, match="Extra inputs"):
        found.options.model_validate({**right, "antena_power": 26})
    with pytest.raises(ValidationError, match=words):
        found.options.model_validate({place: wrong})


def test_names_of_each_role() -> None:
    """What the configuration may say."""
    assert {role: names(role) for role in Role} == {
        Role.READER: ("em4100", "llrp", "m100", "nfc", "osdp", "rsu", "uhf18", "wiegand"),
        Role.OUTPUT: ("gpio", "lcus", "modbus"),
        Role.INPUT: ("contact", "gpio", "modbus"),
    }


def test_an_unknown_driver_is_answered_with_the_known() -> None:
    """And so is one of another role."""
    with pytest.raises(UnknownDriver, match="no reader driver 'uhf81'; reader drivers are em4100, llrp, m100"):
        driver("uhf81", Role.READER)
    with pytest.raises(UnknownDriver, match="'lcus' drives outputs; reader drivers are"):
        driver("lcus", Role.READER)
    with pytest.raises(UnknownDriver, match="'modbus' drives outputs and inputs; reader drivers are"):
        driver("modbus", Role.READER)
    with pytest.raises(LookupError, match="there are contact"):
        emulated("uhf81")


def test_a_driver_costs_nothing_when_not_configured() -> None:
    """Neither the names nor one driver import another driver, nor pyserial."""
    code = (
        "import sys; from drivers.registry import *; [names(role) for role in Role];"
        "assert not {'drivers.em4100', 'drivers.link', 'serial'} & set(sys.modules);"
        "driver('uhf18', Role.READER);"
        "assert not {'drivers.em4100', 'drivers.lcus', 'serial'} & set(sys.modules);"
        "found = driver('gpio', Role.OUTPUT);"
        "found.make('x', found.options(line='gpiochip0/1'), Ports());"
        "assert not {'gpiod', 'serial', 'drivers.modbus'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_third_parties_have_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver of another distribution is found by name; one that is no Driver is refused."""
    points = (
        EntryPoint("theirs", "drivers.contact:DRIVER", "gated.inputs"),
        EntryPoint("broken", "drivers.contact:Options", "gated.inputs"),
    )
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [p for p in points if p.group == group])
    assert names(Role.INPUT) == ("broken", "contact", "gpio", "modbus", "theirs")
    assert driver("theirs", Role.INPUT) is CONTACT
    with pytest.raises(UnknownDriver, match="is none"):
        driver("broken", Role.INPUT)


def test_ports_are_shared_by_key() -> None:
    """One object a key, and a key of one kind."""
    ports = Ports()
    assert ports.shared("a", list, list) is ports.shared("a", list, list)
    assert ports.shared("b", list, list) is not ports.shared("a", list, list)
    with pytest.raises(TypeError):
        ports.shared("a", dict, dict)


def test_addresses_on_a_port() -> None:
    """A board of relays has them, and a bus has units with channels and inputs."""
    lcus: Driver = driver("lcus", Role.OUTPUT)
    assert lcus.address(lcus.options.model_validate({"port": "/dev/x", "channel": 8})) == "channel 8"
    relay, sensor = driver("modbus", Role.OUTPUT), driver("modbus", Role.INPUT)
    where = {"port": "/dev/x", "unit": 3}
    assert relay.address(relay.options.model_validate({**where, "channel": 2})) == "unit 3 channel 2"
    assert sensor.address(sensor.options.model_validate({**where, "input": 2})) == "unit 3 input 2"
    coils = sensor.options.model_validate({**where, "input": 2, "table": "coils"})
    assert sensor.address(coils) == "unit 3 input 2 of coils"
