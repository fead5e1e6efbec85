"""A driver from outside our tree: a package that is built, installed and run, as `docs/drivers.md` says.

The package is `tests/thirdparty/gated-acme`; the page shows its files.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gatepost import Gatepost

ROOT: Final = Path(__file__).parent.parent.parent
PACKAGE: Final = ROOT / "tests" / "thirdparty" / "gated-acme"
PAGE: Final = ROOT / "docs" / "drivers.md"
UV: Final = Path(sys.executable).with_name("uv")
UID: Final = bytes.fromhex("04A2247B613E80")
LINE: Final = b"@04A2247B613E80*26\r\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed, from the wheel that was built of it."""
    folder = tmp_path_factory.mktemp("acme")
    build = (UV, "build", "--offline", "--quiet", "--wheel", "--out-dir", folder / "wheels", PACKAGE)
    subprocess.run(build, check=True, timeout=60)
    (wheel,) = (folder / "wheels").glob("*.whl")
    install = (UV, "pip", "install", "--offline", "--quiet", "--no-deps", "--target", folder / "site", wheel)
    subprocess.run((*install, "--python", sys.executable), check=True, timeout=60)
    return folder / "site"


@pytest.fixture
def acme(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is installed for the programs that the test starts."""
    monkeypatch.setenv("PYTHONPATH", str(installed))


@pytest.fixture(scope="module")
def codec(installed: Path) -> Iterator[type]:
    """The package's codec, in this process."""
    sys.path.insert(0, str(installed))
    try:
        from gated_acme.lines import LineCodec  # noqa: PLC0415 - it is there only now

        yield LineCodec
    finally:
        sys.path.remove(str(installed))


def gated(*words: object) -> subprocess.CompletedProcess[str]:
    """What a command says."""
    command = (sys.executable, "-m", "gated", *map(str, words))
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


def configuration(folder: Path, reader: str) -> Path:
    """A gate of one lane with this reader."""
    path = folder / "gate.toml"
    path.write_text(
        f'site = "demo"\ngate = "north"\nstate = "{folder}"\ntimezone = "UTC"\n'
        f'[lanes.walk-in]\nkind = "person"\ndirection = "in"\nreaders = [{{ {reader} }}]\n'
    )
    return path


@pytest.mark.usefixtures("acme")
def test_the_configuration_knows_it(tmp_path: Path) -> None:
    """Its options are checked like those of our own, and its name stands among the others."""
    right = gated("check", "-c", configuration(tmp_path, 'driver = "acme", port = "socket://127.0.0.1:9", baud = 9600'))
    assert right.returncode == 0, right.stderr
    wrong = gated("check", "-c", configuration(tmp_path, 'driver = "acme", port = "socket://127.0.0.1:9", speed = 1'))
    assert wrong.returncode == 2
    assert re.search(r"gate\.toml:8.*lanes\.walk-in\.readers\[0\]\.speed.*baud", wrong.stderr, re.DOTALL), wrong.stderr
    other = gated("check", "-c", configuration(tmp_path, 'driver = "acne", port = "socket://127.0.0.1:9"'))
    assert "acme" in other.stderr


def test_without_it_there_is_no_such_driver(tmp_path: Path) -> None:
    """Who has not installed it is told which drivers there are."""
    said = gated("check", "-c", configuration(tmp_path, 'driver = "acme", port = "socket://127.0.0.1:9"'))
    assert said.returncode == 2
    assert 'no reader driver "acme"' in said.stderr
    assert "em4100" in said.stderr


@pytest.mark.usefixtures("acme")
async def test_its_cards_pass(tmp_path: Path) -> None:
    """The daemon runs it: what its device reads is decided and recorded; the device may come and go."""
    guests: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: guests.put_nowait(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def configured(text: str) -> str:
        return re.sub(
            r'driver = "em4100", port = "[^"]*"', f'driver = "acme", port = "socket://127.0.0.1:{port}"', text
        )

    async with server, Gatepost(tmp_path, [f"uid:{UID.hex().upper()}"], configured) as post:
        await post.start()
        first = await guests.get()
        first.write(LINE[:7])
        first.close()
        second = await guests.get()
        second.write(LINE[7:] + LINE)
        await post.until(lambda: post.passages("walk-in"), "a passage")
        (passage,) = post.passages("walk-in")
        assert (passage["credential"], passage["verdict"]) == (f"uid:{UID.hex().upper()}", "admit")
        await post.stop()
        for writer in (first, second):
            writer.close()
            await writer.wait_closed()


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_then_a_card(codec: type, garbage: list[bytes]) -> None:
    """Whatever came before, a line is found, and nothing is raised."""
    found = codec()
    for data in garbage:
        found.feed(data)
    found.feed(b"\n")
    assert [uid for byte in LINE for uid in found.feed(bytes((byte,)))] == [UID]


def test_the_page_shows_what_is_run() -> None:
    """Each file of the package that has something to say stands in the page, word for word."""
    page = PAGE.read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)```$", page, re.DOTALL | re.MULTILINE))
    files = [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".toml"} and path.name != "__init__.py"]
    assert shown == {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in files}
