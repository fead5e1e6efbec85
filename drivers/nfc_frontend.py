"""What the thread of an NFC reader does, by nfcpy, which waits: looks for chips, reads their records, tells of them.

A chip
- Type A (ISO 14443) and FeliCa are looked for. Type B is not: the number that it gives may be drawn anew each time.
- Its record is read once each time it comes into the field, and goes to `prove` with its UID. Proved, the chip is that
  credential; else its `uid:`. Away for less than `AGAIN_S` it has not been away.
- Where the reading broke off it is read again, `READS` times, while the chip stays: then only the bare UID counts.
- A UID that a phone has drawn by lot (08 and three more bytes) is no credential. What such a chip proves counts.
- While it stays it is told of again every `PRESENT_S`, without another reading.

What a chip may not do
- Hold the thread: no frame is waited for longer than `FRAME_S`, and a record no longer than `RECORD_S` in all, however
  often the chip asks for more time.
- Raise: nfcpy lets out errors of any kind where a chip's bytes are not what it expects. Then its record has broken off.

The reader: `FAULTS` looks in a row that fail are its end; the opener opens it anew.
"""

import contextlib
import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import nfc.clf  # type: ignore[import-untyped]
import nfc.tag  # type: ignore[import-untyped]
import nfc.tag.tt2  # type: ignore[import-untyped]

from drivers import nfc_device, nfc_lamp
from drivers.nfc_link import FrontendLink
from drivers.port import Signal
from drivers.records import Prove
from protocol.credential import Credential
from protocol.sighting import Proved, Sighting

LOOK_S: Final = 0.1
PRESENT_S: Final = 0.1
AGAIN_S: Final = 1.0
READS: Final = 3
FRAME_S: Final = 0.5
RECORD_S: Final = 3.0  # 500 bytes take about a second of a PN532 at 115,200 baud
FAULTS: Final = 2

_TECHNOLOGIES: Final = ("106A", "212F")
_SINGLE_BYTES: Final = 4
_UID_BYTES: Final = (_SINGLE_BYTES, 7, 10)
_IDM_BYTES: Final = 8
_CASCADE: Final = 0x88  # ISO 14443-3, 6.5.4: stands before the parts of a longer UID
_NO_NAMES: Final = (0x08, _CASCADE)  # as the first of four bytes: drawn by lot, and part of another UID
_CLASSIC: Final = 0x08  # SEL_RES: MIFARE Classic, whose memory nfcpy cannot read; not with ISO 14443-4 beside it
_ISO_DEP: Final = 0x20
_CC: Final = 12  # the byte of a Type 2 chip's memory that says whether it is made for NDEF
_CC_NDEF: Final = 0xE1
_ANSWER_S: Final = 0.5

T = TypeVar("T")


class _BrokenOffError(Exception):
    """A chip's record has not been read to its end."""


@dataclass(slots=True)
class _Chip:
    """The chip that is in the field, or was last. `settled` once it is known what it counts as: None for nothing."""

    uid: bytes
    at: float
    reads: int = 0
    settled: bool = False
    proved: Proved | None = None

    @property
    def named(self) -> Credential | None:
        """The UID as a credential, where it is one."""
        if not self.uid or (len(self.uid) == _SINGLE_BYTES and self.uid[0] in _NO_NAMES):
            return None
        return Credential(f"uid:{self.uid.hex().upper()}")

    def sighting(self, reader: str, at: float) -> Sighting | None:
        """What it is seen as."""
        named = self.named
        if self.proved is not None:
            also = () if named is None else (named,)
            return Sighting(reader, self.proved.credential, at, also=also, card=self.proved.card)
        return None if named is None else Sighting(reader, named, at)


def serve(link: FrontendLink, name: str, prove: Prove) -> None:
    """Open the reader of this link, tell of chips until it is to end or is lost, close it. Raises LinkLost."""
    frontend = nfc_device.opened(link.port)
    try:
        Field(frontend, link, name, prove).run()
    finally:
        nfc_device.close(frontend)


