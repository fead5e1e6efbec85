"""Configurations with buses and lines: what may share a place, and what must agree on it."""

from pathlib import Path

import pytest

from gated.config import ConfigError, load, warnings
from gated.config_problem import Problem

HEAD = 'site = "s"\ngate = "g"\n'


def lane(name: str, more: str) -> str:
    """A lane with these devices besides its reader."""
    reader = f'readers = [ {{ driver = "em4100", port = "/dev/r-{name}" }} ]'
    return f'[lanes.{name}]\nkind = "person"\ndirection = "in"\n{reader}\n{more}\n'


def complaints(folder: Path, *more: str) -> tuple[Problem, ...]:
    """What is wrong with lanes that have these devices, and what would be right."""
    file = folder / "gate.toml"
    file.write_text(HEAD + f'state = "{folder}"\n' + "".join(lane(f"l{n}", text) for n, text in enumerate(more)))
    try:
        load(file)
    except ConfigError as error:
        return error.problems
    return ()


def problems(folder: Path, *more: str) -> list[str]:
    """What is wrong, without what would be right."""
    return [f"{problem.key}: {problem.found}" for problem in complaints(folder, *more)]


def modbus(key: str, options: str) -> str:
    """A device on the bus."""
    return f'{key} = {{ driver = "modbus", port = "/dev/bus", {options} }}'


def test_one_port_serves_units_channels_and_inputs(tmp_path: Path) -> None:
    """Relay 1 and input 1 of one unit, and the same of another."""
    both = [modbus("barrier", f"unit = {n}, channel = 1") + "\n" + modbus("passed", f"unit = {n}") for n in (1, 2)]
    assert problems(tmp_path, *both) == []


def test_one_address_is_one_device(tmp_path: Path) -> None:
    """Twice the same relay is an error, with both places."""
    found = problems(tmp_path, modbus("barrier", "channel = 2"), modbus("barrier", "channel = 2, pulse = 1"))
    assert found == ['lanes.l1.barrier: unit 1 channel 2 of "/dev/bus" is already used by lanes.l0.barrier']


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("baud", "19200", "is 9600, but 19200"),
        ("framing", '"tcp"', 'is "auto", but "tcp"'),
        ("answer", "0.5", "is 0.25, but 0.5"),
    ],
)
def test_a_port_has_one_speed(tmp_path: Path, key: str, value: str, said: str) -> None:
    """What belongs to the port is the same for all on it, relays and inputs."""
    found = problems(tmp_path, modbus("barrier", f"{key} = {value}"), modbus("passed", "input = 2"))
    assert found == [f"lanes.l1.passed.{key}: {said} at lanes.l0.barrier"]


def test_a_chip_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    """As a port is; of a label nothing can be said without asking the kernel."""
    assert complaints(tmp_path, 'barrier = { driver = "gpio", line = "gpiochip99/17" }') == ()
    told = [text for text in warnings(load(tmp_path / "gate.toml")) if "barrier" in text]
    assert told == ['lanes.l0.barrier.line: "gpiochip99/17" is not there; plug the device in or correct the line']
    assert complaints(tmp_path, 'barrier = { driver = "gpio", line = "GPIO17" }') == ()
    assert not [text for text in warnings(load(tmp_path / "gate.toml")) if "barrier" in text]


def test_a_timed_relay_has_its_reach(tmp_path: Path) -> None:
    """The board has no place for more of them."""
    (found,) = complaints(tmp_path, modbus("barrier", "channel = 257, flash = 1.0"))
    assert "flash reaches channels 1 to 256" in found.right
    assert problems(tmp_path, modbus("barrier", "channel = 256, flash = 1.0")) == []


def test_one_line_is_one_device(tmp_path: Path) -> None:
    """A GPIO line cannot be a relay and a button."""
    one = 'barrier = { driver = "gpio", line = "gpiochip0/17" }'
    two = 'button = { driver = "gpio", line = "gpiochip0/17" }'
    assert problems(tmp_path, one, two) == ['lanes.l1.button.line: "gpiochip0/17" is already used by lanes.l0.barrier']
    assert problems(tmp_path, one, two.replace("17", "27")) == []


