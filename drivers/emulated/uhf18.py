"""The other side of `drivers.uhf18`."""

from dataclasses import replace
from typing import Final, Literal

from drivers.emulated.chips import EmulatedChips
from protocol.gen2 import TID_BANK, WORD_BYTES
from protocol.uhf18 import (
    BROADCAST,
    Cmd,
    Command,
    CommandCodec,
    Heartbeat,
    Info,
    Reply,
    Status,
    inventory_data,
)

_EPCS_A_FRAME: Final = 4
_SCAN_UNIT_S: Final = 0.1
_SIGNAL_BYTES: Final = 3  # on, off, times
_READ_TAIL_BYTES: Final = 7  # bank, first word, number of words, password
_INFO: Final = Info((5, 2), 0x86, 0x02, 0x31, 0x80, 26, 0.3)


class EmulatedUhf18:
    """A reader with the tags of `field` (EPCs as hex) before its antenna. While `silent` it says nothing at all.

    While `stubborn` it takes another power, and keeps its own. A tag enters as EPC, or as EPC/TID where its chip is
    another. While `deaf`, chips do not answer. `failure` is the status of each inventory, where it is not None. `beeps`
    are those that it was asked for, which it takes without a word while `dumb`. In active mode it says what it is, and
    answers nothing that concerns tags.
    """

    def __init__(self, address: int = 0, mode: Literal["answer", "active"] = "answer") -> None:
        self.field: set[str] = set()
        self.mode = mode
        self.silent = False
        self.deaf = False
        self.dumb = False
        self.failure: int | None = None
        self.beeps: list[int] = []
        self.chips = EmulatedChips()
        self.reads: list[str] = []
        self.info = _INFO
        self.stubborn = False
        self._address = address
        self._codec = CommandCodec()

    def enter(self, epc: str) -> None:
        """A tag comes into the field."""
        self.field.add(self.chips.tag(epc))

    def leave(self, epc: str) -> None:
        """A tag leaves the field."""
        self.field.discard(epc.upper().partition("/")[0])

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        commands = self._codec.feed(data) + self._codec.gap()
        ours = [command for command in commands if command.address in (self._address, BROADCAST)]
        return b"" if self.silent else b"".join(self._answer(command) for command in ours)

    def push(self, epc: str) -> bytes:
        """The report of a tag in active mode."""
        return self._reply(Cmd.REPORT, Status.OK, bytes.fromhex(epc))

    def heartbeat(self) -> bytes:
        """The heartbeat of a reader that has called the host."""
        return Heartbeat().to_bytes()

    def _answer(self, command: Command) -> bytes:
        match command.command, command.data:
            case (Cmd.INVENTORY | Cmd.READ as code, data):
                return b"" if self.mode == "active" else self._of_tags(code, data)
            case (Cmd.SIGNAL, data) if len(data) == _SIGNAL_BYTES:
                self.beeps.append(data[-1])
                return b"" if self.dumb else self._reply(Cmd.SIGNAL, Status.OK)
            case (Cmd.INFO, b""):
                return self._reply(Cmd.INFO, Status.OK, self.info.to_data())
            case (Cmd.POWER, data) if len(data) == 1:
                if not self.stubborn:
                    self.info = replace(self.info, power_dbm=data[0])
                return self._reply(Cmd.POWER, Status.OK)
            case (Cmd.SCAN_TIME, data) if len(data) == 1:
                self.info = replace(self.info, scan_s=data[0] * _SCAN_UNIT_S)
                return self._reply(Cmd.SCAN_TIME, Status.OK)
            case _:
                return self._reply(0, Status.BAD_COMMAND)

    def _of_tags(self, code: int, data: bytes) -> bytes:
        if code == Cmd.INVENTORY and not data:
            return self._inventory()
        if code == Cmd.READ and len(data) > data[0] * WORD_BYTES + _READ_TAIL_BYTES:
            return self._read(data)
        return self._reply(code, Status.BAD_LENGTH)

    def _read(self, data: bytes) -> bytes:
        epc, (bank, first, words) = data[1 : (end := 1 + data[0] * WORD_BYTES)].hex().upper(), data[end : end + 3]
        self.reads.append(epc)
        if epc not in self.field or self.deaf:
            return self._reply(Cmd.READ, Status.NO_TAG)
        read = self.chips.read(epc, first + words) if bank == TID_BANK else None
        if read is None:
            return self._reply(Cmd.READ, Status.TAG_ERROR, b"\x03")
        return self._reply(Cmd.READ, Status.OK, read[first * WORD_BYTES :])

    def _inventory(self) -> bytes:
        tags = [bytes.fromhex(epc) for epc in sorted(self.field)]
        if self.failure is not None:
            return self._reply(Cmd.INVENTORY, self.failure)
        if not tags:
            return self._reply(Cmd.INVENTORY, Status.NO_TAG)
        parts = [tags[at : at + _EPCS_A_FRAME] for at in range(0, len(tags), _EPCS_A_FRAME)]
        statuses = [Status.MORE] * (len(parts) - 1) + [Status.DONE]
        frames = zip(parts, statuses, strict=True)
        return b"".join(self._reply(Cmd.INVENTORY, status, inventory_data(part)) for part, status in frames)

    def _reply(self, command: int, status: int, data: bytes = b"") -> bytes:
        return Reply(self._address, command, status, data).to_bytes()
