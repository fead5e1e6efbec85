"""OSDP readers: the secure channel and its key, several on a line, what a reader kept, what libosdp is kept from."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.emulated.host import Device, PtyHost, TcpHost
from drivers.emulated.osdp import EmulatedOsdp, EmulatedOsdpLine
from drivers.osdp import DEFAULT_KEY, Turns
from drivers.port import About, Colour, Condition, Indicator, Quiet, Signal
from drivers.registry import Ports, Role
from protocol.osdp import Cmd, Frame, Nak, OsdpCodec, Read, Reply
from protocol.sighting import Sighting
from tests.drivers.rig import Watch, eventually, made, watching
from tests.osdp_keys import cryptograms

KEY = bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
CARD, CREDENTIAL = "26:123:45678", "wiegand:26:123:45678"
CLEAR = bytes.fromhex("bdd93740")  # its bits
OTHER, OTHER_CREDENTIAL = "26:5:77", "wiegand:26:5:77"
Opts = dict[str, Any]


class Between:
    """A line between host and readers that somebody meddles with: `frames` went over it, in so many `calls`."""

    def __init__(self, device: Device) -> None:
        self.frames: list[Frame] = []
        self.calls = 0
        self.meddle: Callable[[Frame, bytes], bytes] = lambda _, answer: answer
        self._device = device
        self._heard, self._said = OsdpCodec(), OsdpCodec()

    def connected(self) -> tuple[bytes, bool]:
        """See Greeting."""
        self.calls += 1
        return b"", True

    def disconnected(self) -> None:
        """See Greeting."""

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        answers = b""
        for frame in self._heard.feed(data):
            answer = self.meddle(frame, self._device.receive(frame.to_bytes()))
            self.frames += [frame, *self._said.feed(answer)]
            answers += answer
        return answers


def key_file(folder: Path, key: bytes = KEY) -> str:
    """Where the key stands."""
    path = folder / "osdp.key"
    path.write_text(key.hex() + "\n")
    return f"file:{path}"


def reader(port: str, ports: Ports | None = None, **options: Any) -> Any:
    """The driver's reader; insecure where no key is given."""
    return made(Role.READER, "osdp", port, ports, **({} if "key" in options else {"insecure": True}), **options)


def codes(line: Between) -> list[int]:
    """What went over it."""
    return [frame.code for frame in line.frames]