@pytest.mark.parametrize("line", ["17", "gpiochip0", "gpiochip0/x", "a b", ""])
def test_what_is_no_line(tmp_path: Path, line: str) -> None:
    """Said with what would be right."""
    found = problems(tmp_path, f'barrier = {{ driver = "gpio", line = "{line}" }}')
    assert len(found) == 1
    assert found[0].startswith("lanes.l0.barrier.line")


def osdp(folder: Path, *options: str) -> tuple[Problem, ...]:
    """What is wrong with a lane of OSDP readers on one line."""
    file = folder / "gate.toml"
    readers = ", ".join(f'{{ driver = "osdp", port = "/dev/line", {own} }}' for own in options)
    text = HEAD + f'state = "{folder}"\n' + lane("l0", "").replace(" ]\n", f", {readers} ]\n")
    file.write_text(text)
    try:
        load(file, check_files=True)
    except ConfigError as error:
        return error.problems
    return ()


def test_an_osdp_reader_has_a_key_or_says_that_it_has_none(tmp_path: Path) -> None:
    """Neither is refused, both is refused, and without a key is a warning for ever."""
    (tmp_path / "k").write_text("0f" * 16)
    (none,) = osdp(tmp_path, "address = 1")
    assert 'key = "file:/…" or "credential:NAME"; or insecure = true' in none.right
    (both,) = osdp(tmp_path, f'key = "file:{tmp_path}/k", insecure = true')
    assert "one or the other" in both.right
    assert osdp(tmp_path, f'key = "file:{tmp_path}/k"', 'address = 1, key = "credential:osdp"') == ()
    assert not [text for text in warnings(load(tmp_path / "gate.toml")) if "insecure" in text]
    assert osdp(tmp_path, "insecure = true") == ()
    (told,) = [text for text in warnings(load(tmp_path / "gate.toml")) if "insecure" in text]
    assert told.startswith("lanes.l0.readers[1]: insecure = true: whoever reaches the reader's two wires")


def test_where_an_osdp_key_stands(tmp_path: Path) -> None:
    """A key that is written there itself is not repeated; a file that is not there is said by `gated check`."""
    (itself,) = osdp(tmp_path, 'key = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"')
    assert itself.key == "lanes.l0.readers[1].key"
    assert "0f1e2d3c" not in itself.found + itself.right
    (missing,) = osdp(tmp_path, f'key = "file:{tmp_path}/none"')
    assert missing.found == f"{tmp_path}/none cannot be read: No such file or directory"


def test_osdp_readers_share_a_line(tmp_path: Path) -> None:
    """Each has its own address; the speed is the line's."""
    own = "insecure = true, address ="
    assert osdp(tmp_path, f"{own} 1", f"{own} 2") == ()
    assert ["already used" in one.found for one in osdp(tmp_path, f"{own} 1", f"{own} 1")] == [True]
    assert [one.key for one in osdp(tmp_path, f"{own} 1", f"{own} 2, baud = 115200")] == ["lanes.l0.readers[2].baud"]


@pytest.mark.parametrize(
    ("antennas", "said"),
    [
        (("antennas = [1, 2]", "antennas = [3]"), []),
        (("antennas = [1, 2]", "antennas = [3, 2]"), ["lanes.l1.readers[1]: antenna 2 of", "each address"]),
        (("antennas = [1]", ""), ["lanes.l1.readers[1].port:", "which part of it is its own"]),
        (("", ""), ["lanes.l1.readers[1].port:", "takes one device"]),
    ],
)
def test_lanes_share_a_reader_by_its_antennas(tmp_path: Path, antennas: tuple[str, str], said: list[str]) -> None:
    """Each antenna is one lane's; one that names none has them all."""
    file = tmp_path / "gate.toml"
    text = HEAD + f'state = "{tmp_path}"\n'
    for n, own in enumerate(antennas):
        llrp = f'{{ driver = "llrp", port = "socket://10.0.0.9:5084", {own or "session = 0"} }}'
        text += lane(f"l{n}", "").replace(" ]\n", f", {llrp} ]\n")
    file.write_text(text)
    try:
        load(file)
        found = []
    except ConfigError as error:
        found = [f"{problem.key}: {problem.found} {problem.right}" for problem in error.problems]
    assert len(found) == bool(said)
    assert all(words in found[0] for words in said)
