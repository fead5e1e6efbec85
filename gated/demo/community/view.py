"""The live view of the community, as lines of text that fit the terminal. Pure; colours are the terminal's business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from gated.demo.community.day import Act
from gated.demo.view import reads

KEYS: Final = {
    "l": Act.LINK,
    "r": Act.READER,
    "k": Act.KILL,
    "c": Act.CENTER,
    "s": Act.SUSPEND,
    "a": Act.ATTACK,
}
HINTS: Final = (
    "1-5 gate  l {link}  r {reader}  k kill -9 it",
    "c kill the center  s suspend a card  a attack  q quit",
)
LEGEND: Final = "lanes: arm, +n waiting, !n held for the guard; list -n: cards suspended"
NEWS: Final = 5
_LANE: Final = 9


@dataclass(frozen=True, slots=True)
class GateRow:
    """What the view shows of one gate. `status` is its daemon's own word, None while there is none.

    `up` are the lanes whose arm has just gone up.
    """

    name: str
    status: Mapping[str, Any] | None
    pid: int | None = None
    linked: bool = True
    unplugged: str | None = None
    up: frozenset[str] = frozenset()
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """What the view shows. Lines are oldest first; `chosen` is the gate that the keys are about."""

    gates: Sequence[GateRow]
    chosen: str = ""
    center: int | None = None
    """The center's process."""
    center_kills: int = 0
    held: int = 0
    rate: float = 0.0
    passages: Sequence[str] = ()
    news: Sequence[str] = ()
    elapsed_s: float = 0.0
    lanes: Sequence[str] = field(default=("walk-in", "walk-out", "car-in", "car-out"))


def render(picture: Picture, columns: int, rows: int) -> list[str]:
    """At most `rows` lines of at most `columns` characters; the last ones name the keys."""
    top = [_head(picture, columns), _center(picture), LEGEND, _titles(picture)]
    top += [_gate(row, picture) for row in picture.gates]
    bottom = ["", *_hints(picture, columns)]
    news = min(NEWS, max(0, rows - len(top) - len(bottom) - 5))
    room = rows - len(top) - len(bottom) - news - 3
    latest = list(picture.passages)[-room:] if room > 0 else []
    middle = [
        "",
        "last passages",
        *_filled(latest, room),
        "",
        *_filled(list(picture.news)[-news:] if news else [], news),
    ]
    lines = (top + middle)[: max(0, rows - len(bottom))] + bottom
    return [_cut(line, columns) for line in lines[-rows:]]


def _head(picture: Picture, columns: int) -> str:
    minutes, seconds = divmod(int(picture.elapsed_s), 60)
    clock = f"{minutes}:{seconds:02}"
    title = f"gated demo · {len(picture.gates)} gates, a broker, a center"
    return f"{title[: columns - len(clock) - 1]:<{max(0, columns - len(clock))}}{clock}"


def _center(picture: Picture) -> str:
    told = max(sum(row.seq for row in picture.gates), picture.held)  # the center may have been asked a moment later
    state = "dead, started again" if picture.center is None else f"pid {picture.center}"
    killed = f" · killed {picture.center_kills}×" if picture.center_kills else ""
    return f"center: {picture.held:,} of {told:,} events held · {picture.rate:.1f}/s{killed} · {state}"


def _titles(picture: Picture) -> str:
    lanes = "".join(f"{lane:<{_LANE}}" for lane in picture.lanes)
    return f"  {'gate':<7}{'line':<5}{'daemon':<8}{'list':<9}{'to tell':<8}{lanes}".rstrip()


def _gate(row: GateRow, picture: Picture) -> str:
    mark = ">" if row.name == picture.chosen else " "
    line = "up" if row.linked else "CUT"
    head = f"{mark} {row.name[:6]:<7}{line:<5}"
    if row.status is None:
        return f"{head}{'dead':<8}started again; event {row.seq:,} was the last one read"
    status = row.status
    listed = status["list"] or {}
    suspended = listed.get("suspensions", 0)
    version = f"{str(listed.get('version', 'none'))[:6]}{f' -{suspended}' if suspended else ''}"
    backlog = int(status["journal"]["seq"]) - int(status["journal"]["acked"])
    lanes = "".join(f"{_lane(row, lane):<{_LANE}}" for lane in picture.lanes)
    return f"{head}{row.pid or '':<8}{version:<9}{backlog:<8,}{lanes}".rstrip()


def _lane(row: GateRow, name: str) -> str:
    """One lane in a word: its reader, else its arm, else how many wait or are held for the guard."""
    if row.status is None:
        return ""
    if not reads(row.status["devices"], name):
        return "OFF"
    lane = row.status["lanes"].get(name, {})
    arm = "up" if name in row.up else str(lane.get("arm", "none"))
    held = len(lane.get("held", ()))
    return f"{arm} !{held}" if held else f"{arm} +{lane['waiting']}" if lane.get("waiting") else arm


def _hints(picture: Picture, columns: int) -> list[str]:
    chosen = next((row for row in picture.gates if row.name == picture.chosen), None)
    link = "cut its line" if chosen is None or chosen.linked else "mend its line"
    reader = "unplug a reader" if chosen is None or not chosen.unplugged else f"plug {chosen.unplugged} in"
    hints = [hint.format(link=link, reader=reader) for hint in HINTS]
    whole = "  ".join(hints)
    return [whole] if len(whole) <= columns else hints


def _filled(lines: Sequence[str], count: int) -> list[str]:
    return [line for line, _ in zip_longest(lines, range(max(0, count)), fillvalue="")]


def _cut(line: str, columns: int) -> str:
    return line if len(line) <= columns else line[: columns - 1] + "…"
