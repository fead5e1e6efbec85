"""`gated emulate`: a device without hardware, which real drivers understand."""

import os
import subprocess
import sys
import tomllib
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from gated.__main__ import main
from protocol.em4100 import Em4100Codec
from protocol.lcus import Switch

COMMAND = (sys.executable, "-m", "gated", "emulate")


@contextmanager
def emulated(*words: str) -> Iterator[tuple[IO[str], IO[str], str]]:
    """The running command: its keyboard, what it prints, and its port."""
    with subprocess.Popen(
        [*COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            table = tomllib.loads(f"device = {first[first.index('{') : first.rindex('}') + 1]}")["device"]
            assert table["driver"] == words[0]
            yield process.stdin, process.stdout, table["port"]
        finally:
            process.kill()


def opened(port: str) -> int:
    """The host's end of a pty, raw."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor)
    return descriptor


def test_em4100(tmp_path: Path) -> None:
    """A typed tag is read as real readers send it, through the link that stands for the pty."""
    link = tmp_path / "reader"
    with emulated("em4100", "--link", str(link)) as (keyboard, _, port):
        assert port == str(link)
        descriptor = opened(port)
        keyboard.write("0A00A1B2C3\n")
        keyboard.flush()
        codec = Em4100Codec()
        while not (frames := codec.feed(os.read(descriptor, 64))):
            pass
        os.close(descriptor)
    assert frames[0].tag == bytes.fromhex("0A00A1B2C3")


def test_lcus() -> None:
    """Each change of a relay is printed."""
    with emulated("lcus") as (_, printed, port):
        descriptor = opened(port)
        os.write(descriptor, Switch(2, True).to_bytes())
        assert printed.readline().split()[:2] == ["relay", "2"]
        os.close(descriptor)


def test_contact() -> None:
    """A typed 1 closes the contact."""
    with emulated("contact") as (keyboard, _, port):
        descriptor = opened(port)
        keyboard.write("1\n")
        keyboard.flush()
        assert os.read(descriptor, 1) == b"1"
        os.close(descriptor)


@pytest.mark.parametrize("words", [["emulate", "nothing"], ["emulate"], ["emulate", "em4100", "--tcp", "--link", "/x"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown device: status 2, and which there are."""
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage" in capsys.readouterr().err
