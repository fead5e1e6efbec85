"""The center's desk: the commands that a person gives there, each run as a process of its own, as a person would.

Raises Failure with the command's own words where one does not do what it is asked.
"""

import asyncio
import json
import secrets
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gated.commands.output import Failure
from gated.demo.broker import HOST
from gated.demo.post import SITE, EmulatedPost

GATECTL: Final = "center.gatectl"
CENTER: Final = "center"
_PROGRAMS: Final = {GATECTL: "gatectl", CENTER: "gated-center", "gated": "gated"}
_ANSWERS: Final = ("take=card,epc", "cards=em-hex10", "epc=epc")
"""What an office knows of its own list, and a program cannot."""
_BROKER: Final = f"mqtt://{HOST}"


class Desk:
    """One site, in a folder of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self._passphrase = folder / "passphrase"
        self.suspended = 0
        """How many cards have been suspended."""
        self._table = folder / "residents.csv"
        self._bundle = folder / "list.bundle"

    @property
    def config(self) -> Path:
        """The center's configuration."""
        return self.site / "center.toml"

    @property
    def password(self) -> str:
        """The center's own at the broker."""
        return (self.site / "online" / "password").read_text().strip()

    async def init(self, port: int) -> list[str]:
        """Make the site, with a broker at that port; the center's public keys, hex."""
        self._passphrase.touch(0o600)
        self._passphrase.write_text(secrets.token_urlsafe(12) + "\n")
        words = ("--name", SITE, "--broker", f"{_BROKER}:{port}", "--passphrase-file", str(self._passphrase), "--json")
        said = json.loads(await run(GATECTL, "site", "init", str(self.site), *words))
        return [str(key) for key in said["keys"]["center"]]

    async def add(self, gates: Sequence[str]) -> dict[str, tuple[Path, Path]]:
        """Let gates in; the enrolment file of each, and a file with the passphrase that opens it."""
        found = {}
        for line in (await self._gatectl("gate", "add", *gates, "--json")).splitlines():
            said = json.loads(line)
            passphrase = self.site.parent / f"{said['gate']}.passphrase"
            passphrase.touch(0o600)
            passphrase.write_text(said["passphrase"] + "\n")
            found[said["gate"]] = Path(said["file"]), passphrase
        return found

    async def propose(self, table: str) -> Path:
        """Propose the list that this table writes, and sign it as its only signer; the bundle."""
        self._table.write_text(table)
        taken = [word for answer in _ANSWERS for word in ("--answer", answer)]
        await self._gatectl("list", "import", str(self._table), *taken, "--yes", "-o", str(self._bundle), "--json")
        key = ("--key", str(self.site / "signers" / "1.pem"), "--passphrase-file", str(self._passphrase))
        await self._gatectl("sign", str(self._bundle), *key, "--yes", "--json")
        return self._bundle

    async def flash(self, bundle: Path) -> None:
        """Put a signed bundle in force, and let the broker have it."""
        await self._gatectl("flash", str(bundle), "--no-wait", "--json")

    async def suspend(self, credential: str) -> None:
        """Take a card out of force at once."""
        await self._gatectl("list", "suspend", credential)
        self.suspended += 1

    async def events(self) -> list[bytes]:
        """Everything that the center holds, a line an event."""
        return (await run(CENTER, "export", "-c", str(self.config))).splitlines()

    async def verify(self) -> list[str]:
        """What the center itself finds wrong with the chains that it holds."""
        said = json.loads(await run(CENTER, "verify", "--json", "-c", str(self.config), fine=(0, 1)))
        return [] if said["ok"] else [f"gated-center verify: {json.dumps(said['chains'])}"]

    async def _gatectl(self, *words: str) -> bytes:
        return await run(GATECTL, "-s", str(self.site), *words)


async def set_up(post: EmulatedPost, files: tuple[Path, Path], port: int) -> str:
    """Set the gate's box up by its enrolment file, with its line to the broker at that port; its password there.

    `gated setup` writes the broker's own address into the configuration; the box of the demo reaches it by its line.
    """
    file, passphrase = files
    config = post.config
    await run("gated", "setup", str(file), "--passphrase-file", str(passphrase), "-c", str(config), "--json")
    head, _, rest = config.read_text().partition(f'broker = "{_BROKER}:')
    config.write_text(f'{head}broker = "{_BROKER}:{port}"{rest[rest.index(chr(10)) :]}')
    return (post.state / "center" / "password").read_text().strip()


async def run(module: str, *words: str, fine: Sequence[int] = (0,)) -> bytes:
    """Run one command to its end; what it prints. Raises Failure where its exit status is none of these."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the demo
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode not in fine:
        asked = shlex.join((_PROGRAMS.get(module, module), *words))
        raise Failure(f"{asked}: exit status {process.returncode}\n{err.decode(errors='replace').rstrip()}")
    return out