async def sighted(watch: Watch, start: int = 0) -> str:
    """The next credential."""
    sighting = await watch.until(lambda report: isinstance(report, Sighting), start)
    return str(sighting.credential)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as libosdp asks."""
    monkeypatch.setattr("drivers.osdp_panel.POLL_S", 0.052)


@pytest.mark.parametrize("key", [KEY, None], ids=["secure", "plain"])
async def test_a_card_is_read(tmp_path: Path, key: bytes | None) -> None:
    """With the secure channel and without; not one thread more than before."""
    device, threads = EmulatedOsdp(9, key), threading.active_count()
    options: Opts = {} if key is None else {"key": key_file(tmp_path)}
    async with PtyHost(device) as host, watching(lane := reader(host.port, address=9, **options)) as watch:
        await watch.online()
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL
        assert lane.about == About("vendor BEBAFE, model 1, serial number 3735928495", "173.222.173")
        workers = [thread for thread in threading.enumerate() if thread.name.startswith("asyncio")]
        assert threading.active_count() - threads <= len(workers)  # those that open files for the loop


async def test_the_secure_channel_is_the_standards(tmp_path: Path) -> None:
    """Both sides prove the key that is configured, by the key schedule of annex D; then no card goes in clear."""
    line = Between(device := EmulatedOsdp(key=KEY))
    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        await watch.online()
        device.present(CARD)
        await sighted(watch)
    by_code = {(frame.reply, frame.code): frame for frame in line.frames}
    cp_random = by_code[False, Cmd.CHLNG].data
    ccrypt = by_code[True, Reply.CCRYPT].data
    assert cryptograms(KEY, cp_random, ccrypt[8:16]) == (by_code[False, Cmd.SCRYPT].data, ccrypt[16:])
    card = by_code[True, Reply.RAW]
    assert card.block == b"\x02\x18"
    assert Read.from_data(card.data) is None or Read.from_data(card.data) != Read(0, 1, 26, CLEAR)


def forged(asked: Frame, block: str) -> bytes:
    """The card in clear, as whoever is on the wires and has no key would tell it."""
    data = Read(0, 1, 26, CLEAR).to_data()
    return Frame(0, Reply.RAW, data, reply=True, sequence=asked.sequence, block=bytes.fromhex(block)).to_bytes()


@pytest.mark.parametrize("block", ["", "031101", "031201", "031401", "0213"])
async def test_nobody_is_a_card_without_the_key(tmp_path: Path, block: str) -> None:
    """In a secured session a card without a MAC is noise, whatever its block says: the session goes on."""
    line = Between(device := EmulatedOsdp(key=KEY))
    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        await watch.online()
        begun = codes(line).count(Cmd.ID)
        told: list[bytes] = []

        def also(asked: Frame, answer: bytes) -> bytes:
            told.append(forged(asked, block))
            return told[-1] + answer

        line.meddle = also
        await eventually(lambda: len(told) > 3)
        device.present(OTHER)
        assert await sighted(watch) == OTHER_CREDENTIAL
        assert codes(line).count(Cmd.ID) == begun
        assert len(watch.of(Sighting)) == 1


@pytest.mark.parametrize(
    "nothing",
    [Frame(0, Reply.ACK, reply=True), Frame(0, Reply.ACK, bytes(300), reply=True, block=b"\x02\x16", mac=bytes(4))],
    ids=["clear", "unread"],
)
async def test_an_acknowledgement_without_a_mac_makes_nobody_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing: Frame
) -> None:
    """What the reader kept does not count because somebody else on the wires has said that there is nothing.

    Nor where libosdp would not look at the MAC, as the frame is too long for it.
    """
    monkeypatch.setattr("drivers.osdp_panel.SILENCE_S", 0.3)
    line = Between(device := EmulatedOsdp(key=KEY))
    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        await watch.online()
        line.meddle = lambda _, __: b""
        await watch.offline(watch.here)
        device.present(OTHER)
        here = watch.here
        line.meddle = lambda asked, answer: (
            replace(nothing, sequence=asked.sequence).to_bytes() * bool(asked.mac) + answer
        )
        await watch.online(here)
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL


def test_no_two_starts_have_the_same_challenges() -> None:
    """Else what a reader answered at one start, card and all, could be played to the next."""
    script = (
        "import time; from drivers.osdp_panel import Panel; from drivers.emulated.osdp import EmulatedOsdp as Reader\n"
        "from protocol.osdp import Frame, OsdpCodec\n"
        "panel, reader, key = None, None, bytes(16); panel, reader = Panel(0, key, 9600), Reader(0, key)\n"
        "for _ in range(2): [panel.heard(one, 0.0) for one in OsdpCodec().feed(reader.receive(panel.turn(0.0)))]\n"
        "(asked,) = OsdpCodec().feed(panel.turn(0.0)); print(asked.code, asked.data.hex())"
    )
    said = {subprocess.check_output([sys.executable, "-c", script], text=True) for _ in range(2)}
    assert len(said) == 2
    assert {one.split()[0] for one in said} == {str(int(Cmd.CHLNG))}


@pytest.mark.parametrize(
    ("inside", "configured", "said"),
    [
        (KEY, bytes(16), "does not accept the secure channel's key"),
        (None, KEY, "does not accept the secure channel's key"),
        (KEY, None, "refuses to be asked without a secure channel"),
    ],
    ids=["other", "none", "plain"],
)
async def test_keys_that_differ(tmp_path: Path, inside: bytes | None, configured: bytes | None, said: str) -> None:
    """What is wrong and what to do; no card is read that way."""
    device = EmulatedOsdp(3, inside)
    options: Opts = {} if configured is None else {"key": key_file(tmp_path, configured)}
    async with PtyHost(device) as host, watching(reader(host.port, address=3, **options)) as watch:
        device.present(CARD)
        why = await watch.offline()
        assert why.startswith(f"{host.port}: address 3 {said}")
        assert not watch.of(Sighting)


async def test_a_reader_that_has_no_secure_channel(tmp_path: Path) -> None:
    """It is said, and nothing goes on in clear."""
    line = Between(EmulatedOsdp())

    def without(asked: Frame, answer: bytes) -> bytes:
        capabilities = b"\x09\x00\x00"  # communication security: none
        if asked.code != Cmd.CAP:
            return answer
        return Frame(0, Reply.PDCAP, capabilities, reply=True, sequence=asked.sequence).to_bytes()

    line.meddle = without
    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        assert "has no secure channel" in await watch.offline()
    assert {frame.code for frame in line.frames if not frame.reply} == {Cmd.ID, Cmd.CAP}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"0f1e", "must be 32 hex digits"),
        (b"\xff" * 16, "must be 32 hex digits"),
        (DEFAULT_KEY.hex().encode(), "is the one that every reader is sold with"),
    ],
    ids=["none", "short", "no-text", "known"],
)
async def test_a_key_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None, said: str
) -> None:
    """It is said without being repeated; put right, the reader comes online, and the others were never disturbed."""
    monkeypatch.setattr("drivers.osdp.KEY_AGAIN_S", 0.01)
    ports, path = Ports(lambda: 0.0), tmp_path / "k"
    if text is not None:
        path.write_bytes(text)
    line = EmulatedOsdpLine(EmulatedOsdp(0, KEY), EmulatedOsdp(1))
    async with (
        PtyHost(line) as host,
        watching(reader(host.port, ports, key=f"file:{path}")) as first,
        watching(reader(host.port, ports, address=1)) as second,
    ):
        why = await first.offline()
        assert said in why
        assert text is None or text.decode(errors="replace") not in why
        await second.online()
        path.write_text(KEY.hex().upper())
        await first.online()
        assert second.conditions == [Condition(True)]


async def test_a_credential_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`credential:NAME` is a file in the folder that systemd names."""
    key_file(tmp_path)
    device = EmulatedOsdp(key=KEY)
    async with PtyHost(device) as host:
        async with watching(reader(host.port, key="credential:osdp.key")) as watch:
            assert "only the service is handed the credential osdp.key" in await watch.offline()
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        async with watching(reader(host.port, key="credential:osdp.key")) as watch:
            await watch.online()


