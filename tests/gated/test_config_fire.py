"""The fire input's table: whatever would turn it round, or hide a broken wire, is refused."""

import json
from pathlib import Path

import pytest

from gated.config import ConfigError, load, warnings
from gated.config_problem import Problem

LANES = """\
site = "shenhang"
gate = "north"
timezone = "Asia/Shanghai"
state = "{state}"

[lanes.walk-in]
kind = "person"
direction = "in"
readers = [ {{ driver = "em4100", port = "/dev/gate/reader" }} ]
barrier = {{ driver = "modbus", port = "socket://10.0.0.9:502", channel = 1 }}
"""


def written(folder: Path, more: str) -> Path:
    """A configuration that ends so."""
    path = folder / "gated.toml"
    path.write_text(LANES.format(state=folder / "state") + more)
    return path


def fire(**options: object) -> str:
    """A fire table."""
    return "\n[fire]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())


def problem(folder: Path, more: str) -> Problem:
    """The one thing that is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        load(written(folder, more))
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"driver": "contact", "port": "/dev/gate/fire"},
        {"driver": "modbus", "port": "socket://10.0.0.9:502", "input": 8},
        {"driver": "modbus", "port": "socket://10.0.0.9:502", "input": 8, "active": "closed"},
        {"driver": "gpio", "line": "gpiochip0/17"},
        {"driver": "gpio", "line": "gpiochip0/17", "active": "high", "pull": "down"},
        {"driver": "gpio", "line": "gpiochip0/17", "active": "high", "pull": "none"},
    ],
)
def test_right(options: dict[str, object], tmp_path: Path) -> None:
    """A closed contact is the all-clear with every driver; the barriers' board may have it, too."""
    config = load(written(tmp_path, fire(**options)))
    assert config.fire is not None
    assert config.devices[-1] == ("fire", config.fire)


@pytest.mark.parametrize(
    ("options", "key", "right"),
    [
        ({"driver": "contact", "port": "/dev/f", "normally_closed": True}, "fire.normally_closed", "take it out"),
        ({"driver": "modbus", "port": "/dev/f", "active": "open"}, "fire.active", "take it out"),
        ({"driver": "gpio", "line": "gpiochip0/17", "active": "high"}, "fire.active", "the other way"),
        ({"driver": "gpio", "line": "gpiochip0/17", "pull": "down"}, "fire.active", "the other way"),
        ({"driver": "gpio"}, "fire.line", "which line"),
        ({"driver": "em4100", "port": "/dev/f"}, "fire.driver", "known drivers"),
        ({"port": "/dev/f"}, "fire.driver", "contact"),
        ({"driver": "contact", "port": "/dev/f", "debounce": "1"}, "fire.debounce", "known keys"),
        ({"driver": "contact", "port": "socket://10.0.0.9:502"}, "fire.port", "one driver"),
        ({"driver": ["contact"], "port": "/dev/f"}, "fire.driver", "known drivers"),
    ],
)
def test_wrong(options: dict[str, object], key: str, right: str, tmp_path: Path) -> None:
    """Told with its key, and what would be right."""
    found = problem(tmp_path, fire(**options))
    assert (found.key, right in found.right) == (key, True), found


def test_one_input_takes_one_contact(tmp_path: Path) -> None:
    """What is a lane's button is no fire contact."""
    button = 'button = { driver = "modbus", port = "socket://10.0.0.9:502", input = 8 }\n'
    found = problem(tmp_path, button + fire(driver="modbus", port="socket://10.0.0.9:502", input=8))
    assert "input 8" in found.found


def test_no_table(tmp_path: Path) -> None:
    """Something else than a table is told as any other."""
    path = written(tmp_path, "")
    path.write_text('fire = "yes"\n' + path.read_text())
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [found.key for found in caught.value.problems] == ["fire"]


def test_warnings(tmp_path: Path) -> None:
    """A module that is not there, and a button at the way in."""
    button = 'button = { driver = "contact", port = "socket://10.0.0.8:1" }\n'
    found = warnings(load(written(tmp_path, button + fire(driver="contact", port="/dev/gate/fire"))))
    assert any(said.startswith('fire.port: "/dev/gate/fire" is not there') for said in found)
    assert any(said.startswith("lanes.walk-in.button: it opens the way in") for said in found)
