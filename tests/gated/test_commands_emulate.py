"""`gated emulate`: a device without hardware, which real drivers understand."""

import os
import socket
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
from protocol.llrp import Kind, LlrpCodec
from protocol.llrp_replies import Tag as LlrpTag
from protocol.llrp_replies import tags
from protocol.llrp_requests import Antenna, add_rospec, of_rospec
from protocol.m100 import M100Codec, Tag, multi_poll
from protocol.modbus import Function, RtuCodec, answers, put_coil, read, values
from protocol.osdp import Cmd, Frame, OsdpCodec, Read, Reply
from protocol.wiegand import Card, Format, decode
from protocol.wiegand_serial import WiegandCodec

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


def test_modbus(tmp_path: Path) -> None:
    """A relay that moves is printed; an input is read as it was typed."""
    with emulated("modbus", "--link", str(tmp_path / "bus")) as (keyboard, printed, port):
        descriptor = opened(port)
        os.write(descriptor, put_coil(1, 2, on=True).to_rtu())
        assert printed.readline() == "relay 3 closed\n"
        keyboard.write("+7\n")
        keyboard.flush()
        codec, asked = RtuCodec(requests=False), read(1, Function.INPUTS, 0, 8)
        seen = asked
        while seen is asked or values(asked, seen) != [False] * 6 + [True, False]:
            os.write(descriptor, asked.to_rtu())
            while not (replies := [one for one in codec.feed(os.read(descriptor, 64)) if answers(asked, one)]):
                pass
            seen = replies[-1]
        os.close(descriptor)


def connected(port: str) -> socket.socket:
    """The host's end of a TCP port."""
    scheme, _, rest = port.partition("://")
    assert scheme == "socket"
    host, _, number = rest.rpartition(":")
    return socket.create_connection((host, int(number)), timeout=30)


def without_keyboard(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command run to its end, with nothing to read."""
    return subprocess.run(
        [*COMMAND, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )


def free_port() -> int:
    """The number of a TCP port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


def test_tcp_without_a_number() -> None:
    """A free port is taken and printed, another one for each; a tag comes through it."""
    with emulated("em4100", "--tcp") as (keyboard, _, port), emulated("em4100", "--tcp") as (_, _, other):
        assert port != other
        assert not port.endswith(":0")
        with connected(port) as line:
            keyboard.write("0A00A1B2C3\n")
            keyboard.flush()
            codec = Em4100Codec()
            while not (frames := codec.feed(line.recv(64))):
                pass
    assert frames[0].tag == bytes.fromhex("0A00A1B2C3")


def test_tcp_with_a_number() -> None:
    """That port, so that a configuration stays right; one that is taken is no traceback."""
    number = free_port()
    with emulated("lcus", "--tcp", str(number)) as (_, printed, port):
        assert port == f"socket://127.0.0.1:{number}"
        with connected(port) as line:
            line.sendall(Switch(2, True).to_bytes())
            assert printed.readline().split()[:2] == ["relay", "2"]
        words = [*COMMAND, "lcus", "--tcp", str(number)]
        second = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    assert second.returncode == 3
    assert second.stderr == f"gated: TCP port {number} cannot be had: Address already in use\n"


def test_its_help_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """What --tcp does without a number is in --help."""
    with pytest.raises(SystemExit, match="0"):
        main(["emulate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--tcp [PORT]" in said
    assert "without PORT, on a free one, which it prints" in said


def test_without_a_keyboard() -> None:
    """Nothing to read ends it, without a complaint."""
    done = without_keyboard("em4100")
    assert (done.returncode, done.stderr) == (0, "")


def test_m100() -> None:
    """A tag that is typed passes through the field of a module that polls by itself, as it was told to."""
    with emulated("m100") as (keyboard, _, port):
        descriptor = opened(port)
        os.write(descriptor, multi_poll().to_bytes())
        keyboard.write("+E200001D7315016521408FC6\n")
        keyboard.flush()
        codec, tag = M100Codec(), None
        while tag is None:
            tags = [Tag.from_frame(frame) for frame in codec.feed(os.read(descriptor, 64))]
            tag = next(filter(None, tags), None)
        os.close(descriptor)
    assert tag.epc == bytes.fromhex("E200001D7315016521408FC6")


def test_llrp(capsys: pytest.CaptureFixture[str]) -> None:
    """On TCP without a word about it; a tag that is typed is at its antenna, for an inventory that has that."""
    with emulated("llrp") as (keyboard, _, port):
        number = int(port.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", number), timeout=10) as host:
            keyboard.write(f"+{'AB' * 12}@9\n+{'AB' * 12}@2\n")
            keyboard.flush()
            host.sendall(add_rospec((Antenna(2, 0),)).to_bytes() + of_rospec(Kind.START_ROSPEC).to_bytes())
            codec, seen = LlrpCodec(), list[LlrpTag]()
            while not seen:
                seen = [tag for message in codec.feed(host.recv(4096)) for tag in tags(message)]
    assert (seen[0].epc, seen[0].antenna) == (b"\xab" * 12, 2)
    assert main(["emulate", "llrp", "--link", "reader"]) == 2
    assert "on TCP only" in capsys.readouterr().err


def test_wiegand() -> None:
    """A typed card comes as the line of a converter; what is none is answered with what would be."""
    with emulated("wiegand") as (keyboard, _, port):
        descriptor = opened(port)
        keyboard.write("26:256:1\n26:123:45678\n")
        keyboard.flush()
        codec = WiegandCodec()
        while not (cards := codec.feed(os.read(descriptor, 64))):
            pass
        os.close(descriptor)
    assert cards == [Card(Format.H10301, 123, 45678)]


def test_osdp() -> None:
    """A typed card is told at the next poll; what the lamp is told is printed."""
    with emulated("osdp") as (keyboard, printed, port):
        descriptor = opened(port)
        keyboard.write("uid:zz\n26:123:45678\n")
        keyboard.flush()
        codec, told, sequence = OsdpCodec(), None, 0

        def asked(code: int, data: bytes = b"") -> list[Frame]:
            os.write(descriptor, Frame(0, code, data, sequence=sequence).to_bytes())
            return codec.feed(os.read(descriptor, 64))

        while told is None:
            for frame in asked(Cmd.POLL):
                told = Read.from_data(frame.data) if frame.code == Reply.RAW else None
            sequence = sequence % 3 + 1
        asked(Cmd.LED, bytes.fromhex("0000 02 05 00 02 00 1400 00 00 00 00 00"))
        assert printed.readline() == "lamp green 2 s\n"
        os.close(descriptor)
    assert isinstance(told, Read)
    assert decode(told.bits) == Card(Format.H10301, 123, 45678)


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


@pytest.mark.parametrize(
    "words",
    [["nothing"], [], ["em4100", "--tcp", "--link", "/x"], ["em4100", "--tcp", "0"], ["--tcp", "em4100"]],
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown device, or no port: status 2, and which there are."""
    with pytest.raises(SystemExit, match="2"):
        main(["emulate", *words])
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["em4100", "--udp"], ["nfc", "--tcp"]])
def test_which_is_on_udp(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """NFC chips are played over UDP, the others are not."""
    assert main(["emulate", *words]) == 2
    assert "nfc is on UDP" in capsys.readouterr().err