async def test_several_readers_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lane hears its own; one that is not there puts none of the others offline."""
    monkeypatch.setattr("drivers.osdp_panel.SILENCE_S", 1.1)
    ports = Ports(lambda: 0.0)
    first, second = EmulatedOsdp(1, KEY), EmulatedOsdp(2)
    key = key_file(tmp_path)
    async with (
        PtyHost(EmulatedOsdpLine(first, second)) as host,
        watching(reader(host.port, ports, address=1, key=key)) as one,
        watching(reader(host.port, ports, address=2)) as two,
        watching(reader(host.port, ports, address=3)) as none,
    ):
        await one.online()
        await two.online()
        first.present(CARD)
        second.present(OTHER)
        assert (await sighted(one), await sighted(two)) == (CREDENTIAL, OTHER_CREDENTIAL)
        assert "address 3 does not answer" in await none.offline()
        assert one.conditions == two.conditions == [Condition(True)]
        assert [len(watch.of(Sighting)) for watch in (one, two)] == [1, 1]


async def test_a_line_is_left_by_one_and_goes_on_for_the_other() -> None:
    """The port is held while one lane reads."""
    ports, devices = Ports(lambda: 0.0), (EmulatedOsdp(1), EmulatedOsdp(2))
    async with PtyHost(EmulatedOsdpLine(*devices)) as host, watching(reader(host.port, ports, address=1)) as one:
        async with watching(reader(host.port, ports, address=2)) as two:
            await two.online()
        await one.online()
        devices[0].present(CARD)
        assert await sighted(one) == CREDENTIAL


async def test_what_a_reader_kept_while_it_was_unplugged_never_counts(tmp_path: Path) -> None:
    """Cards held to it meanwhile are dropped when it is back, all of them; the next one counts."""
    device = EmulatedOsdp(key=KEY)
    async with (
        PtyHost(device, tmp_path / "by-id") as host,
        watching(reader(host.port, key=key_file(tmp_path))) as watch,
    ):
        await watch.online()
        host.unplug()
        await watch.offline(watch.here)
        device.present(OTHER)
        device.present(OTHER)
        here = watch.here
        await host.plug()
        await watch.online(here)
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL


@pytest.mark.parametrize("key", [KEY, None], ids=["secure", "plain"])
async def test_what_a_reader_kept_while_the_line_was_cut_never_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: bytes | None
) -> None:
    """Behind an adapter that stays: the silence is the cut, though libosdp goes on with the session."""
    monkeypatch.setattr("drivers.osdp_panel.SILENCE_S", 0.3)
    ports, device = Ports(lambda: 0.0), EmulatedOsdp(key=key)
    line = Between(device)
    options: Opts = {} if key is None else {"key": key_file(tmp_path)}
    async with (
        PtyHost(EmulatedOsdpLine(line, EmulatedOsdp(1))) as host,
        watching(reader(host.port, ports, **options)) as watch,
        watching(reader(host.port, ports, address=1)) as other,
    ):
        await watch.online()
        line.meddle = lambda _, __: b""
        assert "does not answer" in await watch.offline(watch.here)
        device.present(OTHER)
        here = watch.here
        line.meddle = lambda _, answer: answer
        await watch.online(here)
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL
        assert other.conditions == [Condition(True)]


async def test_a_dead_line_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: said once, whatever is tried; who is there then is found."""
    monkeypatch.setattr("drivers.osdp_panel.SILENCE_S", 0.9)  # libosdp asks each second
    line = Between(EmulatedOsdp())
    line.meddle = lambda _, __: b""
    async with TcpHost(line) as host, watching(reader(host.port)) as watch:
        assert "address 0 does not answer" in await watch.offline()
        await eventually(lambda: line.calls == 2)
        assert Quiet() in watch.reports  # while it is tried again and again, the loop's turning is told
        asked = len(line.frames)
        await eventually(lambda: len(line.frames) > asked)
        assert len(watch.conditions) == 1
        line.meddle = lambda _, answer: answer
        await watch.online()


