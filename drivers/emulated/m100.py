"""The other side of `drivers.m100`."""

import asyncio
from typing import Final

from drivers.emulated.chips import EmulatedChips
from drivers.emulated.host import Host
from protocol.gen2 import TID_BANK, WORD_BYTES, is_epc, pc_of
from protocol.m100 import Cmd, Error, Frame, Kind, M100Codec, Memory, Region, Tag, power_data

ROUND_S: Final = 0.04

_RSSI_DBM: Final = -55
_VERSIONS: Final = {b"\0": b"M100 26dBm V1.0", b"\1": b"V2.3.5", b"\2": b"MagicRf"}
_OK: Final = b"\x00"
_POLL_BYTES: Final = 3
_SELECT_HEAD_BYTES: Final = 7
_READ_BYTES: Final = 9
_NO_ANSWER: Final = 0x09


class EmulatedM100:
    """A module with the tags of `field` (EPCs as hex) before its antenna. While `silent` it says nothing at all.

    While `asleep` it loses the first byte that it gets, and is awake. `error` is what it answers to each poll, where it
    is not None. While `stubborn` it keeps its own power, whatever is set; while `terse` it does not say how it is set.
    A tag enters as EPC, or as EPC/TID where its chip is another. While `deaf`, chips do not answer.
    """

    def __init__(self) -> None:
        self.field: set[str] = set()
        self.silent = False
        self.deaf = False
        self.chips = EmulatedChips()
        self.reads: list[str] = []
        self.mask = b""
        self.asleep = False
        self.stubborn = False
        self.terse = False
        self.error: int | None = None
        self.region: int = Region.CHINA_920
        self.power = power_data(26)
        self.left = 0
        self._codec = M100Codec()

    def enter(self, epc: str) -> None:
        """A tag comes into the field. Raises ValueError for what is no EPC."""
        own = self.chips.tag(epc)
        if not is_epc(bytes.fromhex(own)):
            raise ValueError("an EPC has 4 to 124 hex digits, four to a word")
        self.field.add(own)

    def reboot(self) -> None:
        """Lose the supply for a moment, and with it the poll and what was set."""
        self.left, self.region, self.power = 0, Region.CHINA_920, power_data(26)

    def leave(self, epc: str) -> None:
        """A tag leaves the field."""
        self.field.discard(epc.upper().partition("/")[0])

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        if self.asleep and data:
            self.asleep, data = False, data[1:]
        frames = self._codec.feed(data) + self._codec.gap()
        commands = [frame for frame in frames if frame.kind is Kind.COMMAND]
        return b"" if self.silent else b"".join(self._answer(command) for command in commands)

    def poll(self) -> bytes:
        """One round of the poll that runs: each tag, or that there is none; nothing where no poll runs."""
        if self.silent or not self.left:
            return b""
        self.left -= 1
        return self._inventory()

    async def run(self, host: Host, every: float = ROUND_S) -> None:
        """Poll by itself, as real modules do, until cancelled."""
        while True:
            host.send(self.poll())
            await asyncio.sleep(every)

    def notice(self, epc: str) -> bytes:
        """The notice of a tag."""
        return Tag.of(bytes.fromhex(epc), _RSSI_DBM).to_frame().to_bytes()

    def _answer(self, command: Frame) -> bytes:
        match command.command, command.parameters:
            case (Cmd.POLL, b""):
                return self._inventory()
            case (Cmd.MULTI_POLL, data) if len(data) == _POLL_BYTES:
                self.left = int.from_bytes(data[1:], "big")
                return self.poll()
            case (Cmd.SET_REGION, data) if len(data) == 1 and data[0] in tuple(Region):
                self.region = data[0]
            case (Cmd.SET_POWER, data) if len(data) == len(self.power):
                self.power = self.power if self.stubborn else data
            case (Cmd.STOP, b""):
                self.left = 0
            case (Cmd.SELECT, data) if len(data) > _SELECT_HEAD_BYTES:
                self.mask = data[_SELECT_HEAD_BYTES:]
            case (Cmd.READ, data) if len(data) == _READ_BYTES:
                return self._read(data[4], int.from_bytes(data[5:7], "big"), int.from_bytes(data[7:], "big"))
            case (Cmd.INFO | Cmd.REGION | Cmd.POWER, what):
                return self._tell(command.command, what[:1])
            case _:
                return _reply(Cmd.ERROR, bytes([Error.BAD_COMMAND]))
        return _reply(command.command, _OK)

    def _tell(self, code: int, what: bytes) -> bytes:
        """What it is, and how it is set."""
        if code == Cmd.INFO:
            return _reply(code, what + _VERSIONS.get(what, b""))
        return b"" if self.terse else _reply(code, bytes([self.region]) if code == Cmd.REGION else self.power)

    def _read(self, bank: int, first: int, words: int) -> bytes:
        """Memory of the selected tag."""
        epc = next((tag for tag in sorted(self.field) if bytes.fromhex(tag).startswith(self.mask)), None)
        if epc is None or self.deaf:
            return _reply(Cmd.ERROR, bytes([_NO_ANSWER]))
        self.reads.append(epc)
        own = bytes.fromhex(epc)
        read = self.chips.read(epc, first + words) if bank == TID_BANK else None
        if read is None:
            told = pc_of(own) + own
            return _reply(Cmd.ERROR, bytes([Error.READ_BEYOND, len(told)]) + told)
        return Memory(pc_of(own), own, read[first * WORD_BYTES :]).to_frame().to_bytes()

    def _inventory(self) -> bytes:
        if self.error is not None or not self.field:
            return _reply(Cmd.ERROR, bytes([Error.NO_TAG if self.error is None else self.error]))
        return b"".join(self.notice(epc) for epc in sorted(self.field))


def _reply(code: int, parameters: bytes) -> bytes:
    return Frame(Kind.REPLY, code, parameters).to_bytes()
