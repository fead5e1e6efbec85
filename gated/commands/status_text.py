"""The daemon's own word on how it fares, for a person: a line for each thing, what is wrong in capitals. Pure.

A daemon that was started before an update says less than this one would: what it does not say is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gated.commands.output import count, duration, plain, size, table

State = Mapping[str, Any]
_INDENT: Final = "  "


def lines(state: State) -> Iterator[str]:
    """All of it, line by line."""
    yield from _head(state)
    yield from _section("lanes", [_lane(name, lane) for name, lane in _of(state, "lanes").items()])
    held = [_held(name, one) for name, lane in _of(state, "lanes").items() for one in lane.get("held", ())]
    yield from _section("held for the guard", held)
    yield from _section("devices", [_device(name, device) for name, device in _by_lane(state)])
    yield ""
    parts = {"journal": _journal, "center": _center, "list": _list, "clock": _clock, "figures": _figures}
    told = [(name, said(state)) for name, said in parts.items()]
    yield from table([(name, text) for name, text in told if text])


def _head(state: State) -> Iterator[str]:
    mode = str(state.get("mode"))
    said = "GUARD-ONLY: nothing but exits opens by itself" if mode == "guard-only" else mode
    yield f"{state.get('site')} / {state.get('gate')}: {said}"
    fire = _of(state, "fire")
    if fire.get("state") in {"open", "lost"}:
        yield f"FIRE: every barrier is held open since {_moment(fire.get('since'))}: {fire.get('why')}"
    since = f"since {_moment(state.get('since'))}"
    up = f" ({duration(state['up_s'])})" if "up_s" in state else ""
    yield f"gated {state.get('version')}, pid {state.get('pid')}, {since}{up}"


def _section(name: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield ""
        yield name
        yield from (_INDENT + line for line in table(rows))


def _by_lane(state: State) -> list[tuple[str, State]]:
    """The devices, in the order of their lanes: they are told in the order in which they came."""
    order = {name: number for number, name in enumerate(_of(state, "lanes"))}
    return sorted(
        _of(state, "devices").items(),
        key=lambda item: (order.get(item[0].partition("/")[0], len(order)), item[0]),
    )


def _lane(name: str, lane: State) -> tuple[str, ...]:
    turn = f"turn of {lane['turn']}" if lane.get("turn") else ""
    waiting = f"{lane['waiting']} waiting" if lane.get("waiting") else ""
    return name, f"{lane.get('kind')} {lane.get('direction')}", _arm(lane.get("arm"), lane.get("hold")), turn, waiting


def _arm(arm: object, hold: State | None) -> str:
    if hold:
        return f"HELD OPEN by {hold.get('by')}, {duration(max(hold.get('left_s', 0.0), 0.0))} left"
    return "no arm" if arm == "none" else f"arm {arm}"


def _held(lane: str, held: State) -> tuple[str, ...]:
    seen = f"seen {held.get('count')}x, last {duration(held.get('seen_s_ago', 0.0))} ago"
    return lane, str(held.get("credential")), str(held.get("reason")), f"for {duration(held.get('for_s', 0.0))}", seen


def _device(name: str, device: State) -> tuple[str, ...]:
    if not device.get("online"):
        return name, str(device.get("what")), "OFFLINE", f"since {_moment(device.get('since'))}: {device.get('why')}"
    said = ""
    if "heard_s_ago" in device:
        heard = device["heard_s_ago"]
        said = "not heard yet" if heard is None else f"heard {duration(heard)} ago"
    told = _of(device, "about")
    parts = [said, about(told)]
    parts.append(f"OLD FIRMWARE: {told['outdated']}" if told.get("outdated") else "")
    parts.append(f"FIRMWARE {device['firmware_wanted']} IS WANTED" if device.get("firmware_wanted") else "")
    return name, str(device.get("what")), "online", "; ".join(part for part in parts if part)


def about(told: State) -> str:
    """What a device says of itself, as far as it does."""
    firmware, power = told.get("firmware"), told.get("power_dbm")
    parts = [told.get("model"), firmware and f"firmware {firmware}", told.get("region")]
    parts.append(None if power is None else f"{power:g} dBm")
    return ", ".join(str(part) for part in parts if part)


def _journal(state: State) -> str:
    journal = _of(state, "journal")
    said = [] if journal.get("ok") else [f"CANNOT BE WRITTEN: {journal.get('why')}"]
    said.append(f"{count(journal.get('seq', 0), 'event')}, {size(journal.get('bytes', 0))}")
    if journal.get("unwritten"):
        said.append(f"{journal['unwritten']:,} more in memory only")
    if journal.get("events_per_hour") is not None:
        said.append(f"{journal['events_per_hour']:g} an hour today")
    free = f"{size(journal.get('free_bytes', 0))} free"
    left = journal.get("hours_left")
    said.append(free if left is None else f"{free}, enough for {duration(left * 3600)}")
    return "; ".join(said)


def _center(state: State) -> str:
    """Nothing where there is no center."""
    center = _of(state, "center")
    if not center:
        return ""
    said = ["connected" if center.get("online") else f"AWAY: {center.get('why')}"]
    said += ["ANOTHER BOX runs under this gate's name"] if center.get("rivals") else []
    said += [f"TROUBLE: {center['supply']}"] if center.get("supply") else []
    said.append(f"{count(center.get('backlog', 0), 'event')} to tell")
    confirmed = center.get("confirmed_s_ago")
    said.append("it has answered nothing yet" if confirmed is None else f"it answered {duration(confirmed)} ago")
    refused = sum(_of(_of(center, "commands"), "refused").values())
    said += [f"{count(refused, 'command')} refused"] if refused else []
    return "; ".join(said)


def _list(state: State) -> str:
    found = _of(state, "list")
    said = [f"TROUBLE: {found['trouble']}"] if found.get("trouble") else []
    if "version" in found:
        age = _seconds_between(found.get("loaded_at"), _of(state, "clock").get("at"))
        loaded = f"loaded {_moment(found.get('loaded_at'))}" + (f", {duration(age)} ago" if age is not None else "")
        said += [count(found.get("entries", 0), "entry", "entries"), loaded, str(found["version"])[:18]]
    return "; ".join(said) or "NONE was ever loaded: every credential is unknown"


def _clock(state: State) -> str:
    clock = _of(state, "clock")
    quality = str(clock.get("quality"))
    shown = quality if quality == "synced" else quality.upper()
    return f"{shown}; {_moment(clock.get('at'))}, {clock.get('timezone')}"


def _figures(state: State) -> str:
    figures = _of(state, "figures")
    said = f"{count(figures.get('passages', 0), 'passage')} since the start"
    said += f", {figures.get('admitted', 0):,} admitted, {figures.get('flagged', 0):,} flagged"
    latency = figures.get("latency_ms") or {}
    if latency.get("p50") is None:
        return said
    return f"{said}; seen to open in {latency['p50']:g} ms, 1 of 100 in more than {plain(latency.get('p99'))} ms"


def _of(state: State, key: str) -> dict[str, Any]:
    found = state.get(key)
    return found if isinstance(found, dict) else {}


def _moment(text: object) -> str:
    """A time without its milliseconds and offset: the clock's line has the zone."""
    return str(text)[:19].replace("T", " ")


def _seconds_between(before: object, after: object) -> float | None:
    try:
        seconds = (datetime.fromisoformat(str(after)) - datetime.fromisoformat(str(before))).total_seconds()
    except (ValueError, TypeError):
        return None  # safe: then no age is told
    return max(0.0, seconds)
