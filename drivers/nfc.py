"""NFC readers by nfcpy (the extra `nfc`): PN532 on a serial line, ACR122U and others on USB.

What nfcpy does it does waiting, so each connection has a thread of its own (`drivers.nfc_link`), which runs
`drivers.nfc_frontend`: there, and in `drivers.nfc_device`, is all that imports nfcpy.
"""

import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Final, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drivers import nfc_usb
from drivers.firmware import LeastDottedHex
from drivers.link import STEP_S, Link, LinkLost, keep
from drivers.nfc_link import FrontendLink, FrontendOpener, hanging
from drivers.port import About, Condition, Quiet, Signal
from drivers.records import Prove, Records
from drivers.registry import Driver, Ports, Role
from protocol.sighting import Sighting

_MISSING: Final = 'the library for NFC readers is not installed: pip install "gated[nfc]" (docs/hardware/nfc.md)'
_PORT: Final = re.compile(
    rf"tty:[A-Za-z0-9-]+:(?:pn532|arygon)|{nfc_usb.PATTERN}|udp:[A-Za-z0-9.-]+:[0-9]{{1,5}}|/[A-Za-z0-9/_.:+-]+"
)


def checked(port: str) -> str:
    """`port` as it is. Raises ValueError, with what would be right, where it is none."""
    if not _PORT.fullmatch(port):
        raise ValueError(
            f"{port!r} is no port of an NFC reader: /dev/serial/by-id/… or tty:USB0:pn532 (a PN532 on a serial line), "
            "usb:072f:2200 (maker and model) or usb:1-1.4 (the socket) would be right"
        )
    return port


class Options(BaseModel):
    """Options of an NFC reader."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: Annotated[str, AfterValidator(checked)] = Field(
        description="where the reader is: /dev/serial/by-id/…, tty:USB0:pn532, usb:072f:2200, usb:1-1.4"
    )
    firmware_least: LeastDottedHex = None


class NfcReader:
    """An NFC reader: it says what it is (`drivers.port.Telling`), and shows signals if it has a lamp (`Indicator`)."""

    def __init__(self, name: str, options: Options, prove: Prove, rand: Callable[[], float]) -> None:
        self.about = About()
        self.last_heard: float | None = None
        self._name = name
        self._prove = prove
        self._opener = FrontendOpener(options.port, self._in_thread)
        self._rand = rand
        self._link: FrontendLink | None = None

    async def reports(self) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        """See `drivers.port.Reader`."""
        try:
            async with aclosing(keep(self._opener, self._watch, self._rand)) as reports:
                async for report in reports:
                    yield report
        finally:
            await self._opener.ended()

    def show(self, signal: Signal) -> None:
        """See `drivers.port.Indicator`."""
        if self._link is not None:
            self._link.show(signal)

    async def _watch(self, opened: Link) -> AsyncGenerator[Sighting | Condition | Quiet, None]:
        self._link = link = cast("FrontendLink", opened)  # our opener opens no other
        self.about = link.about
        try:
            yield Condition(True)
            while (left := link.hangs_in(time.monotonic())) > 0:
                sightings = await link.taken(min(STEP_S, left))
                self.last_heard = link.heard or self.last_heard
                for sighting in sightings:
                    yield sighting
                yield Quiet()
            raise LinkLost(hanging(link.port))
        finally:
            self._link = None

    def _in_thread(self, link: FrontendLink) -> None:
        try:
            from drivers.nfc_frontend import serve  # noqa: PLC0415 - an extra, of 12 MB and 0.2 s
        except ImportError as error:
            raise LinkLost(_MISSING) from error
        serve(link, self._name, self._prove)


def make(name: str, options: Options, ports: Ports) -> NfcReader:
    """The reader `name`."""
    return NfcReader(name, options, Records.of(ports).prove, ports.rand)


DRIVER: Final = Driver("nfc", Role.READER, Options, make)
