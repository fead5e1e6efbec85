"""The support bundle: what somebody far away needs to know of this box, and nothing about persons.

- Versions, the configuration, devices, journal, clock, disk, list, the line to the center, the last log lines, and
  everything that `gated doctor` finds.
- Of the configuration: of a device's options only numbers and switches, and the few texts that say how it is
  connected; of `[center]` no password, and no address with one. A driver's key is a secret whatever its name is.
- No credential, nobody who waits at a lane, no operator's or guard's name. As a last measure, whatever looks like a
  credential anywhere is cut down to its kind.
- It fits into one message: what is longest and least needed, the oldest log lines, is left out first.
"""

import asyncio
import json
import platform
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from gated import __version__, logs
from gated.commands import doctor_box, doctor_center, doctor_gate
from gated.commands.finding import Finding
from gated.config import Config, DeviceConfig, LaneConfig
from gated.state import Describer
from protocol.credential import SCHEMES

BUNDLE_MAX_BYTES: Final = 56 * 1024
"""Leaves room in a message for the rest of the reply and its signature."""
_DOCTOR_S: Final = 20.0
_LIBRARIES: Final = ("aiomqtt", "cryptography", "paho-mqtt", "pydantic", "pyserial", "structlog", "tuf")
_SECRET: Final = re.compile("pass|pin|key|code|secret|token", re.IGNORECASE)
_SAFE_TEXTS: Final = frozenset({"driver", "port", "mode", "firmware_least"})
_OF_STATE: Final = ("version", "since", "up_s", "mode", "fire", "devices", "journal", "center", "list", "clock")
_OF_LANE: Final = ("kind", "direction", "arm", "waiting")
_OF_FIGURES: Final = ("passages", "admitted", "flagged", "latency_ms")
_CREDENTIAL: Final = re.compile(rf"\b({'|'.join(SCHEMES)}):[^\s\"',;)\]}}\\]+")
_USERINFO: Final = re.compile(r"//[^/@\s\"]*@")
_PERSONS: Final = frozenset({"operator", "credential", "holder", "guard"})


async def collect(config: Config, describe: Describer) -> dict[str, object]:
    """The bundle."""
    state = await describe()
    try:
        async with asyncio.timeout(_DOCTOR_S):
            found = await asyncio.to_thread(_findings, config)
    except TimeoutError:
        found = [{"about": "doctor", "grade": "note", "said": f"not done within {_DOCTOR_S:.0f} s"}]
    return fitted(
        {
            "versions": versions(),
            "state": of_state(state),
            "config": of_config(config),
            "findings": found,
            "log": [_of_log(line) for line in logs.recent()],
        }
    )


def versions() -> dict[str, str]:
    """Of everything that may matter."""
    found = {
        "gated": __version__,
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "machine": platform.machine(),
    }
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def of_state(state: Mapping[str, Any]) -> dict[str, object]:
    """What `gated status` says, without anybody in it."""
    lanes = {
        name: {**{key: lane.get(key) for key in _OF_LANE}, "held": len(lane.get("held", ()))}
        for name, lane in state.get("lanes", {}).items()
    }
    figures = {key: state.get("figures", {}).get(key) for key in _OF_FIGURES}
    return {**{key: state.get(key) for key in _OF_STATE}, "lanes": lanes, "figures": figures}


def of_config(config: Config) -> dict[str, object]:
    """The configuration, without secrets."""
    plain = {"site", "gate", "state", "timezone", "schedules", "holidays", "clock", "journal"}
    found: dict[str, object] = config.model_dump(mode="json", include=plain)
    if config.center is not None:
        found["center"] = {"broker": config.center.broker, "ca": config.center.ca and str(config.center.ca)}
    found["lanes"] = {name: _lane(lane) for name, lane in config.lanes.items()}
    found["fire"] = config.fire and _device(config.fire)
    return found


def fitted(bundle: Mapping[str, object], most_bytes: int = BUNDLE_MAX_BYTES) -> dict[str, object]:
    """The bundle, scrubbed, and cut down to fit: log lines first, the oldest of them; then findings, then the rest."""
    made: dict[str, Any] = json.loads(_scrub(json.dumps(bundle, ensure_ascii=False, default=str)))
    for key, cut in (("log", _without_first), ("findings", _without_last)):
        while made.get(key) and _size(made) > most_bytes:
            made[key] = cut(made[key])
            made["cut"] = True
    for key in ("config", "state", "versions"):
        if _size(made) > most_bytes:
            made[key] = None
            made["cut"] = True
    return made


def _findings(config: Config) -> list[dict[str, object]]:
    checks: tuple[Callable[[], Iterable[Finding]], ...] = (
        lambda: doctor_gate.examine(config),
        lambda: doctor_center.examine(config),
        lambda: doctor_box.ports(config),
        doctor_box.examine,
    )
    found: list[dict[str, object]] = []
    for check in checks:
        try:
            found += [asdict(finding) for finding in check()]
        except Exception as error:  # noqa: BLE001 - the others may still say what is wrong
            found.append({"about": "doctor", "grade": "wrong", "said": f"{type(error).__name__}: {error}"})
    return found


def _lane(lane: LaneConfig) -> dict[str, object]:
    devices = dict(lane.devices)
    roles = {"readers", "barrier", "passed", "button", "lamp", "green", "beeper"}
    found: dict[str, object] = lane.model_dump(mode="json", exclude=roles)
    found["devices"] = {key: _device(device) for key, device in devices.items()}
    return found


def _device(device: DeviceConfig) -> dict[str, object]:
    return {"driver": device.driver, **_options(device.options.model_dump(mode="json"))}


def _options(options: Mapping[str, object]) -> dict[str, object]:
    return {
        key: value
        for key, value in options.items()
        if key in _SAFE_TEXTS or (isinstance(value, bool | int | float) and not _SECRET.search(key))
    }


def _of_log(line: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in line.items() if key not in _PERSONS}


def _scrub(text: str) -> str:
    return _USERINFO.sub("//…@", _CREDENTIAL.sub(r"\1:…", text))


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _without_first(rows: list[object]) -> list[object]:
    return rows[max(1, len(rows) // 10) :]


def _without_last(rows: list[object]) -> list[object]:
    return rows[: -max(1, len(rows) // 10)]
