"""The other side of `drivers.osdp`: readers as libosdp emulates them, one or several on a line."""

import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from drivers.emulated.host import Device
from drivers.emulated.wiegand import card_of
from drivers.osdp_panel import Channel, library
from drivers.port import Colour

_UID: Final = re.compile(r"uid:((?:[0-9A-Fa-f]{2}){1,16})")
_BITS: Final = re.compile(r"[01]{1,128}")
_FORMATS: Final = "26:FACILITY:NUMBER, 34:… or 37:…, uid:HEX, or the bits themselves"
_KEYS: Final = "keys "
_STEPS: Final = 3
_WIEGAND: Final = 1


class _Context(Protocol):
    """What is used of the binding's peripheral device."""

    def refresh(self) -> None: ...
    def submit_event(self, event: dict[str, object]) -> bool: ...
    def set_command_callback(self, callback: Callable[[dict[str, Any]], tuple[int, None]]) -> None: ...


class EmulatedOsdp:
    """A reader with a lamp and a beeper. With a `key` it is spoken to over the secure channel only.

    It keeps what it reads until it is asked, as real ones do. `on_show` is called with the colour that the lamp is told
    and for how many seconds, or with "" for the beeper and how often.
    """

    def __init__(self, address: int = 0, key: bytes | None = None, *, lamp: bool = True) -> None:
        osdp, osdp_sys = library()
        self.on_show: Callable[[str, float], None] = lambda _, __: None
        self._osdp = osdp
        self._channel = Channel()
        flags = [] if key is None else [osdp.LibFlag.EnforceSecure]
        capabilities = [(osdp.Capability.CardDataFormat, 1, 1), (osdp.Capability.CheckCharacter, 1, 0)]
        if lamp:
            capabilities += [(osdp.Capability.LEDControl, 4, 1), (osdp.Capability.AudibleControl, 2, 1)]
        info = osdp.PDInfo(address, self._channel, scbk=key, flags=flags).get()
        self._context: _Context = osdp_sys.PeripheralDevice(info, capabilities=osdp.PDCapabilities(capabilities).get())
        self._context.set_command_callback(self._command)

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        self._channel.received += data
        for _ in range(_STEPS):
            self._context.refresh()
        return self._channel.take()

    def line(self, said: str) -> bytes:
        """Live through it: a card as for `present`, `keys 12#`, `tamper`, `power`, or `well`, which ends both.

        Gives b"": what there is to tell goes out when the reader is asked. Raises ValueError.
        """
        if said.startswith(_KEYS):
            self.press(said.removeprefix(_KEYS).encode())
        elif said in ("tamper", "power", "well"):
            self.fare(tamper=said == "tamper", power=said == "power")
        else:
            self.present(said)
        return b""

    def present(self, shown: str) -> None:
        """Read a card: `26:123:45678`, `uid:04A2B3C4`, or bits as they come. Raises ValueError."""
        bits = _bits(shown)
        data = int(bits.ljust((len(bits) + 7) // 8 * 8, "0"), 2).to_bytes((len(bits) + 7) // 8, "big")
        card = {"reader_no": 0, "direction": 0, "length": len(bits), "format": _WIEGAND, "data": data}
        self._context.submit_event({"event": self._osdp.Event.CardRead, **card})

    def press(self, keys: bytes) -> None:
        """Keys on the keypad."""
        self._context.submit_event({"event": self._osdp.Event.KeyPress, "reader_no": 0, "data": keys})

    def fare(self, *, tamper: bool = False, power: bool = False) -> None:
        """Open or close the housing, fail or mend the supply."""
        local = self._osdp.StatusReportType.Local
        self._context.submit_event({"event": self._osdp.Event.Status, "type": local, "report": bytes([tamper, power])})

    def _command(self, command: dict[str, Any]) -> tuple[int, None]:
        commands, colours = self._osdp.Command, self._osdp.CommandLEDColor
        if command["command"] == commands.LED:
            names = {colours.Green: Colour.GREEN, colours.Amber: Colour.AMBER, colours.Red: Colour.RED}
            self.on_show(names.get(command["on_color"], Colour.OFF), command["timer_count"] / 10)
        elif command["command"] == commands.Buzzer:
            self.on_show("", command["rep_count"])
        return 0, None


class EmulatedOsdpLine:
    """Several readers on one line: all hear everything."""

    def __init__(self, *readers: Device) -> None:
        self._readers = readers

    def receive(self, data: bytes) -> bytes:
        """See Device."""
        return b"".join(reader.receive(data) for reader in self._readers)


def _bits(shown: str) -> str:
    if _BITS.fullmatch(shown):
        return shown
    if uid := _UID.fullmatch(shown):
        return f"{int(uid[1], 16):0{4 * len(uid[1])}b}"
    if card := card_of(shown):
        return card.to_bits()
    raise ValueError(f"no card; write {_FORMATS}")
