"""What the daemon says of itself: one JSON object, for `gated status`, `gated doctor` and the demo."""

import asyncio
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Final

from drivers.firmware import Least
from drivers.port import About, Reader, Telling
from gated import __version__
from gated.clock import Timekeeper
from gated.config import Config
from gated.lanes.barrier import FIRE
from gated.lanes.post import Post
from gated.lanes.station import Device, Station
from gated.lists.whitelist import Whitelist
from gated.recording import pace
from gated.recording.journal import Journal
from gated.recording.pace import Pace
from gated.recording.store import FILE_NAME

PACE_S: Final = 0.5
"""Who asks how the gate fares does not wait longer than this for the disk."""
PACE_KEPT_S: Final = 5.0
"""So long an answer does for whoever asks again."""


class Describer:
    """Gathers the state. `readers` are those of all lanes, by device; they may be filled in later.

    `center` says how the line to the center fares, `expected` how many visitors are announced; None without a center.
    `fire` says what the fire input says; None without one.
    """

    def __init__(
        self,
        config: Config,
        *,
        post: Post,
        journal: Journal,
        keeper: Timekeeper,
        whitelist: Whitelist,
        readers: Mapping[str, Reader],
        center: Callable[[], Mapping[str, object] | None] = lambda: None,
        expected: Callable[[], int | None] = lambda: None,
        fire: Callable[[], Mapping[str, object] | None] = lambda: None,
    ) -> None:
        self._config = config
        self._post = post
        self._journal = journal
        self._keeper = keeper
        self._whitelist = whitelist
        self._readers = readers
        self._center = center
        self._expected = expected
        self._fire = fire
        self._started = keeper.now().mono
        self._since = keeper.stamp().at
        self._ports = dict(_ports(config))
        self._leasts = dict(_leasts(config))
        self._asked: asyncio.Future[Pace | None] | None = None
        self._asked_at = 0.0

    async def __call__(self) -> dict[str, object]:
        """The state now."""
        post = self._post
        found = await self._pace()
        return {
            "site": self._config.site,
            "gate": self._config.gate,
            "version": __version__,
            "pid": os.getpid(),
            "since": self._since,
            "up_s": round(self._keeper.now().mono - self._started),
            "mode": "automatic" if self._journal.state.ok else "guard-only",
            "fire": self._fire(),
            "lanes": {name: self._lane(station) for name, station in post.stations.items()},
            "devices": {name: self._device(name, device) for name, device in post.devices.items()},
            "journal": self._describe_journal(found),
            "center": self._center(),
            "expected": self._expected(),
            "list": self._describe_list(),
            "clock": self._describe_clock(),
            "figures": self._figures(),
        }

    def _lane(self, station: Station) -> dict[str, object]:
        lane, now = station.lane, self._keeper.now()
        barrier, hold = station.barrier, self._post.holds.at(lane.rule.name)
        up = lane.turn is not None or (barrier is not None and (barrier.pulsing or bool(barrier.holders)))
        return {
            "kind": lane.rule.kind,
            "direction": lane.rule.direction,
            "arm": "none" if barrier is None else "up" if up else "down",
            "hold": hold and {"by": hold.operator, "left_s": round(hold.until - now.mono, 1)},
            "turn": lane.turn,
            "waiting": lane.waiting,
            "held": [
                {
                    "credential": held.credential,
                    "reason": held.reason,
                    "for_s": round(now.mono - held.since, 1),
                    "seen_s_ago": round(now.mono - held.seen, 1),
                    "count": held.count,
                }
                for held in lane.held(now)
            ],
        }

    def _device(self, name: str, device: Device) -> dict[str, object]:
        told: dict[str, object] = {
            "what": device.what,
            "online": device.online,
            "why": device.why,
            "since": device.since,
        }
        if name in self._ports:
            told["port"] = self._ports[name]
        reader = self._readers.get(name)
        if reader is not None:
            heard = reader.last_heard
            told["heard_s_ago"] = None if heard is None else round(max(0.0, self._keeper.now().mono - heard), 1)
        about = About()
        if isinstance(reader, Telling):
            about = reader.about
        if about != About():
            told["about"] = {key: value for key, value in asdict(about).items() if value not in ("", None)}
        least = self._leasts.get(name)
        if least is not None and device.online and not least.met(about.firmware):
            told["firmware_wanted"] = str(least)
        return told

    async def _pace(self) -> Pace | None:
        """How fast the journal grows; None while the disk does not say.

        One question at a time: on a disk that hangs, each further one would take another thread.
        """
        mono = self._keeper.now().mono
        if self._asked is None or (self._asked.done() and mono - self._asked_at >= PACE_KEPT_S):
            self._asked_at = mono
            now = datetime.fromisoformat(self._keeper.stamp().at).astimezone(self._config.zone)
            self._asked = asyncio.ensure_future(asyncio.to_thread(pace.look, self._config.state / FILE_NAME, now))
        asked = self._asked
        await asyncio.wait({asked}, timeout=PACE_S)
        return asked.result() if asked.done() else None

    def _describe_journal(self, found: Pace | None) -> dict[str, object]:
        state = self._journal.state
        return {
            "ok": state.ok,
            "why": state.why,
            "seq": state.seq,
            "epoch": state.epoch,
            "acked": state.acked,
            "oldest": state.oldest,
            "bytes": state.bytes,
            "unwritten": state.unwritten,
            "bytes_per_event": found and round(found.bytes_per_event),
            "events_per_hour": found and round(found.events_per_hour, 1),
            "free_bytes": pace.free_bytes(self._config.state),
            "hours_left": round(found.hours_left) if found and math.isfinite(found.hours_left) else None,
        }

    def _describe_list(self) -> dict[str, object] | None:
        info = self._whitelist.info
        trouble = self._whitelist.trouble
        if info is None:
            return {"trouble": trouble} if trouble else None
        overlay = self._whitelist.overlay
        return {
            "version": info.version,
            "entries": info.entries,
            "enrolments": len(overlay.enrolments),
            "suspensions": len(overlay.suspensions),
            "loaded_at": info.loaded_at,
            "trouble": trouble,
        }

    def _describe_clock(self) -> dict[str, object]:
        stamp = self._keeper.stamp()
        return {"at": stamp.at, "quality": stamp.clock, "boot": stamp.boot, "timezone": self._config.timezone}

    def _figures(self) -> dict[str, object]:
        figures = self._post.figures
        ordered = sorted(figures.latencies)
        middle = {
            name: round(ordered[int(len(ordered) * part)] * 1000, 2) if ordered else None
            for name, part in (("p50", 0.5), ("p99", 0.99))
        }
        return {
            "passages": figures.passages,
            "admitted": figures.admitted,
            "flagged": figures.flagged,
            "latency_ms": middle,
            "recent": list(figures.recent),
        }


def _leasts(config: Config) -> Iterator[tuple[str, Least]]:
    """The firmware that a reader must have at least, by the reader's name, where one is demanded."""
    for lane, tables in config.lanes.items():
        for number, reader in enumerate(tables.readers):
            least = getattr(reader.options, "firmware_least", None)
            if least is not None:
                yield f"{lane}/{number}", least


def _ports(config: Config) -> Iterator[tuple[str, str]]:
    """The port of each device that has one, by the device's name."""
    for lane, tables in config.lanes.items():
        for key, device in tables.devices:
            port = getattr(device.options, "port", None)
            if port is not None:
                yield f"{lane}/{key.removeprefix('readers[').removesuffix(']')}", port
    if config.fire is not None and hasattr(config.fire.options, "port"):
        yield FIRE, config.fire.options.port
