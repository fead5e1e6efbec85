"""One OSDP reader as libosdp speaks to it, without the line: `drivers.osdp` carries the frames.

libosdp is a state machine: each `refresh` moves it on by what has come and by its own clock, and never blocks. So it
needs no thread: it is moved on in the loop when something has come, and when something is due. What is put around it:

- Each reader has a panel of its own, so that a dead one holds up no other's session. Whose turn it is on the line, the
  line decides.
- Only whole, checked frames of the reader that was asked are given to it: it takes noise for the end of a session.
  One that it has no room for is no answer either: it would leave it unread, MAC and all.
- It does not ask each answer in a secure session for its MAC: one that calls itself part of the handshake goes without.
  Here an answer without a MAC is none then; but for a refusal, by which a reader says that it has lost the session.
- A reader that is busy is to be asked the same again, with the same number; libosdp counts back. So busy is no answer:
  what was not answered is asked again as it should be. Nor is that it has another address (COM): nobody asked for it.
- Its challenges come from libc's `rand`, which it never seeds: they would be the same after each start, and the answers
  that somebody had recorded good again. `library` seeds it.
- It leaves a reader that has failed alone for five minutes: it is begun anew here. One panel lasts as long as the
  daemon, since the binding never frees all of one.
- It takes a refused lamp for the end of the session, too. What was refused on a link is not asked for again.
- A reader keeps what it reads while nobody asks it (libosdp#133), and tells it when it is asked again. So after each
  beginning of a session, and after each silence of `SILENCE_S`, no read counts until the reader has had nothing to tell
  for once: only then is it `ready`.

Times are monotonic seconds.
"""

import ctypes
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

from drivers.link import LinkLost
from drivers.port import Colour, Signal
from protocol.osdp import Cmd, Frame, Nak, OsdpCodec, Read, Reply

ANSWER_S: Final = 0.2
"""So long libosdp waits for the first byte of an answer."""
POLL_S: Final = 0.1
SILENCE_S: Final = 2.5

_PACKET_MAX_BYTES: Final = 256  # libosdp's
_PAUSE_S: Final = 0.81  # libosdp asks again after 0.8 s
_LOOK_S: Final = 0.02
_AGAIN_S: Final = 1.0  # from one beginning of a session to the next
_MARGIN_S: Final = 0.005  # libosdp's clock counts ms
_CHARACTER_BITS: Final = 10
_STEPS: Final = 4  # from an answer to the next command are three
_STATUS_BYTES: Final = 2
_LED_TIMED: Final = 2
_TONE: Final = 2
_TENTHS_MAX: Final = 255  # one byte of the binding
_TENTH_S: Final = 0.1
_BLINK_TENTHS: Final = 2
_MISSING: Final = (
    'the library for OSDP is not installed: pip install "gated[osdp]" (docs/hardware/osdp.md); the package "osdp" must '
    "not be there beside it"
)
_KEY: Final = "does not accept the secure channel's key; the key in the reader and the gate's must be the same"
_SET_UP: Final[dict[int, str]] = {
    Cmd.ID: "does not say what it is; look for another reader with its address",
    Cmd.CAP: "has no secure channel; switch it on there, and give it its key",
    Cmd.CHLNG: _KEY,
    Cmd.SCRYPT: _KEY,
}
_RAND_STATE_BYTES: Final = 128  # what libc has by itself
_RAND_HEAD_BYTES: Final = 4
_NO_ANSWER: Final = (Reply.BUSY, Reply.COM)
_OPTIONAL: Final = (Cmd.LSTAT, Cmd.LED, Cmd.BUZ)
_LOST: Final = (bytes([Nak.CHECK]), bytes([Nak.SEQUENCE]))
_SILENT: Final = "does not answer; check its power, its two wires (A and B), its address and baud"
_UNSAFE: Final = "refuses to be asked without a secure channel; give its key"
_UNSTEADY: Final = "answers, but no session with it lasts; check its wires, and look for another panel on them"


class _Context(Protocol):
    """What is used of the binding's control panel."""

    def refresh(self) -> None: ...
    def status(self) -> int: ...
    def sc_status(self) -> int: ...
    def disable_pd(self, pd: int) -> bool: ...
    def enable_pd(self, pd: int) -> bool: ...
    def flush_commands(self, pd: int) -> int: ...
    def submit_command(self, pd: int, command: dict[str, object]) -> bool: ...
    def check_capability(self, pd: int, capability: int) -> tuple[int, int]: ...
    def set_event_callback(self, callback: Callable[[int, dict[str, Any]], int]) -> None: ...


@dataclass(frozen=True, slots=True)
class Health:
    """What a reader says of itself: its housing is open, its supply is low."""

    tamper: bool
    power: bool


