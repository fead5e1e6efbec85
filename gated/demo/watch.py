"""What the demo knows of its gate: the daemon's status, asked again and again, and its journal, read as it is written.

`tell` gets a line for everything that happens: at a lane, to a device, to the daemon. The view has its last ones.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from gated import control
from gated.demo import words
from gated.demo.check import Mark
from gated.demo.daemon import Daemon
from gated.demo.post import TIMEZONE, EmulatedPost
from gated.recording import journal_read
from gated.recording.journal_read import JournalUnreadable
from gated.recording.store import FILE_NAME
from protocol.event import ClockQuality

LOOK_S: Final = 0.25
RATE_S: Final = 10.0
KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class Heard:
    """The last lines, oldest first: of what happened at lanes, and of all else. Several gates may share them."""

    passages: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    news: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))


class Watch:
    """Looks at one gate. `ready` is set while its daemon answers, and has once had all its devices.

    `label` stands before each line; `event` hears each event as it is read.
    """

    def __init__(
        self,
        post: EmulatedPost,
        daemon: Daemon,
        tell: Callable[[str], None],
        *,
        label: str = "",
        heard: Heard | None = None,
        event: Callable[[words.Event], None] = lambda _: None,
    ) -> None:
        self.ready = asyncio.Event()
        self.status: dict[str, Any] | None = None
        self.answered = 0
        """How many lives of the daemon have answered."""
        self.back_s = 0.0
        """The longest time from a kill to an answer."""
        self.mark = Mark()
        self.problems: list[str] = []
        self.heard = heard or Heard()
        self.journal = post.state / FILE_NAME
        self._state = post.state
        self._devices = post.count
        self._daemon = daemon
        self._tell = tell
        self._label = label
        self._event = event
        self._last_line = b""
        self._answered_pid: int | None = None
        self._killed_at = 0.0
        self._before_kill = (0, b"")
        self._complete = False
        self._lost: set[str] = set()
        self._recent: deque[float] = deque()

    @property
    def rate(self) -> float:
        """Events a second, over the last ten."""
        while self._recent and self._recent[0] < time.monotonic() - RATE_S:
            self._recent.popleft()
        return len(self._recent) / RATE_S

    def say(self, text: str) -> None:
        """Tell of something that no event tells of."""
        self._hear(f"{datetime.now(ZoneInfo(TIMEZONE)):%H:%M:%S} {text}", self.heard.news)

    def killed(self) -> None:
        """Take note that the daemon has just been killed."""
        self._killed_at = time.monotonic()
        self._before_kill = (self.mark.seq, self._last_line)
        self.status = None
        self.ready.clear()
        self.say(f"kill -9: the daemon is dead; event {self.mark.seq} was the last one read")

    def accept_clock(self) -> None:
        """Say as a technician would that the clock is right, where no time service does: hours are judged by it."""
        if self.status is not None and self.status["clock"]["quality"] == ClockQuality.UNSET:
            with suppress(control.NotRunning):
                control.ask(self._state, {"op": "clock-accept"})

    async def ask(self) -> None:
        """Ask the daemon how it fares, for ever."""
        while True:
            pid = self._daemon.pid
            try:
                status = await asyncio.to_thread(control.ask, self._state, {"op": "status"})
            except (control.NotRunning, OSError):
                status = None
            if pid is not None and pid == self._daemon.pid:
                # Else it was killed meanwhile, and this is a dead one's word.
                self.status = status if status is not None and status["pid"] == pid else None
                await self._answered(pid)
            await asyncio.sleep(LOOK_S)

    async def read(self) -> None:
        """Read the journal as it is written, for ever."""
        await self.ready.wait()
        while True:
            try:
                async for line in journal_read.follow(self.journal, after=self.mark.seq):
                    self._line(line)
            except JournalUnreadable:
                await asyncio.sleep(LOOK_S)  # a daemon that starts has it for itself for a moment

    async def _answered(self, pid: int) -> None:
        if self.status is None:
            self.ready.clear()
            return
        if pid != self._answered_pid:
            self._answered_pid = pid
            self.answered += 1
            if self._killed_at:
                await self._back(pid)
        devices = self.status["devices"].values()
        self._complete |= len(devices) == self._devices and all(device["online"] for device in devices)
        if self._complete:
            self.ready.set()

    async def _back(self, pid: int) -> None:
        took_s = time.monotonic() - self._killed_at
        self.back_s = max(self.back_s, took_s)
        seq, line = self._before_kill
        found = await asyncio.to_thread(self._written, seq) if line else line
        if found == line:
            kept = f"nothing lost, event {seq} is there" if line else "nothing had been read"
        else:
            kept = f"event {seq} is LOST"
            self.problems.append(f"event {seq} was not in the journal after a kill")
        self.say(f"daemon back after {took_s:.1f} s, pid {pid}: {kept}")

    def _written(self, seq: int) -> bytes:
        try:
            return next(journal_read.lines(self.journal, after=seq - 1), b"")
        except JournalUnreadable:
            return b""

    def _line(self, line: bytes) -> None:
        event = json.loads(line)
        self.mark = self.mark.after(event["seq"], line)
        self._last_line = line
        self._recent.append(time.monotonic())
        self._event(event)
        if text := words.passage(event):
            self._hear(text, self.heard.passages)
        elif self._is_news(event) and (text := words.news(event)):
            self._hear(text, self.heard.news)

    def _is_news(self, event: words.Event) -> bool:
        """Devices come online at each start: only one that had been lost is told of."""
        if event.get("what") == "start":
            self._lost.clear()
        device = event.get("device")
        if device is None:
            return True
        known = device in self._lost
        (self._lost.discard if event["online"] else self._lost.add)(device)
        return known or not event["online"]

    def _hear(self, text: str, kept: deque[str]) -> None:
        text = self._label + text.replace(f"{self._state.parent}/", "")
        kept.append(text)
        self._tell(text)