async def test_what_comes_too_late_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that lay there while the whole daemon was held up is as old as one from before a cut."""
    monkeypatch.setattr("drivers.osdp_panel.SILENCE_S", 0.15)
    line = Between(device := EmulatedOsdp())

    def held_up(_: Frame, answer: bytes) -> bytes:
        line.meddle = lambda _, answer: answer
        time.sleep(0.2)  # of the loop that both sides run in
        return answer

    async with TcpHost(line) as host, watching(reader(host.port)) as watch:
        await watch.online()
        device.present(OTHER)
        line.meddle = held_up
        await eventually(lambda: Reply.RAW in codes(line))
        await eventually(lambda: codes(line)[codes(line).index(Reply.RAW) :].count(Reply.ACK) == 2)
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL


async def test_the_words_of_others_do_not_count() -> None:
    """A card from another address than was asked is nobody's, and does not end the session."""
    line = Between(device := EmulatedOsdp(1))
    stray = Frame(2, Reply.RAW, Read(0, 1, 26, bytes.fromhex("85bfaac0")).to_data(), reply=True)
    async with PtyHost(line) as host, watching(reader(host.port, address=1)) as watch:
        await watch.online()
        begun = codes(line).count(Cmd.ID)
        line.meddle = lambda asked, answer: replace(stray, sequence=asked.sequence).to_bytes() + answer
        await eventually(lambda: Reply.RAW in codes(line))
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL
        assert codes(line).count(Cmd.ID) == begun
        assert watch.conditions == [Condition(True)]


async def test_a_lost_answer_is_no_end(tmp_path: Path) -> None:
    """One that the line swallows is asked for again; the reader stays online."""
    line = Between(device := EmulatedOsdp(key=KEY))
    lost: list[bytes] = []

    def once(_: Frame, answer: bytes) -> bytes:
        lost.append(answer)
        return b"" if len(lost) == 1 else answer

    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        await watch.online()
        line.meddle = once
        await eventually(lambda: len(lost) > 12)
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL
        assert watch.conditions == [Condition(True)]


