"""Points in time as a person types them."""

import re
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

RIGHT: Final = "2026-11-24T08:15+08:00, 2026-11-24, 08:15 (today), or 2h (ago; also 30m, 3d, 45s)"
_AGO: Final = re.compile(r"(\d{1,6})\s*([smhd])(?: ago)?")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The instant that `text` means; what has no offset is the gate's local time. Raises ValueError."""
    ago = _AGO.fullmatch(text)
    clock = _CLOCK.fullmatch(text)
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if clock:
            hour, minute, second = (int(part or 0) for part in clock.groups())
            return now.astimezone(zone).replace(hour=hour, minute=minute, second=second, microsecond=0)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time; right would be {RIGHT}") from error
    return found if found.tzinfo else found.replace(tzinfo=zone)
