"""The whole way of a list by commands alone: a site, its signers, a real daemon, a running center."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gated.talking import enrol
from protocol.enrolment import unseal
from tests.broker import Mosquitto
from tests.center.gatectl.workplace import Workplace
from tests.gatepost import Gatepost

SITE = "shenhang"
CARD, OTHER = "0A00A1B2C3", "0A00A1B2C4"
AWAY_S = 0.5
Captured = pytest.CaptureFixture[str]


class Town:
    """A site with one gate, its daemon, a broker; the center where it is started."""

    def __init__(self, place: Workplace, post: Gatepost) -> None:
        self.place = place
        self.post = post

    async def run(self, *words: object) -> int:
        """A command of gatectl, in a thread: it brings its own loop."""
        return await asyncio.to_thread(self.place.run, *words)

    async def signed(self, bundle: Path, *words: str) -> None:
        """Two of three sign, each at home."""
        for signer in (1, 3):
            assert await asyncio.to_thread(self.place.sign, bundle, signer, "--yes", *words) == 0

    async def verdict(self, card: str) -> str:
        """Hold a card to the reader; what became of it."""
        seen = len(self.passages())

        async def decided() -> bool:
            # Shown again until it counts as having been away: at once it would still be the same passage.
            self.post.walk_in(card)
            await asyncio.sleep(AWAY_S)
            return len(self.passages()) > seen

        await self.post.until(decided, f"{card} is decided")
        return str(self.passages()[-1]["verdict"])

    def passages(self) -> list[dict[str, object]]:
        """What the gate has written down."""
        return [event for event in self.post.events() if event["kind"] == "passage"]


@asynccontextmanager
async def town(folder: Path, capsys: Captured, *, serve: bool) -> AsyncIterator[Town]:
    """A town; the gate has brought its keys to the center."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Mosquitto(folder / "broker"))
        place = await asyncio.to_thread(Workplace, folder, broker=broker.url)
        capsys.readouterr()
        assert await asyncio.to_thread(place.run, "gate", "add", "north", "--json") == 0
        issued = json.loads(capsys.readouterr().out)
        issued = issued[0] if isinstance(issued, list) else issued
        (folder / "north").mkdir()
        post = Gatepost(folder / "north", (), lambda text: _configured(text, broker.port, folder / "north" / "state"))
        await stack.enter_async_context(post)
        sealed = await asyncio.to_thread(Path(issued["file"]).read_bytes)
        enrol.install(post.state, unseal(sealed, issued["passphrase"]))
        center = await _center(place, folder)
        try:
            await post.start()
            made = Town(place, post)
            await post.until(lambda: _enrolled(place), "the center has the gate's keys")
            if not serve:
                await _end(center)
            yield made
        finally:
            await _end(center)


def _configured(text: str, port: int, state: Path) -> str:
    head, _, lanes = text.partition("[schedules]")
    center = (
        f'[center]\nbroker = "mqtt://127.0.0.1:{port}"\nusername = "north"\npassword = "file:{state}/center/password"\n'
    )
    head = head.replace('site = "demo"', f'site = "{SITE}"')
    return f"{head}{center}\n[schedules]{lanes}"


async def _center(place: Workplace, folder: Path) -> asyncio.subprocess.Process:
    with (folder / "center.log").open("ab") as log:
        words = ("-m", "center", "serve", "-c", str(place.site.folder / "center.toml"))
        return await asyncio.create_subprocess_exec(sys.executable, *words, stdout=log, stderr=log)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def _enrolled(place: Workplace) -> bool:
    from center.gatectl.registry import keys  # noqa: PLC0415

    return "north" in keys(place.site)


@pytest.mark.parametrize("serve", [True, False], ids=["center", "no-center"])
async def test_a_list_by_commands(tmp_path: Path, capsys: Captured, *, serve: bool) -> None:
    """From a spreadsheet to an open barrier; a card that is suspended is stopped, one that registrars add passes.

    All of it also without a running center: the commands speak to the broker themselves.
    """
    async with town(tmp_path, capsys, serve=serve) as made:
        source = tmp_path / "residents.csv"
        source.write_text(f"姓名,卡号\n张三,{CARD}\n", encoding="utf-8")
        bundle = tmp_path / "list.bundle"
        assert await made.verdict(CARD) == "flag"
        assert await made.run("list", "import", source, "--answer", "cards=em-hex10", "-o", bundle) == 0
        await made.signed(bundle)
        capsys.readouterr()
        assert await made.run("flash", bundle, "--timeout", "60", "--json") == 0
        (north,) = json.loads(capsys.readouterr().out)["gates"]
        assert (north["state"], north["in_force"], north["entries"]) == ("taken", "1", 1)
        assert await made.verdict(CARD) == "admit"
        assert await made.run("list", "suspend", CARD) == 0
        assert await made.run("flash", "--timeout", "60") == 0
        assert await made.verdict(CARD) != "admit"
        registrars = [word for key in made.place.registrars[:2] for word in ("--key", key)]
        words = ("--yes", "--passphrase-file", made.place.passphrases)
        assert await made.run("list", "add", f"em:{OTHER}", *registrars, *words) == 0
        assert await made.run("flash", "--timeout", "60") == 0
        assert await made.verdict(OTHER) == "admit"
        assert await made.run("keys", "rotate", "suspensions", "-o", bundle) == 0
        await made.signed(bundle)
        assert await made.run("flash", bundle, "--timeout", "60") == 0
        assert await made.run("list", "restore", CARD) == 0
        assert await made.run("flash", "--timeout", "60") == 0
        assert await made.verdict(CARD) == "admit"
        assert await made.run("verify") == 0