class Channel:
    """What libosdp reads and writes: bytes in memory. Raises nothing, as the library could not bear it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.sent = bytearray()

    def read(self, size: int) -> bytes:
        """What has come, `size` bytes at most."""
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def write(self, data: bytes) -> int:
        """Keep all of it to be sent."""
        self.sent += data
        return len(data)

    def flush(self) -> None:
        """Forget what has come."""
        self.received.clear()

    def take(self) -> bytes:
        """What is to be sent."""
        data = bytes(self.sent)
        self.sent.clear()
        return data


class Panel:
    """The session with one reader. `key` None is one without a secure channel. Raises LinkLost without libosdp."""

    def __init__(self, address: int, key: bytes | None, baud: int) -> None:
        osdp, osdp_sys = library()
        self.address = address
        self.due = 0.0
        self._osdp = osdp
        self._status_notice: int = osdp_sys.EVENT_NOTIFICATION_PD_STATUS
        self._secured = key is not None
        self._channel = Channel()
        self._sent = OsdpCodec()
        self._byte_s = _CHARACTER_BITS / baud
        self._asked = 0
        self._refused: set[int] = set()
        self._events: list[Read | Health] = []
        self._fell = self._drained = False
        self._began_at = self._anew_at = self._answered_at = self._ready_at = 0.0
        self._fault = ""
        flags = [osdp.LibFlag.EnableNotification, osdp.LibFlag.IgnoreUnsolicited]
        flags += [osdp.LibFlag.EnforceSecure] if self._secured else []
        info = osdp.PDInfo(address, self._channel, scbk=key, flags=flags).get()
        self._context: _Context = osdp_sys.ControlPanel([info])
        self._context.set_event_callback(self._event)

    @property
    def ready(self) -> bool:
        """Whether what the reader tells counts."""
        return self._drained and self._online

    def trouble(self, now: float) -> str:
        """Why it is not ready, and what to do; "" where it is, or may be at any moment."""
        if self.ready or now - self._ready_at < SILENCE_S:
            return ""
        return self._fault or (_UNSTEADY if now - self._began_at >= SILENCE_S else "")

    def silent(self, now: float) -> bool:
        """Whether it has been silent for too long; then it is not ready any more."""
        if now < self.silent_at:
            return False
        self._drained = False
        self._fault = _SILENT
        return True

    @property
    def silent_at(self) -> float:
        """When it will have been silent for too long."""
        return self._answered_at + SILENCE_S

    def begin(self, now: float) -> None:
        """Take word of a new link: nothing that was read before counts."""
        self._began_at = self._answered_at = self.due = now
        self._ready_at = 0.0
        self._fault = ""
        self._drained = False
        self._refused.clear()
        self._channel.flush()

    def turn(self, now: float) -> bytes:
        """The frame to send now, b"" for none; `due` is when to ask again."""
        if self._fell and now >= self._anew_at:
            self._begin_anew(now)
        self._move()
        out = self._channel.take()
        if not out:
            self.due = self._anew_at if self._fell else now + (POLL_S if self._online else _LOOK_S)
        for frame in self._sent.feed(out):
            self._asked = frame.code
        return out

    def patience(self, out: bytes) -> float:
        """How long an answer to this frame is waited for, in s."""
        return ANSWER_S + len(out) * self._byte_s + _MARGIN_S

    def missed(self, now: float) -> None:
        """There was no answer."""
        self._move()
        self.due = now + (0.0 if self._fell else _PAUSE_S)

    def takes(self, frame: Frame) -> bool:
        """Whether a frame is an answer at all, or no more than noise on the line."""
        if frame.code in _NO_ANSWER or len(frame.to_bytes()) > _PACKET_MAX_BYTES:
            return False
        return bool(frame.mac) or frame.code == Reply.NAK or not self._context.sc_status()

    def heard(self, frame: Frame, now: float) -> list[Read | Health]:
        """Take the answer, one that it `takes`; what of it counts."""
        was_online = self._online and not self.silent(now)
        self._answered_at = now
        if frame.code == Reply.NAK and self._asked in _OPTIONAL and self._within(frame):
            self._refused.add(self._asked)
        self._channel.received += frame.to_bytes()
        self._move()
        if not (was_online and self._online):
            self._drained = False
        elif self._asked == Cmd.POLL and frame.code == Reply.ACK:
            self._drained = True
        if self.ready:
            self._ready_at, self._fault = now, ""
        if self._online and not was_online and Cmd.LSTAT not in self._refused:
            self._submit(self._osdp.Command.Status, type=self._osdp.StatusReportType.Local)
        elif self._fell:
            self._fault = self._why(frame)
        self.due = now if self._fell or self._channel.sent or not was_online else now + POLL_S
        events, self._events = self._events, []
        return [event for event in events if self.ready or isinstance(event, Health)]

    def show(self, signal: Signal, now: float) -> None:
        """Show it on the reader's lamp and beeper, as far as it has them; nothing where it is not ready."""
        if not self.ready:
            return
        osdp, colours = self._osdp, self._osdp.CommandLEDColor
        self._context.flush_commands(0)
        tenths = min(round(signal.seconds / _TENTH_S), _TENTHS_MAX)
        if tenths and self._has(osdp.Capability.LEDControl, Cmd.LED):
            lit = {Colour.GREEN: colours.Green, Colour.AMBER: colours.Amber, Colour.RED: colours.Red}
            self._submit(
                osdp.Command.LED,
                reader=0,
                led_number=0,
                temporary=True,
                control_code=_LED_TIMED,
                on_color=lit.get(signal.colour, colours.Black),
                off_color=colours.Black,
                on_count=_BLINK_TENTHS if signal.blink else tenths,
                off_count=_BLINK_TENTHS if signal.blink else 0,
                timer_count=tenths,
            )
        if signal.beeps and self._has(osdp.Capability.AudibleControl, Cmd.BUZ):
            times = min(signal.beeps, _TENTHS_MAX)
            self._submit(osdp.Command.Buzzer, reader=0, control_code=_TONE, on_count=1, off_count=1, rep_count=times)
        self.due = now

    @property
    def _online(self) -> bool:
        """Whether the session stands, and is secured where it has to be."""
        return bool(self._context.status()) and (not self._secured or bool(self._context.sc_status()))

    def _move(self) -> None:
        """Let libosdp do what there is to do, up to a frame."""
        for _ in range(_STEPS):
            if self._channel.sent:
                return
            self._context.refresh()

    def _begin_anew(self, now: float) -> None:
        for order in (self._context.disable_pd, self._context.enable_pd):
            order(0)
            self._context.refresh()
        self._fell = False
        self._anew_at = now + _AGAIN_S

    def _within(self, frame: Frame) -> bool:
        """Whether the answer is of a session that stands, and not of a reader that has lost it."""
        return bool(frame.mac) if self._secured else frame.data[:1] not in _LOST

    def _why(self, frame: Frame) -> str:
        """Why the session has ended with this answer."""
        if self._asked in _SET_UP:
            return _SET_UP[self._asked]
        return _UNSAFE if frame.code == Reply.NAK and not self._secured and self._asked == Cmd.POLL else ""

    def _has(self, capability: int, command: Cmd) -> bool:
        return command not in self._refused and self._context.check_capability(0, capability)[0] > 0

    def _submit(self, command: int, **fields: object) -> None:
        self._context.submit_command(0, {"command": command, **fields})

    def _event(self, _: int, event: dict[str, Any]) -> int:
        """Keep what libosdp tells. The dictionary is emptied: the binding never frees it."""
        kind = event.get("event")
        if kind == self._osdp.Event.CardRead:
            self._events.append(_read(event))
        elif kind == self._osdp.Event.Status and event["type"] == self._osdp.StatusReportType.Local:
            tamper, power = event["report"][:_STATUS_BYTES]
            self._events.append(Health(bool(tamper), bool(power)))
        elif kind == self._osdp.Event.Notification and event["type"] == self._status_notice and not event["arg0"]:
            self._fell = True
        event.clear()
        return 0


