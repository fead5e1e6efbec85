"""Events in words, one line each. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from protocol.credential import masked

Event = Mapping[str, Any]
_DEVICES: Final = frozenset({"reader", "input", "output"})


def passage(event: Event) -> str | None:
    """The line for what happened at a lane; None for all else, and for a car that simply went through."""
    match event["kind"]:
        case "passage":
            would = f" ({event['would']})" if "would" in event else ""
            return _lane(
                event, f"{event['verdict']:<6} {event['reason']}{would}", event.get("holder", "not on the list")
            )
        case "opened":
            return _lane(event, f"opened {event['by']}", f"of {event['of']}" if event.get("of") is not None else "")
        case "passed" if event.get("result") == "turned-back":
            return _lane(event, "turned back", f"of {event.get('of', '?')}")
        case "alarm" if event.get("what") == "tailgater":
            return _lane(event, "TAILGATER", "")
        case _:
            return None


def news(event: Event) -> str | None:
    """The line for what happened to the gate itself; None for all else."""
    what = event.get("what")
    match event["kind"]:
        case "system" if what in _DEVICES:
            said = "back" if event["online"] else f"lost: {event.get('why', 'no reason given')}"
            return f"{time(event)} {what} {event['device']} {said}"
        case "system" if what == "list":
            return f"{time(event)} list in force: {event['entries']} entries"
        case "system" | "alarm":
            return f"{time(event)} {event['kind']} {what}"
        case _:
            return None


def time(event: Event) -> str:
    """The event's time of day, as it says itself."""
    return str(event["at"])[11:19]


def _lane(event: Event, said: str, who: str) -> str:
    credential = masked(event["credential"]) if "credential" in event else ""
    return f"{time(event)} {event['lane']:<8} {said:<24} {credential:<10} {who:<16} #{event['seq']}"