class Field:
    """What is in one reader's field. Everything here is the thread's."""

    def __init__(self, frontend: Any, link: FrontendLink, name: str, prove: Prove) -> None:
        self._frontend = frontend
        self._link = link
        self._name = name
        self._prove = prove
        self._chip: _Chip | None = None
        self._until = 0.0  # no frame goes out after this
        self._dark_at = 0.0
        self._speaks = not link.port.startswith("udp:")  # on nfcpy's UDP path only chips speak
        self._exchange = frontend.exchange
        self._sense = frontend.sense
        frontend.exchange = self._bounded
        frontend.sense = self._beating
        self._lamp = frontend.device.chipset.ccid_xfr_block if nfc_device.is_acr122u(frontend) else None

    def run(self) -> None:
        """Look until it is to end. Raises LinkLost where the reader does not answer."""
        self._light(nfc_lamp.IDLE)
        self._link.ready(nfc_device.about(self._frontend))
        faults = 0
        while not self._link.ending:
            try:
                self._look()
                faults = 0
            except _BrokenOffError:
                return  # it is to end
            except OSError as error:
                faults += 1
                if faults >= FAULTS:
                    raise nfc_device.lost(self._link.port, error) from error
            self._pause(LOOK_S)

    def _look(self) -> None:
        """One look into the field; with a chip there, until it leaves. Raises OSError where the reader fails."""
        target = self._found()
        if target is None:
            if self._chip is not None and not self._chip.settled:
                self._chip = None  # what reading it broke off for: it left
            return
        classic = _is_classic(target)
        tag = None if classic else self._try(lambda: nfc.tag.activate(self._frontend, target))
        chip = self._came(_uid(target, tag))
        if not chip.settled:
            self._settle(chip, b"" if classic else self._record(tag))
        while chip.settled and not self._link.ending:
            self._tell(chip)
            self._pause(PRESENT_S)
            if tag is None or not self._try(lambda: tag.is_present):
                return

    def _found(self) -> Any:
        """What answers in the field. Raises OSError for all that the reader does wrong."""
        for technology in _TECHNOLOGIES:
            try:
                target = self._frontend.sense(nfc.clf.RemoteTarget(technology))
            except (OSError, _BrokenOffError):
                raise
            except Exception as error:
                raise OSError(errno.EIO, repr(error)) from error
            self._link.beat(heard=self._speaks or target is not None)
            if target is not None:
                return target
        return None

    def _came(self, uid: bytes) -> _Chip:
        now = time.monotonic()
        if self._chip is None or self._chip.uid != uid or now - self._chip.at > AGAIN_S:
            self._chip = _Chip(uid, now)
        return self._chip

    def _settle(self, chip: _Chip, message: bytes | None) -> None:
        """Find out what the chip counts as, unless its record broke off (None) and may still be read to its end."""
        chip.at = time.monotonic()
        chip.reads += 1
        if message is None and chip.reads < READS:
            return
        if message:
            self._link.rest()
            chip.proved = self._prove(message, chip.uid)
            self._link.beat()
        chip.settled = True

    def _record(self, tag: Any) -> bytes | None:
        """The chip's NDEF message; b"" where it has none for sure, None where reading it broke off."""

        def read() -> bytes | None:
            if isinstance(tag, nfc.tag.tt2.Type2Tag) and tag.read(0)[_CC] != _CC_NDEF:
                return b""
            ndef = tag.ndef
            return None if ndef is None else bytes(ndef.octets)

        return None if tag is None else self._try(read)

    def _tell(self, chip: _Chip) -> None:
        chip.at = time.monotonic()
        self._link.beat(heard=True)
        sighting = chip.sighting(self._name, chip.at)
        if sighting is not None:
            self._link.tell(sighting)

    def _try(self, work: Callable[[], T]) -> T | None:
        """What nfcpy makes of a chip's bytes; None where they were wrong. Raises OSError where the reader fails."""
        self._until = time.monotonic() + RECORD_S
        try:
            return work()
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - see above
            return None

    def _bounded(self, data: bytes, timeout: float) -> Any:
        if self._link.ending or time.monotonic() > self._until:
            raise _BrokenOffError
        self._link.beat()
        return self._exchange(data, min(timeout, FRAME_S) if self._speaks else FRAME_S)  # a datagram can be late

    def _beating(self, *targets: Any, **options: Any) -> Any:
        if self._link.ending:
            raise _BrokenOffError
        self._link.beat()
        return self._sense(*targets, **options)

    def _pause(self, seconds: float) -> None:
        """Wait, show what there is to show, and darken the lamp when its time is up."""
        signal = self._link.pause(seconds)
        now = time.monotonic()
        if signal is not None:
            self._light(signal)
            self._dark_at = now + signal.seconds
        elif 0 < self._dark_at <= now:
            self._light(nfc_lamp.IDLE)
            self._dark_at = 0.0

    def _light(self, signal: Signal) -> None:
        """Best effort: a lamp that does not answer is no reason to read no cards."""
        if self._lamp is not None:
            with contextlib.suppress(OSError):
                self._lamp(bytearray(nfc_lamp.command(signal)), timeout=nfc_lamp.seconds(signal) + _ANSWER_S)
            self._link.beat()


def _uid(target: Any, tag: Any) -> bytes:
    """The chip's number, b"" for none: without the cascade tags that some readers leave in one of 7 or 10 bytes."""
    if not target.sdd_res:
        uid = bytes(getattr(tag, "identifier", b""))  # FeliCa, Topaz
        return uid if len(uid) in (_SINGLE_BYTES, _IDM_BYTES) else b""
    uid = bytes(target.sdd_res)
    match len(uid):
        case 8 if uid[0] == _CASCADE:
            uid = uid[1:]
        case 12 if uid[0] == uid[4] == _CASCADE:
            uid = uid[1:4] + uid[5:]
    return uid if len(uid) in _UID_BYTES else b""


def _is_classic(target: Any) -> bool:
    sel = target.sel_res
    return bool(sel) and sel[0] & (_CLASSIC | _ISO_DEP) == _CLASSIC
