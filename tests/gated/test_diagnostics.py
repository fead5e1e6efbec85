"""The support bundle: it helps, it tells nothing about persons, and it fits into a message."""

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel

from gated import diagnostics, logs
from gated.config import Config, load
from gated.diagnostics import BUNDLE_MAX_BYTES, fitted, of_config, of_state

CONFIG = """
site = "s"
gate = "g"
state = "{folder}"
timezone = "Asia/Shanghai"
[center]
broker = "mqtts://mqtt.example"
username = "north-secret-user"
password = "file:/etc/gated/where-it-stands"
[lanes.a]
kind = "person"
direction = "in"
readers = [ {{ driver = "uhf18", port = "socket://10.0.0.7:9000", antenna_power = 26, firmware_least = "5.10" }} ]
barrier = {{ driver = "lcus", port = "/dev/gate/b", channel = 2 }}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A gate with a center."""
    path = tmp_path / "gated.toml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return load(path)


class Keyed(BaseModel):
    """A driver's options, of somebody else's driver."""

    port: str = "/dev/x"
    scbk: str = "000102"
    pin: int = 4711
    keyword: int = 12
    baud: int = 9600
    invert: bool = True


def test_configuration(config: Config) -> None:
    """How devices are connected, and the broker's address; no account, and not even where its password stands."""
    text = json.dumps(of_config(config))
    lane = of_config(config)["lanes"]
    assert isinstance(lane, dict)
    reader = lane["a"]["devices"]["readers[0]"]
    assert (reader["driver"], reader["port"], reader["antenna_power"]) == ("uhf18", "socket://10.0.0.7:9000", 26)
    assert reader["firmware_least"] == "5.10"
    assert lane["a"]["devices"]["barrier"]["channel"] == 2
    assert "mqtts://mqtt.example" in text
    assert "secret" not in text
    assert "where-it-stands" not in text


def test_options_of_a_driver_that_we_do_not_know() -> None:
    """Numbers and switches, and how it is connected; nothing that may be a key."""
    assert diagnostics._options(Keyed().model_dump()) == {"port": "/dev/x", "baud": 9600, "invert": True}


def test_state() -> None:
    """Who waits at a lane, whose turn it is and who has passed is left out; how many is not."""
    card = "em:0A00A1B2C3"
    lanes = {"a": {"kind": "vehicle", "arm": "up", "turn": card, "waiting": 1, "held": [{"credential": card}] * 2}}
    hold = {"by": "li-wei", "left_s": 1}
    lanes["a"]["hold"] = hold
    state = {"version": "1", "lanes": lanes, "figures": {"passages": 3, "recent": [{"credential": card}]}}
    told = of_state(state)
    assert told["lanes"] == {"a": {"kind": "vehicle", "direction": None, "arm": "up", "waiting": 1, "held": 2}}
    assert card not in json.dumps(told)
    assert "li-wei" not in json.dumps(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("KeyError: 'em:0A00A1B2C3' is not", "KeyError: 'em:…' is not"),
        ("plate:沪A12345, then", "plate:…, then"),
        ("wiegand:26:123:45678", "wiegand:…"),
        ("mqtt://user:word@host", "mqtt://…@host"),
        ("item:5, them: 3", "item:5, them: 3"),
    ],
)
def test_scrubbed(text: str, told: str) -> None:
    """Whatever looks like a credential or an address with a password is cut, wherever it comes from."""
    assert fitted({"log": [{"why": text}]})["log"] == [{"why": told}]


def test_it_fits() -> None:
    """The oldest log lines go first, then findings, then whole parts; it says that something is cut."""
    lines = [{"event": "x", "number": number, "why": "说" * 300} for number in range(200)]
    bundle: dict[str, Any] = fitted({"versions": {"gated": "1"}, "findings": [{"said": "x"}], "log": lines})
    assert len(json.dumps(bundle, ensure_ascii=False).encode()) <= BUNDLE_MAX_BYTES * 1.01
    assert bundle["cut"]
    assert bundle["log"][-1]["number"] == 199
    assert bundle["findings"] == [{"said": "x"}]
    huge: dict[str, Any] = fitted({"versions": {"gated": "1"}, "config": "x" * 100_000, "log": lines})
    assert huge["config"] is None
    assert huge["versions"] == {"gated": "1"}
    assert fitted({"versions": {}}) == {"versions": {}}


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """What the log said last, without debug and without names."""
    try:
        log = logs.configure()
        log.debug("passage", credential="em:…")
        log.warning("command.refused", operator="li-wei", reason="lane")
    finally:
        structlog.reset_defaults()
    kept = logs.recent()[-1]
    assert (kept["event"], kept["reason"], kept["operator"]) == ("command.refused", "lane", "li-wei")
    assert diagnostics._of_log(kept) == {
        "at": kept["at"],
        "event": "command.refused",
        "level": "warning",
        "reason": "lane",
    }
    assert "passage" not in {line["event"] for line in logs.recent()}
    assert "command.refused" in capsys.readouterr().err
