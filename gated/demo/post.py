"""A gate post of emulated devices: real ptys and TCP ports with real frames on them, and its configuration.

Four lanes: `walk-in` (EM4100 reader on a pty), `walk-out` (UHF reader on TCP, answer mode), `car-in` and `car-out`
(UHF readers on ptys, a sensor behind each arm), one relay board of four channels on a pty for all of them.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from drivers.emulated.contact import EmulatedContact
from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import PtyHost, TcpHost
from drivers.emulated.lcus import EmulatedLcus
from drivers.emulated.uhf18 import EmulatedUhf18

SITE: Final = "demo"
CHANNELS: Final = {"walk-in": 1, "walk-out": 2, "car-in": 3, "car-out": 4}
PULSE_S: Final = 0.2
DEVICES: Final = 4 + 4 + 2
"""Readers, contacts of the relay board, sensors: what the daemon's status counts when all are there."""
TIMEZONE: Final = "Asia/Shanghai"
WORKDAYS: Final = {"workdays": "Mon-Fri 06:00-22:00"}


class EmulatedPost:
    """The devices. Enter it, then `write_config`, then start a daemon on that."""

    def __init__(self, folder: Path, gate: str = "north") -> None:
        self.folder = folder
        self.gate = gate
        self.relay = EmulatedLcus()
        self.em4100 = EmulatedEm4100()
        self.walk_out = EmulatedUhf18()
        self.cars = {"car-in": EmulatedUhf18(), "car-out": EmulatedUhf18()}
        self.sensors = {"car-in": EmulatedContact(), "car-out": EmulatedContact()}
        self.relay_host = PtyHost(self.relay, folder / "relay")
        self.em4100_host = PtyHost(self.em4100, folder / "walk-in")
        self.walk_out_host = TcpHost(self.walk_out)
        self.car_hosts = {name: PtyHost(device, folder / name) for name, device in self.cars.items()}
        self.sensor_hosts = {name: PtyHost(device, folder / f"{name}-sensor") for name, device in self.sensors.items()}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        hosts: list[PtyHost | TcpHost] = [self.relay_host, self.em4100_host, self.walk_out_host]
        for host in (*hosts, *self.car_hosts.values(), *self.sensor_hosts.values()):
            await self._stack.enter_async_context(host)
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
    def readers(self) -> dict[str, PtyHost | TcpHost]:
        """The readers' lines, by lane."""
        return {"walk-in": self.em4100_host, "walk-out": self.walk_out_host, **self.car_hosts}

    def passed(self, lane: str) -> None:
        """Let a vehicle roll over the sensor behind this lane's arm."""
        host, sensor = self.sensor_hosts[lane], self.sensors[lane]
        host.send(sensor.level(True) + sensor.level(False))

    def write_config(self, schedules: Mapping[str, str] = WORKDAYS) -> Path:
        """Write the configuration of this post, with these hours by name; its path."""
        self.state.mkdir(exist_ok=True)
        lanes = [
            self._lane(name, f'driver = "{"em4100" if name == "walk-in" else "uhf18"}", port = "{host.port}"')
            for name, host in self.readers.items()
        ]
        head = f'site = "{SITE}"\ngate = "{self.gate}"\nstate = "{self.state}"\ntimezone = "{TIMEZONE}"\n'
        hours = "[schedules]\n" + "".join(f'{name} = ["{line}"]\n' for name, line in schedules.items())
        self.config.write_text("\n".join([head, hours, *lanes]))
        return self.config

    def _lane(self, name: str, reader: str) -> str:
        relay = f'driver = "lcus", port = "{self.relay_host.port}", channel = {CHANNELS[name]}, pulse = {PULSE_S}'
        kind, direction = ("vehicle" if name in self.cars else "person"), name.rpartition("-")[2]
        lines = [
            f"[lanes.{name}]",
            f'kind = "{kind}"',
            f'direction = "{direction}"',
            f"readers = [ {{ {reader} }} ]",
            f"barrier = {{ {relay} }}",
        ]
        if name in self.cars:
            lines.append(f'passed = {{ driver = "contact", port = "{self.sensor_hosts[name].port}" }}')
            lines.append("timeout = 5.0")
        return "\n".join(lines) + "\n"
