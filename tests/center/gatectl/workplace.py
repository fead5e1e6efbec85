"""A site's folder for tests of its commands: made by `gatectl site init`, its signers gone home with their keys."""

import json
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from center.gatectl.__main__ import main
from center.publish import bundle as bundles
from center.publish.opened import changing, first_keyring, repository
from center.publish.proposal import Changes
from center.site import keys
from center.site.folder import Site

PASSPHRASE: Final = "correct horse"  # noqa: S105 - of keys that live as long as a test


class Workplace:
    """A site in `folder / "site"`; each signer's key in a folder of its own, as on a machine of their own."""

    def __init__(
        self, folder: Path, *, signers: int = 3, broker: str = "mqtt://127.0.0.1", name: str = "shenhang"
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.passphrases = folder / "passphrase"
        self.passphrases.write_text(PASSPHRASE + "\n")
        words = ["site", "init", str(folder / "site"), "--name", name, "--signers", str(signers)]
        assert main([*words, "--broker", broker, "--passphrase-file", str(self.passphrases)]) == 0
        self.site = Site.open(folder / "site")
        self.signers = [self._carried("signers", number) for number in range(1, signers + 1)]
        self.registrars = [self._carried("registrars", number) for number in range(1, 4)]

    def put_in_force(self, lines: Iterable[str], *, now: datetime | None = None, **more: Any) -> None:
        """A list in force, without the commands."""
        moment = now or datetime.now(UTC)
        with changing(self.site):
            held = repository(self.site)
            keyring = None if held.keyring else first_keyring(self.site)
            bundle = held.propose(Changes(lines=list(lines), keyring=keyring, **more), moment)
            for file in self.signers[: self.site.facts.threshold]:
                bundle = bundles.sign(bundle, keys.read(file, PASSPHRASE))
            held.accept(bundle, moment)

    def run(self, *words: object) -> int:
        """A command at the center."""
        return main(["-s", str(self.site.folder), *map(str, words)])

    def sign(self, bundle: Path, signer: int, *words: object) -> int:
        """A command on that signer's own machine: nothing but the key and the bundle is there."""
        home = self.signers[signer - 1].parent
        there = home / bundle.name
        shutil.copy(bundle, there)
        code = main(
            [
                *("-s", str(home / "no-site"), "sign", str(there), "--key", str(self.signers[signer - 1])),
                *("--passphrase-file", str(self.passphrases), *map(str, words)),
            ]
        )
        shutil.copy(there, bundle)
        return code

    @property
    def list_in_force(self) -> list[dict[str, Any]]:
        """The lines in force."""
        found = repository(self.site).whitelist
        return [json.loads(line) for line in found.lines()] if found else []

    def _carried(self, role: str, number: int) -> Path:
        home = self.folder / f"home-{role}-{number}"
        home.mkdir()
        source = self.site.folder / role / f"{number}.pem"
        source.rename(home / source.name)
        return home / source.name
