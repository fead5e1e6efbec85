"""The live view: what is known, as lines of text that fit the terminal. Pure; colours are the terminal's business."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

from protocol.credential import masked

NEWS: Final = 3
KEYS: Final = "u unknown tag   r {reader}   k kill -9 the daemon   q quit"
_READER: Final = re.compile(r"[0-9]+")
_GONE: Final = "the daemon does not run"


@dataclass(frozen=True, slots=True)
class Picture:
    """What the view shows. `status` is the daemon's own word, None while there is none; lines are oldest first.

    `up` are the lanes whose contact has closed within the last second: for people, a pulse is shorter than a look.
    """

    status: Mapping[str, Any] | None
    pid: int | None = None
    passages: Sequence[str] = ()
    news: Sequence[str] = ()
    up: Collection[str] = ()
    elapsed_s: float = 0.0
    rate: float = 0.0
    seq: int = 0
    kills: int = 0
    unplugged: str | None = None


def render(picture: Picture, columns: int, rows: int) -> list[str]:
    """At most `rows` lines of at most `columns` characters; the last one names the keys."""
    replug = f"plug {picture.unplugged} in" if picture.unplugged else "unplug a reader"
    top = [*_head(picture, columns), "", *_lanes(picture), ""]
    bottom = ["", KEYS.format(reader=replug)]
    news = list(picture.news)[-NEWS:]
    room = rows - len(top) - len(bottom) - NEWS - 2
    latest = list(picture.passages)[-room:] if room > 0 else []
    middle = ["last passages", *_filled(latest, room), "", *_filled(news, NEWS)]
    lines = (top + middle)[: max(0, rows - len(bottom))] + bottom
    return [_cut(line, columns) for line in lines[-rows:]]


def _head(picture: Picture, columns: int) -> list[str]:
    status = picture.status
    minutes, seconds = divmod(int(picture.elapsed_s), 60)
    clock = f"{minutes}:{seconds:02}"
    if status is None:
        return [_apart("gated demo", clock, columns), f"{_GONE}; it is started again", f"journal #{picture.seq}", ""]
    figures, listed = status["figures"], status["list"] or {}
    latency = figures["latency_ms"]
    killed = f" · killed {picture.kills}×" if picture.kills else ""
    version = f"list {listed.get('entries', 0)} entries, {str(listed.get('version', 'none'))[:12]}"
    opening = f"seen to open p50 {_ms(latency['p50'])}, p99 {_ms(latency['p99'])}"
    counted = f"{figures['admitted']} admitted, {figures['flagged']} flagged since its start"
    return [
        _apart(f"gated demo · {status['site']} / {status['gate']} · {status['mode']}", clock, columns),
        f"daemon pid {picture.pid} since {str(status['since'])[11:19]}{killed}",
        f"journal #{picture.seq} · {picture.rate:.1f} events/s · {version}",
        f"{opening} · {counted}",
    ]


def _lanes(picture: Picture) -> list[str]:
    lines = [f"{'lane':<9}{'reader':<9}{'arm':<6}{'turn':<11}{'waiting':<9}held for the guard"]
    if picture.status is None:
        return [*lines, "", "", "", ""]
    devices = picture.status["devices"]
    for name, lane in picture.status["lanes"].items():
        reader = "online" if reads(devices, name) else "offline"
        arm = "up" if name in picture.up else lane["arm"]
        turn = masked(lane["turn"]) if lane["turn"] else "-"
        held = ", ".join(f"{masked(held['credential'])} {held['reason']}" for held in lane["held"]) or "-"
        lines.append(f"{name:<9}{reader:<9}{arm:<6}{turn:<11}{lane['waiting']:<9}{held}")
    return lines


def reads(devices: Mapping[str, Mapping[str, Any]], lane: str) -> bool:
    """Whether all readers of this lane are online, where these are all devices by name."""
    found = [device["online"] for name, device in devices.items() if _READER.fullmatch(name.removeprefix(f"{lane}/"))]
    return bool(found) and all(found)


def _filled(lines: Sequence[str], count: int) -> list[str]:
    return [line for line, _ in zip_longest(lines, range(max(0, count)), fillvalue="")]


def _apart(left: str, right: str, columns: int) -> str:
    return f"{left[: columns - len(right) - 1]:<{max(0, columns - len(right))}}{right}"


def _cut(line: str, columns: int) -> str:
    return line if len(line) <= columns else line[: columns - 1] + "…"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