def library() -> tuple[Any, Any]:
    """The constants of libosdp, and its binding, silent and seeded. Raises LinkLost where it is not installed."""
    try:
        import osdp  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, for whoever has such readers
        import osdp_sys  # type: ignore[import-not-found]  # noqa: PLC0415 - the same
    except ImportError as error:
        raise LinkLost(_MISSING) from error
    osdp_sys.set_loglevel(osdp.LogLevel.Emergency)
    _seeded()
    return osdp, osdp_sys


@cache
def _seeded() -> ctypes.Array[ctypes.c_char]:
    """The state of libc's `rand`, for good: as much of it at random as there is; `srand` would take 32 bits."""
    memory = bytearray(_RAND_STATE_BYTES)
    state = (ctypes.c_char * _RAND_STATE_BYTES).from_buffer(memory)
    initstate = ctypes.CDLL(None).initstate
    initstate.argtypes = (ctypes.c_uint, ctypes.c_char_p, ctypes.c_size_t)
    initstate(1, state, _RAND_STATE_BYTES)
    memory[_RAND_HEAD_BYTES:] = secrets.token_bytes(_RAND_STATE_BYTES - _RAND_HEAD_BYTES)
    return state


def _read(event: dict[str, Any]) -> Read:
    """A card. Of a format that the standard does not know, the binding takes the number of bits for that of bytes."""
    count = event.get("length", len(event["data"]))
    return Read(event["reader_no"], event["format"], count, event["data"][: (count + 7) // 8])
