"""What the daemon says of itself: one JSON object, for `gated status`, `gated doctor` and the demo."""

import os
from typing import Final

from gated import __version__
from gated.clock import Timekeeper
from gated.config import Config
from gated.journal import Journal
from gated.journal_read import bytes_per_event, hours_left
from gated.post import Post, Station
from gated.whitelist import Whitelist

_HOUR_S: Final = 3600.0


class Describer:
    """Gathers the state. `started` is monotonic seconds."""

    def __init__(
        self, config: Config, *, post: Post, journal: Journal, keeper: Timekeeper, whitelist: Whitelist
    ) -> None:
        self._config = config
        self._post = post
        self._journal = journal
        self._keeper = keeper
        self._whitelist = whitelist
        self._started = keeper.now().mono
        self._since = keeper.stamp().at
        self._first_seq: int | None = None

    def __call__(self) -> dict[str, object]:
        """The state now."""
        post = self._post
        return {
            "site": self._config.site,
            "gate": self._config.gate,
            "version": __version__,
            "pid": os.getpid(),
            "since": self._since,
            "mode": "automatic" if self._journal.state.ok else "guard-only",
            "lanes": {name: self._lane(station) for name, station in post.stations.items()},
            "devices": {
                name: {"what": device.what, "online": device.online, "why": device.why, "since": device.since}
                for name, device in post.devices.items()
            },
            "journal": self._describe_journal(),
            "list": self._describe_list(),
            "clock": self._describe_clock(),
            "figures": self._figures(),
        }

    def _lane(self, station: Station) -> dict[str, object]:
        lane, now = station.lane, self._keeper.now()
        up = lane.turn is not None or (station.barrier is not None and station.barrier.pulsing)
        return {
            "kind": lane.rule.kind,
            "direction": lane.rule.direction,
            "arm": "none" if station.barrier is None else "up" if up else "down",
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

    def _describe_journal(self) -> dict[str, object]:
        state = self._journal.state
        if self._first_seq is None and state.ok:
            self._first_seq = state.seq
        hours = max((self._keeper.now().mono - self._started) / _HOUR_S, 1.0)
        rate = (state.seq - (self._first_seq or state.seq)) / hours
        try:
            disk = os.statvfs(self._config.state)
            free = disk.f_bavail * disk.f_frsize
        except OSError:
            free = 0
        each = bytes_per_event(state.bytes, state.seq)
        return {
            "ok": state.ok,
            "why": state.why,
            "seq": state.seq,
            "epoch": state.epoch,
            "acked": state.acked,
            "oldest": state.oldest,
            "bytes": state.bytes,
            "unwritten": state.unwritten,
            "bytes_per_event": each,
            "events_per_hour": round(rate, 1),
            "free_bytes": free,
            "hours_left": round(hours_left(rate, free, each)) if rate else None,
        }

    def _describe_list(self) -> dict[str, object] | None:
        info = self._whitelist.info
        trouble = self._whitelist.trouble
        if info is None:
            return {"trouble": trouble} if trouble else None
        return {"version": info.version, "entries": info.entries, "loaded_at": info.loaded_at, "trouble": trouble}

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