class Socket:
    """Where a reader hangs on the line, until another one does."""

    def __init__(self, device: EmulatedOsdp) -> None:
        self.device = device

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        return self.device.receive(data)


async def test_a_reader_that_has_started_anew_comes_back(tmp_path: Path) -> None:
    """It knows of no session any more: a new one is begun at once, and what it had read by then does not count."""
    line = Between(socket := Socket(EmulatedOsdp(key=KEY)))
    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        await watch.online()
        begun = codes(line).count(Cmd.ID)
        socket.device = EmulatedOsdp(key=KEY)
        socket.device.present(OTHER)
        await eventually(lambda: codes(line).count(Cmd.ID) > begun)
        await eventually(lambda: codes(line)[-4:].count(Reply.ACK) == 2)
        socket.device.present(CARD)
        assert await sighted(watch) == CREDENTIAL
        assert watch.conditions == [Condition(True)]


async def test_a_reader_whose_key_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is offline, with what is wrong, and nothing that it reads counts, until it has its key again."""
    monkeypatch.setattr("drivers.osdp_panel.SILENCE_S", 0.3)
    line = Between(socket := Socket(EmulatedOsdp(key=KEY)))
    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        await watch.online()
        socket.device = EmulatedOsdp(key=bytes(16))
        socket.device.present(OTHER)
        await watch.until(lambda report: isinstance(report, Condition) and "channel's key" in report.why)
        here = watch.here
        socket.device = EmulatedOsdp(key=KEY)
        await watch.online(here)
        socket.device.present(CARD)
        assert await sighted(watch) == CREDENTIAL


class Busy:
    """A reader that has no time for the first question of a kind, which it then has not heard."""

    def __init__(self, device: EmulatedOsdp, code: Cmd) -> None:
        self._device = device
        self._code: Cmd | None = code

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        (asked,) = OsdpCodec().feed(data)
        if asked.code == self._code:
            self._code = None
            return Frame(0, Reply.BUSY, reply=True).to_bytes()
        return self._device.receive(data)


@pytest.mark.parametrize("code", [Cmd.ID, Cmd.SCRYPT, Cmd.POLL])
async def test_a_busy_reader_is_asked_the_same_again(tmp_path: Path, code: Cmd) -> None:
    """With the same number; the session goes on."""
    line = Between(Busy(EmulatedOsdp(key=KEY), code))
    async with PtyHost(line) as host, watching(reader(host.port, key=key_file(tmp_path))) as watch:
        await watch.online()
        asked = [frame for frame in line.frames if frame.code == code and not frame.reply]
        assert asked[0] == asked[1]
        assert codes(line).count(Cmd.ID) == (2 if code is Cmd.ID else 1)


async def turns_of(*addresses: int) -> Turns:
    """The turns of readers on one line, at 0 s."""
    ports = Ports(lambda: 0.0)
    lanes = [reader("/dev/nowhere", ports, address=address) for address in addresses]
    for lane in lanes:
        await lane.arm(0.0)
    return Turns(lanes, 0.0)


def asked(turns: Turns, now: float) -> tuple[int, int]:
    """Who is asked what now."""
    (frame,) = OsdpCodec().feed(turns.next(now))
    return frame.address, frame.code


async def test_an_answer_that_began_in_time_is_waited_for() -> None:
    """Its end may come later than its beginning has to; a beginning alone is given up in a silence."""
    turns, device = await turns_of(0), EmulatedOsdp()
    answer = device.receive(turns.next(0.0))
    turns.take(answer[:9], 0.19)
    assert not turns.next(0.3)
    turns.take(answer[9:], 0.31)
    assert asked(turns, 0.32) == (0, Cmd.CAP)
    turns.take(answer[:9], 0.5)
    turns.take(b"", 0.6)
    assert turns.wait(0.6) == 0.0


async def test_the_dead_wait_for_those_who_answer() -> None:
    """After one that has not answered the next dead one does not come before a reader that does."""
    turns, device = await turns_of(0, 1, 2), EmulatedOsdp()
    turns.take(device.receive(turns.next(0.0)), 2.9)
    assert asked(turns, 2.9) == (1, Cmd.ID)
    assert asked(turns, 3.2) == (0, Cmd.CAP)


@pytest.mark.parametrize("form", [0, 2, 255])
async def test_what_a_reader_calls_its_bits_is_no_matter(form: int) -> None:
    """Bits are read by their number and parities, whatever format the reader says."""
    line = Between(EmulatedOsdp())
    async with PtyHost(line) as host, watching(reader(host.port)) as watch:
        await watch.online()

        def once(asked: Frame, _: bytes) -> bytes:
            line.meddle = lambda _, answer: answer
            data = Read(0, form, 26, CLEAR).to_data()
            return Frame(0, Reply.RAW, data, reply=True, sequence=asked.sequence).to_bytes()

        line.meddle = once
        assert await sighted(watch) == CREDENTIAL


@pytest.mark.parametrize(
    ("shown", "options", "credential"),
    [
        ("34:188:24910", {}, "wiegand:34:188:24910"),
        ("35:2643:163271", {}, "wiegand:35:2643:163271"),
        ("37:0:4321", {"format": "H10302"}, "wiegand:37:0:4321"),
        ("37:12:4321", {"format": "H10304"}, "wiegand:37:12:4321"),
        ("uid:04A2B3C4", {"uid": True}, "uid:04A2B3C4"),
        ("uid:04A2B3C4D5E680", {"uid": True}, "uid:04A2B3C4D5E680"),
        ("uid:04A2B3C4D5E6800102AB", {"uid": True}, "uid:04A2B3C4D5E6800102AB"),
    ],
)
async def test_what_cards_there_are(shown: str, options: Opts, credential: str) -> None:
    """By their number of bits, parities checked; UIDs where the configuration says so."""
    device = EmulatedOsdp()
    async with PtyHost(device) as host, watching(reader(host.port, **options)) as watch:
        await watch.online()
        device.present(shown)
        assert await sighted(watch) == credential


@pytest.mark.parametrize(
    ("shown", "times", "said"),
    [
        ("uid:04A2B3C4", 3, "say uid = true"),
        ("37:12:4321", 2, 'say format = "H10302"'),
        ("0" * 26, 3, "fail their parity"),
        ("1" * 24, 3, "has not the bits of any card"),
    ],
)
async def test_what_is_no_card_is_said(shown: str, times: int, said: str) -> None:
    """Several alike in a row are a state, with what to do; the next card ends it. Keys are nothing."""
    device = EmulatedOsdp()
    async with PtyHost(device) as host, watching(reader(host.port)) as watch:
        await watch.online()
        for _ in range(times):
            device.present(shown)
            device.press(b"12#")
        assert said in await watch.offline()
        assert not watch.of(Sighting)
        here = watch.here
        device.present(CARD)
        await watch.online(here)
        assert await sighted(watch) == CREDENTIAL


async def test_cards_as_characters_are_said() -> None:
    """A reader that tells them so (osdp_FMT) is to be set otherwise; the session lasts."""
    line = Between(device := EmulatedOsdp())
    async with PtyHost(line) as host, watching(reader(host.port)) as watch:
        await watch.online()
        told = Frame(0, Reply.FMT, b"\0\0\x0812345678", reply=True)

        def once(asked: Frame, _: bytes) -> bytes:
            line.meddle = lambda _, answer: answer
            return replace(told, sequence=asked.sequence).to_bytes()

        line.meddle = once
        assert "osdp_FMT" in await watch.offline()
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL
        assert watch.conditions[-1] == Condition(True)
    assert not [code for code in codes(line)[20:] if code == Cmd.ID]


@pytest.mark.parametrize(
    ("code", "data"),
    [(Reply.RAW, Read(0, 1, 2000, b"\xa5" * 250).to_data()), (Reply.COM, b"\x05\x80\x25\0\0")],
    ids=["long", "moved"],
)
async def test_what_libosdp_is_kept_from(code: Reply, data: bytes) -> None:
    """A card that it has no room for, or that the reader has moved, are no answers; the reader is asked again."""
    line = Between(device := EmulatedOsdp())
    async with PtyHost(line) as host, watching(reader(host.port)) as watch:
        await watch.online()

        def once(asked: Frame, _: bytes) -> bytes:
            line.meddle = lambda _, answer: answer
            return Frame(0, code, data, reply=True, sequence=asked.sequence).to_bytes()

        line.meddle = once
        await eventually(lambda: code in codes(line))
        await eventually(lambda: codes(line)[codes(line).index(code) :].count(Reply.ACK) == 2)
        at = codes(line).index(code)
        assert line.frames[at + 1].sequence == line.frames[at - 1].sequence  # asked again: libosdp has not seen it
        device.present(CARD)
        assert await sighted(watch) == CREDENTIAL


async def test_tamper_and_power_are_conditions() -> None:
    """An open housing and a failing supply are said; what is read counts all the same, and both can end."""
    device = EmulatedOsdp()
    async with PtyHost(device) as host, watching(reader(host.port)) as watch:
        await watch.online()
        for told, said in (({"tamper": True}, "is tampered with"), ({"power": True}, "has a failing supply")):
            device.fare(**told)
            assert said in await watch.offline(watch.here)
            here = watch.here
            device.present(CARD)
            assert await sighted(watch, here) == CREDENTIAL
            device.fare()
            await watch.online(here)


async def test_lamp_and_beeper() -> None:
    """Colour and time, and how often it beeps; the last signal replaces those that wait."""
    device, shown = EmulatedOsdp(), []
    device.on_show = lambda colour, much: shown.append((colour, much))
    async with PtyHost(device) as host:
        lane = reader(host.port)
        assert issubclass(type(lane), Indicator)
        lane.show(Signal(Colour.RED))  # nobody is there yet: never shown
        async with watching(lane) as watch:
            await watch.online()
            lane.show(Signal(Colour.AMBER, blink=True, beeps=9))
            lane.show(Signal(Colour.GREEN, beeps=2, seconds=1.5))
            await eventually(lambda: len(shown) == 2)
            lane.show(Signal(Colour.OFF, seconds=100))
            await eventually(lambda: len(shown) == 3)
            assert shown == [("green", 1.5), ("", 2), ("off", 25.5)]
            assert watch.conditions == [Condition(True)]


async def test_no_lamp_is_no_matter() -> None:
    """A reader that tells of none is not asked for it."""
    line = Between(device := EmulatedOsdp(lamp=False))
    async with PtyHost(line) as host:
        lane = reader(host.port)
        async with watching(lane) as watch:
            await watch.online()
            lane.show(Signal(Colour.GREEN, beeps=1))
            device.present(CARD)
            await sighted(watch)
    assert not {frame.code for frame in line.frames if not frame.reply} & {Cmd.LED, Cmd.BUZ}


async def test_a_lamp_that_is_refused_is_asked_for_once() -> None:
    """The library ends the session; it is begun anew at once, without a word, and the lamp is left alone."""
    line = Between(device := EmulatedOsdp())

    def refuse(asked: Frame, answer: bytes) -> bytes:
        if asked.code != Cmd.LED:
            return answer
        return Frame(0, Reply.NAK, bytes([Nak.UNKNOWN]), reply=True, sequence=asked.sequence).to_bytes()

    line.meddle = refuse
    async with PtyHost(line) as host:
        lane = reader(host.port)
        async with watching(lane) as watch:
            await watch.online()
            begun = codes(line).count(Cmd.ID)
            lane.show(Signal(Colour.GREEN))
            await eventually(lambda: codes(line).count(Cmd.ID) > begun)
            await eventually(lambda: codes(line)[-4:].count(Reply.ACK) == 2)
            lane.show(Signal(Colour.GREEN))
            device.present(CARD)
            assert await sighted(watch) == CREDENTIAL
            assert watch.conditions == [Condition(True)]
    assert codes(line).count(Cmd.LED) == 1


async def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install is named."""
    device = EmulatedOsdp()
    monkeypatch.setitem(sys.modules, "osdp_sys", None)
    async with PtyHost(device) as host, watching(reader(host.port)) as watch:
        assert 'pip install "gated[osdp]"' in await watch.offline()


def test_it_costs_nothing_where_none_is_configured() -> None:
    """The driver's module does not load the library."""
    script = "import sys, drivers.osdp; assert not {'osdp', 'osdp_sys'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
