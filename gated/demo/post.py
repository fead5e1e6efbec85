"""A gate post of emulated devices: real ptys and TCP ports with real frames on them, and its configuration.

Four lanes: `walk-in` (EM4100 reader on a pty), `walk-out` (UHF reader on TCP, answer mode), `car-in` and `car-out`
(UHF readers on ptys, a sensor behind each arm), one relay board of four channels on a pty for all of them. Other
families of readers may stand in their place (`gated.demo.families`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from drivers.emulated.contact import EmulatedContact
from drivers.emulated.host import PtyHost
from drivers.emulated.lcus import EmulatedLcus
from gated.demo import families
from gated.demo.day import CAR_LANES, Form
from gated.demo.families import EmulatedReader

SITE: Final = "demo"
CHANNELS: Final = {"walk-in": 1, "walk-out": 2, "car-in": 3, "car-out": 4}
PULSE_S: Final = 0.2
TIMEZONE: Final = "Asia/Shanghai"
WORKDAYS: Final = {"workdays": "Mon-Fri 06:00-22:00"}


class EmulatedPost:
    """The devices. Enter it, then `write_config`, then start a daemon on that.

    `readers` are those of all lanes, by name; `mix` are the families to be among them.
    """

    def __init__(self, folder: Path, gate: str = "north", mix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.gate = gate
        self.relay = EmulatedLcus()
        self.readers = {reader.name: reader for reader in families.readers(folder, mix)}
        self.sensors = {lane: EmulatedContact() for lane in CAR_LANES}
        self.relay_host = PtyHost(self.relay, folder / "relay")
        self.sensor_hosts = {name: PtyHost(device, folder / f"{name}-sensor") for name, device in self.sensors.items()}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        readers = self.readers.values()
        for host in (self.relay_host, *(reader.host for reader in readers), *self.sensor_hosts.values()):
            await self._stack.enter_async_context(host)
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        for reader in readers:
            self._stack.callback(group.create_task(reader.run(), name=reader.name).cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def config(self) -> Path:
        """Where the configuration lies."""
        return self.folder / "gated.toml"

    @property
    def state(self) -> Path:
        """The daemon's state folder."""
        return self.folder / "state"

    @property
    def count(self) -> int:
        """How many devices the daemon has when all are there: readers, contacts of the relay board, sensors."""
        return len(self.readers) + len(CHANNELS) + len(self.sensors)

    @property
    def forms(self) -> dict[str, list[Form]]:
        """What each lane reads."""
        return {lane: [reader.family.form for reader in self.at(lane)] for lane in CHANNELS}

    @property
    def mix(self) -> str:
        """Which families are at which lane, in words."""
        return ", ".join(f"{lane} {'+'.join(reader.family.name for reader in self.at(lane))}" for lane in CHANNELS)

    def at(self, lane: str) -> list[EmulatedReader]:
        """The readers of this lane."""
        return [reader for reader in self.readers.values() if reader.lane == lane]

    def passed(self, lane: str) -> None:
        """Let a vehicle roll over the sensor behind this lane's arm."""
        host, sensor = self.sensor_hosts[lane], self.sensors[lane]
        host.send(sensor.level(True) + sensor.level(False))

    def write_config(self, schedules: Mapping[str, str] = WORKDAYS) -> Path:
        """Write the configuration of this post, with these hours by name; its path."""
        self.state.mkdir(exist_ok=True)
        lanes = [self._lane(name, ", ".join(reader.config for reader in self.at(name))) for name in CHANNELS]
        head = f'site = "{SITE}"\ngate = "{self.gate}"\nstate = "{self.state}"\ntimezone = "{TIMEZONE}"\n'
        hours = "[schedules]\n" + "".join(f'{name} = ["{line}"]\n' for name, line in schedules.items())
        self.config.write_text("\n".join([head, hours, *lanes]))
        return self.config

    def _lane(self, name: str, readers: str) -> str:
        relay = f'driver = "lcus", port = "{self.relay_host.port}", channel = {CHANNELS[name]}, pulse = {PULSE_S}'
        kind, direction = ("vehicle" if name in CAR_LANES else "person"), name.rpartition("-")[2]
        lines = [
            f"[lanes.{name}]",
            f'kind = "{kind}"',
            f'direction = "{direction}"',
            f"readers = [ {readers} ]",
            f"barrier = {{ {relay} }}",
        ]
        if name in CAR_LANES:
            lines.append(f'passed = {{ driver = "contact", port = "{self.sensor_hosts[name].port}" }}')
            lines.append("timeout = 5.0")
        return "\n".join(lines) + "\n"
