"""Gates, center and a technician's laptop as they are set up: TLS, passwords, and the broker's own rules."""

import asyncio
import io
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest

from center.gatectl import profiles
from center.gatectl.__main__ import main
from tests.center.gatectl.workplace import PASSPHRASE
from tests.community import SITE
from tests.secured import SecuredCommunity

CARD = "0A00A1B2C3"


@dataclass
class Laptop:
    """A technician's laptop: a home of its own, and `gatectl`."""

    home: Path

    async def gatectl(self, *words: object) -> tuple[int, str]:
        """A command; its exit status and what it printed."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("GATED_SITE", "GATECTL_SITE", "GATED_KEY"):
                patch.delenv(name, raising=False)
            patch.setenv("XDG_CONFIG_HOME", str(self.home / ".config"))
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
                status = await asyncio.to_thread(main, list(map(str, words)))
        return status, out.getvalue() + err.getvalue()

    async def as_process(self, *words: str) -> tuple[int, str]:
        """The same as a process of its own, in its home, with nothing in its environment."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "center.gatectl", *words),
            stdout=asyncio.subprocess.PIPE,
            cwd=self.home,
            env={"HOME": str(self.home), "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        printed, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def sees(self, name: str) -> bool:
        """Whether that gate is online, as seen from here."""
        _, printed = await self.gatectl("status", "--json", "--wait", "1")
        return any((row["gate"], row["state"]) == (name, "online") for row in json.loads(printed))


@asynccontextmanager
async def working(folder: Path) -> AsyncIterator[tuple[SecuredCommunity, Laptop]]:
    """A community at work, and a laptop with li-wei's profile: south was let in, and its box is not set up yet."""
    async with SecuredCommunity(folder, ("north", "south")) as community:
        await community.start_center()
        await community.posts["north"].start()
        await community.agreed()
        laptop = Laptop(folder / "home")
        laptop.home.mkdir()
        file = laptop.home / "li-wei.profile"
        status, said = await center(community, "technician", "add", "li-wei", "--output", file, "--json")
        assert status == 0, said
        community.broker.reload()
        once = laptop.home / "once"
        once.write_text(json.loads(said)["passphrase"])
        status, said = await laptop.gatectl("profile", "install", file, "--passphrase-file", once)
        assert status == 0, said
        yield community, laptop


async def center(community: SecuredCommunity, *words: object) -> tuple[int, str]:
    """A command on the center's machine."""
    return await Laptop(community.folder).gatectl("-s", community.site.folder, *words)


async def test_every_event_arrives(tmp_path: Path) -> None:
    """What a gate records is at the center; the laptop sees what the gate says, and whose box is not set up yet."""
    async with working(tmp_path) as (community, laptop):
        north = community.posts["north"]
        north.walk_in(CARD)
        await north.until(lambda: north.passages("walk-in"), "somebody passes")
        await community.agreed()
        status, said = await laptop.as_process("status", "--json")
        found, awaited = json.loads(said)
        assert (status, found["gate"], found["state"], found["mode"]) == (0, "north", "online", "automatic")
        assert awaited == {"gate": "south", "state": "not set up"}
        status, said = await center(community, "status", "--json")
        assert (status, json.loads(said)[1]) == (0, awaited)
        await community.posts["south"].start()
        await community.until(lambda: laptop.sees("south"), "the laptop knows the box that was set up since")
        held = laptop.home / ".config" / "gatectl" / SITE / "profile.json"
        assert json.loads(held.read_bytes())["gates"].keys() == {"north", "south"}
        status, said = await laptop.gatectl("verify")
        assert status == 3
        assert str(community.site.folder) in said


async def test_from_a_key_to_an_opened_barrier(tmp_path: Path) -> None:
    """A key made on the laptop, signed for and flashed, opens a lane from there; the flash is seen there too."""
    async with working(tmp_path) as (community, laptop):
        north, place = community.posts["north"], community.place
        key, secret = laptop.home / "li-wei.pem", laptop.home / "secret"
        secret.write_text(PASSPHRASE)
        command = ("open", "north", "walk-in", "--key", key, "--passphrase-file", secret, "--json")
        status, said = await laptop.gatectl("keys", "new", key, "--passphrase-file", secret, "--json")
        assert status == 0, said
        status, said_now = await laptop.gatectl(*command, "--wait", "0.5")
        assert (status, "has not answered" in said_now) == (3, True)
        bundle = tmp_path / "operators.bundle"
        public = json.loads(said)["public"]
        may = ("--may", "open", "--public", public, "--output", bundle)
        status, said = await center(community, "operator", "add", "li-wei", *may)
        assert status == 0, said
        status, said = await laptop.gatectl("flash")
        assert status == 1
        assert "nothing has been flashed yet" in said
        assert await asyncio.to_thread(place.sign, bundle, 1, "--yes") == 0
        status, said = await center(community, "flash", bundle, "--no-wait")
        assert status == 0, said
        status, said = await laptop.gatectl("flash", "--json")
        assert status == 0, said
        assert {gate["gate"]: gate["state"] for gate in json.loads(said)["gates"]} == {
            "north": "taken",
            "south": "not set up",
        }
        status, printed = await laptop.gatectl(*command)
        assert (status, json.loads(printed)["ok"]) == (0, True), printed
        await north.pulses("walk-in", 1)
        opened = [event for event in north.events() if event["kind"] == "opened"]
        assert [event["operator"] for event in opened] == ["li-wei"]
        await community.agreed()


async def test_what_a_technicians_password_is_good_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It throws no gate out; and when the technician is removed, from the reload on, it is good for nothing.

    A broker ends a connection when another comes under its client's id: nothing that a technician reads tells that.
    """
    async with working(tmp_path) as (community, laptop):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(laptop.home / ".config"))
        held = profiles.load(SITE)
        context = ssl.create_default_context(cafile=held.ca)
        north = community.posts["north"]

        def client(name: str | None) -> aiomqtt.Client:
            return aiomqtt.Client(
                "127.0.0.1",
                community.broker.port,
                identifier=name,
                username=held.profile.technician,
                password=held.profile.password,
                tls_context=context,
            )

        async with client(None) as listener:
            await listener.subscribe(f"gated/1/{SITE}/gates/north/status", qos=1)
            said = json.loads((await anext(aiter(listener.messages))).payload)
            for name in (f"{SITE}-north-{said['session']}", f"{SITE}-north", "north", said["session"]):
                async with client(name):
                    pass
            north.walk_in(CARD)
            await north.until(lambda: north.passages("walk-in"), "somebody passes")
            await community.agreed()
        assert len(north.said("center.connected")) == 1
        status, said = await center(community, "technician", "remove", "li-wei")
        assert status == 0, said
        assert "reload mosquitto" in said
        community.broker.reload()
        for words in (("status",), ("watch",), ("flash",)):
            status, said = await laptop.gatectl(*words)
            assert status == 3
            assert "not authori" in said.lower()
