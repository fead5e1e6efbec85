"""A community as it is set up: its site made by `gatectl site init`, all of it over TLS with passwords and rules."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from center.gatectl.registry import StoreRegistry
from center.records.store import Store
from center.site import gates
from gated.talking import enrol
from protocol.enrolment import unseal
from tests.broker import Mosquitto, free_port
from tests.center.gatectl.workplace import Workplace
from tests.community import SITE, Community
from tests.gatepost import Gatepost


class SecuredCommunity(Community):
    """Its broker has the site's own configuration, certificate, rules and passwords; every gate has an account.

    `place` is the site's folder, with commands on it. Gates are added as `gatectl gate add` adds them.
    """

    def __init__(self, folder: Path, names: tuple[str, ...] = ("north",)) -> None:
        self.place = Workplace(folder / "place", signers=1, broker=f"mqtts://127.0.0.1:{free_port()}", name=SITE)
        self.site = self.place.site
        super().__init__(folder, names, self.site.database)
        self.broker = Mosquitto(folder / "secured", made=self.site.folder / "broker" / "mosquitto.conf")

    async def __aenter__(self) -> Self:
        (self.folder / "center").mkdir(parents=True)
        await self._stack.enter_async_context(self.broker)
        for name in self._names:
            await self.add(name)
        return self

    @property
    def config(self) -> Path:
        """The center's configuration, as `site init` made it."""
        return self.site.folder / "center.toml"

    def enrol(self, name: str, post: Gatepost) -> None:
        """Let the gate in, give its box the file, and the broker its new rules."""
        with closing(Store.open(self.database, SITE)) as store:
            put: Any = gates.replace if name in self.site.accounts.of("gate") else gates.add
            issued = put(self.site, name, StoreRegistry(store), datetime.now(UTC))
        enrol.install(post.state, unseal(issued.file.read_bytes(), issued.passphrase))
        self.broker.reload()

    def _with_center(self, text: str, name: str, state: Path) -> str:
        head, _, lanes = text.partition("[schedules]")
        files = f'password = "file:{state / "center" / "password"}"\nca = "{state / "center" / "ca.pem"}"\n'
        center = f'[center]\nbroker = "{self.broker.url}"\nusername = "{name}"\n{files}'
        return f"{head.replace('north', name)}{center}\n[schedules]{lanes}"
